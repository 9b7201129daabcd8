//! What is remembered of one account: what it usually does, in orders rather than fills.

mod cancels;
mod episode;
mod group;
mod probe;
mod run;
mod sale;
mod session;
mod short;
mod sparse;
mod turn;
mod vouched;
mod window;

use std::collections::{BTreeMap, VecDeque};

use compact_str::CompactString;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

pub use self::cancels::Cancels;
pub use self::episode::{Episode, PairHabit};
pub use self::group::Group;
pub use self::probe::Probe;
pub use self::run::{Run, Step};
pub use self::sale::Sale;
pub use self::session::Session;
pub use self::turn::{RoundTrips, Turn};
pub use self::vouched::Vouched;

use self::session::{LateRun, Past};
use self::window::Window;
use super::decay::{Recent, Spread};
use super::origin::Origins;
use crate::domain::{AccountId, Asset, Confirmation, Fill, Side, Span, Symbol, Timestamp, Wallet};

/// A fill told after others that traded this much later is late.
const LATE: Span = Span::from_secs(300);
/// How long a pair counts as new after its first trade.
const NEW_FOR: Span = Span::from_secs(86_400);
/// Bounds of the memory; what was used least recently goes first.
const SIZES: usize = 64;
const MOST_ASSETS: usize = 128;
const MOST_WALLETS: usize = 16;
const MOST_SIGHTED: usize = 40;
const MOST_NEW_KINDS: usize = 16;
/// Holdings sold within a minute that are counted apart.
const MOST_SOLD: usize = 9;
/// The most that a strange origin weighs, in nats: it is the cheapest term to forge, and a user may change bots.
const ORIGIN_CAP: f64 = 3.0;
const SPEND_SLOT: Span = Span::from_secs(60);
const RATE_SLOT: Span = Span::from_secs(10);

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
    /// Of these, sessions by the most holdings that were sold within a minute; the last place is for all that sold more.
    pub sold_by: [u32; MOST_SOLD],
    /// The same by the most holdings that were emptied within a minute.
    pub emptied_by: [u32; MOST_SOLD],
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
    /// The farthest from a pair's price that its own orders traded, of past sessions.
    pub far: Recent<32>,
    /// How often the owner answered for trading in a market that was being raised; none where never.
    pub vouched: Option<Vouched>,
    /// The strongest that one-sided runs came to that are over, in nats.
    pub past_runs: Recent<16>,
    /// How often its own orders are cancelled at once.
    pub cancels: Cancels,
    /// The tiny order that may have tried the key last.
    pub probe: Option<Probe>,
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
    /// One-sided runs under way.
    runs: Vec<Run>,
    /// Kinds of origins of the session under way: they become habits when it ends without an alarm.
    new_grammars: BTreeMap<CompactString, u32>,
    new_sources: BTreeMap<CompactString, u32>,
    /// Pairs that the session under way opened.
    opened: Vec<Symbol>,
    /// The last orders whose origin was looked at.
    sighted: VecDeque<Sighted>,
    /// Sessions that alarmed, until the account has outlived them.
    alarmed: VecDeque<Past>,
    /// The session that late history is telling of.
    late: LateRun,
}

/// What an order's origin said when it was first seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sighted {
    /// The exchange's order id.
    pub order_id: CompactString,
    /// How strange the grammar of its client order id was, in nats.
    #[serde(with = "sparse")]
    pub grammar: f64,
    /// How strange the venue's word for its origin was, in nats.
    #[serde(with = "sparse")]
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

/// What a fill changed, for the rules to judge.
#[derive(Clone, Copy, Debug)]
pub struct Taken {
    /// Place of the fill's order group.
    pub group: usize,
    /// Whether this fill is the order's first.
    pub first_of_order: bool,
    /// Whether the pair is new to the account.
    pub new_pair: bool,
    /// Whether it is told long after others that traded later.
    pub late: bool,
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
            sold_by: [0; MOST_SOLD],
            emptied_by: [0; MOST_SOLD],
            whole_sessions: 0,
            last: Timestamp::EPOCH,
            session: Session::default(),
            buys: Recent::default(),
            sells: Recent::default(),
            rates: Recent::default(),
            pauses: Spread::default(),
            heat: Recent::default(),
            far: Recent::default(),
            vouched: None,
            past_runs: Recent::default(),
            cancels: Cancels::default(),
            probe: None,
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
            runs: Vec::new(),
            new_grammars: BTreeMap::new(),
            new_sources: BTreeMap::new(),
            opened: Vec::new(),
            sighted: VecDeque::new(),
            alarmed: VecDeque::new(),
            late: LateRun::default(),
        }
    }

    /// Hears of an order before it trades: its origin belongs to the session that it begins, not to the one before.
    pub fn hear_of_order(&mut self, time: Timestamp) {
        self.cancels.hear(time);
        if self.last.since(time) <= LATE {
            self.turn_session(time);
        }
    }

    /// Looks at the origin of an order once, when it is first heard of; returns how strange it is.
    pub fn sight(
        &mut self,
        order_id: &CompactString,
        client_id: Option<&str>,
        source: Option<&str>,
        time: Timestamp,
    ) -> Sighted {
        if let Some(seen) = self.sighted.iter().rev().find(|seen| seen.order_id == *order_id) {
            return seen.clone();
        }
        let look = |habits: &Origins, seen: &mut BTreeMap<CompactString, u32>, kind: Option<CompactString>| {
            let Some(kind) = kind else { return 0.0 };
            let nats = habits.strangeness(&kind, ORIGIN_CAP, time);
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
        let new_pair = self.is_new(&fill.symbol, time);
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
        if new_pair && !late {
            self.session.opened = true;
            self.open_pair(&fill.symbol);
        }
        self.trade_pair(fill, time, first_of_order, reference, late);
        if let Some(pair) = self.pairs.get_mut(&fill.symbol) {
            pair.traded += units;
        }
        // Who sells a contract goes short and gives nothing away.
        if fill.side == Side::Sell && fill.maker != Some(true) && !late && !fill.symbol.is_contract() {
            self.sell_off(fill, time, units);
        }
        self.last = self.last.max(time);
        Taken { group, first_of_order, new_pair, late }
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
}
