//! Markets and the accounts that trade in them, until it all becomes a recording.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use super::clients::Clients;
use super::dice::{Dice, mix};
use super::labels::What;
use super::market::{Market, Taken, figure};
use super::tape::Quoted;
use crate::domain::{AccountId, Asset, Side};

/// A recording in the making.
#[derive(Clone, Debug)]
pub struct Scene {
    /// The pairs.
    pub markets: Vec<Market>,
    /// The accounts.
    pub people: Vec<Person>,
    pub(super) deeds: Vec<Deed>,
    /// What everything is drawn from: two scenes of one seed at different times have nothing in common, or the same
    /// accident would be counted once for each tape.
    pub(super) seed: u64,
    /// The seed as it was given.
    number: u64,
    pub(super) from_ms: i64,
    pub(super) to_ms: i64,
    /// What coins are paid with in the recording. Until it is written down everything is counted in bitcoin.
    pub quoted: Quoted,
    /// Bitcoin in dollars, where coins are paid with these.
    pub(super) bitcoin: Option<Market>,
}

/// A watched account.
#[derive(Clone, Debug)]
pub struct Person {
    /// Which account.
    pub account: AccountId,
    /// How its owner trades.
    pub trader: &'static str,
    /// What it owns beyond what its trades need, by asset.
    pub spare: BTreeMap<Asset, Decimal>,
    /// Money that came (or, below zero, went): when in ms, what, how much.
    pub transfers: Vec<(i64, Asset, Decimal)>,
    /// Dollars in its futures wallet at first.
    pub margin: Decimal,
    /// Its own chance.
    pub dice: Dice,
    /// The attack on it.
    pub attack: Option<Attack>,
    clients: Clients,
    named: u64,
}

/// An attack on an account, before it is known where in the recording it lies.
#[derive(Clone, Debug)]
pub struct Attack {
    /// Which.
    pub what: What,
    /// What the account was worth when it began, in the attacked pair's quote.
    pub equity: Decimal,
    /// The attacked market.
    pub market: usize,
    /// The share of the tape's orders that were relabelled.
    pub participation: Option<f64>,
}

/// How a program names its orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grammar {
    /// A broker's prefix and hexadecimal digits.
    Broker(&'static str),
    /// The exchange's own web page or app, and a number without dashes.
    Face(&'static str),
    /// A word and a running number.
    Counter(&'static str),
    /// A random UUID.
    Uuid,
    /// 22 letters and digits, as the exchange names orders whose sender did not.
    Unnamed,
}

/// One order of an account.
#[derive(Clone, Debug)]
pub(super) struct Deed {
    pub(super) person: usize,
    pub(super) market: usize,
    pub(super) side: Side,
    pub(super) maker: bool,
    pub(super) placed_ms: i64,
    pub(super) client_id: String,
    pub(super) taken: Taken,
    pub(super) hostile: bool,
}

/// What an order was filled with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Filled {
    /// When, in ms since 1970.
    pub ms: i64,
    /// Quote moved, before fees, as a figure.
    pub quote: f64,
    /// Base moved, before fees, as a figure.
    pub base: f64,
}

impl Scene {
    /// Begins a recording over `from_ms..to_ms`.
    pub fn new(seed: u64, from_ms: i64, to_ms: i64) -> Scene {
        let (number, seed) = (seed, mix(seed ^ mix(from_ms as u64)));
        Scene {
            markets: Vec::new(),
            people: Vec::new(),
            deeds: Vec::new(),
            seed,
            number,
            from_ms,
            to_ms,
            quoted: Quoted::default(),
            bitcoin: None,
        }
    }

    /// Returns the span it covers, in ms since 1970.
    pub fn span(&self) -> (i64, i64) {
        (self.from_ms, self.to_ms)
    }

    /// Returns what everything is drawn from.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Returns the seed as it was given.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Adds a pair and returns its place.
    pub fn add_market(&mut self, market: Market) -> usize {
        self.markets.push(market);
        self.markets.len() - 1
    }

    /// Adds an account and returns its place.
    pub fn add_person(&mut self, account: AccountId, trader: &'static str, grammar: Grammar) -> usize {
        let dice = Dice::named(self.seed, &account.name);
        let (spare, transfers) = (BTreeMap::new(), Vec::new());
        let (margin, attack, named) = (Decimal::ZERO, None, 0);
        let clients = Clients::of(self.seed, &account.name, grammar, self.span());
        self.people.push(Person { account, trader, spare, transfers, margin, dice, attack, clients, named });
        self.people.len() - 1
    }

    /// Lets an account send a market order for about `quote` at about `ms`; none when the market has nobody to meet it.
    pub fn take(&mut self, person: usize, market: usize, ms: i64, side: Side, quote: f64) -> Option<Filled> {
        let fills = self.people[person].dice.whole(1, 3);
        self.take_in(person, market, ms, side, quote, fills)
    }

    /// Does the same in so many executions, where the market is a walk.
    pub fn take_in(
        &mut self,
        person: usize,
        market: usize,
        ms: i64,
        side: Side,
        quote: f64,
        fills: i64,
    ) -> Option<Filled> {
        let dice = &mut self.people[person].dice;
        let taken = self.markets[market].take_in(dice, ms, side, quote, fills)?;
        (taken.ms < self.to_ms).then(|| self.book(person, market, side, taken, false))
    }

    /// Lets an account's resting order for about `quote` be met at about `ms`.
    pub fn rest(&mut self, person: usize, market: usize, ms: i64, side: Side, quote: f64) -> Option<Filled> {
        let taken = self.markets[market].rest(&mut self.people[person].dice, ms, side, quote)?;
        let waited = (1_000.0 * self.people[person].dice.doubling(5.0, 3_600.0)) as i64;
        if taken.ms >= self.to_ms {
            return None;
        }
        let placed_ms = (taken.ms - waited).max(self.from_ms);
        Some(self.push(person, market, side, taken, Some(placed_ms), false))
    }

    /// Books a taker order that a market has filled already.
    pub fn book(&mut self, person: usize, market: usize, side: Side, taken: Taken, hostile: bool) -> Filled {
        self.push(person, market, side, taken, None, hostile)
    }

    fn push(
        &mut self,
        person: usize,
        market: usize,
        side: Side,
        taken: Taken,
        rested: Option<i64>,
        hostile: bool,
    ) -> Filled {
        let own_grammar = self.people[person].attack.as_ref().is_some_and(|attack| attack.what == What::OwnGrammar);
        let owner = &mut self.people[person];
        let grammar = match (hostile, own_grammar) {
            (true, false) => Grammar::Unnamed,
            // Who imitates the owner's ids has seen the latest.
            (true, true) | (false, _) => owner.clients.at(taken.ms),
        };
        let client_id = owner.name_order(grammar);
        let ground = &self.markets[market];
        let filled = Filled { ms: taken.ms, quote: ground.cost(&taken), base: figure(ground.moved(&taken)) };
        let placed_ms = rested.unwrap_or(taken.ms);
        let maker = rested.is_some();
        self.deeds.push(Deed { person, market, side, maker, placed_ms, client_id, taken, hostile });
        filled
    }
}

impl Person {
    fn name_order(&mut self, grammar: Grammar) -> String {
        const BASE62: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        const HEX: &str = "0123456789abcdef";
        self.named += 1;
        let dice = &mut self.dice;
        match grammar {
            Grammar::Broker(prefix) => format!("x-{prefix}{}", dice.text(HEX, 22)),
            Grammar::Face(face) => format!("{face}_{}", dice.text(HEX, 32)),
            Grammar::Counter(word) => format!("{word}-{:06}", self.named),
            Grammar::Uuid => {
                let parts = [8, 4, 3, 3, 12].map(|length| dice.text(HEX, length));
                format!("{}-{}-4{}-a{}-{}", parts[0], parts[1], parts[2], parts[3], parts[4])
            }
            Grammar::Unnamed => dice.text(BASE62, 22),
        }
    }
}
