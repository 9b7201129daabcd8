//! What comes in, stamped once by whoever received it.

use std::fmt;
use std::str::FromStr;

use compact_str::CompactString;
use serde_json::value::RawValue;

use crate::domain::{AccountId, Timestamp, Venue, Wallet};

/// One thing that came in, numbered by the journal from 1 without holes.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// Its number.
    pub n: u64,
    /// When we received it.
    pub at: Timestamp,
    /// From whom.
    pub from: Source,
    /// What it was.
    pub body: Body,
}

/// An arrival before the journal has numbered it.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// When we received it.
    pub at: Timestamp,
    /// From whom.
    pub from: Source,
    /// What it was.
    pub body: Body,
}

/// From whom an arrival came: the `from` of a recording.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// An account's own feed: `binance/alice`.
    Account(AccountId),
    /// What an exchange answered when it was asked about an account: `binance/alice/rest`.
    AccountRest(AccountId),
    /// The feed of another wallet than spot: `binance/alice/margin`, `binance/alice/isolated/APC-BTC`,
    /// `binance/alice/futures`.
    Wallet(AccountId, Wallet),
    /// What an exchange answered when it was asked about such a wallet: `binance/alice/futures/rest`.
    WalletRest(AccountId, Wallet),
    /// Public market data: `binance/market`.
    Market(Venue),
    /// What an exchange answered when it was asked about its market: `binance/market/rest`.
    MarketRest(Venue),
    /// Public data of the market in futures: `binance/market/futures`.
    FuturesMarket(Venue),
    /// What an exchange answered when it was asked about its futures: `binance/market/futures/rest`.
    FuturesMarketRest(Venue),
    /// A log of who used the keys: `access/gateway`.
    Access(CompactString),
    /// What assets are worth in all, from a file or a list on the web: `market-cap/file`.
    MarketCap(CompactString),
    /// What the operator switched while we ran: `operator`.
    Operator,
    /// What was done about a key, and what became of it: `respond`.
    Respond,
    /// Time: `clock`.
    Clock,
}

/// Why the feed of an account that is watched no longer went down: nobody has to be told that it stays so.
pub const REMOVED: &str = "removed from the configuration";

/// What an arrival was.
#[derive(Clone, Debug)]
pub enum Body {
    /// A JSON frame, untouched.
    Frame(Box<RawValue>),
    /// A text frame that is not JSON.
    Text(String),
    /// A binary frame.
    Bytes(Vec<u8>),
    /// A REST answer: the call's name with its query (`klines?symbol=APPCBTC&interval=1m`) and the JSON it gave.
    Page {
        /// The call, without host, signature, key or timestamp.
        call: CompactString,
        /// The answer.
        frame: Box<RawValue>,
    },
    /// A connection is signed in and subscribed.
    LinkUp,
    /// A connection was lost, or could not be made; why, in our words.
    LinkDown {
        /// Why, without frame content.
        why: CompactString,
    },
    /// An interval of an account's feed was asked for over REST (after the pages themselves).
    Filled {
        /// Where the gap began.
        since: Timestamp,
        /// Where it ended.
        until: Timestamp,
        /// Whether every pair that could have traded was asked for.
        verified: bool,
    },
    /// Time passed.
    Tick,
}

/// A `from` that names nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`from` must be <exchange>/<account>[/<wallet>][/rest], <exchange>/market[/futures][/rest], access/<log>, \
     market-cap/<list>, operator, respond or clock; \
     a wallet is margin, isolated/BASE-QUOTE or futures"
)]
pub struct NotASource;

impl Incoming {
    /// Numbers it.
    pub fn numbered(self, n: u64) -> Arrival {
        Arrival { n, at: self.at, from: self.from, body: self.body }
    }
}

impl Body {
    /// Takes a text frame as a socket gives it: JSON becomes a `Frame` on one line, anything else `Text`.
    pub fn from_text(text: String) -> Body {
        match Body::json(text) {
            Ok(frame) => Body::Frame(frame),
            Err(text) => Body::Text(text),
        }
    }

    /// Takes a binary frame: JSON in UTF-8 becomes a `Frame`, anything else stays `Bytes`.
    pub fn from_bytes(bytes: Vec<u8>) -> Body {
        match String::from_utf8(bytes) {
            Ok(text) => match Body::json(text) {
                Ok(frame) => Body::Frame(frame),
                Err(text) => Body::Bytes(text.into_bytes()),
            },
            Err(error) => Body::Bytes(error.into_bytes()),
        }
    }

    /// Checks that `text` is JSON and folds the line breaks that may stand between its tokens, because a
    /// recording holds one arrival a line. Inside a JSON string a raw line break is not allowed, so none is lost.
    pub fn json(mut text: String) -> Result<Box<RawValue>, String> {
        if text.contains(['\n', '\r']) && serde_json::from_str::<&RawValue>(&text).is_ok() {
            text = text.replace(['\n', '\r'], " ");
        }
        match serde_json::from_str::<&RawValue>(&text).map(ToOwned::to_owned) {
            Ok(frame) => Ok(frame),
            Err(_) => Err(text),
        }
    }
}

impl Source {
    /// Returns the account whose feed or answers this is.
    pub fn account(&self) -> Option<&AccountId> {
        match self {
            Source::Account(account)
            | Source::AccountRest(account)
            | Source::Wallet(account, _)
            | Source::WalletRest(account, _) => Some(account),
            Source::Market(_)
            | Source::MarketRest(_)
            | Source::FuturesMarket(_)
            | Source::FuturesMarketRest(_)
            | Source::Access(_)
            | Source::MarketCap(_)
            | Source::Operator
            | Source::Respond
            | Source::Clock => None,
        }
    }

    /// Returns the feed of one of an account's wallets.
    pub fn feed(account: AccountId, wallet: Wallet) -> Source {
        match wallet {
            Wallet::Spot => Source::Account(account),
            Wallet::Margin | Wallet::Isolated(_) | Wallet::Futures => Source::Wallet(account, wallet),
        }
    }

    /// Returns the answers about one of an account's wallets.
    pub fn answers(account: AccountId, wallet: Wallet) -> Source {
        match wallet {
            Wallet::Spot => Source::AccountRest(account),
            Wallet::Margin | Wallet::Isolated(_) | Wallet::Futures => Source::WalletRest(account, wallet),
        }
    }

    /// Returns the wallet this is about; spot where it is about none.
    pub fn wallet(&self) -> Wallet {
        match self {
            Source::Wallet(_, wallet) | Source::WalletRest(_, wallet) => wallet.clone(),
            Source::FuturesMarket(_) | Source::FuturesMarketRest(_) => Wallet::Futures,
            Source::Account(_)
            | Source::AccountRest(_)
            | Source::Market(_)
            | Source::MarketRest(_)
            | Source::Access(_)
            | Source::MarketCap(_)
            | Source::Operator
            | Source::Respond
            | Source::Clock => Wallet::Spot,
        }
    }

    /// Returns the exchange this came from.
    pub fn venue(&self) -> Option<Venue> {
        match self {
            Source::Account(account)
            | Source::AccountRest(account)
            | Source::Wallet(account, _)
            | Source::WalletRest(account, _) => Some(account.venue),
            Source::Market(venue)
            | Source::MarketRest(venue)
            | Source::FuturesMarket(venue)
            | Source::FuturesMarketRest(venue) => Some(*venue),
            Source::Access(_) | Source::MarketCap(_) | Source::Operator | Source::Respond | Source::Clock => None,
        }
    }
}

impl FromStr for Source {
    type Err = NotASource;
    fn from_str(text: &str) -> Result<Self, NotASource> {
        if text == "clock" {
            return Ok(Source::Clock);
        }
        if text == "operator" {
            return Ok(Source::Operator);
        }
        if text == "respond" {
            return Ok(Source::Respond);
        }
        let mut parts = text.splitn(3, '/');
        let (first, second, third) = (parts.next().unwrap_or(""), parts.next().ok_or(NotASource)?, parts.next());
        let (wallet, rest) = match third {
            None => (None, false),
            Some("rest") => (None, true),
            Some(third) => match third.strip_suffix("/rest") {
                Some(wallet) => (Some(wallet), true),
                None => (Some(third), false),
            },
        };
        let wallet = wallet.map(Wallet::named).transpose().map_err(|_| NotASource)?;
        if first == "access" {
            // A log's name follows the same rule as an account's, so that it cannot blur a `from`.
            let fine = !rest && wallet.is_none() && AccountId::new(Venue::Binance, second).is_ok();
            return if fine { Ok(Source::Access(second.into())) } else { Err(NotASource) };
        }
        if first == "market-cap" {
            let fine = !rest && wallet.is_none() && AccountId::new(Venue::Binance, second).is_ok();
            return if fine { Ok(Source::MarketCap(second.into())) } else { Err(NotASource) };
        }
        let venue: Venue = first.parse().map_err(|_| NotASource)?;
        Ok(match (second, wallet, rest) {
            ("market", None, false) => Source::Market(venue),
            ("market", None, true) => Source::MarketRest(venue),
            ("market", Some(Wallet::Futures), false) => Source::FuturesMarket(venue),
            ("market", Some(Wallet::Futures), true) => Source::FuturesMarketRest(venue),
            ("market", Some(Wallet::Spot | Wallet::Margin | Wallet::Isolated(_)), _) => return Err(NotASource),
            (name, wallet, rest) => {
                let account = AccountId::new(venue, name).map_err(|_| NotASource)?;
                let wallet = wallet.unwrap_or_default();
                if rest { Source::answers(account, wallet) } else { Source::feed(account, wallet) }
            }
        })
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Account(account) => write!(f, "{account}"),
            Source::AccountRest(account) => write!(f, "{account}/rest"),
            Source::Wallet(account, wallet) => write!(f, "{account}/{wallet}"),
            Source::WalletRest(account, wallet) => write!(f, "{account}/{wallet}/rest"),
            Source::Market(venue) => write!(f, "{venue}/market"),
            Source::MarketRest(venue) => write!(f, "{venue}/market/rest"),
            Source::FuturesMarket(venue) => write!(f, "{venue}/market/futures"),
            Source::FuturesMarketRest(venue) => write!(f, "{venue}/market/futures/rest"),
            Source::Access(log) => write!(f, "access/{log}"),
            Source::MarketCap(list) => write!(f, "market-cap/{list}"),
            Source::Operator => f.write_str("operator"),
            Source::Respond => f.write_str("respond"),
            Source::Clock => f.write_str("clock"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_written_as_it_was_read() {
        for text in [
            "binance/alice",
            "kucoin/bob/rest",
            "binance/alice/margin",
            "binance/alice/margin/rest",
            "binance/alice/isolated/APC-BTC",
            "binance/alice/isolated/APC-BTC/rest",
            "binance/alice/futures",
            "binance/alice/futures/rest",
            "coinbase/market",
            "binance/market/rest",
            "binance/market/futures",
            "binance/market/futures/rest",
            "access/gw",
            "market-cap/file",
            "operator",
            "respond",
            "clock",
        ] {
            assert_eq!(text.parse::<Source>().unwrap().to_string(), text);
        }
        for bad in [
            "",
            "binance",
            "kraken/alice",
            "binance/alice/ws",
            "binance/alice/spot",
            "binance/alice/isolated",
            "binance/alice/margin/rest/rest",
            "binance/market/margin",
            "access/",
            "binance/a b",
            "access/x/rest",
            "access/x/margin",
        ] {
            assert_eq!(bad.parse::<Source>(), Err(NotASource), "{bad}");
        }
    }

    #[test]
    fn a_frame_on_several_lines_becomes_one_line_and_garbage_stays_text() {
        let Body::Frame(frame) = Body::from_text("{\n \"a\":\r\n 1}".into()) else { panic!("not a frame") };
        assert_eq!(frame.get(), "{  \"a\":   1}");
        assert!(matches!(Body::from_text("Unauthorized\n".into()), Body::Text(text) if text == "Unauthorized\n"));
        assert!(matches!(Body::from_bytes(vec![0xff, 1]), Body::Bytes(_)));
        assert!(matches!(Body::from_bytes(b"[1]".to_vec()), Body::Frame(_)));
    }
}
