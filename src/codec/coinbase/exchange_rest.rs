//! Coinbase Exchange's answers: lists without an envelope. A fill that the feed told without its fee is confirmed, never
//! told again.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::Aliases;
use super::exchange::small_side;
use super::orders::spot;
use super::placed::Placed;
use crate::codec::shape::{Heard, figure, name, parameter, path, read, some, unread, word};
use crate::codec::unread::Unread;
use crate::codec::wire::{Amount, Id};
use crate::domain::{
    Asset, Balance, BalanceWhy, Basis, Confirmation, EventKind, FeedKind, Fill, Money, OrderChange, OrderStep,
    Timestamp, Via,
};

/// One row of `fills`, newest first.
///
/// `{"trade_id":10,"product_id":"ABC-USD","order_id":"4a5b","created_at":"2026-01-01T00:00:00.5Z","liquidity":"T",
/// "price":"100","size":"2","fee":"0.8","side":"buy","settled":true,"usd_volume":"200"}`
#[derive(Deserialize)]
struct Row<'a> {
    trade_id: Id,
    order_id: Id,
    #[serde(borrow)]
    product_id: Cow<'a, str>,
    #[serde(borrow)]
    created_at: Cow<'a, str>,
    #[serde(default, borrow)]
    liquidity: Cow<'a, str>,
    price: Amount,
    size: Amount,
    fee: Option<Amount>,
    #[serde(borrow)]
    side: Cow<'a, str>,
}

/// One row of `orders`.
///
/// `{"id":"4a5b","product_id":"ABC-USD","side":"buy","type":"limit","client_oid":"bot-1","status":"done",
/// "done_reason":"filled","created_at":"2026-01-01T00:00:00Z","done_at":"2026-01-01T00:00:02Z","reject_reason":""}`
#[derive(Deserialize)]
struct Order<'a> {
    id: Id,
    #[serde(borrow)]
    product_id: Cow<'a, str>,
    #[serde(default, borrow)]
    side: Cow<'a, str>,
    #[serde(default, rename = "type", borrow)]
    kind: Cow<'a, str>,
    client_oid: Option<Id>,
    #[serde(default, borrow)]
    status: Cow<'a, str>,
    #[serde(default, borrow)]
    done_reason: Cow<'a, str>,
    #[serde(default, borrow)]
    reject_reason: Cow<'a, str>,
    created_at: Option<Cow<'a, str>>,
    done_at: Option<Cow<'a, str>>,
}

/// One row of `accounts`: `{"id":"u-1","currency":"ABC","balance":"1.5","available":"1","hold":"0.5"}`
#[derive(Deserialize)]
struct Wallet {
    currency: Id,
    available: Amount,
    hold: Option<Amount>,
}

/// Takes a list.
pub(super) fn page(
    call: &str,
    json: &str,
    placed: &mut Placed,
    aliases: &mut Aliases,
    heard: &mut Heard<'_>,
) -> Result<(), Unread> {
    let rows: Vec<&RawValue> = read("a list", json)?;
    // Should the exchange send more than was asked for, what is older was told long ago, by us or before us.
    let since = parameter(call, "start_date").and_then(Timestamp::from_rfc3339).unwrap_or(Timestamp::EPOCH);
    type Take = fn(&str, Timestamp, &mut Placed, &mut Aliases, &mut Heard<'_>) -> Result<(), Unread>;
    let take: Take = match path(call).rsplit('/').next().unwrap_or("") {
        "fills" => fill,
        "orders" => |json, _, placed, aliases, heard| order(json, placed, aliases, heard),
        "accounts" => |json, _, _, _, heard| balance(json, heard),
        // It names the pairs to ask for; the fills tell the trades.
        "ledger" | "profiles" | "products" => return Ok(()),
        other => {
            heard.feed(FeedKind::Unknown(name(other)));
            return Ok(());
        }
    };
    for row in rows.into_iter().rev() {
        let row = take(row.get(), since, placed, aliases, heard);
        heard.row(row);
    }
    Ok(())
}

fn fill(
    json: &str,
    since: Timestamp,
    placed: &mut Placed,
    aliases: &mut Aliases,
    heard: &mut Heard<'_>,
) -> Result<(), Unread> {
    let row: Row<'_> = read("a fill", json)?;
    let Some(symbol) = spot(&row.product_id, heard) else { return Ok(()) };
    aliases.touch(&symbol);
    let account = heard.account()?;
    let price = row.price.price().map_err(figure("price"))?;
    let quantity = row.size.quantity().map_err(figure("size"))?;
    let notional = price.times(quantity).map_err(figure("size"))?;
    let time = Timestamp::from_rfc3339(&row.created_at).ok_or_else(|| unread("a fill without a time"))?;
    if time < since {
        return Ok(());
    }
    let fee = row.fee.map(|fee| Money::new(fee.0.normalize(), symbol.quote().clone()));
    let maker = match &*row.liquidity {
        "M" => Some(true),
        "T" => Some(false),
        _ => None,
    };
    if fee.is_some()
        && let Some(booked) = placed.settle(&row.trade_id.0, &row.order_id.0)
    {
        heard.push(EventKind::Confirmed(Confirmation {
            account,
            symbol,
            order_id: row.order_id.0,
            trade_id: row.trade_id.0,
            booked,
            notional,
            fee,
            maker,
            time,
        }));
        return Ok(());
    }
    let told = placed.known(&row.order_id.0);
    // Whether the feed told it is for the memory of fills to say, which all exchanges share.
    heard.push(EventKind::Fill(Fill {
        account,
        side: small_side(&row.side)?,
        price,
        quantity,
        notional,
        fee,
        maker,
        client_order_id: told.and_then(|told| told.client_order_id.clone()),
        order_type: told.and_then(|told| told.order_type.clone()),
        trade_id: Some(row.trade_id.0),
        order_id: row.order_id.0,
        source: None,
        time,
        basis: Basis::Exact,
        via: Via::Rest,
        symbol,
    }));
    Ok(())
}

fn order(json: &str, placed: &mut Placed, aliases: &mut Aliases, heard: &mut Heard<'_>) -> Result<(), Unread> {
    let order: Order<'_> = read("an order", json)?;
    let Some(symbol) = spot(&order.product_id, heard) else { return Ok(()) };
    aliases.touch(&symbol);
    let account = heard.account()?;
    let step = match (&*order.status, &*order.done_reason) {
        ("open" | "pending" | "active" | "received", _) => OrderStep::Accepted,
        ("rejected", _) => OrderStep::Rejected,
        ("done" | "settled", "filled" | "") => OrderStep::Done,
        ("done" | "settled", "canceled" | "cancelled") => OrderStep::Cancelled,
        _ => OrderStep::Other,
    };
    let told = placed.order(&order.id.0);
    told.client_order_id = order.client_oid.and_then(|id| some(&id.0)).or(told.client_order_id.take());
    told.order_type = word(&order.kind).or(told.order_type.take());
    // The list is read again and again; an order that stands as it was told is no news.
    if told.step.replace(step) == Some(step) {
        return Ok(());
    }
    let time = |text: &Option<Cow<'_, str>>| Timestamp::from_rfc3339(text.as_deref().unwrap_or(""));
    heard.push(EventKind::Order(OrderChange {
        account,
        symbol,
        side: small_side(&order.side).ok(),
        order_id: order.id.0,
        client_order_id: told.client_order_id.clone(),
        source: None,
        order_type: told.order_type.clone(),
        step,
        reason: word(&order.reject_reason),
        time: time(&order.done_at).or_else(|| time(&order.created_at)).unwrap_or(heard.at()),
    }));
    Ok(())
}

fn balance(json: &str, heard: &mut Heard<'_>) -> Result<(), Unread> {
    let wallet: Wallet = read("an account", json)?;
    heard.push(EventKind::Balance(Balance {
        account: heard.account()?,
        wallet: heard.wallet(),
        asset: Asset::new(&wallet.currency.0).map_err(figure("currency"))?,
        free: Some(wallet.available.0),
        locked: wallet.hold.map(|hold| hold.0),
        delta: None,
        why: BalanceWhy::Read,
        time: heard.at(),
    }));
    Ok(())
}
