//! A key that was not there before: in a list of a sub-account's keys, or in the place of the watched one.

use serde::{Deserialize, Serialize};

use super::key_permission_widened::weight;
use super::{KeyCase, Levels};
use crate::domain::{Family, Finding, Level, Reason, RuleName, Timestamp};
use crate::engine::habit::term;
use crate::engine::keys::Known;

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

/// Returns a finding about a key in a list; one that only reads is a notice.
pub fn appeared(
    settings: &Settings,
    case: &KeyCase<'_>,
    key: &Known,
    made: Option<Timestamp>,
    since: Timestamp,
) -> Option<Finding> {
    let heaviest = key.rights().map(weight).fold(3.0, f64::max);
    let rights: Vec<_> = key.rights().map(|right| right.as_str().into()).collect();
    let reason = Reason::KeyAppeared { key: key.name.clone(), rights, made, since };
    found(settings, case, ("new_key", heaviest), reason)
}

/// Returns a finding about a key that was made at another time than was told before. Where it is not certain that both
/// pages are about one key, the owner may just have changed the one that watches.
pub fn remade(
    settings: &Settings,
    case: &KeyCase<'_>,
    key: &Known,
    (made, before, since): (Timestamp, Timestamp, Timestamp),
    certain: bool,
) -> Option<Finding> {
    let reason = Reason::KeyRemade { key: key.name.clone(), made, before, since };
    found(settings, case, ("made_anew", if certain { 6.0 } else { 4.0 }), reason)
}

/// Returns a finding about another watched key than before: the configuration says so, hence a notice.
pub fn replaced(settings: &Settings, case: &KeyCase<'_>, key: &Known, since: Timestamp) -> Option<Finding> {
    let reason = Reason::KeyReplaced { key: key.name.clone(), since };
    found(settings, case, ("other_key", 2.0), reason).map(|found| Finding { level: Level::Notice, ..found })
}

fn found(
    settings: &Settings,
    case: &KeyCase<'_>,
    (name, nats): (&'static str, f64),
    reason: Reason,
) -> Option<Finding> {
    let terms = vec![term(name, Family::Key, nats, 1.0, "key")];
    let level = settings.levels.of(nats, &terms)?.min(Level::Alert);
    Some(case.finding(RuleName::NewKey, level, terms, reason))
}
