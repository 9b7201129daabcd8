//! Who is watched, and where.

use std::fmt;
use std::str::FromStr;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

/// The exchanges whose feeds are read. Past the codecs this is a value to compare, never a branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Venue {
    /// Binance spot.
    Binance,
    /// KuCoin, classic and unified accounts.
    Kucoin,
    /// Coinbase Advanced Trade.
    Coinbase,
}

/// A watched account: the exchange and the name the configuration gave it, `binance/alice`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AccountId {
    /// The exchange.
    pub venue: Venue,
    /// The name the user chose: letters, digits, `-`, `_`, `.`, `@`, up to 64 bytes.
    pub name: CompactString,
}

/// A text that names no account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an account is written exchange/name, such as binance/alice")]
pub struct NotAnAccount;

impl Venue {
    /// All of them, in order.
    pub const ALL: [Venue; 3] = [Venue::Binance, Venue::Kucoin, Venue::Coinbase];

    /// Returns the name used in recordings and configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Venue::Binance => "binance",
            Venue::Kucoin => "kucoin",
            Venue::Coinbase => "coinbase",
        }
    }

    /// Returns the name people know it by.
    pub const fn title(self) -> &'static str {
        match self {
            Venue::Binance => "Binance",
            Venue::Kucoin => "KuCoin",
            Venue::Coinbase => "Coinbase",
        }
    }

    /// Returns the page where a person deletes an API key.
    pub const fn key_page(self) -> &'static str {
        match self {
            Venue::Binance => "https://www.binance.com/en/my/settings/api-management",
            Venue::Kucoin => "https://www.kucoin.com/account/api",
            Venue::Coinbase => "https://portal.cdp.coinbase.com/projects/api-keys",
        }
    }
}

impl AccountId {
    /// Joins an exchange and a name; refuses a name with characters that would blur a `from` or a file name.
    pub fn new(venue: Venue, name: &str) -> Result<Self, NotAnAccount> {
        let fine = (1..=64).contains(&name.len())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '@' | '+'))
            && !matches!(name, "market" | "." | "..");
        if fine { Ok(AccountId { venue, name: name.into() }) } else { Err(NotAnAccount) }
    }
}

impl FromStr for Venue {
    type Err = NotAnAccount;
    fn from_str(text: &str) -> Result<Self, NotAnAccount> {
        Venue::ALL.into_iter().find(|venue| venue.as_str() == text).ok_or(NotAnAccount)
    }
}

impl FromStr for AccountId {
    type Err = NotAnAccount;
    fn from_str(text: &str) -> Result<Self, NotAnAccount> {
        let (venue, name) = text.split_once('/').ok_or(NotAnAccount)?;
        AccountId::new(venue.parse()?, name)
    }
}

impl fmt::Display for Venue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.venue, self.name)
    }
}
