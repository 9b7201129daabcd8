//! Orders in pairs whose past was not known when they traded. When the exchange tells that past they are judged again,
//! against the market as it was before them: nothing that happened after an order counts as its past.
//!
//! A second judgement can raise a finding; it takes none back. It comes within minutes or never: a quiet pair's last
//! order has nothing to do with what its market does days later.

use std::collections::VecDeque;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::account::Group;
use super::model::Model;
use super::pair::{Bar, Pair, Trade, float};
use super::{Engine, own_order};
use crate::domain::{Asset, Finding, Level, Span, Symbol, Timestamp};

/// Orders of an account that wait; beyond it the one that waited longest is given up.
const MOST: usize = 16;
/// How long an order waits for its pair's past.
const PATIENCE: Span = Span::from_secs(600);
/// Bars are minutes: a past that is told up to an order's minute is told.
const MINUTE: i64 = 60_000_000_000;
/// A past that is told up to this long ago reaches the present.
pub(super) const PRESENT: Span = Span::from_secs(120);
/// Market trades of an order's own moment may be the order itself.
const MOMENT: Span = Span::from_millis(1);

/// An order that waits for its pair's past.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct ColdOrder {
    order_id: CompactString,
    symbol: Symbol,
    /// When it first traded.
    traded: Timestamp,
    /// When we heard of it.
    told: Timestamp,
    /// The pair as it was before the order, as far as it was told.
    before: Pair,
    /// Whether trades of the pair were seen live before the order; then its trades are not asked of the past again.
    followed: bool,
    /// The loudest that was said about it.
    said: Option<Level>,
}

/// The orders of one account that wait, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ColdOrders(VecDeque<ColdOrder>);

impl ColdOrders {
    /// Returns when the first of them is given up.
    pub fn due(&self) -> Option<Timestamp> {
        self.0.front().map(|order| order.told + PATIENCE)
    }

    /// Gives up what waited too long.
    pub fn pass(&mut self, at: Timestamp) {
        while self.0.pop_front_if(|order| at.since(order.told) >= PATIENCE).is_some() {}
    }

    /// Returns how many wait.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether none waits.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns whether one waits for the past of `symbol`.
    pub fn await_past_of(&self, symbol: &Symbol) -> bool {
        self.0.iter().any(|order| order.symbol == *symbol)
    }

    /// Has an order wait, with the pair as it is known now.
    pub fn wait(&mut self, group: &Group, pair: &Pair, at: Timestamp) {
        self.pass(at);
        if self.0.len() == MOST {
            self.0.pop_front();
        }
        self.0.push_back(ColdOrder {
            order_id: group.order_id.clone(),
            symbol: group.symbol.clone(),
            traded: group.first,
            told: at,
            before: pair.as_before(),
            followed: pair.lives(),
            said: None,
        });
    }

    /// Notes how loud something was said about an order.
    pub fn note(&mut self, order_id: &str, level: Level) {
        if let Some(order) = self.0.iter_mut().rev().find(|order| order.order_id == order_id) {
            order.said = order.said.max(Some(level));
        }
    }

    fn of<'a>(&'a mut self, symbol: &'a Symbol) -> impl Iterator<Item = &'a mut ColdOrder> {
        self.0.iter_mut().filter(move |order| order.symbol == *symbol)
    }

    /// Takes a bar into the past of the orders that came after it.
    pub fn bar(&mut self, symbol: &Symbol, bar: &Bar) {
        for order in self.of(symbol).filter(|order| bar.start + bar.span <= order.traded) {
            order.before.seed(bar);
        }
    }

    /// Takes a trade into the past of the orders that came after it.
    pub fn trade(&mut self, symbol: &Symbol, trade: &Trade<'_>, unit: f64, model: &Model) {
        let earlier = |order: &&mut ColdOrder| !order.followed && trade.time + MOMENT <= order.traded;
        for order in self.of(symbol).filter(earlier) {
            order.before.past_trade(trade, unit, |seen| model.score(seen));
        }
    }

    /// Takes the last day's volume where none was known.
    pub fn volume(&mut self, symbol: &Symbol, quote: f64) -> bool {
        let mut news = false;
        for order in self.of(symbol) {
            news |= order.before.learn_volume(quote);
        }
        news
    }
}

impl Engine {
    /// Has a taker order wait whose pair's past was not told yet.
    pub(super) fn chill(&mut self, account: usize, group: usize, pair: usize, at: Timestamp) {
        let market = &self.memory.pairs[pair];
        let group = self.memory.watched(account).account.group_at(group).clone();
        // What the market did after the order is in its memory already: its past cannot be had apart any more.
        let lived_on = market.lives() && market.last().since(group.first) > Span::from_secs(2);
        if !market.is_cold() || !group.taker || lived_on {
            return;
        }
        let before = market.clone();
        self.memory.watched_mut(account).cold.wait(&group, &before, at);
        self.memory.chill(pair, account);
        self.memory.reckon(account, &self.settings.blind);
    }

    /// Takes a bar of the past.
    pub(super) fn past_bar(&mut self, pair: usize, bar: &Bar) {
        let symbol = self.memory.symbol(pair).clone();
        for account in self.memory.chilled(pair) {
            self.memory.watched_mut(account).cold.bar(&symbol, bar);
        }
    }

    /// Takes a trade of the past.
    pub(super) fn past_trade(&mut self, pair: usize, trade: &Trade<'_>, unit: f64) {
        let symbol = self.memory.symbol(pair).clone();
        for account in self.memory.chilled(pair) {
            let model = &self.settings.model;
            self.memory.watched_mut(account).cold.trade(&symbol, trade, unit, model);
        }
    }

    /// The past was told up to `until`: orders it was told for are judged again.
    pub(super) fn past_told(&mut self, pair: usize, until: Timestamp, n: u64, at: Timestamp, out: &mut Vec<Finding>) {
        let symbol = self.memory.symbol(pair).clone();
        let minute = |time: Timestamp| time.nanos().div_euclid(MINUTE) * MINUTE;
        for account in self.memory.chilled(pair) {
            self.judge_again(account, n, at, out, |order| {
                order.symbol == symbol && until.nanos() >= minute(order.traded)
            });
        }
    }

    /// The last day's volume was told: orders that waited for it are judged again.
    pub(super) fn late_volume(&mut self, pair: usize, quote: f64, n: u64, at: Timestamp, out: &mut Vec<Finding>) {
        let symbol = self.memory.symbol(pair).clone();
        for account in self.memory.chilled(pair) {
            if self.memory.watched_mut(account).cold.volume(&symbol, quote) {
                self.judge_again(account, n, at, out, |order| order.symbol == symbol);
            }
        }
    }

    /// Something about `asset` became known: waiting orders in its pairs are judged again.
    pub(super) fn late_cap(&mut self, asset: &Asset, n: u64, at: Timestamp, out: &mut Vec<Finding>) {
        for account in self.memory.all_chilled(asset) {
            self.judge_again(account, n, at, out, |order| order.symbol.base() == asset);
        }
    }

    fn judge_again(
        &mut self,
        account: usize,
        n: u64,
        at: Timestamp,
        out: &mut Vec<Finding>,
        which: impl Fn(&ColdOrder) -> bool,
    ) {
        let mut orders = std::mem::take(&mut self.memory.watched_mut(account).cold);
        orders.pass(at);
        for order in orders.0.iter_mut().filter(|order| which(order)) {
            let Some(group) = self.memory.watched(account).account.find(&order.order_id) else { continue };
            let own = own_order(self.memory.watched(account).account.group_at(group));
            let unit = self.memory.worth.unit(order.symbol.quote());
            // Nothing was told yet: there is nothing new to judge by.
            let model = &self.settings.model;
            let Some((score, _)) = order.before.score_of(&own, unit, |seen| model.score(seen)) else { continue };
            let nats = model.evidence(score);
            self.heat(account, group, nats);
            let reference = order.before.reference();
            let watched = self.memory.watched_mut(account);
            if let (Some(reference), Some(habit)) = (reference, watched.account.habit_mut(&order.symbol)) {
                habit.episode.refer(order.traded, reference);
            }
            // What bars of a later time said of its worth says nothing of the account then.
            let worth = reference.map(|reference| float(reference) * unit);
            let mut found = self.judge_against(account, group, &order.before, worth, n, at);
            found.retain(|finding| Some(finding.level) > order.said);
            order.said = order.said.max(found.iter().map(|finding| finding.level).max());
            out.append(&mut found);
        }
        self.memory.watched_mut(account).cold = orders;
        self.memory.reckon(account, &self.settings.blind);
    }
}
