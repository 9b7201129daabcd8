//! A mock attack that tries the way to people.

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::AccountId;

/// A drill: it is told like a theft, marked as a drill, and touches nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drill {
    /// Its name: 1 to 16 letters and digits.
    pub code: CompactString,
    /// Whose account the message names.
    pub account: AccountId,
    /// Who asked for it.
    pub by: CompactString,
    /// Which attack is acted out in invented frames; without one only the way from the journal to people is tried.
    pub attack: Option<Attack>,
}

/// The attacks that can be acted out, by the kinds of incidents they should become.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Attack {
    /// A thin pair is raised by strangers while the account buys it.
    Pump,
    /// The account buys high and sells low, again and again.
    Churn,
    /// The account's holdings are sold off within a minute.
    Liquidation,
    /// The key is used from a new place while the familiar one is in use.
    Address,
}

impl Attack {
    /// All of them.
    pub const ALL: [Attack; 4] = [Attack::Pump, Attack::Churn, Attack::Liquidation, Attack::Address];

    /// Returns the name used in files and output: the kind of incident.
    pub const fn as_str(self) -> &'static str {
        match self {
            Attack::Pump => "pump",
            Attack::Churn => "churn",
            Attack::Liquidation => "liquidation",
            Attack::Address => "address",
        }
    }

    /// Reads that name.
    pub fn named(name: &str) -> Option<Self> {
        Attack::ALL.into_iter().find(|attack| attack.as_str() == name)
    }
}

impl Drill {
    /// Says whether the name can be part of an incident's.
    pub fn is_fine(&self) -> bool {
        (1..=16).contains(&self.code.len()) && self.code.chars().all(|c| c.is_ascii_alphanumeric())
    }
}
