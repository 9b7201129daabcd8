//! The engine's memory: pairs, accounts and places, found by name and walked in order.

use std::collections::{BTreeMap, BTreeSet};

use compact_str::CompactString;
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

use super::account::Account;
use super::address::{Places, Sharing};
use super::caps::Caps;
use super::claims::Claims;
use super::cold::ColdOrders;
use super::expression::Past;
use super::fleet::Fleet;
use super::keys::Keys;
use super::leak::Leaks;
use super::pair::{Pair, float};
use super::rules::blind;
use super::sights::Sights;
use super::worth::Worth;
use crate::domain::{AccountId, Asset, Symbol, Timestamp, Venue};

/// Pairs that are remembered; the one that traded least recently and interests no account goes first.
const MOST_PAIRS: usize = 20_000;

/// Names of which the places are remembered: a log that makes names up must not fill the memory.
const MOST_NAMES: usize = 200_000;

/// All that the engine remembers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Memory {
    /// The pairs' markets.
    pub pairs: Vec<Pair>,
    /// What assets are worth.
    pub worth: Worth,
    /// How large assets are.
    pub caps: Caps,
    /// What several accounts do at once.
    pub fleet: Fleet,
    /// Platforms that are known to have leaked.
    pub leaks: Leaks,
    /// Which accounts are newly used from one address.
    pub sharing: Sharing,
    pub(super) names: Vec<Name>,
    pub(super) accounts: Vec<Watched>,
    places: BTreeMap<CompactString, Places>,
    due: BTreeSet<(Timestamp, usize)>,
    /// Moves whenever the set of interesting pairs changes, so that nobody has to compare sets to notice.
    #[serde(skip)]
    pub(super) interest_moved: u64,
    // The indexes are made anew from the lists after a snapshot is read: their bytes would depend on history.
    #[serde(skip)]
    pair_index: HashMap<(Venue, Symbol), usize, foldhash::fast::FixedState>,
    #[serde(skip)]
    account_index: HashMap<AccountId, usize, foldhash::fast::FixedState>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Name {
    pub(super) venue: Venue,
    pub(super) symbol: Symbol,
    /// Whether a watched account trades here, or holds what is traded here.
    pub(super) interesting: bool,
    /// When a watched account last traded here or had an order here.
    pub(super) touched: Timestamp,
    /// Accounts that traded here within seconds, and until when the market feed is searched for their orders.
    watchers: Vec<(usize, Timestamp)>,
    /// Accounts with orders that wait for this pair's past.
    chilled: Vec<usize>,
}

impl Name {
    fn new(venue: Venue, symbol: Symbol) -> Self {
        let touched = Timestamp::EPOCH;
        Name { venue, symbol, interesting: false, touched, watchers: Vec::new(), chilled: Vec::new() }
    }
}

/// An account with what surrounds it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Watched {
    /// Its habits.
    pub account: Account,
    /// How well it can be seen.
    pub sights: Sights,
    /// Which of its orders our own systems named.
    pub claims: Claims,
    /// What its keys may do.
    pub keys: Keys,
    /// Its orders that wait for their pair's past.
    pub cold: ColdOrders,
    /// What it did lately, where a rule looks back.
    pub past: Past,
    /// When its first fill was told.
    pub(super) since: Option<Timestamp>,
    pub(super) due: Option<Timestamp>,
}

impl Watched {
    /// Starts watching an account.
    pub(super) fn new(id: AccountId) -> Self {
        Watched {
            account: Account::new(id),
            sights: Sights::default(),
            claims: Claims::default(),
            keys: Keys::default(),
            cold: ColdOrders::default(),
            past: Past::default(),
            since: None,
            due: None,
        }
    }
}

impl Memory {
    /// Makes the indexes anew, after a snapshot was read.
    pub fn index(&mut self) {
        let names = self.names.iter().enumerate();
        self.pair_index = names.map(|(place, name)| ((name.venue, name.symbol.clone()), place)).collect();
        let accounts = self.accounts.iter().enumerate();
        self.account_index = accounts.map(|(place, watched)| (watched.account.id.clone(), place)).collect();
    }

    /// Returns the place of an account, new if it was not heard of.
    pub fn account(&mut self, id: &AccountId) -> usize {
        if let Some(place) = self.account_index.get(id) {
            return *place;
        }
        let place = self.accounts.len();
        self.accounts.push(Watched::new(id.clone()));
        self.account_index.insert(id.clone(), place);
        place
    }

    /// Returns the places of all names.
    pub(super) fn all_places(&self) -> &BTreeMap<CompactString, Places> {
        &self.places
    }

    /// Returns the place of an account that was heard of.
    pub fn find(&self, id: &AccountId) -> Option<usize> {
        self.account_index.get(id).copied()
    }

    /// Returns the account at a place.
    pub fn watched(&self, place: usize) -> &Watched {
        &self.accounts[place]
    }

    /// Returns the account at a place, to change it.
    pub fn watched_mut(&mut self, place: usize) -> &mut Watched {
        &mut self.accounts[place]
    }

    /// Forgets all that was learned of an account but that it was heard of.
    pub fn forget(&mut self, place: usize) {
        let stranger = Watched::new(self.accounts[place].account.id.clone());
        let known = std::mem::replace(&mut self.accounts[place], stranger);
        if let Some(due) = known.due {
            self.due.remove(&(due, place));
        }
    }

    /// Returns how many accounts were heard of.
    pub fn accounts(&self) -> usize {
        self.accounts.len()
    }

    /// Returns the places of the accounts of a name, at one exchange or at all, in order of exchange.
    pub fn named(&self, name: &str, venue: Option<Venue>) -> Vec<usize> {
        Venue::ALL
            .into_iter()
            .filter(|at| venue.is_none_or(|venue| venue == *at))
            .filter_map(|at| AccountId::new(at, name).ok())
            .filter_map(|id| self.account_index.get(&id).copied())
            .collect()
    }

    /// Returns the place of a pair, new if it was not heard of.
    pub fn pair(&mut self, venue: Venue, symbol: &Symbol, now: Timestamp) -> usize {
        let key = (venue, symbol.clone());
        if let Some(place) = self.pair_index.get(&key) {
            return *place;
        }
        let name = Name::new(venue, symbol.clone());
        let place = if self.pairs.len() < MOST_PAIRS {
            self.pairs.push(Pair::default());
            self.names.push(name);
            self.pairs.len() - 1
        } else {
            let place = self.stalest(now);
            let old = std::mem::replace(&mut self.names[place], name);
            self.interest_moved += u64::from(old.interesting);
            self.pair_index.remove(&(old.venue, old.symbol));
            self.pairs[place] = Pair::default();
            place
        };
        self.pair_index.insert(key, place);
        place
    }

    fn stalest(&self, now: Timestamp) -> usize {
        let age =
            |place: &usize| (self.names[*place].interesting, std::cmp::Reverse(now.since(self.pairs[*place].last())));
        (0..self.pairs.len()).min_by_key(age).unwrap_or(0)
    }

    /// Returns the place of a pair that was heard of.
    pub fn find_pair(&self, venue: Venue, symbol: &Symbol) -> Option<usize> {
        self.pair_index.get(&(venue, symbol.clone())).copied()
    }

    /// Returns the symbol of the pair at a place.
    pub fn symbol(&self, pair: usize) -> &Symbol {
        &self.names[pair].symbol
    }

    /// Has the market feed of a pair searched for an account's orders until `until`.
    pub fn watch(&mut self, pair: usize, account: usize, until: Timestamp) {
        let watchers = &mut self.names[pair].watchers;
        match watchers.iter_mut().find(|(watcher, _)| *watcher == account) {
            Some(watcher) => watcher.1 = watcher.1.max(until),
            None => watchers.push((account, until)),
        }
    }

    /// Returns the accounts whose orders may be in the market feed of a pair at `now`, by name.
    pub fn watchers(&mut self, pair: usize, now: Timestamp) -> Vec<usize> {
        let watchers = &mut self.names[pair].watchers;
        if watchers.is_empty() {
            return Vec::new();
        }
        watchers.retain(|(_, until)| *until >= now);
        let mut accounts: Vec<usize> = watchers.iter().map(|(account, _)| *account).collect();
        accounts.sort_by(|a, b| self.accounts[*a].account.id.cmp(&self.accounts[*b].account.id));
        accounts
    }

    /// Notes that an account has orders that wait for a pair's past.
    pub fn chill(&mut self, pair: usize, account: usize) {
        let chilled = &mut self.names[pair].chilled;
        if !chilled.contains(&account) {
            chilled.push(account);
        }
    }

    /// Returns the accounts with orders that wait for a pair's past, by name.
    pub fn chilled(&mut self, pair: usize) -> Vec<usize> {
        let Name { symbol, chilled, .. } = &mut self.names[pair];
        if chilled.is_empty() {
            return Vec::new();
        }
        chilled.retain(|account| self.accounts[*account].cold.await_past_of(symbol));
        let mut accounts = chilled.clone();
        accounts.sort_by(|a, b| self.accounts[*a].account.id.cmp(&self.accounts[*b].account.id));
        accounts
    }

    /// Returns the accounts with orders that wait in pairs of an asset, by name.
    pub fn all_chilled(&self, base: &Asset) -> Vec<usize> {
        let names = self.names.iter().filter(|name| name.symbol.base() == base);
        let mut accounts: Vec<usize> = names.flat_map(|name| name.chilled.iter().copied()).collect();
        accounts.sort_by(|a, b| self.accounts[*a].account.id.cmp(&self.accounts[*b].account.id));
        accounts.dedup();
        accounts
    }

    /// Returns from where the keys of a name were used.
    pub fn places(&self, name: &str) -> Option<&Places> {
        self.places.get(name)
    }

    /// Returns from where the keys of a name were used, to add to it.
    pub fn places_mut(&mut self, name: &CompactString) -> &mut Places {
        if self.places.len() >= MOST_NAMES && !self.places.contains_key(name) {
            self.places.pop_first();
        }
        self.places.entry(name.clone()).or_default()
    }

    /// Returns what an account holds at least, in units: its balances, or its largest past spending if that is more. An
    /// asset that is judged by an earlier price is worth that one.
    pub fn equity(&self, account: &Account, then: Option<(&Asset, f64)>) -> Option<f64> {
        let held: f64 = account
            .all_balances()
            .filter_map(|(asset, held)| {
                let worth = then.filter(|(base, _)| *base == asset).map(|(_, worth)| worth);
                worth.or_else(|| self.worth.of(asset)).map(|worth| worth * float(held.amount))
            })
            .sum();
        let spent = account.buys.values().iter().map(|ln| f64::from(*ln).exp()).fold(0.0, f64::max);
        let equity = held.max(spent);
        (equity > 0.0).then_some(equity)
    }

    /// Writes down when time alone will say something about an account.
    pub fn reckon(&mut self, account: usize, settings: &blind::Settings) {
        let watched = &mut self.accounts[account];
        let due = [watched.sights.due(settings), watched.claims.due(), watched.cold.due()].into_iter().flatten().min();
        if due == watched.due {
            return;
        }
        if let Some(old) = watched.due {
            self.due.remove(&(old, account));
        }
        watched.due = due;
        if let Some(due) = due {
            self.due.insert((due, account));
        }
    }

    /// Returns an account about which time alone says something by `at`.
    pub fn next_due(&self, at: Timestamp) -> Option<usize> {
        self.due.first().filter(|(due, _)| *due <= at).map(|(_, account)| *account)
    }
}
