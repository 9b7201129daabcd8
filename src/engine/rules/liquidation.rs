//! Holdings sold off within a minute: in 2018 and 2022 the thieves' first step, before any money was lost.
//!
//! Owners do this too, when they rebalance or are afraid; so it is an alert at most, unless its origin is strange.

use serde::{Deserialize, Serialize};

use super::pump_buy::tidy;
use super::{Case, Levels};
use crate::domain::{Family, Finding, Kind, Level, Reason, RuleName, Side, Span};
use crate::engine::habit::{self, term};

/// Settings of the rule.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Scores of the levels, in nats.
    pub levels: Levels,
    /// Distinct holdings sold within a minute.
    pub holdings: usize,
    /// The part of the account that was sold, where it is known.
    pub share: f64,
    /// Sessions an account must have had before its habit of (not) selling says anything.
    pub sessions: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { levels: Levels::default(), holdings: 2, share: 0.05, sessions: 3 }
    }
}

/// Returns a finding when the order is one of several that sell the account off.
pub fn judge(settings: &Settings, case: &Case<'_>) -> Option<Finding> {
    if case.group.side != Side::Sell || !case.group.taker {
        return None;
    }
    let account = case.account;
    let sold = account.sold_within(case.time, Span::from_secs(60), None);
    if sold.len() < settings.holdings {
        return None;
    }
    let units: f64 = sold.iter().map(|sale| sale.units).sum();
    let share = case.equity.map(|equity| units / equity.max(units));
    if share.is_some_and(|share| share < settings.share) {
        return None;
    }
    let told = sold.iter().filter(|sale| sale.whole.is_some()).count();
    let whole = sold.iter().filter(|sale| sale.whole == Some(true)).count();
    let more = (sold.len() - settings.holdings) as f64;
    let mut terms = vec![
        term(
            "sold_off",
            Family::Habit,
            habit::selling_cap(account, sold.len()) + more.min(3.0),
            sold.len() as f64,
            "holdings",
        ),
        habit::emptied(account, whole, told, sold.len()),
        habit::dormancy(account),
    ];
    let mut rate = habit::rate(account);
    rate.nats = rate.nats.max(0.0) / 2.0;
    terms.push(rate);
    terms.extend(case.origin_terms());
    terms.retain(|term| term.nats != 0.0);
    let score: f64 = terms.iter().map(|term| term.nats).sum();
    let mut level = settings.levels.of(score, &terms)?;
    if account.sessions < settings.sessions {
        level = Level::Notice;
    }
    let first = sold.iter().map(|sale| sale.at).min().unwrap_or(case.time);
    let reason = Reason::SoldOff {
        assets: sold.iter().map(|sale| sale.asset.as_str().into()).collect(),
        seconds: tidy(case.time.since(first).secs_f64()),
    };
    Some(case.finding(RuleName::Liquidation, Kind::Liquidation, level, terms, reason))
}
