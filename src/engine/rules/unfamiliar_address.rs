//! A key is used from a place that is new for its account.

use serde::{Deserialize, Serialize};

use super::Levels;
use crate::domain::{AccountId, Finding, Kind, Level, Reason, RuleName, Timestamp};
use crate::engine::address::Use;

/// Settings of the rule.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Scores of the levels, in nats.
    pub levels: Levels,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { levels: Levels { notice: 2.0, alert: 6.0, act: 12.0 } }
    }
}

/// Returns a finding when a use comes from somewhere new.
pub fn judge(settings: &Settings, account: &AccountId, seen: &Use, n: u64, at: Timestamp) -> Option<Finding> {
    let score: f64 = seen.terms.iter().map(|term| term.nats).sum();
    let mut level = settings.levels.of(score, &seen.terms)?;
    if seen.learning {
        // The first days of an account are all new places: history, not alarm.
        return None;
    }
    // An address alone takes no key away: providers fail over, people travel.
    level = level.min(Level::Alert);
    Some(Finding {
        account: account.clone(),
        symbol: None,
        rule: RuleName::UnfamiliarAddress,
        kind: Kind::Address,
        level,
        score: (score * 1e3).round() / 1e3,
        terms: seen.terms.clone(),
        loss: None,
        orders: Vec::new(),
        reason: Reason::NewAddress {
            ip: compact_str::format_compact!("{}", seen.ip),
            prefix: compact_str::format_compact!("{}", seen.prefix),
            network: seen.network.clone(),
            new: seen.new.into(),
            concurrent: seen.concurrent,
        },
        n,
        at,
    })
}
