//! The values of one level (addresses, prefixes, networks, countries) that were seen, and what one more would say.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::Timestamp;
use crate::engine::decay::left;

/// Values kept of a level; the one not used for longest is forgotten first.
pub(super) const MOST: usize = 32;
/// What was seen counts half after so long, in seconds.
const HALF_LIFE: f64 = 90.0 * 86_400.0;

/// Values, with how many days each was used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Values<K: Ord> {
    /// Days with a value, decayed: two values on one day are two.
    days: f64,
    at: Timestamp,
    seen: BTreeMap<K, Seen>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Seen {
    last: Timestamp,
    day: i64,
}

impl<K: Ord> Default for Values<K> {
    fn default() -> Self {
        Values { days: 0.0, at: Timestamp::EPOCH, seen: BTreeMap::new() }
    }
}

impl<K: Ord + Clone> Values<K> {
    pub(super) fn knows(&self, value: &K) -> bool {
        self.seen.contains_key(value)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }

    /// Returns how many different values are remembered.
    pub(super) fn kinds(&self) -> f64 {
        self.seen.len() as f64
    }

    pub(super) fn days(&self, now: Timestamp) -> f64 {
        self.days * left(now.since(self.at).secs_f64(), HALF_LIFE)
    }

    /// Returns what a value never seen says, in nats: ln 1/P(new), by Witten and Bell T/(n + T) for T values in n days.
    pub(super) fn novelty(&self, now: Timestamp) -> f64 {
        if self.seen.is_empty() {
            return 0.0;
        }
        ((self.days(now) + self.kinds()) / self.kinds()).ln()
    }

    /// Notes a use.
    pub(super) fn see(&mut self, value: &K, day: i64, at: Timestamp) {
        let new_day = match self.seen.get_mut(value) {
            Some(seen) => {
                let new_day = seen.day != day;
                (seen.day, seen.last) = (day, seen.last.max(at));
                new_day
            }
            None => {
                self.seen.insert(value.clone(), Seen { last: at, day });
                if self.seen.len() > MOST
                    && let Some(oldest) = self.seen.iter().min_by_key(|(_, seen)| seen.last).map(|(key, _)| key.clone())
                {
                    self.seen.remove(&oldest);
                }
                true
            }
        };
        if new_day {
            self.days = self.days(at) + 1.0;
            self.at = self.at.max(at);
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.seen.len()
    }
}
