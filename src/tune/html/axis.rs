//! An axis: from values to places between 0 and 1, with ticks that people can read.

use crate::tune::written::{figure, percent, seconds};

/// How figures on an axis are written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Unit {
    /// A part of one, in percent.
    Share,
    /// Seconds, in the unit that suits.
    Seconds,
    /// As it is.
    Plain,
}

/// How values are spread.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Scale {
    /// Evenly.
    Linear,
    /// Each tenfold alike.
    Log,
    /// Each tenfold alike from the given value on; zero, which has no logarithm, has a place of its own left of it.
    LogAndZero(f64),
}

/// One axis of a drawing.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    /// What it measures, with its unit.
    pub title: String,
    /// How its figures are written.
    pub unit: Unit,
    /// How its values are spread.
    pub scale: Scale,
    /// Where it begins.
    pub low: f64,
    /// Where it ends.
    pub high: f64,
}

/// The part of a [`Scale::LogAndZero`] axis that zero has.
const ZERO: f64 = 0.07;
/// Times that are round for people, in seconds.
const TIMES: [f64; 15] =
    [0.01, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 60.0, 300.0, 1_800.0, 7_200.0, 21_600.0, 86_400.0, 604_800.0, 2_592_000.0];

impl Axis {
    /// An axis of shares, from 0 to 100 percent.
    pub fn share(title: &str) -> Axis {
        Axis { title: title.to_owned(), unit: Unit::Share, scale: Scale::Linear, low: 0.0, high: 1.0 }
    }

    /// An even axis around the values, a little wider than they are.
    pub fn around(title: &str, unit: Unit, values: impl Iterator<Item = f64>) -> Axis {
        let (low, high) = ends(values).unwrap_or((0.0, 1.0));
        let room = ((high - low) * 0.06).max(high.abs() * 0.002).max(f64::MIN_POSITIVE);
        Axis { title: title.to_owned(), unit, scale: Scale::Linear, low: low - room, high: high + room }
    }

    /// An axis of rates a month: zero, then tenfolds, wide enough for the values.
    pub fn rate(title: &str, values: impl Iterator<Item = f64>) -> Axis {
        let values: Vec<f64> = values.filter(|value| *value > 0.0 && value.is_finite()).collect();
        let (low, high) = ends(values.into_iter()).unwrap_or((0.01, 1.0));
        let mut least = 1.0;
        while least > low && least > 1e-6 {
            least /= 10.0;
        }
        let mut most = 1.0;
        while most < high && most < 1e9 {
            most *= 10.0;
        }
        let most: f64 = if most > 1.0 && high <= most / 2.0 { most / 2.0 } else { most };
        let scale = Scale::LogAndZero(least);
        Axis { title: title.to_owned(), unit: Unit::Plain, scale, low: 0.0, high: most.max(least * 10.0) }
    }

    /// An axis of waiting times, each tenfold alike.
    pub fn waits(title: &str, values: impl Iterator<Item = f64>) -> Axis {
        let (low, high) = ends(values.filter(|value| *value > 0.0)).unwrap_or((0.1, 60.0));
        let low = TIMES.iter().rev().find(|time| **time <= low).copied().unwrap_or(TIMES[0]);
        let high = TIMES.iter().find(|time| **time >= high).copied().unwrap_or(high).max(low * 10.0);
        Axis { title: title.to_owned(), unit: Unit::Seconds, scale: Scale::Log, low, high }
    }

    /// Returns where a value lies, 0 at the beginning and 1 at the end; what lies outside is put on the edge.
    pub fn place(&self, value: f64) -> f64 {
        let place = match self.scale {
            Scale::Linear => (value - self.low) / (self.high - self.low),
            Scale::Log => tenfolds(value / self.low) / tenfolds(self.high / self.low),
            Scale::LogAndZero(least) if value < least => {
                return if value > 0.0 { ZERO * (value / least).clamp(0.0, 1.0) } else { 0.0 };
            }
            Scale::LogAndZero(least) => ZERO + (1.0 - ZERO) * tenfolds(value / least) / tenfolds(self.high / least),
        };
        if place.is_finite() {
            place.clamp(0.0, 1.0)
        } else if value > self.low {
            1.0
        } else {
            0.0
        }
    }

    /// Returns the ticks, each with its place and how it is written; at most about `most` of them.
    pub fn ticks(&self, most: usize) -> Vec<(f64, String)> {
        let values = match (self.scale, self.unit) {
            (Scale::Linear, _) => return self.even(most),
            (Scale::Log, Unit::Seconds) => {
                let inside = |time: &&f64| (self.low * 0.999..=self.high * 1.001).contains(*time);
                let times: Vec<f64> = TIMES.iter().filter(inside).copied().collect();
                let step = times.len().div_ceil(most.max(2));
                times.into_iter().step_by(step.max(1)).collect()
            }
            (Scale::Log, Unit::Share | Unit::Plain) => tens(self.low, self.high, most),
            (Scale::LogAndZero(least), _) => {
                let mut values = vec![0.0];
                values.extend(tens(least, self.high, most.saturating_sub(1)));
                values
            }
        };
        values.into_iter().map(|value| (self.place(value), self.written(value))).collect()
    }

    fn even(&self, most: usize) -> Vec<(f64, String)> {
        let span = self.high - self.low;
        let factor = if self.unit == Unit::Share { 100.0 } else { 1.0 };
        if !(span.is_finite() && span > 0.0) {
            return vec![(0.5, figure(self.low * factor))];
        }
        let step = step(span * factor, most);
        let decimals = decimals(step);
        let first = (self.low * factor / step).ceil() as i64;
        let last = (self.high * factor / step + 1e-9).floor() as i64;
        let sign = if self.unit == Unit::Share { " %" } else { "" };
        (first..=last)
            .take(50)
            .map(|nth| {
                let value = nth as f64 * step;
                let text = match self.unit {
                    Unit::Seconds => seconds(value),
                    Unit::Share | Unit::Plain => format!("{value:.decimals$}{sign}"),
                };
                (self.place(value / factor), text)
            })
            .collect()
    }

    fn written(&self, value: f64) -> String {
        match self.unit {
            Unit::Share => percent(value),
            Unit::Seconds => seconds(value),
            Unit::Plain => figure(value),
        }
    }
}

fn ends(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values.filter(|value| value.is_finite()).fold(None, |ends, value| match ends {
        None => Some((value, value)),
        Some((low, high)) => Some((low.min(value), high.max(value))),
    })
}

fn tenfolds(ratio: f64) -> f64 {
    ratio.max(f64::MIN_POSITIVE).log10()
}

/// Returns round numbers between two: powers of ten, with 2 and 5 between where there is room.
fn tens(low: f64, high: f64, most: usize) -> Vec<f64> {
    let mut powers: Vec<i32> = (-9..=9).filter(|power| (low * 0.999..=high * 1.001).contains(&ten(*power))).collect();
    let factors: &[f64] = if powers.len() * 3 <= most.max(4) { &[1.0, 2.0, 5.0] } else { &[1.0] };
    if factors.len() > 1 {
        powers = (-10..=9).collect();
    }
    let all = powers.iter().flat_map(|power| factors.iter().map(|factor| factor * ten(*power)));
    all.filter(|value| (low * 0.999..=high * 1.001).contains(value)).collect()
}

fn ten(power: i32) -> f64 {
    // Through the text: exact for every power, which powi is not.
    format!("1e{power}").parse().unwrap_or(1.0)
}

/// Returns a round step that divides a span into at most `most` parts.
fn step(span: f64, most: usize) -> f64 {
    let rough = span / most.max(1) as f64;
    let round = (-12..=12).flat_map(|power| [1.0, 2.0, 5.0].map(|factor| factor * ten(power)));
    round.into_iter().find(|step| *step >= rough).unwrap_or(rough)
}

fn decimals(step: f64) -> usize {
    (0..=10).find(|digits| step >= ten(-(*digits as i32)) * 0.999).unwrap_or(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(axis: &Axis, most: usize) -> Vec<String> {
        axis.ticks(most).into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn ticks_are_round_and_carry_their_unit() {
        assert_eq!(told(&Axis::share(""), 5), ["0 %", "20 %", "40 %", "60 %", "80 %", "100 %"]);
        let price = Axis { low: 0.000_010_1, high: 0.000_019_9, unit: Unit::Plain, ..Axis::share("") };
        assert_eq!(told(&price, 5), ["0.000012", "0.000014", "0.000016", "0.000018"]);
        assert_eq!(
            told(&Axis::waits("", [0.4, 4_000.0].into_iter()), 9),
            ["0.3 s", "1 s", "3 s", "10 s", "30 s", "1 min", "5 min", "30 min", "2 h"]
        );
        assert_eq!(told(&Axis::rate("", [0.03, 3.0].into_iter()), 6), ["0", "0.01", "0.1", "1"]);
    }

    #[test]
    fn zero_has_a_place_of_its_own_beside_tenfolds_and_nothing_leaves_the_axis() {
        let axis = Axis::rate("", [0.02, 8.0].into_iter());
        assert_eq!((axis.place(0.0), axis.place(0.01), axis.place(10.0)), (0.0, ZERO, 1.0));
        assert!(axis.place(0.1) > axis.place(0.02));
        for value in [f64::NAN, f64::INFINITY, -1.0, 1e300] {
            assert!((0.0..=1.0).contains(&axis.place(value)), "{value}");
        }
        let flat = Axis::around("", Unit::Plain, [2.0, 2.0].into_iter());
        assert!(flat.place(2.0) > 0.4 && flat.place(2.0) < 0.6 && !flat.ticks(4).is_empty());
        assert!((0.0..=1.0).contains(&Axis::around("", Unit::Plain, std::iter::empty()).place(0.5)));
    }
}
