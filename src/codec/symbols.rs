//! Binance writes a pair without a separator: `PIVXBTC` is split by what the exchange listed, else by its quote asset.

use compact_str::CompactString;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

use crate::domain::{Asset, Refused, Symbol};

/// The pairs an exchange listed, and the quote assets that split the names it did not list.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Symbols {
    /// Bounded by [`MOST_LISTED`]; about 100 bytes a pair.
    #[serde(with = "super::sorted")]
    listed: HashMap<CompactString, Symbol, FixedState>,
    /// Longest first, so that `FDUSD` is tried before any shorter ending.
    quotes: Vec<CompactString>,
}

/// How one market of an exchange spells its pairs: spot and margin alike, futures under the names of what they are on.
#[derive(Clone, Copy, Debug)]
pub struct Names<'s> {
    symbols: &'s Symbols,
    contracts: bool,
}

/// How many listed pairs are kept; Binance lists about 3,500, dead ones included.
const MOST_LISTED: usize = 20_000;

/// Quote assets of Binance spot, living and dead: a recording may be years old.
///
/// `USD` is not among them: it quotes on Binance.US only, whose own list names its pairs.
const QUOTES: [&str; 53] = [
    "FDUSD", "USDT", "USDC", "TUSD", "BUSD", "USDP", "USDS", "USD1", "XUSD", "EURI", "AEUR", "IDRT", "BIDR", "BKRW",
    "BVND", "DOGE", "RLUSD", "BFUSD", "USDE", "BTC", "ETH", "BNB", "XRP", "TRX", "DOT", "SOL", "DAI", "PAX", "VAI",
    "UST", "TRY", "EUR", "GBP", "BRL", "AUD", "RUB", "UAH", "NGN", "ZAR", "PLN", "RON", "ARS", "MXN", "JPY", "COP",
    "CZK", "IDR", "INR", "CHF", "KZT", "UZS", "USDSB", "U",
];

/// Says whether a name is not split at a quote although it ends like one: `ADAEUR` is of `EUR`, `BNBIDR` of `IDR`.
fn misleads(base: &str, quote: &str) -> bool {
    match quote {
        "AEUR" => !matches!(base, "BTC" | "ETH" | "EUR"),
        "BIDR" => matches!(base, "BN" | "AR"),
        "TUSD" => base == "USD",
        _ => false,
    }
}

impl Symbols {
    /// Starts with the built-in quote assets and `extra` ones; what is no asset name among them is left out.
    pub fn new(extra: &[CompactString]) -> Self {
        let mut symbols = Symbols { listed: HashMap::default(), quotes: Vec::new() };
        symbols.set_extra(extra);
        symbols
    }

    /// Replaces the extra quote assets and keeps what the exchange listed.
    pub fn set_extra(&mut self, extra: &[CompactString]) {
        let extra =
            extra.iter().filter_map(|name| Asset::new(name).ok()).map(|asset| CompactString::from(asset.as_str()));
        self.quotes = QUOTES.iter().map(|quote| CompactString::from(*quote)).chain(extra).collect();
        self.quotes.sort_unstable_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        self.quotes.dedup();
    }

    /// Keeps a pair as the exchange listed it; past the bound only known names change.
    pub fn list(&mut self, name: &str, base: &str, quote: &str) -> Result<(), Refused> {
        let symbol = Symbol::new(Asset::new(base)?, Asset::new(quote)?);
        if let Some(known) = self.listed.get_mut(name) {
            *known = symbol;
        } else if self.listed.len() < MOST_LISTED && name.len() <= 80 {
            self.listed.insert(name.into(), symbol);
        }
        Ok(())
    }

    /// Returns how pairs of own things are spelled.
    pub fn spot(&self) -> Names<'_> {
        Names { symbols: self, contracts: false }
    }

    /// Returns how contracts are spelled.
    pub fn contracts(&self) -> Names<'_> {
        Names { symbols: self, contracts: true }
    }

    /// Splits a pair's name: as listed, else at the longest known quote asset that leaves a base.
    ///
    /// A dated future (`BTCUSDT_260327`) keeps its date in the base, because it is not the pair it is named after.
    pub fn read(&self, name: &str) -> Result<Symbol, Refused> {
        if let Some(symbol) = self.listed.get(name) {
            return Ok(symbol.clone());
        }
        match name.split_once('_') {
            None => {
                let (base, quote) = self.split(name)?;
                Ok(Symbol::new(Asset::new(base).map_err(|_| Refused::Symbol)?, Asset::new(quote)?))
            }
            Some((pair, date)) => self.contract(pair, date),
        }
    }

    /// Names a contract: `BTCUSDT` is `BTC_PERP-USDT`, `BTCUSDT_260327` is `BTC_260327-USDT`.
    ///
    /// The list of spot pairs says nothing here, and the name must differ from every spot pair's: a contract has a price,
    /// a flow and a liquidity of its own, and whoever trades it holds nothing of its base. Contracts settled in coins
    /// (`DOTUSD_210924`) are refused: their quantities count contracts.
    fn contract(&self, pair: &str, term: &str) -> Result<Symbol, Refused> {
        if pair.ends_with("USD") {
            return Err(Refused::Symbol);
        }
        let (base, quote) = self.split(pair)?;
        // Not by way of the joined name alone: an empty base would give `_PERP`.
        Asset::new(base).map_err(|_| Refused::Symbol)?;
        let base = Asset::new(&compact_str::format_compact!("{base}_{term}")).map_err(|_| Refused::Symbol)?;
        Ok(Symbol::new(base, Asset::new(quote)?))
    }

    fn split<'n>(&self, pair: &'n str) -> Result<(&'n str, &str), Refused> {
        let ends = |quote: &&CompactString| {
            let base = pair.strip_suffix(quote.as_str());
            base.is_some_and(|base| !base.is_empty() && !misleads(base, quote))
        };
        let quote = self.quotes.iter().find(ends).ok_or(Refused::Symbol)?;
        Ok((&pair[..pair.len() - quote.len()], quote))
    }
}

impl Names<'_> {
    /// Reads a pair's name.
    pub fn read(&self, name: &str) -> Result<Symbol, Refused> {
        match (self.contracts, name.split_once('_')) {
            (false, _) => self.symbols.read(name),
            (true, None) => self.symbols.contract(name, "PERP"),
            (true, Some((pair, date))) => self.symbols.contract(pair, date),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(symbols: &Symbols, name: &str) -> String {
        symbols.read(name).map_or_else(|why| why.to_string(), |symbol| symbol.to_string())
    }

    #[test]
    fn a_name_is_split_at_the_longest_known_quote() {
        let symbols = Symbols::new(&[]);
        for (name, expected) in [
            ("PIVXBTC", "PIVX-BTC"),
            ("BTCUSDT", "BTC-USDT"),
            ("BTCFDUSD", "BTC-FDUSD"),
            ("USDTUSDC", "USDT-USDC"),
            ("USDTIDRT", "USDT-IDRT"),
            ("1000SATSTRY", "1000SATS-TRY"),
            ("币安人生USDT", "币安人生-USDT"),
            ("BTCUSDT_260327", "BTC_260327-USDT"),
            ("BNBU", "BNB-U"),
            ("ADAEUR", "ADA-EUR"),
            ("BTCAEUR", "BTC-AEUR"),
            ("BNBIDR", "BNB-IDR"),
            ("SHIBBIDR", "SHIB-BIDR"),
            ("ETHTUSD", "ETH-TUSD"),
        ] {
            assert_eq!(split(&symbols, name), expected);
        }
    }

    #[test]
    fn a_name_without_a_base_or_a_known_quote_is_refused() {
        let symbols = Symbols::new(&[]);
        for name in ["", "USDT", "BTC", "FOOBAR", "币安人生", "BTC-USDT", "_", "_BTC", "A B BTC", "USDTUSD"] {
            assert_eq!(symbols.read(name), Err(Refused::Symbol), "{name}");
        }
    }

    #[test]
    fn a_contract_is_never_the_pair_it_is_named_after() {
        let mut symbols = Symbols::new(&[]);
        symbols.list("BTCUSDT", "BTC", "USDT").unwrap();
        let named =
            |name: &str| symbols.contracts().read(name).map(|symbol| (symbol.to_string(), symbol.is_contract()));
        for (name, expected) in [
            ("BTCUSDT", "BTC_PERP-USDT"),
            ("ETHBTC", "ETH_PERP-BTC"),
            ("1000SHIBUSDC", "1000SHIB_PERP-USDC"),
            ("BTCUSDT_260327", "BTC_260327-USDT"),
        ] {
            assert_eq!(named(name), Ok((expected.to_owned(), true)));
        }
        // Of coins, of coins, and one that only looks like a pair of BUSD.
        for name in ["", "USDT", "_PERP", "USDT_260327", "A B USDT", "DOTUSD_210924", "BTCUSD_PERP", "BNBUSD_PERP"] {
            assert_eq!(named(name), Err(Refused::Symbol), "{name}");
        }
        assert_eq!(symbols.spot().read("BTCUSDT").unwrap().to_string(), "BTC-USDT");
    }

    #[test]
    fn what_the_exchange_listed_comes_first_and_survives_a_snapshot() {
        let mut symbols = Symbols::new(&["usdz".into(), "not an asset".into()]);
        assert_eq!(split(&symbols, "FOOUSDZ"), "FOO-USDZ");
        assert_eq!(split(&symbols, "ADAUSD"), Refused::Symbol.to_string(), "USD is not built in");
        assert_eq!(split(&symbols, "DOTUSD"), "DO-TUSD", "why the exchange's own list comes first");
        symbols.list("DOTUSD", "DOT", "USD").unwrap();
        symbols.list("ATUSDT", "ATUS", "DT").unwrap();
        let bytes = postcard::to_stdvec(&symbols).unwrap();
        let read: Symbols = postcard::from_bytes(&bytes).unwrap();
        assert_eq!(split(&read, "DOTUSD"), "DOT-USD");
        assert_eq!(split(&read, "ATUSDT"), "ATUS-DT");
        assert_eq!(split(&read, "FOOUSDZ"), "FOO-USDZ");
        assert_eq!(postcard::to_stdvec(&read).unwrap(), bytes);
    }
}
