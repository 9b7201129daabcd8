//! What several accounts do at once: the scan for one cause behind them.
//!
//! For each pair and side the accounts are kept that newly traded there within half an hour, and held against the number
//! that chance brings. It is a function of deeds in the order of their arrivals' numbers and of nothing else: an account
//! does a deed at most once a day and pair, so where accounts are spread over shards, all deeds can still travel to one
//! place; a pair's scan needs that pair's deeds and the groups, which are learnt from all.

mod groups;
mod rates;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use self::groups::{Groups, Sure};
use self::rates::Rates;
use crate::domain::{AccountId, Level, Span, Symbol, Timestamp, Venue};

/// The time over which accounts are held together; also how long a deed is kept.
const LONGEST: Span = Span::from_secs(1_800);
const WINDOWS: [Span; 3] = [Span::from_secs(60), Span::from_secs(300), LONGEST];
/// Deeds this close to each other may be copies of one.
const COPIED: Span = Span::from_secs(60);
/// Deeds kept at once, over all pairs; when more come within half an hour, the oldest are given up.
const MOST_DEEDS: usize = 50_000;
/// Deeds of one pair that are compared; a scan over them takes their number squared at worst.
const MOST_OF_A_PAIR: usize = 1_024;
/// How long a warning to a tag's accounts counts as given.
const WARNED_FOR: Span = Span::from_secs(86_400);
const MOST_WARNED: usize = 1_024;

/// What an account did newly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum What {
    /// It bought a pair that it had not traded for a day.
    Bought,
    /// It sold such a pair.
    Sold,
    /// It sold two or more holdings within a minute.
    SoldOff,
}

/// What is done by several: where, what, and which pair where it is one.
pub type Place = (Venue, What, Option<Symbol>);

/// One account's deed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Deed {
    /// Whose.
    pub account: AccountId,
    /// When it traded.
    pub at: Timestamp,
    /// How much busier than usual the pair's buyers were just then, 1 at least: news raise everybody's rate.
    pub heat: f64,
    /// Whether the order's origin is strange: then it is no copy, whatever it was before.
    pub strange: bool,
    /// Whether there is any doubt about its origin: then nothing is learnt from it.
    pub doubtful: bool,
}

/// Which accounts were given to which platform, or grouped otherwise, by tag.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tags(pub BTreeMap<CompactString, BTreeSet<AccountId>>);

/// How well a pair's turnover is known to be small.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Turnover {
    /// Few trade it.
    Thin,
    /// Nobody told yet.
    Unknown,
    /// Many trade it: accounts meet there all the time.
    Busy,
}

/// The memory of the scan.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Fleet {
    rings: BTreeMap<Place, Ring>,
    /// When each deed was heard of, oldest first, so that what is over is found without a walk.
    order: VecDeque<(Timestamp, Place)>,
    rates: Rates,
    groups: Groups,
    warned: BTreeMap<CompactString, (Timestamp, Level)>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Ring {
    deeds: Vec<Deed>,
    turnover: Turnover,
    /// How loud was spoken about these deeds.
    told: Option<Level>,
}

/// What the deeds at one place say together.
#[derive(Clone, Debug, PartialEq)]
pub struct Scan {
    /// Who, in the order of their deeds.
    pub accounts: Vec<AccountId>,
    /// How many they are when those that always trade together count as one.
    pub apart: usize,
    /// The same when those count as one too of which that is only presumed.
    pub presumed: usize,
    /// From the first deed to the last.
    pub within: Span,
    /// How many chance brings in the window.
    pub expected: f64,
    /// The weight of their number, in nats.
    pub nats: f64,
    /// The tag that most of them share, how many of them, and what that adds, in nats.
    pub tag: Option<(CompactString, usize, f64)>,
    /// Whether it is known that few trade the pair.
    pub thin: bool,
}

impl Tags {
    /// Returns the tags of an account, in order.
    pub fn of<'a>(&'a self, account: &'a AccountId) -> impl Iterator<Item = &'a CompactString> {
        self.0.iter().filter(move |(_, accounts)| accounts.contains(account)).map(|(tag, _)| tag)
    }

    /// Returns the accounts of a tag.
    pub fn accounts(&self, tag: &str) -> impl Iterator<Item = &AccountId> {
        self.0.get(tag).into_iter().flatten()
    }

    /// Returns how many accounts have a tag at all.
    pub fn tagged(&self) -> usize {
        self.0.values().flatten().collect::<BTreeSet<_>>().len()
    }
}

impl Fleet {
    /// Takes a deed heard of at `at`; false when it is one that is known.
    pub fn take(&mut self, place: &Place, deed: Deed, turnover: Turnover, at: Timestamp) -> bool {
        self.pass(at);
        let ring = self.rings.entry(place.clone()).or_insert_with(|| Ring { deeds: Vec::new(), turnover, told: None });
        if ring.turnover == Turnover::Unknown {
            ring.turnover = turnover;
        }
        if ring.deeds.iter().any(|known| known.account == deed.account) {
            return false;
        }
        if ring.deeds.len() >= MOST_OF_A_PAIR {
            ring.deeds.remove(0);
        }
        ring.deeds.push(deed);
        self.order.push_back((at, place.clone()));
        if self.order.len() > MOST_DEEDS
            && let Some((_, oldest)) = self.order.pop_front()
        {
            self.end(&oldest);
        }
        true
    }

    /// Returns what the deeds at a place say together; `accounts` are watched in all, and those with a tag of `copying`
    /// are one.
    pub fn scan(&self, place: &Place, tags: &Tags, copying: &[CompactString], accounts: usize) -> Option<Scan> {
        let ring = self.rings.get(place).filter(|ring| ring.turnover != Turnover::Busy && ring.deeds.len() >= 2)?;
        let newest = ring.deeds.iter().map(|deed| deed.at).max()?;
        let all = accounts.max(tags.tagged()).max(1);
        let mut best: Option<Scan> = None;
        for window in WINDOWS {
            let mut there: Vec<&Deed> = ring.deeds.iter().filter(|deed| newest.since(deed.at) <= window).collect();
            there.sort_by(|a, b| a.at.cmp(&b.at).then_with(|| a.account.cmp(&b.account)));
            let Some(first) = there.first() else { continue };
            // News come before those who read them; a thief's orders come before the stir they make.
            let expected = self.rates.expected(place, window, newest, all) * first.heat.max(1.0);
            let units = self.groups.units(&there, tags, copying, Sure::Known);
            let apart = distinct(&units);
            let nats = surprise(apart, expected);
            if best.as_ref().is_some_and(|best| best.nats >= nats) || apart < 2 {
                continue;
            }
            let mut shared: Option<(CompactString, usize, f64)> = None;
            for (tag, of_tag) in &tags.0 {
                let hit: BTreeSet<usize> = there
                    .iter()
                    .zip(&units)
                    .filter(|(deed, _)| of_tag.contains(&deed.account))
                    .map(|(_, unit)| *unit)
                    .collect();
                let part = of_tag.len() as f64 / all as f64;
                let more = surprise(hit.len(), expected * part) - nats;
                if hit.len() >= 2 && more > 0.0 && shared.as_ref().is_none_or(|(.., nats)| more > *nats) {
                    shared = Some((tag.clone(), hit.len(), more));
                }
            }
            best = Some(Scan {
                accounts: there.iter().map(|deed| deed.account.clone()).collect(),
                apart,
                presumed: distinct(&self.groups.units(&there, tags, copying, Sure::Presumed)),
                within: newest.since(first.at),
                expected,
                nats,
                tag: shared,
                thin: ring.turnover == Turnover::Thin,
            });
        }
        best
    }

    /// Notes how loud was spoken about a place; returns how loud it was before.
    pub fn tell(&mut self, place: &Place, level: Level) -> Option<Level> {
        let ring = self.rings.get_mut(place)?;
        let before = ring.told;
        ring.told = before.max(Some(level));
        before
    }

    /// Returns how loud was spoken about what an account did in a pair.
    pub fn told(&self, account: &AccountId, symbol: &Symbol) -> Option<Level> {
        [What::Bought, What::Sold, What::SoldOff]
            .into_iter()
            .filter_map(|what| {
                let symbol = (what != What::SoldOff).then(|| symbol.clone());
                let ring = self.rings.get(&(account.venue, what, symbol))?;
                ring.told.filter(|_| ring.deeds.iter().any(|deed| deed.account == *account))
            })
            .max()
    }

    /// Takes that a pair's turnover became known; returns whether deeds wait there for it.
    pub fn learn(&mut self, place: &Place, turnover: Turnover) -> bool {
        let Some(ring) = self.rings.get_mut(place) else { return false };
        let waits = ring.turnover == Turnover::Unknown && turnover != Turnover::Unknown;
        if waits {
            ring.turnover = turnover;
        }
        waits && ring.deeds.len() >= 2
    }

    /// Says whether no deed waits at all.
    pub fn is_idle(&self) -> bool {
        self.rings.is_empty()
    }

    /// Says whether the accounts of a tag are to be warned at a level: once a day, and again when it is louder.
    pub fn warn(&mut self, tag: &CompactString, level: Level, at: Timestamp) -> bool {
        self.warned.retain(|_, (then, _)| at.since(*then) < WARNED_FOR);
        let known = self.warned.get(tag).is_some_and(|(_, told)| *told >= level);
        if !known && self.warned.len() < MOST_WARNED {
            self.warned.insert(tag.clone(), (at, level));
        }
        !known
    }

    fn pass(&mut self, at: Timestamp) {
        while let Some((_, place)) = self.order.pop_front_if(|(heard, _)| at.since(*heard) > LONGEST) {
            self.end(&place);
        }
    }

    /// Forgets the oldest deed of a place with what was done in the same minute, and learns from it.
    fn end(&mut self, place: &Place) {
        let Some(ring) = self.rings.get_mut(place) else { return };
        let Some(oldest) = ring.deeds.first().map(|deed| deed.at) else {
            self.rings.remove(place);
            return;
        };
        let (done, left) = ring
            .deeds
            .drain(..)
            .partition(|deed: &Deed| deed.at.since(oldest) <= COPIED && oldest.since(deed.at) <= COPIED);
        ring.deeds = left;
        let calm = ring.told < Some(Level::Alert);
        if ring.deeds.is_empty() {
            self.rings.remove(place);
        }
        let done: Vec<Deed> = done;
        let refs: Vec<&Deed> = done.iter().collect();
        let apart = distinct(&self.groups.units(&refs, &Tags::default(), &[], Sure::Known));
        self.rates.learn(place, apart, oldest);
        self.groups.learn(place, &done, calm);
    }
}

fn distinct(units: &[usize]) -> usize {
    units.iter().collect::<BTreeSet<_>>().len()
}

/// The scan's weight of `found` where `expected` were: N ln(N/μ) - (N - μ), nothing where there are not more.
fn surprise(found: usize, expected: f64) -> f64 {
    let (found, expected) = (found as f64, expected.max(1e-9));
    if found > expected { found * (found / expected).ln() - (found - expected) } else { 0.0 }
}

#[cfg(test)]
mod tests;
