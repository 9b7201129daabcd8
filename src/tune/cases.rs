//! Which attacks were missed or told of late, and who was alarmed wrongly: where each can be found again.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::labels::{Label, What};
use super::ordinary::Trader;
use super::score::{Alarm, EPISODE, FirstAlarm, Loudness, first_alarm, in_time, louder};
use crate::domain::{AccountId, Kind, Level, Timestamp};

/// Where a recording comes from, so that it can be made or read again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// A file.
    File(PathBuf),
    /// A tape with a victim on it.
    Tape {
        /// The tape's name.
        file: String,
        /// The seed of what is drawn.
        seed: u64,
        /// What is done to the victim.
        attack: What,
        /// Whether the ordinary accounts are beside it.
        crowd: bool,
    },
    /// Generated trading without a tape.
    Ordinary {
        /// The seed of what is drawn.
        seed: u64,
        /// Who trades.
        trader: Trader,
    },
}

/// When an incident spoke, and which rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Spoken {
    /// When.
    pub at: Timestamp,
    /// How loud.
    pub level: Level,
    /// Which rule.
    pub rule: String,
}

/// One attack, or one episode of false alarms, at level `alert` and above.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// The recording it is in.
    pub origin: Origin,
    /// Whose account.
    pub account: AccountId,
    /// The attack, or ordinary time for a false alarm.
    pub what: What,
    /// How the account trades when it is its owner's.
    pub trader: String,
    /// The pair that was attacked, or that was spoken of.
    pub pair: Option<String>,
    /// Whether the labels list the hostile orders, so that money can be counted.
    pub listed: bool,
    /// When the attack began; for a false alarm when it was raised.
    pub since: Timestamp,
    /// When the attack ended; for a false alarm when it was last heard.
    pub until: Timestamp,
    /// What the first alarm came to; none for a missed attack and for false alarms.
    pub first: Option<FirstAlarm>,
    /// How loud it became.
    pub loudest: Option<Loudness>,
    /// The first moment of each level.
    pub spoken: Vec<Spoken>,
}

/// False alarms noted of one account in one recording; more look alike.
const MOST_OF_ONE: usize = 4;
/// Cases shown of one kind.
const MOST_OF_A_KIND: usize = 2;

impl Case {
    /// Notes the attacks and the false alarms of a recording.
    pub fn of(alarms: &[Alarm], labels: &[Label], origin: &Origin) -> Vec<Case> {
        let mut cases = Vec::new();
        for label in labels {
            let loud = |alarm: &&Alarm| alarm.level >= Level::Alert && alarm.kind != Kind::Blind;
            let own = alarms.iter().filter(loud).filter(|alarm| alarm.account == label.account);
            if label.kind == What::Ordinary {
                let own = own.filter(|alarm| (label.first.n..=label.last.n).contains(&alarm.n));
                cases.extend(episodes(own, label, origin));
            } else {
                let own: Vec<&Alarm> = own.filter(|alarm| in_time(alarm, label)).collect();
                let mut case = Case::new(label, origin, label.since());
                case.until = label.until();
                case.pair = label.hostile.as_ref().map(|hostile| hostile.pair.clone());
                case.first = own.first().map(|alarm| first_alarm(alarm, label));
                own.into_iter().for_each(|alarm| case.hear(alarm));
                cases.push(case);
            }
        }
        cases
    }

    fn new(label: &Label, origin: &Origin, since: Timestamp) -> Case {
        Case {
            origin: origin.clone(),
            account: label.account.clone(),
            what: label.kind,
            trader: label.trader.clone(),
            pair: None,
            listed: label.hostile.is_some(),
            since,
            until: since,
            first: None,
            loudest: None,
            spoken: Vec::new(),
        }
    }

    fn hear(&mut self, alarm: &Alarm) {
        if self.spoken.iter().all(|spoken| spoken.level < alarm.level) {
            self.spoken.push(Spoken { at: alarm.at, level: alarm.level, rule: alarm.rule.clone() });
        }
        let loud = Loudness(alarm.level, alarm.nats);
        self.loudest = Some(self.loudest.map_or(loud, |before| louder(before, loud)));
        if self.pair.is_none() {
            self.pair.clone_from(&alarm.pair);
        }
    }

    /// Returns the share of the money that was traded before anybody was told: all of it where nobody was.
    pub fn traded(&self) -> f64 {
        self.first.map_or(1.0, |first| first.traded.unwrap_or(0.0))
    }
}

/// Returns the attacks that went worst: missed ones, then those told of when most was gone; few of each kind.
pub fn worst(cases: &[Case], most: usize) -> Vec<&Case> {
    let mut attacks: Vec<&Case> = cases.iter().filter(|case| case.what != What::Ordinary).collect();
    attacks.sort_by(|a, b| {
        let key = |case: &Case| (case.first.is_some(), case.origin.clone(), case.account.clone());
        b.traded().total_cmp(&a.traded()).then_with(|| key(a).cmp(&key(b)))
    });
    few(attacks, most, |case| case.what.as_str().to_owned())
}

/// Returns the loudest false alarms; few of each kind of trader.
pub fn loudest(cases: &[Case], most: usize) -> Vec<&Case> {
    let mut wrong: Vec<&Case> = cases.iter().filter(|case| case.what == What::Ordinary).collect();
    wrong.sort_by(|a, b| {
        let nats = |case: &Case| case.loudest.map_or((Level::Notice, 0.0), |loud| (loud.0, loud.1));
        let key = |case: &Case| (case.origin.clone(), case.account.clone(), case.since);
        (nats(b).0.cmp(&nats(a).0)).then(nats(b).1.total_cmp(&nats(a).1)).then_with(|| key(a).cmp(&key(b)))
    });
    few(wrong, most, |case| case.trader.clone())
}

fn few(sorted: Vec<&Case>, most: usize, kind: impl Fn(&Case) -> String) -> Vec<&Case> {
    let mut taken: BTreeMap<String, usize> = BTreeMap::new();
    let mut kept = Vec::new();
    for case in sorted {
        let count = taken.entry(kind(case)).or_default();
        if *count < MOST_OF_A_KIND && kept.len() < most {
            *count += 1;
            kept.push(case);
        }
    }
    kept
}

fn episodes<'a>(own: impl Iterator<Item = &'a Alarm>, label: &Label, origin: &Origin) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for alarm in own {
        match cases.last_mut() {
            Some(case) if alarm.at.since(case.until) <= EPISODE => {
                case.hear(alarm);
                case.until = alarm.at;
            }
            Some(_) | None => {
                let mut case = Case::new(label, origin, alarm.at);
                case.hear(alarm);
                cases.push(case);
            }
        }
    }
    cases.truncate(MOST_OF_ONE);
    cases
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Origin::File(path) => write!(f, "{}", path.display()),
            Origin::Tape { file, seed, attack, .. } => write!(f, "tape {file}, {attack}, seed {seed}"),
            Origin::Ordinary { seed, trader } => write!(f, "generated {trader}, seed {seed}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::labels::Mark;
    use super::*;

    fn alarm(secs: i64, level: Level, nats: f64) -> Alarm {
        Alarm {
            account: "binance/v".parse().unwrap(),
            at: Timestamp::from_millis(secs * 1_000),
            n: secs as u64,
            level,
            kind: Kind::Pump,
            nats,
            hidden: None,
            rule: "pump_buy".into(),
            pair: Some("ADX-BTC".into()),
        }
    }

    fn label(kind: What, first: i64, last: i64) -> Label {
        let mark = |secs: i64| Mark { n: secs as u64, at: secs * 1_000_000_000 };
        let account = "binance/v".parse().unwrap();
        Label { account, kind, trader: "dca".into(), first: mark(first), last: mark(last), hostile: None }
    }

    #[test]
    fn attacks_and_false_alarms_are_found_again_and_the_worst_come_first() {
        let labels =
            [label(What::Ordinary, 1, 9_999), label(What::Burst, 10_000, 10_060), label(What::Churn, 20_000, 20_100)];
        let alarms = [
            alarm(100, Level::Notice, 4.5),
            alarm(200, Level::Alert, 6.5),
            alarm(300, Level::Act, 9.0),
            alarm(5_000, Level::Alert, 7.0),
            alarm(10_020, Level::Alert, 7.0),
        ];
        let cases = Case::of(&alarms, &labels, &Origin::File("a.ndjson".into()));
        assert_eq!(cases.len(), 4);
        let wrong: Vec<_> =
            loudest(&cases, 9).iter().map(|case| (case.since.millis() / 1_000, case.spoken.len())).collect();
        assert_eq!(wrong, [(200, 2), (5_000, 1)]);
        let gone: Vec<_> =
            worst(&cases, 9).iter().map(|case| (case.what, case.first.map(|first| first.delay_s))).collect();
        assert_eq!(gone, [(What::Churn, None), (What::Burst, Some(20.0))]);
        assert_eq!(worst(&cases, 1).len(), 1);
    }
}
