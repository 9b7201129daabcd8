//! How many accounts chance brings to one pair: the fleet's own rate of such deeds, and the pair's share of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Place, What};
use crate::domain::{Span, Timestamp};
use crate::engine::decay::{left, window};

const HALF_LIFE: f64 = 7.0 * 86_400.0;
/// Before anything is known: deeds of an account a day, and the days that this counts for.
const USUAL_A_DAY: f64 = 0.3;
const USUAL_DAYS: f64 = 2.0;
/// A pair's share of a fleet's deeds, while nothing is known of it: one of some hundreds is tried now and then. No pair
/// has less than `LEAST_SHARE`, however rarely it was seen: there are thousands of them.
const NO_DEEDS: f64 = 0.5;
const UNSEEN: f64 = 50.0;
const LEAST_SHARE: f64 = 3e-4;
/// Places of which the share is remembered.
const MOST: usize = 20_000;

/// Deeds that were done, decayed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Rates {
    since: Option<Timestamp>,
    all: BTreeMap<What, Count>,
    of: BTreeMap<Place, Count>,
    swept: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Count {
    deeds: f64,
    at: Timestamp,
}

impl Count {
    fn at(self, now: Timestamp) -> f64 {
        self.deeds * left(now.since(self.at).secs_f64(), HALF_LIFE)
    }

    fn add(&mut self, deeds: f64, now: Timestamp) {
        self.deeds = self.at(now) + deeds;
        self.at = self.at.max(now);
    }
}

impl Rates {
    /// Returns how many of `accounts` chance brings to a place within `span`.
    pub(super) fn expected(&self, place: &Place, span: Span, now: Timestamp, accounts: usize) -> f64 {
        let all = self.all.get(&place.1).map_or(0.0, |count| count.at(now));
        let age = self.since.map_or(0.0, |since| now.since(since).secs_f64().max(0.0));
        let usual = USUAL_A_DAY * USUAL_DAYS * accounts as f64;
        let rate = (all + usual) / (window(age, HALF_LIFE) + USUAL_DAYS * 86_400.0);
        let here = self.of.get(place).map_or(0.0, |count| count.at(now));
        let share = match place.2 {
            Some(_) => ((here + NO_DEEDS) / (all + UNSEEN)).max(LEAST_SHARE),
            None => 1.0,
        };
        rate * share * span.secs_f64()
    }

    /// Learns that `deeds` were done apart at a place.
    pub(super) fn learn(&mut self, place: &Place, deeds: usize, at: Timestamp) {
        self.since.get_or_insert(at);
        self.all.entry(place.1).or_default().add(deeds as f64, at);
        if self.of.len() >= MOST && !self.of.contains_key(place) {
            // A walk over all of them, so once a day; until then what is new has the least share.
            if self.swept.is_some_and(|swept| at.since(swept).secs_f64() < 86_400.0) {
                return;
            }
            self.swept = Some(at);
            self.of.retain(|_, count| count.at(at) >= 0.1);
            if self.of.len() >= MOST {
                return;
            }
        }
        self.of.entry(place.clone()).or_default().add(deeds as f64, at);
    }
}
