//! What an exchange says about an API key: what it may do, from where, since when. Its id is never part of it.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use compact_str::{CompactString, format_compact};
use serde::{Deserialize, Serialize};

use super::{AccountId, Timestamp};

/// A key without its id: the first eight hexadecimal digits of the id's BLAKE3 hash.
///
/// The hash is plain, not keyed: the same key must have the same name after a restart, in a replay elsewhere, and for an
/// owner who hashes the id to find out which key is meant. Ids are at least 24 random characters, and 32 bits of their
/// hash lead nobody back to one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(CompactString);

/// What stands in a recording for a key's id, around its fingerprint.
const MARK: (&str, &str) = ("<redacted:", ">");
/// Hexadecimal digits of a fingerprint.
const DIGITS: usize = 8;

/// What an exchange said about one key at one moment. What it did not say is absent, and is no change.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyState {
    /// Whose account told it.
    pub account: AccountId,
    /// Which key.
    pub key: WhichKey,
    /// What its owner called it at the exchange.
    pub label: Option<CompactString>,
    /// The sub-account it belongs to, by e-mail or name.
    pub holder: Option<CompactString>,
    /// The rights that were told, and whether the key has each.
    pub rights: BTreeMap<Right, bool>,
    /// True where a right that is not told is one that the key does not have.
    pub rights_whole: bool,
    /// From where it may be used.
    pub restriction: Option<Restriction>,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// When it ends, or loses the right to trade.
    pub expires: Option<Timestamp>,
}

/// The end of a list of keys: each of them was told before this, in one page or several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyList {
    /// Whose account told it.
    pub account: AccountId,
    /// The sub-account whose keys they are.
    pub holder: CompactString,
}

/// Which key of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WhichKey {
    /// The one that watches; its fingerprint where the page or its call tells it.
    Own(Option<Fingerprint>),
    /// One in a list.
    Listed(Fingerprint),
}

/// What people are told to know a key by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyName {
    /// True for the key that watches.
    pub own: bool,
    /// Its fingerprint, where known.
    pub fingerprint: Option<Fingerprint>,
    /// What its owner called it at the exchange.
    pub label: Option<CompactString>,
    /// The sub-account it belongs to.
    pub holder: Option<CompactString>,
}

/// Something a key may do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Right {
    /// Look.
    Read,
    /// Trade at spot.
    Trade,
    /// Borrow, and trade with what was borrowed.
    Margin,
    /// Trade futures.
    Futures,
    /// Trade options.
    Options,
    /// Trade in a unified or portfolio-margin account.
    Unified,
    /// Trade over FIX.
    FixTrade,
    /// Look over FIX.
    FixRead,
    /// Take money out of the exchange; at Coinbase out of the portfolio (`can_transfer`).
    Withdraw,
    /// Send money to another account of the exchange.
    InternalTransfer,
    /// Move money between all wallets and sub-accounts.
    UniversalTransfer,
    /// Make addresses to receive money at.
    Receive,
    /// Lend and stake.
    Earn,
    /// A right that only this exchange has, by its own name.
    Other(CompactString),
}

/// From where a key may be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Restriction {
    /// From anywhere.
    Open,
    /// From listed addresses; which, where the exchange tells it (KuCoin masks them), sorted.
    Listed(Option<Vec<CompactString>>),
}

/// A text that names no right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no right")]
pub struct NotARight;

impl Fingerprint {
    /// Returns the fingerprint of a key's id, or the one that a recording has in its place.
    pub fn of(id: &str) -> Self {
        let kept = id.strip_prefix(MARK.0).and_then(|rest| rest.strip_suffix(MARK.1));
        match kept.filter(|kept| is_hex(kept)) {
            Some(kept) => Fingerprint(kept.into()),
            None => Fingerprint(blake3::hash(id.as_bytes()).to_hex()[..DIGITS].into()),
        }
    }

    /// Takes a fingerprint as it is written.
    pub fn known(text: &str) -> Option<Self> {
        is_hex(text).then(|| Fingerprint(text.into()))
    }

    /// Returns the eight digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns what stands in a recording for the id.
    pub fn redacted(&self) -> CompactString {
        format_compact!("{}{}{}", MARK.0, self.0, MARK.1)
    }
}

fn is_hex(text: &str) -> bool {
    text.len() == DIGITS && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

impl Right {
    /// The rights that have a name of ours, in order.
    pub const NAMED: [Right; 13] = [
        Right::Read,
        Right::Trade,
        Right::Margin,
        Right::Futures,
        Right::Options,
        Right::Unified,
        Right::FixTrade,
        Right::FixRead,
        Right::Withdraw,
        Right::InternalTransfer,
        Right::UniversalTransfer,
        Right::Receive,
        Right::Earn,
    ];

    /// Their names, in the same order.
    pub const NAMES: [&'static str; 13] = [
        "read",
        "trade",
        "margin",
        "futures",
        "options",
        "unified",
        "fix_trade",
        "fix_read",
        "withdraw",
        "internal_transfer",
        "universal_transfer",
        "receive",
        "earn",
    ];

    /// Returns the name used in files and output.
    pub fn as_str(&self) -> &str {
        match self {
            Right::Read => "read",
            Right::Trade => "trade",
            Right::Margin => "margin",
            Right::Futures => "futures",
            Right::Options => "options",
            Right::Unified => "unified",
            Right::FixTrade => "fix_trade",
            Right::FixRead => "fix_read",
            Right::Withdraw => "withdraw",
            Right::InternalTransfer => "internal_transfer",
            Right::UniversalTransfer => "universal_transfer",
            Right::Receive => "receive",
            Right::Earn => "earn",
            Right::Other(name) => name,
        }
    }
}

impl FromStr for Right {
    type Err = NotARight;
    fn from_str(text: &str) -> Result<Self, NotARight> {
        Right::NAMED.into_iter().find(|right| right.as_str() == text).ok_or(NotARight)
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.own { "the watched key" } else { "key" })?;
        if let Some(label) = &self.label {
            write!(f, " \"{label}\"")?;
        }
        if let Some(fingerprint) = &self.fingerprint {
            write!(f, " ({fingerprint})")?;
        }
        if let Some(holder) = &self.holder {
            write!(f, " of sub-account {holder}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_tells_two_keys_apart_and_is_kept_when_it_is_taken_again() {
        let (one, other) = (Fingerprint::of("an-id-of-a-key"), Fingerprint::of("an-id-of-a-kez"));
        assert!(one != other && one.as_str().len() == 8);
        assert_eq!(Fingerprint::of(&one.redacted()), one);
        assert_eq!(Fingerprint::known(one.as_str()), Some(one));
        for no in ["", "ab12cd3", "ab12cd345", "AB12CD34", "ab12cd3\n"] {
            assert_eq!(Fingerprint::known(no), None, "{no:?}");
        }
        assert_ne!(Fingerprint::of("<redacted:zz>").as_str(), "zz");
    }

    #[test]
    fn a_right_is_read_as_it_is_written() {
        for right in Right::NAMED {
            assert_eq!(right.as_str().parse(), Ok(right));
        }
        assert_eq!(Right::NAMED.each_ref().map(Right::as_str), Right::NAMES);
        assert_eq!("everything".parse::<Right>(), Err(NotARight));
    }
}
