//! Recordings and the verdicts written beside them, replayed by the program as its user runs it.
//!
//! `FILLGUARD_WRITE_REPLAY_DATA=1 cargo test --test replay` writes both anew.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test: its steps may fail")]

#[path = "support/spelling.rs"]
mod spelling;
#[path = "support/stories.rs"]
mod stories;
#[path = "support/tale.rs"]
mod tale;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use assert_cmd::Command;
use serde_json::Value;
use tempfile::TempDir;

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("replay-data")
}

fn writing() -> bool {
    std::env::var_os("FILLGUARD_WRITE_REPLAY_DATA").is_some_and(|value| value == "1")
}

fn fillguard(args: &[&str]) -> Output {
    Command::cargo_bin("fillguard").unwrap().args(args).env("NO_COLOR", "1").output().unwrap()
}

fn replay(path: &Path) -> Output {
    fillguard(&["replay", "--format", "json", path.to_str().unwrap()])
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The recordings under `replay-data/`, by name.
fn recordings() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for venue in fs::read_dir(data()).unwrap().flatten().filter(|entry| entry.path().is_dir()) {
        let files = fs::read_dir(venue.path()).unwrap().flatten().map(|entry| entry.path());
        found.extend(files.filter(|path| path.extension().is_some_and(|end| end == "ndjson")));
    }
    found.sort();
    found
}

/// The lines in which two texts differ, as a person compares them.
fn difference(expected: &str, got: &str) -> String {
    let (expected, got): (Vec<&str>, Vec<&str>) = (expected.lines().collect(), got.lines().collect());
    let mut told = String::new();
    for place in 0..expected.len().max(got.len()) {
        let (old, new) = (expected.get(place), got.get(place));
        if old != new {
            told += &format!("  line {}\n", place + 1);
            old.iter().for_each(|line| told += &format!("  - {line}\n"));
            new.iter().for_each(|line| told += &format!("  + {line}\n"));
        }
    }
    told
}

fn recorded(name: &str) -> PathBuf {
    let path = data().join(format!("{name}.ndjson"));
    assert!(path.is_file(), "{} is not there: run with FILLGUARD_WRITE_REPLAY_DATA=1", path.display());
    path
}

#[test]
fn every_recording_gives_the_verdict_that_is_written_beside_it() {
    if writing() {
        for story in stories::all() {
            let path = data().join(format!("{}.ndjson", story.file));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, story.tale.recording(story.note)).unwrap();
        }
    }
    let mut wrong = String::new();
    let recordings = recordings();
    assert!(recordings.len() >= 16, "{} recordings", recordings.len());
    for path in recordings {
        let done = replay(&path);
        let (got, beside) = (text(&done.stdout), path.with_extension("expected"));
        assert!(done.status.success(), "{}: {}", path.display(), text(&done.stderr));
        if writing() {
            fs::write(&beside, &got).unwrap();
        }
        let expected = fs::read_to_string(&beside).unwrap_or_default();
        if expected != got {
            wrong += &format!("{}\n{}", path.display(), difference(&expected, &got));
        }
    }
    assert!(wrong.is_empty(), "verdicts differ (FILLGUARD_WRITE_REPLAY_DATA=1 writes them anew):\n{wrong}");
}

#[test]
fn every_recording_is_what_its_story_tells() {
    if writing() {
        return;
    }
    for story in stories::all() {
        let path = recorded(story.file);
        let told = story.tale.recording(story.note);
        let lines = told.lines().count();
        assert!((10..=420).contains(&lines), "{}: {lines} lines", story.file);
        assert!(fs::read_to_string(&path).unwrap() == told, "{} is not what its story tells now", story.file);
    }
    assert_eq!(stories::all().len(), recordings().len(), "a recording without a story, or a story without one");
}

#[test]
fn the_same_recording_prints_the_same_bytes_twice_plain_compressed_and_from_standard_input() {
    let path = recorded("binance/pump_of_a_new_pair");
    let (one, other) = (replay(&path), replay(&path));
    assert!(one.stdout == other.stdout && !one.stdout.is_empty());
    assert_eq!(
        fillguard(&["replay", path.to_str().unwrap()]).stdout,
        fillguard(&["replay", path.to_str().unwrap()]).stdout
    );
    let folder = TempDir::new().unwrap();
    let packed = folder.path().join("pump.ndjson.zst");
    fs::write(&packed, zstd::encode_all(fs::read(&path).unwrap().as_slice(), 3).unwrap()).unwrap();
    assert!(replay(&packed).stdout == one.stdout, "a compressed recording is the same recording");
    let piped = Command::cargo_bin("fillguard")
        .unwrap()
        .args(["replay", "--format", "json", "-"])
        .write_stdin(fs::read(&path).unwrap())
        .output()
        .unwrap();
    assert_eq!((text(&piped.stdout), piped.status.code()), (text(&one.stdout), Some(0)), "{}", text(&piped.stderr));
}

#[test]
fn text_for_people_says_who_what_and_how_much() {
    let done = fillguard(&["replay", recorded("binance/pump_of_a_new_pair").to_str().unwrap()]);
    let told = text(&done.stdout);
    for part in ["binance/alice", "APPC-BTC", "BTC lost so far", "delete the API key", "closed binance-alice-"] {
        assert!(told.contains(part), "{part} is not in:\n{told}");
    }
    assert!(!told.contains('\u{1b}'), "no colours where nobody asked for them");
    assert!(told.lines().last().unwrap().ends_with(", 1 incident"), "{told}");
}

#[test]
fn json_lines_have_the_keys_that_programs_read() {
    let done = replay(&recorded("binance/liquidation_then_pump"));
    let told = text(&done.stdout);
    let lines: Vec<Value> = told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (summary, lines) = lines.split_last().unwrap();
    for line in lines {
        for key in
            ["incident", "event", "at", "n", "account", "pair", "level", "rule", "kind", "loss", "score", "terms"]
        {
            assert!(line.get(key).is_some(), "{key} is missing in {line}");
        }
        let event = line["event"].as_str().unwrap();
        assert!(["opened", "raised", "closed"].contains(&event), "{event}");
        let sum: f64 = line["terms"].as_object().unwrap().values().map(|nats| nats.as_f64().unwrap()).sum();
        assert!((sum - line["score"].as_f64().unwrap()).abs() < 2e-3, "{line}");
    }
    for key in ["arrivals", "fills", "orders", "accounts", "incidents", "unreadable", "seconds"] {
        assert!(summary["summary"][key].is_number(), "{key} is missing in {summary}");
    }
}

#[test]
fn the_exit_code_says_whether_a_level_was_reached() {
    let act = recorded("binance/pump_of_a_new_pair");
    let notice = recorded("binance/reconnect_unverified");
    let nothing = recorded("binance/ordinary_dca_and_grid");
    for (path, level, code) in
        [(&act, "act", 1), (&act, "notice", 1), (&notice, "notice", 1), (&notice, "alert", 0), (&nothing, "notice", 0)]
    {
        let done = fillguard(&["replay", "--fail-on", level, path.to_str().unwrap()]);
        assert_eq!(done.status.code(), Some(code), "{} {level}: {}", path.display(), text(&done.stderr));
    }
    assert_eq!(replay(&act).status.code(), Some(0), "without --fail-on an incident is no failure");
}

#[test]
fn what_cannot_be_read_is_misuse_and_says_what_to_do() {
    let folder = TempDir::new().unwrap();
    let file = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        path
    };
    let whole = fs::read_to_string(recorded("binance/churn")).unwrap();
    let hole: String =
        whole.lines().enumerate().filter(|(k, _)| *k != 9).map(|(_, line)| format!("{line}\n")).collect();
    for path in [
        folder.path().join("nowhere.ndjson"),
        file("empty.ndjson", b""),
        file("letter.txt", b"Dear Sir or Madam,\nplease find enclosed\n"),
        file("image.ndjson", &[0x89, b'P', b'N', b'G', 0, 1, 2]),
        file("other.ndjson", b"{\"some\":\"json\"}\n{\"n\":1}\n"),
        file("newer.ndjson", b"{\"fillguard\":99,\"kind\":\"recording\",\"created\":\"2026-03-02T09:00:00Z\"}\n"),
        file("hole.ndjson", hole.as_bytes()),
    ] {
        let done = replay(&path);
        let said = text(&done.stderr);
        assert_eq!(done.status.code(), Some(2), "{}: {said}", path.display());
        assert!(said.starts_with("fillguard: ") && !said.contains("panicked"), "{said}");
        assert!(said.contains(path.file_name().unwrap().to_str().unwrap()), "the file is named: {said}");
    }
    assert_eq!(fillguard(&["replay"]).status.code(), Some(2));
    assert_eq!(fillguard(&["replay", "--fail-on", "loud", "x"]).status.code(), Some(2));
}

#[test]
fn a_recording_that_was_cut_in_mid_line_is_replayed_up_to_there() {
    let whole = fs::read(recorded("binance/pump_of_a_new_pair")).unwrap();
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("cut.ndjson");
    let starts: Vec<usize> =
        whole.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(place, _)| place + 1).collect();
    let expected = text(&replay(&recorded("binance/pump_of_a_new_pair")).stdout);
    for (line, start) in starts.iter().enumerate().skip(20).step_by(17) {
        fs::write(&path, &whole[..start + 30]).unwrap();
        let done = replay(&path);
        let (told, said) = (text(&done.stdout), text(&done.stderr));
        assert!(said.contains("not whole") && said.contains(&format!("arrival {line} ")), "{said}");
        assert_eq!(done.status.code(), Some(0), "{said}");
        let (summary, lines) = told.trim_end().rsplit_once('\n').map_or(("", ""), |(lines, last)| (last, lines));
        let summary = if summary.is_empty() { told.trim_end() } else { summary };
        assert!(expected.starts_with(lines), "what was told before the cut is the same:\n{told}");
        assert!(summary.contains(&format!("\"arrivals\":{line},")), "{summary}");
    }
}

#[test]
fn a_sealed_recording_with_an_altered_byte_is_replayed_and_denounced() {
    let whole = fs::read_to_string(recorded("binance/planted_ask")).unwrap();
    let body: String = whole.lines().map(|line| format!("{line}\n")).collect();
    let last = body.lines().count() - 1;
    let seal = format!("{{\"seal\":\"{}\",\"n\":{last}}}\n", blake3::hash(body.as_bytes()).to_hex());
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("sealed.ndjson");
    fs::write(&path, format!("{body}{seal}")).unwrap();
    let clean = replay(&path);
    assert_eq!(clean.status.code(), Some(0), "{}", text(&clean.stderr));
    assert_eq!(
        text(&clean.stdout),
        fs::read_to_string(recorded("binance/planted_ask").with_extension("expected")).unwrap()
    );
    // One digit of the price in one fill: still JSON, still a recording, and not what was written.
    let forged = body.replacen("\"L\":\"0.00080000\"", "\"L\":\"0.00002000\"", 1);
    assert!(forged != body);
    fs::write(&path, format!("{forged}{seal}")).unwrap();
    let done = replay(&path);
    assert_eq!(done.status.code(), Some(1), "{}", text(&done.stderr));
    assert!(text(&done.stderr).contains("fillguard verify"), "{}", text(&done.stderr));
}

#[test]
fn unreadable_arrivals_are_named_by_number_and_never_by_content() {
    let done = replay(&recorded("binance/unreadable_frames"));
    let said = text(&done.stderr);
    assert_eq!(said.matches("fillguard: arrival ").count(), 4, "{said}");
    for secret in ["a lot", "Internal Server Error", "somethingNew"] {
        assert!(!said.contains(secret), "{said}");
    }
}

#[test]
fn recordings_one_after_the_other_are_judged_apart() {
    let (pump, churn) = (recorded("binance/pump_of_a_new_pair"), recorded("binance/churn"));
    let both = fillguard(&["replay", "--format", "json", pump.to_str().unwrap(), churn.to_str().unwrap()]);
    let lines = |path: &Path| {
        let told = text(&replay(path).stdout);
        told.lines().filter(|line| !line.contains("\"summary\"")).map(|line| format!("{line}\n")).collect::<String>()
    };
    let expected = lines(&pump) + &lines(&churn);
    assert_eq!(text(&both.stdout).rsplit_once("{\"summary\"").unwrap().0, expected);
}
