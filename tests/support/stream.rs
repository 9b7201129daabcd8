//! A made-up stream of arrivals: two accounts that trade, lose their feeds, are lied to and are robbed. The same seed
//! gives the same stream.

use std::collections::BTreeMap;

use fillguard::arrival::{Arrival, Body, Incoming};
use fillguard::domain::{Asset, Side, Span, Timestamp};
use fillguard::tune::frames::{self, Execution, Order};
use fillguard::tune::tape::Trade;
use rust_decimal::Decimal;

/// 2026-03-01T09:00:00Z.
const BEGIN: Timestamp = Timestamp::from_nanos(1_772_355_600_000_000_000);
const PAIRS: [(&str, i64); 3] = [("ETHBTC", 50_000), ("ADXBTC", 900), ("VIBBTC", 300)];

struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        // Knuth's MMIX multiplier; the high bits are the good ones.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

/// Returns `length` arrivals without numbers.
pub fn stream(seed: u64, length: usize) -> Vec<Incoming> {
    let mut dice = Dice(seed);
    let (mut at, mut out) = (BEGIN, Vec::new());
    let mut prices: BTreeMap<usize, i64> = PAIRS.iter().enumerate().map(|(place, pair)| (place, pair.1)).collect();
    let mut trade_id = 1_000;
    while out.len() < length {
        // Mostly seconds; now and then long enough for an incident to close.
        at = at + Span::from_secs(if dice.below(60) == 0 { 2_000 } else { 1 + dice.below(20) as i64 });
        let account = ["binance/alice", "binance/bob"][dice.below(2) as usize];
        let pair = dice.below(3) as usize;
        trade_id += 1;
        match dice.below(100) {
            0..50 => {
                let price = prices.get_mut(&pair).unwrap();
                *price = (*price + dice.below(7) as i64 - 3).max(10);
                let trade = print(at, *price, 1 + dice.below(40) as i64, &mut dice);
                let stream = format!("{}@trade", PAIRS[pair].0.to_lowercase());
                push(&mut out, at, "binance/market", frame(&frames::trade(&stream, PAIRS[pair].0, trade_id, &trade)));
            }
            50..70 => {
                let trade = print(at, prices[&pair], 1 + dice.below(9) as i64, &mut dice);
                push(&mut out, at, account, fill(pair, trade_id, &trade));
            }
            70..76 => {
                // The thief's planted offer: far above what the pair trades at.
                let mut trade = print(at, prices[&pair] * 4, 5_000 + dice.below(5_000) as i64, &mut dice);
                trade.taker = Side::Buy;
                push(&mut out, at, account, fill(pair, trade_id, &trade));
            }
            76..80 => push(&mut out, at, account, Body::Text(format!("<html>{trade_id}</html>"))),
            80..84 => push(&mut out, at, account, Body::LinkDown { why: "the connection was closed".into() }),
            84..90 => push(&mut out, at, account, Body::LinkUp),
            90..94 => {
                let since = at - Span::from_secs(dice.below(4_000) as i64);
                let body = Body::Filled { since, until: at, verified: dice.below(2) == 0 };
                push(&mut out, at, &format!("{account}/rest"), body);
            }
            94..97 => {
                let btc = Asset::new("BTC").unwrap();
                let owned = Decimal::new(1 + dice.below(900) as i64, 2);
                push(&mut out, at, account, frame(&frames::position(at.millis(), &[(&btc, owned, Decimal::ZERO)])));
            }
            _ => push(&mut out, at, "clock", Body::Tick),
        }
    }
    out
}

/// Numbers arrivals from 1.
#[allow(dead_code, reason = "not every test reads a stream as a recording")]
pub fn numbered(incoming: &[Incoming]) -> Vec<Arrival> {
    incoming.iter().cloned().zip(1..).map(|(incoming, n)| incoming.numbered(n)).collect()
}

fn push(out: &mut Vec<Incoming>, at: Timestamp, from: &str, body: Body) {
    out.push(Incoming { at, from: from.parse().unwrap(), body });
}

fn frame(text: &str) -> Body {
    Body::from_text(text.to_owned())
}

fn print(at: Timestamp, price: i64, amount: i64, dice: &mut Dice) -> Trade {
    let taker = if dice.below(2) == 0 { Side::Buy } else { Side::Sell };
    Trade { ms: at.millis(), taker, price: Decimal::new(price, 6), amount: Decimal::new(amount, 1) }
}

fn fill(pair: usize, id: u64, trade: &Trade) -> Body {
    let quote = trade.price * trade.amount;
    let fee_asset = Asset::new("BNB").unwrap();
    let client_id = format!("dca{id}");
    let order = Order {
        wire: PAIRS[pair].0,
        side: trade.taker,
        maker: false,
        client_id: &client_id,
        id,
        placed_ms: trade.ms,
        quantity: trade.amount,
        quote,
        limit: Decimal::ZERO,
    };
    let done = Execution {
        trade,
        id,
        quote,
        filled: trade.amount,
        filled_quote: quote,
        fee: Decimal::ZERO,
        fee_asset: &fee_asset,
    };
    frame(&frames::executed(&order, id, &done))
}
