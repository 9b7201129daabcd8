//! The engine's memory: against formulas worked out anew, and against whoever fills it on purpose.

mod bounds;
mod features;
mod habits;
mod history;
mod interest;
mod portable;
mod wallets;

use rust_decimal::Decimal;

use super::*;
use crate::domain::{Basis, Price, Quantity, Venue, Via};

/// 2026-03-02T09:00:00Z.
pub(super) const MORNING: i64 = 1_772_442_000_000;

pub(super) fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(MORNING + millis)
}

pub(super) fn dec(text: &str) -> Decimal {
    text.parse().unwrap()
}

pub(super) fn symbol(text: &str) -> Symbol {
    Symbol::from_dashed(text).unwrap()
}

pub(super) fn account(name: &str) -> AccountId {
    AccountId::new(Venue::Binance, name).unwrap()
}

pub(super) fn fill(pair: &str, order: u64, price: &str, quantity: &str, time: Timestamp) -> Fill {
    let (price, quantity) = (dec(price), dec(quantity));
    Fill {
        account: account("alice"),
        symbol: symbol(pair),
        side: Side::Buy,
        price: Price::new(price).unwrap(),
        quantity: Quantity::new(quantity).unwrap(),
        notional: price.saturating_mul(quantity),
        fee: None,
        maker: Some(false),
        trade_id: None,
        order_id: compact_str::format_compact!("{order}"),
        client_order_id: Some(compact_str::format_compact!("kind{}-{order}", order % 977)),
        source: None,
        order_type: None,
        time,
        basis: Basis::Exact,
        via: Via::Stream,
    }
}

pub(super) fn event(n: u64, at: Timestamp, kind: EventKind) -> Event {
    Event { n, at, kind }
}
