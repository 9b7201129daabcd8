//! `kill -9` at any moment, again and again: no arrival, incident or message is lost, and none is doubled.
//!
//! The daemon runs in a child process (this test binary, asked for one test by name) and is fed by a script that goes
//! on after the last arrival in the journal, as a feed does that asks the exchange for what it missed.
//! `FILLGUARD_CRASH_SEEDS` sets how many seeds are tried.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail wherever it finds a fault")]

#[path = "support/stream.rs"]
mod stream;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use fillguard::domain::Level;
use fillguard::journal;
use fillguard::live::{self, Settings};
use fillguard::pipeline::{self, Pipeline};
use fillguard::runtime::supervisor::{Stage, Task};
use fillguard::store::{ChannelRoute, Store};
use rusqlite::types::ValueRef;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

const HOME: &str = "FILLGUARD_CRASH_HOME";
const SEED: &str = "FILLGUARD_CRASH_SEED";
const ARRIVALS: usize = 700;
/// The daemon is killed this often at most, and then left to finish.
const KILLS: u32 = 40;

fn settings(home: &Path) -> Settings {
    let mut settings = Settings::default();
    settings.journal.dir = home.join("journal");
    // Several segments, and several snapshots to go on from.
    settings.journal.segment_bytes = 64 << 10;
    settings.store.path = home.join("store").join("fillguard.db");
    settings.snapshot_arrivals = 61;
    settings.tick = Duration::from_secs(3_600);
    settings.notify.console = true;
    settings
}

/// The child. It ends by itself when the script is through.
#[test]
#[ignore = "runs in a child process of the tests below"]
fn the_daemon() {
    let home = std::env::var_os(HOME).unwrap();
    let seed = std::env::var(SEED).unwrap().parse().unwrap();
    let settings = settings(Path::new(&home));
    let (journal, store) = (settings.journal.dir.clone(), settings.store.path.clone());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let stop = CancellationToken::new();
    let through = stop.clone();
    let feeds = move |_, incoming: tokio::sync::mpsc::Sender<_>, _| {
        let known = journal::read_from(&journal, 1).unwrap().map(Result::unwrap).count();
        let mut script = stream::stream(seed, ARRIVALS).into_iter().skip(known).enumerate();
        Ok(vec![Task::restartable("script", Stage::Feeds, move |stop| {
            let (incoming, through) = (incoming.clone(), through.clone());
            let (script, store): (Vec<_>, _) = (script.by_ref().collect(), store.clone());
            async move {
                for (place, arrival) in script {
                    incoming.send(arrival).await.unwrap();
                    if place % 4 == 0 {
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                }
                // What a killed daemon was just sending is sent again first.
                let open = || Store::read(&store).unwrap().backlog().unwrap().iter().any(|channel| channel.waiting > 0);
                while open() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                through.cancel();
                stop.cancelled().await;
                Ok(())
            }
        })])
    };
    let screen = Box::new(std::io::sink());
    runtime.block_on(live::run_fed_by(feeds, settings, screen, stop, watch::Sender::new(false))).unwrap();
}

/// Starts the daemon; `after` later it is killed, unless it ended before.
fn run(home: &Path, seed: u64, after: Option<Duration>) -> ExitStatus {
    let mut child: Child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "the_daemon", "--nocapture"])
        .env(HOME, home)
        .env(SEED, seed.to_string())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    if let Some(after) = after {
        std::thread::sleep(after);
        // It may have ended meanwhile.
        drop(child.kill());
    }
    child.wait().unwrap()
}

/// Everything in the store that must not depend on crashes, one line a row.
fn rows(path: &Path, query: &str) -> Vec<String> {
    let connection = rusqlite::Connection::open(path).unwrap();
    let mut statement = connection.prepare(query).unwrap();
    let columns = statement.column_count();
    let rows = statement.query_map([], |row| {
        let cells = (0..columns).map(|place| match row.get_ref(place).unwrap() {
            ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
            ValueRef::Integer(number) => number.to_string(),
            other @ (ValueRef::Null | ValueRef::Real(_) | ValueRef::Blob(_)) => format!("{other:?}"),
        });
        Ok(cells.collect::<Vec<_>>().join(" | "))
    });
    rows.unwrap().collect::<Result<_, _>>().unwrap()
}

const INCIDENTS: &str =
    "SELECT id, account, story, level, opened, last, closed, CAST(state AS TEXT) FROM incidents ORDER BY id";
const HISTORY: &str = "SELECT incident, n, name, at, transition, level, finding, message FROM history ORDER BY step";
/// What a channel says of an incident, counted with what it merged: each message is in exactly one row.
const MESSAGES: &str = "SELECT incident, sum(merged + 1) FROM outbox WHERE state <> 'superseded' GROUP BY 1 ORDER BY 1";
const QUEUED: &str = "SELECT incident, count(*) FROM history WHERE message IS NOT NULL GROUP BY 1 ORDER BY 1";

/// Compares what killed daemons left with one that stepped through the same journal at leisure.
fn check(home: &Path, seed: u64) {
    let settings = settings(home);
    let mut pipeline = Pipeline::new(pipeline::Settings::default());
    let leisure = home.join("leisure").join("fillguard.db");
    let mut store = Store::open(&leisure).unwrap();
    let route = ChannelRoute { name: "console".into(), min_level: Level::Notice, ..ChannelRoute::default() };
    let mut script = stream::stream(seed, ARRIVALS).into_iter();
    for arrival in journal::read_from(&settings.journal.dir, 1).unwrap() {
        let arrival = arrival.unwrap();
        let sent = script.next().unwrap();
        // Each arrival of the script once, in order.
        assert_eq!((arrival.at, &arrival.from), (sent.at, &sent.from), "seed {seed}, arrival {}", arrival.n);
        assert_eq!(format!("{:?}", arrival.body), format!("{:?}", sent.body), "seed {seed}, arrival {}", arrival.n);
        store.take(&pipeline.step(&arrival), std::slice::from_ref(&route)).unwrap();
    }
    assert_eq!(script.count(), 0, "seed {seed}: arrivals are lost");
    drop(store);
    for query in [INCIDENTS, HISTORY] {
        let (killed, unhurt) = (rows(&settings.store.path, query), rows(&leisure, query));
        assert!(unhurt.len() > 10, "the script must make incidents");
        for (killed, unhurt) in killed.iter().zip(&unhurt) {
            assert_eq!(killed, unhurt, "seed {seed}");
        }
        assert_eq!(killed.len(), unhurt.len(), "seed {seed}: {query}");
    }
    assert_eq!(rows(&settings.store.path, MESSAGES), rows(&settings.store.path, QUEUED), "seed {seed}");
    let states = rows(&settings.store.path, "SELECT DISTINCT state FROM outbox WHERE state <> 'superseded'");
    assert_eq!(states, ["sent"], "seed {seed}: everything was sent before the end");
}

/// Kills at moments drawn from the seed until the script is through; returns how often.
fn torment(seed: u64) -> u32 {
    let home = tempfile::tempdir().unwrap();
    let mut dice = seed;
    for kills in 0..KILLS {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99);
        let after = Duration::from_micros(20_000 + (dice >> 33) % 260_000);
        if run(home.path(), seed, Some(after)).success() {
            check(home.path(), seed);
            return kills;
        }
    }
    assert!(run(home.path(), seed, None).success(), "seed {seed}");
    check(home.path(), seed);
    KILLS
}

#[test]
fn whatever_moment_it_is_killed_at_nothing_is_lost_and_nothing_doubled() {
    let seeds = std::env::var("FILLGUARD_CRASH_SEEDS").map_or(30, |seeds| seeds.parse().unwrap());
    let half = |odd| (1..=seeds).filter(move |seed| seed % 2 == odd).map(|seed| (seed, torment(seed)));
    let kills: BTreeMap<u64, u32> = std::thread::scope(|scope| {
        let odd = scope.spawn(|| half(1).collect::<Vec<_>>());
        half(0).collect::<Vec<_>>().into_iter().chain(odd.join().unwrap()).collect()
    });
    assert!(kills.values().sum::<u32>() >= seeds as u32, "it was hardly ever killed: {kills:?}");
}
