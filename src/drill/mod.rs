//! A mock attack: invented frames of one account and its market, such as its exchange would send.
//!
//! The account has an invented past in them, so that the verdict depends on the rules alone and not on what the real
//! account happens to do; nothing of the real one is needed, and nothing is known of it afterwards.

mod spelling;

use rust_decimal::Decimal;
use serde_json::json;
use serde_json::value::RawValue;

use self::spelling::{Order, Spelling};
use crate::arrival::{Body, Source};
use crate::domain::{AccountId, Attack, Side, Span, Timestamp};

/// An invented arrival.
pub type Mock = (Timestamp, Source, Box<RawValue>);

/// What everything is paid with, at every exchange.
const QUOTE: &str = "USDT";
/// A coin that nobody lists.
const COIN: &str = "DRILL";
/// What the account holds of `QUOTE`.
const PURSE: i64 = 20_000;
/// Days of the past, with an order each.
const DAYS: i64 = 40;
/// Hours of the thin pair's market, with a trade each ten minutes.
const HOURS: i64 = 30;
/// What the account holds beside: the asset, what one costs, and how much of it.
const HOLDINGS: [(&str, i64, i64); 4] = [("ETH", 3_000, 2), ("LINK", 15, 200), ("ADA", 1, 2_500), ("SOL", 150, 20)];

/// Returns the frames of an attack on an account that ends at `at`, oldest first.
pub fn act_out(account: &AccountId, attack: Attack, at: Timestamp) -> Vec<Mock> {
    let mut scene = Scene { spelling: Spelling::new(account.clone()), mocks: Vec::new(), now: at, number: 0 };
    match attack {
        Attack::Pump => scene.pump(at),
        Attack::Churn => scene.churn(at),
        Attack::Liquidation => scene.liquidation(at),
        Attack::Address => scene.address(at),
    }
    scene.mocks
}

struct Scene {
    spelling: Spelling,
    mocks: Vec<Mock>,
    now: Timestamp,
    number: u64,
}

fn secs(seconds: i64) -> Span {
    Span::from_secs(seconds)
}

impl Scene {
    /// An account that buys a little of what it holds each day.
    fn past(&mut self, end: Timestamp) {
        self.now = end - secs(DAYS * 86_400);
        let held: Vec<(&str, Decimal)> =
            HOLDINGS.iter().map(|(asset, _, held)| (*asset, Decimal::from(*held))).collect();
        let purse = [(QUOTE, Decimal::from(PURSE))];
        for (asset, amount) in purse.into_iter().chain(held) {
            self.holds(asset, amount);
        }
        for day in 0..DAYS {
            self.now = end - secs((DAYS - day) * 86_400 - day % 5 * 1_800);
            let (asset, price, _) = HOLDINGS[usize::try_from(day).unwrap_or(0) % HOLDINGS.len()];
            let price = Decimal::from(price);
            self.trade(asset, Side::Sell, price, Decimal::from(150) / price);
            self.order("rebalance", Side::Buy, asset, price, Decimal::from(150) / price, true);
        }
    }

    /// A pair in which little happens.
    fn market(&mut self, end: Timestamp, price: Decimal) {
        for place in 0..HOURS * 6 {
            self.now = end - secs((HOURS * 6 - place) * 600);
            // A thousandth up and down: a pair whose price never moves would make any move monstrous.
            let around = price * Decimal::from(1_000 + place * 7 % 5 - 2) / Decimal::from(1_000);
            let side = if place % 2 == 0 { Side::Buy } else { Side::Sell };
            self.trade(COIN, side, around, Decimal::from(30 + place * 11 % 17) / around);
        }
    }

    fn pump(&mut self, end: Timestamp) {
        let price = Decimal::new(200, 4);
        self.past(end - secs((HOURS + 1) * 3_600));
        self.market(end - secs(60), price);
        for place in 1..=12 {
            self.now = end - secs(30) + Span::from_millis(place * 1_200);
            let raised = price * Decimal::from(100 + 6 * place) / Decimal::ONE_HUNDRED;
            self.trade(COIN, Side::Buy, raised, Decimal::from(700) / raised);
        }
        for place in 0..4 {
            self.now = end - secs(12) + secs(place * 4);
            let dear = price * Decimal::from(175 + 8 * place) / Decimal::ONE_HUNDRED;
            self.order("x", Side::Buy, COIN, dear, Decimal::from(4_000) / dear, false);
        }
    }

    fn churn(&mut self, end: Timestamp) {
        let price = Decimal::new(200, 4);
        self.past(end - secs((HOURS + 1) * 3_600));
        self.market(end - secs(120), price);
        for place in 0..16 {
            self.now = end - secs(64) + secs(place * 4);
            let (side, percent) = if place % 2 == 0 { (Side::Buy, 106) } else { (Side::Sell, 94) };
            let at = price * Decimal::from(percent) / Decimal::ONE_HUNDRED;
            self.order("x", side, COIN, at, Decimal::from(150_000), false);
        }
    }

    fn liquidation(&mut self, end: Timestamp) {
        self.past(end - secs(7_200));
        for (place, (asset, price, held)) in (0..).zip(HOLDINGS) {
            self.now = end - secs(40) + secs(place * 10);
            self.trade(asset, Side::Buy, Decimal::from(price), Decimal::ONE);
            self.now = self.now + secs(1);
            self.order("x", Side::Sell, asset, Decimal::from(price), Decimal::from(held), false);
            self.holds(asset, Decimal::ZERO);
        }
    }

    /// Documentation addresses (RFC 5737): they belong to nobody.
    fn address(&mut self, end: Timestamp) {
        let (home, away) = ("198.51.100.7", "203.0.113.77");
        self.past(end - secs(7_200));
        for day in 0..DAYS {
            self.now = end - secs((DAYS - day) * 86_400 - 3_600);
            self.used_from(home);
        }
        for place in 0..12 {
            self.now = end - secs(330) + secs(place * 30);
            self.used_from(if place % 2 == 0 { home } else { away });
        }
    }

    fn number(&mut self) -> u64 {
        self.number += 1;
        self.number
    }

    fn trade(&mut self, asset: &str, taker: Side, price: Decimal, quantity: Decimal) {
        let (number, now) = (self.number(), self.now);
        let text = self.spelling.trade((asset, QUOTE), number, now, taker, (price.round_dp(8), quantity.round_dp(8)));
        self.push(Source::Market(self.spelling.account.venue), text);
    }

    fn order(&mut self, named: &str, side: Side, asset: &str, price: Decimal, quantity: Decimal, maker: bool) {
        let number = self.number();
        let (price, quantity) = (price.round_dp(8), quantity.round_dp(8));
        let client_id =
            if maker { format!("{named}-{number:05}") } else { format!("{named}{:016x}", number * 0x9e37_79b9) };
        let order =
            Order { pair: (asset, QUOTE), side, maker, client_id: &client_id, number, at: self.now, price, quantity };
        for text in self.spelling.order(&order) {
            self.push(Source::Account(self.spelling.account.clone()), text);
        }
        if !maker {
            // The market shows what a taker takes.
            self.trade(asset, side, price, quantity);
        }
    }

    fn holds(&mut self, asset: &str, amount: Decimal) {
        if let Some(text) = self.spelling.holds(asset, amount, self.now) {
            self.push(Source::Account(self.spelling.account.clone()), text);
        }
    }

    fn used_from(&mut self, ip: &str) {
        let line =
            json!({"time": self.now.to_string(), "account": self.spelling.account.to_string(), "remote_addr": ip});
        self.push(Source::Access("drill".into()), line.to_string());
    }

    /// Keeps the order of times: what is told of the key's use comes between the orders.
    fn push(&mut self, from: Source, text: String) {
        let Ok(frame) = Body::json(text) else { return };
        let place = self.mocks.partition_point(|(at, ..)| *at <= self.now);
        self.mocks.insert(place, (self.now, from, frame));
    }
}

#[cfg(test)]
mod tests;
