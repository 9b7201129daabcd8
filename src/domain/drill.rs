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
}

impl Drill {
    /// Says whether the name can be part of an incident's.
    pub fn is_fine(&self) -> bool {
        (1..=16).contains(&self.code.len()) && self.code.chars().all(|c| c.is_ascii_alphanumeric())
    }
}
