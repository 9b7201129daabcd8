//! KuCoin's classic private feed: orders, balances, stop orders, of spot, margin and futures.

use std::borrow::Cow;

use rust_decimal::Decimal;
use serde::Deserialize;

use super::contract::{self, Contracts};
use super::side;
use super::wallets::{Wallets, pays};
use crate::codec::shape::{Heard, figure, name, read, some, unread, word};
use crate::codec::unread::Unread;
use crate::codec::wire::{Amount, Id, Whole};
use crate::domain::{
    Asset, Balance, BalanceWhy, Basis, EventKind, FeedKind, Fill, OrderChange, OrderStep, Timestamp, Via,
};

/// `data` of an `orderChange`. Only a `match` is a fill, and its figures are `matchPrice` and `matchSize`:
/// `price` is what was ordered. A market buy for an amount of quote ends with `canceled` although it was filled: what
/// remains is less than a lot.
///
/// `{"symbol":"ABC-USDT","orderType":"limit","side":"sell","orderId":"6f01","liquidity":"taker","type":"match",
/// "feeType":"takerFee","orderTime":1670329987026,"size":"5","filledSize":"5","price":"0.9","matchPrice":"0.95",
/// "matchSize":"5","tradeId":"6f02","clientOid":"bot-1","remainSize":"0","status":"match","ts":1670329987311000000}`
#[derive(Deserialize)]
struct Order<'a> {
    #[serde(borrow)]
    symbol: Cow<'a, str>,
    #[serde(default, borrow)]
    side: Cow<'a, str>,
    #[serde(rename = "orderId")]
    order_id: Id,
    #[serde(rename = "clientOid")]
    client_order_id: Option<Id>,
    #[serde(default, borrow, rename = "orderType")]
    order_type: Cow<'a, str>,
    #[serde(default, borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(default, borrow)]
    status: Cow<'a, str>,
    #[serde(default, borrow, rename = "feeType")]
    fee_type: Cow<'a, str>,
    #[serde(rename = "matchPrice")]
    match_price: Option<Amount>,
    #[serde(rename = "matchSize")]
    match_size: Option<Amount>,
    #[serde(rename = "filledSize")]
    filled: Option<Amount>,
    #[serde(rename = "tradeId")]
    trade_id: Option<Id>,
    #[serde(rename = "orderTime")]
    order_time: Option<Whole>,
    ts: Option<Whole>,
}

/// `data` of an `account.balance`.
///
/// `{"currency":"USDT","total":"21.1","available":"20.1","hold":"1","availableChange":"-0.5","holdChange":"0.5",
/// "relationContext":{"symbol":"ABC-USDT","orderId":"6f01"},"relationEvent":"trade.hold","time":"1730269283892"}`
#[derive(Deserialize)]
struct Wallet<'a> {
    currency: Id,
    available: Option<Amount>,
    hold: Option<Amount>,
    #[serde(rename = "availableChange")]
    available_change: Option<Amount>,
    #[serde(default, borrow, rename = "relationEvent")]
    event: Cow<'a, str>,
    time: Option<Whole>,
}

/// Takes a message of the classic private feed.
pub(super) fn message(
    topic: &str,
    data: &str,
    contracts: &Contracts,
    wallets: &mut Wallets,
    heard: &mut Heard<'_>,
) -> Result<(), Unread> {
    match topic.split(':').next().unwrap_or("") {
        "/spotMarket/tradeOrdersV2" | "/spotMarket/tradeOrders" | "/contractMarket/tradeOrders" => {
            order(data, contracts, heard)
        }
        "/spotMarket/advancedOrders" | "/contractMarket/advancedOrders" => order(data, contracts, heard),
        "/account/balance" => balance(data, wallets, heard),
        // The legacy fills topic repeats what tradeOrders says, and the futures wallet and positions follow from
        // fills; none of them is subscribed to.
        "/spot/tradeFills"
        | "/margin/position"
        | "/margin/isolatedPosition"
        | "/contractAccount/wallet"
        | "/contract/position"
        | "/contract/positionAll"
        | "/contract/crossLeverage"
        | "/contract/marginMode" => Ok(()),
        other => {
            heard.feed(FeedKind::Unknown(name(other)));
            Ok(())
        }
    }
}

fn order(data: &str, contracts: &Contracts, heard: &mut Heard<'_>) -> Result<(), Unread> {
    let order: Order<'_> = read("orderChange", data)?;
    let contract::Pair { symbol, counted } = contract::pair(&order.symbol)?;
    let account = heard.account()?;
    let time = [order.ts, order.order_time].into_iter().flatten().find_map(|at| Timestamp::from_magnitude(at.0));
    let time = time.unwrap_or(heard.at());
    let client_order_id = order.client_order_id.as_ref().and_then(|id| some(&id.0));
    let order_type = word(&order.order_type);
    if order.kind == "match" && order.match_size.is_none() {
        return Err(unread("a match without `matchSize`"));
    }
    let traded = order.match_size.filter(|size| order.kind == "match" && size.0 > Decimal::ZERO);
    let Some(quantity) = traded else {
        let step = match &*order.kind {
            "received" | "open" => OrderStep::Accepted,
            "update" => OrderStep::Amended,
            "filled" => OrderStep::Done,
            "canceled" | "cancel" if is_filled_market(&order.order_type, order.filled) => OrderStep::Done,
            "canceled" | "cancel" => OrderStep::Cancelled,
            _ => OrderStep::Other,
        };
        heard.push(EventKind::Order(OrderChange {
            account,
            symbol,
            side: side(&order.side).ok(),
            order_id: order.order_id.0,
            client_order_id,
            source: None,
            order_type,
            step,
            reason: None,
            time,
        }));
        return Ok(());
    };
    let quantity = quantity.quantity().map_err(figure("matchSize"))?;
    let price = order.match_price.ok_or_else(|| unread("a match without a price"))?;
    let price = price.price().map_err(figure("matchPrice"))?;
    let trade_id = order.trade_id.and_then(|id| some(&id.0)).ok_or_else(|| unread("a match without a trade id"))?;
    // `liquidity` can say taker for a maker that met a hidden order, so it is not asked.
    let maker = match (&*order.fee_type, &*order.status) {
        ("makerFee", _) => Some(true),
        ("takerFee", _) => Some(false),
        (_, "open") => Some(true),
        (_, "match") => Some(false),
        _ => None,
    };
    let (quantity, notional) = contracts.amounts((&order.symbol, counted), price, quantity)?;
    heard.push(EventKind::Fill(Fill {
        account,
        symbol,
        side: side(&order.side)?,
        price,
        quantity,
        notional,
        fee: None,
        maker,
        trade_id: Some(trade_id),
        order_id: order.order_id.0,
        client_order_id,
        source: None,
        order_type,
        time,
        basis: Basis::Exact,
        via: Via::Stream,
    }));
    Ok(())
}

/// Tells whether an order is a market order that traded: nobody cancels what is left of one.
pub(super) fn is_filled_market(order_type: &str, filled: Option<Amount>) -> bool {
    order_type.eq_ignore_ascii_case("market") && filled.is_some_and(|filled| filled.0 > Decimal::ZERO)
}

fn balance(data: &str, wallets: &mut Wallets, heard: &mut Heard<'_>) -> Result<(), Unread> {
    let wallet: Wallet<'_> = read("account.balance", data)?;
    let (which, what) = wallet.event.split_once('.').unwrap_or(("", &wallet.event));
    let moved = ["deposit", "withdraw", "transfer"].iter().any(|word| what.contains(word));
    // Orders are paid from the trade wallet; what moves in another one says nothing of what can be spent.
    let Some(fast) = pays(which) else { return Ok(()) };
    let free = wallet.available.map(|amount| amount.0);
    let mut balance = Balance {
        account: heard.account()?,
        wallet: heard.wallet(),
        asset: Asset::new(&wallet.currency.0).map_err(figure("currency"))?,
        free,
        locked: wallet.hold.map(|amount| amount.0),
        delta: wallet.available_change.filter(|_| free.is_none()).map(|amount| amount.0),
        why: if moved { BalanceWhy::Transfer } else { BalanceWhy::Trade },
        time: wallet.time.and_then(|time| Timestamp::from_magnitude(time.0)).unwrap_or(heard.at()),
    };
    wallets.add(&mut balance, fast);
    heard.push(EventKind::Balance(balance));
    Ok(())
}
