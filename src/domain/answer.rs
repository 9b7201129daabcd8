//! What a person said of an alarm.

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::{AccountId, Incident};

/// An answer to all that was told of an account between two arrivals: it was the owner, or it was not.
///
/// It moves what is known of this account alone, never what is known of a market or of others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Whose.
    pub account: AccountId,
    /// The arrival of the first finding that is answered.
    pub first: u64,
    /// The arrival of the last finding that is answered.
    pub last: u64,
    /// Whether the owner did it.
    pub mine: bool,
    /// Who says so, in the words of the channel it came by.
    pub by: CompactString,
}

impl Answer {
    /// Makes the answer to an incident as far as it has grown.
    pub fn to(incident: &Incident, mine: bool, by: &str) -> Answer {
        // Findings are replaced by newer ones of their kind; the first is in the incident's name.
        let opened =
            incident.id.opened(&incident.account).or_else(|| incident.findings.iter().map(|finding| finding.n).min());
        let last = incident.findings.iter().map(|finding| finding.n).max();
        let first = opened.or(last).unwrap_or_default();
        Answer { account: incident.account.clone(), first, last: last.unwrap_or(first).max(first), mine, by: by.into() }
    }
}
