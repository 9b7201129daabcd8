//! Decayed sums at the five half-lives of a flow, in half the room where that costs nothing.

use serde::{Deserialize, Serialize};

use super::HALF_LIVES;

/// A sum for each half-life.
///
/// What fades within minutes is kept to seven digits: it forgets an error as fast as all else. Sums over hours and days
/// take so many small steps that they need all sixteen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Sums {
    fast: [f32; FAST],
    slow: [f64; HALF_LIVES.len() - FAST],
}

/// Half-lives up to a minute.
const FAST: usize = 3;

impl Sums {
    /// Returns the sum of one half-life.
    pub(super) fn get(&self, place: usize) -> f64 {
        match place.checked_sub(FAST) {
            None => f64::from(self.fast[place]),
            Some(slow) => self.slow[slow],
        }
    }

    /// Adds to the sum of one half-life.
    pub(super) fn add(&mut self, place: usize, amount: f64) {
        match place.checked_sub(FAST) {
            None => self.fast[place] = (f64::from(self.fast[place]) + amount) as f32,
            Some(slow) => self.slow[slow] += amount,
        }
    }

    /// Lets the sum of one half-life fade to a part.
    pub(super) fn scale(&mut self, place: usize, part: f64) {
        match place.checked_sub(FAST) {
            None => self.fast[place] = (f64::from(self.fast[place]) * part) as f32,
            Some(slow) => self.slow[slow] *= part,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::decay::left;

    #[test]
    fn a_million_steps_of_a_busy_market_cost_less_than_a_ten_thousandth() {
        let (mut sums, mut exact) = (Sums::default(), [0.0_f64; HALF_LIVES.len()]);
        for step in 0..1_000_000 {
            // Ten orders a second, of uneven size.
            let amount = 0.3 + f64::from(step % 17);
            for (place, half_life) in HALF_LIVES.into_iter().enumerate() {
                let part = left(0.1, half_life);
                sums.scale(place, part);
                sums.add(place, amount);
                exact[place] = exact[place] * part + amount;
            }
        }
        for (place, exact) in exact.into_iter().enumerate() {
            let off = (sums.get(place) / exact - 1.0).abs();
            assert!(off < if place < FAST { 1e-4 } else { 1e-9 }, "half-life {}: off by {off}", HALF_LIVES[place]);
        }
    }
}
