//! Exceptions and silences as their owner meets them: files, commands, exit codes, and what each mistake is told as.

#![allow(clippy::unwrap_used, reason = "a test: its steps may fail")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use fillguard::config::Config;
use fillguard::domain::{Excuse, Hidden, Span};
use fillguard::runtime::clock;
use fillguard::store::Store;

/// A configuration with a folder of rules and an account whose key nobody has.
fn home() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt as _;
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name);
    fs::create_dir(at("rules")).unwrap();
    for name in ["key", "secret"] {
        fs::write(at(name), "nothing-that-opens-anything").unwrap();
        fs::set_permissions(at(name), fs::Permissions::from_mode(0o600)).unwrap();
    }
    let text = "[state]\ndir = \"state\"\n[rules]\ndir = \"rules\"\n[[account]]\nexchange = \"binance\"\nname = \"alice\"\n\
                key_file = \"key\"\nsecret_file = \"secret\"\n[notify]\nphrase = \"blue heron\"\n[notify.console]\n\
                enabled = true\n";
    fs::write(at("fillguard.toml"), text).unwrap();
    fs::set_permissions(at("fillguard.toml"), fs::Permissions::from_mode(0o644)).unwrap();
    home
}

fn fillguard(home: &Path, words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fillguard"));
    command.args(words).env("FILLGUARD_CONFIG", home.join("fillguard.toml")).env("USER", "alice").output().unwrap()
}

/// Runs it as a service does, which has no user's name.
fn nameless(home: &Path, words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fillguard"));
    command.args(words).env("FILLGUARD_CONFIG", home.join("fillguard.toml")).env_remove("USER").output().unwrap()
}

#[test]
fn who_has_no_name_asks_from_the_command_line() {
    let home = home();
    let at = home.path();
    let asked = nameless(at, &["silence", "add", "binance/alice", "--for", "2h", "--why", "moving"]);
    assert_eq!(asked.status.code(), Some(1), "no daemon runs: {}", told(&asked));
    let words = "except add grid --rule pump_buy --account binance/alice --reason dca --for 30d";
    let added = nameless(at, &words.split(' ').collect::<Vec<_>>());
    assert_eq!(added.status.code(), Some(0), "{}", told(&added));
    assert!(told(&fillguard(at, &["except", "list"])).contains("command line: dca"));
    let painted = nameless(at, &[&words.split(' ').collect::<Vec<_>>()[..], &["--owner", "b\u{1b}[31m"]].concat());
    assert_eq!(painted.status.code(), Some(2), "{}", told(&painted));
    assert!(told(&painted).contains("--owner takes one line"), "{}", told(&painted));
}

fn told(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

const WHOLE: &str = "[[exception]]\nname = \"grid\"\nrule = \"pump_buy\"\naccount = \"binance/alice\"\npair = \"APPC-BTC\"\n\
                     owner = \"alice\"\nreason = \"a grid\"\nexpires = 2026-12-01\n";

/// Returns what is said of a rule file.
fn problems(home: &Path, text: &str) -> String {
    fs::write(home.join("rules/own.toml"), text).unwrap();
    Config::pipeline_only(&home.join("fillguard.toml")).map_or_else(|problems| problems.to_string(), |_| String::new())
}

#[test]
fn every_mistake_in_an_exception_is_told_with_what_would_be_right() {
    let home = home();
    // A day within the coming year, whenever this runs.
    let soon = (clock::now() + Span::from_secs(30 * 86_400)).to_string();
    let whole = WHOLE.replace("2026-12-01", &soon[..10]);
    assert_eq!(problems(home.path(), &whole), "");
    let without = |key: &str| -> String {
        whole.lines().filter(|line| !line.starts_with(key)).map(|line| format!("{line}\n")).collect()
    };
    for (text, wanted) in [
        (without("expires"), "exception.expires: is missing: an exception ends"),
        (without("owner"), "exception.owner: is missing"),
        (without("reason"), "exception.reason: is missing"),
        (without("account"), "exception.account: is missing"),
        (without("rule"), "exception.rule: is missing"),
        (without("name"), "exception.name: is missing"),
        (whole.replace(&soon[..10], "2099-01-01"), "more than a year ahead"),
        (whole.replace(&soon[..10], "\"soon\""), "must be a day or a time with its zone"),
        (whole.replace("pump_buy", "pump_by"), "did you mean pump_buy?"),
        (whole.replace("pump_buy", "blind"), "silence the account instead"),
        (whole.replace("pump_buy", "new_key"), "speaks of no pair"),
        (whole.replace("binance/alice", "alice"), "as in \"binance/alice\""),
        (whole.replace("APPC-BTC", "APPCBTC"), "must be a pair"),
        (whole.replace("owner", "ownr"), "did you mean owner?"),
        (format!("{whole}address = \"203.0.113.0/24\"\n"), "only unfamiliar_address speaks of addresses"),
        (format!("{whole}rules = [\"churn_loss\"]\n"), "write one of the two"),
        (format!("{whole}{whole}"), "there is an exception of this name"),
    ] {
        let said = problems(home.path(), &text);
        assert!(said.contains(wanted), "{wanted}: {said}");
        assert!(said.contains("rules/own.toml:"), "{said}");
    }
    let own = "[[rule]]\nname = \"mine\"\nwhen = \"true\"\n";
    assert_eq!(
        problems(home.path(), &format!("{}{own}", whole.replace("pump_buy", "mine"))),
        "",
        "own rules have names too"
    );
}

#[test]
fn exceptions_are_added_listed_with_what_they_hid_and_removed() {
    let home = home();
    let at = home.path();
    let add = [
        "except",
        "add",
        "grid",
        "--rule",
        "pump_buy,slow_buying",
        "--account",
        "binance/alice",
        "--reason",
        "my \"grid\"",
    ];
    let refused = fillguard(at, &[&add[..], &["--for", "900d"]].concat());
    assert_eq!(refused.status.code(), Some(2));
    assert!(told(&refused).contains("more than a year ahead") && !at.join("rules/exceptions.toml").exists());
    assert_eq!(fillguard(at, &add).status.code(), Some(2), "it must end");
    let added = fillguard(at, &[&add[..], &["--for", "30d"]].concat());
    assert_eq!(added.status.code(), Some(0), "{}", told(&added));
    assert_eq!(fillguard(at, &[&add[..], &["--for", "30d"]].concat()).status.code(), Some(2), "one of each name");

    let now = clock::now();
    let config = Config::check(&at.join("fillguard.toml")).unwrap();
    let hidden = |excuse, name: &str, count| Hidden {
        excuse,
        name: name.into(),
        account: "binance/alice".parse().unwrap(),
        owner: "alice".into(),
        what: "pump_buy in APPC-BTC".into(),
        until: now + Span::from_secs(3_600),
        count,
        last: Some(now),
    };
    {
        let mut store = Store::open(&config.store_file()).unwrap();
        let rows = [hidden(Excuse::Exception, "grid", 7), hidden(Excuse::Answer, "binance-alice-9", 2)];
        store.keep_hidden(&rows, now).unwrap();
        let account = "binance/alice".parse().unwrap();
        store.silence(&account, "@b\u{1b}[31mob", "moving", now, now + Span::from_secs(3_600)).unwrap();
    }
    let list = fillguard(at, &["except", "list", "--format", "json"]);
    assert_eq!(list.status.code(), Some(0), "{}", told(&list));
    let list: serde_json::Value = serde_json::from_slice(&list.stdout).unwrap();
    let one = &list["exceptions"][0];
    assert_eq!((&one["hid"], &one["reason"], &one["over"]), (&7.into(), &"my \"grid\"".into(), &false.into()));
    let all = fillguard(at, &["silence", "list", "--format", "json"]);
    let all: serde_json::Value = serde_json::from_slice(&all.stdout).unwrap();
    for (kind, count) in [("exceptions", 1), ("silences", 1), ("snoozes", 0), ("answers", 1)] {
        let rows = all[kind].as_array().unwrap();
        assert_eq!(rows.len(), count, "{kind}: {all}");
        assert!(
            rows.iter().all(|row| row["owner"].is_string() && row["hid"].is_number() && row["expires"].is_string())
        );
    }
    let text = told(&fillguard(at, &["silence", "list"]));
    for words in [
        "exception grid: pump_buy, slow_buying about",
        "silence of binance/alice",
        "no snooze",
        "answer to binance-alice-9",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(!text.contains('\u{1b}'), "a name of a chat paints no terminal: {text}");
    assert!(told(&fillguard(at, &["check"])).contains("exception grid: pump_buy, slow_buying about binance/alice"));

    let removed = fillguard(at, &["except", "remove", "grid"]);
    assert_eq!(removed.status.code(), Some(0), "{}", told(&removed));
    assert_eq!(fillguard(at, &["except", "remove", "grid"]).status.code(), Some(2));
    assert!(told(&fillguard(at, &["except", "list"])).contains("no exception"));
}

#[test]
fn one_that_is_over_is_told_by_check_and_list() {
    let home = home();
    fs::write(home.path().join("rules/own.toml"), WHOLE.replace("2026-12-01", "2025-01-31")).unwrap();
    let checked = fillguard(home.path(), &["check"]);
    assert_eq!(checked.status.code(), Some(0));
    assert!(told(&checked).contains("warning   exception grid ended 2025-01-31T23:59:59"), "{}", told(&checked));
    let listed = fillguard(home.path(), &["except", "list"]);
    assert_eq!(listed.status.code(), Some(1));
    assert!(told(&listed).contains("OVER since"), "{}", told(&listed));
    assert_eq!(fillguard(home.path(), &["silence", "list"]).status.code(), Some(1));
}

#[test]
fn a_silence_names_a_watched_account_and_waits_for_a_daemon() {
    let home = home();
    let at = home.path();
    let wrong = fillguard(at, &["silence", "add", "binance/alise", "--for", "2h", "--why", "x"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(told(&wrong).contains("did you mean binance/alice?"), "{}", told(&wrong));
    for time in ["30d", "0s", "soon"] {
        let wrong = fillguard(at, &["silence", "add", "binance/alice", "--for", time, "--why", "x"]);
        assert_eq!(wrong.status.code(), Some(2), "{time}");
    }
    assert_eq!(fillguard(at, &["silence", "remove", "binance/alice"]).status.code(), Some(2), "there is none");
    let asked = fillguard(at, &["silence", "add", "binance/alice", "--for", "2h", "--why", "moving"]);
    assert_eq!(asked.status.code(), Some(1), "no daemon runs: {}", told(&asked));
    for (option, text) in [("--by", "b\u{1b}[31m\nroot"), ("--why", "a\u{1b}[2Jb"), ("--by", " ")] {
        let mut words = vec!["silence", "add", "binance/alice", "--for", "2h", option, text];
        words.extend((option == "--by").then_some(["--why", "moving"]).into_iter().flatten());
        let wrong = fillguard(at, &words);
        assert_eq!(wrong.status.code(), Some(2), "{}", told(&wrong));
        assert!(told(&wrong).contains(&format!("{option} takes one line")), "{}", told(&wrong));
    }
}
