//! Round trips in one pair that lose, again and again: trading against somebody's own orders.
//!
//! The market need not move at all. What moves is money: the loss against what the account holds, and its velocity.

use serde::{Deserialize, Serialize};

use super::pump_buy::tidy;
use super::{Case, Levels};
use crate::domain::{Family, Finding, Kind, Reason, RuleName};
use crate::engine::habit::{self, term};

/// Settings of the rule.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Scores of the levels, in nats.
    pub levels: Levels,
    /// Changes of side that make it a habit rather than a mistake.
    pub turns: f64,
    /// The part of the price a turn must lose; below it are spreads and fees.
    pub part: f64,
    /// The part of the account that must be lost.
    pub share: f64,
    /// Where what the account holds is unknown: the loss in units of 30,000 dollars.
    pub least_loss: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { levels: Levels::default(), turns: 2.5, part: 0.0015, share: 0.005, least_loss: 0.003 }
    }
}

/// Returns a finding when round trips lose faster than any trading does.
pub fn judge(settings: &Settings, case: &Case<'_>) -> Option<Finding> {
    let trips = case.habit.turn.round_trips()?;
    let lost = trips.lost * case.unit;
    let share = case.equity.map(|equity| trips.share_of(equity, case.unit));
    let matters = share.map_or(lost >= settings.least_loss, |share| share >= settings.share);
    if trips.turns < settings.turns || trips.part < settings.part || !matters {
        return None;
    }
    let weight = share.unwrap_or(settings.share);
    let mut terms = vec![
        term(
            "losing_turns",
            Family::Market,
            (trips.turns / settings.turns).ln().clamp(0.0, 2.0) + 1.5,
            trips.turns,
            "turns",
        ),
        term(
            "lost",
            Family::Habit,
            (1.0 + 1.5 * (weight / settings.share).ln()).clamp(0.5, 6.0),
            weight * 100.0,
            "% of holdings",
        ),
        habit::rate(case.account),
        habit::novelty(case.account, case.new_pair),
        habit::lost_before(case.account, share),
    ];
    terms.extend(case.origin_terms());
    terms.retain(|term| term.nats != 0.0);
    let score: f64 = terms.iter().map(|term| term.nats).sum();
    let level = settings.levels.of(score, &terms)?;
    let reason = Reason::LosingRoundTrips {
        trips: (trips.turns / 2.0).ceil() as u32,
        percent: tidy(trips.part * 100.0),
        seconds: tidy(case.time.since(trips.since).secs_f64()),
    };
    Some(case.finding(RuleName::ChurnLoss, Kind::Churn, level, terms, reason))
}
