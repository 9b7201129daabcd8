//! A key may be used from anywhere, or from more places than before.
//!
//! A list of addresses is what makes a leaked key worthless; taking it away is what a thief with the owner's session does
//! first. Never `act`: it is one family of evidence, and owners move machines.

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::{KeyCase, Levels};
use crate::domain::{Family, Finding, Level, Reason, RuleName, Span, Timestamp};
use crate::engine::habit::term;
use crate::engine::keys::Known;

/// Settings of the rule.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Scores of the levels, in nats.
    pub levels: Levels,
    /// A list that is taken away, or an address that is added, once more is told again after this.
    pub again_after: Span,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { levels: Levels { notice: 2.0, alert: 6.0, act: 12.0 }, again_after: Span::from_secs(3_600) }
    }
}

/// Returns a finding about a list that is gone.
pub fn opened(settings: &Settings, case: &KeyCase<'_>, key: &mut Known, since: Timestamp) -> Option<Finding> {
    key.say("opened", case.at, settings.again_after)
        .then(|| found(settings, case, key, ("list_removed", 7.0), Vec::new(), Some(since)))
        .flatten()
}

/// Returns a finding about addresses that were added and were not told of lately.
pub fn grew(
    settings: &Settings,
    case: &KeyCase<'_>,
    key: &mut Known,
    added: &[CompactString],
    since: Timestamp,
) -> Option<Finding> {
    let fresh = |address: &&CompactString| key.say(&format!("address {address}"), case.at, settings.again_after);
    let added: Vec<CompactString> = added.iter().filter(fresh).cloned().collect();
    if added.is_empty() {
        return None;
    }
    found(settings, case, key, ("addresses_added", 6.0), added, Some(since))
}

/// Returns a finding about a watched key that had no list when it was first seen: said once, as advice.
pub fn never_restricted(settings: &Settings, case: &KeyCase<'_>, key: &Known) -> Option<Finding> {
    if !key.name.own {
        return None;
    }
    found(settings, case, key, ("no_list", 2.0), Vec::new(), None)
        .map(|found| Finding { level: Level::Notice, ..found })
}

fn found(
    settings: &Settings,
    case: &KeyCase<'_>,
    key: &Known,
    (name, nats): (&'static str, f64),
    added: Vec<CompactString>,
    since: Option<Timestamp>,
) -> Option<Finding> {
    let terms = vec![term(name, Family::Key, nats, added.len().max(1) as f64, "addresses")];
    let level = settings.levels.of(nats, &terms)?.min(Level::Alert);
    let reason = Reason::KeyUnrestricted { key: key.name.clone(), added, since };
    Some(case.finding(RuleName::KeyUnrestricted, level, terms, reason))
}
