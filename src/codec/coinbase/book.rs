//! The orders and fill rows of one account, bounded.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use compact_str::CompactString;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::totals::Totals;

/// The last orders of an account by their id, and which rows of List Fills were taken.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Book {
    orders: BTreeMap<CompactString, Totals>,
    touched: u64,
    rows: BTreeSet<u128>,
    oldest: VecDeque<u128>,
    /// Base and quote of the last trades that rows told, for a correction that may follow.
    trades: BTreeMap<u128, (Decimal, Decimal)>,
    oldest_trades: VecDeque<u128>,
}

impl Book {
    /// Orders kept.
    const ORDERS: usize = 10_000;
    /// Rows kept: a standing reconciliation asks for the same ones again and again.
    const ROWS: usize = 20_000;
    /// Trades kept: the exchange corrects its books soon or not at all.
    const TRADES: usize = 2_000;

    /// Returns the order, a new one when it was not heard of.
    pub(super) fn order(&mut self, id: &str) -> &mut Totals {
        if !self.orders.contains_key(id) && self.orders.len() >= Self::ORDERS {
            self.forget();
        }
        self.touched += 1;
        let order = self.orders.entry(id.into()).or_default();
        order.touched = self.touched;
        order
    }

    /// Returns the order when it was heard of.
    pub(super) fn known(&mut self, id: &str) -> Option<&mut Totals> {
        self.orders.get_mut(id)
    }

    /// Returns whether a row was not taken yet, and remembers it.
    pub(super) fn take(&mut self, row: u128) -> bool {
        if !self.rows.insert(row) {
            return false;
        }
        self.oldest.push_back(row);
        if self.oldest.len() > Self::ROWS
            && let Some(oldest) = self.oldest.pop_front()
        {
            self.rows.remove(&oldest);
        }
        true
    }

    /// Remembers what a trade came to.
    pub(super) fn traded(&mut self, trade_id: &str, quantity: Decimal, value: Decimal) {
        let name = Self::row(trade_id, "");
        if self.trades.insert(name, (quantity, value)).is_none() {
            self.oldest_trades.push_back(name);
        }
        if self.oldest_trades.len() > Self::TRADES
            && let Some(oldest) = self.oldest_trades.pop_front()
        {
            self.trades.remove(&oldest);
        }
    }

    /// Takes over what a trade comes to after a correction, and returns what it came to before; nothing when the trade is
    /// not known or its base differs, which no correction of a price explains.
    pub(super) fn corrected(&mut self, trade_id: &str, quantity: Decimal, value: Decimal) -> Option<Decimal> {
        let (known, before) = self.trades.get_mut(&Self::row(trade_id, ""))?;
        (*known == quantity).then(|| std::mem::replace(before, value))
    }

    /// Returns the name by which a row is remembered: a correction repeats the trade id with another entry id.
    pub(super) fn row(trade_id: &str, entry_id: &str) -> u128 {
        let mut hash = blake3::Hasher::new();
        hash.update(trade_id.as_bytes()).update(&[0]).update(entry_id.as_bytes());
        let mut name = [0; 16];
        name.copy_from_slice(&hash.finalize().as_bytes()[..16]);
        u128::from_le_bytes(name)
    }

    /// Drops a tenth: what is over and confirmed first, then what is over, then what was silent longest. An order
    /// that is forgotten while it lives would have its next total told from zero.
    fn forget(&mut self) {
        let rank = |order: &Totals| (!order.finished(), order.waits(), order.touched);
        let mut ranks: Vec<_> = self.orders.values().map(rank).collect();
        ranks.sort_unstable();
        if let Some(last) = ranks.get(Self::ORDERS / 10) {
            self.orders.retain(|_, order| rank(order) > *last);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::OrderStep;

    #[test]
    fn it_stays_bounded_and_drops_finished_orders_first() {
        let mut book = Book::default();
        for number in 0..=Book::ORDERS {
            // The oldest half lives, the younger half is over.
            let step = if number < Book::ORDERS / 2 { OrderStep::Accepted } else { OrderStep::Done };
            book.order(&format!("o{number}")).step = Some(step);
        }
        assert!(book.orders.len() <= Book::ORDERS);
        assert!(book.known("o0").is_some() && book.known(&format!("o{}", Book::ORDERS / 2)).is_none());
    }

    #[test]
    fn a_row_is_taken_once_and_a_correction_is_another_row() {
        let mut book = Book::default();
        assert!(book.take(Book::row("t", "e1")) && !book.take(Book::row("t", "e1")) && book.take(Book::row("t", "e2")));
        for number in 0..=Book::ROWS {
            book.take(number as u128);
        }
        assert_eq!((book.rows.len(), book.oldest.len()), (Book::ROWS, Book::ROWS));
    }
}
