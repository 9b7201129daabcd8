//! What a key's owner may ask of Coinbase.

use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::rest::Fault;
use super::wire::{self, plain};
use crate::domain::{Side, Timestamp, Venue};
use crate::runtime::clock;
use crate::simulate::floor::Floor;
use crate::simulate::socket::Asked;
use crate::simulate::spelling::{order_id, read_order_id, rfc3339, trade_id};
use crate::simulate::world::{Account, Amount, Fill, Holding, Order, OrderKind, Status, Tag, World};

/// Answers List Fills, newest first, page by page.
pub fn fills(floor: &Floor, who: usize, asked: &Asked, _: &str) -> Result<Value, Fault> {
    let world = floor.world();
    let owner = owner(&world, who)?;
    let (orders, trades) = (several(asked, "order_id"), several(asked, "trade_id"));
    let products = several(asked, "product_id");
    let from = time(asked, "start_sequence_timestamp")?;
    let to = time(asked, "end_sequence_timestamp")?;
    let before = cursor(asked)?;
    let limit = limit(asked, 100, 1_000)?;
    let fits = |fill: &&Fill| {
        let product = world.pairs.get(fill.pair).map(|pair| pair.spelled()).unwrap_or_default();
        fill.serial < before
            && (products.is_empty() || products.contains(&product))
            && (orders.is_empty() || orders.iter().any(|id| read_order_id(Venue::Coinbase, id) == Some(fill.order_id)))
            && (trades.is_empty() || trades.contains(&trade_id(Venue::Coinbase, fill.pair, fill.trade_id)))
            && from.is_none_or(|from| fill.time >= from)
            && to.is_none_or(|to| fill.time <= to)
    };
    let found: Vec<&Fill> = owner.fills.iter().rev().filter(fits).take(limit + 1).collect();
    let page = found.get(..limit.min(found.len())).unwrap_or_default();
    let row = |fill: &&Fill| {
        let order = world.orders.get(&fill.order_id);
        let (by_hand, created) = order.map_or((false, fill.time), |order| (order.by_hand, order.created));
        Some(wire::fill(world.pairs.get(fill.pair)?, owner, fill, by_hand, created))
    };
    let rows: Vec<Value> = page.iter().filter_map(row).collect();
    let more = found.len() > limit;
    let next = page.last().filter(|_| more).map(|fill| fill.serial.to_string()).unwrap_or_default();
    Ok(json!({"fills": rows, "cursor": next}))
}

/// Answers List Orders, newest first, page by page.
pub fn orders(floor: &Floor, who: usize, asked: &Asked, _: &str) -> Result<Value, Fault> {
    let world = floor.world();
    let owner = owner(&world, who)?;
    let (statuses, products) = (several(asked, "order_status"), several(asked, "product_id"));
    if statuses.len() > 1 && statuses.iter().any(|status| status == "OPEN") {
        return Err(invalid("OPEN cannot be combined with other order statuses"));
    }
    let (from, to) = (time(asked, "start_date")?, time(asked, "end_date")?);
    let (before, limit) = (cursor(asked)?, limit(asked, 100, 1_000)?);
    let mut found: Vec<Value> = Vec::new();
    let mut next = String::new();
    for order in world.orders.values().rev().filter(|order| order.account == who && order.id < before) {
        let Some(pair) = world.pairs.get(order.pair) else { continue };
        let row = wire::order(pair, owner, order);
        let wanted = (statuses.is_empty() || statuses.iter().any(|status| row["status"] == status.as_str()))
            && (products.is_empty() || products.contains(&pair.spelled()))
            && from.is_none_or(|from| order.created >= from)
            && to.is_none_or(|to| order.created <= to);
        if wanted && found.len() < limit {
            next = order.id.to_string();
            found.push(row);
        } else if wanted {
            return Ok(json!({"orders": found, "sequence": "0", "has_next": true, "cursor": next}));
        }
    }
    Ok(json!({"orders": found, "sequence": "0", "has_next": false, "cursor": ""}))
}

/// Answers Get Order.
pub fn order(floor: &Floor, who: usize, _: &Asked, id: &str) -> Result<Value, Fault> {
    let world = floor.world();
    let order = read_order_id(Venue::Coinbase, id).and_then(|number| world.orders.get(&number));
    let order = order.filter(|order| order.account == who && order_id(Venue::Coinbase, order.id, order.created) == id);
    let found = order.and_then(|order| Some((world.pairs.get(order.pair)?, order)));
    let (pair, order) = found.ok_or_else(|| Fault(404, "NOT_FOUND", "order not found".to_owned()))?;
    Ok(json!({"order": wire::order(pair, owner(&world, who)?, order)}))
}

/// Answers List Accounts.
pub fn accounts(floor: &Floor, who: usize, asked: &Asked, _: &str) -> Result<Value, Fault> {
    let world = floor.world();
    let owner = owner(&world, who)?;
    let limit = limit(asked, 49, 250)?;
    let after = asked.param("cursor").unwrap_or_default();
    let rest = owner.holdings.iter().filter(|(asset, _)| **asset > after);
    let mut page: Vec<(&String, &Holding)> = rest.take(limit + 1).collect();
    let more = page.len() > limit;
    page.truncate(limit);
    let next = page.last().filter(|_| more).map(|(asset, _)| (*asset).clone()).unwrap_or_default();
    let rows: Vec<Value> = page.into_iter().map(|(asset, holding)| purse(owner, asset, holding)).collect();
    Ok(json!({"size": rows.len(), "accounts": rows, "has_next": more, "cursor": next}))
}

/// Answers Get Account.
pub fn account(floor: &Floor, who: usize, _: &Asked, id: &str) -> Result<Value, Fault> {
    let world = floor.world();
    let owner = owner(&world, who)?;
    let rows = owner.holdings.iter().map(|(asset, holding)| purse(owner, asset, holding));
    let found = rows.into_iter().find(|row| row["uuid"] == id);
    found.map(|row| json!({"account": row})).ok_or_else(|| Fault(404, "NOT_FOUND", "account not found".to_owned()))
}

fn purse(owner: &Account, asset: &str, holding: &Holding) -> Value {
    let hash = blake3::hash(format!("{}/{asset}", owner.uid).as_bytes()).to_hex();
    let part = |from: usize, to: usize| hash.as_str().get(from..to).unwrap_or_default();
    let uuid = format!("{}-{}-4{}-8{}-{}", part(0, 8), part(8, 12), part(12, 15), part(15, 18), part(18, 30));
    let made = rfc3339(owner.key_made);
    json!({
        "uuid": uuid, "name": format!("{asset} Wallet"), "currency": asset, "default": true, "active": true,
        "available_balance": {"value": plain(holding.free), "currency": asset}, "created_at": made, "updated_at": made,
        "deleted_at": null, "type": if asset == "USD" { "ACCOUNT_TYPE_FIAT" } else { "ACCOUNT_TYPE_CRYPTO" }, "ready": true,
        "hold": {"value": plain(holding.locked), "currency": asset}, "retail_portfolio_id": wire::portfolio(owner),
        "platform": "ACCOUNT_PLATFORM_CONSUMER",
    })
}

/// Answers what the asking key may do.
pub fn key_permissions(floor: &Floor, who: usize, _: &Asked, _: &str) -> Result<Value, Fault> {
    let world = floor.world();
    let owner = owner(&world, who)?;
    Ok(json!({"can_view": true, "can_trade": owner.permissions.trade, "can_transfer": owner.permissions.withdraw,
        "portfolio_uuid": wire::portfolio(owner), "portfolio_type": "DEFAULT", "can_receive": false}))
}

/// Answers the fee tier.
pub fn transaction_summary(_: &Floor, _: usize, _: &Asked, _: &str) -> Result<Value, Fault> {
    Ok(json!({
        "total_volume": 0, "total_fees": 0, "advanced_trade_only_volume": 0, "advanced_trade_only_fees": 0,
        "coinbase_pro_volume": 0, "coinbase_pro_fees": 0, "low": 0, "total_balance": "", "volume_breakdown": [],
        "fee_tier": {"pricing_tier": "Intro 1", "usd_from": "0", "usd_to": "10000", "taker_fee_rate": "0.006",
            "maker_fee_rate": "0.006", "aop_from": "", "aop_to": ""},
    }))
}

/// Answers List Portfolios: the one the key is bound to.
pub fn portfolios(floor: &Floor, who: usize, _: &Asked, _: &str) -> Result<Value, Fault> {
    let world = floor.world();
    let uuid = wire::portfolio(owner(&world, who)?);
    Ok(json!({"portfolios": [{"name": "Default", "uuid": uuid, "type": "DEFAULT", "deleted": false}]}))
}

/// Cancels orders by id; HTTP 200 even when none could be.
pub fn batch_cancel(floor: &Floor, who: usize, asked: &Asked, _: &str) -> Result<Value, Fault> {
    let body: Value = serde_json::from_str(&asked.body).map_err(|_| invalid("body is not JSON"))?;
    let ids = body.get("order_ids").and_then(Value::as_array).cloned().unwrap_or_default();
    let (now, mut news, mut results) = (clock::now(), Vec::new(), Vec::new());
    {
        let mut world = floor.world();
        may_trade(&world, who)?;
        let left = usize::from(crate::simulate::floor::locked(&floor.acts).partial);
        for id in ids.iter().filter_map(Value::as_str).skip(left) {
            let number = read_order_id(Venue::Coinbase, id)
                .filter(|number| world.orders.get(number).is_some_and(|o| o.account == who));
            let done = number.and_then(|number| world.cancel(number, now, &mut news)).is_some();
            let why = if done { "UNKNOWN_CANCEL_FAILURE_REASON" } else { "UNKNOWN_CANCEL_ORDER" };
            results.push(json!({"success": done, "failure_reason": why, "order_id": id}));
        }
    }
    floor.publish(news);
    Ok(json!({"results": results}))
}

/// Moves money out of the portfolio that the key sees; of the other one only what came in is kept.
pub fn move_funds(floor: &Floor, who: usize, asked: &Asked, _: &str) -> Result<Value, Fault> {
    let body: Value = serde_json::from_str(&asked.body).map_err(|_| invalid("body is not JSON"))?;
    let text = |at: &str| body.pointer(at).and_then(Value::as_str).unwrap_or_default();
    let mut world = floor.world();
    let owner = world.accounts.get_mut(who).ok_or_else(|| invalid("unknown key"))?;
    if !owner.permissions.withdraw {
        return Err(Fault(403, "PERMISSION_DENIED", "Missing required scopes".to_owned()));
    }
    let (from, to) = (text("/source_portfolio_uuid"), text("/target_portfolio_uuid"));
    let amount = text("/funds/value").parse::<Decimal>().map_err(|_| invalid("value is no number"))?;
    let asset = text("/funds/currency");
    if from != wire::portfolio(owner) || to.is_empty() || amount > owner.free(asset) || amount <= Decimal::ZERO {
        return Err(invalid("the portfolios or the amount are wrong"));
    }
    owner.change(asset, -amount, Decimal::ZERO);
    let mut acts = crate::simulate::floor::locked(&floor.acts);
    *acts.moved.entry((to.to_owned(), asset.to_owned())).or_default() += amount;
    Ok(json!({"source_portfolio_uuid": from, "target_portfolio_uuid": to}))
}

/// Places an order at market; the simulator takes no other kind over its API.
pub fn place(floor: &Floor, who: usize, asked: &Asked, _: &str) -> Result<Value, Fault> {
    let body: Value = serde_json::from_str(&asked.body).map_err(|_| invalid("body is not JSON"))?;
    let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
    let side = match text("side") {
        "BUY" => Side::Buy,
        "SELL" => Side::Sell,
        _ => return Err(invalid("side is wrong")),
    };
    let market = body.pointer("/order_configuration/market_market_ioc");
    let number = |name: &str| market.and_then(|m| m.get(name)?.as_str()?.parse::<Decimal>().ok());
    let amount = match (number("base_size"), number("quote_size")) {
        (Some(base), _) => Amount::Base(base),
        (None, Some(quote)) => Amount::Quote(quote),
        (None, None) => return Err(invalid("the simulator takes market_market_ioc with base_size or quote_size")),
    };
    let (now, mut news) = (clock::now(), Vec::new());
    let id = {
        let mut world = floor.world();
        may_trade(&world, who)?;
        let at =
            world.by_spelling(Venue::Coinbase, text("product_id")).ok_or_else(|| invalid("product_id is unknown"))?;
        let tag = Tag { client_id: text("client_order_id").to_owned(), by_hand: false, hostile: false };
        world.market_order((who, at, side), amount, tag, now, &mut news)
    };
    floor.publish(news);
    Ok(match id {
        Some(id) => {
            json!({"success": true, "order_configuration": body.get("order_configuration"), "success_response": {
            "order_id": order_id(Venue::Coinbase, id, now), "product_id": text("product_id"), "side": text("side"),
            "client_order_id": text("client_order_id")}})
        }
        None => json!({"success": false, "error_response": {"error": "INSUFFICIENT_FUND",
            "message": "Insufficient balance in source account", "error_details": "", "preview_failure_reason": "PREVIEW_INSUFFICIENT_FUND"}}),
    })
}

/// Returns an account's open orders as the `user` channel's snapshot has them.
pub fn open(world: &World, who: usize) -> Vec<Value> {
    let open = world.open_orders(who).into_iter().filter(|order: &&Order| {
        order.kind == OrderKind::Limit && matches!(order.status, Status::New | Status::Partly)
    });
    open.filter_map(|order| Some(wire::user_order(world.pairs.get(order.pair)?, order))).collect()
}

fn owner(world: &World, who: usize) -> Result<&Account, Fault> {
    world.accounts.get(who).ok_or_else(|| Fault(401, "UNAUTHENTICATED", "unknown key".to_owned()))
}

fn may_trade(world: &World, who: usize) -> Result<(), Fault> {
    match owner(world, who)?.permissions.trade {
        true => Ok(()),
        false => Err(Fault(403, "PERMISSION_DENIED", "Missing required scopes".to_owned())),
    }
}

/// Returns a repeated parameter under its plural or singular name.
fn several(asked: &Asked, name: &str) -> Vec<String> {
    let plural = asked.params(&format!("{name}s"));
    let singular = asked.params(name);
    plural.into_iter().chain(singular).flat_map(|list| list.split(',').map(str::to_owned).collect::<Vec<_>>()).collect()
}

fn time(asked: &Asked, name: &str) -> Result<Option<Timestamp>, Fault> {
    let read = |text: String| Timestamp::from_rfc3339(&text).ok_or_else(|| invalid(&format!("{name} is not RFC 3339")));
    asked.param(name).filter(|text| !text.is_empty()).map(read).transpose()
}

fn cursor(asked: &Asked) -> Result<u64, Fault> {
    match asked.param("cursor").filter(|text| !text.is_empty()) {
        None => Ok(u64::MAX),
        Some(text) => text.parse().map_err(|_| invalid("invalid cursor")),
    }
}

fn limit(asked: &Asked, default: usize, most: usize) -> Result<usize, Fault> {
    match asked.param("limit") {
        None => Ok(default),
        Some(text) => {
            text.parse::<usize>().map(|limit| limit.clamp(1, most)).map_err(|_| invalid("limit is not a number"))
        }
    }
}

/// Words a refusal of a parameter.
pub fn invalid(details: &str) -> Fault {
    Fault(400, "INVALID_ARGUMENT", details.to_owned())
}
