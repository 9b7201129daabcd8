//! The watched key may do more than its owner expects. Nothing happened, so it is a notice, and once a day at most.

use serde::{Deserialize, Serialize};

use super::KeyCase;
use crate::domain::{AccountId, Family, Finding, Level, Reason, Right, RuleName, Span};
use crate::engine::habit::term;
use crate::engine::keys::{Change, Known};

/// Settings of the rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// What is beyond an account's policy is told again after this, while it lasts.
    pub again_after: Span,
    /// What owners expect of the keys that watch their accounts.
    pub expected: Vec<(AccountId, Policy)>,
}

/// What an owner expects of a watched key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// The rights it may have; any where empty.
    pub allow: Vec<Right>,
    /// Whether it should be restricted to addresses.
    pub restricted: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { again_after: Span::from_secs(86_400), expected: Vec::new() }
    }
}

/// Returns a finding when the watched key may do what nobody expects of it.
pub fn judge(settings: &Settings, case: &KeyCase<'_>, key: &mut Known, changes: &[Change]) -> Option<Finding> {
    if !key.name.own {
        return None;
    }
    let policy = settings.expected.iter().find(|(account, _)| account == case.account).map(|(_, policy)| policy);
    let allow = policy.map(|policy| &policy.allow).filter(|allow| !allow.is_empty());
    let rights: Vec<Right> = match allow {
        Some(allow) => key.rights().filter(|right| !allow.contains(right)).cloned().collect(),
        // Without a policy only what no watching key needs is worth a word, when it is first seen.
        None => {
            let has = |change: &Change| matches!(change, Change::Has(rights) if rights.contains(&Right::Withdraw));
            changes.iter().any(has).then_some(Right::Withdraw).into_iter().collect()
        }
    };
    let open = policy.is_some_and(|policy| policy.restricted) && key.open() == Some(true);
    if (rights.is_empty() && !open) || !key.say("beyond policy", case.at, settings.again_after) {
        return None;
    }
    let count = rights.len() + usize::from(open);
    let terms = vec![term("beyond_policy", Family::Key, 3.0, count as f64, "things")];
    let rights = rights.iter().map(|right| right.as_str().into()).collect();
    let reason = Reason::KeyBeyond { key: key.name.clone(), rights, open, policy: policy.is_some() };
    Some(case.finding(RuleName::KeyPolicy, Level::Notice, terms, reason))
}
