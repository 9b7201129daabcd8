//! Which pairs' markets are worth watching: those that watched accounts trade or ever traded, and those of what they hold.

use std::collections::{BTreeMap, BTreeSet};

use rust_decimal::Decimal;

use super::memory::Memory;
use super::pair::float;
use super::worth::Worth;
use crate::domain::Span;
use crate::domain::{Asset, Symbol, Timestamp, Venue};

/// What is worth less than this, in units of 30,000 dollars, is dust: about ten dollars.
const DUST: f64 = 10.0 / 30_000.0;
/// Quote assets that a holding is followed in: the account's last ones.
const QUOTES: usize = 2;
/// Quote assets that are tried for an account that has not traded yet, if it holds one of them.
const USUAL: [&str; 6] = ["USDT", "USDC", "USD", "FDUSD", "EUR", "BTC"];
/// A pair traded within this long is in use.
const IN_USE: Span = Span::from_secs(3_600);

/// A pair whose market is worth watching.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted<'a> {
    /// Where.
    pub venue: Venue,
    /// Which.
    pub symbol: &'a Symbol,
    /// When a watched account last traded there or had an order there; 1970 where none did.
    pub touched: Timestamp,
}

impl Memory {
    /// Marks a pair as one that a watched account touched at `time`.
    pub fn interest(&mut self, pair: usize, time: Timestamp) {
        let name = &mut self.names[pair];
        let known = std::mem::replace(&mut name.interesting, true);
        // Back in use after a while: where not all can be watched, its turn comes again.
        let again = time.since(name.touched) > IN_USE;
        name.touched = name.touched.max(time);
        self.interest_moved += u64::from(!known || again);
    }

    /// Takes that an account holds `amount` of an asset, `before` until now: its pairs are followed from when it is more
    /// than dust. Money, and coins whose worth is built in, are not: no account moves them.
    pub fn follow_holding(
        &mut self,
        account: usize,
        asset: &Asset,
        before: Option<Decimal>,
        amount: Decimal,
        now: Timestamp,
    ) {
        let held = |amount: Decimal| self.is_more_than_dust(asset, amount);
        if Worth::is_known(asset) || !held(amount) || before.is_some_and(held) {
            return;
        }
        let venue = self.accounts[account].account.id.venue;
        for quote in self.quotes(account) {
            let Some(symbol) = (quote != *asset).then(|| Symbol::new(asset.clone(), quote)) else { continue };
            let pair = self.pair(venue, &symbol, now);
            let known = std::mem::replace(&mut self.names[pair].interesting, true);
            self.interest_moved += u64::from(!known);
        }
    }

    fn is_more_than_dust(&self, asset: &Asset, amount: Decimal) -> bool {
        // Of what nobody knows the worth, any amount may be much.
        amount > Decimal::ZERO && self.worth.of(asset).is_none_or(|worth| worth * float(amount) >= DUST)
    }

    /// Returns the quote assets an account trades in, the last ones first; one it could trade in where it has not traded.
    fn quotes(&self, account: usize) -> Vec<Asset> {
        let account = &self.accounts[account].account;
        let mut traded: BTreeMap<&Asset, Timestamp> = BTreeMap::new();
        for symbol in account.traded() {
            let last = account.habit(symbol).map_or(Timestamp::EPOCH, |habit| habit.last);
            let newest = traded.entry(symbol.quote()).or_insert(last);
            *newest = (*newest).max(last);
        }
        let mut quotes: Vec<(Timestamp, &Asset)> = traded.into_iter().map(|(quote, last)| (last, quote)).collect();
        quotes.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(b.1)));
        if !quotes.is_empty() {
            return quotes.into_iter().take(QUOTES).map(|(_, quote)| quote.clone()).collect();
        }
        let usual = USUAL.iter().filter_map(|name| Asset::new(name).ok());
        let held: Vec<Asset> = usual.filter(|quote| account.balances.contains_key(quote)).take(QUOTES).collect();
        if !held.is_empty() {
            return held;
        }
        let home = match account.id.venue {
            Venue::Binance | Venue::Kucoin => "USDT",
            Venue::Coinbase => "USD",
        };
        Asset::new(home).into_iter().collect()
    }

    /// Returns a count that moves whenever the answer of [`Memory::wanted`] may have changed.
    pub fn interest_moved(&self) -> u64 {
        self.interest_moved
    }

    /// Returns the pairs worth watching, in order of first appearance.
    pub fn wanted(&self) -> impl Iterator<Item = Wanted<'_>> {
        let names = self.names.iter().filter(|name| name.interesting);
        names.map(|name| Wanted { venue: name.venue, symbol: &name.symbol, touched: name.touched })
    }

    /// Returns the pairs worth watching at `now`, at most `most` an exchange, and how many were left out. First go those
    /// that are not in use and that nobody holds, then those that are held, and among equals the one traded longest ago.
    pub fn wanted_at_most(&self, most: usize, now: Timestamp) -> (BTreeSet<(Venue, Symbol)>, usize) {
        let mut left_out = 0;
        let mut chosen = BTreeSet::new();
        for venue in Venue::ALL {
            let mut all: Vec<Wanted<'_>> = self.wanted().filter(|wanted| wanted.venue == venue).collect();
            if all.len() > most {
                let held = self.held(venue);
                let rank = |wanted: &Wanted<'_>| {
                    let in_use = wanted.touched > Timestamp::EPOCH && now.since(wanted.touched) <= IN_USE;
                    (in_use, held.contains(wanted.symbol.base()), wanted.touched)
                };
                all.sort_by(|a, b| rank(b).cmp(&rank(a)).then_with(|| a.symbol.cmp(b.symbol)));
                left_out += all.len() - most;
                all.truncate(most);
            }
            chosen.extend(all.into_iter().map(|wanted| (venue, wanted.symbol.clone())));
        }
        (chosen, left_out)
    }

    fn held(&self, venue: Venue) -> BTreeSet<&Asset> {
        let accounts = self.accounts.iter().map(|watched| &watched.account).filter(|account| account.id.venue == venue);
        accounts
            .flat_map(|account| account.all_balances())
            .filter(|(asset, held)| self.is_more_than_dust(asset, held.amount))
            .map(|(asset, _)| asset)
            .collect()
    }
}
