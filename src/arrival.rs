//! What comes in, stamped once by whoever received it.

use std::fmt;
use std::str::FromStr;

use compact_str::CompactString;
use serde_json::value::RawValue;

use crate::domain::{AccountId, Timestamp, Venue};

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
    /// Public market data: `binance/market`.
    Market(Venue),
    /// What an exchange answered when it was asked about its market: `binance/market/rest`.
    MarketRest(Venue),
    /// A log of who used the keys: `access/gateway`.
    Access(CompactString),
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
#[error("`from` must be <exchange>/<account>[/rest], <exchange>/market[/rest], access/<log> or clock")]
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
            Source::Account(account) | Source::AccountRest(account) => Some(account),
            Source::Market(_) | Source::MarketRest(_) | Source::Access(_) | Source::Clock => None,
        }
    }

    /// Returns the exchange this came from.
    pub fn venue(&self) -> Option<Venue> {
        match self {
            Source::Account(account) | Source::AccountRest(account) => Some(account.venue),
            Source::Market(venue) | Source::MarketRest(venue) => Some(*venue),
            Source::Access(_) | Source::Clock => None,
        }
    }
}

impl FromStr for Source {
    type Err = NotASource;
    fn from_str(text: &str) -> Result<Self, NotASource> {
        if text == "clock" {
            return Ok(Source::Clock);
        }
        let mut parts = text.splitn(3, '/');
        let (first, second, third) = (parts.next().unwrap_or(""), parts.next().ok_or(NotASource)?, parts.next());
        let rest = match third {
            None => false,
            Some("rest") => true,
            Some(_) => return Err(NotASource),
        };
        if first == "access" {
            // A log's name follows the same rule as an account's, so that it cannot blur a `from`.
            let fine = !rest && AccountId::new(Venue::Binance, second).is_ok();
            return if fine { Ok(Source::Access(second.into())) } else { Err(NotASource) };
        }
        let venue: Venue = first.parse().map_err(|_| NotASource)?;
        Ok(match (second, rest) {
            ("market", false) => Source::Market(venue),
            ("market", true) => Source::MarketRest(venue),
            (name, rest) => {
                let account = AccountId::new(venue, name).map_err(|_| NotASource)?;
                if rest { Source::AccountRest(account) } else { Source::Account(account) }
            }
        })
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Account(account) => write!(f, "{account}"),
            Source::AccountRest(account) => write!(f, "{account}/rest"),
            Source::Market(venue) => write!(f, "{venue}/market"),
            Source::MarketRest(venue) => write!(f, "{venue}/market/rest"),
            Source::Access(log) => write!(f, "access/{log}"),
            Source::Clock => f.write_str("clock"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_written_as_it_was_read() {
        for text in ["binance/alice", "kucoin/bob/rest", "coinbase/market", "binance/market/rest", "access/gw", "clock"]
        {
            assert_eq!(text.parse::<Source>().unwrap().to_string(), text);
        }
        for bad in ["", "binance", "kraken/alice", "binance/alice/ws", "access/", "binance/a b", "access/x/rest"] {
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
