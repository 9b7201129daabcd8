//! Somebody buys a pair that is being raised (or sells one that is being dumped), unlike the owner.
//!
//! The joint score: what the market did at this very order, and what the account usually does. Neither alone is
//! enough for `act`; a chaser of pumps earns little market evidence, a first-time buyer a lot.

use serde::{Deserialize, Serialize};

use super::{Case, Levels};
use crate::domain::{Family, Finding, Kind, Level, Reason, RuleName, Side, Term};
use crate::engine::habit::{self, WARM, WARM_SESSIONS, term};
use crate::engine::pair::float;
use crate::engine::why::Lack;

/// Settings of the rule.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Scores of the levels, in nats.
    pub levels: Levels,
    /// Orders worth less than this, in units of 30,000 dollars, never reach `act`.
    pub smallest_act: f64,
    /// What it says, in nats, that a rising asset is known to be small; half as much below five times the size.
    pub small_cap: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { levels: Levels { act: 8.0, ..Levels::default() }, smallest_act: 0.000_5, small_cap: 0.5 }
    }
}

/// A round trip that loses less than this part is ordinary trading.
const ORDINARY_TRIP: f64 = 0.02;
/// Selling into a falling market is what frightened owners do: it takes this much more.
const SELLS_NEED: f64 = 1.5;
/// A sell this near to the price before it gives nothing away, and thieves live on what is given away.
const NEAR: f64 = 4.0;
/// Market evidence below this, in nats, is a market that does not move.
const MOVES: f64 = 0.5;
/// Market evidence from here, in nats, is a family of evidence for itself.
const STIRS: f64 = 1.5;
/// An asset of fewer dollars than this is small.
const SMALL: f64 = 10e6;
/// Origin evidence from here, in nats, makes up for a market that does not move.
const ODD: f64 = 2.0;
/// Evidence that it is not the owner, in nats, without which people are not called.
const UNLIKE: f64 = 0.5;

/// Returns a finding when the order stands out.
pub fn judge(settings: &Settings, case: &Case<'_>) -> Option<Finding> {
    let group = case.group;
    let spent = float(group.notional) * case.unit;
    let mut terms = terms(settings, case);
    // Weighs nothing by itself: it says why a loud market counts for so little.
    terms.extend(young(case));

    let score: f64 = terms.iter().map(|term| term.nats).sum();
    let mut level = settings.levels.of(score, &terms)?;
    if !brakes(case, &terms).is_empty() {
        level = Level::Notice;
    }
    if spent < settings.smallest_act {
        level = level.min(Level::Alert);
    }
    let usual = terms.iter().find(|term| term.name == "size").map_or(0.0, |term| term.value);
    let extreme = float(if group.side == Side::Buy { group.high } else { group.low });
    let reason = Reason::Stands {
        spent: crate::domain::Money::new(group.notional, group.symbol.quote().clone()),
        times_usual: usual,
        move_percent: tidy(case.pair.map_or(0.0, |pair| pair.move_percent(group.side, extreme))),
        new_pair: case.new_pair,
        buy: group.side == Side::Buy,
        cap: case.cap.clone(),
    };
    Some(case.finding(RuleName::PumpBuy, Kind::Pump, level, terms, reason))
}

/// Returns what keeps an order of these terms at a notice, whatever its score.
pub fn brakes(case: &Case<'_>, terms: &[Term]) -> Vec<Lack> {
    let account = case.account;
    // Whether anything moves is the market's matter, whatever this account is used to.
    let market = case.habit.episode.market.max(case.group.market);
    let mut lacks = Vec::new();
    let against = |family: fn(Family) -> bool| {
        terms.iter().filter(|term| family(term.family)).map(|term| term.nats.max(0.0)).sum::<f64>()
    };
    let unlike_owner = against(|family| family != Family::Market);
    let origin = against(|family| family == Family::Origin);
    let sold = terms.iter().any(|term| term.name == "sold_before");
    // Two halves make the case: a market that moves (or cannot be seen), and something unlike the owner.
    if case.pair.is_some() && market < MOVES && origin < ODD && !sold {
        lacks.push(Lack::new("evidence of a market that moves", MOVES, market, "nats"));
    }
    if unlike_owner < UNLIKE {
        lacks.push(Lack::new("evidence that it is not the owner", UNLIKE, unlike_owner, "nats"));
    }
    let all_habits: f64 = terms.iter().filter(|term| term.family != Family::Market).map(|term| term.nats).sum();
    if all_habits < 0.0 {
        lacks.push(Lack::new("habits in sum against the owner", 0.0, all_habits, "nats"));
    }
    // To an account nobody knows yet every pair is new; something else must be unlike it.
    if account.orders < WARM && account.sessions < WARM_SESSIONS {
        let known = terms.iter().filter(|term| term.family != Family::Market && term.name != "pair_novelty");
        let strongest = known.map(|term| term.nats).fold(0.0, f64::max);
        if market < 3.0 {
            lacks.push(Lack::new("evidence of the market, for an account hardly known", 3.0, market, "nats"));
        }
        if strongest < 0.8 {
            lacks.push(Lack::new(
                "a habit broken beside the new pair, for an account hardly known",
                0.8,
                strongest,
                "nats",
            ));
        }
    }
    lacks
}

/// Returns the summands of the joint score that say anything.
pub fn terms(settings: &Settings, case: &Case<'_>) -> Vec<Term> {
    let (account, group) = (case.account, case.group);
    let market = case.habit.episode.market.max(group.market);
    let mut terms = market_terms(case);
    terms.push(habit::novelty(account, case.new_pair));
    terms.extend(habit::together(habit::size(account, group.side), habit::rate(account)));
    terms.extend(round_trip(case));
    match group.side {
        Side::Buy => {
            terms.push(habit::sold_before(account, case.time, group.symbol.base()));
            terms.push(habit::whole_balance(account, group));
            terms.extend(small_cap(settings, case, market));
        }
        Side::Sell => terms.extend([selling(case), habit::sells_seldom(account)]),
    }
    terms.push(habit::vouched(account, group));
    terms.push(habit::dormancy(account));
    terms.push(habit::probed(account, group, case.new_pair || case.habit.orders <= 3));
    terms.push(habit::cancelled_before(account, group));
    terms.extend(case.origin_terms());
    terms.retain(|term| term.nats != 0.0);
    terms
}

fn market_terms(case: &Case<'_>) -> Vec<Term> {
    if !case.group.taker {
        return Vec::new();
    }
    let seen = case.habit.episode.market.max(case.group.market);
    // The account's own weight in the pair: ordinary orders take 2 % of a day in one of a hundred, 24 % in 10,000.
    let share = case
        .pair
        .map_or(0.0, |pair| float(case.habit.episode.taken) / pair.daily_quote(case.group.side).max(f64::MIN_POSITIVE));
    let weight = match share {
        s if s >= 0.24 => 4.0,
        s if s >= 0.08 => 2.5,
        s if s >= 0.02 => 1.0,
        _ => 0.0,
    };
    let young = case.pair.is_none_or(crate::engine::pair::Pair::young);
    // A heavy order that moved nothing is a patient one.
    let weight = if young || seen <= 0.0 { 0.0 } else { weight };
    let market = habit::heat(case.account, seen);
    let more = if weight > seen { habit::heat(case.account, weight) - market } else { 0.0 };
    vec![
        term("market", Family::Market, market, seen, "nats before habit"),
        term("share_of_day", Family::Market, more.max(0.0), share.min(1e6) * 100.0, "% of daily quote"),
    ]
}

fn young(case: &Case<'_>) -> Option<Term> {
    let followed = case.pair.filter(|pair| pair.young())?.followed().secs_f64() / 3_600.0;
    let counts = term("young_pair", Family::Market, 0.0, followed, "hours followed, of 24");
    case.group.taker.then_some(counts)
}

/// Pumps are made of small assets, and most small assets are not pumped: a weak prior, beside a market that moves for
/// itself. Nothing known says nothing, and a large asset is no excuse: a top-100 coin was raised with a stolen key.
fn small_cap(settings: &Settings, case: &Case<'_>, market: f64) -> Option<Term> {
    let usd = float(case.cap.as_ref()?.usd);
    let nats = match usd {
        usd if usd < SMALL => settings.small_cap,
        usd if usd < 5.0 * SMALL => settings.small_cap / 2.0,
        _ => 0.0,
    };
    (market >= STIRS && nats > 0.0).then(|| term("small_cap", Family::Market, nats, usd / 1e6, "million dollars"))
}

fn selling(case: &Case<'_>) -> Term {
    let below = case.pair.map_or(0.0, |pair| pair.move_percent(Side::Sell, float(case.group.low)));
    let nats = match below {
        b if b < NEAR / 2.0 => -4.0 * SELLS_NEED,
        b if b < NEAR => -2.0 * SELLS_NEED,
        _ => -SELLS_NEED,
    };
    term("selling", Family::Market, nats, below, "% below")
}

fn round_trip(case: &Case<'_>) -> Option<Term> {
    let trips = case.habit.turn.round_trips()?;
    let (median, _) = case.account.buys.median_and_scale()?;
    let enough = trips.turned * case.unit >= (median - 1.0).exp();
    (trips.part > ORDINARY_TRIP && enough && trips.turns >= 1.0).then(|| {
        let nats = (1.0 + 20.0 * (trips.part - ORDINARY_TRIP)).min(6.0);
        term("round_trip_loss", Family::Market, nats, trips.part * 100.0, "% a turn")
    })
}

pub(super) fn tidy(number: f64) -> f64 {
    if number.is_finite() { (number * 100.0).round() / 100.0 } else { 0.0 }
}

#[cfg(test)]
mod tests;
