//! Open orders of KuCoin's other books: margin of both kinds, futures, and those that wait for a price.

use serde_json::{Value, json};

use super::fault::Fault;
use crate::domain::Wallet;
use crate::simulate::acts;
use crate::simulate::floor::{Floor, locked};
use crate::simulate::socket::Asked;
use crate::simulate::world::{Pair, Permissions, World};

/// Returns the wallets that a kind of trading means.
fn meant(world: &mut World, who: usize, kind: &str) -> Result<Vec<usize>, Fault> {
    match kind {
        "" | "TRADE" => Ok(vec![who]),
        "MARGIN_TRADE" => Ok(world.wallet(who, &Wallet::Margin).into_iter().collect()),
        "MARGIN_ISOLATED_TRADE" => Ok(world.isolated(who)),
        _ => Err(Fault::param("tradeType is wrong")),
    }
}

/// Returns the wallets of margin that are asked about; the kind has to be named, and the key needs the right.
fn margin(world: &mut World, who: usize, asked: &Asked) -> Result<Vec<usize>, Fault> {
    needs(world, who, |may| may.margin)?;
    match asked.param("tradeType") {
        Some(kind) if kind.starts_with("MARGIN") => meant(world, who, &kind),
        Some(_) | None => Err(Fault::param("tradeType is required")),
    }
}

fn needs(world: &World, who: usize, right: fn(&Permissions) -> bool) -> Result<(), Fault> {
    let owner = world.accounts.get(who).ok_or_else(Fault::key)?;
    if right(&owner.permissions) { Ok(()) } else { Err(Fault::permission()) }
}

/// Spells a contract as KuCoin does: `XBTUSDTM`.
fn contract(pair: &Pair) -> String {
    let base = if pair.base() == "BTC" { "XBT" } else { pair.base() };
    format!("{base}{}M", pair.quote())
}

/// Answers `hf/margin/order/active/symbols`.
pub fn margin_symbols(floor: &Floor, who: usize, asked: &Asked) -> Result<Value, Fault> {
    let mut world = floor.world();
    let wallets = margin(&mut world, who, asked)?;
    let open = wallets.iter().flat_map(|at| world.open_orders(*at));
    let mut symbols: Vec<String> = open.filter_map(|order| Some(world.pairs.get(order.pair)?.spelled())).collect();
    symbols.sort();
    symbols.dedup();
    Ok(json!({"symbolSize": symbols.len(), "symbols": symbols}))
}

/// Cancels the margin orders of a pair, which has to be named.
pub fn cancel_margin(floor: &Floor, who: usize, asked: &Asked) -> Result<Value, Fault> {
    let wallets = margin(&mut floor.world(), who, asked)?;
    let symbol = asked.param("symbol").ok_or_else(|| Fault::param("symbol is required"))?;
    for at in wallets {
        acts::cancel(floor, at, |pair| pair.spelled() == symbol);
    }
    Ok(json!("success"))
}

/// Answers the futures' list of orders.
pub fn futures(floor: &Floor, who: usize, asked: &Asked) -> Result<Value, Fault> {
    let mut world = floor.world();
    let at = world.wallet(who, &Wallet::Futures).ok_or_else(Fault::key)?;
    let active = asked.param("status").as_deref() == Some("active");
    let row = |order: &&crate::simulate::world::Order| {
        let pair = world.pairs.get(order.pair)?;
        let id = crate::simulate::spelling::order_id(crate::domain::Venue::Kucoin, order.id, order.created);
        Some(json!({"id": id, "symbol": contract(pair), "type": "limit", "status": "open", "isActive": true,
            "side": crate::simulate::spelling::small(order.side), "clientOid": order.client_id}))
    };
    let rows: Vec<Value> = world.open_orders(at).iter().filter(|_| active).filter_map(row).collect();
    Ok(page(rows))
}

/// Cancels the futures orders of a contract; whether a call that names none means all is not said, so here it means none.
pub fn cancel_futures(floor: &Floor, who: usize, asked: &Asked) -> Result<Value, Fault> {
    needs(&floor.world(), who, |may| may.futures)?;
    let at = floor.world().wallet(who, &Wallet::Futures).ok_or_else(Fault::key)?;
    let symbol = asked.param("symbol").ok_or_else(|| Fault::param("symbol is required"))?;
    let done = acts::cancel(floor, at, |pair| contract(pair) == symbol);
    Ok(json!({"cancelledOrderIds": done}))
}

/// Answers the list of orders that wait for a price.
pub fn stops(floor: &Floor, who: usize, asked: &Asked) -> Result<Value, Fault> {
    let wallets = waiting_in(floor, who, asked)?;
    let acts = locked(&floor.acts);
    let oco = is_oco(asked);
    let kept = wallets.iter().filter_map(|at| acts.stops.get(&(*at, oco))).flatten();
    Ok(page(kept.enumerate().map(|(n, symbol)| json!({"id": format!("vs{n}"), "symbol": symbol})).collect()))
}

/// Cancels them.
pub fn cancel_stops(floor: &Floor, who: usize, asked: &Asked) -> Result<Value, Fault> {
    let wallets = waiting_in(floor, who, asked)?;
    let right: fn(&Permissions) -> bool = match asked.path.as_str() {
        "/api/v1/stopOrders" => |may| may.futures,
        path if path.contains("/margin/") => |may| may.margin,
        _ => |may| may.trade,
    };
    needs(&floor.world(), who, right)?;
    let mut acts = locked(&floor.acts);
    let (oco, left) = (is_oco(asked), usize::from(acts.partial));
    let mut done = Vec::new();
    for at in wallets {
        let kept = acts.stops.entry((at, oco)).or_default();
        done.extend(kept.drain(left.min(kept.len())..));
    }
    Ok(json!({"cancelledOrderIds": done}))
}

/// Returns the wallets whose orders that wait for a price are asked about.
fn waiting_in(floor: &Floor, who: usize, asked: &Asked) -> Result<Vec<usize>, Fault> {
    let mut world = floor.world();
    if asked.path == "/api/v1/stopOrders" {
        return Ok(world.wallet(who, &Wallet::Futures).into_iter().collect());
    }
    if asked.path.contains("/margin/") {
        return margin(&mut world, who, asked);
    }
    meant(&mut world, who, &asked.param("tradeType").unwrap_or_default())
}

fn is_oco(asked: &Asked) -> bool {
    asked.path.contains("/oco")
}

fn page(rows: Vec<Value>) -> Value {
    json!({"currentPage": 1, "pageSize": 50, "totalNum": rows.len(), "totalPage": 1, "items": rows})
}
