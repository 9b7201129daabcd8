//! The commands about keys and evidence, as their users run them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test: its steps may fail")]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use fillguard::arrival::{Body, Incoming, Source};
use fillguard::domain::{
    AccountId, Effect, EffectKind, Family, Finding, Incident, IncidentId, Kind, Level, Reason, RuleName, Story, Symbol,
    Term, Timestamp, Transition,
};
use fillguard::evidence::{read, verify};
use fillguard::journal::{self, Journal};
use fillguard::store::Store;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;

const SECRET: &str = "NotARealSecretButLongEnough0123456789";

struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Home {
        let home = Home(tempfile::tempdir().unwrap());
        let text = r#"
            [state]
            dir = "state"
            [[account]]
            exchange = "binance"
            name = "alice"
            tags = ["platform"]
            key_file = "alice.key"
            secret_file = "alice.secret"
            [notify.console]
            enabled = true
        "#;
        for (name, text) in
            [("fillguard.toml", text), ("alice.key", "key-id-of-alice-0123456789"), ("alice.secret", SECRET)]
        {
            fs::write(home.path(name), text).unwrap();
            fs::set_permissions(home.path(name), Permissions::from_mode(0o600)).unwrap();
        }
        fs::create_dir(home.path("state")).unwrap();
        fs::set_permissions(home.path("state"), Permissions::from_mode(0o700)).unwrap();
        home
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs a command; returns its exit code and all that it said.
    fn run(&self, args: &[&str]) -> (i32, String) {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_fillguard"));
        let output = command.args(args).current_dir(self.0.path()).env("FILLGUARD_CONFIG", "fillguard.toml").output();
        let output = output.unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap(), String::from_utf8(said).unwrap())
    }
}

#[test]
fn a_dump_with_a_key_in_it_is_told_by_place_and_nothing_of_it_is_shown() {
    let home = Home::new();
    fs::create_dir(home.path("dump")).unwrap();
    fs::write(home.path("dump/a.csv"), format!("id,secret\n1,{SECRET}\n")).unwrap();
    fs::write(home.path("dump/b.csv"), "id,secret\n1,somebody else's\n").unwrap();
    let (code, said) = home.run(&["leakcheck", "dump"]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("binance/alice: its secret (plain) in dump/a.csv at byte 12"), "{said}");
    assert!(!said.contains(SECRET) && !said.contains(&SECRET[..8]), "{said}");
    let (code, said) = home.run(&["leakcheck", "dump/b.csv"]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(home.run(&["leakcheck", "nowhere"]).0, 2);
}

/// An incident about two stolen orders and one of the owner's, with the frames that tell them.
fn happened(home: &Path) -> IncidentId {
    let account: AccountId = "binance/alice".parse().unwrap();
    let start = Timestamp::from_millis(1_763_800_000_000);
    let at = |secs: i64| start + fillguard::domain::Span::from_secs(secs);
    let settings = journal::Settings { dir: home.join("state/journal"), ..journal::Settings::default() };
    let (mut journal, _) = Journal::open(settings, start).unwrap();
    let mut put = |from: &str, secs: i64, frame: serde_json::Value| {
        let from: Source = from.parse().unwrap();
        let arrival = Incoming { at: at(secs), from, body: Body::from_text(frame.to_string()) };
        journal.append(arrival).unwrap().n
    };
    put("access/gateway", 9, json!({"account": "alice", "ip": "203.0.113.7", "client_order_id": "ours-1"}));
    let mut last = 0;
    for (secs, client, order) in [(10, "ours-1", 1), (60, "Zx81", 2), (61, "<script>alert(1)</script>", 3)] {
        let millis = at(secs).millis();
        last = put(
            "binance/alice",
            secs,
            json!({"subscriptionId": 0, "event": {
                "e": "executionReport", "E": millis, "s": "APCBTC", "c": client, "S": "BUY", "o": "LIMIT", "f": "GTC",
                "q": "10.00000000", "p": "0.00010000", "P": "0.00000000", "F": "0.00000000", "g": -1, "C": "",
                "x": "TRADE", "X": "FILLED", "r": "NONE", "i": order, "l": "10.00000000", "z": "10.00000000",
                "L": "0.00010000", "n": "0.00001000", "N": "BNB", "T": millis, "t": order, "I": order, "w": false,
                "m": true, "M": true, "O": millis, "Z": "0.00100000", "Y": "0.00100000", "W": millis, "V": "NONE",
                "Q": "0.00000000"}}),
        );
    }
    // One request of the gateway about two accounts, and a switch about another.
    put(
        "access/gateway",
        62,
        json!({"fillguard": {"request": {"key": "5f", "body": "e0", "accepted": 2, "duplicates": 0}, "lines": [
            {"account": "bob", "ip": "198.51.100.44"}, {"account": "alice", "ip": "203.0.113.8"}]}}),
    );
    put(
        "operator",
        62,
        json!({"leak_mode": [{"account": "binance/bob", "why": "bobs-reason", "until": 1_863_800_000_000_000_000_i64}]}),
    );
    put("kucoin/stranger", 62, json!({"topic": "of somebody else"}));
    put("respond", 63, json!({"respond": "begun", "account": "binance/alice", "step": 0}));
    journal.commit(at(63)).unwrap();
    drop(journal);
    let finding = Finding {
        prices: Vec::new(),
        account: account.clone(),
        symbol: Some(Symbol::from_dashed("APC-BTC").unwrap()),
        rule: RuleName::PumpBuy,
        kind: Kind::Pump,
        level: Level::Act,
        score: 12.0,
        terms: vec![Term { name: "market".into(), family: Family::Market, nats: 7.0, value: 1.0, unit: "x".into() }],
        loss: None,
        orders: vec!["2".into(), "3".into()],
        reason: Reason::SoldOff { assets: Vec::new(), seconds: 1.0 },
        n: last,
        at: at(61),
    };
    let incident = Incident {
        id: IncidentId::new(&account, last, 0),
        account,
        story: Story::Takeover,
        level: Level::Act,
        opened: at(60),
        last: at(61),
        closed: None,
        findings: vec![finding.clone()],
        count: 1,
        loss: Vec::new(),
        plan: Vec::new(),
    };
    let id = incident.id.clone();
    let kind = EffectKind::Incident { transition: Transition::Opened, incident, finding: Some(finding), message: None };
    let mut store = Store::open(&home.join("state/fillguard.db")).unwrap();
    store.take(&[Effect { n: last, place: 0, at: at(61), kind }], &[]).unwrap();
    id
}

#[test]
fn the_evidence_of_an_incident_holds_its_own_frames_and_a_changed_byte_is_found() {
    let home = Home::new();
    let id = happened(home.0.path());
    let (code, said) = home.run(&["evidence", id.as_str(), "--out", "case", "--zone", "UTC"]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("3 orders, 2 of them not the owner's"), "{said}");
    let (code, said) = home.run(&["verify", "case"]);
    assert_eq!(code, 0, "{said}");
    let report: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(home.path("case/report.json")).unwrap()).unwrap();
    let sent: Vec<String> =
        report["orders"].as_array().unwrap().iter().map(|order| order["sent"].to_string()).collect();
    assert!(sent[0].contains("203.0.113.7") && sent[1] == "\"no\"" && sent[2] == "\"no\"", "{sent:?}");
    assert_eq!(report["spent"]["BTC"], "0.00200000");
    assert_eq!(report["journal_numbers"], json!([1, 2, 3, 4, 5, 8]), "not the stranger's");
    let frames = fs::read_to_string(home.path("case/frames.ndjson")).unwrap();
    assert!(frames.contains("203.0.113.8") && report["uses"].to_string().contains("203.0.113.8"), "{report}");
    for told in [&frames, &report.to_string(), &fs::read_to_string(home.path("case/report.html")).unwrap()] {
        assert!(!told.contains("198.51.100.44") && !told.contains("bobs-reason"), "of another account: {told}");
    }
    assert!(frames.contains("\"about_others_left_out\":1"), "{frames}");
    let html = fs::read_to_string(home.path("case/report.html")).unwrap();
    assert!(html.contains("&lt;script&gt;") && !html.contains("<script"));
    assert!(html.contains("2025-11-22"), "the time in UTC");
    let (code, _) = home.run(&["evidence", id.as_str(), "--out", "case.tar"]);
    assert_eq!((code, home.run(&["verify", "case.tar"]).0), (0, 0));
    // Every byte of every file counts, through the same check that the command uses.
    let bundle = read(&home.path("case")).unwrap().unwrap();
    assert_eq!(bundle.files.len(), 5);
    let archive = fs::read(home.path("case.tar")).unwrap();
    let broken = home.path("broken.tar");
    let mut runner = TestRunner::new(Config { cases: 400, failure_persistence: None, ..Config::default() });
    let change = (any::<Index>(), any::<Index>(), 1..=255_u8, any::<Index>());
    let found = runner.run(&change, |(file, byte, flip, of_archive)| {
        let mut changed = bundle.clone();
        let place = file.index(changed.files.len());
        let (name, data) = &mut changed.files[place];
        let at = byte.index(data.len());
        data[at] ^= flip;
        let name = name.clone();
        prop_assert!(!verify(&changed).1.is_empty(), "byte {} of {}", at, name);
        let mut shorter = bundle.clone();
        shorter.files[place].1.truncate(at);
        prop_assert!(!verify(&shorter).1.is_empty(), "{} cut at {}", name, at);
        let mut longer = bundle.clone();
        longer.files[place].1.push(flip);
        prop_assert!(!verify(&longer).1.is_empty(), "{} with a byte more", name);
        let mut changed = archive.clone();
        let at = of_archive.index(changed.len());
        changed[at] ^= flip;
        fs::write(&broken, changed).unwrap();
        let sound = read(&broken).unwrap().is_ok_and(|bundle| verify(&bundle).1.is_empty());
        prop_assert!(!sound, "byte {} of the archive", at);
        Ok(())
    });
    found.unwrap();
    for place in 0..bundle.files.len() {
        let mut less = bundle.clone();
        let (name, data) = less.files.remove(place);
        assert!(!verify(&less).1.is_empty(), "without {name}");
        let mut twice = bundle.clone();
        twice.files.push((name.clone(), [data.as_slice(), b" "].concat()));
        assert!(!verify(&twice).1.is_empty(), "{name} twice: who unpacks it gets the last");
    }
    let mut more = bundle.clone();
    more.files.push(("notes.txt".into(), Vec::new()));
    assert!(!verify(&more).1.is_empty());
    let mut frames = fs::read(home.path("case/frames.ndjson")).unwrap();
    frames[200] ^= 1;
    fs::write(home.path("case/frames.ndjson"), frames).unwrap();
    let (code, said) = home.run(&["verify", "case"]);
    assert!(code == 1 && said.contains("frames.ndjson"), "{said}");
}

#[test]
fn responses_are_listed_and_what_cannot_be_answered_is_said() {
    let home = Home::new();
    let id = happened(home.0.path());
    let (code, said) = home.run(&["respond", "log"]);
    assert!(code == 0 && said.contains("nothing was ever done"), "{said}");
    let (code, said) = home.run(&["respond", "approve", id.as_str()]);
    assert!(code == 2 && said.contains("no response to that incident"), "{said}");
    let (code, said) = home.run(&["respond", "plan", id.as_str()]);
    assert!(code == 0 && said.contains("for a person"), "{said}");
    let (code, said) = home.run(&["panic", "--tag", "platform", "--dry-run"]);
    assert!(code == 0 && said.contains("1 accounts, 0 keys"), "{said}");
    assert_eq!(home.run(&["panic"]).0, 2);
    assert_eq!(home.run(&["panic", "--tag", "nobody"]).0, 2);
}
