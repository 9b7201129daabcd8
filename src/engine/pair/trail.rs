//! What a price did lately, in a few bytes: for pictures alone.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::domain::{PricePoint, Timestamp};

/// Samples that are kept.
const MOST: usize = 12;
/// What a price is told to: a thousandth. Two bytes hold any change there is.
const STEP: f64 = 0.001;

/// Samples of a price, told from the newest backwards.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Trail {
    /// The newest sample: seconds since 1970, and the price.
    newest: (u32, f32),
    /// For each older one, the newest of them last: how many seconds before the next, and how many steps its price
    /// is below that.
    older: VecDeque<(u16, i16)>,
}

impl Trail {
    /// Takes a sample; one after a pause of more than 18 hours begins anew.
    pub(super) fn push(&mut self, at: Timestamp, price: f64) {
        let seconds = u32::try_from(at.millis() / 1_000).unwrap_or_default();
        let (before, old) = self.newest;
        if before > 0 {
            match u16::try_from(seconds.saturating_sub(before)) {
                Ok(apart) => {
                    let steps = ((price / f64::from(old)).ln() / STEP).round();
                    if self.older.len() + 1 >= MOST {
                        self.older.pop_front();
                    }
                    self.older.push_back((apart, if steps.is_finite() { steps as i16 } else { 0 }));
                }
                Err(_) => self.older.clear(),
            }
        }
        // As the older ones are told, so that errors do not add up along the way.
        let told = self
            .older
            .back()
            .filter(|_| before > 0)
            .map(|(_, steps)| f64::from(old) * (f64::from(*steps) * STEP).exp());
        self.newest = (seconds, told.unwrap_or(price) as f32);
    }

    /// Returns the samples, oldest first.
    pub(super) fn points(&self) -> impl Iterator<Item = PricePoint> {
        let (mut seconds, price) = self.newest;
        let mut price = f64::from(price);
        let mut points = Vec::with_capacity(MOST);
        if seconds > 0 {
            points.push((seconds, price));
            for (apart, steps) in self.older.iter().rev() {
                seconds = seconds.saturating_sub(u32::from(*apart));
                price *= (-f64::from(*steps) * STEP).exp();
                points.push((seconds, price));
            }
        }
        points
            .into_iter()
            .rev()
            .map(|(seconds, price)| PricePoint { at: Timestamp::from_millis(i64::from(seconds) * 1_000), price })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_twelve_samples_are_told_to_a_thousandth() {
        let mut trail = Trail::default();
        let price = |minute: i64| 0.000_020 * (1.0 + 0.07 * (minute as f64).sin()) * 1.02_f64.powi(minute as i32);
        for minute in 1..=30 {
            trail.push(Timestamp::from_millis(minute * 60_000 + 400), price(minute));
        }
        let points: Vec<PricePoint> = trail.points().collect();
        assert_eq!(points.len(), MOST);
        for (point, minute) in points.iter().zip(19..=30) {
            assert_eq!(point.at, Timestamp::from_millis(minute * 60_000));
            assert!((point.price / price(minute) - 1.0).abs() < 0.002, "{point:?} at {minute}: {}", price(minute));
        }
        assert!(postcard::to_stdvec(&trail).unwrap().len() <= 60);
    }

    #[test]
    fn a_long_pause_begins_anew_and_a_wild_price_breaks_nothing() {
        let mut trail = Trail::default();
        trail.push(Timestamp::from_millis(60_000), 1.0);
        trail.push(Timestamp::from_millis(120_000), 1e12);
        trail.push(Timestamp::from_millis(180_000), 0.0);
        assert_eq!(trail.points().count(), 3);
        trail.push(Timestamp::from_millis(90_000_000_000), 2.0);
        assert_eq!(trail.points().map(|point| point.price).collect::<Vec<_>>(), [2.0]);
    }
}
