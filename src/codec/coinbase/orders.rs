//! Coinbase's `user` channel: running totals of orders, which become provisional fills and steps.

use std::borrow::Cow;

use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::book::Book;
use super::totals::{Step, Sum};
use super::{Aliases, side};
use crate::codec::shape::{Heard, figure, name, read, some, unread, word};
use crate::codec::unread::Unread;
use crate::codec::wire::{Amount, Id};
use crate::domain::{
    Basis, EventKind, FeedKind, Fill, Money, OrderChange, OrderStep, Price, Quantity, Symbol, Timestamp, Via,
};

/// One of a message's `events`: `{"type":"update","orders":[]}`; futures positions ride beside the orders.
#[derive(Deserialize)]
struct Batch<'a> {
    #[serde(default, borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(default, borrow)]
    orders: Option<Vec<&'a RawValue>>,
}

/// One order of the `user` channel; everything about its trades is cumulative.
///
/// `{"order_id":"4a5b","client_order_id":"bot-1","cumulative_quantity":"3","leaves_quantity":"7","avg_price":"110",
/// "total_fees":"0.33","status":"OPEN","product_id":"ABC-USD","creation_time":"2026-01-01T00:00:00Z",
/// "order_side":"BUY","order_type":"Limit","number_of_fills":"3","filled_value":"330","cancel_reason":"",
/// "reject_reason":"","product_type":"SPOT"}`
#[derive(Deserialize)]
struct Order<'a> {
    order_id: Id,
    client_order_id: Option<Id>,
    cumulative_quantity: Amount,
    avg_price: Option<Amount>,
    total_fees: Option<Amount>,
    filled_value: Option<Amount>,
    #[serde(default, borrow)]
    status: Cow<'a, str>,
    #[serde(borrow)]
    product_id: Cow<'a, str>,
    #[serde(default, borrow)]
    creation_time: Cow<'a, str>,
    #[serde(default, borrow)]
    order_side: Cow<'a, str>,
    #[serde(default, borrow)]
    order_type: Cow<'a, str>,
    #[serde(default, borrow)]
    cancel_reason: Cow<'a, str>,
    #[serde(default, borrow)]
    reject_reason: Cow<'a, str>,
}

/// One order as REST lists it; its trades are left to List Fills.
///
/// `{"order_id":"4a5b","product_id":"ABC-USD","side":"BUY","client_order_id":"bot-1","status":"FILLED",
/// "created_time":"2026-01-01T00:00:00Z","last_fill_time":"2026-01-01T00:00:02Z","order_type":"STOP_LIMIT",
/// "reject_reason":"REJECT_REASON_UNSPECIFIED","order_placement_source":"RETAIL_ADVANCED","filled_size":"3"}`
#[derive(Deserialize)]
struct ListedOrder<'a> {
    order_id: Id,
    #[serde(borrow)]
    product_id: Cow<'a, str>,
    #[serde(default, borrow)]
    side: Cow<'a, str>,
    client_order_id: Option<Id>,
    #[serde(default, borrow)]
    status: Cow<'a, str>,
    created_time: Option<Cow<'a, str>>,
    last_fill_time: Option<Cow<'a, str>>,
    order_type: Option<Cow<'a, str>>,
    order_placement_source: Option<Cow<'a, str>>,
}

/// When a message of the `user` channel was made, and the first one of its connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct When {
    pub(super) time: Timestamp,
    pub(super) opened: Timestamp,
}

/// Takes one of the `events` of a `user` message.
pub(super) fn batch(
    json: &str,
    when: When,
    book: &mut Book,
    aliases: &mut Aliases,
    heard: &mut Heard<'_>,
) -> Result<(), Unread> {
    let batch: Batch<'_> = read("an event of the user channel", json)?;
    let snapshot = match &*batch.kind {
        "snapshot" => true,
        "update" => false,
        other => {
            heard.feed(FeedKind::Unknown(name(other)));
            return Ok(());
        }
    };
    for order in batch.orders.into_iter().flatten() {
        let row = read("an order", order.get()).and_then(|order| take(&order, snapshot, when, book, aliases, heard));
        heard.row(row);
    }
    Ok(())
}

fn take(
    order: &Order<'_>,
    snapshot: bool,
    When { time, opened }: When,
    book: &mut Book,
    aliases: &mut Aliases,
    heard: &mut Heard<'_>,
) -> Result<(), Unread> {
    let Some(symbol) = spot(&order.product_id, heard) else { return Ok(()) };
    aliases.touch(&symbol);
    let side = side(&order.order_side)?;
    let total = total(order)?;
    let totals = book.order(&order.order_id.0);
    // An order from before the connection stands in its snapshot. One that does not, and is told for the first time, may
    // have traded long ago: what and when is left to List Fills, which is asked for every order that changes.
    let created = Timestamp::from_rfc3339(&order.creation_time);
    let baseline = snapshot || created.is_some_and(|created| created < opened);
    let told = totals.stream(total, baseline, time)?;
    let client_order_id = order.client_order_id.as_ref().and_then(|id| some(&id.0));
    let step = step(&order.status);
    match told {
        Step::Fell => return Err(unread("cumulative quantity fell")),
        Step::Nothing => {}
        Step::Fresh(fresh) => {
            let price = fresh.value.checked_div(fresh.quantity).ok_or_else(|| unread("a price out of range"))?;
            heard.push(EventKind::Fill(Fill {
                account: heard.account()?,
                side,
                price: Price::new(price.normalize()).map_err(figure("filled_value"))?,
                quantity: Quantity::new(fresh.quantity).map_err(figure("cumulative_quantity"))?,
                notional: fresh.value,
                fee: fresh.fees.map(|fees| Money::new(fees, symbol.quote().clone())),
                maker: None,
                trade_id: None,
                order_id: order.order_id.0.clone(),
                client_order_id: client_order_id.clone(),
                source: totals.source.clone(),
                order_type: word(&order.order_type),
                time,
                basis: Basis::Provisional,
                via: Via::Stream,
                symbol: symbol.clone(),
            }));
        }
    }
    if totals.step == Some(step) {
        return Ok(());
    }
    totals.step = Some(step);
    let source = totals.source.clone();
    let created = created.filter(|_| snapshot);
    heard.push(EventKind::Order(OrderChange {
        account: heard.account()?,
        symbol,
        side: Some(side),
        order_id: order.order_id.0.clone(),
        client_order_id,
        source,
        order_type: word(&order.order_type),
        step,
        reason: word(&order.reject_reason).or_else(|| word(&order.cancel_reason)),
        time: created.unwrap_or(time),
    }));
    Ok(())
}

/// Returns the totals of an order. `filled_value` is exact, `avg_price` is rounded and the fallback.
fn total(order: &Order<'_>) -> Result<Sum, Unread> {
    let quantity = order.cumulative_quantity.0;
    let told = order.filled_value.map(|value| value.0).filter(|value| *value > Decimal::ZERO);
    let average = || order.avg_price.and_then(|price| price.0.checked_mul(quantity));
    let value = told.or_else(average).unwrap_or_default().normalize();
    if quantity < Decimal::ZERO || value < Decimal::ZERO {
        return Err(unread("a total below zero"));
    }
    Ok(Sum { quantity, value, fees: order.total_fees.map(|fees| fees.0) })
}

/// Takes a row of `orders/historical/batch`, or the one of `orders/historical/{id}`.
pub(super) fn listed(json: &str, book: &mut Book, aliases: &mut Aliases, heard: &mut Heard<'_>) -> Result<(), Unread> {
    let order: ListedOrder<'_> = read("an order", json)?;
    let Some(symbol) = spot(&order.product_id, heard) else { return Ok(()) };
    aliases.touch(&symbol);
    let source = order.order_placement_source.as_deref().and_then(some);
    if let Some(totals) = book.known(&order.order_id.0) {
        totals.source = source.clone().or(totals.source.take());
    }
    let time = |text: &Option<Cow<'_, str>>| Timestamp::from_rfc3339(text.as_deref().unwrap_or(""));
    heard.push(EventKind::Order(OrderChange {
        account: heard.account()?,
        symbol,
        side: side(&order.side).ok(),
        order_id: order.order_id.0,
        client_order_id: order.client_order_id.and_then(|id| some(&id.0)),
        source,
        order_type: order.order_type.as_deref().and_then(word),
        step: step(&order.status),
        reason: None,
        time: time(&order.last_fill_time).or_else(|| time(&order.created_time)).unwrap_or(heard.at()),
    }));
    Ok(())
}

/// Reads a spot product; a futures product is told of and left.
pub(super) fn spot(product: &str, heard: &mut Heard<'_>) -> Option<Symbol> {
    let symbol = Symbol::from_dashed(product).ok();
    if symbol.is_none() {
        heard.feed(FeedKind::Unknown("a product that is no spot pair".into()));
    }
    symbol
}

fn step(status: &str) -> OrderStep {
    match status {
        "PENDING" | "OPEN" | "QUEUED" => OrderStep::Accepted,
        "FILLED" => OrderStep::Done,
        "CANCELLED" => OrderStep::Cancelled,
        "EXPIRED" => OrderStep::Expired,
        "FAILED" => OrderStep::Rejected,
        _ => OrderStep::Other,
    }
}
