//! A key may do more than it could before.
//!
//! No key changes keys: whoever did this was signed in as the owner, or was the owner. One family of evidence, hence
//! never `act`.

use serde::{Deserialize, Serialize};

use super::{KeyCase, Levels};
use crate::domain::{Family, Finding, Level, Reason, Right, RuleName, Span, Timestamp};
use crate::engine::habit::term;
use crate::engine::keys::Known;

/// Settings of the rule.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Scores of the levels, in nats.
    pub levels: Levels,
    /// A right that is taken away and given back is told again after this.
    pub again_after: Span,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { levels: Levels { notice: 2.0, alert: 6.0, act: 12.0 }, again_after: Span::from_secs(3_600) }
    }
}

/// Each right beside the heaviest adds this much, in nats.
const ANOTHER: f64 = 0.25;

/// Returns a finding when a key gained rights that were not told of lately.
pub fn judge(
    settings: &Settings,
    case: &KeyCase<'_>,
    key: &mut Known,
    gained: &[Right],
    since: Timestamp,
) -> Option<Finding> {
    let fresh = |right: &&Right| key.say(&format!("gained {right}"), case.at, settings.again_after);
    let gained: Vec<&Right> = gained.iter().filter(fresh).collect();
    let heaviest = gained.iter().map(|right| weight(right)).reduce(f64::max)?;
    let nats = (heaviest + ANOTHER * (gained.len() - 1) as f64).min(7.0);
    let terms = vec![term("gained_rights", Family::Key, nats, gained.len() as f64, "rights")];
    let level = settings.levels.of(nats, &terms)?.min(Level::Alert);
    let gained = gained.into_iter().map(|right| right.as_str().into()).collect();
    let reason = Reason::KeyWidened { key: key.name.clone(), gained, since };
    Some(case.finding(RuleName::KeyPermissionWidened, level, terms, reason))
}

/// Returns what it says, in nats, that a key gained a right: what takes money away, what trades it away, and the rest.
pub(super) fn weight(right: &Right) -> f64 {
    match right {
        Right::Withdraw | Right::UniversalTransfer => 7.0,
        Right::InternalTransfer => 6.5,
        Right::Trade | Right::Margin | Right::Futures | Right::Options | Right::Unified | Right::FixTrade => 6.0,
        Right::Read | Right::FixRead | Right::Receive | Right::Earn | Right::Other(_) => 3.0,
    }
}
