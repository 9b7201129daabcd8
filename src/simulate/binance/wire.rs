//! Orders, fills and balances as Binance writes them.

use rust_decimal::Decimal;
use serde_json::{Value, json};

use crate::domain::{Side, Timestamp};
use crate::simulate::spelling::capitals;
use crate::simulate::world::{Account, Changed, Fill, Order, OrderKind, OrderNews, Pair, Status, Step, World};

/// Writes an amount with eight decimals.
pub fn eight(amount: Decimal) -> String {
    format!("{amount:.8}")
}

/// Returns the account feed's events for a change of an order, oldest first.
pub fn events(world: &World, news: &OrderNews) -> Vec<Value> {
    let Some(pair) = world.pairs.get(news.order.pair) else { return Vec::new() };
    let report = |step: &str, fill: Option<&Fill>| execution_report(pair, &news.order, step, fill, news.time);
    let mut events = match &news.step {
        Step::Received => vec![report("NEW", None)],
        Step::Filled(fill) => vec![report("TRADE", Some(fill))],
        Step::Cancelled => vec![report("CANCELED", None)],
        Step::Opened | Step::Done => Vec::new(),
    };
    if !news.changed.is_empty() {
        events.push(position(&news.changed, news.time));
    }
    events
}

fn execution_report(pair: &Pair, order: &Order, step: &str, fill: Option<&Fill>, time: Timestamp) -> Value {
    let cancelled = step == "CANCELED";
    // An order that is only being taken has not filled yet, whatever its totals say by now.
    let status = if step == "NEW" { "NEW" } else { status(order.status) };
    let zero = Decimal::ZERO;
    json!({
        "e": "executionReport", "E": time.millis(), "s": pair.spelled(),
        "c": if cancelled { format!("cancel-{}", order.id) } else { order.client_id.clone() },
        "S": capitals(order.side), "o": kind(order.kind), "f": "GTC",
        "q": eight(order.quantity), "p": eight(order.limit.unwrap_or(zero)), "P": eight(zero), "F": eight(zero),
        "g": -1, "C": if cancelled { order.client_id.as_str() } else { "" },
        "x": step, "X": status, "r": "NONE", "i": order.id,
        "l": eight(fill.map_or(zero, |fill| fill.quantity)), "z": eight(order.filled),
        "L": eight(fill.map_or(zero, |fill| fill.price)),
        "n": fill.map_or("0".to_owned(), |fill| eight(fill.fee)), "N": fill.map(|fill| fill.fee_asset.clone()),
        "T": time.millis(), "t": fill.map_or(-1, |fill| i64::try_from(fill.trade_id).unwrap_or(-1)),
        "I": order.id.wrapping_mul(64) + u64::from(order.fills), "w": order.kind == OrderKind::Limit && order.is_open(),
        "m": fill.is_some_and(|fill| fill.maker), "M": false, "O": order.created.millis(),
        "Z": eight(order.filled_quote), "Y": eight(fill.map_or(zero, |fill| fill.quote)),
        "Q": eight(order.funds.unwrap_or(zero)), "W": order.created.millis(), "V": "EXPIRE_MAKER",
    })
}

/// Returns what of an account may have changed.
pub fn position(changed: &[Changed], time: Timestamp) -> Value {
    let rows: Vec<Value> = changed
        .iter()
        .map(|row| json!({"a": row.asset, "f": eight(row.now.free), "l": eight(row.now.locked)}))
        .collect();
    json!({"e": "outboundAccountPosition", "E": time.millis(), "u": time.millis(), "B": rows})
}

/// Returns a row of `myTrades`.
pub fn my_trade(pair: &Pair, fill: &Fill) -> Value {
    json!({
        "symbol": pair.spelled(), "id": fill.trade_id, "orderId": fill.order_id, "orderListId": -1,
        "price": eight(fill.price), "qty": eight(fill.quantity), "quoteQty": eight(fill.quote),
        "commission": eight(fill.fee), "commissionAsset": fill.fee_asset, "time": fill.time.millis(),
        "isBuyer": fill.side == Side::Buy, "isMaker": fill.maker, "isBestMatch": true,
    })
}

/// Returns an order as the order queries give it.
pub fn order(pair: &Pair, order: &Order) -> Value {
    json!({
        "symbol": pair.spelled(), "orderId": order.id, "orderListId": -1, "clientOrderId": order.client_id,
        "price": eight(order.limit.unwrap_or_default()), "origQty": eight(order.quantity),
        "executedQty": eight(order.filled), "cummulativeQuoteQty": eight(order.filled_quote),
        "status": status(order.status), "timeInForce": "GTC", "type": kind(order.kind), "side": capitals(order.side),
        "stopPrice": eight(Decimal::ZERO), "icebergQty": eight(Decimal::ZERO), "time": order.created.millis(),
        "updateTime": order.updated.millis(), "isWorking": true, "workingTime": order.created.millis(),
        "origQuoteOrderQty": eight(order.funds.unwrap_or_default()), "selfTradePreventionMode": "EXPIRE_MAKER",
    })
}

/// Returns the account as `account` and `account.status` give it.
pub fn account(owner: &Account, all: bool, time: Timestamp) -> Value {
    let balances: Vec<Value> = owner
        .holdings
        .iter()
        .filter(|(_, holding)| all || !(holding.free + holding.locked).is_zero())
        .map(|(asset, holding)| json!({"asset": asset, "free": eight(holding.free), "locked": eight(holding.locked)}))
        .collect();
    json!({
        "makerCommission": 10, "takerCommission": 10, "buyerCommission": 0, "sellerCommission": 0,
        "commissionRates": {"maker": "0.00100000", "taker": "0.00100000", "buyer": "0.00000000", "seller": "0.00000000"},
        "canTrade": owner.permissions.trade, "canWithdraw": owner.permissions.withdraw, "canDeposit": true,
        "brokered": false, "requireSelfTradePrevention": false, "preventSor": false, "updateTime": time.millis(),
        "accountType": "SPOT", "balances": balances, "permissions": ["SPOT"], "uid": owner.uid,
    })
}

fn status(status: Status) -> &'static str {
    match status {
        Status::New => "NEW",
        Status::Partly => "PARTIALLY_FILLED",
        Status::Filled => "FILLED",
        Status::Cancelled => "CANCELED",
    }
}

fn kind(kind: OrderKind) -> &'static str {
    match kind {
        OrderKind::Market => "MARKET",
        OrderKind::Limit => "LIMIT",
    }
}
