//! What one configuration came to on one event, in whole numbers: read back from a file it is the same to the bit.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::Level;
use crate::tune::dice::Dice;
use crate::tune::evaluate::Report;
use crate::tune::labels::What;
use crate::tune::score::{Interval, Noise, quantile};

/// What is to be saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Objective {
    /// The hostile quote: the share not yet traded when somebody is told.
    Traded,
    /// The loss: the share not yet made when somebody is told.
    Loss,
    /// The attack told of, however late.
    Told,
}

/// What one configuration came to on one event.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tally {
    /// The attacks, in the order of the recordings and their labels.
    pub attacks: Vec<Attack>,
    /// Ordinary time, in seconds of one account.
    pub ordinary_s: u64,
    /// Episodes of false alarms at `alert` and above.
    pub alerts: u64,
    /// Those at `act`.
    pub acts: u64,
}

/// What became of one attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attack {
    /// Which.
    pub kind: What,
    /// Whether somebody was told (`alert`).
    pub told: bool,
    /// Millionths of the hostile quote not yet traded by then; none where labels do not list the orders.
    pub untraded: Option<u32>,
    /// Millionths of the loss not yet made by then; none where that is not known.
    pub unlost: Option<u32>,
}

/// Figures of one configuration over events.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figures {
    /// The share saved: the mean over kinds of attack of the mean over attacks. By resampling events.
    pub saved: Interval,
    /// The same for each kind, with how many attacks it is of.
    pub kinds: Vec<KindFigure>,
    /// Attacks it is of.
    pub attacks: usize,
    /// Attacks that were told of.
    pub told: usize,
    /// False alerts in an account-month, by resampling events; the exact bound where there were none.
    pub false_alerts: Interval,
    /// How many there were.
    pub alerts: u64,
    /// Of them at `act`.
    pub acts: u64,
    /// Ordinary time, in account-months.
    pub account_months: f64,
    /// Events it is of.
    pub events: usize,
}

/// The share saved of one kind of attack.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct KindFigure {
    /// Which.
    pub kind: What,
    /// Attacks it is of.
    pub n: usize,
    /// How many were told of.
    pub told: usize,
    /// The mean share saved.
    pub saved: f64,
}

/// How two configurations differ on the same events, by resampling the events both are of.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// The share saved, new less old.
    pub saved: Interval,
    /// False alerts in an account-month, new less old.
    pub false_alerts: Interval,
}

const MILLION: f64 = 1e6;
/// A month, in seconds.
const MONTH_S: f64 = 30.44 * 86_400.0;
/// Resamples of a bootstrap.
const RESAMPLES: usize = 1_000;

impl Tally {
    /// Counts what a report has.
    pub fn of(report: &Report) -> Tally {
        let millionths = |share: f64| ((1.0 - share).clamp(0.0, 1.0) * MILLION).round() as u32;
        let attacks = report.cases.iter().filter(|case| case.what != What::Ordinary).map(|case| {
            // What nobody was told of was lost whole.
            let none = case.listed.then_some(0);
            Attack {
                kind: case.what,
                told: case.first.is_some(),
                untraded: case.first.map_or(none, |first| first.traded.map(millionths)),
                unlost: case.first.map_or(none, |first| first.lost.map(millionths)),
            }
        });
        let alerts = report.score.false_alarms(Level::Alert);
        Tally {
            attacks: attacks.collect(),
            ordinary_s: (alerts.months * MONTH_S).round() as u64,
            alerts: alerts.episodes,
            acts: report.score.false_alarms(Level::Act).episodes,
        }
    }
}

impl Objective {
    /// Returns what was saved of an attack, 0 to 1; nothing where the labels do not tell.
    pub fn saved(self, attack: &Attack) -> Option<f64> {
        let share = |millionths: Option<u32>| millionths.map(|share| f64::from(share) / MILLION);
        match self {
            Objective::Traded => share(attack.untraded),
            Objective::Loss => share(attack.unlost),
            Objective::Told => Some(if attack.told { 1.0 } else { 0.0 }),
        }
    }

    /// Returns what is saved, in words.
    pub const fn title(self) -> &'static str {
        match self {
            Objective::Traded => "hostile money not yet traded when told",
            Objective::Loss => "loss not yet made when told",
            Objective::Told => "attacks told of",
        }
    }
}

impl Figures {
    /// Sums tallies up, one an event.
    pub fn of(tallies: &[Vec<&Tally>], objective: Objective) -> Figures {
        let all: Vec<usize> = (0..tallies.len()).collect();
        let sums = Sums::of(tallies, &all, objective);
        let months = sums.months();
        let rate = || Interval { value: sums.rate(), low: 0.0, high: f64::INFINITY };
        let drawn = resampled(tallies.len(), |places| {
            let sums = Sums::of(tallies, places, objective);
            (sums.saved(), sums.rate())
        });
        let (mut saved, mut false_alerts) =
            (Interval { value: sums.saved(), low: 0.0, high: 1.0 }, if months > 0.0 { rate() } else { unknown() });
        if let Some((of_saved, of_rate)) = drawn {
            (saved.low, saved.high) = of_saved;
            (false_alerts.low, false_alerts.high) = of_rate;
        }
        if sums.alerts == 0 && months > 0.0 {
            false_alerts = Noise { episodes: 0, months }.rate();
        }
        let kinds = sums.kinds.iter().map(|(kind, (n, told, sum))| KindFigure {
            kind: *kind,
            n: *n,
            told: *told,
            saved: sum / *n as f64,
        });
        Figures {
            saved,
            kinds: kinds.collect(),
            attacks: sums.kinds.values().map(|(n, _, _)| n).sum(),
            told: sums.kinds.values().map(|(_, told, _)| told).sum(),
            false_alerts,
            alerts: sums.alerts,
            acts: sums.acts,
            account_months: months,
            events: tallies.len(),
        }
    }
}

impl Difference {
    /// Compares two configurations that were played on the same events.
    pub fn of(new: &[Vec<&Tally>], old: &[Vec<&Tally>], objective: Objective) -> Difference {
        let both = |places: &[usize]| {
            let (new, old) = (Sums::of(new, places, objective), Sums::of(old, places, objective));
            (new.saved() - old.saved(), new.rate() - old.rate())
        };
        let all: Vec<usize> = (0..new.len().min(old.len())).collect();
        let (saved, rate) = both(&all);
        let ends = resampled(all.len(), both);
        let interval = |value: f64, ends: Option<(f64, f64)>| {
            let (low, high) = ends.unwrap_or((f64::NEG_INFINITY, f64::INFINITY));
            Interval { value, low, high }
        };
        Difference {
            saved: interval(saved, ends.map(|(of_saved, _)| of_saved)),
            false_alerts: interval(rate, ends.map(|(_, of_rate)| of_rate)),
        }
    }
}

fn unknown() -> Interval {
    Interval { value: f64::NAN, low: 0.0, high: f64::INFINITY }
}

/// Sums over some events.
#[derive(Default)]
struct Sums {
    kinds: BTreeMap<What, (usize, usize, f64)>,
    seconds: u64,
    alerts: u64,
    acts: u64,
}

impl Sums {
    fn of(tallies: &[Vec<&Tally>], places: &[usize], objective: Objective) -> Sums {
        let mut sums = Sums::default();
        for tally in places.iter().filter_map(|place| tallies.get(*place)).flatten() {
            sums.seconds += tally.ordinary_s;
            sums.alerts += tally.alerts;
            sums.acts += tally.acts;
            for attack in &tally.attacks {
                let Some(saved) = objective.saved(attack) else { continue };
                let (n, told, sum) = sums.kinds.entry(attack.kind).or_default();
                *n += 1;
                *told += usize::from(attack.told);
                *sum += saved;
            }
        }
        sums
    }

    fn saved(&self) -> f64 {
        let means = self.kinds.values().map(|(n, _, sum)| sum / *n as f64);
        if self.kinds.is_empty() { f64::NAN } else { means.sum::<f64>() / self.kinds.len() as f64 }
    }

    fn months(&self) -> f64 {
        self.seconds as f64 / MONTH_S
    }

    fn rate(&self) -> f64 {
        if self.seconds == 0 { f64::NAN } else { self.alerts as f64 / self.months() }
    }
}

type Ends = (f64, f64);

/// Returns the 95 % intervals of two figures over resamples (with replacement) of `len` events; a resample that has
/// none of what a figure is of does not count for it.
fn resampled(len: usize, figures: impl Fn(&[usize]) -> (f64, f64)) -> Option<(Ends, Ends)> {
    if len < 2 {
        return None;
    }
    let mut dice = Dice::named(len as u64, "events");
    let mut drawn = vec![0; len];
    let (mut ones, mut others) = (Vec::with_capacity(RESAMPLES), Vec::with_capacity(RESAMPLES));
    for _ in 0..RESAMPLES {
        drawn.iter_mut().for_each(|place| *place = dice.below(len));
        let (one, other) = figures(&drawn);
        ones.extend(Some(one).filter(|figure| figure.is_finite()));
        others.extend(Some(other).filter(|figure| figure.is_finite()));
    }
    let ends = |figures: Vec<f64>| Some((quantile(figures.clone(), 0.025)?, quantile(figures, 0.975)?));
    Some((ends(ones)?, ends(others).unwrap_or((0.0, f64::INFINITY))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(kind: What, untraded: &[u32], days: u64, alerts: u64) -> Tally {
        let attack = |share: &u32| Attack { kind, told: *share > 0, untraded: Some(*share), unlost: None };
        Tally { attacks: untraded.iter().map(attack).collect(), ordinary_s: days * 86_400, alerts, acts: 0 }
    }

    #[test]
    fn each_kind_of_attack_counts_alike_however_many_there_are() {
        let (a, b) = (tally(What::Burst, &[1_000_000, 500_000], 300, 1), tally(What::Fleet, &[0; 30], 309, 0));
        let figures = Figures::of(&[vec![&a], vec![&b]], Objective::Traded);
        assert!((figures.saved.value - 0.375).abs() < 1e-12, "{figures:?}");
        assert_eq!((figures.attacks, figures.told, figures.events, figures.alerts), (32, 2, 2, 1));
        assert!((figures.false_alerts.value - 0.05).abs() < 1e-3);
        assert!(Figures::of(&[vec![&a]], Objective::Loss).saved.value.is_nan(), "nobody knows what was lost");
        assert!((Figures::of(&[vec![&a]], Objective::Told).saved.value - 1.0).abs() < 1e-12);
    }

    #[test]
    fn what_was_missed_saved_nothing_and_a_difference_of_twins_is_none() {
        let events: Vec<Tally> =
            (0..20_u32).map(|i| tally(What::Churn, &[i * 10_000, 0], 30, u64::from(i.is_multiple_of(3)))).collect();
        let tallies: Vec<Vec<&Tally>> = events.iter().map(|tally| vec![tally]).collect();
        let same = Difference::of(&tallies, &tallies, Objective::Traded);
        assert_eq!((same.saved.low, same.saved.value, same.saved.high), (0.0, 0.0, 0.0));
        let better: Vec<Tally> = events
            .iter()
            .map(|tally| {
                let mut tally = tally.clone();
                tally.attacks[1].untraded = Some(400_000);
                tally.alerts = 0;
                tally
            })
            .collect();
        let better: Vec<Vec<&Tally>> = better.iter().map(|tally| vec![tally]).collect();
        let shown = Difference::of(&better, &tallies, Objective::Traded);
        assert!((shown.saved.value - 0.2).abs() < 1e-9 && shown.saved.low > 0.19, "{shown:?}");
        assert!(shown.false_alerts.high < 0.0, "{shown:?}");
        let none = Figures::of(&better, Objective::Traded).false_alerts;
        assert!(none.value == 0.0 && none.high > 0.1, "three over the months, not zero: {none:?}");
    }

    #[test]
    fn a_tally_is_read_back_as_it_was_written() {
        let tally = tally(What::SellMirror, &[333_333, 1], 7, 2);
        let text = serde_json::to_string(&tally).unwrap();
        assert_eq!(serde_json::from_str::<Tally>(&text).unwrap(), tally);
    }
}
