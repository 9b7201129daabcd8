//! A part that stopped is told: who says so, and when.

use std::io::{self, BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fillguard::arrival::{Body, Incoming};
use fillguard::domain::{Level, Span};
use fillguard::live::Settings;
use fillguard::notify::ChannelSettings;
use fillguard::notify::heartbeat::{Daily, HeartbeatSettings};
use fillguard::notify::webhook::WebhookSettings;
use fillguard::runtime::clock;
use fillguard::secret::Secret;
use fillguard::store::Store;

use crate::daemon::{self, Daemon};
use crate::exchange::within;

/// Answers HTTP with a status that can be changed, and counts requests by path.
#[derive(Clone)]
struct Web {
    port: u16,
    /// Of `/hook`; pings are always fine.
    status: Arc<AtomicU16>,
    pings: Arc<AtomicUsize>,
    taken: Arc<AtomicUsize>,
}

impl Web {
    fn start() -> Web {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let web = Web { port, status: Arc::new(AtomicU16::new(200)), pings: Arc::default(), taken: Arc::default() };
        let own = web.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let _hung_up = own.answer(stream.unwrap());
            }
        });
        web
    }

    fn answer(&self, mut stream: std::net::TcpStream) -> io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        let (mut first, mut length) = (String::new(), 0);
        reader.read_line(&mut first)?;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            if line.trim().is_empty() {
                break;
            }
            if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        io::Read::read_exact(&mut reader, &mut vec![0; length])?;
        let status = match first.contains("/ping") {
            true => {
                self.pings.fetch_add(1, Ordering::SeqCst);
                200
            }
            false => self.status.load(Ordering::SeqCst),
        };
        if status == 200 && first.contains("/hook") {
            self.taken.fetch_add(1, Ordering::SeqCst);
        }
        stream.write_all(format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").as_bytes())
    }

    fn pings(&self) -> usize {
        self.pings.load(Ordering::SeqCst)
    }
}

/// A daemon's settings with a webhook channel, quick retries and a quick ping.
fn settings(home: &std::path::Path, web: &Web) -> Settings {
    let mut settings = daemon::settings(home);
    let channel = ChannelSettings { name: "hook".into(), min_level: Level::Notice, ..ChannelSettings::default() };
    let url = |path: &str| Secret::new(format!("http://127.0.0.1:{}/{path}", web.port));
    settings.notify.webhook = vec![WebhookSettings::new(channel, url("hook"))];
    let quick = Duration::from_millis(20);
    (settings.notify.backoff.first, settings.notify.backoff.most) = (quick, Duration::from_millis(60));
    (settings.notify.backoff.probe, settings.notify.backoff.late) = (quick, Duration::from_millis(300));
    let every = Duration::from_millis(50);
    settings.notify.heartbeat = Some(HeartbeatSettings { url: url("ping"), every, timeout: Duration::from_secs(5) });
    settings.tick = Duration::from_millis(10);
    settings
}

/// Collects what is logged on this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn listen() -> (Log, tracing::subscriber::DefaultGuard) {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    fn count(&self, text: &str) -> usize {
        String::from_utf8_lossy(&self.0.lock().unwrap()).matches(text).count()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Something to tell that happens now.
fn news() -> Incoming {
    Incoming { at: clock::now(), ..daemon::garbage(0, "binance/alice") }
}

/// Long enough for several pings, were there any; a machine that is slower sees fewer, never more.
const SILENCE: Duration = Duration::from_millis(400);

#[tokio::test]
async fn a_feed_that_stays_down_is_told_on_every_channel_after_its_time_and_not_before() {
    let (home, web) = (tempfile::tempdir().unwrap(), Web::start());
    let mut settings = settings(home.path(), &web);
    settings.tick = Duration::from_secs(3_600);
    let begun = clock::now();
    let daemon = Daemon::start(settings.clone()).await;
    let alice = |body| Incoming { at: begun, ..daemon::incoming(0, "binance/alice", body) };
    daemon.send(alice(Body::LinkUp)).await;
    daemon.send(alice(Body::LinkDown { why: "closed 1006".into() })).await;
    for seconds in [598, 602] {
        daemon
            .send(Incoming { at: begun + Span::from_secs(seconds), ..daemon::incoming(0, "clock", Body::Tick) })
            .await;
    }
    let screen = daemon.screen.clone();
    daemon.until("the console", || screen.text().contains("could not be watched without a gap")).await;
    daemon.until("the other channel", || web.taken.load(Ordering::SeqCst) == 1).await;
    daemon.end().await.unwrap();
    let incidents = daemon::incidents(&settings);
    assert_eq!((incidents.len(), incidents[0].level), (1, Level::Alert));
    assert_eq!(incidents[0].opened, begun + Span::from_secs(602), "after ten minutes");
}

#[tokio::test]
async fn a_channel_that_is_late_is_told_once_on_the_other() {
    let (home, web) = (tempfile::tempdir().unwrap(), Web::start());
    web.status.store(503, Ordering::SeqCst);
    let daemon = Daemon::start(settings(home.path(), &web)).await;
    daemon.send(news()).await;
    let screen = daemon.screen.clone();
    daemon.until("the report", || screen.text().contains("The channel hook does not deliver")).await;
    assert!(screen.text().contains("503"), "{}", screen.text());
    assert_eq!(screen.text().matches("The channel hook").count(), 1, "told once");
    web.status.store(200, Ordering::SeqCst);
    daemon.until("the message that waited", || web.taken.load(Ordering::SeqCst) > 0).await;
    daemon.end().await.unwrap();
}

#[tokio::test]
async fn while_one_channel_delivers_the_ping_goes_on() {
    let (home, web, other) = (tempfile::tempdir().unwrap(), Web::start(), Web::start());
    let mut settings = settings(home.path(), &web);
    let channel = ChannelSettings { name: "other".into(), min_level: Level::Notice, ..ChannelSettings::default() };
    let url = Secret::new(format!("http://127.0.0.1:{}/hook", other.port));
    settings.notify.webhook.push(WebhookSettings::new(channel, url));
    web.status.store(503, Ordering::SeqCst);
    let daemon = Daemon::start(settings).await;
    daemon.send(news()).await;
    // The news, and that the first channel is late.
    daemon.until("both", || other.taken.load(Ordering::SeqCst) >= 2).await;
    let pings = web.pings();
    daemon.until("more pings", || web.pings() >= pings + 3).await;
    daemon.end().await.unwrap();
}

#[tokio::test]
async fn when_no_channel_delivers_the_ping_stays_away_until_one_does() {
    let (log, _listening) = Log::listen();
    let (home, web) = (tempfile::tempdir().unwrap(), Web::start());
    let daemon = Daemon::start(settings(home.path(), &web)).await;
    daemon.until("pings", || web.pings() >= 3).await;
    web.status.store(503, Ordering::SeqCst);
    daemon.send(news()).await;
    daemon.until("the log", || log.count("no ping is sent: no channel delivers") == 1).await;
    let pings = web.pings();
    tokio::time::sleep(SILENCE).await;
    assert_eq!(web.pings(), pings, "whoever waits for the ping notices");
    assert_eq!(log.count("no ping is sent: no channel delivers"), 1, "said once");
    assert!(log.count("no ping is sent") <= 2, "each reason once");
    web.status.store(200, Ordering::SeqCst);
    daemon.until("pings again", || web.pings() > pings).await;
    assert!(web.taken.load(Ordering::SeqCst) >= 1, "what waited was told");
    daemon.end().await.unwrap();
}

#[tokio::test]
async fn when_nothing_is_judged_the_ping_stays_away_until_something_is() {
    let (log, _listening) = Log::listen();
    let (home, web) = (tempfile::tempdir().unwrap(), Web::start());
    let mut settings = settings(home.path(), &web);
    // Not even time arrives.
    settings.tick = Duration::from_secs(3_600);
    let daemon = Daemon::start(settings).await;
    daemon.until("the log", || log.count("no ping is sent: nothing was judged since the last ping") == 1).await;
    let pings = web.pings();
    tokio::time::sleep(SILENCE).await;
    assert_eq!(web.pings(), pings);
    daemon.send(news()).await;
    daemon.until("a ping", || web.pings() > pings).await;
    daemon.end().await.unwrap();
}

#[tokio::test]
async fn while_the_store_takes_nothing_the_ping_stays_away_and_nothing_is_lost() {
    let (log, _listening) = Log::listen();
    let (home, web) = (tempfile::tempdir().unwrap(), Web::start());
    let settings = settings(home.path(), &web);
    let daemon = Daemon::start(settings.clone()).await;
    daemon.until("pings", || web.pings() >= 2).await;
    let other = rusqlite::Connection::open(&settings.store.path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    daemon.send(news()).await;
    // SQLite waits 5 s for a lock.
    let refused = async {
        while log.count("arrivals wait") == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), refused).await.unwrap();
    // The ping under way when it began may still arrive.
    let pings = web.pings() + 1;
    tokio::time::sleep(SILENCE).await;
    assert!(web.pings() <= pings, "{} pings after {pings}", web.pings());
    let pings = web.pings();
    other.execute_batch("ROLLBACK").unwrap();
    daemon.until("the effect", || daemon::incidents(&settings).len() == 1).await;
    daemon.until("pings again", || web.pings() > pings).await;
    daemon.end().await.unwrap();
}

#[tokio::test]
async fn a_ping_that_does_not_arrive_is_logged_and_delays_no_message() {
    let (log, _listening) = Log::listen();
    let (home, web) = (tempfile::tempdir().unwrap(), Web::start());
    // It takes connections and never says a word.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut settings = settings(home.path(), &web);
    settings.notify.heartbeat = Some(HeartbeatSettings {
        url: Secret::new(format!("http://{}/ping/secret-part", silent.local_addr().unwrap())),
        every: Duration::from_millis(20),
        timeout: Duration::from_millis(100),
    });
    let daemon = Daemon::start(settings).await;
    daemon.send(news()).await;
    daemon.until("the message", || web.taken.load(Ordering::SeqCst) == 1).await;
    daemon.until("the log", || log.count("the heartbeat's ping did not arrive") > 0).await;
    assert_eq!(log.count("secret-part"), 0);
    daemon.end().await.unwrap();
}

#[tokio::test]
async fn the_line_of_the_day_says_once_how_the_watch_goes() {
    let (home, web) = (tempfile::tempdir().unwrap(), Web::start());
    let mut settings = settings(home.path(), &web);
    settings.feed.accounts = vec![daemon::account("binance/alice"), daemon::account("binance/bob")];
    // A clock by which it is noon now, and a line that is due then.
    let noon = 43_200 - (clock::now().nanos() / 1_000_000_000).rem_euclid(86_400);
    let offset = jiff::tz::Offset::from_seconds(i32::try_from(noon).unwrap()).unwrap();
    settings.notify.daily = Some(Daily { minute: 720, zone: jiff::tz::TimeZone::fixed(offset) });
    let daemon = Daemon::start(settings.clone()).await;
    daemon.send(Incoming { at: clock::now(), ..daemon::incoming(0, "binance/alice", Body::LinkUp) }).await;
    let screen = daemon.screen.clone();
    daemon.until("the line", || screen.text().contains("1 of 2 feeds up (NOT all seen)")).await;
    daemon.end().await.unwrap();
    assert!(screen.text().contains("0 fills, 0 incidents in a day, no drill yet"), "{}", screen.text());
    assert!(Store::read(&settings.store.path).unwrap().mark("daily").unwrap().is_some());
    // Started again the same day, it is not said again: the next thing said is the news.
    let daemon = Daemon::start(settings.clone()).await;
    let began = clock::now();
    within("more than the wait before a line", async {
        while clock::now().since(began) < Span::from_secs(2) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    assert_eq!(daemon.screen.text().matches("feeds up").count(), 0);
    daemon.end().await.unwrap();
}

/// Not a test of its own: runs where `LIVE_SMALL_DISK` is a file system of its own, small and empty.
#[tokio::test]
async fn watching_on_a_small_disk() {
    let Ok(disk) = std::env::var("LIVE_SMALL_DISK") else { return };
    let (disk, web) = (Path::new(&disk), Web::start());
    let settings = settings(disk, &web);
    let daemon = Daemon::start(settings.clone()).await;
    daemon.send(news()).await;
    daemon.until("the message", || web.taken.load(Ordering::SeqCst) == 1).await;
    let screen = daemon.screen.clone();
    daemon.end().await.unwrap();
    assert!(!screen.text().contains("fills up"), "{}", screen.text());

    // A sixteenth is left.
    std::fs::write(disk.join("ballast"), vec![0; 30 << 20]).unwrap();
    let daemon = Daemon::start(settings).await;
    daemon
        .until("the warning", || daemon.screen.text().contains("fillguard's disk fills up: 1 MiB of 32 MiB left"))
        .await;
    daemon.until("the message", || web.taken.load(Ordering::SeqCst) == 2).await;
    daemon.end().await.unwrap();
    println!("small disk: done");
}

#[test]
fn people_are_told_that_the_disk_fills_up_while_they_still_can_be() {
    let dir = tempfile::tempdir().unwrap();
    let script = "mount -t tmpfs -o size=32m none \"$1\" && \
                  LIVE_SMALL_DISK=$1 exec \"$2\" --exact told::watching_on_a_small_disk --nocapture";
    let ran = std::process::Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"])
        .args([dir.path(), &std::env::current_exe().unwrap()])
        .output();
    let text = ran.as_ref().map(|ran| String::from_utf8_lossy(&ran.stdout).into_owned()).unwrap_or_default();
    if !text.contains("running 1 test") {
        println!("skipped: this system lets nobody mount a small file system ({ran:?})");
        return;
    }
    assert!(ran.as_ref().unwrap().status.success() && text.contains("small disk: done"), "{ran:?}");
}
