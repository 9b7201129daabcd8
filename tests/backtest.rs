//! `fillguard backtest` over recordings that `import-tape` makes: what it prints, what it refuses.

#![allow(clippy::unwrap_used, reason = "a test: its steps may fail")]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn fillguard(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_fillguard")).args(words).output().unwrap()
}

/// Writes a tape of two quiet days and a minute in which the price doubles, and makes two labelled recordings of it.
fn recordings(folder: &Path) -> Vec<PathBuf> {
    let onset = 1_562_346_000_000_i64;
    let mut rows = String::from("ts_ms,side,price,amount\n");
    let quiet = (0..1_500).map(|i| onset - 172_000_000 + i * 114_000);
    let rush = (0..200).map(|i| onset + i * 500);
    for (i, ms) in quiet.chain(rush).enumerate() {
        let side = if i % 3 == 0 && ms < onset { "s" } else { "b" };
        let raised = if ms < onset { 0 } else { (ms - onset) / 100 };
        writeln!(rows, "{ms},{side},0.0000{},{}", 1_000 + i as i64 % 7 + raised, 5_000 + i).unwrap();
    }
    let tape = folder.join("XYZ_test.csv");
    fs::write(&tape, rows).unwrap();
    let made = ["I1", "I4"].map(|attack| {
        let out = folder.join(format!("{attack}.ndjson"));
        let words = [
            "import-tape",
            tape.to_str().unwrap(),
            "--victim=3",
            "--participation=30",
            "--onset=2019-07-05T17:00:00Z",
            "--ordinary=dca,grid",
            "--attack",
            attack,
            "-o",
            out.to_str().unwrap(),
        ];
        let done = fillguard(&words);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
        out
    });
    made.to_vec()
}

#[test]
fn labelled_recordings_are_scored_alike_for_people_and_programs_and_with_any_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    let files = recordings(folder.path());
    let files: Vec<&str> = files.iter().map(|path| path.to_str().unwrap()).collect();
    let json = |threads: &str| fillguard(&[&["backtest", "--format=json", threads], &files[..]].concat());
    let (one, two) = (json("--threads=1"), json("--threads=2"));
    assert_eq!(one.status.code(), Some(0), "{}", String::from_utf8_lossy(&one.stderr));
    assert!(one.stdout == two.stdout);
    let told: Value = serde_json::from_slice(&one.stdout).unwrap();
    assert_eq!((&told["recordings"], &told["tapes"]), (&2.into(), &0.into()));
    // Each attack is a case, told or missed, in agreement with the table.
    let cases = told["cases"].as_array().unwrap();
    for kind in ["I1", "I4"] {
        let of_kind: Vec<&Value> = cases.iter().filter(|case| case["kind"] == kind).collect();
        let heard = of_kind.iter().filter(|case| case["level"] == "alert" || case["level"] == "act").count();
        let mut rows = told["attacks"].as_array().unwrap().iter();
        let row = rows.find(|row| row["kind"] == kind && row["level"] == "alert").unwrap();
        assert_eq!((&row["n"], &row["detected"]), (&of_kind.len().into(), &heard.into()), "{kind}");
        assert!(of_kind.iter().all(|case| case["recording"].as_str().unwrap().ends_with(&format!("{kind}.ndjson"))));
    }
    let rows: Vec<&Value> = told["attacks"].as_array().unwrap().iter().filter(|row| row["level"] == "alert").collect();
    assert_eq!(rows.len(), 2, "{rows:?}");
    for row in &rows {
        assert_eq!(row["n"], 1);
        let lost = row["lost"]["p50"].as_f64().unwrap();
        assert!((0.0..=1.0).contains(&lost), "{row}");
    }
    // A price that doubles within a minute, and a churn, are what the daemon is for.
    assert!(rows.iter().all(|row| row["detected"] == 1), "{rows:?}");
    let months: f64 =
        told["ordinary"].as_array().unwrap().iter().find(|row| row["trader"] == "all").unwrap()["account_months"]
            .as_f64()
            .unwrap();
    // Two victims and four ordinary accounts, about 24 days each.
    assert!((3.0..6.0).contains(&months), "{months}");
    let text = String::from_utf8(fillguard(&[&["backtest"], &files[..]].concat()).stdout).unwrap();
    assert!(text.contains("alert   I1") && text.contains("alert   I4"), "{text}");
    assert!(text.contains("budget a month") && text.contains("average precision"), "{text}");
}

#[test]
fn labels_may_be_written_by_hand_and_what_is_not_labelled_is_the_owners() {
    let folder = tempfile::tempdir().unwrap();
    let file = recordings(folder.path()).remove(0);
    let labels = fs::read_to_string(folder.path().join("I1.ndjson.labels.ndjson")).unwrap();
    let attack: Value =
        labels.lines().map(|l| serde_json::from_str::<Value>(l).unwrap()).find(|l| l["kind"] == "I1").unwrap();
    let short = serde_json::json!({
        "account": attack["account"], "kind": "I1", "first": attack["first"]["n"], "last": attack["last"]["n"],
    });
    fs::remove_file(folder.path().join("I1.ndjson.labels.ndjson")).unwrap();
    fs::write(folder.path().join("labels.ndjson"), short.to_string()).unwrap();
    let done = fillguard(&["backtest", "--format=json", file.to_str().unwrap()]);
    assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
    let told: Value = serde_json::from_slice(&done.stdout).unwrap();
    let row = told["attacks"].as_array().unwrap().iter().find(|row| row["level"] == "alert").unwrap();
    assert_eq!((&row["detected"], &row["lost"]["p50"]), (&1.into(), &Value::Null));
    let all = told["ordinary"].as_array().unwrap().iter().find(|row| row["trader"] == "all").unwrap();
    // The victim's own time and the two ordinary accounts.
    assert!(all["account_months"].as_f64().unwrap() > 2.0, "{all}");
}

#[test]
fn a_folder_of_later_tapes_in_dollars_needs_its_list_of_events_alone() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("tapes")).unwrap();
    let onset = 1_633_276_800_000_i64;
    let mut rows = String::from("ts_ms,side,price,amount\n");
    for i in 0..3_000_i64 {
        let (ms, side) = (onset - 172_000_000 + i * 57_000, if i % 3 == 0 { "s" } else { "b" });
        writeln!(rows, "{ms},{side},0.{},{}", 1_000 + i % 7, 900 + i % 400).unwrap();
    }
    for i in 0..240_i64 {
        writeln!(rows, "{},b,0.{},{}", onset + i * 400, 1_000 + i * 9, 9_000 + i).unwrap();
    }
    fs::write(folder.path().join("tapes/ABCUSDT_2021-10-03_16.00.csv"), rows).unwrap();
    let events = format!("file,symbol,event_ms,split\nABCUSDT_2021-10-03_16.00,ABCUSDT,{onset},later\n");
    fs::write(folder.path().join("events.csv"), events).unwrap();
    let tapes = folder.path().to_str().unwrap();
    let play = |split: &str| {
        let words =
            ["--attack=I1,I3", "--ordinary=dca", "--ordinary-days=0", "--seeds=2", "--format=json", "--threads=1"];
        fillguard(&[&["backtest", "--tapes", tapes, "--split", split], &words[..]].concat())
    };
    let done = play("later");
    let why = String::from_utf8_lossy(&done.stderr).into_owned();
    assert_eq!(done.status.code(), Some(0), "{why}");
    let told: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!((&told["recordings"], &told["tapes"]), (&4.into(), &1.into()));
    assert!(told["cases"].to_string().contains("ABCUSDT"), "{}", told["cases"]);
    let caught = told["attacks"].as_array().unwrap().iter().filter(|row| row["level"] == "alert");
    for row in caught.filter(|row| ["I1", "I3"].contains(&row["kind"].as_str().unwrap())) {
        assert_eq!((row["recall"]["value"].as_f64(), row["n"].as_u64()), (Some(1.0), Some(2)), "{row}");
    }
    assert!(play("all").stdout == done.stdout);
    let (none, why) = (play("valid"), "no tape is of the split valid; events.csv has later");
    assert!(none.status.code() == Some(2) && String::from_utf8_lossy(&none.stderr).contains(why));
    let market = fillguard(&["backtest", "--tapes", tapes, "--split=later", "--market", "--format=json"]);
    assert_eq!(market.status.code(), Some(0), "{}", String::from_utf8_lossy(&market.stderr));
}

#[test]
fn what_is_required_and_not_met_ends_with_1_and_what_cannot_be_scored_with_2() {
    let folder = tempfile::tempdir().unwrap();
    let file = recordings(folder.path()).remove(0);
    let file = file.to_str().unwrap();
    let said = |words: &[&str]| {
        let done = fillguard(words);
        (done.status.code().unwrap(), String::from_utf8_lossy(&done.stderr).into_owned())
    };
    assert_eq!(said(&["backtest", file, "--require", "I1=1", "--max-false", "1000"]).0, 0);
    let (code, why) = said(&["backtest", file, "--require", "I1=0.9,I2=0.5"]);
    assert!(code == 1 && why.contains("no recording has such an attack"), "{code} {why}");
    let (code, why) = said(&["backtest", file, "--max-false=-1"]);
    assert!(code == 2 && why.contains("a rate of 0 or more"), "{code} {why}");
    let (code, why) = said(&["backtest", file, "--require", "I1:0.9"]);
    assert!(code == 2 && why.contains("I1=0.9"), "{code} {why}");
    let bare = folder.path().join("bare.ndjson");
    fs::copy(file, &bare).unwrap();
    let (code, why) = said(&["backtest", bare.to_str().unwrap()]);
    assert!(code == 2 && why.contains("bare.ndjson.labels.ndjson"), "{code} {why}");
    let row = r#"{"account":"binance/nobody","kind":"I1","first":1,"last":2}"#;
    fs::write(folder.path().join("bare.labels.ndjson"), row).unwrap();
    let (code, why) = said(&["backtest", bare.to_str().unwrap()]);
    assert!(code == 2 && why.contains("binance/nobody"), "{code} {why}");
    for (row, wanted) in [
        (r#"{"account":"binance/nobody","kind":"I1","first":1}"#, "`last` is missing"),
        ("binance/nobody,I1,1,2", "it is not JSON"),
    ] {
        fs::write(folder.path().join("bare.labels.ndjson"), row).unwrap();
        let (code, why) = said(&["backtest", bare.to_str().unwrap()]);
        assert!(code == 2 && why.contains(wanted) && why.contains("bare.labels.ndjson: line 1"), "{code} {why}");
    }
    // Labels of another recording are no missed attacks.
    let beside = Path::new(file).with_file_name("I1.ndjson.labels.ndjson");
    let labels = fs::read_to_string(&beside).unwrap();
    let long = labels.replace("\"last\":{\"n\":", "\"last\":{\"n\":9");
    let late = labels.replacen(",\"at\":1", ",\"at\":2", 1);
    for (labels, wanted) in [(long, "and the recording ends at arrival"), (late, "ns, and it came at 1")] {
        fs::write(&beside, labels).unwrap();
        for words in [&["backtest", file][..], &["tune", file, "--candidates=1"]] {
            let (code, why) = said(words);
            assert!(code == 2 && why.contains(wanted), "{words:?}: {code} {why}");
        }
    }
    let (code, why) = said(&["backtest", "--tapes", folder.path().to_str().unwrap()]);
    assert!(code == 2 && why.contains("events.csv"), "{code} {why}");
    assert_eq!(said(&["backtest"]).0, 2);
    for of_tapes in
        ["--market", "--split=valid", "--attack=I1", "--ordinary=dca", "--seeds=2", "--limit=1", "--quote=USDT"]
    {
        let (code, why) = said(&["backtest", file, of_tapes]);
        let (name, _) = of_tapes.split_once('=').unwrap_or((of_tapes, ""));
        assert!(
            code == 2 && why.contains(name) && why.contains("'[RECORDING]...'") && why.contains("cannot be used with"),
            "{code} {why}"
        );
    }
}
