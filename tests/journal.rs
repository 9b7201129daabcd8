//! The journal as the daemon uses it: written, crashed, opened again, read back, checked.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking and says why it skips"
)]

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Cursor};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use fillguard::arrival::{Arrival, Body, Incoming, Source};
use fillguard::cli::{Format, verify as cli};
use fillguard::domain::{Span, Timestamp};
use fillguard::journal::{
    Error, FaultKind, Header, Journal, ReadError, Reader, Recovery, Settings, read_from, run, segments, verify,
    write_recording,
};
use proptest::prelude::*;
use serde_json::value::RawValue;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

const NOW: Timestamp = Timestamp::from_millis(1_747_385_641_000);

fn settings(dir: &Path) -> Settings {
    Settings { dir: dir.join("journal"), keep_for: None, ..Settings::default() }
}

fn open(settings: &Settings) -> (Journal, Recovery) {
    Journal::open(settings.clone(), NOW).unwrap()
}

fn raw(json: &str) -> Box<RawValue> {
    RawValue::from_string(json.into()).unwrap()
}

fn frame(number: u64) -> Incoming {
    let body = Body::Frame(raw(&format!("{{\"e\":\"trade\",\"i\":{number}}}")));
    Incoming { at: NOW + Span::from_millis(number as i64), from: "binance/alice".parse().unwrap(), body }
}

/// Appends and commits `count` frames, one a commit.
fn commit(journal: &mut Journal, count: u64) {
    for _ in 0..count {
        let arrival = journal.append(frame(journal.last_n() + 1)).unwrap();
        journal.commit(arrival.at).unwrap();
    }
}

fn numbers(dir: &Path, from: u64) -> Vec<u64> {
    read_from(dir, from).unwrap().map(|arrival| arrival.unwrap().n).collect()
}

fn kinds(path: &Path) -> Vec<FaultKind> {
    verify(path).unwrap().faults.iter().map(|fault| fault.kind).collect()
}

fn told(files: &[PathBuf]) -> (u8, String) {
    let mut out = Vec::new();
    let code = cli::run(&cli::Args { files: files.to_vec(), format: Format::Text }, &mut out).unwrap();
    (code, String::from_utf8(out).unwrap())
}

fn paths(dir: &Path) -> Vec<PathBuf> {
    segments(dir).unwrap().into_iter().map(|segment| segment.path).collect()
}

/// A small sealed journal of one segment; returns its bytes.
fn small(dir: &Path) -> (PathBuf, Vec<u8>) {
    let settings = settings(dir);
    let (mut journal, _) = open(&settings);
    commit(&mut journal, 2);
    journal.append(frame(3)).unwrap();
    journal.append(Incoming { at: NOW, from: Source::Clock, body: Body::Text("é\n\"".into()) }).unwrap();
    journal.commit(NOW).unwrap();
    drop(journal);
    let path = paths(&settings.dir).remove(0);
    let bytes = fs::read(&path).unwrap();
    (path, bytes)
}

// -- what is written is what is read

fn any_json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("1.50".to_owned()),
        Just("-0e10".to_owned()),
        any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap()),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(" ,"))),
            (any::<String>(), inner)
                .prop_map(|(key, value)| { format!("{{ {}:{value}}}", serde_json::to_string(&key).unwrap()) }),
        ]
    })
}

fn any_body() -> impl Strategy<Value = Body> {
    prop_oneof![
        any_json().prop_map(|json| Body::Frame(raw(&json))),
        any::<String>().prop_map(Body::Text),
        prop::collection::vec(any::<char>(), 0..50).prop_map(|text| Body::Text(text.into_iter().collect())),
        prop::collection::vec(any::<u8>(), 0..50).prop_map(Body::Bytes),
        (any::<String>(), any_json()).prop_map(|(call, json)| Body::Page { call: call.into(), frame: raw(&json) }),
        Just(Body::LinkUp),
        any::<String>().prop_map(|why| Body::LinkDown { why: why.into() }),
        any::<(i64, i64, bool)>().prop_map(|(since, until, verified)| Body::Filled {
            since: Timestamp::from_nanos(since),
            until: Timestamp::from_nanos(until),
            verified,
        }),
        Just(Body::Tick),
    ]
}

fn any_source() -> impl Strategy<Value = Source> {
    let fixed = ["binance/alice", "kucoin/a@b+c/rest", "coinbase/market", "binance/market/rest", "access/gw", "clock"];
    prop::sample::select(fixed.to_vec()).prop_map(|text| text.parse().unwrap())
}

fn same(a: &Arrival, b: &Arrival) -> bool {
    // Arrivals hold raw JSON, which has no equality of its own; its text is what counts.
    format!("{a:?}") == format!("{b:?}")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_arrives_is_read_back_as_it_was(
        incoming in prop::collection::vec((any::<i64>(), any_source(), any_body()), 1..8),
        sealed in any::<bool>(),
        packed in any::<bool>(),
    ) {
        let arrivals: Vec<Arrival> = incoming
            .into_iter()
            .zip(1..)
            .map(|((at, from, body), n)| Incoming { at: Timestamp::from_nanos(at), from, body }.numbered(n))
            .collect();
        let mut out = Vec::new();
        let header = Header::recording(NOW).with_note("any");
        write_recording(&mut out, &header, arrivals.clone(), sealed).unwrap();
        if packed {
            out = zstd::encode_all(&out[..], 1).unwrap();
        }
        let mut reader = Reader::new(Cursor::new(out), "memory").unwrap();
        prop_assert_eq!(reader.header(), &header);
        let read: Vec<Arrival> = reader.by_ref().map(Result::unwrap).collect();
        prop_assert!(read.len() == arrivals.len() && read.iter().zip(&arrivals).all(|(a, b)| same(a, b)), "{:?}", read);
        prop_assert_eq!(reader.torn(), None);
    }
}

#[test]
fn the_documented_example_is_read_and_written_as_it_stands() {
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/replay-data/README.md")).unwrap();
    let example = readme.split("```json\n").nth(1).unwrap().split("```").next().unwrap();
    let mut reader = Reader::new(Cursor::new(example.to_owned()), "README.md").unwrap();
    let arrivals: Vec<Arrival> =
        reader.by_ref().map(|arrival| arrival.unwrap_or_else(|error| panic!("{error}"))).collect();
    let mut written = Vec::new();
    write_recording(&mut written, reader.header(), arrivals, false).unwrap();
    assert_eq!(String::from_utf8(written).unwrap(), example);
}

#[test]
fn a_frame_is_kept_byte_for_byte_and_its_secrets_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings(dir.path());
    let (mut journal, _) = open(&settings);
    let body = Body::Frame(raw(r#"{"p":1.500, "q" : 1e2,"listenKey":"pqia91ma19a5s61cv6a81va65sdf","u":"\u00e9"}"#));
    let passed_on = journal.append(Incoming { at: NOW, from: "kucoin/bob/rest".parse().unwrap(), body }).unwrap();
    journal.commit(NOW).unwrap();
    let expected = r#"{"p":1.500, "q" : 1e2,"listenKey":"<redacted>","u":"\u00e9"}"#;
    assert!(matches!(&passed_on.body, Body::Frame(frame) if frame.get() == expected));
    let file = fs::read_to_string(&paths(&settings.dir)[0]).unwrap();
    assert!(file.contains(expected) && !file.contains("pqia"), "{file}");
    let read = read_from(&settings.dir, 1).unwrap().next().unwrap().unwrap();
    assert!(same(&read, &passed_on), "a replay would see something else than the live run");
}

#[test]
fn a_source_that_would_not_read_back_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = open(&settings(dir.path()));
    let refused = journal.append(Incoming { at: NOW, from: Source::Access("a/b\"".into()), body: Body::Tick });
    assert!(matches!(refused, Err(Error::Source)));
    commit(&mut journal, 1);
    assert_eq!(journal.last_n(), 1);
}

// -- torn and altered

#[test]
fn a_file_torn_at_any_byte_keeps_every_record_before_it_and_goes_on() {
    let made = tempfile::tempdir().unwrap();
    let (path, bytes) = small(made.path());
    let name = path.file_name().unwrap();
    let ends: Vec<usize> = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1).collect();
    // Numbers of arrivals that are whole after each line: header, 1, seal, 2, seal, 3, 4, seal.
    let whole_after = [0, 1, 1, 2, 2, 3, 4, 4];
    assert_eq!(ends.len(), whole_after.len());
    let root = tempfile::tempdir().unwrap();
    for cut in 0..bytes.len() {
        let settings = Settings { dir: root.path().join(cut.to_string()), ..settings(root.path()) };
        fs::create_dir(&settings.dir).unwrap();
        let path = settings.dir.join(name);
        fs::write(&path, &bytes[..cut]).unwrap();
        let lines = ends.iter().filter(|end| **end <= cut).count();
        let whole = lines.checked_sub(1).map_or(0, |last| whole_after[last]);
        let at_line_end = ends.contains(&cut);
        // Read as it is.
        if lines > 0 {
            let mut reader = Reader::open(&path).unwrap();
            assert_eq!(
                reader.by_ref().map(|arrival| arrival.unwrap().n).collect::<Vec<_>>(),
                (1..=whole).collect::<Vec<_>>()
            );
            assert_eq!(reader.torn().is_some(), !at_line_end, "cut at {cut}");
            assert_eq!(reader.torn().map_or(whole, |torn| torn.last_n), whole);
        }
        // Said so by verify: right only where everything before the cut is sealed.
        let sealed = at_line_end && matches!(lines, 1 | 3 | 5);
        assert_eq!(kinds(&path).is_empty(), sealed, "cut at {cut}: {:?}", verify(&path).unwrap().faults);
        // Written on.
        let (mut journal, recovery) = open(&settings);
        assert_eq!(recovery.last_n, whole, "cut at {cut}");
        assert_eq!(recovery.torn.is_some(), !at_line_end, "cut at {cut}: {recovery:?}");
        assert_eq!(recovery.damage, None);
        if let Some((torn, aside)) = &recovery.torn {
            assert_eq!(torn.bytes as usize, cut - ends.iter().rfind(|end| **end <= cut).unwrap_or(&0));
            assert_eq!(fs::read(aside).unwrap(), &bytes[cut - torn.bytes as usize..cut]);
        }
        commit(&mut journal, 1);
        drop(journal);
        assert_eq!(numbers(&settings.dir, 1), (1..=whole + 1).collect::<Vec<_>>(), "cut at {cut}");
        assert_eq!(told(&paths(&settings.dir)).0, 0, "cut at {cut}: {}", told(&paths(&settings.dir)).1);
    }
}

#[test]
fn every_altered_byte_of_a_sealed_file_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let (path, bytes) = small(dir.path());
    assert!(kinds(&path).is_empty());
    let other = dir.path().join("altered.ndjson");
    for at in 0..bytes.len() {
        for put in [bytes[at] ^ 1, bytes[at] ^ 0x20, b' ', b'\n', b'9', 0xff, 0] {
            if put == bytes[at] {
                continue;
            }
            let mut altered = bytes.clone();
            altered[at] = put;
            fs::write(&other, &altered).unwrap();
            assert!(!kinds(&other).is_empty(), "byte {at} altered from {:?} to {put:?}", bytes[at]);
        }
        let mut less = bytes.clone();
        less.remove(at);
        fs::write(&other, &less).unwrap();
        assert!(!kinds(&other).is_empty(), "byte {at} removed");
    }
}

#[test]
fn an_alteration_that_stays_readable_is_placed_between_two_seals() {
    let dir = tempfile::tempdir().unwrap();
    let (path, bytes) = small(dir.path());
    let text = String::from_utf8(bytes).unwrap().replace("\"i\":2}", "\"i\":7}");
    fs::write(&path, text).unwrap();
    let report = verify(&path).unwrap();
    assert_eq!((report.seals, report.sealed_n, report.arrivals), (1, Some(1), 4));
    assert_eq!(report.faults.len(), 1);
    let fault = &report.faults[0];
    assert_eq!((fault.kind, fault.line), (FaultKind::Altered, 5));
    assert!(fault.what.contains("something from line 4 (byte 236) up to here was altered"), "{}", fault.what);
}

#[test]
fn arrivals_after_the_last_seal_are_not_sealed() {
    let dir = tempfile::tempdir().unwrap();
    let (path, mut bytes) = small(dir.path());
    bytes.extend_from_slice(b"{\"n\":5,\"at\":1,\"from\":\"clock\",\"tick\":true}\n");
    fs::write(&path, bytes).unwrap();
    assert_eq!(kinds(&path), [FaultKind::NotSealed]);
    let (mut journal, recovery) = open(&settings(dir.path()));
    assert_eq!((recovery.last_n, recovery.unsealed, recovery.torn), (5, 1, None));
    assert!(kinds(&path).is_empty(), "they are sealed by opening");
    commit(&mut journal, 1);
    assert!(kinds(&path).is_empty());
}

#[test]
fn a_commit_of_which_only_the_seal_reached_the_disk_is_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    let (path, mut bytes) = small(dir.path());
    // The last commit's first line as a disk may leave it: the length is there, the bytes are not.
    let begin = bytes.windows(6).position(|window| window == b"{\"n\":3").unwrap();
    bytes[begin..begin + 40].fill(0);
    fs::write(&path, bytes).unwrap();
    let (mut journal, recovery) = open(&settings(dir.path()));
    assert_eq!((recovery.damage, recovery.torn.map(|(torn, _)| torn.last_n)), (None, Some(2)));
    // Its numbers can be read, so they are not given out again: something may have been made of them.
    assert_eq!(recovery.last_n, 4);
    commit(&mut journal, 1);
    drop(journal);
    assert_eq!(numbers(&settings(dir.path()).dir, 1), [1, 2, 5]);
    let (code, text) = told(&[settings(dir.path()).dir]);
    assert!(code == 0 && text.contains("n=3 to n=4 were skipped on purpose"), "{text}");
}

#[test]
fn a_segment_altered_in_its_sealed_part_is_left_as_it_is_and_a_new_one_continues_it() {
    let dir = tempfile::tempdir().unwrap();
    let (path, bytes) = small(dir.path());
    let altered = String::from_utf8(bytes).unwrap().replace("\"i\":1}", "\"i\":8}");
    fs::write(&path, &altered).unwrap();
    let settings = settings(dir.path());
    let (mut journal, recovery) = open(&settings);
    let damage = recovery.damage.unwrap();
    assert!(damage.path == path && damage.what.starts_with("line 3 (byte "), "{damage:?}");
    assert_eq!((recovery.last_n, recovery.torn), (4, None));
    commit(&mut journal, 2);
    drop(journal);
    let (code, text) = told(&paths(&settings.dir));
    assert_eq!(code, 1);
    assert!(
        text.contains("continues the file before it") && text.ends_with("2 files, 6 arrivals: 1 with faults\n"),
        "{text}"
    );
}

#[test]
fn a_journal_of_a_newer_fillguard_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (path, bytes) = small(dir.path());
    let newer = String::from_utf8(bytes).unwrap().replacen("\"fillguard\":1", "\"fillguard\":2", 1);
    fs::write(&path, &newer).unwrap();
    let refused = Journal::open(settings(dir.path()), NOW).err().unwrap().to_string();
    assert!(refused.contains("a recording of format 2, and this fillguard reads format 1"), "{refused}");
    assert_eq!(fs::read_to_string(&path).unwrap(), newer);
}

#[test]
fn a_compressed_last_segment_that_cannot_be_read_is_not_written_over() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings { segment_bytes: 1, ..settings(dir.path()) };
    let (mut journal, _) = open(&settings);
    commit(&mut journal, 3);
    drop(journal);
    let left = segments(&settings.dir).unwrap();
    for segment in left.iter().skip(3) {
        fs::remove_file(&segment.path).unwrap();
    }
    assert!(left[2].compressed, "{left:?}");
    let half = fs::read(&left[2].path).unwrap()[..20].to_vec();
    fs::write(&left[2].path, &half).unwrap();
    let (mut journal, recovery) = open(&settings);
    assert!(recovery.damage.is_some() && recovery.last_n == 3, "{recovery:?}");
    commit(&mut journal, 2);
    drop(journal);
    assert_eq!(fs::read(&left[2].path).unwrap(), half);
    assert_eq!(numbers(&settings.dir, 4), [4, 5]);
}

// -- segments

#[test]
fn closed_segments_are_compressed_chained_and_private() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings { segment_bytes: 1_000, ..settings(dir.path()) };
    let (mut journal, _) = open(&settings);
    commit(&mut journal, 20);
    drop(journal);
    // Opening tidies what was left undone when the last one closed.
    drop(open(&settings));
    let found = segments(&settings.dir).unwrap();
    assert!(found.len() > 3);
    let (last, closed) = found.split_last().unwrap();
    assert!(!last.compressed && closed.iter().all(|segment| segment.compressed), "{found:?}");
    for entry in fs::read_dir(&settings.dir).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.path());
        assert!(!entry.file_name().to_str().unwrap().ends_with(".part"));
    }
    assert_eq!(fs::metadata(&settings.dir).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(numbers(&settings.dir, 1), (1..=20).collect::<Vec<_>>());
    assert_eq!(numbers(&settings.dir, 13), (13..=20).collect::<Vec<_>>());
    assert_eq!(numbers(&settings.dir, 21), [0; 0]);
    let (code, text) = told(std::slice::from_ref(&settings.dir));
    assert!(code == 0 && text.ends_with("20 arrivals: nothing wrong\n"), "{text}");

    let mut files = paths(&settings.dir);
    let gone = files.remove(1);
    let (code, text) = told(&files);
    assert!(code == 1 && text.contains("it does not continue journal-000000000001.ndjson.zst"), "{text}");
    fs::remove_file(gone).unwrap();
    let error = read_from(&settings.dir, 1).unwrap().find_map(Result::err).unwrap();
    assert!(matches!(error, ReadError::Chain { .. }), "{error}");
}

#[test]
fn a_truncated_compressed_segment_is_torn_and_never_more_than_that() {
    let dir = tempfile::tempdir().unwrap();
    let (_, bytes) = small(dir.path());
    let packed = zstd::encode_all(&bytes[..], 3).unwrap();
    // Named as if it were plain: what counts is what it begins with.
    let path = dir.path().join("cut.ndjson");
    for cut in 4..packed.len() {
        fs::write(&path, &packed[..cut]).unwrap();
        assert!(kinds(&path).contains(&FaultKind::Torn), "cut at {cut}: {:?}", verify(&path).unwrap().faults);
        if let Ok(mut reader) = Reader::open(&path) {
            assert!(reader.by_ref().all(|arrival| arrival.is_ok()) && reader.torn().is_some_and(|torn| torn.cut));
        }
    }
    fs::write(&path, &packed).unwrap();
    assert!(kinds(&path).is_empty() && verify(&path).unwrap().compressed);
}

#[test]
fn old_segments_are_dropped_by_age_and_by_bytes_but_never_the_last_two() {
    for (keep_for, keep_bytes) in [(Some(Span::from_secs(86_400)), None), (None, Some(1))] {
        let dir = tempfile::tempdir().unwrap();
        let settings = Settings { segment_bytes: 1, keep_for, keep_bytes, ..settings(dir.path()) };
        let (mut journal, _) = Journal::open(settings.clone(), NOW).unwrap();
        for day in 0..5 {
            journal.append(frame(day + 1)).unwrap();
            journal.commit(NOW + Span::from_secs(86_400 * day as i64)).unwrap();
        }
        drop(journal);
        let later = NOW + Span::from_secs(86_400 * 30);
        drop(Journal::open(settings.clone(), later).unwrap());
        let left: Vec<u64> = segments(&settings.dir).unwrap().iter().map(|segment| segment.first).collect();
        assert_eq!(left, [5, 6]);
        let error = read_from(&settings.dir, 4).err().unwrap();
        assert!(matches!(error, ReadError::Dropped { wanted: 4, oldest: 5, .. }));
        let (mut journal, recovery) = Journal::open(settings.clone(), later).unwrap();
        assert_eq!(recovery.last_n, 5);
        commit(&mut journal, 1);
        drop(journal);
        let (code, text) = told(std::slice::from_ref(&settings.dir));
        assert!(code == 0 && text.contains("continues a segment that was not given"), "{text}");
    }
}

#[test]
fn what_is_young_enough_and_small_enough_stays() {
    let dir = tempfile::tempdir().unwrap();
    let keep_for = Some(Span::from_secs(86_400));
    let settings = Settings { segment_bytes: 1, keep_for, keep_bytes: Some(1 << 20), ..settings(dir.path()) };
    let (mut journal, _) = open(&settings);
    commit(&mut journal, 5);
    drop(journal);
    assert_eq!(numbers(&settings.dir, 1), [1, 2, 3, 4, 5]);
}

#[test]
fn a_second_process_is_kept_out() {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings(dir.path());
    let first = open(&settings);
    let refused = Journal::open(settings.clone(), NOW).err().unwrap();
    assert!(matches!(refused, Error::Locked { .. }), "{refused}");
    // Somebody tidied up.
    fs::remove_file(settings.dir.join("journal.lock")).unwrap();
    let refused = Journal::open(settings.clone(), NOW).err().unwrap();
    assert!(matches!(refused, Error::Locked { .. }), "{refused}");
    drop(first);
    open(&settings);
}

#[test]
fn numbers_can_be_made_to_begin_above_those_already_used() {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings(dir.path());
    let (mut journal, _) = open(&settings);
    commit(&mut journal, 2);
    journal.number_after(500, NOW).unwrap();
    journal.number_after(3, NOW).unwrap();
    commit(&mut journal, 1);
    drop(journal);
    assert_eq!(numbers(&settings.dir, 1), [1, 2, 501]);
    assert_eq!(open(&settings).1.last_n, 501);
    let (code, text) = told(std::slice::from_ref(&settings.dir));
    assert!(code == 0 && text.contains("n=3 to n=500 were skipped on purpose"), "{text}");
}

#[test]
fn a_journal_that_is_quite_new_can_begin_above_numbers_already_used() {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings(dir.path());
    let (mut journal, _) = open(&settings);
    journal.number_after(500, NOW).unwrap();
    commit(&mut journal, 1);
    drop(journal);
    assert_eq!(numbers(&settings.dir, 501), [501]);
    assert_eq!(open(&settings).1.last_n, 501);
    let (code, text) = told(std::slice::from_ref(&settings.dir));
    assert!(code == 0, "{text}");
}

// -- the stage

#[tokio::test]
async fn what_is_passed_on_is_on_disk_and_the_rest_is_passed_on_at_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings(dir.path());
    let (journal, _) = open(&settings);
    let (feed, inbox) = mpsc::channel(8);
    let (outbox, mut pipeline) = mpsc::channel(1);
    let stop = CancellationToken::new();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(run(journal, inbox, outbox, stop.clone()));
    feed.send(frame(1)).await.unwrap();
    let first = pipeline.recv().await.unwrap();
    assert_eq!(numbers(&settings.dir, 1), [1]);
    assert_eq!(first[0].n, 1);
    for number in 2..=8 {
        feed.send(frame(number)).await.unwrap();
    }
    stop.cancel();
    let mut passed_on = 1;
    while let Some(group) = pipeline.recv().await {
        passed_on += group.len();
    }
    tasks.join_next().await.unwrap().unwrap().unwrap();
    assert_eq!(passed_on, 8);
    assert_eq!(numbers(&settings.dir, 1), (1..=8).collect::<Vec<_>>());
    assert!(feed.send(frame(9)).await.is_err(), "it still took arrivals after it had ended");
}

#[tokio::test]
async fn the_stage_ends_when_the_inbox_closes_and_fails_when_nobody_listens() {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings(dir.path());
    let (feed, inbox) = mpsc::channel(8);
    let (outbox, mut pipeline) = mpsc::channel(8);
    feed.send(frame(1)).await.unwrap();
    drop(feed);
    run(open(&settings).0, inbox, outbox, CancellationToken::new()).await.unwrap();
    assert_eq!(pipeline.recv().await.unwrap().len(), 1);

    let (feed, inbox) = mpsc::channel(8);
    let (outbox, pipeline) = mpsc::channel(8);
    drop(pipeline);
    feed.send(frame(2)).await.unwrap();
    let ended = run(open(&settings).0, inbox, outbox, CancellationToken::new()).await;
    assert!(matches!(ended, Err(Error::Unheard)));
    assert_eq!(numbers(&settings.dir, 1), [1, 2], "it was durable before it could not be passed on");
}

// -- killed

/// Not a test of its own: writes until it is killed, and says after each group what was passed on.
#[test]
fn a_writer_for_the_crash_test() {
    let (Ok(dir), Ok(life)) = (std::env::var("JOURNAL_CRASH_DIR"), std::env::var("JOURNAL_CRASH_LIFE")) else { return };
    let settings = Settings { dir: dir.into(), segment_bytes: 20_000, keep_for: None, ..Settings::default() };
    let (journal, recovery) = open(&settings);
    println!("open {} {}", recovery.last_n, recovery.torn.is_some());
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(async {
        let (feed, inbox) = mpsc::channel(64);
        let (outbox, mut pipeline) = mpsc::channel(4);
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(async move { run(journal, inbox, outbox, CancellationToken::new()).await.unwrap() });
        tasks.spawn(async move {
            for number in 0_u64.. {
                let body = Body::Text(format!("{life}-{number} {}", "x".repeat((number % 700) as usize)));
                if feed.send(Incoming { at: NOW, from: Source::Clock, body }).await.is_err() {
                    break;
                }
            }
        });
        while let Some(group) = pipeline.recv().await {
            for arrival in group {
                let Body::Text(text) = arrival.body else { panic!("not what was sent") };
                println!("ack {} {}", arrival.n, text.split(' ').next().unwrap());
            }
        }
    });
}

#[test]
fn whatever_was_passed_on_before_a_kill_is_there_once() {
    let dir = tempfile::tempdir().unwrap();
    let journal = dir.path().join("journal");
    let mut acknowledged = BTreeMap::new();
    let mut torn = 0;
    // A fixed sequence of how much each life may say before it is killed.
    let mut seed = 0x9e37_79b9_u64;
    for life in 0..24 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let lines = 2 + ((seed >> 33) % 400) as usize;
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "a_writer_for_the_crash_test", "--nocapture"])
            .env("JOURNAL_CRASH_DIR", &journal)
            .env("JOURNAL_CRASH_LIFE", life.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
        for line in said.by_ref().map_while(Result::ok).take(lines) {
            match line.split(' ').collect::<Vec<_>>().as_slice() {
                ["ack", n, what] => drop(acknowledged.insert(n.parse::<u64>().unwrap(), (*what).to_owned())),
                [.., "open", _, was_torn] => torn += u32::from(*was_torn == "true"),
                _ => {}
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        drop(said);
    }
    let mut held = BTreeMap::new();
    let mut twice = BTreeMap::new();
    for arrival in read_from(&journal, 1).unwrap_or_else(|error| panic!("{error}")) {
        let arrival = arrival.unwrap_or_else(|error| panic!("{error}"));
        let Body::Text(text) = arrival.body else { continue };
        let what = text.split(' ').next().unwrap().to_owned();
        assert_eq!(twice.insert(what.clone(), arrival.n), None, "{what} is there twice");
        held.insert(arrival.n, what);
    }
    println!("{} acknowledged, {} held, {torn} torn ends", acknowledged.len(), held.len());
    assert!(acknowledged.len() > 1_000, "too little was written to show anything");
    for (n, what) in &acknowledged {
        assert_eq!(held.get(n), Some(what), "arrival {n} was passed on and is not there");
    }
    // The last life may have left an unfinished end, which the next start cuts off or seals.
    let (mut last, _) = Journal::open(Settings { dir: journal.clone(), ..settings(dir.path()) }, NOW).unwrap();
    commit(&mut last, 1);
    drop(last);
    let (code, text) = told(&[journal]);
    assert_eq!(code, 0, "{text}");
}

// -- full

/// Not a test of its own: runs where `JOURNAL_SMALL_DISK` is a file system of 256 KiB.
#[test]
fn a_journal_on_a_small_disk() {
    let Ok(disk) = std::env::var("JOURNAL_SMALL_DISK") else { return };
    let disk = Path::new(&disk);
    let ballast = disk.join("ballast");
    let fill = || {
        let mut file = fs::File::create(&ballast).unwrap();
        while std::io::Write::write_all(&mut file, &[0; 4096]).is_ok() {}
    };
    let page = || {
        let body = Body::Text("x".repeat(30_000));
        Incoming { at: NOW, from: Source::Clock, body }
    };
    let settings = settings(disk);
    let (mut journal, _) = open(&settings);
    commit(&mut journal, 1);
    fill();
    journal.append(page()).unwrap();
    for _ in 0..2 {
        assert!(journal.commit(NOW).unwrap_err().is_full_disk());
        assert_eq!(numbers(&settings.dir, 1), [1], "half a commit was left behind");
    }
    journal.append(frame(3)).unwrap();
    fs::remove_file(&ballast).unwrap();
    journal.commit(NOW).unwrap();
    assert_eq!(numbers(&settings.dir, 1), [1, 2, 3]);
    drop(journal);

    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        for (wait, gives_up) in [(Duration::from_secs(60), false), (Duration::ZERO, true)] {
            fill();
            let (journal, _) = open(&Settings { full_disk_wait: wait, ..settings.clone() });
            let (feed, inbox) = mpsc::channel(8);
            let (outbox, mut pipeline) = mpsc::channel(8);
            feed.send(page()).await.unwrap();
            let stage = run(journal, inbox, outbox, CancellationToken::new());
            tokio::pin!(stage);
            let first = tokio::time::timeout(Duration::from_millis(700), &mut stage).await;
            assert!(pipeline.try_recv().is_err(), "passed on although it was not written");
            fs::remove_file(&ballast).unwrap();
            if gives_up {
                assert!(first.unwrap().unwrap_err().is_full_disk());
            } else {
                assert!(first.is_err(), "gave up on a full disk");
                drop(feed);
                stage.await.unwrap();
                assert_eq!(pipeline.recv().await.unwrap()[0].n, 4);
            }
        }
    });
    let (code, text) = told(&[settings.dir]);
    assert_eq!(code, 0, "{text}");
    println!("small disk: done");
}

#[test]
fn a_full_disk_is_waited_for_and_nothing_unwritten_is_passed_on() {
    let dir = tempfile::tempdir().unwrap();
    let script = "mount -t tmpfs -o size=256k none \"$1\" && \
                  JOURNAL_SMALL_DISK=$1 exec \"$2\" --exact a_journal_on_a_small_disk --nocapture";
    let ran = Command::new("unshare")
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
