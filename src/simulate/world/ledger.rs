//! Accounts, their money, their orders and their fills.

use std::collections::{BTreeMap, BTreeSet};

use rust_decimal::Decimal;

use crate::domain::{Side, Timestamp, Venue, Wallet};
use crate::simulate::broken::How;
use crate::simulate::dice::Dice;
use crate::simulate::keys::Key;

/// How an ordinary account trades.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Buys the same amount of one pair at regular times.
    Dca,
    /// Keeps a resting order on either side of the price.
    Grid,
    /// A person at the web site.
    Retail,
    /// Sells what grew and buys what fell.
    Rebalancer,
    /// Buys what has just risen and sells it later.
    Chaser,
}

/// What an account is in the story.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Nobody else has its key.
    Ordinary(Kind),
    /// Its key was stolen; until the attack it lives as a regular buyer.
    Victim,
}

/// An amount free to use and an amount held by open orders.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Holding {
    /// Free to use.
    pub free: Decimal,
    /// Held by open orders.
    pub locked: Decimal,
}

/// What a key may do. Who holds one may always look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permissions {
    /// May place orders.
    pub trade: bool,
    /// May borrow.
    pub margin: bool,
    /// May trade futures.
    pub futures: bool,
    /// May send money to other accounts of the exchange.
    pub internal_transfer: bool,
    /// May move money between wallets and sub-accounts.
    pub universal_transfer: bool,
    /// May move money out.
    pub withdraw: bool,
    /// Answers only to these addresses; to any when empty.
    pub addresses: Vec<String>,
}

impl Permissions {
    /// Gives or takes a right by its name; false for a name that is none.
    pub fn set(&mut self, right: &str, on: bool) -> bool {
        let place = match right {
            "trade" => &mut self.trade,
            "margin" => &mut self.margin,
            "futures" => &mut self.futures,
            "internal_transfer" => &mut self.internal_transfer,
            "universal_transfer" => &mut self.universal_transfer,
            "withdraw" => &mut self.withdraw,
            _ => return false,
        };
        *place = on;
        true
    }
}

/// A key of a sub-account, as its master sees it. Nobody signs with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubKey {
    /// Whose: e-mail or name.
    pub holder: String,
    /// What its owner calls it.
    pub label: String,
    /// Its id.
    pub id: String,
    /// What it may do.
    pub permissions: Permissions,
    /// When it was made.
    pub made: Timestamp,
}

/// One account of one venue.
#[derive(Debug)]
pub struct Account {
    /// Where.
    pub venue: Venue,
    /// Its name, unique at the venue.
    pub name: String,
    /// Which wallet of its owner's this is; the key finds the spot wallet, the others by its name.
    pub wallet: Wallet,
    /// Wallets that the key has no right to.
    pub barred: BTreeSet<Wallet>,
    /// Contracts held, by place among the world's pairs; below zero when short.
    pub positions: BTreeMap<usize, Decimal>,
    /// Its part in the story.
    pub role: Role,
    /// Its key.
    pub key: Key,
    /// Those it had before, which are taken as well.
    pub older: Vec<Key>,
    /// Its key at Coinbase Exchange, beside the one at Coinbase Advanced.
    pub exchange: Option<Key>,
    /// When the key was made.
    pub key_made: Timestamp,
    /// True once the key was deleted.
    pub revoked: bool,
    /// What is wrong with the key.
    pub broken: Option<How>,
    /// True when the venue does not tell this key which mode the account is in (KuCoin).
    pub mode_hidden: bool,
    /// What the key may do.
    pub permissions: Permissions,
    /// The keys of its sub-accounts, in the order they were made.
    pub sub_keys: Vec<SubKey>,
    /// True for KuCoin's unified account mode.
    pub unified: bool,
    /// The exchange's number of the owner.
    pub uid: u64,
    /// What it owns.
    pub holdings: BTreeMap<String, Holding>,
    /// Its fills, oldest first.
    pub fills: Vec<Fill>,
    /// The pair it is used to: place among the world's pairs.
    pub home: usize,
    /// Its own chance.
    pub dice: Dice,
    /// How many orders it has sent.
    pub sent: u64,
    /// Fills still to be kept from its feed, as when an exchange loses messages.
    pub lose: u32,
    /// Fills still to be sent twice.
    pub double: u32,
}

/// How an order is priced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderKind {
    /// At any price.
    Market,
    /// At this price or better, resting until then.
    Limit,
}

/// Where an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Accepted, nothing filled.
    New,
    /// Something filled.
    Partly,
    /// All filled.
    Filled,
    /// Cancelled.
    Cancelled,
}

/// An order, running totals included.
#[derive(Clone, Debug)]
pub struct Order {
    /// The world's number of it.
    pub id: u64,
    /// The id its sender chose.
    pub client_id: String,
    /// Whose: place among the world's accounts.
    pub account: usize,
    /// Which pair: place among the world's pairs.
    pub pair: usize,
    /// Which way.
    pub side: Side,
    /// How it is priced.
    pub kind: OrderKind,
    /// The limit, for a limit order.
    pub limit: Option<Decimal>,
    /// The base wanted.
    pub quantity: Decimal,
    /// The quote to spend, when the order said that instead.
    pub funds: Option<Decimal>,
    /// The base filled.
    pub filled: Decimal,
    /// The quote filled.
    pub filled_quote: Decimal,
    /// The fees so far, in `fee_asset`.
    pub fees: Decimal,
    /// What fees are taken in.
    pub fee_asset: String,
    /// How many fills.
    pub fills: u32,
    /// Where it stands.
    pub status: Status,
    /// When it was made.
    pub created: Timestamp,
    /// When it changed last.
    pub updated: Timestamp,
    /// True when it came from the web site, false when through a key.
    pub by_hand: bool,
    /// True when a thief sent it.
    pub hostile: bool,
}

/// One execution of an account's order.
#[derive(Clone, Debug)]
pub struct Fill {
    /// The world's running number of it, by which pages go.
    pub serial: u64,
    /// Which pair: place among the world's pairs.
    pub pair: usize,
    /// The pair's number of the trade.
    pub trade_id: u64,
    /// Which order.
    pub order_id: u64,
    /// Its client id.
    pub client_id: String,
    /// Which way.
    pub side: Side,
    /// The price.
    pub price: Decimal,
    /// The base.
    pub quantity: Decimal,
    /// The quote.
    pub quote: Decimal,
    /// What the exchange kept.
    pub fee: Decimal,
    /// In which asset.
    pub fee_asset: String,
    /// True when the order rested.
    pub maker: bool,
    /// True for a market order.
    pub market: bool,
    /// When.
    pub time: Timestamp,
    /// True when a thief sent the order.
    pub hostile: bool,
}

/// A holding after a change, and how it changed.
#[derive(Clone, Debug)]
pub struct Changed {
    /// The asset.
    pub asset: String,
    /// What there is now.
    pub now: Holding,
    /// How much the free part changed.
    pub free: Decimal,
    /// How much the locked part changed.
    pub locked: Decimal,
}

impl Account {
    /// Returns what of an asset is free.
    pub fn free(&self, asset: &str) -> Decimal {
        self.holdings.get(asset).map_or(Decimal::ZERO, |holding| holding.free)
    }

    /// Changes a holding and returns it as changed.
    pub fn change(&mut self, asset: &str, free: Decimal, locked: Decimal) -> Changed {
        let holding = self.holdings.entry(asset.to_owned()).or_default();
        holding.free += free;
        holding.locked += locked;
        Changed { asset: asset.to_owned(), now: *holding, free, locked }
    }

    /// Returns the next client order id in the grammar of the account's software, and whether a hand placed the order.
    pub fn client_id(&mut self) -> (String, bool) {
        self.sent += 1;
        let n = self.sent;
        match self.role {
            Role::Victim => (format!("stack-{:05}-{}", n, self.dice.hex(6)), false),
            Role::Ordinary(Kind::Dca) => (format!("dca{}-{:06}", self.uid % 1_000, n), false),
            Role::Ordinary(Kind::Grid) => (format!("grid_{}_{}", self.dice.below(12), n), false),
            Role::Ordinary(Kind::Rebalancer) => (format!("rebal.{:04}.{}", n / 4, n % 4), false),
            Role::Ordinary(Kind::Chaser) => (format!("x-momo{}", self.dice.hex(16)), false),
            Role::Ordinary(Kind::Retail) => (
                match self.venue {
                    Venue::Binance => format!("web_{}", self.dice.hex(32)),
                    Venue::Kucoin => self.dice.hex(24),
                    Venue::Coinbase => self.dice.uuid(),
                },
                true,
            ),
        }
    }
}

impl Order {
    /// Returns the average price of what was filled, zero before.
    pub fn average(&self) -> Decimal {
        self.filled_quote.checked_div(self.filled).unwrap_or(Decimal::ZERO)
    }

    /// Returns true while it rests on the book.
    pub fn is_open(&self) -> bool {
        matches!(self.status, Status::New | Status::Partly)
    }
}

/// Returns the venue's fee rate.
pub fn fee_rate(venue: Venue) -> Decimal {
    match venue {
        Venue::Binance | Venue::Kucoin => Decimal::new(1, 3),
        Venue::Coinbase => Decimal::new(6, 3),
    }
}

/// Returns what a fill costs and in which asset: Binance takes it from what was received, the others from the quote.
pub fn fee(venue: Venue, side: Side, base: &str, quote: &str, quantity: Decimal, value: Decimal) -> (Decimal, String) {
    let rate = fee_rate(venue);
    let (amount, asset) = match (venue, side) {
        (Venue::Binance, Side::Buy) => (quantity * rate, base),
        (Venue::Binance, Side::Sell) | (Venue::Kucoin | Venue::Coinbase, _) => (value * rate, quote),
    };
    (amount.round_dp(8), asset.to_owned())
}
