//! Holdings sold off within a minute: in 2018 and 2022 the thieves' first step, before any money was lost.
//!
//! Owners do this too, when they rebalance or are afraid; so it is an alert at most, unless its origin is strange.

use serde::{Deserialize, Serialize};

use super::pump_buy::tidy;
use super::{Case, Levels};
use crate::domain::{Family, Finding, Kind, Level, Reason, RuleName, Side, Span, Term};
use crate::engine::habit::{self, term};
use crate::engine::pair::Pair;

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
    terms.push(falling(case));
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

/// Returns what it says that the coin falls while it is sold: owners sell all they have in the few hours of a year in which
/// everything falls, and thieves whenever they come.
///
/// It is 2 - z with z how far the price in dollars is below its two-hour mean in its own deviations, -3 to 0.
fn falling(case: &Case<'_>) -> Term {
    let (share, z) = fall(case);
    term("falling", Family::Market, (2.0 - z).clamp(-3.0, 0.0), share * 100.0, "% below two hours")
}

/// Returns how far the coin has fallen in dollars, as far as its markets are followed: as a share, and in deviations.
pub fn fall(case: &Case<'_>) -> (f64, f64) {
    let fallen = |market: Option<&Pair>| market.and_then(Pair::fall);
    match (fallen(case.pair), fallen(case.dollar)) {
        (None, None) => (0.0, 0.0),
        (Some(one), None) | (None, Some(one)) => (-(-one.0).exp_m1(), one.0 / one.1),
        (Some(one), Some(other)) => (-(-one.0 - other.0).exp_m1(), (one.0 + other.0) / one.1.hypot(other.1)),
    }
}

#[cfg(test)]
mod tests {
    use rust_decimal::Decimal;

    use super::*;
    use crate::domain::{Asset, Price, Quantity};
    use crate::engine::account::Holding;
    use crate::engine::pair::Trade;
    use crate::engine::rules::scene::Scene;
    use crate::engine::tests::{at, fill};

    /// The last of so many holdings, each worth `units`, sold to the last within a minute.
    fn sold(holdings: usize, units: f64, sessions: u32) -> Scene {
        let mut scene = Scene::new(400, sessions, "0.5", 0.0);
        scene.equity = Some(1.0);
        for (place, base) in ["ETH", "LTC", "XRP", "ADA", "EOS"].into_iter().take(holdings).enumerate() {
            let time = at(5_000 * place as i64);
            let amount = "100".parse().unwrap();
            scene.account.balances.insert(Asset::new(base).unwrap(), Holding { amount, at: at(0) });
            let mut sold = fill(&format!("{base}-BTC"), place as u64, "0.005", "100", time);
            sold.side = Side::Sell;
            scene.account.take(&sold, 1, time, units, None);
            scene.group.last = time;
        }
        // The session under way is none of those that were learnt.
        scene.account.sessions = sessions;
        scene.group.side = Side::Sell;
        scene
    }

    fn level(scene: &Scene) -> Option<Level> {
        scene.ask(|case| judge(&Settings::default(), case)).map(|finding| finding.level)
    }

    /// A pair that traded at one price for three hours, a trade a minute, and fell by `part` within the last hour.
    fn market(part: f64) -> Pair {
        let mut pair = crate::engine::rules::scene::quiet();
        for minute in -180..=-2_i64 {
            let fallen = if minute < -60 { 0.0 } else { part * (minute + 60) as f64 / 58.0 };
            // A price that never moves has no deviations of its own.
            let price = 0.005 * (1.0 - fallen) * (1.0 + 0.000_9 * (minute % 2) as f64);
            let price = Decimal::from_f64_retain(price).unwrap().round_dp(8);
            let trade = Trade {
                time: at(minute * 60_000),
                taker: Side::Sell,
                price: Price::new(price).unwrap(),
                quantity: Quantity::new("10".parse().unwrap()).unwrap(),
                order: None,
            };
            pair.trade(&trade, 1.0, |_| 0.0);
        }
        pair.settle(at(-60_000), 1.0, |_| 0.0);
        pair
    }

    #[test]
    fn who_sells_while_everything_falls_is_told_of_less_loudly() {
        let of = |part: f64| {
            let mut scene = sold(2, 0.3, 60);
            scene.pair = Some(market(part));
            scene.ask(|case| judge(&Settings::default(), case)).map(|finding| (finding.level, finding.score))
        };
        let [(calm, most), (slight, some)] = [of(0.0).unwrap(), of(0.005).unwrap()];
        assert_eq!((calm, slight, most), (Level::Alert, Level::Alert, some));
        let crash = of(0.12).map(|(level, _)| level);
        assert_eq!(crash, Some(Level::Notice));
        // It holds against bitcoin, which falls itself.
        let mut scene = sold(2, 0.3, 60);
        (scene.pair, scene.dollar) = (Some(market(0.0)), Some(market(0.12)));
        assert_eq!(level(&scene), Some(Level::Notice));
    }

    #[test]
    fn what_is_sold_moves_no_price_to_hide_behind() {
        let mut scene = sold(2, 0.3, 60);
        let mut pair = market(0.0);
        for second in 0..20 {
            let price = Price::new("0.0035".parse().unwrap()).unwrap();
            let quantity = Quantity::new("1000".parse().unwrap()).unwrap();
            let trade = Trade { time: at(second * 1_000), taker: Side::Sell, price, quantity, order: None };
            pair.trade(&trade, 1.0, |_| 0.0);
        }
        scene.pair = Some(pair);
        assert_eq!(level(&scene), Some(Level::Alert));
    }

    #[test]
    fn two_holdings_make_it_and_one_does_not() {
        assert_eq!([level(&sold(1, 0.3, 60)), level(&sold(2, 0.3, 60))], [None, Some(Level::Alert)]);
    }

    #[test]
    fn dust_that_is_swept_is_no_account_sold_off() {
        assert_eq!([level(&sold(2, 0.024, 60)), level(&sold(2, 0.026, 60))], [None, Some(Level::Alert)]);
    }

    #[test]
    fn of_an_account_of_two_sessions_nobody_is_told() {
        assert_eq!([level(&sold(5, 0.1, 2)), level(&sold(5, 0.1, 3))], [Some(Level::Notice), Some(Level::Alert)]);
    }

    #[test]
    fn a_second_program_takes_the_key_away_only_where_fifty_orders_came_from_the_first() {
        let of = |orders: u32| {
            let mut scene = sold(5, 0.15, 60);
            scene.account.grammars = Default::default();
            for day in 0..5 {
                scene.account.grammars.learn_session([("ios_h32".into(), orders / 5)].into(), at(day));
            }
            scene.group.strange = 1.9;
            level(&scene)
        };
        assert_eq!([of(45), of(50)], [Some(Level::Alert), Some(Level::Act)]);
    }

    #[test]
    fn what_is_bought_or_rested_in_the_book_sells_nothing_off() {
        let (mut buys, mut rested) = (sold(3, 0.3, 60), sold(3, 0.3, 60));
        (buys.group.side, rested.group.taker) = (Side::Buy, false);
        assert_eq!([level(&buys), level(&rested)], [None, None]);
    }
}
