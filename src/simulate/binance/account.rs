//! What a key's owner may ask of Binance.

use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::{Fault, Params, wire};
use crate::domain::{Side, Timestamp, Venue};
use crate::runtime::clock;
use crate::simulate::floor::Floor;
use crate::simulate::world::{Account, Amount, Fill, SubKey, Tag, World};

const DAY_MS: i64 = 86_400_000;

/// Answers `account`.
pub fn status(floor: &Floor, who: Option<usize>, params: &Params) -> Result<Value, Fault> {
    let world = floor.world();
    let all = params.get("omitZeroBalances").is_none_or(|text| text != "true");
    Ok(wire::account(owner(&world, who)?, all, clock::now()))
}

/// Answers `myTrades`, oldest first: the latest ones, or those from an id, a time or of an order.
pub fn my_trades(floor: &Floor, who: Option<usize>, params: &Params) -> Result<Value, Fault> {
    let world = floor.world();
    let at = symbol(&world, params)?;
    let (from_id, order_id) = (number(params, "fromId")?, number(params, "orderId")?);
    let (start, end) = (number(params, "startTime")?, number(params, "endTime")?);
    if (from_id.is_some() || order_id.is_some()) && (start.is_some() || end.is_some()) {
        return Err(Fault::new(400, -1128, "Combination of optional parameters invalid."));
    }
    if matches!((start, end), (Some(start), Some(end)) if end - start > DAY_MS) {
        return Err(Fault::new(400, -1127, "More than 24 hours between startTime and endTime."));
    }
    let limit = limit(params, 500)?;
    let fits = |fill: &&Fill| {
        let (id, time) = (i64::try_from(fill.trade_id).unwrap_or(0), fill.time.millis());
        fill.pair == at
            && from_id.is_none_or(|from| id >= from)
            && order_id.is_none_or(|order| i64::try_from(fill.order_id) == Ok(order))
            && start.is_none_or(|start| time >= start)
            && end.is_none_or(|end| time <= end)
    };
    let mut fills: Vec<&Fill> = owner(&world, who)?.fills.iter().filter(fits).collect();
    match from_id.is_some() || start.is_some() {
        true => fills.truncate(limit),
        false => drop(fills.drain(..fills.len().saturating_sub(limit))),
    }
    let pair = world.pairs.get(at).ok_or_else(Fault::bad_symbol)?;
    Ok(fills.into_iter().map(|fill| wire::my_trade(pair, fill)).collect())
}

/// Answers `order`.
pub fn order(floor: &Floor, who: Option<usize>, params: &Params) -> Result<Value, Fault> {
    let world = floor.world();
    let at = symbol(&world, params)?;
    let (id, client) = (number(params, "orderId")?, params.get("origClientOrderId"));
    if id.is_none() && client.is_none() {
        return Err(Fault::new(400, -1128, "Combination of optional parameters invalid."));
    }
    let found = world.orders.values().rev().find(|order| {
        Some(order.account) == who
            && order.pair == at
            && id.is_none_or(|id| u64::try_from(id) == Ok(order.id))
            && client.is_none_or(|client| *client == order.client_id)
    });
    let found = found.zip(world.pairs.get(at));
    found.map(|(order, pair)| wire::order(pair, order)).ok_or_else(|| Fault::new(400, -2013, "Order does not exist."))
}

/// Answers `allOrders`.
pub fn all_orders(floor: &Floor, who: Option<usize>, params: &Params) -> Result<Value, Fault> {
    let world = floor.world();
    let at = symbol(&world, params)?;
    let (from, start, end) = (number(params, "orderId")?, number(params, "startTime")?, number(params, "endTime")?);
    let limit = limit(params, 500)?;
    let pair = world.pairs.get(at).ok_or_else(Fault::bad_symbol)?;
    let mut rows: Vec<Value> = world
        .orders
        .values()
        .filter(|order| Some(order.account) == who && order.pair == at)
        .filter(|order| from.is_none_or(|from| i64::try_from(order.id).unwrap_or(0) >= from))
        .filter(|order| start.is_none_or(|start| order.created.millis() >= start))
        .filter(|order| end.is_none_or(|end| order.created.millis() <= end))
        .map(|order| wire::order(pair, order))
        .collect();
    rows.drain(..rows.len().saturating_sub(limit));
    Ok(Value::Array(rows))
}

/// Answers `openOrders`, of one pair or all.
pub fn open_orders(floor: &Floor, who: Option<usize>, params: &Params) -> Result<Value, Fault> {
    let world = floor.world();
    let only = if params.contains_key("symbol") { Some(symbol(&world, params)?) } else { None };
    let open = world.open_orders(who.unwrap_or(usize::MAX));
    let rows = open.into_iter().filter(|order| only.is_none_or(|only| only == order.pair));
    Ok(rows.filter_map(|order| Some(wire::order(world.pairs.get(order.pair)?, order))).collect())
}

/// Cancels all open orders of a pair.
pub fn cancel_all(floor: &Floor, who: Option<usize>, params: &Params) -> Result<Value, Fault> {
    let (now, mut news, mut rows) = (clock::now(), Vec::new(), Vec::new());
    {
        let mut world = floor.world();
        may_trade(&world, who)?;
        let at = symbol(&world, params)?;
        let open: Vec<u64> = world
            .open_orders(who.unwrap_or(usize::MAX))
            .iter()
            .filter(|order| order.pair == at)
            .map(|order| order.id)
            .collect();
        for id in open {
            let cancelled = world.cancel(id, now, &mut news);
            rows.extend(cancelled.and_then(|order| Some(wire::order(world.pairs.get(at)?, &order))));
        }
    }
    floor.publish(news);
    if rows.is_empty() { Err(Fault::new(400, -2011, "Unknown order sent.")) } else { Ok(Value::Array(rows)) }
}

/// Places an order at market; the simulator takes no other kind over its API.
pub fn place(floor: &Floor, who: Option<usize>, params: &Params) -> Result<Value, Fault> {
    let (now, mut news) = (clock::now(), Vec::new());
    let reply = {
        let mut world = floor.world();
        may_trade(&world, who)?;
        let at = symbol(&world, params)?;
        let side = match params.get("side").map(String::as_str) {
            Some("BUY") => Side::Buy,
            Some("SELL") => Side::Sell,
            Some(_) | None => return Err(Fault::missing("side")),
        };
        if params.get("type").map(String::as_str) != Some("MARKET") {
            return Err(Fault::new(400, -1116, "Invalid orderType."));
        }
        let amount = |name: &str| params.get(name).and_then(|text| text.parse::<Decimal>().ok());
        let amount = match (amount("quantity"), amount("quoteOrderQty")) {
            (Some(base), _) => Amount::Base(base),
            (None, Some(quote)) => Amount::Quote(quote),
            (None, None) => return Err(Fault::missing("quantity")),
        };
        let client_id = params.get("newClientOrderId").cloned();
        let account = who.unwrap_or(usize::MAX);
        let random = world.accounts.get_mut(account).map(|owner| owner.dice.word(22)).unwrap_or_default();
        let tag = Tag { client_id: client_id.unwrap_or(random), by_hand: false, hostile: false };
        let id = world
            .market_order((account, at, side), amount, tag, now, &mut news)
            .ok_or_else(|| Fault::new(400, -2010, "Account has insufficient balance for requested action."))?;
        let order = world.orders.get(&id).zip(world.pairs.get(at));
        let mut reply = order.map(|(order, pair)| wire::order(pair, order)).unwrap_or_default();
        if let Some(reply) = reply.as_object_mut() {
            reply.insert("transactTime".to_owned(), json!(now.millis()));
            reply.insert("fills".to_owned(), json!([]));
        }
        reply
    };
    floor.publish(news);
    Ok(reply)
}

/// Answers `apiRestrictions`: what the asking key may do.
pub fn restrictions(floor: &Floor, who: Option<usize>, _params: &Params) -> Result<Value, Fault> {
    let world = floor.world();
    let owner = owner(&world, who)?;
    let may = &owner.permissions;
    Ok(json!({
        "ipRestrict": !may.addresses.is_empty(), "createTime": owner.key_made.millis(),
        "enableInternalTransfer": may.internal_transfer, "enableFutures": may.futures,
        "enablePortfolioMarginTrading": false, "enableVanillaOptions": false,
        "permitsUniversalTransfer": may.universal_transfer, "enableReading": true,
        "enableSpotAndMarginTrading": may.trade, "enableWithdrawals": may.withdraw, "enableMargin": may.margin,
        "enableFixApiTrade": false, "enableFixReadOnly": true,
    }))
}

/// Answers `sub-account/list`.
pub fn sub_accounts(floor: &Floor, who: Option<usize>, _params: &Params) -> Result<Value, Fault> {
    let world = floor.world();
    let mut emails: Vec<&str> = owner(&world, who)?.sub_keys.iter().map(|key| key.holder.as_str()).collect();
    emails.sort_unstable();
    emails.dedup();
    let row = |email: &str| json!({"email": email, "isFreeze": false, "createTime": 1_700_000_000_000_i64});
    Ok(json!({"subAccounts": emails.into_iter().map(row).collect::<Vec<_>>()}))
}

/// Answers `sub-account/subAccountApi`: a sub-account's keys, page by page.
pub fn sub_keys(floor: &Floor, who: Option<usize>, params: &Params) -> Result<Value, Fault> {
    let world = floor.world();
    let email = params.get("email").ok_or_else(|| Fault::missing("email"))?;
    let page = usize::try_from(number(params, "page")?.unwrap_or(1)).unwrap_or(1).max(1);
    let size = usize::try_from(number(params, "size")?.unwrap_or(10)).unwrap_or(10).clamp(1, 100);
    let keys = || owner(&world, who).map(|owner| owner.sub_keys.iter().filter(|key| key.holder == *email));
    let total = keys()?.count();
    let row = |key: &SubKey| {
        let may = &key.permissions;
        json!({"email": key.holder, "apiName": key.label, "apikey": key.id, "canTrade": may.trade,
            "canMarginLoanRepay": may.margin, "canFuturesTrade": may.futures,
            "canUniversalTransfer": may.universal_transfer, "canVanillaOptions": false,
            "timestamp": key.made.millis()})
    };
    let rows: Vec<Value> = keys()?.skip((page - 1) * size).take(size).map(row).collect();
    Ok(json!({"total": total, "rows": rows}))
}

/// Answers `sub-account/subAccountApi/ipRestriction`.
pub fn sub_key_addresses(floor: &Floor, who: Option<usize>, params: &Params) -> Result<Value, Fault> {
    let world = floor.world();
    let id = params.get("subAccountApiKey").ok_or_else(|| Fault::missing("subAccountApiKey"))?;
    let key = owner(&world, who)?.sub_keys.iter().find(|key| key.id == *id).ok_or_else(Fault::bad_key)?;
    let addresses = &key.permissions.addresses;
    Ok(json!({"ipRestrict": (!addresses.is_empty()).to_string(), "ipList": addresses,
        "updateTime": key.made.millis(), "apiKey": key.id}))
}

fn owner(world: &World, who: Option<usize>) -> Result<&Account, Fault> {
    who.and_then(|who| world.accounts.get(who)).ok_or_else(Fault::bad_key)
}

fn may_trade(world: &World, who: Option<usize>) -> Result<(), Fault> {
    if owner(world, who)?.permissions.trade { Ok(()) } else { Err(Fault::bad_key()) }
}

/// Returns the pair that `symbol` names.
pub fn symbol(world: &World, params: &Params) -> Result<usize, Fault> {
    let symbol = params.get("symbol").filter(|text| !text.is_empty()).ok_or_else(|| Fault::missing("symbol"))?;
    world.by_spelling(Venue::Binance, symbol).ok_or_else(Fault::bad_symbol)
}

/// Returns a whole number, refusing what is none.
pub fn number(params: &Params, name: &str) -> Result<Option<i64>, Fault> {
    match params.get(name) {
        None => Ok(None),
        Some(text) => text.parse().map(Some).map_err(|_| {
            let msg = format!("Illegal characters found in parameter '{name}'; legal range is '^[0-9]{{1,20}}$'.");
            Fault::new(400, -1100, &msg)
        }),
    }
}

/// Returns how many rows are wanted, at most 1000.
pub fn limit(params: &Params, default: usize) -> Result<usize, Fault> {
    let limit = number(params, "limit")?.map_or(default, |limit| usize::try_from(limit).unwrap_or(0));
    if limit == 0 { Err(Fault::missing("limit")) } else { Ok(limit.min(1_000)) }
}

/// Returns the time of a millisecond parameter.
pub fn time(params: &Params, name: &str) -> Result<Option<Timestamp>, Fault> {
    Ok(number(params, name)?.map(Timestamp::from_millis))
}
