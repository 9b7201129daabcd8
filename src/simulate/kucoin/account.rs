//! What a key's owner may ask of KuCoin.

use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::fault::Fault;
use super::wire::{self, plain};
use crate::domain::{Side, Timestamp, Venue};
use crate::runtime::clock;
use crate::simulate::broken::How;
use crate::simulate::floor::Floor;
use crate::simulate::socket::Asked;
use crate::simulate::spelling::read_order_id;
use crate::simulate::world::{Account, Amount, Fill, Permissions, SubKey, Tag, World};

const WEEK_MS: i64 = 7 * 86_400_000;

/// Answers `hf/fills`, newest first: a pair is mandatory, a page goes down by `lastId`.
pub fn fills(floor: &Floor, who: usize, asked: &Asked) -> Result<Value, Fault> {
    let world = floor.world();
    let at = symbol(&world, asked)?;
    let (from, to) = window(asked)?;
    let order = asked.param("orderId").and_then(|id| read_order_id(Venue::Kucoin, &id));
    let last = asked.number("lastId").unwrap_or(i64::MAX);
    let limit = usize::try_from(asked.number("limit").unwrap_or(20)).unwrap_or(20).clamp(1, 100);
    let owner = owner(&world, who)?;
    let fits = |fill: &&Fill| {
        fill.pair == at
            && (from..=to).contains(&fill.time.millis())
            && wire::row_id(fill) < last
            && order.is_none_or(|order| order == fill.order_id)
    };
    let page: Vec<&Fill> = owner.fills.iter().rev().filter(fits).take(limit).collect();
    let last = page.last().map(|fill| wire::row_id(fill));
    Ok(json!({"items": rows(&world, &page), "lastId": last}))
}

/// Answers `limit/fills`: what all pairs filled in the last 24 hours, newest first.
pub fn recent_fills(floor: &Floor, who: usize, _asked: &Asked) -> Result<Value, Fault> {
    let world = floor.world();
    let from = clock::now().millis() - 86_400_000;
    let newest = owner(&world, who)?.fills.iter().rev();
    let page: Vec<&Fill> = newest.take_while(|fill| fill.time.millis() >= from).take(1_000).collect();
    Ok(Value::Array(rows(&world, &page)))
}

fn rows(world: &World, fills: &[&Fill]) -> Vec<Value> {
    let row = |fill: &&Fill| Some(wire::fill_row(world.pairs.get(fill.pair)?, fill, created(world, fill)));
    fills.iter().filter_map(row).collect()
}

/// Answers `hf/accounts/ledgers`: two rows for every fill, without asking for a pair; newest first.
pub fn ledgers(floor: &Floor, who: usize, asked: &Asked) -> Result<Value, Fault> {
    let world = floor.world();
    let (start, end) = (asked.number("startAt"), asked.number("endAt"));
    // A missing end means a day, and more than a day at once is refused.
    let to = end.unwrap_or_else(|| start.map_or(i64::MAX, |start| start + 86_400_000));
    let from = start.unwrap_or(to.min(clock::now().millis()) - 86_400_000);
    if to != i64::MAX && to - from > 86_400_000 {
        return Err(Fault::param("The time range cannot exceed 24 hours"));
    }
    let wanted = asked.param("bizType").unwrap_or_default();
    let currencies: Vec<String> =
        asked.param("currency").map(|list| list.split(',').map(str::to_owned).collect()).unwrap_or_default();
    let direction = asked.param("direction").unwrap_or_default();
    let last = asked.param("lastId").and_then(|id| id.parse::<i64>().ok()).unwrap_or(i64::MAX);
    let limit = usize::try_from(asked.number("limit").unwrap_or(100)).unwrap_or(100).clamp(1, 200);
    if !(wanted.is_empty() || wanted == "TRADE_EXCHANGE") {
        return Ok(json!([]));
    }
    let owner = owner(&world, who)?;
    let both = |fill: &Fill| -> Vec<(i64, Value)> { ledger_rows(&world, owner, fill) };
    let rows = owner
        .fills
        .iter()
        .rev()
        .filter(|fill| (from..=to).contains(&fill.time.millis()))
        .flat_map(both)
        .filter(|(id, _)| *id < last)
        .map(|(_, row)| row)
        .filter(|row| currencies.is_empty() || currencies.iter().any(|currency| row["currency"] == currency.as_str()))
        .filter(|row| direction.is_empty() || row["direction"] == direction.as_str());
    Ok(rows.take(limit).collect())
}

fn ledger_rows(world: &World, owner: &Account, fill: &Fill) -> Vec<(i64, Value)> {
    let Some(pair) = world.pairs.get(fill.pair) else { return Vec::new() };
    let order = crate::simulate::spelling::order_id(Venue::Kucoin, fill.order_id, created(world, fill));
    let context = json!({"symbol": pair.spelled(), "orderId": order, "tradeId": wire::trade_id(fill)}).to_string();
    let row = |half: i64, currency: &str, amount: Decimal, fee: Decimal, direction: &str| {
        let id = wire::row_id(fill) * 2 + half;
        let value = json!({
            "id": id.to_string(), "currency": currency, "amount": plain(amount), "fee": plain(fee), "tax": "0",
            "balance": plain(owner.free(currency)), "accountType": "TRADE_HF", "bizType": "TRADE_EXCHANGE",
            "direction": direction, "createdAt": fill.time.millis().to_string(), "context": context,
        });
        (id, value)
    };
    let (base, quote) = (pair.base(), pair.quote());
    match fill.side {
        Side::Buy => vec![
            row(1, base, fill.quantity, Decimal::ZERO, "in"),
            row(0, quote, fill.quote + fill.fee, fill.fee, "out"),
        ],
        Side::Sell => vec![
            row(1, quote, fill.quote - fill.fee, fill.fee, "in"),
            row(0, base, fill.quantity, Decimal::ZERO, "out"),
        ],
    }
}

/// Answers `accounts`.
pub fn accounts(floor: &Floor, who: usize, asked: &Asked) -> Result<Value, Fault> {
    let world = floor.world();
    let owner = owner(&world, who)?;
    let (currency, kind) = (asked.param("currency"), asked.param("type"));
    if kind.is_some_and(|kind| kind != "trade") {
        return Ok(json!([]));
    }
    let wanted = |asset: &String| currency.as_ref().is_none_or(|currency| currency == asset);
    let rows = owner.holdings.iter().filter(|(asset, _)| wanted(asset)).map(|(asset, holding)| {
        json!({"id": wire::account_id(owner, asset), "currency": asset, "type": "trade",
            "balance": plain(holding.free + holding.locked), "available": plain(holding.free), "holds": plain(holding.locked)})
    });
    Ok(rows.collect())
}

/// Answers `hf/orders/active`.
pub fn active_orders(floor: &Floor, who: usize, asked: &Asked) -> Result<Value, Fault> {
    let world = floor.world();
    let at = symbol(&world, asked)?;
    let open = world.open_orders(who).into_iter().filter(|order| order.pair == at);
    Ok(open.filter_map(|order| Some(wire::order_row(world.pairs.get(at)?, order))).collect())
}

/// Answers `hf/orders/active/symbols`.
pub fn active_symbols(floor: &Floor, who: usize, _asked: &Asked) -> Result<Value, Fault> {
    let world = floor.world();
    let mut symbols: Vec<String> =
        world.open_orders(who).iter().filter_map(|order| Some(world.pairs.get(order.pair)?.spelled())).collect();
    symbols.sort();
    symbols.dedup();
    Ok(json!({"symbols": symbols}))
}

/// Answers `hf/orders/{orderId}`.
pub fn order(floor: &Floor, who: usize, asked: &Asked) -> Result<Value, Fault> {
    let world = floor.world();
    let id = asked.path.rsplit('/').next().and_then(|text| read_order_id(Venue::Kucoin, text));
    let order = id.and_then(|id| world.orders.get(&id)).filter(|order| order.account == who);
    let order = order.and_then(|order| Some(wire::order_row(world.pairs.get(order.pair)?, order)));
    order.ok_or_else(|| Fault::param("order_not_exist_or_not_allow_to_be_cancelled"))
}

/// Cancels every open order.
pub fn cancel_all(floor: &Floor, who: usize, _asked: &Asked) -> Result<Value, Fault> {
    let (now, mut news, mut symbols) = (clock::now(), Vec::new(), Vec::new());
    {
        let mut world = floor.world();
        may_trade(&world, who)?;
        let open: Vec<u64> = world.open_orders(who).iter().map(|order| order.id).collect();
        let left = usize::from(crate::simulate::floor::locked(&floor.acts).partial);
        for id in open.into_iter().skip(left) {
            let cancelled = world.cancel(id, now, &mut news);
            symbols.extend(cancelled.and_then(|order| Some(world.pairs.get(order.pair)?.spelled())));
        }
    }
    floor.publish(news);
    symbols.sort();
    symbols.dedup();
    Ok(json!({"succeedSymbols": symbols, "failedSymbols": []}))
}

/// Places an order at market; the simulator takes no other kind over its API.
pub fn place(floor: &Floor, who: usize, asked: &Asked) -> Result<Value, Fault> {
    let body: Value = serde_json::from_str(&asked.body).map_err(|_| Fault::param("body is not JSON"))?;
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    let number = |name: &str| text(name).and_then(|text| text.parse::<Decimal>().ok());
    let side = match text("side") {
        Some("buy") => Side::Buy,
        Some("sell") => Side::Sell,
        Some(_) | None => return Err(Fault::param("side is wrong")),
    };
    if text("type") != Some("market") {
        return Err(Fault::param("the simulator takes market orders only"));
    }
    let amount = match (number("size"), number("funds")) {
        (Some(base), _) => Amount::Base(base),
        (None, Some(quote)) => Amount::Quote(quote),
        (None, None) => return Err(Fault::param("size or funds is missing")),
    };
    let (now, mut news) = (clock::now(), Vec::new());
    let id = {
        let mut world = floor.world();
        may_trade(&world, who)?;
        let at = world.by_spelling(Venue::Kucoin, text("symbol").unwrap_or_default());
        let at = at.ok_or_else(|| Fault::param("symbol not exists"))?;
        let client_id = text("clientOid").unwrap_or_default().to_owned();
        let tag = Tag { client_id, by_hand: false, hostile: false };
        world
            .market_order((who, at, side), amount, tag, now, &mut news)
            .ok_or_else(|| Fault::new(200, "200004", "Balance insufficient!"))?
    };
    floor.publish(news);
    let id = crate::simulate::spelling::order_id(Venue::Kucoin, id, now);
    Ok(json!({"orderId": id, "clientOid": text("clientOid")}))
}

/// Answers `user/api-key`: the permissions of the asking key.
pub fn key_info(floor: &Floor, who: usize, _asked: &Asked) -> Result<Value, Fault> {
    let world = floor.world();
    let owner = owner(&world, who)?;
    Ok(json!({
        "remark": owner.name, "apiKey": owner.key.id, "apiVersion": 3, "permission": permission(&owner.permissions),
        "ipWhitelist": masked(&owner.permissions), "createdAt": owner.key_made.millis(), "uid": owner.uid,
        "isMaster": true,
    }))
}

fn permission(may: &Permissions) -> String {
    let named = [
        (may.trade, ",Spot"),
        (may.margin, ",Margin"),
        (may.futures, ",Futures"),
        (may.internal_transfer || may.universal_transfer, ",InnerTransfer"),
        (may.withdraw, ",Transfer"),
    ];
    std::iter::once("General").chain(named.into_iter().filter(|(on, _)| *on).map(|(_, name)| name)).collect()
}

/// Spells addresses as KuCoin does, so that nobody can read them: `127.**.1`.
fn masked(may: &Permissions) -> String {
    let mask = |address: &String| {
        let mut parts = address.split('.');
        format!("{}.**.{}", parts.next().unwrap_or_default(), parts.next_back().unwrap_or_default())
    };
    may.addresses.iter().map(mask).collect::<Vec<_>>().join(",")
}

/// Answers `sub/user`: the sub-accounts, page by page.
pub fn sub_users(floor: &Floor, who: usize, asked: &Asked) -> Result<Value, Fault> {
    let world = floor.world();
    let mut names: Vec<&str> = owner(&world, who)?.sub_keys.iter().map(|key| key.holder.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let size = usize::try_from(asked.number("pageSize").unwrap_or(10)).unwrap_or(10).clamp(1, 100);
    let page = usize::try_from(asked.number("currentPage").unwrap_or(1)).unwrap_or(1).max(1);
    let total = names.len();
    let rows = names.into_iter().skip((page - 1) * size).take(size);
    let rows: Vec<Value> = rows.map(|name| json!({"subName": name, "status": 2, "type": 0, "access": "All"})).collect();
    Ok(json!({"currentPage": page, "pageSize": size, "totalNum": total, "totalPage": total.div_ceil(size),
        "items": rows}))
}

/// Answers `sub/api-key`: a sub-account's keys.
pub fn sub_keys(floor: &Floor, who: usize, asked: &Asked) -> Result<Value, Fault> {
    let world = floor.world();
    let holder = asked.param("subName").ok_or_else(|| Fault::param("subName is required"))?;
    let only = asked.param("apiKey");
    let keys = owner(&world, who)?.sub_keys.iter().filter(|key| key.holder == holder);
    let keys = keys.filter(|key| only.as_ref().is_none_or(|only| *only == key.id));
    let row = |key: &SubKey| {
        json!({"subName": key.holder, "remark": key.label, "apiKey": key.id, "apiVersion": 3,
            "permission": permission(&key.permissions), "ipWhitelist": masked(&key.permissions),
            "createdAt": key.made.millis(), "isMaster": false})
    };
    Ok(keys.map(row).collect())
}

/// Answers `account/mode`.
pub fn mode(floor: &Floor, who: usize, _asked: &Asked) -> Result<Value, Fault> {
    let world = floor.world();
    let owner = owner(&world, who)?;
    if owner.mode_hidden {
        return Err(Fault::permission());
    }
    let mode = if owner.unified { "UNIFIED" } else { "CLASSIC" };
    Ok(json!({"selfAccountMode": mode}))
}

/// Answers the unified account's executions, newest first.
pub fn executions(floor: &Floor, who: usize, asked: &Asked) -> Result<Value, Fault> {
    let world = floor.world();
    if owner(&world, who)?.broken == Some(How::Unified) {
        return Err(Fault::permission());
    }
    // Everybody trades spot here; the other books are there and empty.
    if asked.param("tradeType").is_some_and(|book| book != "SPOT") {
        return Ok(json!({"items": [], "lastId": null}));
    }
    let only = if asked.param("symbol").is_some() { Some(symbol(&world, asked)?) } else { None };
    let (from, to) = window(asked)?;
    let last = asked.number("lastId").unwrap_or(i64::MAX);
    let size = usize::try_from(asked.number("pageSize").unwrap_or(100)).unwrap_or(100).clamp(1, 200);
    let fits = |fill: &&Fill| {
        only.is_none_or(|only| only == fill.pair)
            && (from..=to).contains(&fill.time.millis())
            && wire::row_id(fill) < last
    };
    let page: Vec<&Fill> = owner(&world, who)?.fills.iter().rev().filter(fits).take(size).collect();
    let row = |fill: &&Fill| {
        let (pair, order) = (world.pairs.get(fill.pair)?, created(&world, fill));
        Some(json!({
            "executionId": wire::trade_id(fill), "tradeId": wire::trade_id(fill),
            "orderId": crate::simulate::spelling::order_id(Venue::Kucoin, fill.order_id, order),
            "clientOid": fill.client_id, "symbol": pair.spelled(),
            "side": crate::simulate::spelling::capitals(fill.side), "orderType": if fill.market { "MARKET" } else { "LIMIT" },
            "price": plain(fill.price), "size": plain(fill.quantity), "value": plain(fill.quote), "fee": plain(fill.fee),
            "feeCurrency": fill.fee_asset, "liquidityRole": if fill.maker { "MAKER" } else { "TAKER" },
            "tradeType": "SPOT", "executionTime": fill.time.nanos(),
        }))
    };
    let items: Vec<Value> = page.iter().filter_map(row).collect();
    Ok(json!({"items": items, "lastId": page.last().map(|fill| wire::row_id(fill))}))
}

fn owner(world: &World, who: usize) -> Result<&Account, Fault> {
    world.accounts.get(who).ok_or_else(Fault::key)
}

fn may_trade(world: &World, who: usize) -> Result<(), Fault> {
    if owner(world, who)?.permissions.trade { Ok(()) } else { Err(Fault::permission()) }
}

fn created(world: &World, fill: &Fill) -> Timestamp {
    world.orders.get(&fill.order_id).map_or(fill.time, |order| order.created)
}

/// Returns the pair that `symbol` names.
pub fn symbol(world: &World, asked: &Asked) -> Result<usize, Fault> {
    let symbol = asked.param("symbol").ok_or_else(|| Fault::param("symbol is required"))?;
    world.by_spelling(Venue::Kucoin, &symbol).ok_or_else(|| Fault::param("symbol not exists"))
}

fn window(asked: &Asked) -> Result<(i64, i64), Fault> {
    let (start, end) = (asked.number("startAt"), asked.number("endAt"));
    if matches!((start, end), (Some(start), Some(end)) if end - start > WEEK_MS) {
        return Err(Fault::param("The time range cannot exceed 7 days"));
    }
    let to = end.unwrap_or_else(|| start.map_or(i64::MAX, |start| start + WEEK_MS));
    let from = start.unwrap_or_else(|| to.min(clock::now().millis()) - WEEK_MS);
    Ok((from, to))
}
