//! How the three exchanges spell what a story tells: their own field names and habits, values of our own.

#![allow(dead_code, reason = "each test tells other stories")]

use fillguard::domain::{Side, Timestamp};
use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::tale::{Deal, Dialect, Tale};

const OWN: i64 = 38;
const MARKET: i64 = 46;

/// An hour; `quote` changed hands.
pub struct Bar {
    pub start: i64,
    pub open: Decimal,
    pub close: Decimal,
    pub quote: Decimal,
}

/// Eight digits after the point, as Binance writes every amount.
fn eight(amount: Decimal) -> String {
    format!("{:.8}", amount)
}

fn plain(amount: Decimal) -> String {
    amount.normalize().to_string()
}

fn glued(pair: &str) -> String {
    pair.replace('-', "")
}

fn quote_of(pair: &str) -> &str {
    pair.split_once('-').unwrap().1
}

fn base_of(pair: &str) -> &str {
    pair.split_once('-').unwrap().0
}

fn upper(side: Side) -> &'static str {
    match side {
        Side::Buy => "BUY",
        Side::Sell => "SELL",
    }
}

fn rfc(ms: i64) -> String {
    Timestamp::from_millis(ms).to_string()
}

fn uuid(number: u64) -> String {
    format!("{:08x}-9a4b-4c1d-8e2f-{:012x}", 0x51a0_0000 + number, 0x7700_0000_0000_u64 + number * 7_919)
}

fn hex24(number: u64) -> String {
    format!("69a5{:020x}", 0x0b1e_0000_0000_u64 + number * 104_729)
}

pub fn candles(tale: &mut Tale, pair: &str, bars: &[Bar]) {
    let base = |bar: &Bar| plain((bar.quote / bar.close).round_dp(2));
    match tale.dialect {
        Dialect::Binance => {
            let row = |bar: &Bar| {
                let (high, low) = (bar.open.max(bar.close), bar.open.min(bar.close));
                json!([
                    bar.start,
                    plain(bar.open),
                    plain(high),
                    plain(low),
                    plain(bar.close),
                    base(bar),
                    bar.start + 3_599_999,
                    plain(bar.quote),
                    96,
                    plain((bar.quote / bar.close / Decimal::TWO).round_dp(2)),
                    plain((bar.quote / Decimal::TWO).round_dp(8)),
                    "0"
                ])
            };
            let rows: Vec<Value> = bars.iter().map(row).collect();
            let call = format!("klines?symbol={}&interval=1h&limit={}", glued(pair), rows.len());
            tale.page("binance/market/rest", &call, &rows.into());
        }
        Dialect::KucoinClassic | Dialect::KucoinUnified => {
            let row = |bar: &Bar| {
                let (high, low) = (bar.open.max(bar.close), bar.open.min(bar.close));
                let secs = (bar.start / 1_000).to_string();
                json!([secs, plain(bar.open), plain(bar.close), plain(high), plain(low), base(bar), plain(bar.quote)])
            };
            // Newest first.
            let rows: Vec<Value> = bars.iter().rev().map(row).collect();
            let call = format!("api/v1/market/candles?symbol={pair}&type=1hour");
            tale.page("kucoin/market/rest", &call, &json!({"code": "200000", "data": rows}));
        }
        Dialect::Coinbase => {
            let row = |bar: &Bar| {
                let (high, low) = (bar.open.max(bar.close), bar.open.min(bar.close));
                json!({"start": (bar.start / 1_000).to_string(), "low": plain(low), "high": plain(high),
                    "open": plain(bar.open), "close": plain(bar.close), "volume": base(bar)})
            };
            let rows: Vec<Value> = bars.iter().rev().map(row).collect();
            let call = format!("api/v3/brokerage/market/products/{pair}/candles?granularity=ONE_HOUR");
            tale.page("coinbase/market/rest", &call, &json!({"candles": rows}));
        }
    }
}

pub fn trade(tale: &mut Tale, side: Side, pair: &str, price: Decimal, quantity: Decimal, id: Option<u64>) {
    let (number, now) = (id.unwrap_or_else(|| tale.number()), tale.now);
    match tale.dialect {
        Dialect::Binance => {
            let stream = format!("{}@trade", glued(pair).to_lowercase());
            let frame = json!({"stream": stream, "data": {"e": "trade", "E": now + 1, "s": glued(pair),
                "t": 5_500_000 + number, "p": eight(price), "q": eight(quantity), "T": now, "m": side == Side::Sell,
                "M": true}});
            tale.frame("binance/market", &frame, MARKET);
        }
        Dialect::KucoinClassic | Dialect::KucoinUnified => {
            let frame = json!({"topic": format!("/market/match:{pair}"), "type": "message", "subject": "trade.l3match",
                "data": {"sequence": (88_000_000 + number).to_string(), "type": "match", "symbol": pair,
                    "side": side.as_str(), "price": plain(price), "size": plain(quantity),
                    "tradeId": (88_000_000 + number).to_string(), "takerOrderId": hex24(now as u64 % 1_000_000_007),
                    "makerOrderId": hex24(900_000 + number), "time": (now * 1_000_000).to_string()}});
            tale.frame("kucoin/market", &frame, MARKET);
        }
        Dialect::Coinbase => {
            let sequence = next(tale, "market");
            // The market's side is that of the order that waited.
            let frame = json!({"channel": "market_trades", "client_id": "", "timestamp": rfc(now + 5),
                "sequence_num": sequence, "events": [{"type": "update", "trades": [{"trade_id": (7_700_000 + number).to_string(),
                    "product_id": pair, "price": plain(price), "size": plain(quantity), "side": upper(side.opposite()),
                    "time": rfc(now)}]}]});
            tale.frame("coinbase/market", &frame, MARKET);
        }
    }
}

/// The next `sequence_num` of a connection of Coinbase.
fn next(tale: &mut Tale, connection: &str) -> u64 {
    let next = tale.sequence.entry(connection.into()).or_default();
    *next += 1;
    *next - 1
}

pub fn balances(tale: &mut Tale, who: &str, assets: &[(&str, &str)]) {
    let from = format!("{}/{who}/rest", tale.venue());
    match tale.dialect {
        Dialect::Binance => {
            let row = |(asset, free): &(&str, &str)| json!({"asset": asset, "free": free, "locked": "0.00000000"});
            let rows: Vec<Value> = assets.iter().map(row).collect();
            let frame = json!({"makerCommission": 10, "takerCommission": 10, "canTrade": true, "canWithdraw": false,
                "canDeposit": true, "updateTime": tale.now - 4_000, "accountType": "SPOT", "balances": rows,
                "permissions": ["SPOT"]});
            tale.page(&from, "account?omitZeroBalances=true", &frame);
        }
        Dialect::KucoinClassic | Dialect::KucoinUnified => {
            let row = |(asset, free): &(&str, &str)| {
                json!({"id": "548674591753", "currency": asset, "type": "trade", "balance": free, "available": free,
                    "holds": "0"})
            };
            let rows: Vec<Value> = assets.iter().map(row).collect();
            tale.page(&from, "api/v1/accounts", &json!({"code": "200000", "data": rows}));
        }
        Dialect::Coinbase => {
            let row = |(asset, free): &(&str, &str)| {
                json!({"uuid": uuid(asset.len() as u64), "name": format!("{asset} Wallet"), "currency": asset,
                    "available_balance": {"value": free, "currency": asset}, "default": true, "active": true,
                    "type": "ACCOUNT_TYPE_CRYPTO", "ready": true, "hold": {"value": "0", "currency": asset}})
            };
            let rows: Vec<Value> = assets.iter().map(row).collect();
            let frame = json!({"accounts": rows, "has_next": false, "cursor": "", "size": assets.len()});
            tale.page(&from, "api/v3/brokerage/accounts?limit=250", &frame);
        }
    }
}

pub fn past(tale: &mut Tale, who: &str, trades: &[(f64, &str, Side, Decimal, Decimal)]) {
    let from = format!("{}/{who}/rest", tale.venue());
    let now = tale.now;
    let mut pages: Vec<(String, Vec<Value>)> = Vec::new();
    for (ago, pair, side, price, quantity) in trades {
        let (number, time) = (tale.number(), now - (ago * 86_400_000.0) as i64);
        let row = match tale.dialect {
            Dialect::Binance => json!({"symbol": glued(pair), "id": 5_400_000 + number, "orderId": 80_000_000 + number,
                "orderListId": -1, "price": eight(*price), "qty": eight(*quantity), "quoteQty": eight(price * quantity),
                "commission": eight(price * quantity / Decimal::from(1_000)), "commissionAsset": quote_of(pair),
                "time": time, "isBuyer": *side == Side::Buy, "isMaker": false, "isBestMatch": true}),
            Dialect::KucoinClassic | Dialect::KucoinUnified => json!({"id": 19_000_000 + number, "symbol": pair,
                "tradeId": 15_000_000 + number, "orderId": hex24(number), "counterOrderId": hex24(number + 500_000),
                "side": side.as_str(), "liquidity": "taker", "forceTaker": false, "price": plain(*price),
                "size": plain(*quantity), "funds": plain(price * quantity),
                "fee": plain((price * quantity / Decimal::from(1_000)).round_dp(10)), "feeRate": "0.001",
                "feeCurrency": quote_of(pair), "stop": "", "tradeType": "TRADE", "type": "market", "createdAt": time}),
            Dialect::Coinbase => json!({"entry_id": uuid(number + 600_000), "trade_id": uuid(number + 700_000),
                "order_id": uuid(number), "trade_time": rfc(time), "trade_type": "FILL", "price": plain(*price),
                "size": plain(*quantity), "commission": plain((price * quantity / Decimal::from(250)).round_dp(8)),
                "product_id": pair, "sequence_timestamp": rfc(time), "liquidity_indicator": "TAKER",
                "size_in_quote": false, "user_id": "2d1f9c0a", "side": upper(*side)}),
        };
        match pages.last_mut().filter(|page| page.0 == *pair || tale.dialect == Dialect::Coinbase) {
            Some(page) => page.1.push(row),
            None => pages.push(((*pair).into(), vec![row])),
        }
    }
    for (pair, mut rows) in pages {
        match tale.dialect {
            Dialect::Binance => {
                tale.page(&from, &format!("myTrades?symbol={}&limit=1000", glued(&pair)), &rows.into());
            }
            Dialect::KucoinClassic | Dialect::KucoinUnified => {
                rows.reverse();
                let frame = json!({"code": "200000", "data": {"items": rows, "lastId": 19_000_001}});
                tale.page(&from, &format!("api/v1/hf/fills?symbol={pair}&limit=100"), &frame);
            }
            Dialect::Coinbase => {
                rows.reverse();
                let frame = json!({"fills": rows, "cursor": ""});
                tale.page(&from, "api/v3/brokerage/orders/historical/fills?limit=250", &frame);
            }
        }
    }
}

pub fn deal(tale: &mut Tale, deal: &Deal) {
    let from = format!("{}/{}", tale.venue(), deal.who);
    let order = tale.number();
    let client = deal.client_id.clone().unwrap_or_else(|| match tale.dialect {
        Dialect::Binance => format!("web_{:024x}", order * 7_368_787),
        Dialect::KucoinClassic | Dialect::KucoinUnified | Dialect::Coinbase => uuid(order + 300_000),
    });
    let late = OWN + (deal.late * 1_000.0) as i64;
    let numbers: Vec<u64> = deal.fills.iter().map(|_| tale.number()).collect();
    // Where the account's own frames are late, the market's come first.
    if deal.shown && deal.late > 0.0 {
        shown(tale, deal, &numbers);
    }
    match tale.dialect {
        Dialect::Binance => binance(tale, deal, &from, order, &client, &numbers, late),
        Dialect::KucoinClassic => classic(tale, deal, &from, order, &client, &numbers, late),
        Dialect::KucoinUnified => unified(tale, deal, &from, order, &client, &numbers, late),
        Dialect::Coinbase => coinbase(tale, deal, &from, order, &client, late),
    }
    if deal.shown && deal.late <= 0.0 {
        shown(tale, deal, &numbers);
    }
}

fn shown(tale: &mut Tale, deal: &Deal, numbers: &[u64]) {
    let taker = if deal.maker { deal.side.opposite() } else { deal.side };
    for ((price, quantity), number) in deal.fills.iter().zip(numbers) {
        trade(tale, taker, &deal.pair, *price, *quantity, Some(*number));
    }
}

fn binance(tale: &mut Tale, deal: &Deal, from: &str, order: u64, client: &str, numbers: &[u64], late: i64) {
    let now = tale.now;
    let (whole, limit) = (deal.quantity(), deal.fills.last().unwrap().0);
    let kind = if deal.maker { "LIMIT" } else { "MARKET" };
    let (mut done, mut cost) = (Decimal::ZERO, Decimal::ZERO);
    let report = |what: &str, status: &str, fill: Option<(Decimal, Decimal, u64)>, done: Decimal, cost: Decimal| {
        let (price, quantity, trade) = fill.map_or((Decimal::ZERO, Decimal::ZERO, -1), |(p, q, t)| (p, q, t as i64));
        let fee = if trade < 0 { Value::Null } else { json!(quote_of(&deal.pair)) };
        json!({"subscriptionId": 0, "event": {"e": "executionReport", "E": now + 1, "s": glued(&deal.pair), "c": client,
            "S": upper(deal.side), "o": kind, "f": "GTC", "q": eight(whole),
            "p": if deal.maker { eight(limit) } else { eight(Decimal::ZERO) }, "P": "0.00000000", "F": "0.00000000",
            "g": -1, "C": "", "x": what, "X": status, "r": "NONE", "i": 81_000_000 + order, "l": eight(quantity),
            "z": eight(done), "L": eight(price), "n": eight(price * quantity / Decimal::from(1_000)), "N": fee, "T": now,
            "t": if trade < 0 { -1 } else { 5_500_000 + trade }, "I": 160_000_000 + order * 10 + numbers.len() as u64,
            "w": what == "NEW", "m": deal.maker && trade >= 0, "M": trade >= 0, "O": now, "Z": eight(cost),
            "Y": eight(price * quantity), "Q": "0.00000000", "W": now, "V": "NONE"}})
    };
    let accepted = report("NEW", "NEW", None, done, cost);
    tale.frame(from, &accepted, late);
    for ((price, quantity), number) in deal.fills.iter().zip(numbers) {
        done += quantity;
        cost += price * quantity;
        let status = if done == whole { "FILLED" } else { "PARTIALLY_FILLED" };
        let filled = report("TRADE", status, Some((*price, *quantity, *number)), done, cost);
        tale.frame(from, &filled, late);
    }
    let (base, quote) = tale.book(deal);
    let position = json!({"subscriptionId": 0, "event": {"e": "outboundAccountPosition", "E": now + 1, "u": now, "B": [
        {"a": base_of(&deal.pair), "f": eight(base), "l": "0.00000000"},
        {"a": quote_of(&deal.pair), "f": eight(quote), "l": "0.00000000"}]}});
    tale.frame(from, &position, late);
}

fn classic(tale: &mut Tale, deal: &Deal, from: &str, order: u64, client: &str, numbers: &[u64], late: i64) {
    let now = tale.now;
    let whole = deal.quantity();
    let kind = if deal.maker { "limit" } else { "market" };
    let mut done = Decimal::ZERO;
    let message = |data: Value| {
        json!({"topic": "/spotMarket/tradeOrdersV2", "type": "message", "subject": "orderChange",
            "userId": "64a1c20f", "channelType": "private", "data": data})
    };
    let base = |what: &str, status: &str, done: Decimal| {
        json!({"symbol": deal.pair, "orderType": kind, "side": deal.side.as_str(), "orderId": hex24(order),
            "type": what, "orderTime": now - 2, "size": plain(whole), "filledSize": plain(done), "price": "0",
            "clientOid": client, "remainSize": plain(whole - done), "status": status, "ts": now * 1_000_000})
    };
    tale.frame(from, &message(base("received", "new", done)), late);
    for ((price, quantity), number) in deal.fills.iter().zip(numbers) {
        done += quantity;
        let mut data = base("match", if deal.maker { "open" } else { "match" }, done);
        data["liquidity"] = json!(if deal.maker { "maker" } else { "taker" });
        data["feeType"] = json!(if deal.maker { "makerFee" } else { "takerFee" });
        data["matchPrice"] = json!(plain(*price));
        data["matchSize"] = json!(plain(*quantity));
        data["tradeId"] = json!((88_000_000 + number).to_string());
        tale.frame(from, &message(data), late);
    }
    tale.frame(from, &message(base("filled", "done", done)), late);
    let (_, quote) = tale.book(deal);
    let wallet = json!({"topic": "/account/balance", "type": "message", "subject": "account.balance",
        "id": (354_689_000 + order).to_string(), "userId": "64a1c20f", "channelType": "private",
        "data": {"accountId": "548674591753", "currency": quote_of(&deal.pair), "total": plain(quote),
            "available": plain(quote), "hold": "0", "availableChange": plain(-deal.notional()), "holdChange": "0",
            "relationContext": {"symbol": deal.pair, "orderId": hex24(order)}, "relationEvent": "trade.setted",
            "relationEventId": (354_689_000 + order).to_string(), "time": now.to_string()}});
    tale.frame(from, &wallet, late);
}

fn unified(tale: &mut Tale, deal: &Deal, from: &str, order: u64, client: &str, numbers: &[u64], late: i64) {
    let now = tale.now;
    let id = (476_907_831_000_000_000 + order).to_string();
    let push = |channel: &str, d: Value| json!({"T": channel, "P": (now + 9) * 1_000_000, "d": d});
    let kind = if deal.maker { "LIMIT" } else { "MARKET" };
    let opened = json!({"tT": "SPOT", "oi": id, "ci": client, "os": 2, "eT": "OPEN", "s": deal.pair,
        "S": upper(deal.side), "oT": kind, "p": "0", "q": plain(deal.quantity()), "qU": "BASECCY", "fS": "0",
        "cS": "0", "cR": "", "oS": "USER", "O": now * 1_000_000, "U": now * 1_000_000});
    tale.frame(from, &push("orderAll.UNIFIED", opened), late);
    for ((price, quantity), number) in deal.fills.iter().zip(numbers) {
        let d = json!({"oi": id, "s": deal.pair, "S": upper(deal.side), "oT": kind, "p": plain(*price),
            "q": plain(*quantity), "ti": (22_221_471_000_000_000 + number).to_string(), "E": now * 1_000_000,
            "lR": if deal.maker { "MAKER" } else { "TAKER" }, "f": plain((price * quantity / Decimal::from(1_000)).round_dp(10)),
            "fC": quote_of(&deal.pair), "fT": "NORMAL", "ci": client, "fP": ""});
        tale.frame(from, &push("execution.UNIFIED", d), late);
    }
    let (base, quote) = tale.book(deal);
    for (asset, amount) in [(base_of(&deal.pair), base), (quote_of(&deal.pair), quote)] {
        let d = json!({"U": (now + 3) * 1_000_000, "a": plain(amount), "b": plain(amount), "c": asset,
            "e": plain(amount), "h": "0", "l": "0", "cS": "1"});
        tale.frame(from, &push("balance.UNIFIED", d), late);
    }
}

/// Running totals: one message for the order and one a fill.
fn coinbase(tale: &mut Tale, deal: &Deal, from: &str, order: u64, client: &str, late: i64) {
    let (now, whole) = (tale.now, deal.quantity());
    let kind = if deal.maker { "Limit" } else { "Market" };
    let (mut done, mut cost) = (Decimal::ZERO, Decimal::ZERO);
    let steps = std::iter::once(None).chain(deal.fills.iter().map(Some));
    for (count, step) in steps.enumerate() {
        if let Some((price, quantity)) = step {
            done += quantity;
            cost += price * quantity;
        }
        let average = if done.is_zero() { done } else { (cost / done).round_dp(8) };
        let status = if done == whole { "FILLED" } else { "OPEN" };
        let sequence = next(tale, &deal.who);
        let frame = json!({"channel": "user", "client_id": "", "timestamp": rfc(now + 12), "sequence_num": sequence,
            "events": [{"type": "update", "orders": [{"order_id": uuid(order), "client_order_id": client,
                "cumulative_quantity": plain(done), "leaves_quantity": plain(whole - done),
                "avg_price": plain(average), "total_fees": plain((cost / Decimal::from(250)).round_dp(8)),
                "status": status, "product_id": deal.pair, "creation_time": rfc(now), "order_side": upper(deal.side),
                "order_type": kind, "cancel_reason": "", "reject_reason": "", "filled_value": plain(cost),
                "number_of_fills": count.to_string(), "product_type": "SPOT", "time_in_force": "IMMEDIATE_OR_CANCEL",
                "trigger_status": "INVALID_ORDER_TYPE", "completion_percentage": plain((done / whole * Decimal::ONE_HUNDRED).round_dp(2))}]}]});
        tale.frame(from, &frame, late);
    }
    tale.book(deal);
}

/// List Fills of Coinbase for a deal that the `user` channel told as running totals; `order` is the deal's number.
pub fn list_fills(tale: &mut Tale, deal: &Deal, order: u64) {
    let now = tale.now;
    let row = |(place, (price, quantity)): (usize, &(Decimal, Decimal))| {
        json!({"entry_id": uuid(order + 810_000 + place as u64), "trade_id": uuid(order + 820_000 + place as u64),
            "order_id": uuid(order), "trade_time": rfc(now), "trade_type": "FILL", "price": plain(*price),
            "size": plain(*quantity), "commission": plain((price * quantity / Decimal::from(250)).round_dp(8)),
            "product_id": deal.pair, "sequence_timestamp": rfc(now), "liquidity_indicator": "TAKER",
            "size_in_quote": false, "user_id": "2d1f9c0a", "side": upper(deal.side)})
    };
    let mut rows: Vec<Value> = deal.fills.iter().enumerate().map(row).collect();
    rows.reverse();
    let from = format!("coinbase/{}/rest", deal.who);
    let call = format!("api/v3/brokerage/orders/historical/fills?order_ids={}", uuid(order));
    tale.page(&from, &call, &json!({"fills": rows, "cursor": ""}));
}
