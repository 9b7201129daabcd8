//! Bursts of own orders that are cancelled: thieves free what an account has bound before they spend it.

use std::collections::VecDeque;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::window::Window;
use crate::domain::{Span, Timestamp};
use crate::engine::decay::Recent;

const SLOT: Span = Span::from_secs(10);
/// A pause that ends a burst, and how long one lasts at most, so that machines have habits too.
const BURST_ENDS: Span = Span::from_secs(900);
const BURST_LASTS: Span = Span::from_secs(3_600);
/// How long before an order a burst has to do with it.
const BEFORE: Span = Span::from_secs(300);
/// Until orders were heard of for this long nobody knows who cancels often.
const WARM: Span = Span::from_secs(86_400);
/// Cancels a minute that are a burst; one cancelled pair of exits is two.
const BURST: f64 = 4.0;
/// Reports of one cancel may come twice.
const MOST_IDS: usize = 8;

/// How many own orders were cancelled within a minute, now and usually.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cancels {
    ids: VecDeque<CompactString>,
    rate: Window<6>,
    began: Timestamp,
    last: Timestamp,
    most: f64,
    past: Recent<24>,
    heard: Option<Timestamp>,
}

impl Cancels {
    /// Hears of an order, whatever became of it.
    pub fn hear(&mut self, time: Timestamp) {
        self.heard.get_or_insert(time);
    }

    /// Takes a cancelled order.
    pub fn take(&mut self, order_id: &CompactString, time: Timestamp) {
        if self.ids.contains(order_id) {
            return;
        }
        if self.ids.len() == MOST_IDS {
            self.ids.pop_front();
        }
        self.ids.push_back(order_id.clone());
        if time.since(self.last) > BURST_ENDS || time.since(self.began) > BURST_LASTS {
            if self.most >= BURST {
                self.past.push(self.most);
            }
            (self.began, self.most) = (time, 0.0);
        }
        self.rate.add(time, SLOT, 1.0);
        self.last = self.last.max(time);
        self.most = self.most.max(self.rate.sum());
    }

    /// Returns the most cancels within a minute shortly before `now`, and how many earlier bursts were about as large;
    /// nothing where there was no burst, or too little is known.
    pub fn before(&self, now: Timestamp) -> Option<(f64, usize)> {
        let warm = self.heard.is_some_and(|heard| now.since(heard) >= WARM);
        let fresh = self.last <= now && now.since(self.last) <= BEFORE;
        (warm && fresh && self.most >= BURST).then(|| (self.most, self.past.at_least(0.6 * self.most)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn burst(cancels: &mut Cancels, from: i64, orders: i64) {
        for k in 0..orders {
            cancels.take(&compact_str::format_compact!("{from}-{k}"), Timestamp::from_millis(1_000 * (from + k)));
        }
    }

    #[test]
    fn the_first_burst_of_an_account_counts_and_the_tenth_is_its_habit() {
        let mut cancels = Cancels::default();
        cancels.hear(Timestamp::from_millis(0));
        let mut seen = Vec::new();
        for day in 1..=10 {
            burst(&mut cancels, day * 86_400, 6);
            seen.push(cancels.before(Timestamp::from_millis((day * 86_400 + 60) * 1_000)).unwrap());
        }
        assert_eq!((seen[0], seen[9]), ((6.0, 0), (6.0, 9)));
        assert_eq!(cancels.before(Timestamp::from_millis((10 * 86_400 + 400) * 1_000)), None, "too long ago");
    }

    #[test]
    fn a_repeated_report_and_a_few_cancels_are_no_burst() {
        let mut cancels = Cancels::default();
        cancels.hear(Timestamp::from_millis(0));
        for second in 0..20 {
            cancels.take(&"42".into(), Timestamp::from_millis((90_000 + second) * 1_000));
        }
        burst(&mut cancels, 90_030, 2);
        assert_eq!(cancels.before(Timestamp::from_millis(90_040_000)), None);
    }
}
