//! What was found and kept from people, and on whose word.

use compact_str::CompactString;

use super::{AccountId, Timestamp};

/// On whose word something was kept from people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Excuse {
    /// An exception that stands in a file.
    Exception,
    /// An owner who answered "that was me".
    Answer,
}

/// How much one exception or answer kept from people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hidden {
    /// What it is.
    pub excuse: Excuse,
    /// Its name; of an answer the incident that was answered.
    pub name: CompactString,
    /// About which account.
    pub account: AccountId,
    /// Who answers for it.
    pub owner: CompactString,
    /// What it covers: rules, and the pair where it is one.
    pub what: String,
    /// When it ends.
    pub until: Timestamp,
    /// How many findings it kept from people.
    pub count: u64,
    /// When the last of them came.
    pub last: Option<Timestamp>,
}

impl Excuse {
    /// Returns the word used in files and output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Excuse::Exception => "exception",
            Excuse::Answer => "answer",
        }
    }
}
