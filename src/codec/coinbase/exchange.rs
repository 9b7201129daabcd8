//! Coinbase Exchange's `user` channel: every match of the profile, and the steps of its orders
//! (<https://docs.cdp.coinbase.com/exchange/websocket-feed/channels#user-channel>).

use std::borrow::Cow;

use serde::Deserialize;

use super::orders::spot;
use super::placed::Placed;
use super::{Aliases, side};
use crate::codec::shape::{Heard, figure, name, read, some, unread, word};
use crate::codec::unread::Unread;
use crate::codec::wire::{Amount, Id};
use crate::domain::{Basis, EventKind, FeedKind, Fill, Money, OrderChange, OrderStep, Side, Symbol, Timestamp, Via};

/// Two orders met. `side` is that of the order which rested; whose the message is shows in the fields it has besides.
///
/// `{"type":"match","trade_id":10,"sequence":50,"maker_order_id":"ac92","taker_order_id":"13f4",
/// "time":"2026-01-01T00:00:00.5Z","product_id":"ABC-USD","size":"2","price":"100","side":"sell","user_id":"u-1",
/// "profile_id":"p-1","taker_user_id":"u-1","taker_profile_id":"p-1","taker_fee_rate":"0.004"}`
#[derive(Deserialize)]
struct Match<'a> {
    trade_id: Id,
    maker_order_id: Id,
    taker_order_id: Id,
    #[serde(borrow)]
    time: Cow<'a, str>,
    #[serde(borrow)]
    product_id: Cow<'a, str>,
    size: Amount,
    price: Amount,
    #[serde(borrow)]
    side: Cow<'a, str>,
    user_id: Option<Id>,
    profile_id: Option<Id>,
    taker_user_id: Option<Id>,
    taker_profile_id: Option<Id>,
    taker_fee_rate: Option<Amount>,
    maker_user_id: Option<Id>,
    maker_profile_id: Option<Id>,
    maker_fee_rate: Option<Amount>,
}

/// A step of an order.
///
/// `{"type":"received","order_id":"4a5b","client_oid":"bot-1","order_type":"limit","side":"buy","size":"5","price":"100",
/// "product_id":"ABC-USD","sequence":51,"time":"2026-01-01T00:00:00Z"}`, `{"type":"open","remaining_size":"3"}`,
/// `{"type":"done","reason":"canceled","remaining_size":"3"}`, `{"type":"change","reason":"modify_order","new_size":"2"}`,
/// `{"type":"activate","timestamp":"1483736448.299000","stop_type":"entry","stop_price":"80"}`
#[derive(Deserialize)]
struct Step<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    order_id: Id,
    #[serde(alias = "client-oid")]
    client_oid: Option<Id>,
    #[serde(borrow)]
    product_id: Cow<'a, str>,
    #[serde(default, borrow)]
    side: Cow<'a, str>,
    #[serde(default, borrow)]
    order_type: Cow<'a, str>,
    #[serde(default, borrow)]
    reason: Cow<'a, str>,
    #[serde(default, borrow)]
    cancel_reason: Cow<'a, str>,
    #[serde(default, borrow)]
    time: Cow<'a, str>,
}

/// Returns whether a message without a channel is one of Coinbase Exchange's.
pub(super) fn is_exchange(kind: &str) -> bool {
    matches!(
        kind,
        "match" | "last_match" | "received" | "open" | "done" | "change" | "activate" | "subscriptions" | "heartbeat"
    )
}

/// Takes a message of the `user` channel.
pub(super) fn message(
    kind: &str,
    json: &str,
    placed: &mut Placed,
    aliases: &mut Aliases,
    heard: &mut Heard<'_>,
) -> Result<(), Unread> {
    match kind {
        // `last_match` tells again what happened before the subscription.
        "subscriptions" | "heartbeat" | "last_match" => Ok(()),
        "match" => matched(json, placed, aliases, heard),
        "received" | "open" | "done" | "change" | "activate" => stepped(json, placed, aliases, heard),
        other => {
            heard.feed(FeedKind::Unknown(name(other)));
            Ok(())
        }
    }
}

fn matched(json: &str, placed: &mut Placed, aliases: &mut Aliases, heard: &mut Heard<'_>) -> Result<(), Unread> {
    let found: Match<'_> = read("a match", json)?;
    let Some(symbol) = spot(&found.product_id, heard) else { return Ok(()) };
    aliases.touch(&symbol);
    let rested = small_side(&found.side)?;
    let time = Timestamp::from_rfc3339(&found.time).ok_or_else(|| unread("a match without a time"))?;
    let (taker, maker) = found.ours(placed);
    if !taker && !maker {
        return Err(unread("a match in which neither order is known as the account's"));
    }
    // Trading with oneself makes two fills of one match, each with its order.
    for (ours, maker) in [(taker, false), (maker, true)] {
        if !ours {
            continue;
        }
        let (order_id, rate, side) = match maker {
            true => (&found.maker_order_id, found.maker_fee_rate, rested),
            false => (&found.taker_order_id, found.taker_fee_rate, rested.opposite()),
        };
        let fill = found.fill(&symbol, order_id, rate, (side, maker), time, placed, heard)?;
        heard.push(EventKind::Fill(fill));
    }
    Ok(())
}

impl Match<'_> {
    /// Returns whether the order that did not wait, and the one that rested, are the account's.
    fn ours(&self, placed: &Placed) -> (bool, bool) {
        let named = |profile: &Option<Id>, user: &Option<Id>, rate: &Option<Amount>| {
            let same = |theirs: &Option<Id>, own: &Option<Id>| {
                theirs.as_ref().map(|id| own.as_ref().is_none_or(|own| own == id))
            };
            // A profile says more than its user, who may have several.
            same(profile, &self.profile_id).or_else(|| same(user, &self.user_id)).unwrap_or(rate.is_some())
        };
        let taker = named(&self.taker_profile_id, &self.taker_user_id, &self.taker_fee_rate);
        let maker = named(&self.maker_profile_id, &self.maker_user_id, &self.maker_fee_rate);
        if taker || maker {
            return (taker, maker);
        }
        (placed.known(&self.taker_order_id.0).is_some(), placed.known(&self.maker_order_id.0).is_some())
    }

    #[expect(clippy::too_many_arguments, reason = "one side of a match is made of all of them")]
    fn fill(
        &self,
        symbol: &Symbol,
        order_id: &Id,
        rate: Option<Amount>,
        (side, maker): (Side, bool),
        time: Timestamp,
        placed: &mut Placed,
        heard: &Heard<'_>,
    ) -> Result<Fill, Unread> {
        let price = self.price.price().map_err(figure("price"))?;
        let quantity = self.size.quantity().map_err(figure("size"))?;
        let notional = price.times(quantity).map_err(figure("size"))?;
        let fee = rate.map(|rate| rate.0.checked_mul(notional).ok_or_else(|| unread("a fee out of range")));
        let fee = fee.transpose()?.map(|fee| Money::new(fee.normalize(), symbol.quote().clone()));
        if fee.is_none() {
            placed.owe(&self.trade_id.0, &order_id.0, notional);
        }
        let told = placed.known(&order_id.0);
        Ok(Fill {
            account: heard.account()?,
            symbol: symbol.clone(),
            side,
            price,
            quantity,
            notional,
            fee,
            maker: Some(maker),
            trade_id: Some(self.trade_id.0.clone()),
            order_id: order_id.0.clone(),
            client_order_id: told.and_then(|told| told.client_order_id.clone()),
            source: None,
            order_type: told.and_then(|told| told.order_type.clone()),
            time,
            basis: Basis::Exact,
            via: Via::Stream,
        })
    }
}

fn stepped(json: &str, placed: &mut Placed, aliases: &mut Aliases, heard: &mut Heard<'_>) -> Result<(), Unread> {
    let found: Step<'_> = read("a step of an order", json)?;
    let Some(symbol) = spot(&found.product_id, heard) else { return Ok(()) };
    aliases.touch(&symbol);
    let step = match (&*found.kind, &*found.reason) {
        ("received" | "open" | "activate", _) => OrderStep::Accepted,
        ("change", _) => OrderStep::Amended,
        ("done", "filled") => OrderStep::Done,
        ("done", "canceled" | "cancelled") => OrderStep::Cancelled,
        _ => OrderStep::Other,
    };
    let account = heard.account()?;
    let told = placed.order(&found.order_id.0);
    told.client_order_id = found.client_oid.and_then(|id| some(&id.0)).or(told.client_order_id.take());
    told.order_type = word(&found.order_type).or(told.order_type.take());
    // A size may change again and again; every other step is told once.
    if told.step.replace(step) == Some(step) && step != OrderStep::Amended {
        return Ok(());
    }
    let reason = word(&found.cancel_reason).or_else(|| word(&found.reason));
    heard.push(EventKind::Order(OrderChange {
        account,
        symbol,
        side: small_side(&found.side).ok(),
        order_id: found.order_id.0,
        client_order_id: told.client_order_id.clone(),
        source: None,
        order_type: told.order_type.clone(),
        step,
        reason: reason.filter(|_| matches!(step, OrderStep::Cancelled | OrderStep::Amended | OrderStep::Other)),
        time: Timestamp::from_rfc3339(&found.time).unwrap_or(heard.at()),
    }));
    Ok(())
}

/// Reads `buy` or `sell`, which Coinbase Exchange writes in small letters.
pub(super) fn small_side(text: &str) -> Result<Side, Unread> {
    match text {
        "buy" => Ok(Side::Buy),
        "sell" => Ok(Side::Sell),
        other => side(other),
    }
}
