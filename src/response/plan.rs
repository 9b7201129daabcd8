//! Which steps an account's keys allow, in the order they are taken: what can be given back first.

use std::collections::BTreeSet;
use std::fmt;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::settings::{Policy, Settings, Take};
use crate::domain::{AccountId, Fingerprint, PlanStep, Restriction, Right, Story};

/// What can be done to a key, to its orders or to its money.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deed {
    /// Take its rights to trade and to move money.
    Strip {
        /// Which key.
        key: Fingerprint,
        /// The rights it has, as far as they can be given back.
        had: Vec<Right>,
    },
    /// Cancel all open orders of a kind.
    Cancel {
        /// Of which book.
        book: Wallets,
    },
    /// Restrict it to addresses.
    Narrow {
        /// Which key.
        key: Fingerprint,
        /// To which.
        to: Vec<CompactString>,
    },
    /// Have the exchange cancel all orders once more later, whatever was placed until then.
    Switch {
        /// After how many seconds.
        secs: u32,
        /// Of which book.
        #[serde(default = "Wallets::spot")]
        book: Wallets,
        /// In which pairs, as the exchange spells them; in all when there are none.
        #[serde(default)]
        pairs: Vec<CompactString>,
    },
    /// Move the money where the key cannot reach it.
    Move {
        /// Where.
        to: CompactString,
    },
    /// Withdraw the authorisation of an application.
    Revoke,
    /// Delete it.
    Delete {
        /// Which key.
        key: Fingerprint,
    },
    /// Give rights back that were taken.
    Give {
        /// Which key.
        key: Fingerprint,
        /// Which rights.
        rights: Vec<Right>,
    },
    /// Switch the exchange's own cancelling off.
    Release {
        /// Of which book.
        book: Wallets,
        /// In which pairs; in all when there are none.
        pairs: Vec<CompactString>,
    },
}

/// A book of orders that is cancelled by calls of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wallets {
    /// Spot orders, those that wait for a price among them where the exchange keeps both together.
    Spot,
    /// Stop and one-cancels-the-other orders, where they are apart.
    Stops,
    /// Cross and isolated margin.
    Margin,
    /// Futures.
    Futures,
}

/// A key as it was seen before anything is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeySeen {
    /// Which.
    pub key: Fingerprint,
    /// What its owner called it.
    pub label: Option<CompactString>,
    /// What it may do.
    pub rights: BTreeSet<Right>,
    /// From where, where told.
    pub restriction: Option<Restriction>,
}

/// A dead-man switch at the exchange, which cancels a book's orders when its time is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timer {
    /// Of which book.
    pub book: Wallets,
    /// Its shortest time, in seconds.
    pub least: u32,
    /// The pairs it is set for one by one, as far as they are in use; `None` where one call means all.
    pub pairs: Option<Vec<CompactString>>,
}

/// What can be done about an account, found out at the exchange.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Survey {
    /// The keys of its sub-account, where they can be taken.
    pub keys: Vec<KeySeen>,
    /// True where a key's rights can be taken.
    pub strips: bool,
    /// True where a key's addresses can be narrowed.
    pub narrows: bool,
    /// True where a key can be deleted.
    pub deletes: bool,
    /// The books whose orders can be cancelled.
    pub cancels: Vec<Wallets>,
    /// The dead-man switches there are.
    pub timers: Vec<Timer>,
    /// True where money can be moved within the exchange.
    pub moves: bool,
    /// True where an application's authorisation can be withdrawn.
    pub revokes: bool,
    /// What could not be found out, a sentence each.
    pub amiss: Vec<CompactString>,
    /// True where asking again may find it out.
    #[serde(default)]
    pub again: bool,
}

/// The steps for one account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// What is done at the exchange, in order.
    pub deeds: Vec<Deed>,
    /// What is left for a person.
    pub guide: Vec<PlanStep>,
    /// What could not be found out.
    pub amiss: Vec<CompactString>,
    /// True where asking again may find it out.
    #[serde(default)]
    pub again: bool,
}

/// Rights that are taken: everything that moves money or may.
pub const TAKEN: [Right; 8] = [
    Right::Trade,
    Right::Margin,
    Right::Futures,
    Right::Options,
    Right::Unified,
    Right::UniversalTransfer,
    Right::InternalTransfer,
    Right::Withdraw,
];
/// After how many seconds the exchange cancels once more, where it can.
const SWITCH_SECS: u32 = 30;

/// Makes the plan of an account from what may be done and what can be.
pub fn make(account: &AccountId, settings: &Settings, policy: &Policy, survey: &Survey) -> Plan {
    let stays = |key: &Fingerprint| policy.keep.contains(key) || settings.protected_keys.contains(key);
    let chosen = |seen: &&KeySeen| match &policy.take {
        Take::Trading => seen.rights.iter().any(|right| TAKEN.contains(right)),
        Take::Named(keys) => keys.contains(&seen.key),
    };
    let keys: Vec<&KeySeen> = survey.keys.iter().filter(chosen).filter(|seen| !stays(&seen.key)).collect();
    let mut deeds = Vec::new();
    let has = |seen: &KeySeen| -> Vec<Right> { TAKEN.iter().filter(|r| seen.rights.contains(*r)).cloned().collect() };
    if survey.strips {
        let trading = keys.iter().filter(|seen| !has(seen).is_empty());
        deeds.extend(trading.map(|seen| Deed::Strip { key: seen.key.clone(), had: has(seen) }));
    }
    if policy.cancel {
        deeds.extend(survey.cancels.iter().map(|book| Deed::Cancel { book: *book }));
    }
    if survey.narrows && !policy.narrow_to.is_empty() {
        let to = || policy.narrow_to.clone();
        deeds.extend(keys.iter().map(|seen| Deed::Narrow { key: seen.key.clone(), to: to() }));
    }
    if policy.cancel {
        // A switch for pairs that nobody uses would cancel nothing.
        let useful = survey.timers.iter().filter(|timer| timer.pairs.as_ref().is_none_or(|pairs| !pairs.is_empty()));
        deeds.extend(useful.map(|Timer { book, least, pairs }| Deed::Switch {
            secs: SWITCH_SECS.max(*least),
            book: *book,
            pairs: pairs.clone().unwrap_or_default(),
        }));
    }
    if survey.revokes {
        deeds.push(Deed::Revoke);
    }
    if let Some(to) = policy.move_to.as_ref().filter(|_| survey.moves) {
        deeds.push(Deed::Move { to: to.clone() });
    }
    if survey.deletes && policy.delete {
        deeds.extend(keys.iter().map(|seen| Deed::Delete { key: seen.key.clone() }));
    }
    let gone = deeds.iter().any(Deed::takes_away);
    let mut guide = Vec::new();
    if !gone {
        guide.extend(crate::alert::plan::steps(account, Story::Takeover));
    }
    Plan { deeds, guide, amiss: survey.amiss.clone(), again: survey.again }
}

/// Returns the steps that give back what `deeds` took, the last first.
pub fn undoing(deeds: &[&Deed]) -> Vec<Deed> {
    let deleted: BTreeSet<&Fingerprint> = deeds.iter().filter_map(|deed| deed.deletes()).collect();
    let back = |deed: &&Deed| match deed {
        Deed::Strip { key, had } if !deleted.contains(key) => {
            Some(Deed::Give { key: key.clone(), rights: had.clone() })
        }
        Deed::Switch { book, pairs, .. } => Some(Deed::Release { book: *book, pairs: pairs.clone() }),
        Deed::Strip { .. }
        | Deed::Cancel { .. }
        | Deed::Narrow { .. }
        | Deed::Move { .. }
        | Deed::Revoke
        | Deed::Delete { .. }
        | Deed::Give { .. }
        | Deed::Release { .. } => None,
    };
    deeds.iter().rev().filter_map(back).collect()
}

impl Plan {
    /// Returns the keys that it takes away, each once.
    pub fn keys(&self) -> BTreeSet<&Fingerprint> {
        self.deeds.iter().filter_map(Deed::key).collect()
    }

    /// Returns what it counts as in the budgets: its keys, or one where it touches none.
    pub fn cost(&self) -> u32 {
        u32::try_from(self.keys().len()).unwrap_or(u32::MAX).max(1)
    }
}

impl Deed {
    /// Returns the key that it is about.
    pub fn key(&self) -> Option<&Fingerprint> {
        match self {
            Deed::Strip { key, .. } | Deed::Narrow { key, .. } | Deed::Delete { key } | Deed::Give { key, .. } => {
                Some(key)
            }
            Deed::Cancel { .. } | Deed::Switch { .. } | Deed::Move { .. } | Deed::Revoke | Deed::Release { .. } => None,
        }
    }

    /// Says whether whoever holds the key can do nothing more with it once this is done.
    pub fn takes_away(&self) -> bool {
        match self {
            Deed::Strip { .. } | Deed::Revoke | Deed::Delete { .. } => true,
            Deed::Cancel { .. }
            | Deed::Narrow { .. }
            | Deed::Switch { .. }
            | Deed::Move { .. }
            | Deed::Give { .. }
            | Deed::Release { .. } => false,
        }
    }

    fn deletes(&self) -> Option<&Fingerprint> {
        self.key().filter(|_| matches!(self, Deed::Delete { .. }))
    }

    /// Says whether it can be taken back by us.
    pub fn is_reversible(&self) -> bool {
        match self {
            Deed::Strip { .. } | Deed::Switch { .. } | Deed::Give { .. } | Deed::Release { .. } => true,
            Deed::Cancel { .. } | Deed::Narrow { .. } | Deed::Move { .. } | Deed::Revoke | Deed::Delete { .. } => false,
        }
    }
}

impl Wallets {
    const fn spot() -> Self {
        Wallets::Spot
    }

    /// Returns the words used in output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Wallets::Spot => "spot",
            Wallets::Stops => "stop and OCO",
            Wallets::Margin => "margin",
            Wallets::Futures => "futures",
        }
    }
}

impl fmt::Display for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |pairs: &[CompactString]| match pairs {
            [] => String::new(),
            [..] => format!(" in {}", pairs.join(", ")),
        };
        let names = |rights: &[Right]| rights.iter().map(Right::as_str).collect::<Vec<_>>().join(", ");
        match self {
            Deed::Strip { key, had } => write!(f, "take from key {key} the rights to {}", names(had)),
            Deed::Cancel { book } => write!(f, "cancel all open {} orders", book.as_str()),
            Deed::Narrow { key, to } => write!(f, "restrict key {key} to {}", to.join(", ")),
            Deed::Switch { secs, book, pairs } => {
                let (book, pairs) = (book.as_str(), of(pairs));
                write!(f, "have the exchange cancel all {book} orders{pairs} once more in {secs} s")
            }
            Deed::Move { to } => write!(f, "move the money to {to}"),
            Deed::Revoke => f.write_str("withdraw the application's authorisation"),
            Deed::Delete { key } => write!(f, "delete key {key}"),
            Deed::Give { key, rights } => write!(f, "give key {key} back the rights to {}", names(rights)),
            Deed::Release { book, pairs } => {
                let (book, pairs) = (book.as_str(), of(pairs));
                write!(f, "call off that the exchange cancels all {book} orders{pairs} once more")
            }
        }
    }
}
