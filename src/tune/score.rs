//! What the rules raised, held against what was done.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use statrs::distribution::{ChiSquared, ContinuousCDF};

use super::labels::{Label, What};
use super::market::figure;
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
}

/// What became of one attack, at one level.
#[derive(Clone, Debug, PartialEq)]
pub struct Caught {
    /// The attack.
    pub what: What,
    /// The first alarm, or nothing when it was missed.
    pub alarm: Option<FirstAlarm>,
}

/// The first alarm about an attack.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FirstAlarm {
    /// Seconds from the first hostile arrival.
    pub delay_s: f64,
    /// Share of the hostile quote in the attacked pair that had been traded, with the order that convinced.
    pub traded: f64,
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
#[derive(Clone, Copy, Debug, PartialEq)]
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
        Some(Alarm { account, at: effect.at, n: effect.n, level: finding.level, kind: finding.kind })
    }
}

impl Score {
    /// Holds the alarms of one recording, in the order they came, against its labels.
    ///
    /// An account without any label is nobody's and not counted. Statements that we cannot see ([`Kind::Blind`]) are
    /// no verdict on an order and are left out.
    pub fn of(alarms: &[Alarm], labels: &[Label]) -> Score {
        let mut score = Score::default();
        for &level in Level::ALL {
            let loud: Vec<&Alarm> = alarms.iter().filter(|a| a.level >= level && a.kind != Kind::Blind).collect();
            for label in labels {
                let own = loud.iter().copied().filter(|alarm| alarm.account == label.account);
                if label.kind == What::Ordinary {
                    let noise = score.noise.entry((level, label.trader.clone())).or_default();
                    noise.months += label.until().since(label.since()).secs_f64() / MONTH_S;
                    noise.episodes += episodes(own, label);
                } else {
                    score.caught.entry(level).or_default().push(caught(own, label));
                }
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

fn episodes<'a>(own: impl Iterator<Item = &'a Alarm>, label: &Label) -> u64 {
    let (mut count, mut last) = (0, None::<Timestamp>);
    for alarm in own.filter(|alarm| (label.first.n..=label.last.n).contains(&alarm.n)) {
        if last.is_none_or(|last| alarm.at.since(last) > EPISODE) {
            count += 1;
        }
        last = Some(alarm.at);
    }
    count
}

fn caught<'a>(mut own: impl Iterator<Item = &'a Alarm>, label: &Label) -> Caught {
    let until = label.until() + GRACE;
    let first = own.find(|alarm| alarm.n >= label.first.n && alarm.at <= until);
    let alarm = first.map(|alarm| {
        let (traded, before_first_buy, churned) = damage(alarm.n, label);
        FirstAlarm { delay_s: alarm.at.since(label.since()).secs_f64(), traded, before_first_buy, churned }
    });
    Caught { what: label.kind, alarm }
}

/// Returns how much of an attack was done when arrival `n` had been seen.
fn damage(n: u64, label: &Label) -> (f64, bool, f64) {
    let Some(hostile) = &label.hostile else { return (0.0, true, 0.0) };
    let sum = |done: bool, side: Option<Side>| -> Decimal {
        let of_pair = hostile.orders.iter().filter(|order| order.pair == hostile.pair && (!done || order.n <= n));
        of_pair.filter(|order| side.is_none_or(|side| order.side == side)).map(|order| order.quote).sum()
    };
    let all = figure(sum(false, None));
    let traded = if all > 0.0 { figure(sum(true, None)) / all } else { 0.0 };
    let bought = hostile.orders.iter().any(|order| order.side == Side::Buy && order.n <= n);
    // A trip that is not complete has lost nothing yet: pairs of buy and sell only.
    let trips: Vec<_> = hostile.orders.chunks(2).filter(|trip| trip.len() == 2 && trip[1].n <= n).collect();
    let lost: Decimal = if label.kind == What::Churn {
        trips.iter().map(|trip| trip[0].quote - trip[1].quote).sum()
    } else {
        Decimal::ZERO
    };
    let equity = figure(hostile.equity);
    (traded, !bought, if equity > 0.0 { figure(lost) / equity } else { 0.0 })
}

#[cfg(test)]
mod tests {
    use super::super::labels::{Hostile, HostileOrder, Mark};
    use super::*;
    use crate::domain::Asset;

    fn alarm(account: &str, secs: i64, level: Level) -> Alarm {
        let at = Timestamp::from_millis(secs * 1_000);
        Alarm { account: account.parse().unwrap(), at, n: secs as u64, level, kind: Kind::Pump }
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
        };
        let hostile = Hostile {
            hostile_quote: Decimal::from(5),
            asset: Asset::new("BTC").unwrap(),
            equity: Decimal::from(5),
            pair: "ADXBTC".into(),
            participation: None,
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
        assert_eq!((caught.delay_s, caught.traded, caught.before_first_buy), (20.0, 0.5, false));
        let caught = first(&alarms, Level::Notice).unwrap();
        assert_eq!((caught.delay_s, caught.traded, caught.before_first_buy), (3.0, 0.0, true));
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
}
