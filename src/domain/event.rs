//! What happened, in our words: what codecs make of arrivals and the engine judges.

use std::fmt;
use std::net::IpAddr;

use compact_str::CompactString;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::{AccountId, KeyList, KeyState, Money, Price, Quantity, Span, Symbol, Timestamp, Venue, Wallet};

/// Something that happened; `at` is when we heard of it, `n` the number of the arrival that told.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// The arrival's number.
    pub n: u64,
    /// When we heard of it.
    pub at: Timestamp,
    /// What it was.
    pub kind: EventKind,
}

/// The kinds of events.
#[derive(Clone, Debug, PartialEq)]
pub enum EventKind {
    /// A watched account traded.
    Fill(Fill),
    /// The exchange's own list confirmed or corrected a fill that was judged from running totals.
    Confirmed(Confirmation),
    /// An order of a watched account changed without trading.
    Order(OrderChange),
    /// A balance of a watched account changed or was read.
    Balance(Balance),
    /// Somebody used a key or a login: a line of the user's own gateway.
    Access(Access),
    /// An exchange said what a key may do.
    KeyState(KeyState),
    /// All keys of a sub-account were told.
    KeyList(KeyList),
    /// The public market moved.
    Market(Market),
    /// Somebody told what all of an asset is worth.
    Cap(Cap),
    /// The operator told which leak modes are on; those not named are off.
    Leaks(Vec<super::LeakMode>),
    /// A person said of an alarm whose deed it was.
    Answer(super::Answer),
    /// A feed came up, went down, skipped or could not be read.
    Feed(FeedChange),
    /// Time passed.
    Tick,
}

/// The `source` of an order that the exchange itself sent: a liquidation, deleveraging or settlement. No key was used.
pub const BY_EXCHANGE: &str = "exchange";

/// The side of an order or trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// Quote was paid for base.
    Buy,
    /// Base was given for quote.
    Sell,
}

/// One execution of a watched account's order.
#[derive(Clone, Debug, PartialEq)]
pub struct Fill {
    /// Whose.
    pub account: AccountId,
    /// Which pair.
    pub symbol: Symbol,
    /// Which way.
    pub side: Side,
    /// The price of this execution, never the order's limit.
    pub price: Price,
    /// The base that changed hands.
    pub quantity: Quantity,
    /// The quote that changed hands: the exchange's own figure, else price times quantity.
    pub notional: Decimal,
    /// What the exchange kept; absent where the feed does not tell.
    pub fee: Option<Money>,
    /// True when the account's order rested on the book, absent where the feed does not tell.
    pub maker: Option<bool>,
    /// The exchange's trade id; absent for a fill made of running totals.
    pub trade_id: Option<CompactString>,
    /// The exchange's order id.
    pub order_id: CompactString,
    /// The id the sender of the order chose, where the feed tells it.
    pub client_order_id: Option<CompactString>,
    /// The venue's own word for where the order came from (KuCoin `channel`, `oS`; Coinbase `order_placement_source`).
    pub source: Option<CompactString>,
    /// `market`, `limit` and the like, lower case, where the feed tells it.
    pub order_type: Option<CompactString>,
    /// When it traded, by the exchange's clock.
    pub time: Timestamp,
    /// How sure the figures are.
    pub basis: Basis,
    /// How it came to us.
    pub via: Via,
}

/// How sure a fill's figures are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Basis {
    /// The exchange reported this one execution.
    Exact,
    /// The difference of two running totals; several executions may be merged and a `Confirmed` may follow.
    Provisional,
}

/// How a fill came to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Via {
    /// Pushed on the account's feed.
    Stream,
    /// Found by asking: gap fill, reconciliation or warm-up.
    Rest,
}

/// The exchange's own record of an execution that was already judged as a provisional fill. It is never a second fill.
#[derive(Clone, Debug, PartialEq)]
pub struct Confirmation {
    /// Whose.
    pub account: AccountId,
    /// Which pair.
    pub symbol: Symbol,
    /// Which order.
    pub order_id: CompactString,
    /// The exchange's trade id.
    pub trade_id: CompactString,
    /// The quote that was booked when the fill was provisional, for the same quantity.
    pub booked: Decimal,
    /// The quote that really changed hands.
    pub notional: Decimal,
    /// What the exchange kept.
    pub fee: Option<Money>,
    /// Whether the order rested on the book.
    pub maker: Option<bool>,
    /// When it traded, by the exchange's clock.
    pub time: Timestamp,
}

/// A step in an order's life that is not a trade.
#[derive(Clone, Debug, PartialEq)]
pub struct OrderChange {
    /// Whose.
    pub account: AccountId,
    /// Which pair.
    pub symbol: Symbol,
    /// Which way, where told.
    pub side: Option<Side>,
    /// The exchange's order id.
    pub order_id: CompactString,
    /// The id the sender chose; for a cancel the order's own, not the cancel request's.
    pub client_order_id: Option<CompactString>,
    /// The venue's own word for where the order came from.
    pub source: Option<CompactString>,
    /// `market`, `limit` and the like, lower case.
    pub order_type: Option<CompactString>,
    /// What happened to it.
    pub step: OrderStep,
    /// The exchange's reason for a rejection, expiry or cancel.
    pub reason: Option<CompactString>,
    /// When, by the exchange's clock.
    pub time: Timestamp,
}

/// What happened to an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OrderStep {
    /// It was taken in or lies on the book.
    Accepted,
    /// Its size or price changed.
    Amended,
    /// It is done, wholly traded.
    Done,
    /// Somebody cancelled it.
    Cancelled,
    /// The exchange ended it.
    Expired,
    /// The exchange refused it.
    Rejected,
    /// A report that changes nothing we follow (echoes, self-trade prevention, triggers).
    Other,
}

/// A balance as told by the exchange.
#[derive(Clone, Debug, PartialEq)]
pub struct Balance {
    /// Whose.
    pub account: AccountId,
    /// In which of the account's wallets.
    pub wallet: Wallet,
    /// Of what.
    pub asset: super::Asset,
    /// What can be spent, where told.
    pub free: Option<Decimal>,
    /// What is held by orders, where told.
    pub locked: Option<Decimal>,
    /// The signed change, where the feed tells only that.
    pub delta: Option<Decimal>,
    /// Why it moved.
    pub why: BalanceWhy,
    /// When, by the exchange's clock.
    pub time: Timestamp,
}

/// Why a balance moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BalanceWhy {
    /// Orders and trades.
    Trade,
    /// Deposit, withdrawal, or a move between wallets.
    Transfer,
    /// It was read, nothing is said to have moved.
    Read,
}

/// Somebody used the account: a line of the user's own gateway, proxy or audit log.
#[derive(Clone, Debug, PartialEq)]
pub struct Access {
    /// The log it came from.
    pub log: CompactString,
    /// The account's name as the log spells it, without the exchange.
    pub name: CompactString,
    /// The exchange, where the log tells it.
    pub venue: Option<Venue>,
    /// From which address; a line without one is no evidence.
    pub ip: Option<IpAddr>,
    /// Who operates the address, as the daemon's table told when the line came; absent where it had none.
    pub network: Option<super::Network>,
    /// With which program.
    pub user_agent: Option<CompactString>,
    /// For which order: an order our side is known to have sent.
    pub client_order_id: Option<CompactString>,
    /// When, where the line tells it; else the arrival's time.
    pub time: Timestamp,
}

/// What all of an asset is worth, as a list tells it.
#[derive(Clone, Debug, PartialEq)]
pub struct Cap {
    /// Of what.
    pub asset: super::Asset,
    /// Dollars for all of it.
    pub usd: Decimal,
    /// Its place among all assets by that figure, where told.
    pub rank: Option<u32>,
    /// Dollars for one, where told: it tells apart assets of one name.
    pub price: Option<Decimal>,
}

/// A public market event of one pair at one exchange.
#[derive(Clone, Debug, PartialEq)]
pub struct Market {
    /// Where.
    pub venue: Venue,
    /// Which pair.
    pub symbol: Symbol,
    /// What happened.
    pub kind: MarketKind,
}

/// What happened in a market.
#[derive(Clone, Debug, PartialEq)]
pub enum MarketKind {
    /// Two orders met.
    Trade {
        /// At which price.
        price: Price,
        /// How much base.
        quantity: Quantity,
        /// The side of the order that did not wait.
        taker: Side,
        /// When, by the exchange's clock.
        time: Timestamp,
        /// The taker's order id where the venue publishes it; trades that share it are one order.
        taker_order: Option<CompactString>,
    },
    /// Two orders met before anybody here looked: part of an answer about the pair's past, never its present.
    PastTrade {
        /// At which price.
        price: Price,
        /// How much base.
        quantity: Quantity,
        /// The side of the order that did not wait.
        taker: Side,
        /// When, by the exchange's clock.
        time: Timestamp,
        /// The taker's order id where the venue publishes it.
        taker_order: Option<CompactString>,
    },
    /// What the exchange tells of the pair's past was told.
    PastTold {
        /// Up to here.
        until: Timestamp,
        /// Whether it was told trade by trade, and not in bars, which reach back further.
        trades: bool,
    },
    /// The last 24 hours.
    Volume {
        /// Quote that changed hands.
        quote: Decimal,
        /// The last price, where told.
        last: Option<Price>,
        /// When, by the exchange's clock.
        time: Timestamp,
    },
    /// A bar, used to seed the memory of a pair.
    Candle {
        /// When it opened.
        start: Timestamp,
        /// How long it is.
        span: Span,
        /// First price.
        open: Price,
        /// Highest price.
        high: Price,
        /// Lowest price.
        low: Price,
        /// Last price.
        close: Price,
        /// Quote that changed hands.
        quote: Decimal,
        /// The part of `quote` that takers bought, where told.
        taker_buy_quote: Option<Decimal>,
        /// Number of trades, where told.
        trades: Option<u64>,
    },
}

/// A change of what we can see.
#[derive(Clone, Debug, PartialEq)]
pub struct FeedChange {
    /// Whose feed; none for market data and access logs.
    pub account: Option<AccountId>,
    /// Which of the account's wallets the feed is for.
    pub wallet: Wallet,
    /// Which exchange, where it is one.
    pub venue: Option<Venue>,
    /// What changed.
    pub kind: FeedKind,
}

/// What changed about a feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FeedKind {
    /// Connected, signed in and subscribed.
    Up,
    /// Lost; why, without frame content.
    Down(CompactString),
    /// The exchange says it will close the connection soon.
    ClosingSoon,
    /// The exchange ended this account's stream or refused its key.
    Ended(CompactString),
    /// The exchange answered with an error: its code and our words for it.
    Refused {
        /// The exchange's code.
        code: CompactString,
        /// What it means.
        why: CompactString,
    },
    /// Messages are missing between two sequence numbers.
    Skipped {
        /// The number that should have come.
        expected: u64,
        /// The number that came.
        got: u64,
    },
    /// An arrival could not be read; why, without its content.
    Unreadable(CompactString),
    /// An event of a kind that is not known; its name.
    Unknown(CompactString),
    /// A gap was asked for at the exchange.
    GapFilled {
        /// Where the gap began.
        since: Timestamp,
        /// Where it ended.
        until: Timestamp,
        /// Fills that the feed had not sent.
        recovered: u64,
        /// Those of them that traded while the feed was up: it never sent them, or has not so far.
        unsent: u64,
        /// Whether every pair that could have traded was asked for.
        verified: bool,
    },
}

impl Side {
    /// Returns the other side.
    pub const fn opposite(self) -> Side {
        match self {
            Side::Buy => Side::Sell,
            Side::Sell => Side::Buy,
        }
    }

    /// Returns `buy` or `sell`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Side::Buy => "buy",
            Side::Sell => "sell",
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
