//! Recall against false alarms per pair-day, as a threshold is lowered.

use serde::{Deserialize, Serialize};

use super::{Mark, Seen};
use crate::tune::dice::Dice;
use crate::tune::score::quantile;

/// False alarms per pair-day at which recall is told.
pub const POINTS: [f64; 4] = [0.25, 0.10, 0.025, 0.007];
/// Budgets that count when models are compared.
const BUDGETS: [f64; 11] = [0.4, 0.2, 0.15, 0.1, 0.07, 0.05, 0.035, 0.025, 0.017, 0.012, 0.007];
/// An alarm silences the pair for this long, in ms.
const COOL_DOWN_MS: i64 = 1_800_000;
/// Thresholds that are tried.
const STEPS: usize = 320;
/// Resamples of a bootstrap.
const RESAMPLES: usize = 1_000;

/// What one threshold gives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// The false alarms per pair-day that were allowed.
    pub allowed: f64,
    /// The lowest score that alarms.
    pub threshold: f64,
    /// Events, one a tape.
    pub events: usize,
    /// Ordinary time, in pair-days.
    pub pair_days: f64,
    /// Share of events found from three minutes before to two minutes after the onset.
    pub recall: Share,
    /// Share found up to ten seconds after it.
    pub within_10_s: Share,
    /// False alarms of buys per pair-day.
    pub false_alarms: Share,
    /// False alarms of mirrored sells per pair-day at the same threshold.
    pub false_sell_alarms: f64,
    /// Median delay from the onset, in seconds, of what was found; what came early counts as none.
    pub delay_p50_s: Option<f64>,
    /// The delay that nine in ten do not exceed.
    pub delay_p90_s: Option<f64>,
}

/// A share or rate with the 95 % interval of resampled tapes, the threshold chosen anew for each.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// The estimate.
    pub value: f64,
    /// Where the interval begins.
    pub low: f64,
    /// Where it ends.
    pub high: f64,
}

/// Some tapes at many thresholds, highest first.
pub struct Curve {
    thresholds: Vec<f32>,
    tapes: Vec<TapeCurve>,
}

struct TapeCurve {
    days: f64,
    false_buys: Vec<u32>,
    false_sells: Vec<u32>,
    /// The delay in ms, where the event is found.
    delays: Vec<Option<i64>>,
}

impl Curve {
    /// Works out what each of many thresholds gives on each tape.
    pub fn of(seen: &[&Seen]) -> Curve {
        let thresholds = thresholds(seen);
        let tapes = seen.iter().map(|seen| TapeCurve {
            days: seen.days,
            false_buys: thresholds.iter().map(|&bar| alarms(&seen.buys, bar)).collect(),
            false_sells: thresholds.iter().map(|&bar| alarms(&seen.sells, bar)).collect(),
            delays: thresholds.iter().map(|&bar| delay(seen, bar)).collect(),
        });
        Curve { tapes: tapes.collect(), thresholds }
    }

    /// Returns recall and delay at the points of [`POINTS`]; none where there is no tape.
    pub fn points(&self) -> Vec<Point> {
        if self.tapes.is_empty() {
            return Vec::new();
        }
        POINTS.iter().map(|&allowed| self.at_most(allowed)).collect()
    }

    /// Returns what the lowest threshold gives that has at most so many false alarms per pair-day.
    pub fn at_most(&self, allowed: f64) -> Point {
        let all: Vec<usize> = (0..self.tapes.len()).collect();
        let step = self.step(&all, allowed);
        let mut dice = Dice::named(self.tapes.len() as u64, "market stage");
        let mut drawn = vec![0; self.tapes.len()];
        let (mut recalls, mut soon, mut wrong) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..RESAMPLES {
            drawn.iter_mut().for_each(|place| *place = dice.below(self.tapes.len()));
            let step = self.step(&drawn, allowed);
            recalls.push(self.recall(&drawn, step, i64::MAX));
            soon.push(self.recall(&drawn, step, 10_000));
            wrong.push(self.rate(&drawn, step, |tape| &tape.false_buys));
        }
        let share = |value: f64, resampled: Vec<f64>| Share {
            value,
            low: quantile(resampled.clone(), 0.025).unwrap_or(0.0),
            high: quantile(resampled, 0.975).unwrap_or(1.0),
        };
        let delays: Vec<f64> =
            self.tapes.iter().filter_map(|tape| tape.delays[step]).map(|ms| ms as f64 / 1e3).collect();
        Point {
            allowed,
            threshold: f64::from(self.thresholds[step]),
            events: self.tapes.len(),
            pair_days: self.tapes.iter().map(|tape| tape.days).sum(),
            recall: share(self.recall(&all, step, i64::MAX), recalls),
            within_10_s: share(self.recall(&all, step, 10_000), soon),
            false_alarms: share(self.rate(&all, step, |tape| &tape.false_buys), wrong),
            false_sell_alarms: self.rate(&all, step, |tape| &tape.false_sells),
            delay_p50_s: quantile(delays.clone(), 0.5),
            delay_p90_s: quantile(delays, 0.9),
        }
    }

    /// Returns the mean of recall over budgets from one false alarm in three pair-days to one in 150: one figure to
    /// choose by, less shaken by a single event than recall at one budget.
    pub fn mean_recall(&self) -> f64 {
        let all: Vec<usize> = (0..self.tapes.len()).collect();
        let recall = |allowed: f64| self.recall(&all, self.step(&all, allowed), i64::MAX);
        BUDGETS.into_iter().map(recall).sum::<f64>() / BUDGETS.len() as f64
    }

    /// Returns recall and false alarms per pair-day at a threshold that was chosen elsewhere.
    pub fn at_threshold(&self, threshold: f64) -> (f64, f64) {
        let all: Vec<usize> = (0..self.tapes.len()).collect();
        let step = self.thresholds.partition_point(|&bar| f64::from(bar) >= threshold).saturating_sub(1);
        (self.recall(&all, step, i64::MAX), self.rate(&all, step, |tape| &tape.false_buys))
    }

    /// Returns the place of the lowest threshold down to which no more than `allowed` false alarms come per pair-day.
    fn step(&self, tapes: &[usize], allowed: f64) -> usize {
        let over = (0..self.thresholds.len()).find(|&step| self.rate(tapes, step, |tape| &tape.false_buys) > allowed);
        over.unwrap_or(self.thresholds.len()).saturating_sub(1)
    }

    fn rate(&self, tapes: &[usize], step: usize, of: impl Fn(&TapeCurve) -> &Vec<u32>) -> f64 {
        let alarms: u32 = tapes.iter().map(|&place| of(&self.tapes[place])[step]).sum();
        let days: f64 = tapes.iter().map(|&place| self.tapes[place].days).sum();
        f64::from(alarms) / days.max(f64::MIN_POSITIVE)
    }

    fn recall(&self, tapes: &[usize], step: usize, within_ms: i64) -> f64 {
        let found = tapes.iter().filter(|&&place| self.tapes[place].delays[step].is_some_and(|ms| ms <= within_ms));
        found.count() as f64 / tapes.len().max(1) as f64
    }
}

/// Returns thresholds from above every ordinary buy down to where there are about twenty for each pair-day.
fn thresholds(seen: &[&Seen]) -> Vec<f32> {
    let mut scores: Vec<f32> = seen.iter().flat_map(|seen| seen.buys.iter().map(|mark| mark.score)).collect();
    scores.sort_by(|a, b| b.total_cmp(a));
    let days: f64 = seen.iter().map(|seen| seen.days).sum();
    let most = ((days * 20.0) as usize).clamp(1, scores.len().max(1)) as f64;
    // Ranks grow evenly by factors, so that rare alarms are told apart as finely as frequent ones.
    let ranks = (0..STEPS).map(|step| most.powf(step as f64 / (STEPS - 1) as f64) as usize);
    let mut thresholds = vec![scores.first().map_or(0.0, |&top| top.next_up())];
    thresholds.extend(ranks.filter_map(|rank| scores.get(rank.saturating_sub(1)).copied()));
    thresholds.dedup();
    thresholds
}

fn alarms(marks: &[Mark], bar: f32) -> u32 {
    let (mut alarms, mut silent_until) = (0, i64::MIN);
    for mark in marks {
        if mark.score >= bar && mark.ms >= silent_until {
            alarms += 1;
            silent_until = mark.ms + COOL_DOWN_MS;
        }
    }
    alarms
}

fn delay(seen: &Seen, bar: f32) -> Option<i64> {
    seen.event.iter().find(|mark| mark.score >= bar).map(|mark| (mark.ms - seen.onset_ms).max(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(ms: i64, score: f32) -> Mark {
        Mark { ms, score }
    }

    fn seen(event: Vec<Mark>, buys: Vec<Mark>) -> Seen {
        Seen { onset_ms: 1_000_000, days: 1.0, event, buys, ..Seen::default() }
    }

    #[test]
    fn an_alarm_silences_half_an_hour_and_an_early_one_has_no_delay() {
        let minutes = |minute: i64| minute * 60_000;
        let buys = vec![mark(0, 3.0), mark(minutes(29), 3.0), mark(minutes(30), 3.0), mark(minutes(59), 1.0)];
        assert_eq!(alarms(&buys, 2.0), 2);
        assert_eq!(alarms(&buys, 4.0), 0);
        let one = seen(vec![mark(900_000, 5.0), mark(1_004_000, 9.0)], buys);
        assert_eq!((delay(&one, 5.0), delay(&one, 6.0), delay(&one, 10.0)), (Some(0), Some(4_000), None));
    }

    #[test]
    fn recall_is_told_at_the_lowest_threshold_that_keeps_the_budget() {
        let quiet = |event: f32| {
            let buys = (0..100).map(|k| mark(k * 1_800_000, k as f32 / 100.0)).collect();
            seen(vec![mark(1_012_000, event)], buys)
        };
        let tapes: Vec<Seen> = [0.5, 0.985, 0.995, 1.5].map(quiet).to_vec();
        let curve = Curve::of(&tapes.iter().collect::<Vec<_>>());
        let one = curve.at_most(1.0);
        assert!((one.threshold - 0.99).abs() < 1e-6, "{one:?}");
        assert_eq!((one.recall.value, one.within_10_s.value, one.false_alarms.value), (0.5, 0.0, 1.0));
        assert_eq!((one.events, one.delay_p50_s), (4, Some(12.0)));
        let two = curve.at_most(2.0);
        assert_eq!(two.recall.value, 0.75);
        assert_eq!(curve.at_most(0.5).recall.value, 0.5, "above every ordinary order");
        assert_eq!(curve.at_threshold(two.threshold), (0.75, 2.0));
        assert!(two.recall.low <= 0.75 && two.recall.high >= 0.75);
    }
}
