//! Runs: trading one way in one pair, in many small steps over hours.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::{Account, short};
use crate::domain::{Side, Span, Symbol, Timestamp};
use crate::engine::decay::left;

/// Half-life of a run's evidence, in seconds.
const FADES: f64 = 6.0 * 3_600.0;
/// A pause that ends a run.
const RUN_ENDS: Span = Span::from_secs(86_400);
/// A run this long past belongs to somebody who still trades: its owner.
const OUTLIVED: Span = Span::from_secs(3 * 86_400);
/// Runs kept at once; beyond it the faintest is given up.
const MOST_RUNS: usize = 8;
/// The most that one order adds, in nats: what a single order shows is another rule's matter.
const ORDER_ADDS: f64 = 0.8;
/// What each order must exceed, in nats, or the sum does not grow.
const DRIFT: f64 = 0.01;

/// One-sided taker trading in one pair: a decayed CUSUM of what it takes of the account and of the pair's day.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Where.
    pub symbol: Symbol,
    /// Which way.
    pub side: Side,
    /// When it began.
    pub began: Timestamp,
    /// When it last moved.
    pub at: Timestamp,
    /// Taker orders, less those of the other side, decayed.
    #[serde(with = "short")]
    pub orders: f64,
    /// The part of the account it took, decayed.
    #[serde(with = "short")]
    pub of_account: f64,
    /// The part of the pair's day it took, decayed.
    #[serde(with = "short")]
    pub of_day: f64,
    /// The CUSUM of the account's parts, in nats.
    #[serde(with = "short")]
    pub money: f64,
    /// The CUSUM of the day's parts, in nats.
    #[serde(with = "short")]
    pub market: f64,
    /// The highest that the sum of both has been.
    #[serde(with = "short")]
    pub peak: f64,
    /// The best price an order of it began at: the lowest for buys.
    best: f64,
    /// Orders that began at a better price than all before.
    pub better: u32,
    /// What the order under way has added, in nats.
    #[serde(with = "short")]
    order: f64,
    /// Orders of the account when it began.
    pub known_orders: u64,
    /// Sessions of the account when it began.
    pub known_sessions: u32,
    /// Of these, sessions that opened a pair.
    pub known_openings: u32,
    /// Its orders, in all.
    pub count: u32,
    /// What the account had traded in the pair before, in units.
    #[serde(with = "short")]
    pub before: f64,
    /// What it came to, in units.
    #[serde(with = "short")]
    pub units: f64,
    /// The same in the pair's quote.
    pub quote: Decimal,
}

/// A fill as a run takes it.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// Which way.
    pub side: Side,
    /// When.
    pub time: Timestamp,
    /// Whether it may have been a taker's.
    pub taker: bool,
    /// Whether it is its order's first.
    pub first_of_order: bool,
    /// Its price.
    pub price: f64,
    /// Its quote.
    pub quote: Decimal,
    /// Its worth, in units.
    pub units: f64,
    /// The part of the account.
    pub of_account: f64,
    /// The part of the day's quote of its side.
    pub of_day: f64,
}

/// Parts that weigh one nat.
const ACCOUNT_NAT: f64 = 0.04;
const DAY_NAT: f64 = 0.02;

impl Run {
    fn fade(&mut self, to: Timestamp) {
        let rest = left(to.since(self.at).secs_f64(), FADES);
        for sum in [&mut self.orders, &mut self.of_account, &mut self.of_day, &mut self.money, &mut self.market] {
            *sum *= rest;
        }
        self.at = self.at.max(to);
    }

    fn go_on(&mut self, step: &Step) {
        self.fade(step.time);
        if step.first_of_order {
            self.order = 0.0;
            self.orders += 1.0;
            self.count = self.count.saturating_add(1);
            let better = match self.side {
                Side::Buy => step.price < self.best,
                Side::Sell => step.price > self.best,
            };
            if better || self.count == 1 {
                self.best = step.price;
                self.better = self.better.saturating_add(u32::from(self.count > 1));
            }
        }
        let (money, market) = (step.of_account / ACCOUNT_NAT, step.of_day / DAY_NAT);
        let drift = if step.first_of_order { DRIFT } else { 0.0 };
        // A large order counts as one of ordinary size.
        let room = (ORDER_ADDS - self.order).max(0.0);
        let scale = if money + market > room { room / (money + market) } else { 1.0 };
        self.order += scale * (money + market);
        self.money = (self.money + scale * money - drift).max(0.0);
        self.market = (self.market + scale * market).max(0.0);
        self.of_account += step.of_account;
        self.of_day += step.of_day;
        self.units += step.units;
        self.quote = self.quote.saturating_add(step.quote);
        self.peak = self.peak.max(self.money + self.market);
        self.round();
    }

    /// What goes back the other way takes from it.
    fn go_back(&mut self, step: &Step) {
        self.fade(step.time);
        let part = if self.of_account > 0.0 { (1.0 - step.of_account / self.of_account).max(0.0) } else { 0.0 };
        for sum in [&mut self.of_account, &mut self.of_day, &mut self.money, &mut self.market] {
            *sum *= part;
        }
        self.orders = (self.orders * part - f64::from(u8::from(step.first_of_order))).max(0.0);
        self.round();
    }

    fn round(&mut self) {
        let Run { orders, of_account, of_day, money, market, peak, order, before, units, .. } = self;
        for figure in [orders, of_account, of_day, money, market, peak, order, before, units] {
            *figure = short::rounded(*figure);
        }
    }

    fn weight(&self, now: Timestamp) -> f64 {
        (self.money + self.market) * left(now.since(self.at).secs_f64(), FADES)
    }
}

impl Account {
    /// Returns the run under way in a pair on one side.
    pub fn run(&self, symbol: &Symbol, side: Side) -> Option<&Run> {
        self.runs.iter().find(|run| run.symbol == *symbol && run.side == side)
    }

    /// Takes a fill into the run of its pair.
    pub fn run_on(&mut self, symbol: &Symbol, step: &Step) {
        self.end_runs(step.time);
        let traded = self.pairs.get(symbol).map_or(0.0, |pair| (pair.traded - step.units).max(0.0));
        if let Some(run) = self.runs.iter_mut().find(|run| run.symbol == *symbol) {
            let ended = step.time.since(run.at) > RUN_ENDS;
            if run.side == step.side && !ended {
                if step.taker {
                    run.go_on(step);
                }
                return;
            }
            if !ended {
                run.go_back(step);
                if run.orders >= 1.0 {
                    return;
                }
            }
        }
        if !step.taker {
            return;
        }
        if let Some(over) = self.runs.iter().position(|run| run.symbol == *symbol) {
            let over = self.runs.remove(over);
            self.learn_run(&over);
        }
        if self.runs.len() == MOST_RUNS {
            let weights = self.runs.iter().enumerate();
            let faintest = weights.min_by(|(_, a), (_, b)| a.weight(step.time).total_cmp(&b.weight(step.time)));
            if let Some(place) = faintest.map(|(place, _)| place) {
                self.runs.remove(place);
            }
        }
        let mut run = Run {
            symbol: symbol.clone(),
            side: step.side,
            began: step.time,
            at: step.time,
            orders: 0.0,
            of_account: 0.0,
            of_day: 0.0,
            money: 0.0,
            market: 0.0,
            peak: 0.0,
            best: 0.0,
            better: 0,
            order: 0.0,
            known_orders: self.orders.saturating_sub(1),
            known_sessions: self.sessions,
            known_openings: self.opening_sessions,
            count: 0,
            before: traded,
            units: 0.0,
            quote: Decimal::ZERO,
        };
        run.go_on(&Step { first_of_order: true, ..*step });
        self.runs.push(run);
    }

    /// Forgets the runs that began at `begun` or later: they were not the owner's.
    pub(super) fn forget_runs_since(&mut self, begun: Timestamp) {
        self.runs.retain(|run| run.began < begun);
    }

    fn end_runs(&mut self, now: Timestamp) {
        while let Some(over) = self.runs.iter().position(|run| now.since(run.at) > OUTLIVED) {
            let over = self.runs.remove(over);
            self.learn_run(&over);
        }
    }

    /// A run becomes a habit only when days went by after it, or it was brought back.
    fn learn_run(&mut self, run: &Run) {
        if run.peak >= LEAST {
            self.past_runs.push(run.peak);
        }
    }
}

/// A run below this, in nats, is no run.
const LEAST: f64 = 1.5;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{AccountId, Venue};

    fn account() -> (Account, Symbol) {
        (Account::new(AccountId::new(Venue::Binance, "alice").unwrap()), Symbol::from_dashed("APPC-BTC").unwrap())
    }

    fn step(side: Side, minute: i64, part: f64) -> Step {
        let time = Timestamp::from_millis(minute * 60_000);
        Step {
            side,
            time,
            taker: true,
            first_of_order: true,
            price: 1.0,
            quote: Decimal::ONE,
            units: part,
            of_account: part,
            of_day: 0.0,
        }
    }

    #[test]
    fn half_of_a_run_is_left_after_six_hours() {
        let (mut account, pair) = account();
        account.run_on(&pair, &step(Side::Buy, 0, 0.02));
        let first = account.run(&pair, Side::Buy).unwrap().money;
        account.run_on(&pair, &step(Side::Buy, 360, 0.0));
        let later = account.run(&pair, Side::Buy).unwrap();
        assert_eq!((later.money, later.orders), (short::rounded(first / 2.0 - DRIFT), 1.5), "{later:?}");
    }

    #[test]
    fn what_is_kept_of_a_run_is_what_is_written_of_it() {
        let (mut account, pair) = account();
        let steps = [(0, Side::Buy, 0.013), (7, Side::Buy, 0.021), (21, Side::Buy, 0.034), (33, Side::Sell, 0.007)];
        for (minute, side, part) in steps {
            account.run_on(&pair, &step(side, minute, part));
            let kept = account.run(&pair, Side::Buy).unwrap();
            let read: Run = postcard::from_bytes(&postcard::to_stdvec(kept).unwrap()).unwrap();
            assert_eq!(*kept, read, "after minute {minute}");
        }
    }

    #[test]
    fn one_large_order_is_no_run() {
        let (mut account, pair) = account();
        account.run_on(&pair, &step(Side::Buy, 0, 0.9));
        let run = account.run(&pair, Side::Buy).unwrap();
        assert!(run.money + run.market <= ORDER_ADDS, "{run:?}");
    }

    #[test]
    fn what_rested_in_the_book_goes_on_with_no_run() {
        let (mut account, pair) = account();
        for minute in 0..10 {
            account.run_on(&pair, &Step { taker: minute == 0, ..step(Side::Buy, minute, 0.02) });
        }
        assert_eq!(account.run(&pair, Side::Buy).unwrap().count, 1);
    }

    #[test]
    fn a_day_without_an_order_ends_a_run() {
        let after = |hours: i64| {
            let (mut account, pair) = account();
            account.run_on(&pair, &step(Side::Buy, 0, 0.02));
            account.run_on(&pair, &step(Side::Buy, 60 * hours, 0.02));
            account.run(&pair, Side::Buy).unwrap().count
        };
        assert_eq!([after(23), after(25)], [2, 1]);
    }

    #[test]
    fn what_is_sold_again_was_no_run() {
        let (mut account, pair) = account();
        for minute in 0..60 {
            account.run_on(&pair, &step(Side::Buy, 2 * minute, 0.02));
            account.run_on(&pair, &step(Side::Sell, 2 * minute + 1, 0.02));
        }
        assert!(account.runs.iter().all(|run| run.peak <= ORDER_ADDS), "{:?}", account.runs);
    }

    #[test]
    fn runs_are_bounded_and_the_faintest_goes_first() {
        let (mut account, pair) = account();
        account.run_on(&pair, &step(Side::Buy, 0, 0.03));
        for coin in 0..40 {
            let other = Symbol::from_dashed(&format!("C{coin}-BTC")).unwrap();
            account.run_on(&other, &step(Side::Buy, 1, 0.001));
        }
        assert_eq!(account.runs.len(), MOST_RUNS);
        assert!(account.run(&pair, Side::Buy).is_some());
    }
}
