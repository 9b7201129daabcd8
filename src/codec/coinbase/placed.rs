//! The orders of a Coinbase Exchange profile, bounded: a match names its order and tells nothing else about it.

use std::collections::{BTreeMap, VecDeque};

use compact_str::CompactString;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::book::Book;
use crate::domain::OrderStep;

/// What was told of the last orders, and which fills wait for their fee.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Placed {
    orders: BTreeMap<CompactString, Told>,
    touched: u64,
    /// Quote of the fills that were told without a fee, by trade and order.
    unpaid: BTreeMap<u128, Decimal>,
    oldest: VecDeque<u128>,
}

/// What was told of an order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Told {
    /// The id its sender chose.
    pub(super) client_order_id: Option<CompactString>,
    /// `market` or `limit`.
    pub(super) order_type: Option<CompactString>,
    /// The last step that was told.
    pub(super) step: Option<OrderStep>,
    touched: u64,
}

impl Placed {
    /// Orders kept.
    const ORDERS: usize = 5_000;
    /// Fills without a fee kept.
    const UNPAID: usize = 5_000;

    /// Returns the order, a new one when it was not heard of.
    pub(super) fn order(&mut self, id: &str) -> &mut Told {
        if !self.orders.contains_key(id) && self.orders.len() >= Self::ORDERS {
            self.forget();
        }
        self.touched += 1;
        let order = self.orders.entry(id.into()).or_default();
        order.touched = self.touched;
        order
    }

    /// Returns the order when it was heard of.
    pub(super) fn known(&self, id: &str) -> Option<&Told> {
        self.orders.get(id)
    }

    /// Notes a fill whose fee was not told, and the quote it was booked with.
    pub(super) fn owe(&mut self, trade_id: &str, order_id: &str, notional: Decimal) {
        let name = Book::row(trade_id, order_id);
        if self.unpaid.insert(name, notional).is_none() {
            self.oldest.push_back(name);
        }
        if self.oldest.len() > Self::UNPAID
            && let Some(oldest) = self.oldest.pop_front()
        {
            self.unpaid.remove(&oldest);
        }
    }

    /// Returns what a fill was booked with when it waited for its fee, which is settled now.
    pub(super) fn settle(&mut self, trade_id: &str, order_id: &str) -> Option<Decimal> {
        let name = Book::row(trade_id, order_id);
        let booked = self.unpaid.remove(&name)?;
        self.oldest.retain(|other| *other != name);
        Some(booked)
    }

    /// Drops a tenth: what is over first, then what was silent longest.
    fn forget(&mut self) {
        let over = |told: &Told| {
            let step = told.step;
            step.is_some_and(|step| {
                matches!(step, OrderStep::Done | OrderStep::Cancelled | OrderStep::Expired | OrderStep::Rejected)
            })
        };
        let rank = |told: &Told| (!over(told), told.touched);
        let mut ranks: Vec<_> = self.orders.values().map(rank).collect();
        ranks.sort_unstable();
        if let Some(last) = ranks.get(Self::ORDERS / 10) {
            self.orders.retain(|_, told| rank(told) > *last);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stays_bounded_and_drops_what_is_over_first() {
        let mut placed = Placed::default();
        for number in 0..=Placed::ORDERS {
            let step = if number < Placed::ORDERS / 2 { OrderStep::Accepted } else { OrderStep::Done };
            placed.order(&number.to_string()).step = Some(step);
            placed.owe(&number.to_string(), "o", Decimal::ONE);
        }
        assert!(placed.orders.len() <= Placed::ORDERS && placed.known("0").is_some());
        assert!(placed.known(&(Placed::ORDERS / 2).to_string()).is_none());
        assert_eq!((placed.unpaid.len(), placed.oldest.len()), (Placed::UNPAID, Placed::UNPAID));
        assert_eq!((placed.settle("0", "o"), placed.settle("1", "o")), (None, Some(Decimal::ONE)));
        assert_eq!(placed.settle("1", "o"), None, "settled once");
    }
}
