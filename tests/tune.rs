//! Tuning pages and `fillguard tune` over recordings that `import-tape` makes.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test: its steps may fail")]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn fillguard(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_fillguard")).args(words).output().unwrap()
}

fn told(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Writes a tape of a quiet day and a minute in which the price doubles, and makes labelled recordings of it.
fn recordings(folder: &Path, attacks: &[(&str, &str)]) -> Vec<PathBuf> {
    let mut made = Vec::new();
    for (nth, (name, attack)) in attacks.iter().enumerate() {
        let onset = 1_562_346_000_000_i64 + nth as i64 * 86_400_000 * 9;
        let mut rows = String::from("ts_ms,side,price,amount\n");
        let quiet = (0..700).map(|i| onset - 84_000_000 + i * 119_000);
        let rush = (0..160).map(|i| onset + i * 500);
        for (i, ms) in quiet.chain(rush).enumerate() {
            let side = if i % 3 == 0 && ms < onset { "s" } else { "b" };
            let raised = if ms < onset { 0 } else { (ms - onset) / 100 };
            writeln!(rows, "{ms},{side},0.0000{},{}", 1_000 + i as i64 % 7 + raised, 5_000 + i).unwrap();
        }
        let tape = folder.join(format!("{name}_test.csv"));
        fs::write(&tape, rows).unwrap();
        let out = folder.join(format!("{name}.ndjson"));
        let victim = format!("--victim={}", nth + 3);
        let when = (1_562_346_000 + nth as i64 * 86_400 * 9) / 86_400;
        let onset = format!("--onset={}T17:00:00Z", day(when));
        let words = [
            "import-tape",
            tape.to_str().unwrap(),
            &victim,
            "--participation=30",
            &onset,
            "--ordinary=dca,chaser",
            "--days-before=1",
            "--days-after=0.2",
            "--history-days=6",
            "--attack",
            attack,
            "-o",
            out.to_str().unwrap(),
        ];
        let done = fillguard(&words);
        assert!(done.status.success(), "{}", told(&done));
        made.push(out);
    }
    made
}

/// Writes a day since 1970 as a date; all of them are in July to September 2019.
fn day(since_1970: i64) -> String {
    let mut left = since_1970 - 18_078;
    for (month, days) in [(7, 31), (8, 31), (9, 30)] {
        if left < days {
            return format!("2019-{month:02}-{:02}", left + 1);
        }
        left -= days;
    }
    panic!("{since_1970} is later");
}

fn texts(files: &[PathBuf]) -> Vec<&str> {
    files.iter().map(|path| path.to_str().unwrap()).collect()
}

/// Fails unless every element that begins ends, in its place, and nothing is loaded from anywhere.
fn well_formed(page: &str) {
    assert!(page.starts_with("<!DOCTYPE html>"));
    for foreign in ["http://", "https://", "src=", "@import", "url(", "<script", "<link", "<iframe", "NaN"] {
        assert!(
            !page.contains(foreign),
            "{foreign}: {}",
            &page[page.find(foreign).unwrap_or(0)..].chars().take(200).collect::<String>()
        );
    }
    let mut open: Vec<&str> = Vec::new();
    let mut rest = &page["<!DOCTYPE html>".len()..];
    while let Some(at) = rest.find('<') {
        let end = rest[at..].find('>').unwrap() + at;
        let tag = &rest[at + 1..end];
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        let name = tag.trim_start_matches('/').split([' ', '/']).next().unwrap();
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name), "</{name}>");
        } else if !tag.ends_with('/') {
            open.push(name);
        }
        rest = &rest[end + 1..];
    }
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn a_scored_rule_set_is_a_page_that_loads_nothing_and_is_the_same_twice() {
    let folder = tempfile::tempdir().unwrap();
    let files = recordings(folder.path(), &[("AAA", "I1"), ("BBB", "I4")]);
    // Who reads labels from elsewhere reads whatever somebody wrote there.
    let labels = folder.path().join("AAA.ndjson.labels.ndjson");
    let bad = fs::read_to_string(&labels).unwrap().replace("\"dca\"", "\"<script>alert('x')</script>&\"");
    fs::write(&labels, bad).unwrap();
    let page = |name: &str, threads: &str| {
        let path = folder.path().join(name);
        let words = [&["backtest", "--html", path.to_str().unwrap(), threads], &texts(&files)[..]].concat();
        let done = fillguard(&words);
        assert_eq!(done.status.code(), Some(0), "{}", told(&done));
        fs::read_to_string(path).unwrap()
    };
    let (one, two) = (page("one.html", "--threads=1"), page("two.html", "--threads=2"));
    assert!(one == two, "the same input gives the same bytes");
    well_formed(&one);
    assert!(one.contains("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;"));
    for part in [
        "Attacks that were told of",
        "How long until somebody was told",
        "Money that had been traded",
        "False alarms, by how the owner trades",
        "Each level against its budget",
        "Frontier",
        "Precision against recall",
        "The attacks that went worst",
        "I4 churn",
        "hostile buy",
        "prefers-color-scheme:dark",
        "@media print",
        "default-src 'none'",
    ] {
        assert!(one.contains(part), "{part} is missing");
    }
    let done = fillguard(&[&["backtest", "--html", "/nowhere/at/all.html"], &texts(&files)[..]].concat());
    assert!(done.status.code() == Some(2) && told(&done).contains("cannot write"), "{}", told(&done));
}

#[test]
fn a_comparison_is_a_page_with_what_was_lost() {
    let folder = tempfile::tempdir().unwrap();
    let files = recordings(folder.path(), &[("AAA", "I1")]);
    let deaf = folder.path().join("deaf.toml");
    fs::write(&deaf, "[rules.pump_buy]\nenabled = false\n[rules.planted_ask]\nenabled = false\n[rules.slow_buying]\nenabled = false\n").unwrap();
    let path = folder.path().join("diff.html");
    let words = ["diff", "-", deaf.to_str().unwrap(), files[0].to_str().unwrap(), "--html", path.to_str().unwrap()];
    let done = fillguard(&words);
    assert_eq!(done.status.code(), Some(1), "{}", told(&done));
    let page = fs::read_to_string(&path).unwrap();
    well_formed(&page);
    assert!(page.contains("Lost: binance/") && page.contains("I1 burst into a pump") && page.contains("deaf.toml"));
    assert!(!done.stdout.is_empty());
    fillguard(&words);
    assert!(fs::read_to_string(&path).unwrap() == page);
}

/// Writes a configuration whose rules are nearly deaf, with rule files in a folder beside it.
fn deaf(folder: &Path) -> PathBuf {
    fs::create_dir_all(folder.join("rules")).unwrap();
    for name in ["alice.key", "alice.secret"] {
        let path = folder.join(name);
        fs::write(&path, "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n").unwrap();
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    }
    let path = folder.join("fillguard.toml");
    let text = "[[account]]\nexchange = \"binance\"\nname = \"alice\"\nkey_file = \"alice.key\"\n\
                secret_file = \"alice.secret\"\n[notify]\nphrase = \"a phrase\"\n[notify.console]\nenabled = true\n\
                [rules]\ndir = \"rules\"\n[rules.pump_buy]\nalert = 60\nact = 70\n[rules.planted_ask]\nenabled = false\n\
                [rules.slow_buying]\nalert = 30\n";
    fs::write(&path, text).unwrap();
    path
}

fn number(value: &Value, path: &str) -> f64 {
    value.pointer(path).and_then(Value::as_f64).unwrap_or_else(|| panic!("{path} is no number in {value}"))
}

#[test]
fn what_is_proposed_is_a_rule_file_that_gives_the_figures_that_were_claimed() {
    let folder = tempfile::tempdir().unwrap();
    let files = recordings(folder.path(), &[("AAA", "I1"), ("BBB", "I1")]);
    let config = deaf(folder.path());
    let (out, html) = (folder.path().join("rules/tuned.toml"), folder.path().join("tune.html"));
    let config = config.to_str().unwrap();
    let words = [
        "tune",
        "--config",
        config,
        "--param=pump_buy.alert=4..8",
        "--param=slow_buying.alert=3..3.3",
        "--candidates=3",
        "--holdout=0",
        "--max-false=50",
        "--format=json",
        "--out",
        out.to_str().unwrap(),
        "--html",
        html.to_str().unwrap(),
    ];
    let done = fillguard(&[&words[..], &texts(&files)[..]].concat());
    assert_eq!(done.status.code(), Some(0), "{}", told(&done));
    let said: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(said["verdict"], "unchecked", "{}", said["says"]);
    assert!(number(&said, "/chosen/tuned/saved/value") > number(&said, "/present/tuned/saved/value"), "{said}");
    let file = fs::read_to_string(&out).unwrap();
    assert!(file.contains("extends = \"slow_buying\"\n") && file.contains("Nothing was held out"), "{file}");
    // The file is read with the configuration whose folder it lies in, and the rules say what was promised.
    let checked = fillguard(&["check", "--config", config]);
    assert_eq!(checked.status.code(), Some(0), "{}", told(&checked));
    let scored = fillguard(&[&["backtest", "--format=json", "--config", config], &texts(&files)[..]].concat());
    let scored: Value = serde_json::from_slice(&scored.stdout).unwrap();
    let row = |list: &str, key: &str, value: &str| {
        let rows = scored[list].as_array().unwrap().iter();
        rows.clone().find(|row| row["level"] == "alert" && row[key] == value).unwrap().clone()
    };
    let (attacks, all) = (row("attacks", "kind", "I1"), row("ordinary", "trader", "all"));
    assert_eq!(attacks["detected"], said["chosen"]["tuned"]["told"]);
    assert_eq!(all["episodes"], said["chosen"]["tuned"]["alerts"]);
    assert!((number(&all, "/account_months") - number(&said, "/chosen/tuned/account_months")).abs() < 1e-3);
    let page = fs::read_to_string(html).unwrap();
    well_formed(&page);
    for part in ["Money saved against false alerts", "budget", "slow_buying.alert", "Nothing was held out"] {
        assert!(page.contains(part), "{part} is missing");
    }
}

#[test]
fn a_search_is_the_same_for_any_number_of_threads_and_when_it_was_broken_off() {
    let folder = tempfile::tempdir().unwrap();
    let files = recordings(folder.path(), &[("AAA", "I1"), ("BBB", "I4"), ("CCC", "I1")]);
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (state, html) = (path("state"), path("a.html"));
    let tune = |more: &[&str]| {
        let words = ["tune", "--param=pump_buy.alert=4..30", "--param=churn_loss.share=0.2 %..4 %", "--candidates=7"];
        let rest = ["--holdout=0.4", "--max-false=50", "--format=json"];
        fillguard(&[&words[..], &rest[..], more, &texts(&files)[..]].concat())
    };
    let whole = tune(&["--threads=1", "--state", &state, "--html", &html]);
    assert!(matches!(whole.status.code(), Some(0 | 1)), "{}", told(&whole));
    let said: Value = serde_json::from_slice(&whole.stdout).unwrap();
    assert_eq!(said["held_out_events"], 1);
    assert_eq!(said["present"]["held_out"]["events"], 1);
    assert!(number(&said, "/present/tuned/attacks") >= 2.0, "{said}");
    let page = fs::read_to_string(&html).unwrap();
    well_formed(&page);
    assert!(page.contains("held out"));
    // Half of what was finished is lost, and the last line is torn.
    let lines = fs::read_to_string(&state).unwrap();
    let finished = lines.lines().count();
    let kept: Vec<&str> = lines.lines().take(finished / 2).collect();
    fs::write(&state, format!("{}\n{{\"candidate\":3,\"un", kept.join("\n"))).unwrap();
    let html = path("b.html");
    let resumed = tune(&["--threads=2", "--state", &state, "--html", &html]);
    assert!(resumed.stdout == whole.stdout, "{}", told(&resumed));
    assert!(fs::read_to_string(&html).unwrap() == page);
    assert_eq!(fs::read_to_string(&state).unwrap().lines().count(), finished);
    let again = tune(&["--state", &state]);
    assert!(again.stdout == whole.stdout);
    assert_eq!(fs::read_to_string(&state).unwrap().lines().count(), finished, "nothing was played again");
    let another = tune(&["--state", &state, "--seed=2"]);
    assert_eq!(another.status.code(), Some(2));
    assert!(told(&another).contains("differs in: --seed"), "{}", told(&another));
}

#[test]
fn nothing_within_the_budget_ends_with_1_and_what_cannot_be_searched_with_2() {
    let folder = tempfile::tempdir().unwrap();
    let files = recordings(folder.path(), &[("AAA", "I1"), ("BBB", "I1")]);
    // An attack that is called ordinary is a false alarm under any rules that see attacks.
    let labels = folder.path().join("BBB.ndjson.labels.ndjson");
    let text = fs::read_to_string(&labels).unwrap().replace("\"kind\":\"I1\"", "\"kind\":\"ordinary\"");
    fs::write(&labels, text).unwrap();
    let out = folder.path().join("none.toml");
    let said = |words: &[&str]| {
        let done = fillguard(&[&["tune", "--candidates=1"], words, &texts(&files)[..]].concat());
        (done.status.code().unwrap(), told(&done))
    };
    let spec = "--param=pump_buy.alert=4..5";
    let (code, why) = said(&[spec, "--holdout=0", "--max-false=0", "--out", out.to_str().unwrap()]);
    assert!(code == 1 && why.contains("Nothing that was tried stays within the budget"), "{code} {why}");
    assert!(!out.exists() && why.contains("is not written"), "{why}");
    for (words, wanted) in [
        (&["--param=pump_bye.alert=4..5"][..], "no key of a shipped rule"),
        (&["--param=pump_buy.alert=4..5000"], "out of bounds"),
        (&["--param=planted_ask.far=0.1..0.2"], "a percentage"),
        (&["--holdout=0.9", spec], "0 to 0.8"),
        (&["--holdout=0.5", spec], "hold some out"),
        (&["--config=/nowhere.toml"], "nowhere.toml"),
        (&["--state", labels.to_str().unwrap(), spec, "--holdout=0"], "is not a file of"),
    ] {
        let (code, why) = said(words);
        assert!(code == 2 && why.contains(wanted), "{words:?}: {code} {why}");
    }
}
