//! Attacks relabelled on real tapes, and ordinary accounts beside them, replayed and counted.
//!
//! Runs where the tapes are: `../shared/data`, or `$FILLGUARD_SHARED/data`. Elsewhere it says why it did not.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test: its steps may fail, and its table is read by people"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use fillguard::arrival::{Arrival, Body};
use fillguard::domain::{
    AccountId, Asset, Effect, EffectKind, Family, Finding, Incident, IncidentId, Kind, Level, Money, Reason, RuleName,
    Story, Term, Transition,
};
use fillguard::tune::evaluate::{Settings, Step, evaluate};
use fillguard::tune::import;
use fillguard::tune::labels::What;
use fillguard::tune::ordinary::Trader;
use rust_decimal::Decimal;

fn data() -> Option<PathBuf> {
    let shared = std::env::var_os("FILLGUARD_SHARED")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared")), PathBuf::from);
    let data = shared.join("data");
    if data.join("events.csv").is_file() {
        return Some(data);
    }
    println!("skipped: no tapes under {}; set FILLGUARD_SHARED to the folder that holds data/", data.display());
    None
}

/// Alarms at the first fill of a pair that is new to an account of 20 fills: a rule so plain that what it finds can be
/// told beforehand.
#[derive(Default)]
struct NewPair {
    pairs: BTreeMap<AccountId, (u64, BTreeSet<String>)>,
}

impl NewPair {
    fn step(&mut self, arrival: &Arrival) -> Vec<Effect> {
        let (Some(account), Body::Frame(frame)) = (arrival.from.account(), &arrival.body) else { return Vec::new() };
        let frame: serde_json::Value = serde_json::from_str(frame.get()).unwrap();
        let event = &frame["event"];
        if event["x"] != "TRADE" {
            return Vec::new();
        }
        let (fills, pairs) = self.pairs.entry(account.clone()).or_default();
        *fills += 1;
        let new = pairs.insert(event["s"].as_str().unwrap().to_owned());
        if new && *fills > 20 { vec![alert(account, arrival)] } else { Vec::new() }
    }
}

fn alert(account: &AccountId, arrival: &Arrival) -> Effect {
    let zero = Money::new(Decimal::ZERO, Asset::new("BTC").unwrap());
    let term = Term { name: "new".into(), family: Family::Habit, nats: 1.0, value: 1.0, unit: "pairs".into() };
    let finding = Finding {
        account: account.clone(),
        symbol: None,
        rule: RuleName::PumpBuy,
        kind: Kind::Pump,
        level: Level::Alert,
        score: 1.0,
        terms: vec![term],
        loss: None,
        orders: Vec::new(),
        reason: Reason::Stands { spent: zero, times_usual: 1.0, move_percent: 0.0, new_pair: true, buy: true },
        n: arrival.n,
        at: arrival.at,
    };
    let incident = Incident {
        id: IncidentId::new(account, arrival.n, 0),
        account: account.clone(),
        story: Story::Takeover,
        level: Level::Alert,
        opened: arrival.at,
        last: arrival.at,
        closed: None,
        findings: vec![finding.clone()],
        count: 1,
        loss: Vec::new(),
        plan: Vec::new(),
    };
    let kind = EffectKind::Incident { transition: Transition::Opened, incident, finding: Some(finding), message: None };
    Effect { n: arrival.n, place: 0, at: arrival.at, kind }
}

fn new_pair() -> Step {
    let mut rule = NewPair::default();
    Box::new(move |arrival| rule.step(arrival))
}

#[test]
fn attacks_and_ordinary_accounts_of_real_tapes_are_counted() {
    let Some(data) = data() else { return };
    let settings = Settings {
        tapes: Some(22),
        ordinary: vec![Trader::Chaser, Trader::Grid],
        ordinary_days: 30,
        threads: 2,
        // Short enough for a build without optimisation.
        import: import::Settings { days_before: 1.5, history_days: 14.0, ..import::Settings::default() },
        ..Settings::default()
    };
    let report = evaluate(&data, &settings, &new_pair).unwrap();
    println!("{report}");
    assert!(report.tapes >= 20, "{} tapes", report.tapes);
    for what in [What::Burst, What::LiquidateThenBurst] {
        let attacks = report.score.attacks(Level::Alert, what);
        assert!(attacks.len() >= 20, "{what}: n = {}", attacks.len());
        // Accounts with fewer than 20 fills, and those that had bought the coin in ordinary time, are passed over.
        let caught = attacks.iter().filter(|caught| caught.alarm.is_some()).count();
        assert!(caught * 10 >= attacks.len() * 4, "{what}: {caught} of {}", attacks.len());
    }
    let noise = report.score.false_alarms(Level::Alert);
    assert!(noise.episodes > 0 && noise.months > 40.0, "{noise:?}");
    assert_eq!(report.score.false_alarms(Level::Act).episodes, 0);
}

#[test]
fn the_report_is_the_same_with_one_thread_and_with_two() {
    let Some(data) = data() else { return };
    let import = import::Settings { history_days: 7.0, ..import::Settings::default() };
    let settings =
        Settings { tapes: Some(3), attacks: vec![What::KnownPair, What::Churn], import, ..Settings::default() };
    let one = evaluate(&data, &settings, &new_pair).unwrap();
    let two = evaluate(&data, &Settings { threads: 2, ..settings }, &new_pair).unwrap();
    assert_eq!(one.to_string(), two.to_string());
}
