//! Whether the tests of the rules would notice a rule that is wrong.
//!
//! Each threshold, comparison and key of the rules is changed in a copy of the sources, one at a time, and at least one
//! named test must fail. All changes are compiled once, each behind a switch that the environment sets, so a hundred
//! mutants cost one build and a hundred runs. Still that is minutes: it is done where `FILLGUARD_MUTATE=1` is set.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test: its steps may fail")]

mod list;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use list::mutations;

/// What the copy needs to be built.
const COPIED: [&str; 8] = ["Cargo.toml", "Cargo.lock", "src", "tests", "benches", "config", "replay-data", "docs"];

/// The switch, added to the copy's crate.
const SWITCH: &str = "
#[doc(hidden)]
#[allow(missing_docs, clippy::all)]
pub mod mutant {
    pub fn on(number: u32) -> bool {
        static CHOSEN: std::sync::OnceLock<u32> = std::sync::OnceLock::new();
        *CHOSEN.get_or_init(|| std::env::var(\"FILLGUARD_MUTANT\").ok().and_then(|n| n.parse().ok()).unwrap_or(0)) == number
    }
}
";

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn every_mutation_names_one_place_of_todays_sources() {
    for mutation in mutations() {
        let source = fs::read_to_string(root().join("src/engine").join(mutation.file)).unwrap();
        assert_eq!(source.matches(mutation.context).count(), 1, "{}: {:?}", mutation.file, mutation.context);
        assert_eq!(mutation.context.matches(mutation.find).count(), 1, "{}: {:?}", mutation.file, mutation.find);
        assert_ne!(mutation.find, mutation.replace);
    }
}

#[test]
fn each_mutant_of_a_rule_is_killed_by_a_named_test() {
    if std::env::var("FILLGUARD_MUTATE").is_err() {
        println!(
            "skipped: set FILLGUARD_MUTATE=1 to build {} mutants and run the rules' tests on each",
            mutations().len()
        );
        return;
    }
    let copy = tempfile::tempdir().unwrap();
    for name in COPIED {
        copy_all(&root().join(name), &copy.path().join(name));
    }
    mutate(copy.path());
    let binaries = build(copy.path());
    let failed = run(copy.path(), &binaries, 0, None);
    assert!(failed.is_empty(), "without any change these fail: {failed:?}");
    // One by its number, or all from one on: 18, 78-.
    let only = std::env::var("FILLGUARD_MUTANT_ONLY").ok();
    let is_wanted = |number: u32| {
        let Some(only) = &only else { return true };
        only.strip_suffix('-')
            .map_or(only.parse() == Ok(number), |from| from.parse().is_ok_and(|from: u32| number >= from))
    };
    let (mut survivors, mut killed) = (Vec::new(), 0);
    for (number, mutation) in (1..).zip(mutations()).filter(|(number, _)| is_wanted(*number)) {
        let failed = run(copy.path(), &binaries, number, Some(mutation.file));
        let by = match failed.first() {
            Some(first) => format!("{first} and {} more", failed.len() - 1),
            None => "NOBODY".to_owned(),
        };
        println!("{number:3} {:28} {} => {} | {by}", mutation.file, mutation.find, mutation.replace);
        if failed.is_empty() {
            survivors.push((number, mutation));
        } else {
            killed += 1;
        }
    }
    println!("{killed} killed, {} survived", survivors.len());
    let names: Vec<String> = survivors.iter().map(|(number, m)| format!("{number} {} {}", m.file, m.find)).collect();
    assert!(survivors.is_empty(), "no test notices {names:#?}");
}

fn copy_all(from: &Path, to: &Path) {
    if from.is_file() {
        fs::copy(from, to).unwrap();
        return;
    }
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        copy_all(&entry.path(), &to.join(entry.file_name()));
    }
}

/// Puts every change into the copy, each behind its number.
fn mutate(copy: &Path) {
    let mut files: BTreeMap<&str, Vec<Place>> = BTreeMap::new();
    let source = |file: &str| fs::read_to_string(root().join("src/engine").join(file)).unwrap();
    for (number, mutation) in (1..).zip(mutations()) {
        let begin =
            source(mutation.file).find(mutation.context).unwrap() + mutation.context.find(mutation.find).unwrap();
        let place = Place { begin, end: begin + mutation.find.len(), number, replace: mutation.replace };
        files.entry(mutation.file).or_default().push(place);
    }
    for (file, mut places) in files {
        // The widest first, so that what lies within another comes after it.
        places.sort_by_key(|place| (place.begin, std::cmp::Reverse(place.end), place.number));
        let source = source(file);
        fs::write(copy.join("src/engine").join(file), switched(&source, 0, source.len(), &places)).unwrap();
    }
    let lib = copy.join("src/lib.rs");
    fs::write(&lib, fs::read_to_string(&lib).unwrap() + SWITCH).unwrap();
}

/// Where an expression stands, and what it becomes.
#[derive(Clone, Copy)]
struct Place {
    begin: usize,
    end: usize,
    number: u32,
    replace: &'static str,
}

/// Returns a stretch of a source with its changes behind their numbers; one may lie within another.
fn switched(source: &str, begin: usize, end: usize, places: &[Place]) -> String {
    let (mut text, mut at, mut rest) = (String::new(), begin, places);
    while let Some((place, others)) = rest.split_first() {
        assert!(place.begin >= at && place.end <= end, "two changes cross each other: {}", place.number);
        let within = others.partition_point(|other| other.begin < place.end);
        let inner = switched(source, place.begin, place.end, &others[..within]);
        text += &source[at..place.begin];
        text += &format!("(if crate::mutant::on({}) {{ {} }} else {{ {inner} }})", place.number, place.replace);
        (at, rest) = (place.end, &others[within..]);
    }
    text + &source[at..end]
}

/// Builds the tests of the copy beside our own; returns the binaries, kept in the copy.
fn build(copy: &Path) -> Vec<PathBuf> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let done = Command::new(env!("CARGO"))
        .args(["test", "--offline", "--no-run", "--lib", "--test", "rules", "--message-format", "json"])
        .args(["--manifest-path".as_ref(), copy.join("Cargo.toml").as_os_str()])
        .env("CARGO_TARGET_DIR", target)
        .output()
        .unwrap();
    let lines = String::from_utf8_lossy(&done.stdout).into_owned();
    let built = lines.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    if !done.status.success() {
        let wrong = built.filter(|told| told["message"]["level"] == "error");
        let wrong: String = wrong.filter_map(|told| told["message"]["rendered"].as_str().map(str::to_owned)).collect();
        panic!("the changed sources do not build:\n{wrong}{}", String::from_utf8_lossy(&done.stderr));
    }
    let ours = built.filter(|told| told["profile"]["test"] == true);
    let built = ours.filter_map(|told| told["executable"].as_str().map(PathBuf::from));
    // Whoever tests beside this builds to the same places.
    let keep = |binary: PathBuf| {
        let kept = copy.join(binary.file_name().unwrap());
        fs::copy(&binary, &kept).unwrap();
        kept
    };
    built.map(keep).collect()
}

/// The tests that are nearest to a file: they are run first, and the others only where these notice nothing.
fn near(file: &str) -> &'static [&'static str] {
    match file {
        "rules/mod.rs" => &["pump_buy", "liquidation", "co_trading", "origin"],
        "rules/pump_buy.rs" => &["pump_buy", "prelude", "first_fill", "answer", "warm_up"],
        "rules/planted_ask.rs" => &["planted_ask", "first_fill"],
        "rules/churn_loss.rs" | "account/turn.rs" => &["churn_loss"],
        "rules/liquidation.rs" | "account/sale.rs" => &["liquidation"],
        "rules/slow_buying.rs" | "account/run.rs" => &["slow_buying", "run::"],
        "rules/unknown_origin.rs" | "origin.rs" => &["origin", "prelude", "answer"],
        "rules/blind.rs" => &["blind"],
        "rules/co_trading.rs" | "together.rs" | "fleet/mod.rs" | "fleet/groups.rs" => &["co_trading", "fleet"],
        "rules/unfamiliar_address.rs" | "address/mod.rs" | "address/sharing.rs" => &["address"],
        "account/cancels.rs" | "account/probe.rs" | "habit.rs" => &["prelude", "cancels", "probe", "pump_buy"],
        "account/session.rs" | "account/episode.rs" | "account/vouched.rs" | "account/mod.rs" => {
            &["answer", "warm_up", "prelude", "history"]
        }
        "mod.rs" => &["warm_up", "answer", "origin"],
        _ => &["key_state", "origin", "pump_buy"],
    }
}

/// Runs the tests with one change switched on, those near `file` first; returns the names of those that fail.
fn run(copy: &Path, binaries: &[PathBuf], number: u32, file: Option<&str>) -> Vec<String> {
    let mut failed = Vec::new();
    for filters in file.map(near).into_iter().chain([&[] as &[&str]]) {
        for binary in binaries {
            let is_lib = !binary.file_name().unwrap().to_string_lossy().starts_with("rules");
            // With a change a test may never end, which notices it as well.
            let mut command = Command::new("timeout");
            command
                .args(["--kill-after=5", "300"])
                .arg(binary)
                .current_dir(copy)
                .env("FILLGUARD_MUTANT", number.to_string())
                .args(["--test-threads", "2"]);
            match (is_lib, filters.is_empty()) {
                (true, true) => drop(command.arg("engine::")),
                (_, _) => drop(command.args(filters)),
            }
            let done = command.output().unwrap();
            let told = String::from_utf8_lossy(&done.stdout).into_owned();
            let names = told.lines().filter_map(|line| line.strip_prefix("test ")?.strip_suffix(" ... FAILED"));
            failed.extend(names.map(str::to_owned));
            if !done.status.success() && failed.is_empty() {
                failed.push(format!("{} ended with {}", binary.display(), done.status));
            }
        }
        if !failed.is_empty() {
            return failed;
        }
    }
    failed
}
