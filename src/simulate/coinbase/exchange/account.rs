//! What a key's owner may ask of Coinbase Exchange: lists without an envelope, cursors in headers.

use serde_json::{Value, json};

use super::wire::{self, Fault};
use crate::domain::{Timestamp, Venue};
use crate::simulate::coinbase::wire::plain;
use crate::simulate::floor::Floor;
use crate::simulate::socket::Asked;
use crate::simulate::spelling::{read_order_id, rfc3339};
use crate::simulate::world::{Account, Fill, World};

/// Rows of the largest page.
const MOST: usize = 1_000;

/// A page, and the cursor of the next older one.
pub struct Page(pub Value, pub Option<String>);

/// Answers the fills of a pair or an order, newest first.
pub fn fills(floor: &Floor, who: usize, asked: &Asked) -> Result<Page, Fault> {
    let world = floor.world();
    let owner = owner(&world, who)?;
    let (order, product) = (asked.param("order_id"), asked.param("product_id"));
    if order.is_none() && product.is_none() {
        return Err(Fault::new(400, "order_id or product_id is required"));
    }
    let number = order.as_deref().map(|id| read_order_id(Venue::Coinbase, id));
    let (before, after, since) = (cursor(asked, "before")?, cursor(asked, "after")?, start(asked)?);
    let spelled = |fill: &Fill| world.pairs.get(fill.pair).map(|pair| pair.spelled()).unwrap_or_default();
    let mut found: Vec<&Fill> = owner
        .fills
        .iter()
        .filter(|fill| product.as_ref().is_none_or(|product| *product == spelled(fill)))
        .filter(|fill| number.is_none_or(|number| number == Some(fill.order_id)))
        .filter(|fill| before.is_none_or(|before| fill.trade_id > before))
        .filter(|fill| after.is_none_or(|after| fill.trade_id < after) && fill.time >= since)
        .collect();
    found.sort_by_key(|fill| std::cmp::Reverse(fill.trade_id));
    let (page, older) = cut(asked, &found, |fill| fill.trade_id)?;
    let created = |fill: &Fill| world.orders.get(&fill.order_id).map_or(fill.time, |order| order.created);
    let rows = page.iter().filter_map(|fill| Some(wire::fill(world.pairs.get(fill.pair)?, owner, fill, created(fill))));
    Ok(Page(rows.collect(), older))
}

/// Answers the orders of some states, newest first; the open ones when none is named.
pub fn orders(floor: &Floor, who: usize, asked: &Asked) -> Result<Page, Fault> {
    let world = floor.world();
    let owner = owner(&world, who)?;
    let (states, after, since) = (asked.params("status"), cursor(asked, "after")?, start(asked)?);
    let named = |state: &str| states.iter().any(|named| named == state || named == "all");
    let wanted = |open: bool| if open { states.is_empty() || named("open") } else { named("done") };
    let found: Vec<_> = world
        .orders
        .values()
        .rev()
        .filter(|order| order.account == who && wanted(order.is_open()))
        .filter(|order| after.is_none_or(|after| order.id < after) && order.created >= since)
        .collect();
    let (page, older) = cut(asked, &found, |order| order.id)?;
    let rows = page.iter().filter_map(|order| Some(wire::order(world.pairs.get(order.pair)?, owner, order)));
    Ok(Page(rows.collect(), older))
}

/// Answers every currency's account.
pub fn accounts(floor: &Floor, who: usize, _: &Asked) -> Result<Page, Fault> {
    let world = floor.world();
    let owner = owner(&world, who)?;
    let rows = owner.holdings.iter().map(|(asset, holding)| {
        json!({
            "id": account_id(owner, asset), "currency": asset, "balance": plain(holding.free + holding.locked),
            "available": plain(holding.free), "hold": plain(holding.locked), "profile_id": wire::profile(owner),
            "trading_enabled": true, "pending_deposit": "0", "display_name": asset,
        })
    });
    Ok(Page(rows.collect(), None))
}

/// Answers what moved one currency's account, newest first: its trades.
pub fn ledger(floor: &Floor, who: usize, asked: &Asked, id: &str) -> Result<Page, Fault> {
    let world = floor.world();
    let owner = owner(&world, who)?;
    let asset = owner.holdings.keys().find(|asset| account_id(owner, asset) == id);
    let asset = asset.ok_or_else(|| Fault::new(404, "NotFound"))?;
    let after = cursor(asked, "after")?;
    let touches =
        |fill: &&Fill| world.pairs.get(fill.pair).is_some_and(|pair| pair.base() == asset || pair.quote() == asset);
    let found: Vec<&Fill> =
        owner.fills.iter().rev().filter(touches).filter(|fill| after.is_none_or(|after| fill.serial < after)).collect();
    let (page, older) = cut(asked, &found, |fill| fill.serial)?;
    let rows = page.iter().filter_map(|fill| {
        let pair = world.pairs.get(fill.pair)?;
        let created = world.orders.get(&fill.order_id).map_or(fill.time, |order| order.created);
        let order = crate::simulate::spelling::order_id(Venue::Coinbase, fill.order_id, created);
        Some(json!({
            "id": fill.serial.to_string(), "amount": plain(if pair.base() == asset { fill.quantity } else { fill.quote }),
            "created_at": rfc3339(fill.time), "balance": "0", "type": "match",
            "details": {"order_id": order, "trade_id": fill.trade_id.to_string(), "product_id": pair.spelled()},
        }))
    });
    Ok(Page(rows.collect(), older))
}

fn account_id(owner: &Account, asset: &str) -> String {
    let hash = blake3::hash(asset.as_bytes()).to_hex();
    format!("{:08x}-0000-4000-a000-{}", owner.uid & 0xffff_ffff, hash.as_str().get(..12).unwrap_or_default())
}

fn owner(world: &World, who: usize) -> Result<&Account, Fault> {
    world.accounts.get(who).ok_or_else(|| Fault::new(401, "Invalid API Key"))
}

fn cursor(asked: &Asked, name: &str) -> Result<Option<u64>, Fault> {
    let read = |text: String| text.parse().map_err(|_| Fault::new(400, "invalid cursor"));
    asked.param(name).map(read).transpose()
}

fn start(asked: &Asked) -> Result<Timestamp, Fault> {
    let read = |text: String| Timestamp::from_rfc3339(&text).ok_or_else(|| Fault::new(400, "invalid start_date"));
    asked.param("start_date").map_or(Ok(Timestamp::EPOCH), read)
}

/// Cuts a page off; its last row's number is the cursor of the next.
fn cut<'a, T>(asked: &Asked, found: &'a [T], number: impl Fn(&T) -> u64) -> Result<(&'a [T], Option<String>), Fault> {
    let limit = match asked.param("limit") {
        None => MOST,
        Some(text) => text.parse::<usize>().map_err(|_| Fault::new(400, "invalid limit"))?.clamp(1, MOST),
    };
    let page = found.get(..limit.min(found.len())).unwrap_or_default();
    let older = page.last().filter(|_| found.len() > limit).map(|last| number(last).to_string());
    Ok((page, older))
}
