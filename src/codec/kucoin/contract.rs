//! KuCoin's names of pairs: spot has a dash, a futures contract has none.

use crate::codec::shape::figure;
use crate::codec::unread::Unread;
use crate::domain::{Asset, Refused, Symbol};

/// A pair as KuCoin names it.
pub(super) struct Pair {
    pub(super) symbol: Symbol,
    /// Set for a contract that is counted in quote: one `XBTUSDM` is one dollar.
    pub(super) inverse: bool,
}

/// Reads `ABC-USDT` or a contract: base, quote, `M` for perpetual (`XBTUSDTM`) or a month and year (`XBTMZ26`).
pub(super) fn pair(name: &str) -> Result<Pair, Unread> {
    read(name).map_err(figure("symbol"))
}

fn read(name: &str) -> Result<Pair, Refused> {
    if name.contains('-') {
        return Ok(Pair { symbol: Symbol::from_dashed(name)?, inverse: false });
    }
    // A delivery contract such as XBTMZ26 is settled in the coin and counted in dollars.
    let delivery = |name: &str| {
        let digits = name.len().checked_sub(2)?;
        let year = name.get(digits..)?.bytes().all(|b| b.is_ascii_digit());
        let month = name.get(digits.checked_sub(1)?..digits)?;
        let base = name.get(..digits - 1)?.strip_suffix('M')?.to_owned();
        (year && "FGHJKMNQUVXZ".contains(month)).then_some(base)
    };
    let perpetual = name.strip_suffix('M').and_then(|name| {
        ["USDT", "USDC", "USD"].into_iter().find_map(|quote| Some((name.strip_suffix(quote)?.to_owned(), quote)))
    });
    let (base, quote) = match perpetual {
        Some(pair) => pair,
        None => (delivery(name).ok_or(Refused::Symbol)?, "USD"),
    };
    // KuCoin's futures say XBT where its spot market says BTC; rules must see one coin.
    let base = if base == "XBT" { "BTC" } else { &base };
    Ok(Pair { symbol: Symbol::new(Asset::new(base)?, Asset::new(quote)?), inverse: quote == "USD" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spot_and_contract_names_become_one_kind_of_pair() {
        for (name, expected, inverse) in [
            ("ABC-USDT", "ABC-USDT", false),
            ("XBTUSDTM", "BTC-USDT", false),
            ("ETHUSDCM", "ETH-USDC", false),
            ("XBTUSDM", "BTC-USD", true),
            ("XBTMZ26", "BTC-USD", true),
            ("1000BONKUSDTM", "1000BONK-USDT", false),
        ] {
            let pair = pair(name).unwrap();
            assert_eq!((pair.symbol.to_string().as_str(), pair.inverse), (expected, inverse));
        }
        for bad in ["", "M", "USDTM", "ABC", "A-B-C", "26", "XBTMé6", "Z26", "é"] {
            assert!(pair(bad).is_err(), "{bad}");
        }
    }
}
