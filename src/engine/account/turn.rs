//! Round trips in one pair: what was bought and sold, decayed, and what that came to.

use serde::{Deserialize, Serialize};

use crate::domain::{Fill, Side, Timestamp};
use crate::engine::decay::left;
use crate::engine::pair::float;

/// Half-life of the sums that round trips are seen in.
const CHURN: f64 = 300.0;

/// Bought and sold base and quote in a pair, decayed with a half-life of five minutes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Turn {
    at: Timestamp,
    bought: f64,
    paid: f64,
    sold: f64,
    got: f64,
    turns: f64,
    side: Option<Side>,
    since: Timestamp,
}

/// What round trips in one pair come to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RoundTrips {
    /// Changes of side, decayed.
    pub turns: f64,
    /// Part of the price lost on a turn: (mean buy - mean sell) / mean buy.
    pub part: f64,
    /// Quote lost on what was both bought and sold.
    pub lost: f64,
    /// Quote that was turned over and came back.
    pub turned: f64,
    /// How long it has been going on.
    pub since: Timestamp,
}

impl Turn {
    pub(super) fn take(&mut self, fill: &Fill, time: Timestamp) {
        let rest = left(time.since(self.at).secs_f64(), CHURN);
        for sum in [&mut self.bought, &mut self.paid, &mut self.sold, &mut self.got, &mut self.turns] {
            *sum *= rest;
        }
        self.at = self.at.max(time);
        if self.turns < 0.5 {
            self.since = time;
        }
        let (quantity, notional) = (float(fill.quantity.get()), float(fill.notional));
        match fill.side {
            Side::Buy => {
                self.bought += quantity;
                self.paid += notional;
            }
            Side::Sell => {
                self.sold += quantity;
                self.got += notional;
            }
        }
        if self.side.is_some_and(|side| side != fill.side) {
            self.turns += 1.0;
        }
        self.side = Some(fill.side);
    }

    /// Returns what the round trips come to, where something was both bought and sold.
    pub fn round_trips(&self) -> Option<RoundTrips> {
        let both = self.bought.min(self.sold);
        if both <= 0.0 || self.paid <= 0.0 {
            return None;
        }
        let (buy, sell) = (self.paid / self.bought, self.got / self.sold);
        Some(RoundTrips {
            turns: self.turns,
            part: (buy - sell) / buy,
            lost: both * (buy - sell),
            turned: both * buy,
            since: self.since,
        })
    }
}
