//! The store: effects taken once, whatever dies and whenever.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by panicking and says why it is skipped")]

#[path = "support/story.rs"]
mod story;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use fillguard::domain::{Effect, Level, Timestamp};
use fillguard::store::{ChannelRoute, Error, Filter, Handle, Snapshot, Store, Taken};
use rusqlite::Connection;
use story::{account, at, effect, id};

fn routes() -> Vec<ChannelRoute> {
    let route = |name: &str, min_level| ChannelRoute { name: name.to_owned(), min_level, ..ChannelRoute::default() };
    vec![route("mail", Level::Alert), route("chat", Level::Act)]
}

fn count(path: &Path, query: &str) -> i64 {
    Connection::open(path).unwrap().query_row(query, [], |row| row.get(0)).unwrap()
}

#[test]
fn an_effect_is_taken_once_also_after_reopening() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("a.db");
    let effects = [effect(5, &id(5), Level::Act, "first"), effect(6, &id(6), Level::Act, "second")];
    let mut store = Store::open(&path).unwrap();
    assert_eq!(store.take(&effects[..1], &routes()).unwrap(), Taken { new: 1, repeated: 0, queued: 2 });
    assert_eq!(store.take(&effects, &routes()).unwrap(), Taken { new: 1, repeated: 1, queued: 2 });
    drop(store);
    let mut store = Store::open(&path).unwrap();
    assert_eq!(store.take(&effects, &routes()).unwrap(), Taken { new: 0, repeated: 2, queued: 0 });
    assert_eq!(store.highest().unwrap(), 6);
    assert_eq!(store.due("mail", at(60), 10).unwrap().len(), 2);
    assert_eq!(store.history(&id(5)).unwrap().len(), 1);
}

#[test]
fn an_incident_reads_back_as_it_was_written_and_its_history_in_order() {
    let mut store = Store::in_memory().unwrap();
    let (first, second) = (effect(1, &id(1), Level::Alert, "opened"), effect(2, &id(1), Level::Act, ""));
    store.take(&[first, second], &routes()).unwrap();
    assert_eq!(store.incident(&id(1)).unwrap(), Some(story::incident(&id(1), Level::Act, 2)));
    let history = store.history(&id(1)).unwrap();
    assert_eq!(history.iter().map(|step| step.n).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(history[0].message.as_ref().unwrap().headline, "opened");
    assert_eq!(history[1].message, None);
    assert_eq!(store.incident(&id(9)).unwrap(), None);
}

#[test]
fn incidents_are_found_by_account_level_state_and_time() {
    let mut store = Store::in_memory().unwrap();
    store.take(&[effect(1, &id(1), Level::Notice, ""), effect(2, &id(2), Level::Act, "")], &[]).unwrap();
    let found = |filter: Filter| store.incidents(&filter).unwrap().len();
    assert_eq!(found(Filter::default()), 2);
    assert_eq!(found(Filter { min_level: Some(Level::Alert), ..Filter::default() }), 1);
    assert_eq!(found(Filter { account: Some(account()), open: Some(true), ..Filter::default() }), 2);
    assert_eq!(found(Filter { open: Some(false), ..Filter::default() }), 0);
    assert_eq!(found(Filter { since: Some(at(1)), ..Filter::default() }), 0);
    assert_eq!(found(Filter { until: Some(at(1)), limit: 1, ..Filter::default() }), 1);
}

#[test]
fn a_message_goes_to_the_channels_that_want_its_level_and_account() {
    let mut store = Store::in_memory().unwrap();
    let mut routes = routes();
    routes.push(ChannelRoute {
        name: "bob only".to_owned(),
        min_level: Level::Notice,
        accounts: Some(vec!["kucoin/bob".parse().unwrap()]),
        ..ChannelRoute::default()
    });
    store.take(&[effect(1, &id(1), Level::Alert, "an alert")], &routes).unwrap();
    let due = |channel: &str| store.due(channel, at(60), 10).unwrap().len();
    assert_eq!((due("mail"), due("chat"), due("bob only")), (1, 0, 0));
}

#[test]
fn a_newer_message_takes_the_place_of_one_that_still_waits() {
    let mut store = Store::in_memory().unwrap();
    let effects: Vec<Effect> = (1..=50).map(|n| effect(n, &id(1), Level::Alert, &format!("message {n}"))).collect();
    store.take(&effects, &routes()).unwrap();
    let due = store.due("mail", at(60), 100).unwrap();
    assert_eq!(due.len(), 1);
    assert_eq!((due[0].message.headline.as_str(), due[0].merged), ("message 50", 49));
    assert_eq!((due[0].first_at, due[0].at), (at(1), at(50)));
}

#[test]
fn a_message_that_is_being_sent_is_not_replaced_but_followed() {
    let mut store = Store::in_memory().unwrap();
    store.take(&[effect(1, &id(1), Level::Alert, "one")], &routes()).unwrap();
    let one = store.due("mail", at(60), 1).unwrap().remove(0);
    assert!(store.mark_sending(one.id, at(60)).unwrap());
    store.take(&[effect(2, &id(1), Level::Alert, "two")], &routes()).unwrap();
    store.mark_sent(one.id, at(61), "receipt one").unwrap();
    let two = store.due("mail", at(62), 1).unwrap().remove(0);
    assert_eq!(two.message.headline, "two");
    assert_eq!(two.previous.unwrap().receipt, "receipt one");
    assert!(!store.mark_sending(one.id, at(63)).unwrap(), "a sent row is not sent again");
}

#[test]
fn a_failed_message_gives_way_to_a_newer_one_that_came_meanwhile() {
    let mut store = Store::in_memory().unwrap();
    store.take(&[effect(1, &id(1), Level::Alert, "one")], &routes()).unwrap();
    let one = store.due("mail", at(60), 1).unwrap().remove(0);
    store.mark_sending(one.id, at(60)).unwrap();
    store.take(&[effect(2, &id(1), Level::Alert, "two")], &routes()).unwrap();
    store.mark_failed(one.id, at(90), true, "connection lost").unwrap();
    let due = store.due("mail", at(3_600), 10).unwrap();
    assert_eq!(due.iter().map(|queued| queued.message.headline.as_str()).collect::<Vec<_>>(), ["two"]);
}

#[test]
fn the_loudest_message_goes_first_and_a_failed_one_waits_its_time() {
    let mut store = Store::in_memory().unwrap();
    store.take(&[effect(1, &id(1), Level::Alert, "quiet"), effect(2, &id(2), Level::Act, "loud")], &routes()).unwrap();
    let due = store.due("mail", at(60), 10).unwrap();
    assert_eq!(due[0].message.headline, "loud");
    store.mark_sending(due[0].id, at(60)).unwrap();
    store.mark_failed(due[0].id, at(90), false, "451 later").unwrap();
    assert_eq!(store.due("mail", at(89), 10).unwrap().len(), 1);
    let again = store.due("mail", at(90), 10).unwrap().remove(0);
    assert_eq!((again.attempts, again.waited.secs_f64(), again.uncertain), (1, 30.0, false));
    assert_eq!(store.due("mail", at(59), 10).unwrap().len(), 2, "a clock set back holds nothing up");
}

#[test]
fn a_message_in_flight_when_the_process_died_is_sent_again_and_says_so() {
    let mut store = Store::in_memory().unwrap();
    store.take(&[effect(1, &id(1), Level::Act, "one")], &routes()).unwrap();
    let row = store.due("mail", at(60), 1).unwrap().remove(0).id;
    store.mark_sending(row, at(60)).unwrap();
    assert!(store.due("mail", at(60), 1).unwrap().is_empty());
    assert_eq!(store.in_flight_after_crash("mail").unwrap(), 1);
    let again = store.due("mail", at(60), 1).unwrap().remove(0);
    assert!(again.uncertain && again.id == row);
    assert_eq!(store.in_flight_after_crash("mail").unwrap(), 0);
}

#[test]
fn the_backlog_says_how_each_channel_stands() {
    let mut store = Store::in_memory().unwrap();
    let effects: Vec<Effect> = (1..=3).map(|n| effect(n, &id(n), Level::Alert, "hello")).collect();
    store.take(&effects, &routes()).unwrap();
    let rows: Vec<u64> = store.due("mail", at(60), 3).unwrap().iter().map(|queued| queued.id).collect();
    for row in &rows {
        store.mark_sending(*row, at(60)).unwrap();
    }
    store.mark_sent(rows[0], at(61), "receipt").unwrap();
    store.mark_given_up(rows[1], at(62), "550 no such mailbox").unwrap();
    let backlog = store.backlog().unwrap();
    assert_eq!(backlog.len(), 1);
    let mail = &backlog[0];
    assert_eq!((mail.waiting, mail.sent, mail.given_up, mail.oldest), (1, 1, 1, Some(at(3))));
    assert_eq!(mail.why.as_deref(), Some("550 no such mailbox"));
}

#[test]
fn the_last_three_snapshots_are_kept_and_names_below_them_forgotten_but_still_taken() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("a.db");
    let mut store = Store::open(&path).unwrap();
    let effects: Vec<Effect> = (1..=50).map(|n| effect(n, &id(n), Level::Alert, "")).collect();
    for (n, part) in (10..=50).step_by(10).zip(effects.chunks(10)) {
        store.take(part, &[]).unwrap();
        store.save_snapshot(n, "rules", 1, &vec![n as u8; 10_000]).unwrap();
    }
    assert_eq!(count(&path, "SELECT count(*) FROM snapshots"), 3);
    assert_eq!(count(&path, "SELECT count(*) FROM taken"), 21, "30 to 50");
    assert_eq!(store.take(&effects, &[]).unwrap(), Taken { new: 0, repeated: 50, queued: 0 });
    drop(store);
    let mut store = Store::open(&path).unwrap();
    assert_eq!(store.take(&effects, &[]).unwrap().new, 0);
    let snapshot = store.latest_snapshot().unwrap().unwrap();
    assert_eq!(snapshot, Snapshot { n: 50, rules_hash: "rules".to_owned(), version: 1, bytes: vec![50; 10_000] });
}

#[test]
fn a_damaged_snapshot_is_skipped_for_an_older_one() {
    for damage in [
        "UPDATE snapshots SET bytes = zeroblob(length(bytes)) WHERE n = 2",
        "UPDATE snapshots SET bytes = substr(bytes, 1, length(bytes) - 1) WHERE n = 2",
        "UPDATE snapshots SET length = 1099511627776 WHERE n = 2",
        "UPDATE snapshots SET rules_hash = 'other' WHERE n = 2",
        "UPDATE snapshots SET seal = 'not 32 bytes' WHERE n = 2",
    ] {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("a.db");
        let mut store = Store::open(&path).unwrap();
        store.save_snapshot(1, "rules", 1, b"the older memory").unwrap();
        store.save_snapshot(2, "rules", 1, b"the newer memory").unwrap();
        Connection::open(&path).unwrap().execute_batch(damage).unwrap();
        assert_eq!(store.latest_snapshot().unwrap().unwrap().bytes, b"the older memory", "{damage}");
        Connection::open(&path).unwrap().execute_batch(&damage.replace("n = 2", "n = 1")).unwrap();
        assert_eq!(store.latest_snapshot().unwrap(), None, "{damage}");
    }
}

#[test]
fn another_journal_starts_anew_without_losing_the_former_ones_incidents() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("a.db");
    let mut store = Store::open(&path).unwrap();
    assert!(store.follow("first").unwrap());
    store.take(&[effect(7, &id(7), Level::Alert, "of the first")], &routes()).unwrap();
    store.save_snapshot(9, "rules", 1, b"memory").unwrap();
    assert!(!store.follow("first").unwrap());
    assert!(store.follow("second").unwrap());
    assert_eq!(store.latest_snapshot().unwrap(), None);
    assert_eq!(store.take(&[effect(7, &id(7), Level::Act, "of the second")], &routes()).unwrap().new, 1);
    assert_eq!(store.incidents(&Filter::default()).unwrap().len(), 2);
    assert_eq!(store.incident(&id(7)).unwrap().unwrap().level, Level::Act);
    assert_eq!(store.history(&id(7)).unwrap().len(), 1);
}

#[test]
fn what_is_closed_and_sent_is_forgotten_and_what_is_open_stays() {
    let mut store = Store::in_memory().unwrap();
    let mut closed = effect(1, &id(1), Level::Alert, "closed");
    let fillguard::domain::EffectKind::Incident { incident, .. } = &mut closed.kind;
    incident.closed = Some(at(10));
    store.take(&[closed, effect(2, &id(2), Level::Alert, "open")], &routes()).unwrap();
    let rows = store.due("mail", at(60), 10).unwrap();
    store.mark_sending(rows[0].id, at(60)).unwrap();
    store.mark_sent(rows[0].id, at(61), "receipt").unwrap();
    assert_eq!(store.forget(at(1_000)).unwrap(), 1);
    assert_eq!(store.incidents(&Filter::default()).unwrap().len(), 1);
    assert!(store.history(&id(1)).unwrap().is_empty());
    assert_eq!(store.due("mail", at(60), 10).unwrap().len(), 1);
}

#[test]
fn a_reader_looks_while_the_writer_writes_and_may_not_write() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("a.db");
    assert!(matches!(Store::read(&path), Err(Error::Absent { .. })));
    let mut writer = Store::open(&path).unwrap();
    let mut reader = Store::read(&path).unwrap();
    writer.take(&[effect(1, &id(1), Level::Alert, "")], &[]).unwrap();
    assert_eq!(reader.incidents(&Filter::default()).unwrap().len(), 1);
    assert!(reader.take(&[effect(2, &id(2), Level::Alert, "")], &[]).is_err());
    assert!(matches!(Store::open(&path), Err(Error::InUse { .. })));
}

#[tokio::test]
async fn a_committed_message_wakes_who_waits_and_a_repeated_one_does_not() {
    let handle = Handle::new(Store::in_memory().unwrap(), routes());
    let mut commits = handle.commits();
    handle.take(vec![effect(1, &id(1), Level::Act, "one")]).await.unwrap();
    assert!(commits.has_changed().unwrap());
    commits.borrow_and_update();
    handle.take(vec![effect(1, &id(1), Level::Act, "one"), effect(2, &id(1), Level::Act, "")]).await.unwrap();
    assert!(!commits.has_changed().unwrap());
    let snapshot = Snapshot { n: 2, rules_hash: "rules".to_owned(), version: 3, bytes: vec![7; 100] };
    handle.save_snapshot(snapshot.clone()).await.unwrap();
    assert_eq!(handle.with(|store| store.latest_snapshot()).await.unwrap(), Some(snapshot));
}

const CHILD: &str = "FILLGUARD_STORE_TEST_CHILD";

/// What the child of the next test does until it is killed: batches of three effects, a snapshot now and then.
fn batches() -> impl Iterator<Item = [Effect; 3]> {
    (1..).map(|batch: u64| {
        [0, 1, 2].map(|place| {
            let n = batch * 3 + place;
            effect(n, &id(n % 40), Level::Act, &format!("message {n}"))
        })
    })
}

#[test]
fn a_killed_process_leaves_all_of_a_batch_or_nothing_and_the_rest_is_taken_after_it() {
    if let Ok(path) = std::env::var(CHILD) {
        let mut store = Store::open(Path::new(&path)).unwrap();
        for (batch, effects) in (1_u64..).zip(batches()) {
            store.take(&effects, &routes()).unwrap();
            if batch % 25 == 0 {
                store.save_snapshot(batch * 3 + 2, "rules", 1, &vec![1; 50_000]).unwrap();
            }
            eprintln!("took {batch}");
        }
    }
    for kill_after in [3, 40, 111] {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("a.db");
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--nocapture"])
            .arg("a_killed_process_leaves_all_of_a_batch_or_nothing_and_the_rest_is_taken_after_it")
            .env(CHILD, &path)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let said = lines.find(|line| line.as_ref().unwrap() == &format!("took {kill_after}"));
        said.expect("the child took batches").unwrap();
        child.kill().unwrap();
        child.wait().unwrap();

        let check = Connection::open(&path).unwrap();
        let whole: String = check.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(whole, "ok");
        drop(check);
        let steps = count(&path, "SELECT count(*) FROM history");
        assert!(steps % 3 == 0 && steps >= kill_after * 3, "{steps} steps after batch {kill_after}");

        let mut store = Store::open(&path).unwrap();
        let batches_before = steps / 3;
        let all: Vec<Effect> = batches().take(usize::try_from(batches_before).unwrap() + 10).flatten().collect();
        assert_eq!(store.take(&all, &routes()).unwrap().new, 30, "only what the killed process had not taken");
        assert_eq!(count(&path, "SELECT count(*) FROM history"), all.len() as i64);
        assert_eq!(count(&path, "SELECT count(DISTINCT name) FROM history"), all.len() as i64);
        // One row a channel and incident waits, and together they stand for every message.
        assert_eq!(
            count(&path, "SELECT sum(merged + 1) FROM outbox WHERE channel = 'mail' AND state = 'waiting'"),
            all.len() as i64
        );
        store.due("mail", Timestamp::from_nanos(i64::MAX), 100).unwrap();
    }
}
