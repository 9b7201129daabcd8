//! What is remembered of one account: what it usually does, in orders rather than fills.

use std::collections::{BTreeMap, VecDeque};

use compact_str::CompactString;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::decay::{Recent, Spread, left};
use super::origin::Origins;
use crate::domain::{AccountId, Asset, Confirmation, Fill, Side, Span, Symbol, Timestamp, Wallet};

/// A pause that ends a session.
const SESSION_ENDS: Span = Span::from_secs(600);
/// A session that never pauses ends after this long, so that machines have habits too.
const SESSION_LASTS: Span = Span::from_secs(6 * 3_600);
/// A fill told after others that traded this much later is late.
const LATE: Span = Span::from_secs(300);
/// An account that still trades this long after an alarm is its owner's: thieves need minutes.
const OUTLIVED: Span = Span::from_secs(2 * 86_400);
const MOST_ALARMED: usize = 4;
/// A pause that ends an episode in one pair: after it, losses and market evidence start anew.
const EPISODE_ENDS: Span = Span::from_secs(300);
/// How long a pair counts as new after its first trade.
const NEW_FOR: Span = Span::from_secs(86_400);
/// Half-life of the sums that round trips are seen in.
const CHURN: f64 = 300.0;
/// Bounds of the memory; what was used least recently goes first.
const SIZES: usize = 64;
const MOST_GROUPS: usize = 40;
const MOST_PAIRS: usize = 96;
const MOST_ASSETS: usize = 128;
const MOST_WALLETS: usize = 16;
const MOST_SALES: usize = 24;
const MOST_SIGHTED: usize = 48;
const MOST_NEW_KINDS: usize = 16;
/// The most that a strange origin weighs, in nats: it is the cheapest term to forge, and a user may change bots.
const ORIGIN_CAP: f64 = 3.0;

/// The memory of one account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Account {
    /// Whose.
    pub id: AccountId,
    /// Orders that traded, in all.
    pub orders: u64,
    /// Sessions that are over.
    pub sessions: u32,
    /// Of these, sessions that opened a new pair.
    pub opening_sessions: u32,
    /// Of these, sessions that sold two or more holdings within a minute.
    pub selling_sessions: u32,
    /// Of these, sessions with an order that took nearly all of a balance.
    pub whole_sessions: u32,
    /// When it last traded.
    pub last: Timestamp,
    /// The session under way.
    pub session: Session,
    /// ln of the largest five-minute spending (buys) of past sessions, in units.
    pub buys: Recent<SIZES>,
    /// The same for sells.
    pub sells: Recent<SIZES>,
    /// The most orders in a minute of past sessions.
    pub rates: Recent<SIZES>,
    /// ln of the pauses between sessions, in seconds.
    pub pauses: Spread,
    /// The strongest market evidence at its own orders, of past sessions.
    pub heat: Recent<32>,
    /// Grammars of client order ids.
    pub grammars: Origins,
    /// The venue's words for where orders came from.
    pub sources: Origins,
    /// What it holds, as told.
    pub balances: BTreeMap<Asset, Holding>,
    /// What it holds in other wallets than spot, as told; each bounded as that of spot.
    elsewhere: BTreeMap<Wallet, BTreeMap<Asset, Holding>>,
    pairs: BTreeMap<Symbol, PairHabit>,
    groups: VecDeque<Group>,
    buy_spend: Window<5>,
    sell_spend: Window<5>,
    order_rate: Window<6>,
    sales: VecDeque<Sale>,
    /// Kinds of origins of the session under way: they become habits when it ends without an alarm.
    new_grammars: BTreeMap<CompactString, u32>,
    new_sources: BTreeMap<CompactString, u32>,
    /// The last orders whose origin was looked at.
    sighted: VecDeque<Sighted>,
    /// Sessions that alarmed, until the account has outlived them.
    alarmed: VecDeque<Past>,
    /// The session that late history is telling of.
    late: LateRun,
}

/// A session of the past, as history tells it fill by fill.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct LateRun {
    last: Timestamp,
    buy: f64,
    sell: f64,
    orders: u32,
}

/// A session that is over, with the origins of its orders.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Past {
    session: Session,
    grammars: BTreeMap<CompactString, u32>,
    sources: BTreeMap<CompactString, u32>,
}

/// What an order's origin said when it was first seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sighted {
    /// The exchange's order id.
    pub order_id: CompactString,
    /// How strange the grammar of its client order id was, in nats.
    pub grammar: f64,
    /// How strange the venue's word for its origin was, in nats.
    pub source: f64,
}

/// A balance as last told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Holding {
    /// Free and locked together.
    pub amount: Decimal,
    /// When it was told.
    pub at: Timestamp,
}

/// A run of trading without a ten-minute pause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// When it began.
    pub began: Timestamp,
    /// ln of the pause before it, in seconds; absent for the first.
    pub pause: Option<f64>,
    /// Whether it opened a new pair.
    pub opened: bool,
    /// Most distinct assets sold within a minute.
    pub sold: u8,
    /// Largest five-minute buying, in units.
    pub buy: f64,
    /// Largest five-minute selling, in units.
    pub sell: f64,
    /// Most orders in a minute.
    pub rate: f64,
    /// Whether an order took nearly all of a balance.
    pub whole: bool,
    /// Strongest market evidence at an own order.
    pub heat: f64,
    /// Whether something in it was loud enough to keep it out of the habits.
    pub alarmed: bool,
}

/// The fills of one order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// The exchange's order id.
    pub order_id: CompactString,
    /// Which pair.
    pub symbol: Symbol,
    /// Which way.
    pub side: Side,
    /// When its first fill traded.
    pub first: Timestamp,
    /// When its last fill traded.
    pub last: Timestamp,
    /// Base that changed hands.
    pub quantity: Decimal,
    /// Quote that changed hands.
    pub notional: Decimal,
    /// Its highest price.
    pub high: Decimal,
    /// Its lowest price.
    pub low: Decimal,
    /// Price levels it took.
    pub levels: u32,
    /// Whether a fill of it may have been a taker's.
    pub taker: bool,
    /// Weight of evidence of the market at this order, in nats.
    pub market: f64,
    /// How strange its origin is, in nats, and what was strange.
    pub strange: f64,
    /// Whether the strangeness is the venue's word rather than the grammar.
    pub strange_source: bool,
    /// Whether the order was found to be none of ours.
    pub not_ours: bool,
    /// The arrival of its last fill.
    pub n: u64,
}

/// What the account does in one pair.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PairHabit {
    /// When it first traded here.
    pub first: Timestamp,
    /// When it last traded here.
    pub last: Timestamp,
    /// Orders here, in all.
    pub orders: u32,
    /// The episode under way.
    pub episode: Episode,
    /// Bought and sold, decayed.
    pub turn: Turn,
}

/// Trading in one pair without a five-minute pause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Episode {
    /// When it began.
    pub began: Timestamp,
    /// The pair's price before its first order.
    pub reference: Option<Decimal>,
    /// Quote lost against that price so far; negative is a gain.
    pub lost: Decimal,
    /// Strongest market evidence at its own taker orders.
    pub market: f64,
    /// Taker quote of the episode.
    pub taken: Decimal,
}

/// Bought and sold base and quote in a pair, decayed with a half-life of five minutes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Turn {
    at: Timestamp,
    bought: f64,
    paid: f64,
    sold: f64,
    got: f64,
    turns: f64,
    side: Option<Side>,
    since: Timestamp,
}

/// A taker sell of a holding.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sale {
    /// Of what.
    pub asset: Asset,
    /// When.
    pub at: Timestamp,
    /// How much of it.
    pub quantity: Decimal,
    /// Its worth, in units.
    pub units: f64,
    /// Whether it was nearly all of the holding, where the balance is known.
    pub whole: Option<bool>,
}

/// A sum over the last `N` slots of time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Window<const N: usize> {
    #[serde(with = "slots")]
    slots: [f64; N],
    head: i64,
}

mod slots {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer, const N: usize>(slots: &[f64; N], to: S) -> Result<S::Ok, S::Error> {
        slots.as_slice().serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>, const N: usize>(from: D) -> Result<[f64; N], D::Error> {
        Vec::<f64>::deserialize(from)?.try_into().map_err(|_| D::Error::custom("a window of another width"))
    }
}

impl<const N: usize> Default for Window<N> {
    fn default() -> Self {
        Window { slots: [0.0; N], head: 0 }
    }
}

impl<const N: usize> Window<N> {
    fn add(&mut self, at: Timestamp, slot: Span, value: f64) {
        let slot = at.nanos().div_euclid(slot.nanos());
        let steps = (slot - self.head).clamp(0, N as i64);
        for step in 0..steps {
            let place = (self.head + 1 + step).rem_euclid(N as i64) as usize;
            self.slots[if steps == N as i64 { step as usize } else { place }] = 0.0;
        }
        self.head = self.head.max(slot);
        // What comes late is counted in the newest slot: it is evidence now.
        self.slots[self.head.rem_euclid(N as i64) as usize] += value;
    }

    fn sum(&self) -> f64 {
        self.slots.iter().sum()
    }
}

const SPEND_SLOT: Span = Span::from_secs(60);
const RATE_SLOT: Span = Span::from_secs(10);

/// What a fill changed, for the rules to judge.
#[derive(Clone, Copy, Debug)]
pub struct Taken {
    /// Place of the fill's order group.
    pub group: usize,
    /// Whether this fill is the order's first.
    pub first_of_order: bool,
    /// Whether the pair is new to the account.
    pub new_pair: bool,
}

impl Account {
    /// Returns the pairs it is remembered to have traded, in order.
    pub fn pairs(&self) -> impl Iterator<Item = &Symbol> {
        self.pairs.keys()
    }

    /// Starts an empty memory.
    pub fn new(id: AccountId) -> Self {
        Account {
            id,
            orders: 0,
            sessions: 0,
            opening_sessions: 0,
            selling_sessions: 0,
            whole_sessions: 0,
            last: Timestamp::EPOCH,
            session: Session::default(),
            buys: Recent::default(),
            sells: Recent::default(),
            rates: Recent::default(),
            pauses: Spread::default(),
            heat: Recent::default(),
            grammars: Origins::default(),
            sources: Origins::default(),
            balances: BTreeMap::new(),
            elsewhere: BTreeMap::new(),
            pairs: BTreeMap::new(),
            groups: VecDeque::new(),
            buy_spend: Window::default(),
            sell_spend: Window::default(),
            order_rate: Window::default(),
            sales: VecDeque::new(),
            new_grammars: BTreeMap::new(),
            new_sources: BTreeMap::new(),
            sighted: VecDeque::new(),
            alarmed: VecDeque::new(),
            late: LateRun::default(),
        }
    }

    /// Looks at the origin of an order once, when it is first heard of; returns how strange it is.
    pub fn sight(&mut self, order_id: &CompactString, client_id: Option<&str>, source: Option<&str>) -> Sighted {
        if let Some(seen) = self.sighted.iter().rev().find(|seen| seen.order_id == *order_id) {
            return seen.clone();
        }
        let look = |habits: &Origins, seen: &mut BTreeMap<CompactString, u32>, kind: Option<CompactString>| {
            let Some(kind) = kind else { return 0.0 };
            let nats = habits.strangeness(&kind, ORIGIN_CAP);
            if seen.len() < MOST_NEW_KINDS || seen.contains_key(&kind) {
                *seen.entry(kind).or_default() += 1;
            }
            nats
        };
        let grammar = look(&self.grammars, &mut self.new_grammars, client_id.map(super::origin::grammar));
        let source = look(&self.sources, &mut self.new_sources, source.map(CompactString::from));
        if self.sighted.len() == MOST_SIGHTED {
            self.sighted.pop_front();
        }
        let seen = Sighted { order_id: order_id.clone(), grammar, source };
        self.sighted.push_back(seen.clone());
        seen
    }

    /// Corrects what an order's fills came to, when the exchange's own record differs from the running totals.
    pub fn correct(&mut self, confirmed: &Confirmation) {
        let change = confirmed.notional.saturating_sub(confirmed.booked);
        let group = self.groups.iter_mut().rev().find(|group| group.order_id == confirmed.order_id);
        let Some(group) = group else { return };
        group.notional = group.notional.saturating_add(change);
        group.taker &= confirmed.maker != Some(true);
        let side = group.side;
        if let Some(pair) = self.pairs.get_mut(&confirmed.symbol) {
            let lost = match side {
                Side::Buy => change,
                Side::Sell => -change,
            };
            pair.episode.lost = pair.episode.lost.saturating_add(lost);
        }
    }

    /// Takes a fill into its order's group; `units` is the worth of its quote, `reference` the pair's price before.
    pub fn take(&mut self, fill: &Fill, n: u64, time: Timestamp, units: f64, reference: Option<Decimal>) -> Taken {
        // What is told long after it traded (history, a gap that was filled) says nothing of today's pace.
        let late = self.last.since(time) > LATE;
        if !late {
            self.turn_session(time);
        }
        let new_pair = self.pairs.get(&fill.symbol).is_none_or(|pair| time.since(pair.first) < NEW_FOR);
        let (group, first_of_order) = self.group(fill, n, time);
        if first_of_order {
            self.orders += 1;
            if !late {
                self.order_rate.add(time, RATE_SLOT, 1.0);
                self.session.rate = self.session.rate.max(self.order_rate.sum());
            }
        }
        match fill.side {
            side if late => self.remember_late(side, time, units, first_of_order),
            Side::Buy => {
                self.buy_spend.add(time, SPEND_SLOT, units);
                self.session.buy = self.session.buy.max(self.buy_spend.sum());
            }
            Side::Sell => {
                self.sell_spend.add(time, SPEND_SLOT, units);
                self.session.sell = self.session.sell.max(self.sell_spend.sum());
            }
        }
        self.session.opened |= new_pair && !late;
        self.trade_pair(fill, time, first_of_order, reference, late);
        // Who sells a contract goes short and gives nothing away.
        if fill.side == Side::Sell && fill.maker != Some(true) && !late && !fill.symbol.is_contract() {
            self.sell_off(fill, time, units);
        }
        self.last = self.last.max(time);
        Taken { group, first_of_order, new_pair }
    }

    /// Returns an order group by its place.
    pub fn group_at(&self, place: usize) -> &Group {
        &self.groups[place]
    }

    /// Returns an order group by its place, to write what was found about it.
    pub fn group_at_mut(&mut self, place: usize) -> &mut Group {
        &mut self.groups[place]
    }

    /// Returns the place of an order's group.
    pub fn find(&self, order_id: &str) -> Option<usize> {
        self.groups.iter().rposition(|group| group.order_id == order_id)
    }

    /// Returns the places of groups in `symbol` whose last fill is not older than `span`, oldest first.
    pub fn recent_groups(&self, symbol: &Symbol, now: Timestamp, span: Span) -> Vec<usize> {
        // A moment of grace: the exchange's market feed and its account feed are stamped by two clocks.
        let until = now + Span::from_secs(2);
        let fresh = |group: &Group| group.symbol == *symbol && now.since(group.last) <= span && group.first <= until;
        (0..self.groups.len()).filter(|place| fresh(&self.groups[*place])).collect()
    }

    /// Returns what the account does in a pair.
    pub fn habit(&self, symbol: &Symbol) -> Option<&PairHabit> {
        self.pairs.get(symbol)
    }

    /// Returns what the account does in a pair, to write what was found about its episode.
    pub fn habit_mut(&mut self, symbol: &Symbol) -> Option<&mut PairHabit> {
        self.pairs.get_mut(symbol)
    }

    /// Returns the pairs it ever traded that are still remembered.
    pub fn traded(&self) -> impl Iterator<Item = &Symbol> {
        self.pairs.keys()
    }

    /// Returns the spending of the last five minutes on one side, in units.
    pub fn spent(&self, side: Side) -> f64 {
        match side {
            Side::Buy => self.buy_spend.sum(),
            Side::Sell => self.sell_spend.sum(),
        }
    }

    /// Returns the orders of the last minute.
    pub fn rate(&self) -> f64 {
        self.order_rate.sum()
    }

    /// Returns the taker sells of other assets than `but` within `span` before `now`, newest of each asset.
    pub fn sold_within(&self, now: Timestamp, span: Span, but: Option<&Asset>) -> Vec<&Sale> {
        let mut of_asset = BTreeMap::new();
        for sale in &self.sales {
            // What was sold after `now` is none of its past: an order can be judged again when the market shows it.
            if sale.at <= now && now.since(sale.at) <= span && Some(&sale.asset) != but {
                of_asset.insert(&sale.asset, sale);
            }
        }
        of_asset.into_values().collect()
    }

    /// Takes a balance as told.
    pub fn hold(&mut self, wallet: &Wallet, asset: &Asset, amount: Decimal, at: Timestamp) {
        if *wallet != Wallet::Spot && !self.elsewhere.contains_key(wallet) && self.elsewhere.len() >= MOST_WALLETS {
            return;
        }
        let balances = match wallet {
            Wallet::Spot => &mut self.balances,
            Wallet::Margin | Wallet::Isolated(_) | Wallet::Futures => self.elsewhere.entry(wallet.clone()).or_default(),
        };
        if amount.is_zero() {
            balances.remove(asset);
            return;
        }
        if balances.len() >= MOST_ASSETS && !balances.contains_key(asset) {
            let smallest = balances.iter().min_by_key(|(_, held)| held.at).map(|(name, _)| name.clone());
            if let Some(oldest) = smallest {
                balances.remove(&oldest);
            }
        }
        balances.insert(asset.clone(), Holding { amount, at });
    }

    /// Returns what it holds in one of its wallets, where anything was told.
    pub fn balances_in(&self, wallet: &Wallet) -> Option<&BTreeMap<Asset, Holding>> {
        match wallet {
            Wallet::Spot => Some(&self.balances),
            Wallet::Margin | Wallet::Isolated(_) | Wallet::Futures => self.elsewhere.get(wallet),
        }
    }

    /// Returns what it holds of an asset in each wallet that can pay for a pair of own things.
    pub fn payers(&self, asset: &Asset) -> impl Iterator<Item = &Holding> {
        let elsewhere = self.elsewhere.iter().filter(|(wallet, _)| **wallet != Wallet::Futures);
        self.balances.get(asset).into_iter().chain(elsewhere.filter_map(|(_, held)| held.get(asset)))
    }

    /// Returns what it holds in all wallets, wallet by wallet.
    pub fn all_balances(&self) -> impl Iterator<Item = (&Asset, &Holding)> {
        self.balances.iter().chain(self.elsewhere.values().flatten())
    }

    /// History is told pair by pair, each page going back in time: its sizes are habits too, session by session.
    fn remember_late(&mut self, side: Side, time: Timestamp, units: f64, first_of_order: bool) {
        let run = self.late;
        if time.since(run.last) > SESSION_ENDS || run.last.since(time) > SESSION_ENDS {
            self.end_late();
        }
        self.late.last = time;
        self.late.orders += u32::from(first_of_order);
        match side {
            Side::Buy => self.late.buy += units,
            Side::Sell => self.late.sell += units,
        }
    }

    fn end_late(&mut self) {
        let run = std::mem::take(&mut self.late);
        if run.orders == 0 {
            return;
        }
        self.sessions = self.sessions.saturating_add(1);
        for (past, amount) in [(&mut self.buys, run.buy), (&mut self.sells, run.sell)] {
            // Older than what is held already: it fills up the memory and pushes nothing newer out.
            if amount > 0.0 && past.len() < SIZES {
                past.push(amount.ln());
            }
        }
    }

    fn turn_session(&mut self, time: Timestamp) {
        self.end_late();
        if self.orders == 0 {
            self.session = Session { began: time, ..Session::default() };
            return;
        }
        let pause = time.since(self.last);
        let paused = pause > SESSION_ENDS;
        if !paused && time.since(self.session.began) <= SESSION_LASTS {
            return;
        }
        let mut done = Past { session: self.session, ..Past::default() };
        done.grammars = std::mem::take(&mut self.new_grammars);
        done.sources = std::mem::take(&mut self.new_sources);
        let pause = paused.then(|| pause.secs_f64().max(1.0).ln());
        self.session = Session { began: time, pause, ..Session::default() };
        // An attack must not become the habit it is measured against. But an account that trades on for days after an
        // alarm was its owner's: then it is learnt after all.
        if !done.session.alarmed {
            self.learn(done);
        } else {
            if self.alarmed.len() == MOST_ALARMED {
                self.alarmed.pop_front();
            }
            self.alarmed.push_back(done);
        }
        while let Some(past) = self.alarmed.pop_front_if(|past| time.since(past.session.began) > OUTLIVED) {
            self.learn(past);
        }
    }

    fn learn(&mut self, past: Past) {
        let done = past.session;
        self.sessions = self.sessions.saturating_add(1);
        self.opening_sessions += u32::from(done.opened);
        self.selling_sessions += u32::from(done.sold >= 2);
        self.whole_sessions += u32::from(done.whole);
        for (amounts, amount) in [(&mut self.buys, done.buy), (&mut self.sells, done.sell)] {
            if amount > 0.0 {
                amounts.push(amount.ln());
            }
        }
        self.rates.push(done.rate);
        self.heat.push(done.heat);
        for (habits, seen) in [(&mut self.grammars, past.grammars), (&mut self.sources, past.sources)] {
            for (kind, orders) in seen {
                habits.learn(&kind, orders);
            }
        }
        if let Some(pause) = done.pause {
            self.pauses.learn(pause, 0.1);
        }
    }

    fn group(&mut self, fill: &Fill, n: u64, time: Timestamp) -> (usize, bool) {
        let price = fill.price.get();
        let known = self.groups.iter().rposition(|group| {
            group.order_id == fill.order_id && group.symbol == fill.symbol && group.side == fill.side
        });
        if let Some(place) = known {
            let group = &mut self.groups[place];
            group.last = group.last.max(time);
            group.quantity = group.quantity.saturating_add(fill.quantity.get());
            group.notional = group.notional.saturating_add(fill.notional);
            group.levels += u32::from(price > group.high || price < group.low);
            group.high = group.high.max(price);
            group.low = group.low.min(price);
            group.taker |= fill.maker != Some(true);
            group.n = n;
            return (place, false);
        }
        if self.groups.len() == MOST_GROUPS {
            self.groups.pop_front();
        }
        self.groups.push_back(Group {
            order_id: fill.order_id.clone(),
            symbol: fill.symbol.clone(),
            side: fill.side,
            first: time,
            last: time,
            quantity: fill.quantity.get(),
            notional: fill.notional,
            high: price,
            low: price,
            levels: 1,
            taker: fill.maker != Some(true),
            market: 0.0,
            strange: 0.0,
            strange_source: false,
            not_ours: false,
            n,
        });
        (self.groups.len() - 1, true)
    }

    fn trade_pair(
        &mut self,
        fill: &Fill,
        time: Timestamp,
        first_of_order: bool,
        reference: Option<Decimal>,
        late: bool,
    ) {
        if self.pairs.len() >= MOST_PAIRS && !self.pairs.contains_key(&fill.symbol) {
            let oldest = self.pairs.iter().min_by_key(|(_, pair)| pair.last).map(|(symbol, _)| symbol.clone());
            if let Some(oldest) = oldest {
                self.pairs.remove(&oldest);
            }
        }
        let pair = self.pairs.entry(fill.symbol.clone()).or_insert_with(|| PairHabit {
            first: time,
            last: time,
            orders: 0,
            episode: Episode::default(),
            turn: Turn::default(),
        });
        pair.first = pair.first.min(time);
        pair.orders = pair.orders.saturating_add(u32::from(first_of_order));
        if late && pair.last.since(time) > LATE {
            return;
        }
        if pair.episode.reference.is_none() || time.since(pair.last) > EPISODE_ENDS {
            pair.episode = Episode {
                began: time,
                reference: Some(reference.unwrap_or(fill.price.get())),
                market: 0.0,
                ..Episode::default()
            };
        }
        pair.last = pair.last.max(time);
        if let Some(reference) = pair.episode.reference {
            // Against the price before the episode: what was paid too much, or got too little.
            let fair = reference.saturating_mul(fill.quantity.get());
            let lost = match fill.side {
                Side::Buy => fill.notional.saturating_sub(fair),
                Side::Sell => fair.saturating_sub(fill.notional),
            };
            pair.episode.lost = pair.episode.lost.saturating_add(lost);
        }
        if fill.maker != Some(true) {
            pair.episode.taken = pair.episode.taken.saturating_add(fill.notional);
        }
        pair.turn.take(fill, time);
    }

    fn sell_off(&mut self, fill: &Fill, time: Timestamp, units: f64) {
        let asset = fill.symbol.base();
        let held = self.balances.get(asset).map(|held| held.amount);
        let running =
            self.sales.iter_mut().find(|sale| sale.asset == *asset && time.since(sale.at) <= Span::from_secs(60));
        let quantity = running.as_ref().map_or(Decimal::ZERO, |sale| sale.quantity).saturating_add(fill.quantity.get());
        // The balance may have been told before or after the sell; nearly all of it went either way if what is left
        // is a tenth of what was sold, or what was sold is nine tenths of what was held.
        let whole = held.map(|held| {
            held.saturating_mul(Decimal::TEN) <= quantity || quantity >= held.saturating_mul(Decimal::new(9, 1))
        });
        match running {
            Some(sale) => {
                sale.quantity = quantity;
                sale.units += units;
                sale.whole = whole;
                sale.at = sale.at.max(time);
            }
            None => {
                if self.sales.len() == MOST_SALES {
                    self.sales.pop_front();
                }
                self.sales.push_back(Sale { asset: asset.clone(), at: time, quantity, units, whole });
            }
        }
        let sold = self.sold_within(time, Span::from_secs(60), None).len();
        self.session.sold = self.session.sold.max(u8::try_from(sold).unwrap_or(u8::MAX));
    }
}

/// What round trips in one pair come to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RoundTrips {
    /// Changes of side, decayed.
    pub turns: f64,
    /// Part of the price lost on a turn: (mean buy - mean sell) / mean buy.
    pub part: f64,
    /// Quote lost on what was both bought and sold.
    pub lost: f64,
    /// Quote that was turned over and came back.
    pub turned: f64,
    /// How long it has been going on.
    pub since: Timestamp,
}

impl Turn {
    fn take(&mut self, fill: &Fill, time: Timestamp) {
        let rest = left(time.since(self.at).secs_f64(), CHURN);
        for sum in [&mut self.bought, &mut self.paid, &mut self.sold, &mut self.got, &mut self.turns] {
            *sum *= rest;
        }
        self.at = self.at.max(time);
        if self.turns < 0.5 {
            self.since = time;
        }
        let (quantity, notional) = (super::pair::float(fill.quantity.get()), super::pair::float(fill.notional));
        match fill.side {
            Side::Buy => {
                self.bought += quantity;
                self.paid += notional;
            }
            Side::Sell => {
                self.sold += quantity;
                self.got += notional;
            }
        }
        if self.side.is_some_and(|side| side != fill.side) {
            self.turns += 1.0;
        }
        self.side = Some(fill.side);
    }

    /// Returns what the round trips come to, where something was both bought and sold.
    pub fn round_trips(&self) -> Option<RoundTrips> {
        let both = self.bought.min(self.sold);
        if both <= 0.0 || self.paid <= 0.0 {
            return None;
        }
        let (buy, sell) = (self.paid / self.bought, self.got / self.sold);
        Some(RoundTrips {
            turns: self.turns,
            part: (buy - sell) / buy,
            lost: both * (buy - sell),
            turned: both * buy,
            since: self.since,
        })
    }
}
