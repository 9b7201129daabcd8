//! Readiness, pairs, the order of stopping, and a store that is busy.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fillguard::arrival::Body;
use fillguard::domain::{Symbol, Venue};
use fillguard::store::Store;

use crate::daemon::{self, Daemon};
use crate::exchange::within;
use crate::stream;

#[tokio::test]
async fn ready_is_said_once_every_account_came_up_or_failed() {
    let home = tempfile::tempdir().unwrap();
    let mut settings = daemon::settings(home.path());
    settings.feed.accounts = vec![daemon::account("binance/alice"), daemon::account("binance/bob")];
    let mut daemon = Daemon::start(settings).await;
    daemon.send(daemon::incoming(0, "binance/alice", Body::LinkUp)).await;
    let dir = daemon.journal();
    daemon.until("the journal", || daemon::arrivals(&dir).len() == 1).await;
    assert!(!*daemon.ready.borrow());
    let refused = Body::LinkDown { why: "the key may not read".into() };
    daemon.send(daemon::incoming(1, "binance/bob", refused)).await;
    within("readiness", daemon.ready.wait_for(|ready| *ready)).await.unwrap();
    daemon.end().await.unwrap();
}

#[tokio::test]
async fn with_nobody_to_watch_it_is_ready_at_once() {
    let home = tempfile::tempdir().unwrap();
    let mut daemon = Daemon::start(daemon::settings(home.path())).await;
    within("readiness", daemon.ready.wait_for(|ready| *ready)).await.unwrap();
    daemon.end().await.unwrap();
}

#[tokio::test]
async fn the_market_of_a_pair_an_account_touches_is_watched_from_then_on_and_after_a_restart() {
    let home = tempfile::tempdir().unwrap();
    let settings = daemon::settings(home.path());
    let mut daemon = Daemon::start(settings.clone()).await;
    assert!(daemon.pairs.borrow().is_empty());
    for arrival in stream::stream(1, 60) {
        daemon.send(arrival).await;
    }
    let wanted = (Venue::Binance, Symbol::from_dashed("ETH-BTC").unwrap());
    within("the pair", daemon.pairs.wait_for(|pairs| pairs.contains(&wanted))).await.unwrap();
    daemon.end().await.unwrap();
    let daemon = Daemon::start(settings).await;
    assert!(daemon.pairs.borrow().contains(&wanted));
    daemon.end().await.unwrap();
}

#[tokio::test]
async fn what_feeds_say_last_is_written_down_judged_kept_told_and_remembered() {
    let home = tempfile::tempdir().unwrap();
    let settings = daemon::settings(home.path());
    let farewell = vec![daemon::garbage(0, "binance/alice"), daemon::garbage(1, "binance/bob")];
    let daemon = Daemon::start_with_farewell(settings.clone(), farewell).await;
    daemon.send(daemon::incoming(0, "clock", Body::Tick)).await;
    let (screen, dir) = (daemon.screen.clone(), daemon.journal());
    daemon.until("the first pass", || daemon::arrivals(&dir).len() == 1).await;
    daemon.end().await.unwrap();
    assert_eq!(daemon::arrivals(&settings.journal.dir).len(), 3);
    assert_eq!(daemon::incidents(&settings).len(), 2);
    let store = Store::read(&settings.store.path).unwrap();
    assert_eq!(store.latest_snapshot().unwrap().unwrap().n, 3);
    let text = screen.text();
    assert!(text.contains("binance/alice") && text.contains("binance/bob"), "{text}");
    assert_eq!(store.backlog().unwrap()[0].waiting, 0);
}

/// Collects what is logged on this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_busy_store_makes_arrivals_wait_and_loses_no_effect() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
    let _listening = tracing::subscriber::set_default(subscriber);
    let home = tempfile::tempdir().unwrap();
    let mut settings = daemon::settings(home.path());
    // A channel would wait for the store too.
    settings.notify.console = false;
    let daemon = Daemon::start(settings.clone()).await;
    let dir = daemon.journal();
    let other = rusqlite::Connection::open(&settings.store.path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    daemon.send(daemon::garbage(0, "binance/alice")).await;
    daemon.send(daemon::garbage(1, "binance/bob")).await;
    daemon.until("the journal goes on", || daemon::arrivals(&dir).len() == 2).await;
    let text = || String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    // SQLite waits 5 s for a lock, and the loop's look for what is too old may have its turn first.
    let refused = async {
        while !text().contains("arrivals wait") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), refused).await.unwrap();
    assert!(daemon::incidents(&settings).is_empty());
    other.execute_batch("ROLLBACK").unwrap();
    daemon.until("the effects", || daemon::incidents(&settings).len() == 2).await;
    daemon.end().await.unwrap();
}
