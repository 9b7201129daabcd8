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
    // Both say the same of past sessions: the stronger counts.
    let (before, vouched) = (habit::far_before(case.account, far), habit::vouched(case.account, group));
    terms.push(if vouched.nats < before.nats { vouched } else { before });
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Level;
    use crate::domain::Span;
    use crate::engine::account::Vouched;
    use crate::engine::pair::{Bar, Pair};
    use crate::engine::rules::scene::{Scene, bar, quiet};

    /// A buy at `price` in a pair that trades at 0.005, which lost `lost` of the hundred bitcoins that the account holds.
    fn order(price: &str, lost: &str) -> Scene {
        let mut scene = Scene::new(400, 60, "0.5", 0.0);
        (scene.pair, scene.equity) = (Some(quiet()), Some(100.0));
        scene.group.high = price.parse().unwrap();
        scene.habit.episode.lost = lost.parse().unwrap();
        scene
    }

    fn level(scene: &Scene) -> Option<Level> {
        scene.ask(|case| judge(&Settings::default(), case)).map(|finding| finding.level)
    }

    #[test]
    fn it_takes_a_fifth_above_the_price_and_a_hundredth_of_the_account() {
        assert!(level(&order("0.00601", "1.1")) >= Some(Level::Alert));
        assert_eq!(level(&order("0.00599", "40")), None, "a fifth is not reached");
        assert_eq!(level(&order("0.01", "0.99")), None, "not a hundredth of the account");
        assert!(level(&order("0.01", "1.01")) >= Some(Level::Alert));
        let mut maker = order("0.01", "40");
        maker.group.taker = false;
        assert_eq!(level(&maker), None, "a maker's price is its own");
    }

    #[test]
    fn of_an_unknown_account_the_money_itself_counts() {
        for (lost, told) in [("0.0019", None), ("0.0021", Some(Level::Act))] {
            let mut scene = order("0.012", lost);
            scene.equity = None;
            assert_eq!(level(&scene), told, "{lost}");
        }
    }

    #[test]
    fn a_young_pair_takes_twice_its_price_and_one_that_nobody_follows_two_fifths_more() {
        for (price, told) in [("0.0099", None), ("0.0102", Some(Level::Act))] {
            let mut scene = order(price, "20");
            let mut pair = Pair::default();
            pair.seed(&Bar { span: Span::from_secs(3_600), ..bar() });
            scene.pair = Some(pair);
            assert_eq!(level(&scene), told, "{price}");
        }
        for (price, told) in [("0.0069", None), ("0.0071", Some(Level::Act))] {
            let mut scene = order(price, "20");
            (scene.pair, scene.habit.episode.reference) = (None, Some("0.005".parse().unwrap()));
            assert_eq!(level(&scene), told, "{price}");
        }
    }

    #[test]
    fn a_sell_at_half_the_price_is_as_far_as_a_buy_at_twice_the_price() {
        let far = |scene: &Scene| {
            let found = scene.ask(|case| judge(&Settings::default(), case)).unwrap();
            found.terms.iter().find(|term| term.name == DISPLACEMENT).unwrap().value
        };
        let mut sell = order("0.005", "20");
        (sell.group.side, sell.group.low) = (Side::Sell, "0.0025".parse().unwrap());
        assert!((far(&sell) - 100.0).abs() < 0.01 && (far(&order("0.01", "20")) - 100.0).abs() < 0.01);
        sell.group.low = "0.0049".parse().unwrap();
        assert_eq!(level(&sell), None);
    }

    #[test]
    fn of_two_things_that_past_sessions_say_the_stronger_counts() {
        let terms = |scene: &Scene| {
            let found = scene.ask(|case| judge(&Settings::default(), case)).unwrap();
            found.terms.iter().filter(|term| term.nats < 0.0).map(|term| term.name.clone()).collect::<Vec<_>>()
        };
        let mut scene = order("0.01", "20");
        assert!(terms(&scene).is_empty());
        let mut vouched = Vouched::default();
        vouched.add(scene.group.last);
        scene.account.vouched = Some(vouched);
        assert_eq!(terms(&scene), ["vouched"]);
        for _ in 0..20 {
            scene.account.far.push(1.0);
        }
        assert_eq!(terms(&scene), ["far_before"], "twenty sessions say more than one answer");
    }
}
