//! The engine's side of the scan over accounts: which orders are deeds, and who is told.

use super::Engine;
use super::account::{Account, Group};
use super::fleet::{Deed, Place, Scan, Turnover, What};
use super::rules::co_trading;
use super::worth::Worth;
use crate::domain::{AccountId, Family, Finding, Level, RuleName, Side, Span, Symbol, Term, Timestamp, Venue};

/// An order that traded after a pause this long in its pair is a new one.
const NEWLY: Span = Span::from_secs(86_400);
/// An account that is known for less than this may be one of a group that copies somebody.
const LEARNING: Span = Span::from_secs(14 * 86_400);
/// A deed told later than this is history.
const LATE: Span = Span::from_secs(900);
/// Holdings sold within a minute that are a sale of everything.
const HOLDINGS: usize = 2;

impl Engine {
    /// Looks at an order's first fill; `before` is when the account had last traded the pair.
    pub(super) fn do_together(
        &mut self,
        (account, group, pair): (usize, usize, usize),
        before: Option<Timestamp>,
        (n, at): (u64, Timestamp),
        out: &mut Vec<Finding>,
    ) {
        if self.settings.off.contains(&RuleName::CoTrading) {
            return;
        }
        let watched = self.memory.watched(account);
        let (id, order) = (watched.account.id.clone(), watched.account.group_at(group));
        let (side, symbol, time) = (order.side, order.symbol.clone(), order.first);
        if !order.taker || at.since(time) > LATE {
            return;
        }
        let strange = origin(&watched.account, order).iter().map(|term| term.nats).sum::<f64>() >= 1.5;
        let sold = watched.account.sold_within(time, Span::from_secs(60), None).len();
        let doubtful = strange || order.strange > 0.0;
        let deed = |heat| Deed { account: id.clone(), at: time, heat, strange, doubtful };
        if before.is_none_or(|before| time.since(before) > NEWLY) {
            let heat = self.memory.pairs[pair].heat(side, time);
            let turnover = self.turnover(pair, &symbol);
            let what = if side == Side::Buy { What::Bought } else { What::Sold };
            let place = (id.venue, what, Some(symbol));
            if self.memory.fleet.take(&place, deed(heat), turnover, at) {
                self.scan(&place, Some(&id), (n, at), out);
            }
        }
        if side == Side::Sell && sold >= HOLDINGS {
            let place = (id.venue, What::SoldOff, None);
            if self.memory.fleet.take(&place, deed(1.0), Turnover::Thin, at) {
                self.scan(&place, Some(&id), (n, at), out);
            }
        }
    }

    /// Takes that a pair's turnover may have become known.
    pub(super) fn know_turnover(&mut self, venue: Venue, pair: usize, n: u64, at: Timestamp, out: &mut Vec<Finding>) {
        if self.memory.fleet.is_idle() {
            return;
        }
        let symbol = self.memory.symbol(pair).clone();
        let turnover = self.turnover(pair, &symbol);
        for what in [What::Bought, What::Sold] {
            let place = (venue, what, Some(symbol.clone()));
            if self.memory.fleet.learn(&place, turnover) {
                self.scan(&place, None, (n, at), out);
            }
        }
    }

    fn turnover(&self, pair: usize, symbol: &Symbol) -> Turnover {
        if Worth::is_known(symbol.base()) {
            return Turnover::Busy;
        }
        let unit = self.memory.worth.unit(symbol.quote());
        match self.memory.pairs[pair].turnover() {
            None => Turnover::Unknown,
            Some(quote) if quote * unit < self.settings.co_trading.thin => Turnover::Thin,
            Some(_) => Turnover::Busy,
        }
    }

    /// Scans a place; `newest` did the deed that was not there before.
    fn scan(&mut self, place: &Place, newest: Option<&AccountId>, (n, at): (u64, Timestamp), out: &mut Vec<Finding>) {
        let settings = &self.settings.co_trading;
        let accounts = self.memory.accounts();
        let Some(scan) = self.memory.fleet.scan(place, &self.settings.tags, &settings.copying, accounts) else {
            return;
        };
        let (what, symbol) = (place.1, place.2.as_ref());
        let mut found = Vec::new();
        for id in &scan.accounts {
            let origin = self.origin_of_deed(id, symbol, at);
            let lowered = self.memory.leaks.lowered(id, &self.settings.tags, at);
            if let Some(mut level) = co_trading::level(settings, what, &scan, &origin, lowered) {
                // Who copies whom is learnt in days; until then that others do the same proves little.
                let place = self.memory.find(id);
                let known = place.and_then(|place| self.memory.watched(place).account.known_since());
                if origin.is_empty() && lowered == 0.0 && known.is_none_or(|known| at.since(known) < LEARNING) {
                    level = Level::Notice;
                }
                found.push(co_trading::finding(level, (id, symbol), (what, &scan), &origin, (n, at)));
            }
        }
        let Some(loudest) = found.iter().map(|finding| finding.level).max() else {
            // Of whom nothing is said it is still known that others did the same.
            self.memory.fleet.tell(place, Level::Notice);
            return;
        };
        let before = self.memory.fleet.tell(place, loudest);
        // Everybody once, and again when it is louder; after that only who comes new.
        if before >= Some(loudest) {
            found.retain(|finding| Some(&finding.account) == newest);
        }
        out.append(&mut found);
        if loudest >= Level::Alert {
            if before < Some(Level::Alert) {
                self.judge_with_others(&scan, symbol, (n, at), out);
            }
            self.warn_others(&scan, symbol, (n, at), out);
        }
    }

    /// The orders that were judged before the others came are judged again with them.
    fn judge_with_others(
        &self,
        scan: &Scan,
        symbol: Option<&Symbol>,
        (n, at): (u64, Timestamp),
        out: &mut Vec<Finding>,
    ) {
        let Some(symbol) = symbol else { return };
        for id in &scan.accounts {
            let Some((account, pair)) = self.memory.find(id).zip(self.memory.find_pair(id.venue, symbol)) else {
                continue;
            };
            let groups = self.memory.watched(account).account.recent_groups(symbol, at, LATE);
            if let Some(group) = groups.last() {
                self.judge_group(account, *group, pair, n, at, out);
            }
        }
    }

    /// Warns the accounts that have the victims' tag and were not hit yet: first those that could pay for the pair.
    fn warn_others(&mut self, scan: &Scan, symbol: Option<&Symbol>, (n, at): (u64, Timestamp), out: &mut Vec<Finding>) {
        let most = self.settings.co_trading.warn;
        let tags = &self.settings.tags;
        for (tag, accounts) in &tags.0 {
            let hit = scan.accounts.iter().filter(|id| accounts.contains(*id)).count();
            let loudest = if hit >= 3 { Level::Alert } else { Level::Notice };
            if hit < 2 || most == 0 || !self.memory.fleet.warn(tag, loudest, at) {
                continue;
            }
            let pays = |id: &AccountId| {
                let (Some(place), Some(symbol)) = (self.memory.find(id), symbol) else { return false };
                self.memory.watched(place).account.payers(symbol.quote()).any(|held| !held.amount.is_zero())
            };
            let others = accounts.iter().filter(|id| !scan.accounts.contains(id));
            let mut others: Vec<(bool, &AccountId)> = others.map(|id| (pays(id), id)).collect();
            others.sort_by_key(|(pays, _)| !pays);
            for (pays, id) in others.into_iter().take(most) {
                let level = if pays { loudest } else { Level::Notice };
                out.push(co_trading::warning(level, (id, symbol), (tag, hit), (n, at)));
            }
        }
    }

    fn origin_of_deed(&self, id: &AccountId, symbol: Option<&Symbol>, at: Timestamp) -> Vec<Term> {
        let (Some(place), Some(symbol)) = (self.memory.find(id), symbol) else { return Vec::new() };
        let account = &self.memory.watched(place).account;
        let groups = account.recent_groups(symbol, at, LATE);
        groups.last().map(|group| origin(account, account.group_at(*group))).unwrap_or_default()
    }
}

/// What an order's origin says where it counts: of an account of few orders a second program is no thief's yet, and what
/// copies a leader has mostly few.
fn origin(account: &Account, group: &Group) -> Vec<Term> {
    let mut terms = Vec::new();
    let (habits, name) = account.origins_of(group);
    if group.strange > 0.0 && !habits.are_few() {
        terms.push(super::habit::term(name, Family::Origin, group.strange, 1.0, "order"));
    }
    if group.not_ours {
        terms.push(super::habit::term("not_ours", Family::Origin, 8.0, 1.0, "order"));
    }
    terms
}
