//! An order that the account's own systems did not send, as far as its name, its source or their own log tells.

use serde::{Deserialize, Serialize};

use super::{Case, Levels};
use crate::domain::{Finding, Kind, Level, Reason, RuleName};
use crate::engine::habit;

/// Settings of the rule.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Scores of the levels, in nats.
    pub levels: Levels,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { levels: Levels { notice: 2.5, alert: 5.5, act: 12.0 } }
    }
}

/// Returns a finding when the order's origin is strange.
pub fn judge(settings: &Settings, case: &Case<'_>) -> Option<Finding> {
    let mut terms = case.origin_terms();
    if case.group.strange <= 0.0 && !case.group.not_ours {
        return None;
    }
    terms.push(habit::dormancy(case.account));
    terms.retain(|term| term.nats > 0.0);
    let score: f64 = terms.iter().map(|term| term.nats).sum();
    // One family of evidence: an owner who tries another bot must not lose the key.
    let level = settings.levels.of(score, &terms)?.min(Level::Alert);
    let what = match (case.group.not_ours, case.group.strange_source) {
        (true, _) => "not_ours",
        (false, true) => "source",
        (false, false) => "grammar",
    };
    let reason = Reason::StrangeOrder { what: what.into(), familiar_orders: case.account.grammars.orders() };
    Some(case.finding(RuleName::UnknownOrigin, Kind::Origin, level, terms, reason))
}
