//! KuCoin's unified feed: short keys that differ by case only.

use std::borrow::Cow;

use serde::Deserialize;

use super::contract::{self, Contracts};
use super::side;
use crate::codec::shape::{Heard, figure, name, read, some, unread, word};
use crate::codec::unread::Unread;
use crate::codec::wire::{Amount, Id, Whole};
use crate::domain::{
    Asset, Balance, BalanceWhy, Basis, EventKind, FeedKind, Fill, Money, OrderChange, OrderStep, Timestamp, Via,
};

/// `d` of `execution.*` and `execution.lite.*`; the latter has no fee, no kind and a trade id that may be a number.
///
/// `{"oi":"4769","s":"ABC-USDT","S":"BUY","oT":"MARKET","p":"1.02","q":"9","ti":"2222","E":1786516889638000000,
/// "lR":"TAKER","f":"0.009","fC":"USDT","fT":"NORMAL","ci":"bot-1","fP":""}`
#[derive(Deserialize)]
struct Execution<'a> {
    #[serde(rename = "oi")]
    order_id: Id,
    #[serde(borrow, rename = "s")]
    symbol: Cow<'a, str>,
    #[serde(borrow, rename = "S")]
    side: Cow<'a, str>,
    #[serde(default, borrow, rename = "oT")]
    order_type: Cow<'a, str>,
    #[serde(rename = "p")]
    price: Amount,
    #[serde(rename = "q")]
    quantity: Amount,
    #[serde(rename = "ti")]
    trade_id: Id,
    #[serde(rename = "E")]
    time: Option<Whole>,
    #[serde(default, borrow, rename = "lR")]
    role: Cow<'a, str>,
    #[serde(rename = "f")]
    fee: Option<Amount>,
    #[serde(rename = "fC")]
    fee_asset: Option<Id>,
    #[serde(default, borrow, rename = "fT")]
    kind: Cow<'a, str>,
    #[serde(rename = "ci")]
    client_order_id: Option<Id>,
}

/// `d` of `order.*` and `orderAll.*`. Its last fill is not taken: `execution` reports the same with its fee.
///
/// `{"oi":"4769","ci":"bot-1","os":5,"eT":"CANCEL","s":"ABC-USDT","S":"SELL","oT":"LIMIT","cR":"USER_CANCEL",
/// "cS":"1","oS":"USER","O":1770348921643622286,"U":1770348960158129346}`
#[derive(Deserialize)]
struct Order<'a> {
    #[serde(rename = "oi")]
    order_id: Id,
    #[serde(rename = "ci")]
    client_order_id: Option<Id>,
    #[serde(rename = "os")]
    state: Option<Whole>,
    #[serde(default, borrow, rename = "eT")]
    event: Cow<'a, str>,
    #[serde(borrow, rename = "s")]
    symbol: Cow<'a, str>,
    #[serde(default, borrow, rename = "S")]
    side: Cow<'a, str>,
    #[serde(default, borrow, rename = "oT")]
    order_type: Cow<'a, str>,
    #[serde(default, borrow, rename = "oS")]
    source: Cow<'a, str>,
    #[serde(default, borrow, rename = "cR")]
    reason: Cow<'a, str>,
    #[serde(rename = "U")]
    updated: Option<Whole>,
}

/// `d` of `balance.*`: `{"U":1770116995058000000,"a":"0.5","b":"0.7","c":"ABC","e":"0.7","h":"0.2","l":"0","cS":"1"}`
#[derive(Deserialize)]
struct Wallet {
    #[serde(rename = "c")]
    currency: Id,
    #[serde(rename = "a")]
    available: Option<Amount>,
    #[serde(rename = "h")]
    hold: Option<Amount>,
    #[serde(rename = "U")]
    updated: Option<Whole>,
}

/// Takes a push of the unified private feed.
pub(super) fn push(channel: &str, data: &str, contracts: &Contracts, heard: &mut Heard<'_>) -> Result<(), Unread> {
    let (channel, of) = channel.rsplit_once('.').unwrap_or((channel, ""));
    match channel {
        "execution" | "execution.lite" => execution(data, contracts, heard),
        "order" | "orderAll" => order(data, heard),
        "balance" => balance(of, data, heard),
        // What follows from fills, and public channels that strayed in.
        "position" | "positionAll" | "leverage" | "lw" | "trade" | "ticker" | "kline" => Ok(()),
        other => {
            heard.feed(FeedKind::Unknown(name(other)));
            Ok(())
        }
    }
}

fn execution(data: &str, contracts: &Contracts, heard: &mut Heard<'_>) -> Result<(), Unread> {
    let row: Execution<'_> = read("execution", data)?;
    let contract::Pair { symbol, counted } = contract::pair(&row.symbol)?;
    let account = heard.account()?;
    let time = row.time.and_then(|time| Timestamp::from_magnitude(time.0)).unwrap_or(heard.at());
    let client_order_id = row.client_order_id.as_ref().and_then(|id| some(&id.0));
    if exchanges_own(&row.kind, &row.order_id.0) {
        heard.push(EventKind::Order(OrderChange {
            account,
            symbol,
            side: side(&row.side).ok(),
            order_id: row.order_id.0,
            client_order_id,
            source: None,
            order_type: word(&row.order_type),
            step: OrderStep::Other,
            reason: word(&row.kind),
            time,
        }));
        return Ok(());
    }
    let price = row.price.price().map_err(figure("p"))?;
    let size = row.quantity.quantity().map_err(figure("q"))?;
    let (quantity, notional) = contracts.amounts((&row.symbol, counted), price, size)?;
    let trade_id = some(&row.trade_id.0).ok_or_else(|| unread("an execution without a trade id"))?;
    let fee_asset = row.fee_asset.filter(|asset| !asset.0.is_empty());
    let fee = match (row.fee, fee_asset) {
        (Some(fee), Some(asset)) => Some(Money::new(fee.0, Asset::new(&asset.0).map_err(figure("fC"))?)),
        (Some(_), None) | (None, Some(_)) | (None, None) => None,
    };
    heard.push(EventKind::Fill(Fill {
        account,
        symbol,
        side: side(&row.side)?,
        price,
        quantity,
        notional,
        fee,
        maker: maker(&row.role),
        trade_id: Some(trade_id),
        order_id: row.order_id.0,
        client_order_id,
        source: None,
        order_type: word(&row.order_type),
        time,
        basis: Basis::Exact,
        via: Via::Stream,
    }));
    Ok(())
}

/// Tells whether an execution is the exchange's own act (liquidation, auto-deleveraging, settlement) and no order of
/// anybody's key. Where the kind is not written, such acts carry order id 0.
pub(super) fn exchanges_own(kind: &str, order_id: &str) -> bool {
    let acts = ["liquid", "liquidation", "adl", "settlement", "cancel"];
    order_id == "0" || acts.iter().any(|act| kind.eq_ignore_ascii_case(act))
}

/// Reads `MAKER` or `taker`.
pub(super) fn maker(role: &str) -> Option<bool> {
    let is = |word| role.eq_ignore_ascii_case(word);
    if is("maker") { Some(true) } else { is("taker").then_some(false) }
}

fn order(data: &str, heard: &mut Heard<'_>) -> Result<(), Unread> {
    let order: Order<'_> = read("order", data)?;
    // 0 untriggered, 1 triggered, 2 live, 3 filled, 4 partially filled, 5 cancelled, 6 cancelled after a part.
    let step = match (order.state.map(|state| state.0), &*order.event) {
        (Some(3), _) => OrderStep::Done,
        (Some(5 | 6), _) => OrderStep::Cancelled,
        (Some(0 | 2), "" | "OPEN") => OrderStep::Accepted,
        _ => OrderStep::Other,
    };
    heard.push(EventKind::Order(OrderChange {
        account: heard.account()?,
        symbol: contract::pair(&order.symbol)?.symbol,
        side: side(&order.side).ok(),
        order_id: order.order_id.0,
        client_order_id: order.client_order_id.and_then(|id| some(&id.0)),
        source: some(&order.source),
        order_type: word(&order.order_type),
        step,
        reason: word(&order.reason),
        time: order.updated.and_then(|time| Timestamp::from_magnitude(time.0)).unwrap_or(heard.at()),
    }));
    Ok(())
}

fn balance(of: &str, data: &str, heard: &mut Heard<'_>) -> Result<(), Unread> {
    let wallet: Wallet = read("balance", data)?;
    // Spot orders are paid from the unified wallet, or the spot one beside margin and futures; the funding wallet moves by
    // transfers alone.
    let (pays, funding) = (matches!(of, "UNIFIED" | "SPOT" | ""), of == "FUNDING");
    heard.push(EventKind::Balance(Balance {
        account: heard.account()?,
        wallet: heard.wallet(),
        asset: Asset::new(&wallet.currency.0).map_err(figure("c"))?,
        free: wallet.available.filter(|_| pays).map(|amount| amount.0),
        locked: wallet.hold.filter(|_| pays).map(|amount| amount.0),
        delta: None,
        why: if funding { BalanceWhy::Transfer } else { BalanceWhy::Trade },
        time: wallet.updated.and_then(|time| Timestamp::from_magnitude(time.0)).unwrap_or(heard.at()),
    }));
    Ok(())
}
