//! A restart equals no restart, and goes on from whatever is left.

use std::collections::BTreeMap;
use std::path::Path;

use fillguard::arrival::{Arrival, Body, Incoming};
use fillguard::domain::{Effect, EffectKind, Incident, Story, Transition};
use fillguard::live;
use fillguard::pipeline::{Pipeline, Settings};
use fillguard::store::Store;
use fillguard::tune::ordinary::{self, Trader};
use fillguard::tune::tape::Quoted;

use crate::daemon::{self, Daemon};
use crate::stream;

/// Returns every effect of a recording, with the memory saved and read back after every `every`-th arrival.
fn play(arrivals: &[Arrival], every: Option<usize>) -> (Vec<Effect>, Vec<u8>) {
    let mut pipeline = Pipeline::new(Settings::default());
    let mut effects = Vec::new();
    for (place, arrival) in arrivals.iter().enumerate() {
        effects.extend(pipeline.step(arrival));
        if every.is_some_and(|every| (place + 1) % every == 0) {
            pipeline = Pipeline::resume(Settings::default(), &pipeline.snapshot().unwrap()).unwrap();
        }
    }
    (effects, pipeline.snapshot().unwrap())
}

#[test]
fn a_restart_equals_no_restart() {
    let arrivals = stream::numbered(&stream::stream(7, 1_500));
    let (effects, memory) = play(&arrivals, None);
    let count = |story, wanted| {
        let is = |effect: &&Effect| {
            let EffectKind::Incident { transition, incident, .. } = &effect.kind;
            incident.story == story && *transition == wanted
        };
        effects.iter().filter(is).count()
    };
    // Otherwise the stream would prove nothing.
    for story in [Story::Takeover, Story::Blind] {
        assert!(count(story, Transition::Opened) > 3 && count(story, Transition::Closed) > 3);
    }
    for every in [3, 100] {
        let (again, same) = play(&arrivals, Some(every));
        assert!(again == effects, "with a restart after every {every} arrivals");
        assert!(same == memory, "with a restart after every {every} arrivals");
    }
}

#[test]
fn a_restart_equals_no_restart_for_ordinary_traders() {
    let traders = [Trader::Grid, Trader::OpenBot, Trader::NewCoins, Trader::SafetyOrders];
    let arrivals = ordinary::recording(5, 1_650_000_000_000, 1, &traders, Quoted::Bitcoin).unwrap().arrivals;
    let (effects, memory) = play(&arrivals, None);
    let (again, same) = play(&arrivals, Some(arrivals.len() / 40));
    assert!(again == effects && same == memory);
}

/// Runs a daemon over some arrivals and ends it.
async fn over(settings: &live::Settings, arrivals: &[Incoming]) {
    let daemon = Daemon::start(settings.clone()).await;
    let dir = daemon.journal();
    let mut known = daemon::arrivals(&dir).len();
    // Piece by piece, so that not everything is one commit in one segment.
    for piece in arrivals.chunks(50) {
        for arrival in piece {
            daemon.send(arrival.clone()).await;
        }
        known += piece.len();
        daemon.until("the journal", || daemon::arrivals(&dir).len() >= known).await;
    }
    daemon.end().await.unwrap();
}

/// Returns the incidents that a replay of a journal makes, by name.
fn of_a_replay(dir: &Path) -> BTreeMap<String, Incident> {
    let (effects, _) = play(&daemon::arrivals(dir), None);
    let states = effects.into_iter().map(|effect| {
        let EffectKind::Incident { incident, .. } = effect.kind;
        (incident.id.to_string(), incident)
    });
    states.collect()
}

fn by_name(incidents: Vec<Incident>) -> BTreeMap<String, Incident> {
    incidents.into_iter().map(|incident| (incident.id.to_string(), incident)).collect()
}

#[tokio::test]
async fn a_memory_of_another_version_is_made_again_from_the_journal() {
    let home = tempfile::tempdir().unwrap();
    let settings = daemon::settings(home.path());
    let script = stream::stream(3, 400);
    over(&settings, &script[..300]).await;
    let mut store = Store::open(&settings.store.path).unwrap();
    assert_eq!(store.latest_snapshot().unwrap().unwrap().n, 300, "the memory is saved at the end");
    store.save_snapshot(300, "", 99, b"what a later version remembers").unwrap();
    let told = store.backlog().unwrap();
    drop(store);
    over(&settings, &[]).await;
    assert_eq!(Store::read(&settings.store.path).unwrap().backlog().unwrap(), told, "nobody is told again");
    over(&settings, &script[300..]).await;
    assert_eq!(by_name(daemon::incidents(&settings)), of_a_replay(&settings.journal.dir));
}

#[tokio::test]
async fn a_lost_journal_is_begun_again_above_the_numbers_already_used() {
    let home = tempfile::tempdir().unwrap();
    let settings = daemon::settings(home.path());
    over(&settings, &stream::stream(3, 200)).await;
    let before = daemon::incidents(&settings);
    std::fs::remove_dir_all(&settings.journal.dir).unwrap();
    over(&settings, &[daemon::garbage(900_000, "binance/carol")]).await;
    assert_eq!(daemon::arrivals(&settings.journal.dir).iter().map(|arrival| arrival.n).collect::<Vec<_>>(), [201]);
    let after = daemon::incidents(&settings);
    let new: Vec<_> = after.iter().filter(|one| before.iter().all(|known| known.id != one.id)).collect();
    assert_eq!(new.len(), 1);
    assert_eq!(new[0].id.as_str(), "binance-carol-201");
    // The accounts' memory came from the snapshot: what was open was closed by the time that had passed.
    assert!(before.iter().any(|one| one.closed.is_none()));
    assert!(after.iter().all(|one| one.closed.is_some() || one.id == new[0].id));
}

#[tokio::test]
async fn a_damaged_or_missing_part_of_the_journal_is_passed_over_and_watching_goes_on() {
    let home = tempfile::tempdir().unwrap();
    let settings = daemon::settings(home.path());
    over(&settings, &stream::stream(3, 400)).await;
    let mut segments = fillguard::journal::segments(&settings.journal.dir).unwrap();
    assert!(segments.len() > 5, "{segments:?}");
    std::fs::remove_file(&segments[0].path).unwrap();
    std::fs::write(&segments[2].path, "not what was written").unwrap();
    std::fs::remove_file(&segments[4].path).unwrap();
    let mut store = Store::open(&settings.store.path).unwrap();
    for n in 398..=400 {
        store.save_snapshot(n, "", 99, b"nothing that fits").unwrap();
    }
    drop(store);
    let daemon = Daemon::start(settings.clone()).await;
    // Pairs known from what could be read.
    assert!(!daemon.pairs.borrow().is_empty());
    daemon.send(daemon::garbage(900_000, "binance/carol")).await;
    daemon
        .until("the incident", || daemon::incidents(&settings).iter().any(|one| one.id.as_str() == "binance-carol-401"))
        .await;
    daemon.end().await.unwrap();
    segments = fillguard::journal::segments(&settings.journal.dir).unwrap();
    assert!(std::fs::read(&segments[1].path).unwrap() == b"not what was written", "what is damaged is left as it is");
}

#[tokio::test]
async fn a_long_journal_without_a_snapshot_is_read_again_only_at_its_end() {
    let home = tempfile::tempdir().unwrap();
    let mut settings = daemon::settings(home.path());
    over(&settings, &stream::stream(3, 400)).await;
    let mut store = Store::open(&settings.store.path).unwrap();
    for n in 398..=400 {
        store.save_snapshot(n, "", 99, b"nothing that fits").unwrap();
    }
    drop(store);
    settings.reread_bytes = 4_096;
    over(&settings, &[daemon::garbage(900_000, "binance/carol")]).await;
    let snapshot = Store::read(&settings.store.path).unwrap().latest_snapshot().unwrap().unwrap();
    let counted = Pipeline::resume(Settings::default(), &snapshot.bytes).unwrap().counts();
    assert_eq!(counted.last, 401);
    assert!((50..300).contains(&counted.arrivals), "{counted:?}");
}

#[tokio::test]
async fn an_account_known_from_before_is_blind_since_the_last_arrival_until_the_gap_is_verified() {
    for verified in [true, false] {
        let home = tempfile::tempdir().unwrap();
        let mut settings = daemon::settings(home.path());
        settings.feed.accounts = vec![daemon::account("binance/alice"), daemon::account("binance/new")];
        let up = |seconds| daemon::incoming(seconds, "binance/alice", Body::LinkUp);
        let filled = |since, until, verified| {
            let body = Body::Filled { since: daemon::at(since), until: daemon::at(until), verified };
            daemon::incoming(until, "binance/alice/rest", body)
        };
        over(&settings, &[up(0), filled(-60, 0, true)]).await;
        let daemon = Daemon::start(settings.clone()).await;
        let known: Vec<_> = daemon.feed.accounts.iter().map(|account| account.known_until).collect();
        assert_eq!(known, [Some(daemon::at(0)), None]);
        let absences: Vec<_> = daemon::arrivals(&daemon.journal()).split_off(2);
        assert_eq!(absences.len(), 1);
        assert!(matches!(&absences[0].body, Body::LinkDown { why } if why == "fillguard was not running"));
        assert_eq!((absences[0].at, absences[0].from.to_string()), (daemon::at(0), "binance/alice".to_owned()));
        daemon.send(up(100)).await;
        daemon.send(filled(-60, 101, verified)).await;
        daemon.send(daemon::incoming(400, "clock", Body::Tick)).await;
        let dir = daemon.journal();
        daemon.until("the journal", || daemon::arrivals(&dir).len() == 6).await;
        daemon.end().await.unwrap();
        let told: Vec<_> = daemon::incidents(&settings).iter().map(|incident| incident.opened).collect();
        assert_eq!(told, if verified { vec![] } else { vec![daemon::at(101)] });
    }
}

#[tokio::test]
async fn an_account_that_was_blind_when_the_daemon_ended_is_asked_for_from_then_on() {
    let home = tempfile::tempdir().unwrap();
    let mut settings = daemon::settings(home.path());
    settings.feed.accounts = vec![daemon::account("binance/alice")];
    let down = Body::LinkDown { why: "the connection was closed".into() };
    let script = [
        daemon::incoming(0, "binance/alice", Body::LinkUp),
        daemon::incoming(10, "binance/alice", down),
        daemon::incoming(300, "clock", Body::Tick),
    ];
    over(&settings, &script).await;
    let daemon = Daemon::start(settings.clone()).await;
    assert_eq!(daemon.feed.accounts[0].known_until, Some(daemon::at(10)));
    daemon.end().await.unwrap();
}
