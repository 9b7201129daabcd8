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
