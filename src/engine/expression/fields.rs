//! What a condition may ask about an order, with its unit and meaning: the one list that checks, answers and documents.

use std::cell::OnceCell;

use compact_str::{CompactString, ToCompactString};

use super::compile::Kind;
use super::past::Past;
use crate::domain::{Right, Side, Span, Term};
use crate::engine::fleet::Tags;
use crate::engine::keys::Keys;
use crate::engine::pair::{Pair, float};
use crate::engine::rules::{Case, pump_buy};
use crate::engine::worth::DOLLARS_A_UNIT;
use crate::engine::{account::Account, habit};

/// An order and all that a condition may ask about it.
pub struct Scope<'a> {
    /// The order, its account and its pair.
    pub case: &'a Case<'a>,
    /// What the account's keys may do.
    pub keys: &'a Keys,
    /// What the account did lately.
    pub past: &'a Past,
    /// Which accounts belong together.
    pub tags: &'a Tags,
    joint: &'a pump_buy::Settings,
    terms: OnceCell<Vec<Term>>,
}

/// A field.
pub struct Field {
    /// Its name, such as `order.side`.
    pub name: &'static str,
    /// What it says, with its unit.
    pub meaning: &'static str,
    pub(super) get: Getter,
}

/// How a field is read; nothing where it is not known.
#[derive(Clone, Copy)]
pub(super) enum Getter {
    Truth(fn(&Scope<'_>) -> Option<bool>),
    Number(fn(&Scope<'_>) -> Option<f64>),
    Text(fn(&Scope<'_>) -> Option<CompactString>),
    Time(fn(&Scope<'_>) -> Option<Span>),
    Texts(fn(&Scope<'_>) -> Option<Vec<CompactString>>),
    /// The weight of a term of the joint score.
    Term(&'static str),
}

impl<'a> Scope<'a> {
    /// Takes what surrounds an order, and by what settings its terms are weighed.
    pub fn new(
        case: &'a Case<'a>,
        keys: &'a Keys,
        past: &'a Past,
        tags: &'a Tags,
        joint: &'a pump_buy::Settings,
    ) -> Self {
        Scope { case, keys, past, tags, joint, terms: OnceCell::new() }
    }

    /// Returns the weight of a term, in nats; zero where it says nothing.
    pub(super) fn term(&self, name: &str) -> f64 {
        let terms = self.terms.get_or_init(|| pump_buy::terms(self.joint, self.case));
        terms.iter().filter(|term| term.name == name).map(|term| term.nats).sum()
    }

    fn followed(&self) -> Option<&Pair> {
        self.case.pair
    }

    fn account(&self) -> &Account {
        self.case.account
    }

    fn dollars(&self, quote: f64) -> Option<f64> {
        Some(quote * self.case.unit * DOLLARS_A_UNIT)
    }

    fn has_right(&self, right: &Right) -> Option<bool> {
        self.keys.own().map(|key| key.rights().any(|known| known == right))
    }
}

impl Field {
    /// Returns its type.
    pub fn kind(&self) -> Kind {
        match self.get {
            Getter::Truth(_) => Kind::Truth,
            Getter::Number(_) | Getter::Term(_) => Kind::Number,
            Getter::Text(_) => Kind::Text,
            Getter::Time(_) => Kind::Time,
            Getter::Texts(_) => Kind::Texts,
        }
    }
}

/// Returns all fields, in the order of their documentation.
pub fn all() -> impl Iterator<Item = &'static Field> {
    FIELDS.iter()
}

pub(super) fn find(name: &str) -> Option<&'static Field> {
    FIELDS.iter().find(|field| field.name == name)
}

pub(super) fn names() -> impl Iterator<Item = &'static str> {
    FIELDS.iter().map(|field| field.name)
}

const fn truth(name: &'static str, meaning: &'static str, get: fn(&Scope<'_>) -> Option<bool>) -> Field {
    Field { name, meaning, get: Getter::Truth(get) }
}

const fn number(name: &'static str, meaning: &'static str, get: fn(&Scope<'_>) -> Option<f64>) -> Field {
    Field { name, meaning, get: Getter::Number(get) }
}

const fn text(name: &'static str, meaning: &'static str, get: fn(&Scope<'_>) -> Option<CompactString>) -> Field {
    Field { name, meaning, get: Getter::Text(get) }
}

const fn time(name: &'static str, meaning: &'static str, get: fn(&Scope<'_>) -> Option<Span>) -> Field {
    Field { name, meaning, get: Getter::Time(get) }
}

const fn term(name: &'static str, term: &'static str, meaning: &'static str) -> Field {
    Field { name, meaning, get: Getter::Term(term) }
}

static FIELDS: &[Field] = &[
    text("order.side", "buy or sell", |scope| {
        Some(if scope.case.group.side == Side::Buy { "buy" } else { "sell" }.into())
    }),
    text("order.pair", "the pair, base first, such as APPC-BTC", |scope| {
        Some(scope.case.group.symbol.to_compact_string())
    }),
    text("order.base", "what is bought or sold", |scope| Some(scope.case.group.symbol.base().as_str().into())),
    text("order.quote", "what it is paid with", |scope| Some(scope.case.group.symbol.quote().as_str().into())),
    truth("order.contract", "whether it is a futures contract", |scope| Some(scope.case.group.symbol.is_contract())),
    number("order.quantity", "base that changed hands so far", |scope| Some(float(scope.case.group.quantity))),
    number("order.spent", "quote that changed hands so far", |scope| Some(float(scope.case.group.notional))),
    number("order.dollars", "the same in dollars, roughly", |scope| scope.dollars(float(scope.case.group.notional))),
    number("order.high", "its highest price", |scope| Some(float(scope.case.group.high))),
    number("order.low", "its lowest price", |scope| Some(float(scope.case.group.low))),
    number("order.levels", "how many prices it took", |scope| Some(f64::from(scope.case.group.levels))),
    truth("order.taker", "whether it took what others offered", |scope| Some(scope.case.group.taker)),
    number("order.move", "percent above (buys) or below (sells) the last minute's mean price", |scope| {
        let group = scope.case.group;
        let extreme = if group.side == Side::Buy { group.high } else { group.low };
        scope.followed().map(|pair| pair.move_percent(group.side, float(extreme)))
    }),
    number("order.share_of_day", "percent of what takers of its side spend in the pair a day", |scope| {
        let daily = scope.followed()?.daily_quote(scope.case.group.side);
        (daily > 0.0).then(|| float(scope.case.group.notional) / daily * 100.0)
    }),
    number("order.share_of_balance", "percent of the balance that it took", |scope| {
        Some(habit::share_of_balance(scope.account(), scope.case.group) * 100.0)
    }),
    number("order.strange", "how strange its origin is for the account, in nats", |scope| {
        Some(scope.case.group.strange)
    }),
    truth("order.not_ours", "whether your own systems' log names it not", |scope| Some(scope.case.group.not_ours)),
    number("order.hour", "hour of the day it traded at, in UTC, from 0 to 23", |scope| {
        Some(scope.case.time.nanos().div_euclid(3_600_000_000_000).rem_euclid(24) as f64)
    }),
    number("order.weekday", "day of the week in UTC, Monday is 1 and Sunday 7", |scope| {
        // The first of January 1970 was a Thursday.
        Some((scope.case.time.nanos().div_euclid(86_400_000_000_000) + 3).rem_euclid(7) as f64 + 1.0)
    }),
    text("account.name", "the account's name, such as alice", |scope| Some(scope.account().id.name.clone())),
    text("account.exchange", "binance, kucoin or coinbase", |scope| Some(scope.account().id.venue.as_str().into())),
    Field {
        name: "account.tags",
        meaning: "the tags it has in the configuration",
        get: Getter::Texts(|scope| {
            let id = &scope.account().id;
            Some(
                scope.tags.0.iter().filter(|(_, accounts)| accounts.contains(id)).map(|(tag, _)| tag.clone()).collect(),
            )
        }),
    },
    number("account.orders", "orders that traded, ever seen", |scope| Some(scope.account().orders as f64)),
    number("account.sessions", "sessions (ten-minute pauses between) that are over", |scope| {
        Some(f64::from(scope.account().sessions))
    }),
    number("account.pairs", "pairs it is remembered to have traded", |scope| {
        Some(scope.account().traded().count() as f64)
    }),
    number("account.holdings", "what it holds in dollars, at least", |scope| {
        scope.case.equity.map(|equity| equity * DOLLARS_A_UNIT)
    }),
    number("account.bought", "dollars spent on buys in five minutes", |scope| {
        Some(scope.account().spent(Side::Buy) * DOLLARS_A_UNIT)
    }),
    number("account.sold", "dollars of sells in five minutes", |scope| {
        Some(scope.account().spent(Side::Sell) * DOLLARS_A_UNIT)
    }),
    number("account.rate", "orders within a minute", |scope| Some(scope.account().rate())),
    truth("pair.new", "whether the account first traded it within the last day", |scope| Some(scope.case.new_pair)),
    time("pair.since", "time since the account first traded it", |scope| {
        Some(scope.case.time.since(scope.case.habit.first))
    }),
    number("pair.orders", "the account's orders in it, ever seen", |scope| Some(f64::from(scope.case.habit.orders))),
    number(
        "pair.lost",
        "dollars the account lost in it since a five-minute pause, against the price before",
        |scope| scope.dollars(float(scope.case.habit.episode.lost)),
    ),
    truth("pair.followed", "whether its market is followed now", |scope| Some(scope.followed().is_some())),
    truth("pair.young", "whether its market was followed for less than a day", |scope| {
        scope.followed().map(Pair::young)
    }),
    number("pair.price", "its last price", |scope| scope.followed().and_then(Pair::last_price).map(float)),
    number("pair.daily", "dollars that takers of the order's side spend in it a day", |scope| {
        let daily = scope.followed()?.daily_quote(scope.case.group.side);
        scope.dollars(daily)
    }),
    number("pair.cap", "market capitalisation of its base, in million dollars", |scope| {
        scope.case.cap.as_ref().map(|cap| float(cap.usd) / 1e6)
    }),
    number("pair.rank", "place of its base by market capitalisation", |scope| {
        scope.case.cap.as_ref().and_then(|cap| cap.rank).map(f64::from)
    }),
    truth("key.may_withdraw", "whether the watched key may take money out", |scope| scope.has_right(&Right::Withdraw)),
    truth("key.may_trade", "whether the watched key may trade", |scope| scope.has_right(&Right::Trade)),
    truth("key.open", "whether the watched key works from anywhere", |scope| {
        scope.keys.own().and_then(|key| key.open())
    }),
    term("terms.market", "market", "nats: what the market did at this order, after the account's habit of that"),
    term("terms.share_of_day", "share_of_day", "nats: the account's own weight in the pair"),
    term("terms.small_cap", "small_cap", "nats: a small asset that moves"),
    term("terms.pair_novelty", "pair_novelty", "nats: a new pair, by how often the account opens pairs"),
    term("terms.size", "size", "nats: five minutes' spending against the account's sessions"),
    term("terms.rate", "rate", "nats: a minute's orders against the account's sessions"),
    term("terms.round_trip_loss", "round_trip_loss", "nats: round trips that lose"),
    term("terms.sold_before", "sold_before", "nats: other holdings sold just before a buy"),
    term("terms.whole_balance", "whole_balance", "nats: nearly all of a balance at once"),
    term("terms.dormancy", "dormancy", "nats: a pause far longer than the account's pauses"),
    term("terms.probed", "probed", "nats: a tiny order tried the key within a week"),
    term("terms.cancelled_before", "cancelled_before", "nats: own orders cancelled in a burst just before"),
    term("terms.order_grammar", "order_grammar", "nats: a client order id unlike all before"),
    term("terms.order_source", "order_source", "nats: the exchange names a source not seen before"),
    term("terms.not_ours", "not_ours", "nats: your own systems' log does not name it"),
    term("terms.strange_place", "strange_place", "nats: the key was used from a strange place within minutes"),
];
