//! How much a pair is traded, and how much more just now.

use super::{H24H, HALF_LIVES, Pair};
use crate::domain::{Side, Timestamp};
use crate::engine::decay::{left, window};

/// Half-life of what is called now: a minute.
const H60: usize = 2;
/// Orders within the last minute that need no news.
const QUIET: f64 = 3.0;

impl Pair {
    /// Returns the quote that is traded a day, where the exchange told it or a day was seen.
    pub fn turnover(&self) -> Option<f64> {
        let seen = !self.young();
        (seen || self.volume.is_some()).then(|| self.daily_quote(Side::Buy) + self.daily_quote(Side::Sell))
    }

    /// Returns how many times more orders than usual takers of `side` send at `now`; 1 where it is quiet.
    pub fn heat(&self, side: Side, now: Timestamp) -> f64 {
        let Some(first) = self.first else { return 1.0 };
        let flow = self.flow(side);
        let since = now.since(self.last).secs_f64();
        let fast =
            (flow.orders.get(H60) * left(since, HALF_LIVES[H60]) - QUIET).max(0.0) / window(f64::MAX, HALF_LIVES[H60]);
        let age = self.last.since(first).secs_f64();
        let slow = (flow.orders.get(H24H) + 1.0) / (window(age, HALF_LIVES[H24H]) + 3_600.0);
        (fast / slow).max(1.0)
    }
}
