//! A daemon whose feed is the test.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fillguard::arrival::{Arrival, Body, Incoming};
use fillguard::domain::{Incident, Span, Symbol, Timestamp, Venue};
use fillguard::feed::{self, ReadKey};
use fillguard::journal::{read_from, segments};
use fillguard::live::{self, Settings};
use fillguard::runtime::supervisor::{Stage, Task};
use fillguard::secret::Secret;
use fillguard::store::{Filter, Store};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::exchange::within;

/// 2026-03-01T09:00:00Z and `seconds`.
pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_nanos(1_772_355_600_000_000_000) + Span::from_secs(seconds)
}

pub fn incoming(seconds: i64, from: &str, body: Body) -> Incoming {
    Incoming { at: at(seconds), from: from.parse().unwrap(), body }
}

/// What no codec can read: the quickest way to an incident.
pub fn garbage(seconds: i64, account: &str) -> Incoming {
    incoming(seconds, account, Body::Text("<html>".into()))
}

/// Settings under `home` with the console channel, small segments, and no tick of their own.
pub fn settings(home: &Path) -> Settings {
    let mut settings = Settings::default();
    settings.journal.dir = home.join("journal");
    settings.journal.segment_bytes = 4 << 10;
    settings.store.path = home.join("store").join("fillguard.db");
    settings.tick = Duration::from_secs(3_600);
    settings.notify.console = true;
    settings
}

pub fn account(id: &str) -> feed::Account {
    let key = ReadKey::binance("key-1", &Secret::new("not-a-real-secret".into())).unwrap();
    feed::Account { id: id.parse().unwrap(), key, known_until: None }
}

pub struct Daemon {
    /// What the feeds were told.
    pub feed: feed::Settings,
    pub pairs: watch::Receiver<BTreeSet<(Venue, Symbol)>>,
    pub ready: watch::Receiver<bool>,
    pub screen: Screen,
    send: mpsc::Sender<Incoming>,
    stop: CancellationToken,
    running: JoinSet<Result<(), live::Error>>,
    settings: Settings,
}

/// What the console channel printed.
#[derive(Clone, Default)]
pub struct Screen(Arc<Mutex<Vec<u8>>>);

impl Screen {
    pub fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Daemon {
    pub async fn start(settings: Settings) -> Daemon {
        Daemon::start_with_farewell(settings, Vec::new()).await
    }

    /// Its feed says `farewell` when it is told to stop, as feeds do.
    pub async fn start_with_farewell(settings: Settings, farewell: Vec<Incoming>) -> Daemon {
        let (send, mut given) = mpsc::channel::<Incoming>(1_024);
        let (tell, told) = oneshot::channel();
        let feeds = move |feed, out: mpsc::Sender<Incoming>, pairs| {
            let _ = tell.send((feed, pairs));
            Ok(vec![Task::once("hand", Stage::Feeds, move |stop| async move {
                loop {
                    tokio::select! {
                        () = stop.cancelled() => break,
                        Some(arrival) = given.recv() => out.send(arrival).await?,
                    }
                }
                for arrival in farewell {
                    out.send(arrival).await?;
                }
                Ok(())
            })])
        };
        let (stop, screen) = (CancellationToken::new(), Screen::default());
        let (tell_ready, ready) = watch::channel(false);
        let mut running = JoinSet::new();
        running.spawn(live::run_fed_by(feeds, settings.clone(), Box::new(screen.clone()), stop.clone(), tell_ready));
        let (feed, pairs) = within("the feeds to start", told).await.unwrap();
        Daemon { feed, pairs, ready, screen, send, stop, running, settings }
    }

    pub async fn send(&self, arrival: Incoming) {
        self.send.send(arrival).await.unwrap();
    }

    /// Waits until something is so.
    pub async fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        let waiting = async {
            while !is_so() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        within(what, waiting).await;
    }

    pub async fn end(mut self) -> Result<(), live::Error> {
        self.stop.cancel();
        within("the end", self.running.join_next()).await.unwrap().unwrap()
    }

    pub fn journal(&self) -> PathBuf {
        self.settings.journal.dir.clone()
    }
}

/// Returns what a journal holds, up to what may be being written this moment.
pub fn arrivals(dir: &Path) -> Vec<Arrival> {
    let oldest = segments(dir).unwrap().first().map_or(1, |segment| segment.first);
    read_from(dir, oldest).unwrap().map_while(Result::ok).collect()
}

/// Returns the incidents kept, oldest first.
pub fn incidents(settings: &Settings) -> Vec<Incident> {
    let store = Store::read(&settings.store.path).unwrap();
    let mut incidents = store.incidents(&Filter::default()).unwrap();
    incidents.reverse();
    incidents
}
