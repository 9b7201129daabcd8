//! Markets and the accounts that trade in them, until it all becomes a recording.

use std::collections::BTreeMap;

use rust_decimal::{Decimal, RoundingStrategy};

use super::dice::Dice;
use super::frames::{self, Execution, Order};
use super::import::Recording;
use super::labels::{Hostile, HostileOrder, Label, Mark, What};
use super::market::{Market, Taken, figure};
use crate::arrival::{Arrival, Body, Source};
use crate::domain::{AccountId, Asset, Side, Timestamp, Venue};

/// A recording in the making.
#[derive(Clone, Debug)]
pub struct Scene {
    /// The pairs.
    pub markets: Vec<Market>,
    /// The accounts.
    pub people: Vec<Person>,
    deeds: Vec<Deed>,
    seed: u64,
    from_ms: i64,
    to_ms: i64,
}

/// A watched account.
#[derive(Clone, Debug)]
pub struct Person {
    /// Which account.
    pub account: AccountId,
    /// How its owner trades.
    pub trader: &'static str,
    /// How its owner's programs name orders.
    pub grammar: Grammar,
    /// What it owns beyond what its trades need, by asset.
    pub spare: BTreeMap<Asset, Decimal>,
    /// Money that came (or, below zero, went): when in ms, what, how much.
    pub transfers: Vec<(i64, Asset, Decimal)>,
    /// Its own chance.
    pub dice: Dice,
    /// The attack on it.
    pub attack: Option<Attack>,
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
struct Deed {
    person: usize,
    market: usize,
    side: Side,
    maker: bool,
    placed_ms: i64,
    client_id: String,
    taken: Taken,
    hostile: bool,
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

/// What the exchange keeps of what an order brings in.
fn fee_of(received: Decimal) -> Decimal {
    cut(received * Decimal::new(1, 3))
}

/// Cuts to eight decimals, as the exchange books.
fn cut(amount: Decimal) -> Decimal {
    amount.round_dp_with_strategy(8, RoundingStrategy::ToZero)
}

impl Scene {
    /// Begins a recording over `from_ms..to_ms`.
    pub fn new(seed: u64, from_ms: i64, to_ms: i64) -> Scene {
        Scene { markets: Vec::new(), people: Vec::new(), deeds: Vec::new(), seed, from_ms, to_ms }
    }

    /// Returns the span it covers, in ms since 1970.
    pub fn span(&self) -> (i64, i64) {
        (self.from_ms, self.to_ms)
    }

    /// Returns the seed everything is drawn from.
    pub fn seed(&self) -> u64 {
        self.seed
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
        self.people.push(Person { account, trader, grammar, spare, transfers, dice, attack: None, named: 0 });
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
        let client_id = self.people[person].name_order(hostile && !own_grammar);
        let ground = &self.markets[market];
        let filled = Filled { ms: taken.ms, quote: ground.cost(&taken), base: figure(ground.moved(&taken)) };
        let placed_ms = rested.unwrap_or(taken.ms);
        let maker = rested.is_some();
        self.deeds.push(Deed { person, market, side, maker, placed_ms, client_id, taken, hostile });
        filled
    }

    /// Writes everything down in the order it would have been received.
    pub fn record(mut self) -> Recording {
        let moved: Vec<Vec<usize>> = (0..self.markets.len())
            .map(|place| {
                let mut dice = Dice::named(self.seed, &self.markets[place].wire());
                self.markets[place].settle(&mut dice, self.from_ms, self.to_ms)
            })
            .collect();
        for deed in &mut self.deeds {
            for print in &mut deed.taken.prints {
                *print = moved[deed.market][*print];
            }
        }
        let mut drafts = Drafts::new(self.seed);
        self.record_markets(&mut drafts);
        for place in 0..self.people.len() {
            self.record_person(place, &mut drafts);
        }
        let (arrivals, marks) = drafts.number();
        let labels = self.label(&arrivals, &marks);
        Recording { arrivals, labels }
    }

    fn record_markets(&self, drafts: &mut Drafts) {
        let feed = drafts.open(Source::Market(Venue::Binance), self.from_ms);
        let mut prints: Vec<(i64, usize, usize)> = Vec::new();
        for (place, market) in self.markets.iter().enumerate() {
            prints.extend(market.prints().iter().enumerate().map(|(print, trade)| (trade.ms, place, print)));
        }
        prints.sort_unstable();
        let names: Vec<(String, String)> = self
            .markets
            .iter()
            .map(|market| (format!("{}@trade", market.wire().to_lowercase()), market.wire()))
            .collect();
        for (ms, place, print) in prints {
            let (stream, wire) = &names[place];
            let trade = self.markets[place].print(print);
            drafts.send(feed, ms, frames::trade(stream, wire, trade_id(place, print), trade), None);
        }
    }

    fn record_person(&self, person: usize, drafts: &mut Drafts) {
        let feed = drafts.open(Source::Account(self.people[person].account.clone()), self.from_ms);
        let steps = self.steps(person);
        // What an account needs to own at first is what its trades would overdraw; a first pass finds that.
        let mut purse = Purse::default();
        for step in &steps {
            self.act(step, &mut purse, &mut |_, _, _| {});
        }
        let mut purse = Purse { free: purse.needed(), ..Purse::default() };
        for (asset, amount) in &self.people[person].spare {
            *purse.free.entry(asset.clone()).or_default() += *amount;
        }
        let owned: Vec<_> = purse.free.keys().map(|asset| purse.of(asset)).collect();
        drafts.send(feed, self.from_ms + 1, frames::position(self.from_ms + 1, &owned), None);
        for step in &steps {
            self.act(step, &mut purse, &mut |ms, text, mark| drafts.send(feed, ms, text, mark));
        }
    }

    /// Returns what an account's feed has to tell, in order of time.
    fn steps(&self, person: usize) -> Vec<Step> {
        let mut steps = Vec::new();
        for (place, (ms, _, _)) in self.people[person].transfers.iter().enumerate() {
            steps.push(Step { ms: *ms, order: 0, kind: StepKind::Transfer { person, place } });
        }
        for (place, deed) in self.deeds.iter().enumerate().filter(|(_, deed)| deed.person == person) {
            steps.push(Step { ms: deed.placed_ms, order: place * 2 + 1, kind: StepKind::Accepted(place) });
            steps.push(Step { ms: deed.taken.ms, order: place * 2 + 2, kind: StepKind::Executed(place) });
        }
        steps.sort_by_key(|step| (step.ms, step.order));
        steps
    }

    fn act(&self, step: &Step, purse: &mut Purse, tell: &mut dyn FnMut(i64, String, Option<Told>)) {
        match step.kind {
            StepKind::Transfer { person, place } => {
                let (ms, asset, delta) = &self.people[person].transfers[place];
                purse.add(asset, *delta);
                tell(*ms, frames::transferred(*ms, asset, *delta), None);
                tell(*ms, frames::position(*ms, &[purse.of(asset)]), None);
            }
            StepKind::Accepted(place) => {
                let deed = &self.deeds[place];
                let facts = self.facts(deed);
                tell(
                    step.ms,
                    frames::accepted(&self.order(place, &facts), execution_id(place, 0)),
                    Some(Told::new(place, false)),
                );
                if deed.maker {
                    let (asset, amount) = self.given(deed, &facts);
                    purse.lock(asset, amount);
                    tell(step.ms, frames::position(step.ms, &[purse.of(asset)]), None);
                }
            }
            StepKind::Executed(place) => self.execute(place, purse, tell),
        }
    }

    fn execute(&self, place: usize, purse: &mut Purse, tell: &mut dyn FnMut(i64, String, Option<Told>)) {
        let deed = &self.deeds[place];
        let (market, facts) = (&self.markets[deed.market], self.facts(deed));
        let order = self.order(place, &facts);
        let (base, quote) = (market.symbol().base(), market.quote());
        let (mut filled, mut filled_quote) = (Decimal::ZERO, Decimal::ZERO);
        for (nth, &print) in deed.taken.prints.iter().enumerate() {
            let trade = market.print(print);
            let paid = cut(trade.price * trade.amount);
            filled += trade.amount;
            filled_quote += paid;
            let (given, received, fee_asset) = match deed.side {
                Side::Buy => ((quote, paid), (base, trade.amount), base),
                Side::Sell => ((base, trade.amount), (quote, paid), quote),
            };
            let fee = fee_of(received.1);
            if deed.maker {
                purse.spend_locked(given.0, given.1);
            } else {
                purse.add(given.0, -given.1);
            }
            purse.add(received.0, received.1 - fee);
            let id = trade_id(deed.market, print);
            let done = Execution { trade, id, quote: paid, filled, filled_quote, fee, fee_asset };
            let text = frames::executed(&order, execution_id(place, nth + 1), &done);
            tell(deed.taken.ms, text, Some(Told::new(place, nth == 0)));
        }
        let both = [purse.of(base), purse.of(quote)];
        tell(deed.taken.ms, frames::position(deed.taken.ms, &both), Some(Told::new(place, false)));
    }

    /// Returns an order's totals: base, quote, and the worst price of its trades.
    fn facts(&self, deed: &Deed) -> Facts {
        let market = &self.markets[deed.market];
        let trades = deed.taken.prints.iter().map(|&print| market.print(print));
        let mut facts = Facts { wire: market.wire(), base: Decimal::ZERO, quote: Decimal::ZERO, limit: Decimal::ZERO };
        for trade in trades {
            facts.base += trade.amount;
            facts.quote += cut(trade.price * trade.amount);
            facts.limit = trade.price;
        }
        facts
    }

    fn order<'a>(&'a self, place: usize, facts: &'a Facts) -> Order<'a> {
        let deed = &self.deeds[place];
        Order {
            wire: &facts.wire,
            side: deed.side,
            maker: deed.maker,
            client_id: &deed.client_id,
            id: order_id(deed.market, place),
            placed_ms: deed.placed_ms,
            quantity: facts.base,
            quote: facts.quote,
            limit: facts.limit,
        }
    }

    /// Returns what a resting order locks.
    fn given<'a>(&'a self, deed: &Deed, facts: &Facts) -> (&'a Asset, Decimal) {
        let market = &self.markets[deed.market];
        match deed.side {
            Side::Buy => (market.quote(), facts.quote),
            Side::Sell => (market.symbol().base(), facts.base),
        }
    }

    fn label(&self, arrivals: &[Arrival], marks: &[(u64, Told)]) -> Vec<Label> {
        let mut labels = Vec::new();
        let Some(last) = arrivals.last() else { return labels };
        let mark = |n: u64| Mark { n, at: arrivals[n as usize - 1].at.nanos() };
        for (place, person) in self.people.iter().enumerate() {
            let trader = person.trader.to_owned();
            let opened = arrivals.iter().find(|a| a.from.account() == Some(&person.account)).map_or(1, |a| a.n);
            let told = marks.iter().filter(|(_, told)| self.deeds[told.deed].person == place);
            let hostile: Vec<&(u64, Told)> = told.filter(|(_, told)| self.deeds[told.deed].hostile).collect();
            let label = |kind, first, last, hostile| Label {
                account: person.account.clone(),
                kind,
                trader: trader.clone(),
                first: mark(first),
                last: mark(last),
                hostile,
            };
            let (Some(attack), Some(&&(first, _)), Some(&&(end, _))) =
                (&person.attack, hostile.first(), hostile.last())
            else {
                labels.push(label(What::Ordinary, opened, last.n, None));
                continue;
            };
            // Ordinary time ends right before the first hostile arrival.
            labels.push(label(What::Ordinary, opened, (first - 1).max(opened), None));
            let orders: Vec<HostileOrder> = hostile
                .iter()
                .filter(|(_, told)| told.first_fill)
                .map(|(n, told)| {
                    let deed = &self.deeds[told.deed];
                    let facts = self.facts(deed);
                    HostileOrder { n: *n, at: mark(*n).at, pair: facts.wire, side: deed.side, quote: facts.quote }
                })
                .collect();
            let details = Hostile {
                hostile_quote: orders.iter().map(|order| order.quote).sum(),
                asset: self.markets[attack.market].quote().clone(),
                equity: attack.equity,
                pair: self.markets[attack.market].wire(),
                participation: attack.participation,
                orders,
            };
            labels.push(label(attack.what, first, end, Some(details)));
        }
        labels
    }
}

struct Facts {
    wire: String,
    base: Decimal,
    quote: Decimal,
    limit: Decimal,
}

struct Step {
    ms: i64,
    order: usize,
    kind: StepKind,
}

#[derive(Clone, Copy)]
enum StepKind {
    Transfer { person: usize, place: usize },
    Accepted(usize),
    Executed(usize),
}

/// Which order an arrival tells of.
#[derive(Clone, Copy, Debug)]
struct Told {
    deed: usize,
    first_fill: bool,
}

impl Told {
    fn new(deed: usize, first_fill: bool) -> Told {
        Told { deed, first_fill }
    }
}

/// Ids rise with a pair's trades and differ between pairs.
fn trade_id(market: usize, print: usize) -> u64 {
    1_000_000 * (market as u64 + 3) + print as u64
}

fn order_id(market: usize, deed: usize) -> u64 {
    100_000_000 * (market as u64 + 1) + deed as u64 + 1
}

fn execution_id(deed: usize, nth: usize) -> u64 {
    deed as u64 * 1_000 + nth as u64 + 1
}

/// What an account owns.
#[derive(Default)]
struct Purse {
    free: BTreeMap<Asset, Decimal>,
    locked: BTreeMap<Asset, Decimal>,
    lowest: BTreeMap<Asset, Decimal>,
}

impl Purse {
    fn add(&mut self, asset: &Asset, amount: Decimal) {
        let free = self.free.entry(asset.clone()).or_default();
        *free += amount;
        let lowest = self.lowest.entry(asset.clone()).or_default();
        *lowest = (*lowest).min(*free);
    }

    fn lock(&mut self, asset: &Asset, amount: Decimal) {
        self.add(asset, -amount);
        *self.locked.entry(asset.clone()).or_default() += amount;
    }

    fn spend_locked(&mut self, asset: &Asset, amount: Decimal) {
        *self.locked.entry(asset.clone()).or_default() -= amount;
    }

    fn of<'a>(&self, asset: &'a Asset) -> (&'a Asset, Decimal, Decimal) {
        // A difference can be a zero with a minus sign, which no exchange writes.
        let held = |map: &BTreeMap<Asset, Decimal>| match map.get(asset) {
            Some(amount) if !amount.is_zero() => *amount,
            Some(_) | None => Decimal::ZERO,
        };
        (asset, held(&self.free), held(&self.locked))
    }

    fn needed(self) -> BTreeMap<Asset, Decimal> {
        self.lowest.into_iter().map(|(asset, lowest)| (asset, -lowest)).collect()
    }
}

impl Person {
    fn name_order(&mut self, stranger: bool) -> String {
        const BASE62: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        const HEX: &str = "0123456789abcdef";
        self.named += 1;
        let dice = &mut self.dice;
        match if stranger { Grammar::Unnamed } else { self.grammar } {
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

/// Arrivals that have no number yet.
struct Drafts {
    feeds: Vec<Feed>,
    sent: Vec<Draft>,
    seed: u64,
}

struct Feed {
    source: Source,
    dice: Dice,
    usual_ns: i64,
    last_ns: i64,
}

struct Draft {
    at_ns: i64,
    feed: usize,
    body: Body,
    told: Option<Told>,
}

impl Drafts {
    fn new(seed: u64) -> Drafts {
        Drafts { feeds: Vec::new(), sent: Vec::new(), seed }
    }

    fn open(&mut self, source: Source, ms: i64) -> usize {
        let mut dice = Dice::named(self.seed, &source.to_string());
        let usual_ns = dice.whole(20_000_000, 120_000_000);
        let at_ns = ms * 1_000_000 + usual_ns;
        self.feeds.push(Feed { source, dice, usual_ns, last_ns: at_ns });
        self.sent.push(Draft { at_ns, feed: self.feeds.len() - 1, body: Body::LinkUp, told: None });
        self.feeds.len() - 1
    }

    /// Sends a frame that the exchange wrote at `ms`: it takes 20 to 200 ms and overtakes nothing of its own feed.
    fn send(&mut self, feed: usize, ms: i64, text: String, told: Option<Told>) {
        // What is written here is JSON by construction; if it were not, the codec shall see exactly that.
        let body = Body::from_text(text);
        let opened = &mut self.feeds[feed];
        let travelled = opened.usual_ns + opened.dice.whole(0, 80_000_000);
        let at_ns = (ms * 1_000_000 + travelled).max(opened.last_ns + 1_000);
        opened.last_ns = at_ns;
        self.sent.push(Draft { at_ns, feed, body, told });
    }

    fn number(mut self) -> (Vec<Arrival>, Vec<(u64, Told)>) {
        // Stable, so each feed keeps its own order.
        self.sent.sort_by_key(|draft| (draft.at_ns, draft.feed));
        let (mut arrivals, mut marks) = (Vec::with_capacity(self.sent.len()), Vec::new());
        for (place, draft) in self.sent.into_iter().enumerate() {
            let n = place as u64 + 1;
            marks.extend(draft.told.map(|told| (n, told)));
            let from = self.feeds[draft.feed].source.clone();
            arrivals.push(Arrival { n, at: Timestamp::from_nanos(draft.at_ns), from, body: draft.body });
        }
        (arrivals, marks)
    }
}
