//! What each rule costs: its question asked once more beside the pipeline, and the memory that is kept for it.
//!
//! Nothing here changes a verdict: the engine is only looked at, and whoever measures brings the clock.

use std::hint::black_box;

use serde::Serialize;

use super::Engine;
use super::expression::Scope;
use super::rules::OF_ORDERS;
use crate::domain::{AccountId, RuleName, Timestamp};

/// Measures how long a question takes.
pub trait Stopwatch {
    /// Asks `question`, which may be repeated, for a rule.
    fn time(&mut self, rule: &str, question: &mut dyn FnMut());
}

/// A part of the memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// What it remembers.
    pub what: &'static str,
    /// The rules it is for.
    pub rules: Vec<RuleName>,
    /// Of how many accounts, pairs or the like.
    pub count: u64,
    /// Its size in a snapshot, in bytes.
    pub bytes: u64,
}

impl Held {
    /// Returns the bytes of one of them, on the average.
    pub fn each(&self) -> u64 {
        self.bytes.checked_div(self.count).unwrap_or(0)
    }
}

impl Engine {
    /// Asks every rule about an order of an account as things stand after arrival `n`; says whether it is remembered.
    pub fn ask_each(&self, account: &AccountId, order: &str, n: u64, at: Timestamp, watch: &mut dyn Stopwatch) -> bool {
        let Some((case, place)) = self.case_of(account, order, n, at) else { return false };
        let settings = self.settings_for(account, at);
        for rule in &OF_ORDERS {
            let mut question = || drop(black_box((rule.judge)(&settings, black_box(&case))));
            watch.time(rule.name.as_str(), &mut question);
        }
        let watched = self.memory.watched(place);
        for rule in &settings.user.rules {
            watch.time(rule.name.as_str(), &mut || {
                // Each for itself: a term that two rules ask for is weighed once in a step, and here twice.
                let scope = Scope::new(&case, &watched.keys, &watched.past, &settings.tags, &settings.pump_buy);
                let _ = black_box(rule.when.holds(&scope));
            });
        }
        true
    }

    /// Returns what the memory holds, part by part.
    pub fn held(&self) -> Vec<Held> {
        use RuleName as Rule;
        let memory = &self.memory;
        let accounts = || (0..memory.accounts()).map(|place| memory.watched(place));
        let part = |what, rules: &[RuleName], count: usize, bytes: u64| Held {
            what,
            rules: rules.to_vec(),
            count: count as u64,
            bytes,
        };
        let all = memory.accounts();
        let sum = |size: &dyn Fn(&super::memory::Watched) -> u64| accounts().map(size).sum::<u64>();
        let orders = OF_ORDERS.map(|rule| rule.name);
        vec![
            part("the accounts' habits", &orders, all, sum(&|one| size(&one.account))),
            part("the pairs' markets", &orders[..5], memory.pairs.len(), size(&memory.pairs)),
            part("orders that wait for their pair's past", &[Rule::PumpBuy], all, sum(&|one| size(&one.cold))),
            part("orders that our own systems named", &[Rule::UnknownOrigin], all, sum(&|one| size(&one.claims))),
            part(
                "places that keys were used from",
                &[Rule::UnfamiliarAddress],
                memory.all_places().len(),
                size(memory.all_places()) + size(&memory.sharing),
            ),
            part("who did the same", &[Rule::CoTrading], all, size(&memory.fleet)),
            part(
                "what keys may do",
                &[Rule::KeyPermissionWidened, Rule::KeyUnrestricted, Rule::NewKey, Rule::KeyPolicy],
                all,
                sum(&|one| size(&one.keys)),
            ),
            part("what can be seen", &[Rule::Blind], all, sum(&|one| size(&one.sights))),
            part("orders that own rules look back at", &[Rule::User], all, sum(&|one| size(&one.past))),
        ]
    }
}

/// Returns how many bytes a snapshot takes for it.
fn size<T: Serialize>(what: &T) -> u64 {
    postcard::to_stdvec(what).map_or(0, |bytes| bytes.len() as u64)
}
