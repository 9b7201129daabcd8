//! What the rules raised, held against what was done.

use std::collections::BTreeMap;

use compact_str::CompactString;
use rust_decimal::Decimal;
use serde::Serialize;
use statrs::distribution::{ChiSquared, ContinuousCDF};

use super::labels::{Hostile, Label, What};
use super::market::figure;
use crate::alert::hidden_by;
use crate::domain::{AccountId, Effect, EffectKind, Kind, Level, Side, Span, Timestamp, Transition};

/// A moment at which an incident spoke.
#[derive(Clone, Debug, PartialEq)]
pub struct Alarm {
    /// About whom.
    pub account: AccountId,
    /// When.
    pub at: Timestamp,
    /// On which arrival.
    pub n: u64,
    /// How loud.
    pub level: Level,
    /// About what.
    pub kind: Kind,
    /// The weight of its evidence, in nats.
    pub nats: f64,
    /// The exception that hid it, and how loud it would have been.
    pub hidden: Option<(CompactString, Level)>,
    /// Which rule said it.
    pub rule: String,
    /// Of which pair, where of one.
    pub pair: Option<String>,
}

/// How loud somebody was called at most: by level, and within it by evidence, in nats.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Loudness(pub Level, pub f64);

/// What became of one attack, at one level.
#[derive(Clone, Debug, PartialEq)]
pub struct Caught {
    /// The attack.
    pub what: What,
    /// The first alarm, or nothing when it was missed.
    pub alarm: Option<FirstAlarm>,
}

/// An account's ordinary time in one recording.
#[derive(Clone, Debug, PartialEq)]
pub struct Watched {
    /// How its owner trades.
    pub trader: String,
    /// How long, in months.
    pub months: f64,
    /// Episodes of false alarms, each with its loudest moment.
    pub episodes: Vec<Loudness>,
}

/// The first alarm about an attack.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FirstAlarm {
    /// Seconds from the first hostile arrival.
    pub delay_s: f64,
    /// Share of the hostile quote in the attacked pair that had been traded, with the order that convinced; not known
    /// where labels do not list the orders.
    pub traded: Option<f64>,
    /// Share of the whole loss that had been made, against the price before the attack; not known where labels do not
    /// tell, or nothing was lost.
    pub lost: Option<f64>,
    /// True when no hostile order had bought anything yet.
    pub before_first_buy: bool,
    /// Share of the equity that completed round trips had lost, for a churn.
    pub churned: f64,
}

/// False alarms of one level in ordinary time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Noise {
    /// Episodes: alarms of one account within half an hour are one.
    pub episodes: u64,
    /// Ordinary time watched, in account-months.
    pub months: f64,
}

/// A share or rate with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// The estimate.
    pub value: f64,
    /// Where the interval begins.
    pub low: f64,
    /// Where it ends.
    pub high: f64,
}

/// Everything that is counted; scores of several recordings add up.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Score {
    /// What became of each attack, by level: at least notice, at least alert, act.
    pub caught: BTreeMap<Level, Vec<Caught>>,
    /// False alarms by level and by how the owner trades.
    pub noise: BTreeMap<(Level, String), Noise>,
    /// How loud each attack was called at most, in the order of `caught`.
    pub loudest: Vec<Option<Loudness>>,
    /// Each account's ordinary time.
    pub watched: Vec<Watched>,
    /// Attacks that nobody was told of because an exception hid them: its name, the attack and the account.
    pub swallowed: Vec<(CompactString, What, AccountId)>,
}

/// Alarms that come so long after the last hostile arrival still count.
pub const GRACE: Span = Span::from_secs(120);
/// Alarms of one account that come within this span of each other are one episode.
pub const EPISODE: Span = Span::from_secs(1_800);
/// A month, in seconds.
const MONTH_S: f64 = 30.44 * 86_400.0;

impl Alarm {
    /// Reads an effect: what an incident said when it opened, grew louder or was updated; nothing when it closed.
    pub fn of(effect: &Effect) -> Option<Alarm> {
        let EffectKind::Incident { transition, incident, finding, .. } = &effect.kind;
        match transition {
            Transition::Opened | Transition::Raised | Transition::Updated => {}
            Transition::Closed => return None,
        }
        let finding = finding.as_ref()?;
        let account = incident.account.clone();
        let (level, kind, nats) = (finding.level, finding.kind, finding.score);
        let hidden = hidden_by(finding).map(|(name, level)| (name.clone(), level));
        let (rule, pair) = (finding.rule_name().to_owned(), finding.symbol.as_ref().map(ToString::to_string));
        Some(Alarm { account, at: effect.at, n: effect.n, level, kind, nats, hidden, rule, pair })
    }
}

impl Score {
    /// Holds the alarms of one recording, in the order they came, against its labels.
    ///
    /// An account without any label is nobody's and not counted. Statements that we cannot see ([`Kind::Blind`]) are
    /// no verdict on an order and are left out.
    pub fn of(alarms: &[Alarm], labels: &[Label]) -> Score {
        let mut score = Score { swallowed: swallowed(alarms, labels), ..Score::default() };
        let told: Vec<Alarm> = alarms.iter().filter(|alarm| alarm.hidden.is_none()).cloned().collect();
        let alarms = &told;
        for &level in Level::ALL {
            let loud: Vec<&Alarm> = alarms.iter().filter(|a| a.level >= level && a.kind != Kind::Blind).collect();
            for label in labels {
                let own = loud.iter().copied().filter(|alarm| alarm.account == label.account);
                if label.kind == What::Ordinary {
                    let noise = score.noise.entry((level, label.trader.clone())).or_default();
                    noise.months += months(label);
                    noise.episodes += episodes(own, label).len() as u64;
                } else {
                    score.caught.entry(level).or_default().push(caught(own, label));
                }
            }
        }
        for label in labels {
            let own = alarms.iter().filter(|alarm| alarm.kind != Kind::Blind && alarm.account == label.account);
            if label.kind == What::Ordinary {
                let (trader, months) = (label.trader.clone(), months(label));
                score.watched.push(Watched { trader, months, episodes: episodes(own, label) });
            } else {
                let loud = own.filter(|alarm| in_time(alarm, label)).map(|alarm| Loudness(alarm.level, alarm.nats));
                score.loudest.push(loud.reduce(louder));
            }
        }
        score
    }

    /// Adds another recording's score.
    pub fn add(&mut self, other: Score) {
        for (level, caught) in other.caught {
            self.caught.entry(level).or_default().extend(caught);
        }
        for (key, noise) in other.noise {
            let sum = self.noise.entry(key).or_default();
            sum.episodes += noise.episodes;
            sum.months += noise.months;
        }
        self.loudest.extend(other.loudest);
        self.watched.extend(other.watched);
        self.swallowed.extend(other.swallowed);
    }

    /// Returns the attacks of one kind that were held against a level.
    pub fn attacks(&self, level: Level, what: What) -> Vec<&Caught> {
        self.caught.get(&level).into_iter().flatten().filter(|caught| caught.what == what).collect()
    }

    /// Returns the false alarms of a level over all traders.
    pub fn false_alarms(&self, level: Level) -> Noise {
        let of_level = self.noise.iter().filter(|((of, _), _)| *of == level);
        of_level.fold(Noise::default(), |sum, (_, noise)| Noise {
            episodes: sum.episodes + noise.episodes,
            months: sum.months + noise.months,
        })
    }
}

impl Noise {
    /// Returns episodes per account-month with the exact Poisson interval; for none in T months it ends at 3.7/T.
    pub fn rate(self) -> Interval {
        let k = self.episodes as f64;
        let quantile = |freedom: f64, p: f64| ChiSquared::new(freedom).map_or(f64::NAN, |chi| chi.inverse_cdf(p));
        let low = if self.episodes == 0 { 0.0 } else { quantile(2.0 * k, 0.025) / 2.0 };
        let high = quantile(2.0 * k + 2.0, 0.975) / 2.0;
        Interval { value: k / self.months, low: low / self.months, high: high / self.months }
    }
}

impl Interval {
    /// Returns `hits` of `n` with Wilson's interval.
    pub fn share(hits: usize, n: usize) -> Interval {
        if n == 0 {
            return Interval { value: f64::NAN, low: 0.0, high: 1.0 };
        }
        let (n, z) = (n as f64, 1.959_964);
        let p = hits as f64 / n;
        let scale = 1.0 + z * z / n;
        let middle = (p + z * z / (2.0 * n)) / scale;
        let half = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt() / scale;
        Interval { value: p, low: (middle - half).max(0.0), high: (middle + half).min(1.0) }
    }
}

/// Returns the value below which `share` of the figures lie; nothing of an empty list.
pub fn quantile(mut figures: Vec<f64>, share: f64) -> Option<f64> {
    figures.sort_by(f64::total_cmp);
    let place = (share * figures.len() as f64).ceil() as usize;
    figures.get(place.saturating_sub(1)).copied()
}

/// Returns the attacks of which people were told nothing, and would have been but for an exception.
fn swallowed(alarms: &[Alarm], labels: &[Label]) -> Vec<(CompactString, What, AccountId)> {
    let mut swallowed = Vec::new();
    for label in labels.iter().filter(|label| label.kind != What::Ordinary) {
        let own: Vec<&Alarm> =
            alarms.iter().filter(|one| one.account == label.account && in_time(one, label)).collect();
        if own.iter().any(|one| one.hidden.is_none() && one.level >= Level::Alert && one.kind != Kind::Blind) {
            continue;
        }
        let hid = own.iter().filter_map(|one| one.hidden.as_ref()).find(|(_, level)| *level >= Level::Alert);
        swallowed.extend(hid.map(|(name, _)| (name.clone(), label.kind, label.account.clone())));
    }
    swallowed
}

fn months(label: &Label) -> f64 {
    label.until().since(label.since()).secs_f64() / MONTH_S
}

pub(super) fn louder(one: Loudness, other: Loudness) -> Loudness {
    if other > one { other } else { one }
}

fn episodes<'a>(own: impl Iterator<Item = &'a Alarm>, label: &Label) -> Vec<Loudness> {
    let mut episodes: Vec<Loudness> = Vec::new();
    let mut last = None::<Timestamp>;
    for alarm in own.filter(|alarm| (label.first.n..=label.last.n).contains(&alarm.n)) {
        let loud = Loudness(alarm.level, alarm.nats);
        match episodes.last_mut() {
            Some(episode) if last.is_some_and(|last| alarm.at.since(last) <= EPISODE) => {
                *episode = louder(*episode, loud);
            }
            Some(_) | None => episodes.push(loud),
        }
        last = Some(alarm.at);
    }
    episodes
}

pub(super) fn in_time(alarm: &Alarm, label: &Label) -> bool {
    alarm.n >= label.first.n && alarm.at <= label.until() + GRACE
}

fn caught<'a>(mut own: impl Iterator<Item = &'a Alarm>, label: &Label) -> Caught {
    let alarm = own.find(|alarm| in_time(alarm, label)).map(|alarm| first_alarm(alarm, label));
    Caught { what: label.kind, alarm }
}

/// Returns what an attack had come to when it was first told of.
pub(super) fn first_alarm(alarm: &Alarm, label: &Label) -> FirstAlarm {
    FirstAlarm {
        delay_s: alarm.at.since(label.since()).secs_f64(),
        traded: label.hostile.as_ref().map(|hostile| traded(alarm.n, hostile)),
        lost: label.hostile.as_ref().and_then(|hostile| lost(alarm.n, hostile)),
        before_first_buy: label
            .hostile
            .as_ref()
            .is_some_and(|hostile| !hostile.orders.iter().any(|order| order.side == Side::Buy && order.n <= alarm.n)),
        churned: label.hostile.as_ref().map_or(0.0, |hostile| churned(alarm.n, label.kind, hostile)),
    }
}

/// Returns which share of the hostile quote in the attacked pair had been traded when arrival `n` had been seen.
fn traded(n: u64, hostile: &Hostile) -> f64 {
    let sum = |until: u64| -> Decimal {
        let of_pair = hostile.orders.iter().filter(|order| order.pair == hostile.pair && order.n <= until);
        of_pair.map(|order| order.quote).sum()
    };
    let all = figure(sum(u64::MAX));
    if all > 0.0 { figure(sum(n)) / all } else { 0.0 }
}

/// Returns which share of the loss was made: what was paid too much and got too little against the price before.
fn lost(n: u64, hostile: &Hostile) -> Option<f64> {
    let reference = hostile.reference?;
    let mut sums = [0.0; 2];
    for order in hostile.orders.iter().filter(|order| order.pair == hostile.pair) {
        let fair = figure(reference) * figure(order.base?);
        let lost = match order.side {
            Side::Buy => figure(order.quote) - fair,
            Side::Sell => fair - figure(order.quote),
        };
        sums[0] += lost;
        sums[1] += if order.n <= n { lost } else { 0.0 };
    }
    let [all, before] = sums;
    (all > 0.0).then(|| (before / all).clamp(0.0, 1.0))
}

/// Returns which share of the equity completed round trips of a churn had lost when arrival `n` had been seen.
fn churned(n: u64, what: What, hostile: &Hostile) -> f64 {
    let equity = figure(hostile.equity);
    if what != What::Churn || equity <= 0.0 {
        return 0.0;
    }
    // A trip that is not complete has lost nothing yet: pairs of buy and sell only.
    let trips = hostile.orders.chunks(2).filter(|trip| trip.len() == 2 && trip[1].n <= n);
    figure(trips.map(|trip| trip[0].quote - trip[1].quote).sum::<Decimal>()) / equity
}

#[cfg(test)]
mod tests {
    use super::super::labels::{Hostile, HostileOrder, Mark};
    use super::*;
    use crate::domain::Asset;

    fn alarm(account: &str, secs: i64, level: Level) -> Alarm {
        let at = Timestamp::from_millis(secs * 1_000);
        Alarm {
            account: account.parse().unwrap(),
            at,
            n: secs as u64,
            level,
            kind: Kind::Pump,
            nats: 5.0,
            hidden: None,
            rule: "pump_buy".into(),
            pair: None,
        }
    }

    /// A recording with an arrival a second: ordinary until 10,000, an attack from 10,001 to 10,060.
    fn labels() -> Vec<Label> {
        let mark = |secs: i64| Mark { n: secs as u64, at: secs * 1_000_000_000 };
        let label = |account: &str, kind, first, last, hostile| Label {
            account: account.parse().unwrap(),
            kind,
            trader: "dca".into(),
            first: mark(first),
            last: mark(last),
            hostile,
        };
        let order = |secs: i64, side, pair: &str| HostileOrder {
            n: secs as u64,
            at: secs * 1_000_000_000,
            pair: pair.into(),
            side,
            quote: Decimal::ONE,
            base: Some(Decimal::from(if secs == 10_010 { 100 } else { 50 })),
        };
        let hostile = Hostile {
            hostile_quote: Decimal::from(5),
            asset: Asset::new("BTC").unwrap(),
            equity: Decimal::from(5),
            pair: "ADXBTC".into(),
            participation: None,
            reference: Some(Decimal::new(1, 2)),
            orders: vec![
                order(10_001, Side::Sell, "ETHBTC"),
                order(10_010, Side::Buy, "ADXBTC"),
                order(10_020, Side::Buy, "ADXBTC"),
                order(10_030, Side::Buy, "ADXBTC"),
                order(10_060, Side::Buy, "ADXBTC"),
            ],
        };
        vec![
            label("binance/v", What::Ordinary, 1, 10_000, None),
            label("binance/v", What::LiquidateThenBurst, 10_001, 10_060, Some(hostile)),
            label("binance/o", What::Ordinary, 1, 20_000, None),
        ]
    }

    fn first(alarms: &[Alarm], level: Level) -> Option<FirstAlarm> {
        Score::of(alarms, &labels()).attacks(level, What::LiquidateThenBurst)[0].alarm
    }

    #[test]
    fn an_attack_is_caught_by_the_first_loud_alarm_of_its_account() {
        let alarms = [
            alarm("binance/v", 9_999, Level::Act),
            alarm("binance/o", 10_002, Level::Act),
            alarm("binance/v", 10_004, Level::Notice),
            alarm("binance/v", 10_021, Level::Alert),
        ];
        let caught = first(&alarms, Level::Alert).unwrap();
        assert_eq!((caught.delay_s, caught.traded, caught.before_first_buy), (20.0, Some(0.5), false));
        // The first buy was made at the price before; each later one lost half of what it cost.
        assert!((caught.lost.unwrap() - 1.0 / 3.0).abs() < 1e-9, "{:?}", caught.lost);
        let caught = first(&alarms, Level::Notice).unwrap();
        assert_eq!((caught.delay_s, caught.traded, caught.before_first_buy), (3.0, Some(0.0), true));
        assert_eq!(first(&alarms, Level::Act), None);
    }

    #[test]
    fn an_alarm_counts_up_to_two_minutes_after_the_attack_and_then_neither_way() {
        assert!(first(&[alarm("binance/v", 10_180, Level::Alert)], Level::Alert).is_some());
        let late = [alarm("binance/v", 10_181, Level::Alert)];
        assert!(first(&late, Level::Alert).is_none());
        assert_eq!(Score::of(&late, &labels()).false_alarms(Level::Alert).episodes, 0);
    }

    #[test]
    fn false_alarms_within_half_an_hour_are_one_episode_and_a_victims_own_time_counts() {
        let times = [100, 1_900, 3_700, 5_501];
        let mut alarms: Vec<Alarm> = times.iter().map(|&secs| alarm("binance/o", secs, Level::Alert)).collect();
        alarms.push(alarm("binance/v", 9_000, Level::Act));
        alarms.push(Alarm { kind: Kind::Blind, ..alarm("binance/v", 500, Level::Act) });
        let score = Score::of(&alarms, &labels());
        assert_eq!(score.false_alarms(Level::Alert).episodes, 3);
        assert_eq!(score.false_alarms(Level::Act).episodes, 1);
        let watched: Vec<_> = score.watched.iter().map(|watched| watched.episodes.clone()).collect();
        assert_eq!(watched, [vec![Loudness(Level::Act, 5.0)], vec![Loudness(Level::Alert, 5.0); 2]]);
        let months = score.false_alarms(Level::Alert).months;
        assert!((months - 29_998.0 / MONTH_S).abs() < 1e-9, "{months}");
    }

    #[test]
    fn intervals_are_those_of_wilson_and_of_the_exact_poisson_law() {
        // R: prop.test(9, 10, correct = FALSE)$conf.int and poisson.test(0 and 3, 76.5)$conf.int.
        let share = Interval::share(9, 10);
        assert!((share.low - 0.5958).abs() < 1e-3 && (share.high - 0.9821).abs() < 1e-3, "{share:?}");
        let none = Noise { episodes: 0, months: 76.5 }.rate();
        assert!((none.high - 3.6889 / 76.5).abs() < 1e-4, "{none:?}");
        let three = Noise { episodes: 3, months: 76.5 }.rate();
        assert!((three.low - 0.6187 / 76.5).abs() < 1e-4 && (three.high - 8.7673 / 76.5).abs() < 1e-4, "{three:?}");
        assert_eq!(quantile(vec![3.0, 1.0, 2.0], 0.5), Some(2.0));
        assert_eq!(quantile(vec![], 0.5), None);
    }

    #[test]
    fn an_attack_that_only_an_exception_kept_from_people_is_named_and_one_that_was_told_all_the_same_is_not() {
        let hidden = Alarm { hidden: Some(("grid".into(), Level::Alert)), ..alarm("binance/v", 10_020, Level::Notice) };
        let score = Score::of(std::slice::from_ref(&hidden), &labels());
        assert_eq!(score.swallowed.len(), 1);
        assert_eq!((score.swallowed[0].0.as_str(), score.swallowed[0].1), ("grid", What::LiquidateThenBurst));
        assert!(score.caught[&Level::Notice].iter().all(|caught| caught.alarm.is_none()), "nobody was told");
        let told = alarm("binance/v", 10_030, Level::Alert);
        assert!(Score::of(&[hidden.clone(), told], &labels()).swallowed.is_empty());
        let quiet = Alarm { hidden: Some(("grid".into(), Level::Notice)), ..hidden };
        assert!(Score::of(&[quiet], &labels()).swallowed.is_empty(), "a notice calls nobody anyway");
    }
}
