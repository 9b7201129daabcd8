//! One-sided trading in a thin pair in many small steps: a pair raised, or a holding given away, too slowly for any single
//! order to stand out.
//!
//! Owners build positions up too, so it takes a pair that is new to the account, or a strange origin, and it is an alert at
//! most.

use serde::{Deserialize, Serialize};

use super::pump_buy::tidy;
use super::{Case, Levels};
use crate::domain::{Family, Finding, Kind, Level, Money, Reason, RuleName, Side, Span, Term};
use crate::engine::account::{Account, Run};
use crate::engine::habit::{WARM, WARM_SESSIONS, term};

/// Settings of the rule.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Scores of the levels, in nats; `act` is never reached.
    pub levels: Levels,
    /// Taker orders that make a run, counted with a half-life of six hours.
    pub orders: f64,
    /// The part of the account that the run must have taken, counted alike.
    pub share: f64,
    /// Where what the account holds is unknown: what the run came to, in units of 30,000 dollars.
    pub least: f64,
    /// A pair whose takers of one side spend less than this a day, in units of 30,000 dollars, is thin.
    pub thin: f64,
}

impl Default for Settings {
    fn default() -> Self {
        let levels = Levels { notice: 3.0, alert: 3.0, act: 12.0 };
        Settings { levels, orders: 4.0, share: 0.02, least: 0.02, thin: 25.0 }
    }
}

/// A pair also is thin for an account that holds more than this part of its day.
pub(in crate::engine) const HEAVY: f64 = 0.02;
/// Selling out bit by bit is what owners do: it takes this much more, in nats.
const SELLS_NEED: f64 = 2.5;
/// Who traded the pair for less than this part of a run before it hardly knows the pair: a few small trades in advance
/// must not make it familiar.
const FAMILIAR: f64 = 0.25;
/// Orders that got a better price than all before are at least this part where somebody averages; what that is worth.
const AVERAGES: f64 = 0.7;
const AVERAGING: f64 = 5.5;
/// Within this time it takes up to this much more, in nats: several orders within minutes are
/// what who buys on news sends too, and a thief in a hurry moves the market.
const HASTE: Span = Span::from_secs(600);
const HASTY: f64 = 2.0;
/// Of whom little is known it takes this much more, in nats.
const UNKNOWN: f64 = 2.5;
/// Origin evidence from here, in nats, makes up for a pair that is known.
const ODD: f64 = 2.0;

/// Returns a finding when the order is one of many in one direction.
pub fn judge(settings: &Settings, case: &Case<'_>) -> Option<Finding> {
    let (account, group) = (case.account, case.group);
    if !group.taker || group.symbol.is_contract() && case.equity.is_none() {
        return None;
    }
    let run = account.run(&group.symbol, group.side)?;
    let daily = case.pair?.daily_quote(group.side) * case.unit;
    let thin = daily < settings.thin || case.equity.is_some_and(|equity| equity > HEAVY * 2.0 * daily);
    let matters = case.equity.map_or(run.units >= settings.least, |_| run.of_account >= settings.share);
    if !thin || !matters || run.orders < settings.orders {
        return None;
    }
    let new = run.before < FAMILIAR * run.units;
    let mut terms = vec![
        term(
            "one_sided",
            Family::Habit,
            (run.orders / settings.orders).ln().clamp(0.0, 1.5) + 0.5,
            run.orders,
            "orders",
        ),
        term("spent_slowly", Family::Habit, run.money.min(5.0), run.of_account * 100.0, "% of holdings"),
        term("share_of_day", Family::Market, run.market.min(3.0), run.of_day * 100.0, "% of daily quote"),
        novelty(run, new),
        practice(account, run),
        averaging(run),
        hasty(case.time.since(run.began)),
    ];
    if group.side == Side::Sell {
        terms.push(term("selling", Family::Habit, -SELLS_NEED, run.orders, "orders"));
    }
    terms.extend(case.origin_terms());
    terms.retain(|term| term.nats != 0.0);
    let score: f64 = terms.iter().map(|term| term.nats).sum();
    let mut level = settings.levels.of(score, &terms)?.min(Level::Alert);
    let origin: f64 = terms.iter().filter(|term| term.family == Family::Origin).map(|term| term.nats).sum();
    let cold = run.known_orders < WARM && run.known_sessions < WARM_SESSIONS;
    // Who sells a holding out, deposited or bought, mostly owns it.
    let usual = !new || group.side == Side::Sell;
    if cold && score < settings.levels.alert + UNKNOWN || usual && origin < ODD {
        level = Level::Notice;
    }
    let spent = run.quote.round_dp(8).normalize();
    let reason = Reason::OneSided {
        spent: Money::new(spent, group.symbol.quote().clone()),
        orders: run.count,
        of_account: tidy(run.of_account * 100.0),
        of_day: tidy(run.of_day * 100.0),
        seconds: tidy(case.time.since(run.began).secs_f64()),
        new_pair: new,
        buy: group.side == Side::Buy,
        cap: case.cap.clone(),
    };
    Some(case.finding(RuleName::SlowBuying, Kind::Slow, level, terms, reason))
}

/// What it says that the pair was new (or known) when the run began, by how often the account had opened pairs until then.
fn novelty(run: &Run, new: bool) -> Term {
    let p = (f64::from(run.known_openings) + 1.0) / (f64::from(run.known_sessions) + 3.0);
    let nats = if new { (0.8 / p).ln().clamp(0.0, 3.0) } else { (0.2 / (1.0 - p).max(0.01)).ln().clamp(-2.0, 0.0) };
    term("pair_novelty", Family::Habit, nats, f64::from(u8::from(new)), "new pair")
}

/// What it says that nearly each order got a better price than all before: bots that average down do that, and who raises a
/// price cannot.
fn averaging(run: &Run) -> Term {
    let part = f64::from(run.better) / f64::from(run.count.max(2) - 1);
    let nats = if run.count >= 3 && part >= AVERAGES { -AVERAGING } else { 0.0 };
    term("averaging", Family::Habit, nats, part * 100.0, "% at a better price")
}

/// What it says that the run began minutes ago: nothing slow is known yet.
fn hasty(lasted: Span) -> Term {
    let left = (1.0 - lasted.secs_f64() / HASTE.secs_f64()).clamp(0.0, 1.0);
    term("hasty", Family::Habit, -HASTY * left, lasted.secs_f64() / 60.0, "minutes")
}

/// What earlier runs as strong as this one say for the owner.
fn practice(account: &Account, run: &Run) -> Term {
    let alike = account.past_runs.at_least(run.money + run.market);
    let nats = -(1.5 * (1.0 + alike as f64).ln()).min(4.5);
    term("earlier_runs", Family::Habit, if alike == 0 { 0.0 } else { nats }, alike as f64, "runs as strong")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::account::Step;
    use crate::engine::rules::scene::{Scene, quiet};

    /// Ten orders in a thin pair, ten minutes apart, each of such parts of the account and of the day.
    fn run(orders: u64, sessions: u32, of_account: f64, of_day: f64) -> Scene {
        paced(600, orders, sessions, (of_account, of_day))
    }

    fn paced(pause: i64, orders: u64, sessions: u32, (of_account, of_day): (f64, f64)) -> Scene {
        let mut scene = Scene::new(orders, sessions, "0.1", 0.0);
        (scene.pair, scene.equity) = (Some(quiet()), Some(10.0));
        for k in 0..10 {
            let step = Step {
                side: Side::Buy,
                time: scene.group.first + Span::from_secs(pause * k),
                taker: true,
                first_of_order: true,
                price: 0.005,
                quote: "0.1".parse().unwrap(),
                units: 0.1,
                of_account,
                of_day,
            };
            scene.account.run_on(&scene.group.symbol, &step);
            scene.group.last = step.time;
        }
        scene
    }

    fn level(scene: &Scene) -> Option<Level> {
        scene.ask(|case| judge(&Settings::default(), case)).map(|finding| finding.level)
    }

    #[test]
    fn of_an_account_hardly_known_it_takes_more() {
        assert_eq!(level(&run(400, 60, 0.01, 0.001)), Some(Level::Alert));
        assert_eq!(level(&run(3, 2, 0.01, 0.001)), Some(Level::Notice));
        assert_eq!(level(&run(3, 2, 0.02, 0.005)), Some(Level::Alert));
    }

    #[test]
    fn what_is_done_within_minutes_takes_more_than_the_same_within_hours() {
        let score = |pause| {
            let scene = paced(pause, 400, 60, (0.01, 0.001));
            scene.ask(|case| judge(&Settings::default(), case)).unwrap().score
        };
        let [hours, minutes, seconds] = [600, 60, 2].map(score);
        assert!(seconds + 1.5 < hours && seconds + 1.5 < minutes, "{hours} {minutes} {seconds}");
        let nats = |secs| hasty(Span::from_secs(secs)).nats;
        assert_eq!([0, 300, 600, 90_000].map(nats), [-2.0, -1.0, 0.0, 0.0]);
    }

    #[test]
    fn an_order_that_rested_in_the_book_belongs_to_no_run() {
        let mut rested = run(400, 60, 0.02, 0.005);
        rested.group.taker = false;
        assert_eq!(level(&rested), None);
    }
}
