//! What one unit of an asset is worth, for statistics that compare pairs of different quote assets.
//!
//! The unit is the model's own: about one bitcoin of the years the market score was fitted on, or 30,000 dollars. It
//! scales pseudo-counts and sums up balances; it never becomes money that is told to people.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::{Asset, Symbol};

/// Dollars that one unit is worth.
pub const DOLLARS_A_UNIT: f64 = 30_000.0;

/// Units for assets that nobody has traded in front of us yet, by name: rough, because only magnitudes matter here.
const KNOWN: [(&str, f64); 81] = [
    ("AED", 0.27 / DOLLARS_A_UNIT),
    ("AEUR", 1.1 / DOLLARS_A_UNIT),
    ("ARS", 0.001 / DOLLARS_A_UNIT),
    ("AUD", 0.7 / DOLLARS_A_UNIT),
    ("BFUSD", 1.0 / DOLLARS_A_UNIT),
    ("BGN", 0.55 / DOLLARS_A_UNIT),
    ("BIDR", 0.00006 / DOLLARS_A_UNIT),
    ("BKRW", 0.000_75 / DOLLARS_A_UNIT),
    ("BNB", 0.01),
    ("BRL", 0.2 / DOLLARS_A_UNIT),
    ("BTC", 1.0),
    ("BUSD", 1.0 / DOLLARS_A_UNIT),
    ("BVND", 0.000_04 / DOLLARS_A_UNIT),
    ("CAD", 0.73 / DOLLARS_A_UNIT),
    ("CHF", 1.1 / DOLLARS_A_UNIT),
    ("CLP", 0.001_1 / DOLLARS_A_UNIT),
    ("COP", 0.000_25 / DOLLARS_A_UNIT),
    ("CZK", 0.045 / DOLLARS_A_UNIT),
    ("DAI", 1.0 / DOLLARS_A_UNIT),
    ("DKK", 0.15 / DOLLARS_A_UNIT),
    ("DOGE", 0.000_005),
    ("DOT", 0.000_2),
    ("EGP", 0.02 / DOLLARS_A_UNIT),
    ("ETH", 0.06),
    ("EUR", 1.1 / DOLLARS_A_UNIT),
    ("EURC", 1.1 / DOLLARS_A_UNIT),
    ("EURI", 1.1 / DOLLARS_A_UNIT),
    ("EURT", 1.1 / DOLLARS_A_UNIT),
    ("FDUSD", 1.0 / DOLLARS_A_UNIT),
    ("GBP", 1.3 / DOLLARS_A_UNIT),
    ("GEL", 0.37 / DOLLARS_A_UNIT),
    ("GHS", 0.08 / DOLLARS_A_UNIT),
    ("GUSD", 1.0 / DOLLARS_A_UNIT),
    ("HKD", 0.13 / DOLLARS_A_UNIT),
    ("HUF", 0.002_8 / DOLLARS_A_UNIT),
    ("IDR", 0.000_06 / DOLLARS_A_UNIT),
    ("IDRT", 0.00006 / DOLLARS_A_UNIT),
    ("INR", 0.012 / DOLLARS_A_UNIT),
    ("JPY", 0.007 / DOLLARS_A_UNIT),
    ("KCS", 0.000_3),
    ("KES", 0.007_7 / DOLLARS_A_UNIT),
    ("KRW", 0.000_75 / DOLLARS_A_UNIT),
    ("KZT", 0.002 / DOLLARS_A_UNIT),
    ("MXN", 0.055 / DOLLARS_A_UNIT),
    ("MYR", 0.22 / DOLLARS_A_UNIT),
    ("NGN", 0.0007 / DOLLARS_A_UNIT),
    ("NOK", 0.1 / DOLLARS_A_UNIT),
    ("PAX", 1.0 / DOLLARS_A_UNIT),
    ("PEN", 0.27 / DOLLARS_A_UNIT),
    ("PHP", 0.018 / DOLLARS_A_UNIT),
    ("PKR", 0.003_6 / DOLLARS_A_UNIT),
    ("PLN", 0.25 / DOLLARS_A_UNIT),
    ("PYUSD", 1.0 / DOLLARS_A_UNIT),
    ("RLUSD", 1.0 / DOLLARS_A_UNIT),
    ("RON", 0.22 / DOLLARS_A_UNIT),
    ("RUB", 0.012 / DOLLARS_A_UNIT),
    ("SAR", 0.27 / DOLLARS_A_UNIT),
    ("SEK", 0.1 / DOLLARS_A_UNIT),
    ("SGD", 0.75 / DOLLARS_A_UNIT),
    ("THB", 0.03 / DOLLARS_A_UNIT),
    ("TRX", 0.000_005),
    ("TRY", 0.03 / DOLLARS_A_UNIT),
    ("TUSD", 1.0 / DOLLARS_A_UNIT),
    ("TWD", 0.03 / DOLLARS_A_UNIT),
    ("UAH", 0.025 / DOLLARS_A_UNIT),
    ("USD", 1.0 / DOLLARS_A_UNIT),
    ("USD1", 1.0 / DOLLARS_A_UNIT),
    ("USDC", 1.0 / DOLLARS_A_UNIT),
    ("USDE", 1.0 / DOLLARS_A_UNIT),
    ("USDG", 1.0 / DOLLARS_A_UNIT),
    ("USDP", 1.0 / DOLLARS_A_UNIT),
    ("USDS", 1.0 / DOLLARS_A_UNIT),
    ("USDSB", 1.0 / DOLLARS_A_UNIT),
    ("USDT", 1.0 / DOLLARS_A_UNIT),
    ("UZS", 0.000_08 / DOLLARS_A_UNIT),
    ("VND", 0.000_04 / DOLLARS_A_UNIT),
    ("WBTC", 1.0),
    ("XBT", 1.0),
    ("XRP", 0.000_03),
    ("XUSD", 1.0 / DOLLARS_A_UNIT),
    ("ZAR", 0.055 / DOLLARS_A_UNIT),
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
    KNOWN.binary_search_by_key(&asset.as_str(), |(name, _)| name).ok().map(|place| KNOWN[place].1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_found_and_money_of_many_to_the_dollar_is_not_taken_for_dollars() {
        assert!(KNOWN.is_sorted_by(|a, b| a.0 < b.0));
        let dollars = |name: &str| Worth::default().unit(&Asset::new(name).unwrap()) * DOLLARS_A_UNIT;
        for (name, least, most) in
            [("USDT", 0.99, 1.01), ("IDR", 0.00004, 0.0001), ("COP", 0.0001, 0.0005), ("CHF", 0.8, 1.5)]
        {
            assert!((least..most).contains(&dollars(name)), "{name}: {}", dollars(name));
        }
        assert!((dollars("NEVERHEARDOF") - 1.0).abs() < 1e-9);
    }
}
