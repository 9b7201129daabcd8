//! What an operator says of a platform that lost its users' keys.

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::{AccountId, Timestamp, Venue};

/// For whom less evidence is enough, and until when; what is absent limits nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeakMode {
    /// The accounts of this tag.
    pub tag: Option<CompactString>,
    /// The accounts at this exchange.
    pub venue: Option<Venue>,
    /// This account.
    pub account: Option<AccountId>,
    /// Why, in the operator's words.
    pub why: CompactString,
    /// When it ends.
    pub until: Timestamp,
}
