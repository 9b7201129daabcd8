//! Sums and means that forget at a half-life, in constant size.

use serde::{Deserialize, Serialize};

/// Returns what is left of a decayed amount after `secs` at `half_life` seconds: 2^(-secs / half_life).
pub fn left(secs: f64, half_life: f64) -> f64 {
    (-secs.max(0.0) / half_life).exp2()
}

/// Returns the seconds that a decayed sum of `age` seconds stands for: the full window h / ln 2, less while it is young.
pub fn window(age: f64, half_life: f64) -> f64 {
    half_life / std::f64::consts::LN_2 * (1.0 - left(age, half_life))
}

/// An exponentially weighted mean and variance that one wild value cannot drag along: what deviates by more than
/// four standard deviations is learnt as four, so that the first spike does not hide the second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// The weighted mean.
    pub mean: f64,
    /// The weighted variance.
    pub variance: f64,
    /// How many values were learnt.
    pub count: u32,
}

impl Spread {
    /// Learns `value` with weight `alpha`, more while few values are known.
    pub fn learn(&mut self, value: f64, alpha: f64) {
        self.count = self.count.saturating_add(1);
        if self.count == 1 {
            self.mean = value;
            return;
        }
        let alpha = alpha.max(1.0 / f64::from(self.count));
        let mut off = value - self.mean;
        if self.count > 8 {
            let reach = 4.0 * self.variance.sqrt();
            off = off.clamp(-reach.max(f64::MIN_POSITIVE), reach.max(f64::MIN_POSITIVE));
        }
        self.mean += alpha * off;
        self.variance = (1.0 - alpha) * (self.variance + alpha * off * off);
    }

    /// Returns the standard deviation.
    pub fn deviation(&self) -> f64 {
        self.variance.sqrt()
    }
}

/// The last `N` values, oldest forgotten first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Recent<const N: usize> {
    values: Vec<f32>,
    next: u16,
}

impl<const N: usize> Recent<N> {
    /// Remembers a value.
    pub fn push(&mut self, value: f64) {
        let value = value as f32;
        if self.values.len() < N {
            self.values.push(value);
        } else {
            let place = usize::from(self.next) % N;
            self.values[place] = value;
        }
        self.next = ((usize::from(self.next) + 1) % N) as u16;
    }

    /// Returns how many values are held.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Returns whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Returns the median and the median absolute deviation scaled to a standard deviation.
    pub fn median_and_scale(&self) -> Option<(f64, f64)> {
        let median = middle(self.values.clone())?;
        let off = self.values.iter().map(|value| (value - median as f32).abs()).collect();
        Some((median, middle(off)? * 1.4826))
    }

    /// Returns how many values are at least `bar`.
    pub fn at_least(&self, bar: f64) -> usize {
        self.values.iter().filter(|value| f64::from(**value) >= bar - 1e-6).count()
    }

    /// Returns how many values are at most `bar`.
    pub fn at_most(&self, bar: f64) -> usize {
        self.values.iter().filter(|value| f64::from(**value) <= bar + 1e-6).count()
    }

    /// Returns the values, in no particular order of time.
    pub fn values(&self) -> &[f32] {
        &self.values
    }
}

fn middle(mut values: Vec<f32>) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    values.sort_by(f32::total_cmp);
    let half = values.len() / 2;
    let upper = f64::from(values[half]);
    Some(if values.len() % 2 == 1 { upper } else { (upper + f64::from(values[half - 1])) / 2.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_young_sum_stands_for_its_age_and_an_old_one_for_its_window() {
        assert!((window(1.0, 3_600.0) - 1.0).abs() < 1e-3);
        assert!((window(1e9, 60.0) - 60.0 / std::f64::consts::LN_2).abs() < 1e-9);
    }

    #[test]
    fn one_wild_value_moves_a_spread_by_four_deviations_at_most() {
        let mut spread = Spread::default();
        for k in 0..100 {
            spread.learn(if k % 2 == 0 { 1.0 } else { -1.0 }, 0.05);
        }
        let before = spread.mean;
        spread.learn(1e9, 0.05);
        assert!((spread.mean - before).abs() < 0.05 * 4.5, "{}", spread.mean);
    }

    #[test]
    fn the_oldest_value_is_forgotten_first() {
        let mut recent = Recent::<3>::default();
        for value in [100.0, 1.0, 2.0, 3.0] {
            recent.push(value);
        }
        assert_eq!(recent.median_and_scale().unwrap().0, 2.0);
        assert_eq!(recent.at_least(2.0), 2);
    }
}
