//! Taker orders as the market shows them, and as a watched account made them.

use compact_str::CompactString;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::domain::{Price, Quantity, Side, Timestamp};

/// A trade as the pair's memory takes it.
#[derive(Clone, Debug)]
pub struct Trade<'a> {
    /// When, by the exchange's clock.
    pub time: Timestamp,
    /// The taker's side.
    pub taker: Side,
    /// At which price.
    pub price: Price,
    /// How much base.
    pub quantity: Quantity,
    /// The taker's order, where the venue tells it.
    pub order: Option<&'a CompactString>,
}

/// Trades that one taker order made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct TakerOrder {
    pub(super) id: Option<CompactString>,
    pub(super) side: Side,
    pub(super) at: Timestamp,
    pub(super) quote: f64,
    pub(super) levels: u32,
    pub(super) high: f64,
    pub(super) low: f64,
    pub(super) last: Decimal,
}

/// A taker order with its score.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scored {
    /// The exchange's time of the order, ms since 1970: many are kept, and each byte counts.
    pub(super) at_ms: i64,
    /// Its side.
    pub side: Side,
    /// Its score.
    pub score: f32,
    pub(super) high: f32,
    pub(super) low: f32,
}

/// A watched account's order as the market sees it.
#[derive(Clone, Copy, Debug)]
pub struct OwnOrder {
    /// Its side.
    pub side: Side,
    /// The exchange's time of its last fill.
    pub time: Timestamp,
    /// Its quote so far.
    pub quote: f64,
    /// Price levels it took so far.
    pub levels: u32,
    /// Its highest price.
    pub high: f64,
    /// Its lowest price.
    pub low: f64,
}

impl Scored {
    /// Returns the exchange's time of the order, to the millisecond.
    pub fn at(&self) -> Timestamp {
        Timestamp::from_millis(self.at_ms)
    }

    /// Returns whether a watched account's order was (part of) this one: the same moment, or its price within 1.5 s.
    pub fn is(&self, own: &OwnOrder) -> bool {
        let apart_ms = (self.at_ms - own.time.millis()).abs();
        let inside = f64::from(self.low) * 0.999_999 <= own.high && own.low <= f64::from(self.high) * 1.000_001;
        self.side == own.side && inside && apart_ms <= 1_500
    }
}
