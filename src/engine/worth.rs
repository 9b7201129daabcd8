//! What one unit of an asset is worth, for statistics that compare pairs of different quote assets.
//!
//! The unit is the model's own: about one bitcoin of the years the market score was fitted on, or 30,000 dollars. It
//! scales pseudo-counts and sums up balances; it never becomes money that is told to people.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::{Asset, Symbol};

/// Dollars that one unit is worth.
pub const DOLLARS_A_UNIT: f64 = 30_000.0;

/// Units for assets that nobody has traded in front of us yet: rough, because only magnitudes matter here.
const KNOWN: [(&str, f64); 40] = [
    ("BTC", 1.0),
    ("XBT", 1.0),
    ("WBTC", 1.0),
    ("USDT", 1.0 / DOLLARS_A_UNIT),
    ("USDC", 1.0 / DOLLARS_A_UNIT),
    ("USD", 1.0 / DOLLARS_A_UNIT),
    ("FDUSD", 1.0 / DOLLARS_A_UNIT),
    ("BUSD", 1.0 / DOLLARS_A_UNIT),
    ("TUSD", 1.0 / DOLLARS_A_UNIT),
    ("USDP", 1.0 / DOLLARS_A_UNIT),
    ("PAX", 1.0 / DOLLARS_A_UNIT),
    ("USDS", 1.0 / DOLLARS_A_UNIT),
    ("USD1", 1.0 / DOLLARS_A_UNIT),
    ("DAI", 1.0 / DOLLARS_A_UNIT),
    ("EUR", 1.1 / DOLLARS_A_UNIT),
    ("EURI", 1.1 / DOLLARS_A_UNIT),
    ("AEUR", 1.1 / DOLLARS_A_UNIT),
    ("GBP", 1.3 / DOLLARS_A_UNIT),
    ("AUD", 0.7 / DOLLARS_A_UNIT),
    ("BRL", 0.2 / DOLLARS_A_UNIT),
    ("TRY", 0.03 / DOLLARS_A_UNIT),
    ("RUB", 0.012 / DOLLARS_A_UNIT),
    ("UAH", 0.025 / DOLLARS_A_UNIT),
    ("PLN", 0.25 / DOLLARS_A_UNIT),
    ("RON", 0.22 / DOLLARS_A_UNIT),
    ("CZK", 0.045 / DOLLARS_A_UNIT),
    ("ZAR", 0.055 / DOLLARS_A_UNIT),
    ("MXN", 0.055 / DOLLARS_A_UNIT),
    ("ARS", 0.001 / DOLLARS_A_UNIT),
    ("NGN", 0.0007 / DOLLARS_A_UNIT),
    ("JPY", 0.007 / DOLLARS_A_UNIT),
    ("IDRT", 0.00006 / DOLLARS_A_UNIT),
    ("BIDR", 0.00006 / DOLLARS_A_UNIT),
    ("ETH", 0.06),
    ("BNB", 0.01),
    ("TRX", 0.000_005),
    ("XRP", 0.000_03),
    ("DOGE", 0.000_005),
    ("KCS", 0.000_3),
    ("DOT", 0.000_2),
];

/// The last prices that say what assets are worth.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Worth {
    seen: BTreeMap<Asset, f64>,
}

/// More assets than this are not remembered; the exchanges list a few thousand.
const MOST: usize = 20_000;

impl Worth {
    /// Learns from a trade or bar of `symbol` at `price`.
    pub fn learn(&mut self, symbol: &Symbol, price: f64) {
        // Only quotes whose worth does not itself come from a price: no chain of guesses.
        if let Some(quote) = known(symbol.quote())
            && known(symbol.base()).is_none()
            && price.is_finite()
            && price > 0.0
        {
            if let Some(worth) = self.seen.get_mut(symbol.base()) {
                *worth = price * quote;
            } else if self.seen.len() < MOST {
                self.seen.insert(symbol.base().clone(), price * quote);
            }
        }
    }

    /// Returns the units one `asset` is worth, where anything is known about it.
    pub fn of(&self, asset: &Asset) -> Option<f64> {
        known(asset).or_else(|| self.seen.get(asset).copied())
    }

    /// Returns whether an asset's worth is built in: money, and coins too large for one account to move.
    pub fn is_known(asset: &Asset) -> bool {
        known(asset).is_some()
    }

    /// Returns whether an asset is a dollar.
    pub fn is_dollar(&self, asset: &Asset) -> bool {
        self.of(asset).is_some_and(|worth| (worth * DOLLARS_A_UNIT - 1.0).abs() < 0.02)
    }

    /// Returns the units one quote asset is worth; an unknown quote is taken for a dollar.
    pub fn unit(&self, quote: &Asset) -> f64 {
        self.of(quote).unwrap_or(1.0 / DOLLARS_A_UNIT)
    }
}

fn known(asset: &Asset) -> Option<f64> {
    KNOWN.iter().find(|(name, _)| *name == asset.as_str()).map(|(_, worth)| *worth)
}
