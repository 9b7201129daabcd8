//! A scene becomes a recording: what each account's feed and the public one would have sent, in order.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use super::contracts::{self, Margin};
use super::dice::{Dice, money};
use super::drafts::Drafts;
use super::frames::{self, Execution, Order};
use super::import::Recording;
use super::labels::{Hostile, HostileOrder, Label, Mark, What};
use super::market::Market;
use super::purse::{Purse, cut, fee_of};
use super::scene::{Deed, Scene};
use super::tape::Quoted;
use crate::arrival::{Arrival, Source};
use crate::domain::{Asset, Side, Venue, Wallet};

impl Scene {
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
        self.pay();
        let mut drafts = Drafts::new(self.seed);
        self.record_markets(&mut drafts);
        for place in 0..self.people.len() {
            self.record_person(place, &mut drafts);
        }
        let (arrivals, marks) = drafts.number();
        let labels = self.label(&arrivals, &marks);
        Recording { arrivals, labels }
    }

    /// Puts what coins are paid with in bitcoin's place, where that is something else.
    fn pay(&mut self) {
        let is_bitcoin = |market: &&Market| market.symbol().to_string() == "BTC-USDT";
        let Some(bitcoin) = self.markets.iter().find(is_bitcoin).filter(|_| self.quoted == Quoted::Dollars).cloned()
        else {
            return;
        };
        let (btc, usdt) = (bitcoin.symbol().base(), bitcoin.quote());
        let dollars = |ms: i64| bitcoin.price(ms);
        for market in self.markets.iter_mut().filter(|market| market.quote() == btc) {
            market.in_dollars(usdt.clone(), &dollars);
        }
        for (place, person) in self.people.iter_mut().enumerate() {
            if let Some(spare) = person.spare.remove(btc) {
                *person.spare.entry(usdt.clone()).or_default() += cut(spare * money(dollars(self.from_ms)));
            }
            for (ms, asset, delta) in person.transfers.iter_mut().filter(|(_, asset, _)| asset == btc) {
                (*asset, *delta) = (usdt.clone(), cut(*delta * money(dollars(*ms))));
            }
            let hostile = self.deeds.iter().filter(|deed| deed.person == place && deed.hostile);
            if let (Some(attack), Some(ms)) = (&mut person.attack, hostile.map(|deed| deed.taken.ms).min()) {
                attack.equity = cut(attack.equity * money(dollars(ms)));
            }
        }
        self.bitcoin = Some(bitcoin);
    }

    /// Returns a market's price at `ms`, in what is paid there.
    fn price(&self, market: &Market, ms: i64) -> f64 {
        let walked = self.bitcoin.as_ref().filter(|bitcoin| market.is_walked() && market.quote() == bitcoin.quote());
        let walked = walked.filter(|bitcoin| market.symbol() != bitcoin.symbol());
        market.price(ms) * walked.map_or(1.0, |bitcoin| bitcoin.price(ms))
    }

    fn record_markets(&self, drafts: &mut Drafts) {
        let spot = drafts.open(Source::Market(Venue::Binance), self.from_ms);
        let traded = self.markets.iter().any(|market| market.symbol().is_contract() && !market.prints().is_empty());
        // A feed is opened where somebody trades there; all other recordings stay as they are.
        let futures = if traded { drafts.open(Source::FuturesMarket(Venue::Binance), self.from_ms) } else { spot };
        let mut prints: Vec<(i64, usize, usize)> = Vec::new();
        for (place, market) in self.markets.iter().enumerate() {
            prints.extend(market.prints().iter().enumerate().map(|(print, trade)| (trade.ms, place, print)));
        }
        prints.sort_unstable();
        let names: Vec<(String, String)> = self
            .markets
            .iter()
            .map(|market| {
                let kind = if market.symbol().is_contract() { "aggTrade" } else { "trade" };
                (format!("{}@{kind}", market.wire().to_lowercase()), market.wire())
            })
            .collect();
        for (ms, place, print) in prints {
            let (stream, wire) = &names[place];
            let trade = self.markets[place].print(print);
            let id = trade_id(place, print);
            if self.markets[place].symbol().is_contract() {
                drafts.send(futures, ms, frames::contract_trade(stream, wire, id, trade), None);
            } else {
                drafts.send(spot, ms, frames::trade(stream, wire, id, trade), None);
            }
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
        let mut purse = purse.beginning(&self.people[person].spare);
        let owned: Vec<Asset> = purse.assets().cloned().collect();
        let owned: Vec<_> = owned.iter().map(|asset| purse.of(asset)).collect();
        drafts.send(feed, self.from_ms + 1, frames::position(self.from_ms + 1, &owned), None);
        for step in &steps {
            self.act(step, &mut purse, &mut |ms, text, mark| drafts.send(feed, ms, text, mark));
        }
        self.record_contracts(person, drafts);
    }

    /// Writes down what the feed of an account's futures wallet tells, where it has one.
    fn record_contracts(&self, person: usize, drafts: &mut Drafts) {
        let mut steps = Vec::new();
        for (place, deed) in self.deeds.iter().enumerate() {
            if deed.person == person && self.markets[deed.market].symbol().is_contract() {
                steps.push((deed.placed_ms, 2 * place, place));
                steps.push((deed.taken.ms, 2 * place + 1, place));
            }
        }
        if steps.is_empty() {
            return;
        }
        steps.sort_unstable();
        let feed = drafts.open(Source::Wallet(self.people[person].account.clone(), Wallet::Futures), self.from_ms);
        let mut margin = Margin::of(self.people[person].margin);
        drafts.send(feed, self.from_ms + 1, frames::margin(self.from_ms + 1, "DEPOSIT", margin.dollars, None), None);
        for (ms, order, place) in steps {
            let (deed, facts) = (&self.deeds[place], self.facts(&self.deeds[place]));
            let accepted = self.order(place, &facts);
            if order % 2 == 0 {
                drafts.send(feed, ms, frames::contract_report(&accepted, ms, None), Some(Told::new(place, false)));
                continue;
            }
            let (mut filled, mut filled_quote) = (Decimal::ZERO, Decimal::ZERO);
            for (nth, &print) in deed.taken.prints.iter().enumerate() {
                let (trade, fee_asset) = (self.markets[deed.market].print(print), self.markets[deed.market].quote());
                let outcome = margin.fill(&facts.wire, deed.side, deed.maker, trade);
                let quote = cut(trade.price * trade.amount);
                filled += trade.amount;
                filled_quote += quote;
                let id = trade_id(deed.market, print);
                let done = Execution { trade, id, quote, filled, filled_quote, fee: outcome.fee, fee_asset };
                let [order, account] = contracts::told(&accepted, &done, &outcome, margin.dollars);
                drafts.send(feed, ms, order, Some(Told::new(place, nth == 0)));
                drafts.send(feed, ms, account, None);
            }
        }
    }

    /// Returns what an account still owns of an asset when it has done everything it does, if it began with no more
    /// than it needed.
    pub(super) fn leftover(&self, person: usize, asset: &Asset) -> Decimal {
        let steps = self.steps(person);
        let mut purse = Purse::default();
        for step in &steps {
            self.act(step, &mut purse, &mut |_, _, _| {});
        }
        let (_, free, _) = purse.of(asset);
        free + purse.beginning(&BTreeMap::new()).of(asset).1
    }

    /// Returns what an account's feed has to tell, in order of time.
    fn steps(&self, person: usize) -> Vec<Step> {
        let mut steps = Vec::new();
        for (place, (ms, _, _)) in self.people[person].transfers.iter().enumerate() {
            steps.push(Step { ms: *ms, order: 0, kind: StepKind::Transfer { person, place } });
        }
        let spot = |deed: &Deed| deed.person == person && !self.markets[deed.market].symbol().is_contract();
        for (place, deed) in self.deeds.iter().enumerate().filter(|(_, deed)| spot(deed)) {
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
                    HostileOrder {
                        n: *n,
                        at: mark(*n).at,
                        pair: facts.wire,
                        side: deed.side,
                        quote: facts.quote,
                        base: Some(facts.base),
                    }
                })
                .collect();
            let attacked = self.deeds.iter().filter(|deed| deed.person == place && deed.hostile);
            let begun = attacked.filter(|deed| deed.market == attack.market).map(|deed| deed.taken.ms).min();
            let details = Hostile {
                hostile_quote: orders.iter().map(|order| order.quote).sum(),
                asset: self.markets[attack.market].quote().clone(),
                equity: attack.equity,
                pair: self.markets[attack.market].wire(),
                participation: attack.participation,
                reference: begun.map(|ms| money(self.price(&self.markets[attack.market], ms))),
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
pub(super) struct Told {
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
