//! An order and what surrounds it, as a rule is asked about it.

use crate::domain::{Price, Side, Span, Symbol, Timestamp};
use crate::engine::account::{Account, Group, PairHabit};
use crate::engine::pair::{Bar, Pair};
use crate::engine::rules::Case;

/// An account of so many orders and sessions, whose order of `btc` in a pair it never had met `market` nats.
pub struct Scene {
    pub account: Account,
    pub group: Group,
    pub habit: PairHabit,
    pub pair: Option<Pair>,
    pub dollar: Option<Pair>,
    pub equity: Option<f64>,
}

impl Scene {
    pub fn new(orders: u64, sessions: u32, btc: &str, market: f64) -> Self {
        let now = Timestamp::from_rfc3339("2026-03-01T13:30:00Z").unwrap();
        let mut account = Account::new("binance/alice".parse().unwrap());
        (account.orders, account.sessions) = (orders, sessions);
        let group = Group {
            order_id: "1".into(),
            symbol: Symbol::from_dashed("APPC-BTC").unwrap(),
            side: Side::Buy,
            first: now,
            last: now,
            quantity: "100".parse().unwrap(),
            notional: btc.parse().unwrap(),
            high: "0.005".parse().unwrap(),
            low: "0.005".parse().unwrap(),
            levels: 3,
            taker: true,
            market,
            strange: 0.0,
            strange_source: false,
            not_ours: false,
            n: 1,
        };
        let habit = PairHabit {
            first: now,
            last: now,
            orders: 1,
            episode: Default::default(),
            turn: Default::default(),
            traded: 0.0,
        };
        Scene { account, group, habit, pair: None, dollar: None, equity: None }
    }

    pub fn ask<T>(&self, question: impl FnOnce(&Case<'_>) -> T) -> T {
        question(&Case {
            account: &self.account,
            group: &self.group,
            habit: &self.habit,
            pair: self.pair.as_ref(),
            new_pair: true,
            time: self.group.last,
            n: 1,
            at: self.group.last,
            unit: 1.0,
            equity: self.equity,
            place: None,
            together: None,
            dollar: self.dollar.as_ref(),
            cap: None,
        })
    }
}

/// A day's candle at 0.005, in which a hundred trades spent 12.
pub fn bar() -> Bar {
    let price = Price::new("0.005".parse().unwrap()).unwrap();
    Bar {
        start: Timestamp::from_rfc3339("2026-02-28T12:00:00Z").unwrap(),
        span: Span::from_secs(86_400),
        high: price,
        low: price,
        close: price,
        quote: 12.0,
        taker_buy_quote: None,
        trades: Some(100),
    }
}

/// A pair with that candle behind it.
pub fn quiet() -> Pair {
    let mut pair = Pair::default();
    pair.seed(&bar());
    pair
}
