//! The rules: a file each, with its settings, its question, its finding and its tests.

pub mod blind;
pub mod churn_loss;
pub mod co_trading;
pub mod key_permission_widened;
pub mod key_policy;
pub mod key_unrestricted;
pub mod liquidation;
pub mod new_key;
mod of_orders;
pub mod planted_ask;
pub mod pump_buy;
#[cfg(test)]
pub(in crate::engine) mod scene;
pub mod slow_buying;
pub mod unfamiliar_address;
pub mod unknown_origin;
pub mod user;

use compact_str::CompactString;
pub use of_orders::{OF_ORDERS, OrderRule};
use serde::{Deserialize, Serialize};

use super::account::{Account, Group, PairHabit};
use super::pair::Pair;
use crate::domain::{AccountId, Family, Finding, Kind, Level, Money, Reason, RuleName, Size, Span, Term, Timestamp};

/// Scores, in nats, from which a rule speaks at each level.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Levels {
    /// From here a line in the history.
    pub notice: f64,
    /// From here a message.
    pub alert: f64,
    /// From here the key should be taken away, given two families of evidence.
    pub act: f64,
}

/// No level is lowered below this, in nats; `act` not below twice as much.
const FLOOR: f64 = 3.0;
/// Evidence counts as a family of its own from this many nats.
const FAMILY: f64 = 1.5;

impl Default for Levels {
    fn default() -> Self {
        Levels { notice: 4.0, alert: 6.0, act: 9.0 }
    }
}

impl Levels {
    /// Returns levels that take `nats` less. A floor stays, so that ordinary orders are not all told of.
    pub fn lowered(&self, nats: f64) -> Levels {
        let lower = |level: f64, floor: f64| (level - nats).max(floor).min(level);
        Levels { notice: lower(self.notice, FLOOR), alert: lower(self.alert, FLOOR), act: lower(self.act, 2.0 * FLOOR) }
    }

    /// Returns the level of a score, `act` only where two independent families of evidence carry it.
    pub fn of(&self, score: f64, terms: &[Term]) -> Option<Level> {
        if score >= self.act && families(terms) >= 2 {
            Some(Level::Act)
        } else if score >= self.alert {
            Some(Level::Alert)
        } else if score >= self.notice {
            Some(Level::Notice)
        } else {
            None
        }
    }
}

/// Returns how many independent families of evidence speak against the owner.
pub fn families(terms: &[Term]) -> usize {
    Family::ALL
        .iter()
        .filter(|family| {
            terms.iter().filter(|term| term.family == **family).map(|term| term.nats).sum::<f64>() >= FAMILY
        })
        .count()
}

/// An order group, with all that is known around it.
#[derive(Clone, Debug)]
pub struct Case<'a> {
    /// Whose.
    pub account: &'a Account,
    /// The order.
    pub group: &'a Group,
    /// What the account does in the pair.
    pub habit: &'a PairHabit,
    /// The pair's market, where it is followed.
    pub pair: Option<&'a Pair>,
    /// The market of what is paid with against a dollar, where it is followed; for sells alone.
    pub dollar: Option<&'a Pair>,
    /// Whether the pair is new to the account.
    pub new_pair: bool,
    /// The exchange's time of the order's last fill.
    pub time: Timestamp,
    /// The arrival that is judged.
    pub n: u64,
    /// When it came.
    pub at: Timestamp,
    /// The worth of one quote, in units.
    pub unit: f64,
    /// What the account holds, in units, at least; absent where nothing is known.
    pub equity: Option<f64>,
    /// What the places say from which the key was used lately.
    pub place: Option<Term>,
    /// What other accounts say that did the same.
    pub together: Option<Term>,
    /// How large the pair's base is, where somebody told it.
    pub cap: Option<Size>,
}

impl Case<'_> {
    /// Returns the money lost in the pair's episode so far, never below zero.
    pub fn loss(&self) -> Money {
        let lost = self.habit.episode.lost.max(rust_decimal::Decimal::ZERO).round_dp(8).normalize();
        Money::new(lost, self.group.symbol.quote().clone())
    }

    /// Returns the orders of the episode, oldest first.
    pub fn orders(&self) -> Vec<CompactString> {
        let places = self.account.recent_groups(&self.group.symbol, self.time, Span::from_secs(300));
        places.iter().rev().take(32).rev().map(|place| self.account.group_at(*place).order_id.clone()).collect()
    }

    /// Returns the terms about where the order came from, and about other accounts that did the same.
    pub fn origin_terms(&self) -> Vec<Term> {
        let mut terms = Vec::new();
        if self.group.strange > 0.0 {
            let (habits, name) = self.account.origins_of(self.group);
            let familiar = self.account.grammars.orders() as f64;
            // Many an owner has a second program: of few orders it is one habit more, and no family of evidence.
            let family = if habits.are_few() { Family::Habit } else { Family::Origin };
            terms.push(super::habit::term(name, family, self.group.strange, familiar, "familiar orders"));
        }
        if self.group.not_ours {
            terms.push(super::habit::term("not_ours", Family::Origin, 8.0, 1.0, "order"));
        }
        terms.extend(self.place.clone());
        terms.extend(self.together.clone());
        terms
    }

    /// Makes a finding about this order.
    pub fn finding(&self, rule: RuleName, kind: Kind, level: Level, terms: Vec<Term>, reason: Reason) -> Finding {
        let score = terms.iter().map(|term| term.nats).sum::<f64>();
        Finding {
            prices: Vec::new(),
            account: self.account.id.clone(),
            symbol: Some(self.group.symbol.clone()),
            rule,
            kind,
            level,
            score: (score * 1e3).round() / 1e3,
            terms,
            loss: Some(self.loss()),
            orders: self.orders(),
            reason,
            n: self.n,
            at: self.at,
        }
    }
}

/// A page about a key of an account.
#[derive(Clone, Copy, Debug)]
pub struct KeyCase<'a> {
    /// Whose.
    pub account: &'a AccountId,
    /// The arrival that is judged.
    pub n: u64,
    /// When it came.
    pub at: Timestamp,
}

impl KeyCase<'_> {
    /// Makes a finding about the key.
    pub fn finding(&self, rule: RuleName, level: Level, terms: Vec<Term>, reason: Reason) -> Finding {
        let score = terms.iter().map(|term| term.nats).sum::<f64>();
        Finding {
            prices: Vec::new(),
            account: self.account.clone(),
            symbol: None,
            rule,
            kind: Kind::Key,
            level,
            score: (score * 1e3).round() / 1e3,
            terms,
            loss: None,
            orders: Vec::new(),
            reason,
            n: self.n,
            at: self.at,
        }
    }
}
