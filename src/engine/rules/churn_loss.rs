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
    let share = case.equity.map(|equity| lost / equity.max(lost));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Level, Side, Span};
    use crate::engine::rules::scene::Scene;
    use crate::engine::tests::{at, fill};

    /// So many round trips of 100 at 0.005 that sell at `sold_at`, four seconds apart, of an account worth so much.
    fn level(trips: u64, sold_at: &str, equity: Option<f64>) -> Option<Level> {
        let mut scene = Scene::new(400, 60, "0.5", 0.0);
        scene.equity = equity;
        for trip in 0..trips {
            let time = at(8_000 * trip as i64);
            let bought = fill("APPC-BTC", 2 * trip, "0.005", "100", time);
            let mut sold = fill("APPC-BTC", 2 * trip + 1, sold_at, "100", time + Span::from_secs(4));
            sold.side = Side::Sell;
            for fill in [&bought, &sold] {
                scene.account.take(fill, 1, fill.time, 0.5, None);
            }
            scene.habit = scene.account.habit(&bought.symbol).unwrap().clone();
            scene.group.last = sold.time;
        }
        scene.ask(|case| judge(&Settings::default(), case)).map(|finding| finding.level)
    }

    #[test]
    fn it_takes_trips_that_lose_more_than_spreads_and_fees_and_a_part_of_the_account() {
        assert!(level(8, "0.0049", Some(5.0)) >= Some(Level::Alert));
        assert_eq!(level(1, "0.0049", Some(0.5)), None, "one bad trade is a mistake");
        // Eight trips of 0.1 % are fees, whatever part of the account that is; at 0.2 % they are not.
        assert_eq!(level(8, "0.004995", Some(0.001)), None);
        assert!(level(8, "0.00499", Some(0.001)).is_some());
        // 0.08 are lost: half a percent of 16.
        assert!(level(8, "0.0049", Some(14.0)).is_some());
        assert_eq!(level(8, "0.0049", Some(18.0)), None);
    }

    #[test]
    fn of_an_unknown_account_the_money_itself_counts() {
        // 0.003 units are ninety dollars.
        assert!(level(8, "0.00499", None).is_some());
        assert_eq!(level(2, "0.00499", None), None);
        assert!(level(3, "0.0049", None).is_some());
    }
}
