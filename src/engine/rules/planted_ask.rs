//! A fill far above what the pair trades at (or below, for sells): somebody planted the other side.

use serde::{Deserialize, Serialize};

use super::pump_buy::tidy;
use super::{Case, Levels};
use crate::domain::{Family, Finding, Kind, Reason, RuleName, Side};
use crate::engine::habit::{self, term};
use crate::engine::pair::float;

/// Settings of the rule.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Scores of the levels, in nats.
    pub levels: Levels,
    /// How far from the reference price a fill must be, as a part of it.
    pub far: f64,
    /// The same for a pair followed for less than a day.
    pub far_when_young: f64,
    /// The part of the account that must be lost.
    pub share: f64,
    /// Where what the account holds is unknown: the loss in units of 30,000 dollars.
    pub least_loss: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { levels: Levels::default(), far: 0.20, far_when_young: 1.0, share: 0.01, least_loss: 0.002 }
    }
}

/// The term that tells how far from the reference an order traded, in percent.
pub const DISPLACEMENT: &str = "displacement";

/// Returns a finding when the order was filled far from the reference.
pub fn judge(settings: &Settings, case: &Case<'_>) -> Option<Finding> {
    let group = case.group;
    if !group.taker {
        return None;
    }
    // Where nobody follows the pair, what the account itself paid before this is all there is to compare with.
    let reference = match case.pair {
        Some(pair) => pair.mean_price(group.side)?,
        None => float(case.habit.episode.reference?),
    };
    let extreme = float(if buys(case) { group.high } else { group.low });
    if reference <= 0.0 || extreme <= 0.0 {
        return None;
    }
    // Symmetric in the logarithm: a sell at half the price is as far as a buy at twice the price.
    let far = if buys(case) { extreme / reference } else { reference / extreme } - 1.0;
    let needed = match case.pair {
        Some(pair) if pair.young() => settings.far_when_young,
        Some(_) => settings.far,
        None => 2.0 * settings.far,
    };
    let lost = float(case.loss().amount()) * case.unit;
    let share = case.equity.map(|equity| lost / equity.max(lost));
    let matters = share.map_or(lost >= settings.least_loss, |share| share >= settings.share);
    if far < needed || !matters {
        return None;
    }
    let weight = share.unwrap_or(settings.share);
    let mut terms = vec![
        term(DISPLACEMENT, Family::Market, (4.0 + 2.0 * (far / 0.2).ln()).clamp(2.0, 7.0), far * 100.0, "%"),
        term("overpaid", Family::Habit, (2.0 + (weight / 0.01).ln()).clamp(0.5, 6.0), weight * 100.0, "% of holdings"),
    ];
    terms.push(habit::far_before(case.account, far));
    terms.push(habit::cancelled_before(case.account, group));
    terms.extend(case.origin_terms());
    terms.retain(|term| term.nats != 0.0);
    let score: f64 = terms.iter().map(|term| term.nats).sum();
    let level = settings.levels.of(score, &terms)?;
    let price = if buys(case) { group.high } else { group.low };
    let reason = Reason::FarFromReference {
        // The average behind a running total may have 28 digits; people read the first.
        price: compact_str::format_compact!("{}", price.round_sf(8).unwrap_or(price).normalize()),
        reference: compact_str::format_compact!("{reference:.8}"),
        percent: tidy(far * 100.0),
        buy: buys(case),
        cap: case.cap.clone(),
    };
    Some(case.finding(RuleName::PlantedAsk, Kind::PlantedAsk, level, terms, reason))
}

fn buys(case: &Case<'_>) -> bool {
    case.group.side == Side::Buy
}
