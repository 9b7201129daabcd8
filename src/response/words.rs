//! What a response is told, and what becomes of its steps.

use std::collections::BTreeSet;
use std::fmt;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use crate::domain::{AccountId, Family, Incident, IncidentId, Level, Money, Timestamp};

/// Nats below which a term is no evidence of its own: it could be rounding.
const LEAST_NATS: f64 = 0.5;

/// What a decision is made of.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// Which incident.
    pub incident: IncidentId,
    /// Whose.
    pub account: AccountId,
    /// How loud.
    pub level: Level,
    /// The independent kinds of evidence that speak against the owner.
    pub families: BTreeSet<Family>,
    /// What was lost so far.
    pub loss: Vec<Money>,
    /// When the last finding came.
    pub last: Timestamp,
    /// True when the owner said that it was not them: a kind of evidence of its own.
    pub disowned: bool,
}

/// What became of a step. Success is a state that was seen, never an answer to a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was asked for, and then seen to be so.
    Done,
    /// It was so before anything was asked.
    Already,
    /// The exchange refused; nothing changed.
    Refused(CompactString),
    /// It was asked for, and afterwards it was still as before.
    NotDone(CompactString),
    /// It was asked for, and nobody can say what became of it.
    Unknown(CompactString),
}

/// What a person said about a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Do it.
    Approve,
    /// Leave it.
    Deny,
    /// Give back what can be given back.
    Undo,
    /// Act by yourself again after failed read-backs.
    Reset,
}

impl Facts {
    /// Takes from an incident what a decision needs; `disowned` when the owner said that it was not them.
    pub fn of(incident: &Incident, disowned: bool) -> Self {
        // Whose owner disowned it is no mere suspicion any more.
        let least = if disowned { Level::Alert } else { Level::Act };
        let loud = incident.findings.iter().filter(|finding| finding.level >= least);
        let terms = loud.flat_map(|finding| &finding.terms);
        Facts {
            incident: incident.id.clone(),
            account: incident.account.clone(),
            level: incident.level,
            families: terms.filter(|term| term.nats >= LEAST_NATS).map(|term| term.family).collect(),
            loss: incident.loss.clone(),
            last: incident.last,
            disowned,
        }
    }
}

impl Outcome {
    /// Says whether the state that was wanted was seen.
    pub fn is_seen(&self) -> bool {
        matches!(self, Outcome::Done | Outcome::Already)
    }

    /// Says whether something was asked for and the state that was wanted was not seen: a reason to trust nothing more.
    pub fn is_failed_check(&self) -> bool {
        matches!(self, Outcome::NotDone(_) | Outcome::Unknown(_))
    }

    /// Returns the word used in files and output.
    pub fn word(&self) -> &'static str {
        match self {
            Outcome::Done => "done",
            Outcome::Already => "already so",
            Outcome::Refused(_) => "refused",
            Outcome::NotDone(_) => "not done",
            Outcome::Unknown(_) => "unknown",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Done => f.write_str("done, and seen to be so"),
            Outcome::Already => f.write_str("was so already"),
            Outcome::Refused(why) => write!(f, "refused: {why}"),
            Outcome::NotDone(why) => write!(f, "NOT DONE: {why}"),
            Outcome::Unknown(why) => write!(f, "UNKNOWN: {why}"),
        }
    }
}

impl Verdict {
    /// Returns the word used in files and output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Verdict::Approve => "approve",
            Verdict::Deny => "deny",
            Verdict::Undo => "undo",
            Verdict::Reset => "reset",
        }
    }

    /// Reads that word.
    pub fn named(word: &str) -> Option<Self> {
        [Verdict::Approve, Verdict::Deny, Verdict::Undo, Verdict::Reset].into_iter().find(|one| one.as_str() == word)
    }
}
