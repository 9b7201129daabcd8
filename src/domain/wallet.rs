//! Which of an account's wallets: exchanges keep apart what trades with own money, with borrowed money, and in contracts.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{AccountId, Symbol};

/// One of an account's wallets. Each has a feed, a list of trades and balances of its own, and may need a right of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Wallet {
    /// Own money.
    #[default]
    Spot,
    /// Cross margin: all pairs share what was borrowed.
    Margin,
    /// Isolated margin of one pair.
    Isolated(Symbol),
    /// Futures that are settled in dollars (Binance USDⓈ-M).
    Futures,
}

/// A text that names no wallet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a wallet is margin, isolated/BASE-QUOTE or futures")]
pub struct NotAWallet;

impl Wallet {
    /// Reads a wallet as a `from` names it; spot is never named.
    pub fn named(text: &str) -> Result<Self, NotAWallet> {
        match (text, text.split_once('/')) {
            ("margin", _) => Ok(Wallet::Margin),
            ("futures", _) => Ok(Wallet::Futures),
            (_, Some(("isolated", pair))) => Symbol::from_dashed(pair).map(Wallet::Isolated).map_err(|_| NotAWallet),
            _ => Err(NotAWallet),
        }
    }

    /// Returns how an account's wallet is written in logs and recordings: the account alone for spot.
    pub fn of(&self, account: &AccountId) -> String {
        match self {
            Wallet::Spot => account.to_string(),
            Wallet::Margin | Wallet::Isolated(_) | Wallet::Futures => format!("{account}/{self}"),
        }
    }
}

impl fmt::Display for Wallet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wallet::Spot => f.write_str("spot"),
            Wallet::Margin => f.write_str("margin"),
            Wallet::Isolated(pair) => write!(f, "isolated/{pair}"),
            Wallet::Futures => f.write_str("futures"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wallet_is_written_as_it_was_read_and_spot_is_not_named() {
        for text in ["margin", "futures", "isolated/APC-BTC"] {
            assert_eq!(Wallet::named(text).unwrap().to_string(), text);
        }
        for bad in ["", "spot", "isolated", "isolated/", "isolated/APCBTC", "futures/x", "options"] {
            assert_eq!(Wallet::named(bad), Err(NotAWallet), "{bad}");
        }
    }
}
