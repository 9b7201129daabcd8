//! Orders, fills and balances as KuCoin's two feeds and its REST answers write them.

use rust_decimal::Decimal;
use serde_json::{Value, json};

use crate::domain::{Timestamp, Venue};
use crate::simulate::spelling::{self, capitals, kucoin_trade_id, small};
use crate::simulate::world::{Account, Changed, Fill, Order, OrderKind, OrderNews, Pair, Status, Step};

/// Writes an amount without trailing zeros.
pub fn plain(amount: Decimal) -> String {
    amount.normalize().to_string()
}

/// Returns the classic `orderChange` of a step; V1 of the topic does not tell that an order was received.
pub fn order_change(pair: &Pair, owner: &Account, news: &OrderNews, topic: &str) -> Option<Value> {
    let order = &news.order;
    let limit = order.kind == OrderKind::Limit;
    let mut data = json!({
        "symbol": pair.spelled(), "orderType": kind(order), "side": small(order.side), "orderId": order_id(order),
        "orderTime": order.created.millis(), "clientOid": order.client_id, "originSize": plain(order.quantity),
        "ts": news.time.nanos(),
    });
    let (step, status) = match &news.step {
        Step::Received if topic.ends_with("V2") => ("received", "new"),
        Step::Opened => ("open", "open"),
        // An order that rested is `open` while it fills, a taker's is `match`: the maker flag that can be trusted
        // beside `feeType`.
        Step::Filled(fill) => ("match", if fill.maker { "open" } else { "match" }),
        Step::Done => ("filled", "done"),
        Step::Cancelled => ("canceled", "done"),
        Step::Received => return None,
    };
    let fields = data.as_object_mut()?;
    let mut put = |name: &str, value: Value| drop(fields.insert(name.to_owned(), value));
    put("type", json!(step));
    put("status", json!(status));
    if let Some(funds) = order.funds {
        put("originFunds", json!(plain(funds)));
    }
    if let Some(limit) = order.limit {
        put("price", json!(plain(limit)));
    }
    if step != "received" {
        let rest = order.quantity - order.filled;
        put("size", json!(plain(order.quantity)));
        put("filledSize", json!(plain(order.filled)));
        put("remainSize", json!(plain(if step == "canceled" { Decimal::ZERO } else { rest })));
        put("canceledSize", json!(plain(if step == "canceled" { rest } else { Decimal::ZERO })));
    }
    if let Step::Filled(fill) = &news.step {
        put("matchPrice", json!(plain(fill.price)));
        put("matchSize", json!(plain(fill.quantity)));
        put("tradeId", json!(trade_id(fill)));
        put("feeType", json!(if fill.maker { "makerFee" } else { "takerFee" }));
        put("liquidity", json!(if fill.maker { "maker" } else { "taker" }));
    }
    if limit && step == "open" {
        put("liquidity", json!("maker"));
    }
    Some(json!({
        "topic": topic, "type": "message", "subject": "orderChange", "userId": user_id(owner),
        "channelType": "private", "data": data,
    }))
}

/// Returns the classic `account.balance` of one changed holding.
pub fn balance(pair: &Pair, owner: &Account, news: &OrderNews, row: &Changed) -> Value {
    let mut context = json!({"symbol": pair.spelled(), "orderId": order_id(&news.order)});
    let event = match &news.step {
        Step::Filled(fill) => {
            context["tradeId"] = json!(trade_id(fill));
            "trade_hf.setted"
        }
        Step::Received | Step::Opened | Step::Done | Step::Cancelled => "trade_hf.hold",
    };
    let id = (news.time.nanos() / 1_000).to_string();
    json!({
        "topic": "/account/balance", "type": "message", "subject": "account.balance", "id": id,
        "userId": user_id(owner), "channelType": "private",
        "data": {
            "accountId": account_id(owner, &row.asset), "currency": row.asset, "total": plain(row.now.free + row.now.locked),
            "available": plain(row.now.free), "hold": plain(row.now.locked), "availableChange": plain(row.free),
            "holdChange": plain(row.locked), "relationContext": context, "relationEvent": event,
            "relationEventId": id, "time": news.time.millis().to_string(),
        }
    })
}

/// Returns the unified feed's `execution`.
pub fn execution(pair: &Pair, order: &Order, fill: &Fill) -> Value {
    json!({
        "oi": order_id(order), "s": pair.spelled(), "S": capitals(fill.side), "oT": kind(order).to_uppercase(),
        "p": plain(fill.price), "q": plain(fill.quantity), "ti": trade_id(fill), "E": fill.time.nanos(),
        "lR": if fill.maker { "MAKER" } else { "TAKER" }, "f": plain(fill.fee), "fC": fill.fee_asset, "fT": "NORMAL",
        "ci": order.client_id, "fP": "",
    })
}

/// Returns the unified feed's `execution.lite`, whose trade id is a number beyond 2^53.
pub fn execution_lite(pair: &Pair, order: &Order, fill: &Fill) -> Value {
    json!({
        "p": plain(fill.price), "q": plain(fill.quantity), "s": pair.spelled(), "S": capitals(fill.side),
        "ti": kucoin_trade_id(fill.trade_id), "E": fill.time.nanos(), "oT": kind(order).to_uppercase(),
        "lR": if fill.maker { "MAKER" } else { "TAKER" }, "oi": order_id(order),
    })
}

/// Returns the unified feed's `orderAll`.
pub fn order_all(pair: &Pair, news: &OrderNews) -> Option<Value> {
    let order = &news.order;
    let (event, state) = match &news.step {
        Step::Received | Step::Opened => ("OPEN", 2),
        Step::Filled(_) if order.status == Status::Filled => ("FILL", 3),
        Step::Filled(_) => ("MATCH", 4),
        Step::Cancelled => ("CANCEL", 5),
        Step::Done => return None,
    };
    let fill = match &news.step {
        Step::Filled(fill) => Some(fill),
        Step::Received | Step::Opened | Step::Cancelled | Step::Done => None,
    };
    Some(json!({
        "O": order.created.nanos(), "U": news.time.nanos(), "S": capitals(order.side), "s": pair.spelled(),
        "f": plain(order.fees), "fC": order.fee_asset, "p": order.limit.map(plain).unwrap_or_default(),
        "q": plain(order.quantity), "aP": plain(order.average().round_dp(10)), "cR": "",
        "cS": plain(if state == 5 { order.quantity - order.filled } else { Decimal::ZERO }), "ci": order.client_id,
        "eT": event, "fS": plain(order.filled), "lR": fill.map_or("", |fill| if fill.maker { "MAKER" } else { "TAKER" }),
        "lS": fill.map_or("0".to_owned(), |fill| plain(fill.quantity)),
        "ls": fill.map_or("0".to_owned(), |fill| plain(fill.price)), "oS": source(order).1,
        "oT": kind(order).to_uppercase(), "oi": order_id(order), "os": state, "pO": false, "qU": "BASECCY", "rO": false,
        "rS": plain(order.quantity - order.filled), "tT": "SPOT", "ti": fill.map(trade_id).unwrap_or_default(),
        "tIF": "GTC", "stp": "",
    }))
}

/// Returns a row of `hf/fills`, whose trade id is a number.
pub fn fill_row(pair: &Pair, fill: &Fill, created: Timestamp) -> Value {
    json!({
        "id": row_id(fill), "orderId": spelling::order_id(Venue::Kucoin, fill.order_id, created),
        "counterOrderId": spelling::order_id(Venue::Kucoin, fill.trade_id, fill.time),
        "tradeId": kucoin_trade_id(fill.trade_id), "symbol": pair.spelled(), "side": small(fill.side),
        "liquidity": if fill.maker { "maker" } else { "taker" }, "type": if fill.market { "market" } else { "limit" },
        "forceTaker": false, "price": plain(fill.price), "size": plain(fill.quantity), "funds": plain(fill.quote),
        "fee": plain(fill.fee), "feeRate": "0.001", "feeCurrency": fill.fee_asset, "stop": "", "tradeType": "TRADE",
        "taxRate": "0", "tax": "0", "createdAt": fill.time.millis(),
    })
}

/// Returns an order as the order queries give it.
pub fn order_row(pair: &Pair, order: &Order) -> Value {
    json!({
        "id": order_id(order), "symbol": pair.spelled(), "opType": "DEAL", "type": kind(order), "side": small(order.side),
        "price": plain(order.limit.unwrap_or_default()), "size": plain(order.quantity),
        "funds": plain(order.funds.unwrap_or_default()), "dealSize": plain(order.filled),
        "dealFunds": plain(order.filled_quote), "fee": plain(order.fees), "feeCurrency": pair.quote(), "stp": null,
        "timeInForce": "GTC", "postOnly": false, "hidden": false, "iceberg": false, "visibleSize": "0",
        "cancelAfter": 0, "channel": source(order).0, "clientOid": order.client_id, "remark": null, "tags": null,
        "cancelExist": order.status == Status::Cancelled, "createdAt": order.created.millis(),
        "lastUpdatedAt": order.updated.millis(), "tradeType": "TRADE", "inOrderBook": order.is_open(),
        "cancelledSize": "0", "cancelledFunds": "0", "remainSize": plain(order.quantity - order.filled),
        "remainFunds": "0", "tax": "0", "active": order.is_open(),
    })
}

/// Returns an order's id.
pub fn order_id(order: &Order) -> String {
    spelling::order_id(Venue::Kucoin, order.id, order.created)
}

/// Returns a trade's id as the feeds spell it.
pub fn trade_id(fill: &Fill) -> String {
    kucoin_trade_id(fill.trade_id).to_string()
}

/// Returns the running number that pages of fills go by: larger for later fills.
pub fn row_id(fill: &Fill) -> i64 {
    19_814_000_000_000 + i64::try_from(fill.serial).unwrap_or(0)
}

/// Returns the number of an account's purse of one currency.
pub fn account_id(owner: &Account, asset: &str) -> String {
    let sum: u64 = asset.bytes().map(u64::from).sum();
    (owner.uid * 1_000 + sum).to_string()
}

fn user_id(owner: &Account) -> String {
    format!("{:024x}", owner.uid)
}

fn source(order: &Order) -> (&'static str, &'static str) {
    if order.by_hand { ("WEB", "WEB") } else { ("API", "USER") }
}

fn kind(order: &Order) -> &'static str {
    match order.kind {
        OrderKind::Market => "market",
        OrderKind::Limit => "limit",
    }
}
