//! Rules that a user wrote: a condition over an order, and a sentence about it.
//!
//! One condition is one kind of evidence, whatever it asks: such a rule never says `act`.

use std::collections::BTreeMap;

use compact_str::CompactString;
use serde::Serialize;

use super::Case;
use crate::domain::{Family, Finding, Kind, Level, Reason, RuleName, Span};
use crate::engine::expression::{Condition, Past, Scope, Sentence, Unknown};
use crate::engine::fleet::Tags;
use crate::engine::keys::Keys;

/// The rules of the user's own, in the order of their names.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Settings {
    /// The rules.
    pub rules: Vec<Rule>,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rule {
    /// Its name.
    pub name: CompactString,
    /// When it speaks.
    pub when: Condition,
    /// How loud; `notice` or `alert`.
    pub level: Level,
    /// What it says.
    pub why: Sentence,
    /// Whether it only writes to the history.
    pub staged: bool,
    /// Alerts of an account a month that its owner puts up with.
    pub budget: f64,
}

/// What could not be judged, by rule: how often, and why at first.
pub type Failures = BTreeMap<CompactString, (u64, Unknown)>;

/// What a rule's word weighs, in nats: as much as its level needs by the shipped rules' levels.
const fn nats(level: Level) -> f64 {
    match level {
        Level::Notice => 4.0,
        Level::Alert | Level::Act => 6.0,
    }
}

impl Settings {
    /// Returns how far back any rule looks; nothing is kept of the past where none does.
    pub fn looks_back(&self) -> Option<Span> {
        let spans = self.rules.iter().map(|rule| rule.when.looks_back().max(rule.why.looks_back()));
        spans.max().filter(|span| span.nanos() > 0)
    }
}

/// Asks every rule about an order whose terms are weighed as `joint` says. One that cannot be answered counts as not met, and is counted.
pub fn judge(
    settings: &Settings,
    joint: &super::pump_buy::Settings,
    case: &Case<'_>,
    (keys, past, tags): (&Keys, &Past, &Tags),
    failures: &mut Failures,
) -> Vec<Finding> {
    if settings.rules.is_empty() {
        return Vec::new();
    }
    let scope = Scope::new(case, keys, past, tags, joint);
    let mut found = Vec::new();
    for rule in &settings.rules {
        match rule.when.holds(&scope) {
            Ok(true) => {
                let terms = vec![super::super::habit::term("condition", Family::Habit, nats(rule.level), 1.0, "met")];
                let reason = Reason::User { rule: rule.name.clone(), why: rule.why.about(&scope).into() };
                found.push(case.finding(RuleName::User, Kind::User, rule.level, terms, reason));
            }
            Ok(false) => {}
            Err(unknown) => failures.entry(rule.name.clone()).or_insert((0, unknown)).0 += 1,
        }
    }
    found
}
