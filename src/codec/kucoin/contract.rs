//! KuCoin's names of pairs (spot has a dash, a futures contract has none), and how much a lot of a contract is.

use std::collections::BTreeMap;

use compact_str::{CompactString, format_compact};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::codec::shape::{figure, unread};
use crate::codec::unread::Unread;
use crate::domain::{Asset, Price, Quantity, Refused, Symbol};

/// A pair as KuCoin names it.
pub(super) struct Pair {
    pub(super) symbol: Symbol,
    /// What its sizes are counted in.
    pub(super) counted: Counted,
}

/// What a size counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counted {
    /// The base itself.
    Base,
    /// Lots of the base: one `XBTUSDTM` is a thousandth of a bitcoin.
    Lots,
    /// Lots of dollars, settled in the coin: one `XBTUSDM` is one dollar.
    Dollars,
}

/// How much a lot of each contract is, as KuCoin lists it (<https://www.kucoin.com/docs-new/rest/ua/get-symbol>).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Contracts {
    /// Bounded by [`MOST_LISTED`].
    lots: BTreeMap<CompactString, Decimal>,
}

/// How many contracts are kept, dead ones included.
const MOST_LISTED: usize = 5_000;

impl Contracts {
    /// Keeps what one lot is: of the base, or of dollars, which KuCoin has written with a minus.
    pub(super) fn list(&mut self, name: &str, multiplier: Decimal) {
        let lot = multiplier.abs();
        if !lot.is_zero() && name.len() <= 80 && (self.lots.len() < MOST_LISTED || self.lots.contains_key(name)) {
            self.lots.insert(name.into(), lot);
        }
    }

    /// Returns base and quote of an execution. Where nobody has told how much a lot is, nobody guesses.
    pub(super) fn amounts(
        &self,
        (name, counted): (&str, Counted),
        price: Price,
        size: Quantity,
    ) -> Result<(Quantity, Decimal), Unread> {
        let lots = || {
            let lot = self.lots.get(name);
            let lot = lot.ok_or_else(|| unread("an execution of a contract whose lot the exchange has not listed"))?;
            let amount = size.get().checked_mul(*lot).ok_or(Refused::Overflow).and_then(Quantity::new);
            amount.map(|amount| amount.get().normalize()).map_err(figure("size"))
        };
        let times = |base| price.times(base).map_err(figure("price"));
        Ok(match counted {
            Counted::Base => (size, times(size)?),
            Counted::Lots => {
                let base = Quantity::new(lots()?).map_err(figure("size"))?;
                (base, times(base)?)
            }
            Counted::Dollars => {
                let dollars = lots()?;
                (coins(dollars, price)?, dollars)
            }
        })
    }
}

/// Returns how much of the base is worth so much, to the ten digits after the point that a coin can have here.
pub(super) fn coins(quote: Decimal, price: Price) -> Result<Quantity, Unread> {
    let coins = quote.checked_div(price.get()).ok_or(Refused::Overflow);
    coins.and_then(|coins| Quantity::new(coins.round_dp(10).normalize())).map_err(figure("price"))
}

/// Reads `ABC-USDT` or a contract: base, quote, `M` for perpetual (`XBTUSDTM`) or a month and year (`XBTMZ26`).
///
/// A contract is never the pair it is on: it has a price, a flow and a liquidity of its own, and whoever trades it holds
/// nothing of its base.
pub(super) fn pair(name: &str) -> Result<Pair, Unread> {
    read(name).map_err(figure("symbol"))
}

fn read(name: &str) -> Result<Pair, Refused> {
    if name.contains('-') {
        return Ok(Pair { symbol: Symbol::from_dashed(name)?, counted: Counted::Base });
    }
    let (base, quote, term) = perpetual(name).or_else(|| delivery(name)).ok_or(Refused::Symbol)?;
    // KuCoin's futures say XBT where its spot market says BTC; rules must see one coin.
    let base = if base == "XBT" { "BTC" } else { base };
    Asset::new(base)?;
    let base = Asset::new(&format_compact!("{base}_{term}"))?;
    let counted = if quote == "USD" { Counted::Dollars } else { Counted::Lots };
    Ok(Pair { symbol: Symbol::new(base, Asset::new(quote)?), counted })
}

fn perpetual(name: &str) -> Option<(&str, &'static str, &str)> {
    let name = name.strip_suffix('M')?;
    ["USDT", "USDC", "USD"].into_iter().find_map(|quote| Some((name.strip_suffix(quote)?, quote, "PERP")))
}

/// A delivery contract such as XBTMZ26 is settled in the coin and counted in dollars.
fn delivery(name: &str) -> Option<(&str, &'static str, &str)> {
    let (base, term) = name.split_at_checked(name.len().checked_sub(3)?)?;
    let year = term.strip_prefix(|month| "FGHJKMNQUVXZ".contains(month))?;
    year.bytes().all(|byte| byte.is_ascii_digit()).then_some((base.strip_suffix('M')?, "USD", term))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spot_and_contract_names_become_one_kind_of_pair() {
        for (name, expected, counted) in [
            ("ABC-USDT", "ABC-USDT", Counted::Base),
            ("XBTUSDTM", "BTC_PERP-USDT", Counted::Lots),
            ("ETHUSDCM", "ETH_PERP-USDC", Counted::Lots),
            ("XBTUSDM", "BTC_PERP-USD", Counted::Dollars),
            ("XBTMZ26", "BTC_Z26-USD", Counted::Dollars),
            ("1000BONKUSDTM", "1000BONK_PERP-USDT", Counted::Lots),
        ] {
            let pair = pair(name).unwrap();
            assert_eq!((pair.symbol.to_string().as_str(), pair.counted), (expected, counted));
            assert_eq!(pair.symbol.is_contract(), counted != Counted::Base, "{name}");
        }
        for bad in ["", "M", "USDTM", "ABC", "A-B-C", "26", "XBTMé6", "Z26", "é"] {
            assert!(pair(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_lot_is_as_large_as_the_exchange_lists_it_and_nobody_guesses() {
        let number = |text: &str| text.parse::<Decimal>().unwrap();
        let (price, size) = (Price::new(number("0.09641")).unwrap(), Quantity::new(number("7")).unwrap());
        let mut contracts = Contracts::default();
        let told = |contracts: &Contracts, name: &str, counted| {
            let amounts = contracts.amounts((name, counted), price, size);
            amounts.ok().map(|(base, quote)| (base.get().to_string(), quote.normalize().to_string()))
        };
        let is = |base: &str, quote: &str| Some((base.to_owned(), quote.to_owned()));
        assert_eq!(told(&contracts, "DOGEUSDTM", Counted::Lots), None);
        contracts.list("DOGEUSDTM", number("100"));
        contracts.list("DOGEUSDM", number("-1"));
        contracts.list("NONE", number("0"));
        assert_eq!(told(&contracts, "DOGEUSDTM", Counted::Lots), is("700", "67.487"));
        assert_eq!(told(&contracts, "DOGEUSDM", Counted::Dollars), is("72.6065760813", "7"));
        assert_eq!(told(&contracts, "DOGE-USDT", Counted::Base), is("7", "0.67487"));
        assert_eq!(told(&contracts, "NONE", Counted::Lots), None);
    }
}
