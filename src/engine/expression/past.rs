//! What an account did lately, for conditions that count over a time.

use std::collections::{BTreeSet, VecDeque};
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::domain::{Side, Span, Symbol, Timestamp};

/// Orders and uses that are kept of one account, the newest; counts stop growing here.
const MOST: usize = 256;

/// The orders and uses of an account that some rule looks back at. Empty where no rule does.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Past {
    orders: VecDeque<Order>,
    uses: VecDeque<(Timestamp, IpAddr)>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Order {
    id: compact_str::CompactString,
    time: Timestamp,
    symbol: Symbol,
    side: Side,
    dollars: f64,
}

/// Which orders are counted.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Only those of a pair.
    pub symbol: Option<&'a Symbol>,
    /// Only those of a side.
    pub side: Option<Side>,
    /// Only those not older than this.
    pub within: Span,
    /// The time now.
    pub now: Timestamp,
}

impl Past {
    /// Takes a fill of an order, worth so many dollars.
    pub fn trade(
        &mut self,
        id: &compact_str::CompactString,
        symbol: &Symbol,
        side: Side,
        time: Timestamp,
        dollars: f64,
    ) {
        if let Some(order) = self.orders.iter_mut().rev().find(|order| order.id == *id && order.symbol == *symbol) {
            order.dollars += dollars;
            order.time = order.time.max(time);
            return;
        }
        if self.orders.len() == MOST {
            self.orders.pop_front();
        }
        self.orders.push_back(Order { id: id.clone(), time, symbol: symbol.clone(), side, dollars });
    }

    /// Takes a use of the account's key from an address.
    pub fn used(&mut self, ip: IpAddr, at: Timestamp) {
        if self.uses.len() == MOST {
            self.uses.pop_front();
        }
        self.uses.push_back((at, ip));
    }

    /// Drops what is older than any rule looks back.
    pub fn forget(&mut self, now: Timestamp, within: Span) {
        self.orders.retain(|order| now.since(order.time) <= within);
        self.uses.retain(|(at, _)| now.since(*at) <= within);
    }

    /// Returns how many orders there were.
    pub fn count(&self, asked: Asked<'_>) -> f64 {
        self.asked(asked).count() as f64
    }

    /// Returns what they were worth, in dollars.
    pub fn sum(&self, asked: Asked<'_>) -> f64 {
        self.asked(asked).map(|order| order.dollars).sum()
    }

    /// Returns in how many pairs they were.
    pub fn pairs(&self, asked: Asked<'_>) -> f64 {
        self.asked(asked).map(|order| &order.symbol).collect::<BTreeSet<_>>().len() as f64
    }

    /// Returns how often the key was used, and from how many addresses.
    pub fn uses(&self, now: Timestamp, within: Span) -> (f64, f64) {
        let uses = self.uses.iter().filter(|(at, _)| now.since(*at) <= within);
        (uses.clone().count() as f64, uses.map(|(_, ip)| ip).collect::<BTreeSet<_>>().len() as f64)
    }

    fn asked<'p>(&'p self, asked: Asked<'p>) -> impl Iterator<Item = &'p Order> {
        let Asked { symbol, side, within, now } = asked;
        self.orders.iter().filter(move |order| {
            now.since(order.time) <= within
                && symbol.is_none_or(|symbol| order.symbol == *symbol)
                && side.is_none_or(|side| order.side == side)
        })
    }
}
