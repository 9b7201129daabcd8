//! Orders, fills and messages as Coinbase Exchange writes them.

use rust_decimal::Decimal;
use serde_json::{Value, json};

use crate::domain::Venue;
use crate::simulate::coinbase::wire::plain;
use crate::simulate::spelling::{order_id, rfc3339, small};
use crate::simulate::world::{Account, Fill, Order, OrderKind, OrderNews, Pair, PublicTrade, Status, Step};

/// A refusal as Coinbase Exchange words it: an HTTP status and a sentence.
#[derive(Clone, Debug)]
pub struct Fault {
    /// The HTTP status.
    pub status: u16,
    /// The sentence.
    pub message: String,
}

impl Fault {
    /// Words a refusal.
    pub fn new(status: u16, message: &str) -> Self {
        Fault { status, message: message.to_owned() }
    }
}

/// Returns what tells the owner of a change of an order; nothing for what the feed does not tell.
pub fn message(pair: &Pair, owner: &Account, news: &OrderNews, sequence: u64) -> Value {
    let order = &news.order;
    let id = order_id(Venue::Coinbase, order.id, order.created);
    let mut value = json!({
        "side": small(order.side), "product_id": pair.spelled(), "time": rfc3339(news.time), "sequence": sequence,
        "profile_id": profile(owner), "user_id": user(owner),
    });
    let (kind, more) = match &news.step {
        Step::Received => ("received", received(order)),
        Step::Opened => ("open", json!({"price": limit(order), "remaining_size": plain(left(order))})),
        Step::Filled(fill) => ("match", matched(owner, fill, &id)),
        Step::Done | Step::Cancelled => ("done", done(order)),
    };
    value["type"] = json!(kind);
    if !matches!(news.step, Step::Filled(_)) {
        value["order_id"] = json!(id);
    }
    for (name, field) in more.as_object().into_iter().flatten() {
        value[name.as_str()] = field.clone();
    }
    value
}

fn received(order: &Order) -> Value {
    let mut value = json!({"order_type": kind(order), "client_oid": order.client_id});
    match (order.kind, order.funds) {
        (OrderKind::Market, Some(funds)) => value["funds"] = json!(plain(funds)),
        (OrderKind::Market, None) => value["size"] = json!(plain(order.quantity)),
        (OrderKind::Limit, _) => {
            value["size"] = json!(plain(order.quantity));
            value["price"] = json!(limit(order));
        }
    }
    value
}

/// The side of a match is that of the order which rested.
fn matched(owner: &Account, fill: &Fill, id: &str) -> Value {
    let rate = plain(fill.fee.checked_div(fill.quote).unwrap_or_default().round_dp(8));
    let other = order_id(Venue::Coinbase, fill.trade_id | 1 << 40, fill.time);
    let mut value = json!({
        "trade_id": fill.trade_id, "size": plain(fill.quantity), "price": plain(fill.price),
        "side": small(if fill.maker { fill.side } else { fill.side.opposite() }),
    });
    let (ours, theirs) = if fill.maker { ("maker", "taker") } else { ("taker", "maker") };
    value[format!("{ours}_order_id")] = json!(id);
    value[format!("{theirs}_order_id")] = json!(other);
    value[format!("{ours}_user_id")] = json!(user(owner));
    value[format!("{ours}_profile_id")] = json!(profile(owner));
    value[format!("{ours}_fee_rate")] = json!(rate);
    value
}

fn done(order: &Order) -> Value {
    let reason = if order.status == Status::Cancelled { "canceled" } else { "filled" };
    let mut value = json!({"reason": reason});
    if order.kind == OrderKind::Limit || order.funds.is_none() {
        value["remaining_size"] = json!(plain(left(order)));
        value["price"] = json!(limit(order));
    }
    value
}

/// Returns a public trade as the `matches` channel has it.
pub fn public(pair: &Pair, trade: &PublicTrade, sequence: u64) -> Value {
    json!({
        "type": "match", "trade_id": trade.id, "maker_order_id": order_id(Venue::Coinbase, trade.id | 1 << 41, trade.time),
        "taker_order_id": order_id(Venue::Coinbase, trade.id | 1 << 40, trade.time), "side": small(trade.taker.opposite()),
        "size": plain(trade.quantity), "price": plain(trade.price), "product_id": pair.spelled(), "sequence": sequence,
        "time": rfc3339(trade.time),
    })
}

/// Returns a row of `fills`.
pub fn fill(pair: &Pair, owner: &Account, fill: &Fill, created: crate::domain::Timestamp) -> Value {
    json!({
        "created_at": rfc3339(fill.time), "trade_id": fill.trade_id, "product_id": pair.spelled(),
        "order_id": order_id(Venue::Coinbase, fill.order_id, created), "user_id": user(owner),
        "profile_id": profile(owner), "liquidity": if fill.maker { "M" } else { "T" }, "price": plain(fill.price),
        "size": plain(fill.quantity), "fee": plain(fill.fee), "side": small(fill.side), "settled": true,
        "usd_volume": plain(fill.quote), "funding_currency": pair.quote(), "market_type": "spot",
    })
}

/// Returns a row of `orders`.
pub fn order(pair: &Pair, owner: &Account, order: &Order) -> Value {
    let mut value = json!({
        "id": order_id(Venue::Coinbase, order.id, order.created), "size": plain(order.quantity), "product_id": pair.spelled(),
        "profile_id": profile(owner), "side": small(order.side), "type": kind(order), "post_only": false,
        "created_at": rfc3339(order.created), "fill_fees": plain(order.fees), "filled_size": plain(order.filled),
        "executed_value": plain(order.filled_quote), "status": if order.is_open() { "open" } else { "done" },
        "settled": !order.is_open(), "client_oid": order.client_id, "market_type": "spot",
    });
    if let Some(limit) = order.limit {
        value["price"] = json!(plain(limit));
        value["time_in_force"] = json!("GTC");
    }
    if !order.is_open() {
        value["done_at"] = json!(rfc3339(order.updated));
        value["done_reason"] = json!(if order.status == Status::Cancelled { "canceled" } else { "filled" });
    }
    value
}

/// Returns a row of `products`.
pub fn product(pair: &Pair) -> Value {
    json!({
        "id": pair.spelled(), "base_currency": pair.base(), "quote_currency": pair.quote(),
        "quote_increment": plain(Decimal::new(1, pair.scene.price_decimals)),
        "base_increment": plain(Decimal::new(1, pair.scene.lot_decimals)), "display_name": pair.spelled(),
        "min_market_funds": plain(pair.least()), "margin_enabled": false, "post_only": false, "limit_only": false,
        "cancel_only": false, "status": "online", "status_message": "", "trading_disabled": false,
        "fx_stablecoin": false, "max_slippage_percentage": "0.02", "auction_mode": false,
    })
}

/// Returns the owner's number as the exchange writes it.
pub fn user(owner: &Account) -> String {
    format!("{:024x}", owner.uid)
}

/// Returns the profile the owner's key is bound to.
pub fn profile(owner: &Account) -> String {
    format!("{:08x}-0000-4000-9000-{:012x}", owner.uid & 0xffff_ffff, owner.uid)
}

fn limit(order: &Order) -> String {
    order.limit.map(plain).unwrap_or_default()
}

fn kind(order: &Order) -> &'static str {
    match order.kind {
        OrderKind::Market => "market",
        OrderKind::Limit => "limit",
    }
}

fn left(order: &Order) -> Decimal {
    if order.status == Status::Filled { Decimal::ZERO } else { order.quantity - order.filled }
}
