//! Assets, amounts and the pairs they trade in. Two currencies do not add.

use std::fmt;
use std::str::FromStr;

use compact_str::CompactString;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// What can be owned: `BTC`, `USDT`, `1000SATS`. Upper case, 1 to 40 bytes, no separator or space.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Asset(CompactString);

/// A base and quote pair, spelled alike whichever exchange it came from: `APPC-BTC`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Symbol {
    base: Asset,
    quote: Asset,
}

/// An amount of one asset, signed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Money {
    amount: Decimal,
    asset: Asset,
}

/// Quote paid for one unit of base; above zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Price(Decimal);

/// An amount of base that changed hands; above zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Quantity(Decimal);

/// What an amount or a name was refused for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// An asset's name is empty, too long or holds a separator.
    #[error("not an asset name")]
    Asset,
    /// A pair's name has no known quote asset at its end, or a part is not an asset.
    #[error("not a pair of known assets")]
    Symbol,
    /// A number is not a decimal, or beyond what 28 digits can hold.
    #[error("not a decimal number in range")]
    Number,
    /// A price or quantity is zero or negative.
    #[error("a price or quantity that is not above zero")]
    NotPositive,
    /// A sum or product is beyond what 28 digits can hold.
    #[error("an amount out of range")]
    Overflow,
    /// Two amounts of different assets were added.
    #[error("two currencies do not add")]
    Currency,
}

impl Asset {
    /// Takes a name, in any case; refuses the empty, the long and what holds separators.
    pub fn new(name: &str) -> Result<Self, Refused> {
        let fine = (1..=40).contains(&name.len())
            && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '$' | '+'));
        if !fine {
            return Err(Refused::Asset);
        }
        Ok(Asset(CompactString::from(name).to_uppercase()))
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Symbol {
    /// Joins two assets.
    pub fn new(base: Asset, quote: Asset) -> Self {
        Symbol { base, quote }
    }

    /// Reads `BASE-QUOTE`, the spelling of KuCoin and Coinbase.
    pub fn from_dashed(text: &str) -> Result<Self, Refused> {
        let (base, quote) = text.split_once('-').ok_or(Refused::Symbol)?;
        let part = |name| Asset::new(name).map_err(|_| Refused::Symbol);
        Ok(Symbol { base: part(base)?, quote: part(quote)? })
    }

    /// What is bought and sold.
    pub fn base(&self) -> &Asset {
        &self.base
    }

    /// What it is paid with.
    pub fn quote(&self) -> &Asset {
        &self.quote
    }

    /// Tells whether what is traded is a contract on its base (`BTC_PERP-USDT`, `BTC_260327-USDT`; KuCoin's `BTC_Z26-USD`
    /// for December 2026) and nothing that can be held: it has a market of its own, and selling it sells no holding.
    pub fn is_contract(&self) -> bool {
        let term = self.base.as_str().rsplit_once('_').filter(|(of, _)| !of.is_empty()).map(|(_, term)| term);
        let digits = |text: &str, count| text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
        let month =
            |term: &str| term.strip_prefix(|first| "FGHJKMNQUVXZ".contains(first)).is_some_and(|year| digits(year, 2));
        term.is_some_and(|term| term == "PERP" || digits(term, 6) || month(term))
    }
}

impl Money {
    /// Joins an amount and its asset.
    pub fn new(amount: Decimal, asset: Asset) -> Self {
        Money { amount, asset }
    }

    /// Returns nothing of `asset`.
    pub fn zero(asset: Asset) -> Self {
        Money { amount: Decimal::ZERO, asset }
    }

    /// Returns the amount.
    pub fn amount(&self) -> Decimal {
        self.amount
    }

    /// Returns the asset.
    pub fn asset(&self) -> &Asset {
        &self.asset
    }

    /// Adds, or says why not.
    pub fn plus(&self, other: &Money) -> Result<Money, Refused> {
        if self.asset != other.asset {
            return Err(Refused::Currency);
        }
        let amount = self.amount.checked_add(other.amount).ok_or(Refused::Overflow)?;
        Ok(Money { amount, asset: self.asset.clone() })
    }
}

impl Price {
    /// Takes a number above zero.
    pub fn new(number: Decimal) -> Result<Self, Refused> {
        if number > Decimal::ZERO { Ok(Price(number)) } else { Err(Refused::NotPositive) }
    }

    /// Returns the number.
    pub fn get(self) -> Decimal {
        self.0
    }

    /// Returns what `quantity` costs at this price.
    pub fn times(self, quantity: Quantity) -> Result<Decimal, Refused> {
        self.0.checked_mul(quantity.0).map(|product| product.normalize()).ok_or(Refused::Overflow)
    }
}

impl Quantity {
    /// Takes a number above zero.
    pub fn new(number: Decimal) -> Result<Self, Refused> {
        if number > Decimal::ZERO { Ok(Quantity(number)) } else { Err(Refused::NotPositive) }
    }

    /// Returns the number.
    pub fn get(self) -> Decimal {
        self.0
    }
}

/// Reads a decimal as exchanges write it, plain (`0.00010000`) or scientific (`1.2e-7`).
///
/// Digits past the 28th are rounded, because an exchange's average prices can be longer than any amount it settles.
pub fn decimal(text: &str) -> Result<Decimal, Refused> {
    Decimal::from_str(text).or_else(|_| Decimal::from_scientific(text)).map_err(|_| Refused::Number)
}

impl FromStr for Asset {
    type Err = Refused;
    fn from_str(text: &str) -> Result<Self, Refused> {
        Asset::new(text)
    }
}

impl fmt::Display for Asset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.base, self.quote)
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.amount.normalize(), self.asset)
    }
}

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.normalize().fmt(f)
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.normalize().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_currencies_do_not_add() {
        let one = |asset: &str| Money::new(Decimal::ONE, Asset::new(asset).unwrap());
        assert_eq!(one("BTC").plus(&one("ETH")), Err(Refused::Currency));
        assert_eq!(one("BTC").plus(&one("btc")).unwrap().to_string(), "2 BTC");
    }

    #[test]
    fn a_price_or_quantity_is_above_zero_and_a_product_too_large_is_an_error() {
        assert_eq!(Price::new(Decimal::ZERO), Err(Refused::NotPositive));
        assert_eq!(Quantity::new(Decimal::NEGATIVE_ONE), Err(Refused::NotPositive));
        let huge = Price::new(Decimal::MAX).unwrap();
        assert_eq!(huge.times(Quantity::new(Decimal::TEN).unwrap()), Err(Refused::Overflow));
    }

    #[test]
    fn decimals_are_read_plain_and_scientific_and_nothing_else() {
        assert_eq!(decimal("1.2e-7"), Ok(Decimal::new(12, 8)));
        assert_eq!(decimal("0.00010000"), Ok(Decimal::new(1, 4)));
        for bad in ["", "NaN", "inf", "1,5", "0x10", "1e99", "--1"] {
            assert_eq!(decimal(bad), Err(Refused::Number), "{bad}");
        }
    }

    #[test]
    fn a_contract_is_known_by_the_term_in_its_base() {
        for (pair, contract) in [
            ("BTC_PERP-USDT", true),
            ("BTC_260327-USDT", true),
            ("BTC-USDT", false),
            ("BTC_2603-USDT", false),
            ("_PERP-USDT", false),
            ("PERP-USDT", false),
        ] {
            assert_eq!(Symbol::from_dashed(pair).unwrap().is_contract(), contract, "{pair}");
        }
    }

    #[test]
    fn names_with_separators_are_refused_and_other_scripts_are_not() {
        assert!(Asset::new("A-B").is_err() && Asset::new("").is_err() && Asset::new("A B").is_err());
        assert_eq!(Asset::new("币安人生").unwrap().as_str(), "币安人生");
    }
}
