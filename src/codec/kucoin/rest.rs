//! What KuCoin answers when it is asked about an account.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::contract::{self, Contracts, Counted};
use super::wallets::{Wallets, pays};
use super::{classic, keys, side, unified};
use crate::codec::shape::{Heard, figure, name, path, read, rows, some, unread, word};
use crate::codec::unread::Unread;
use crate::codec::wire::{Amount, Id, Whole};
use crate::domain::{
    Asset, Balance, BalanceWhy, Basis, EventKind, FeedKind, Fill, Money, OrderChange, OrderStep, Timestamp, Via,
};

/// Every answer: `{"code":"200000","data":{}}` or, even with HTTP 200, `{"code":"400003","msg":"..."}`.
#[derive(Deserialize)]
struct Answer<'a> {
    code: Id,
    #[serde(default, borrow)]
    data: Option<&'a RawValue>,
}

/// A page of rows: `{"items":[],"lastId":7}` or `{"list":[]}`; some calls give the bare array.
#[derive(Deserialize)]
struct Items<'a> {
    #[serde(default, borrow, alias = "list")]
    items: Vec<&'a RawValue>,
}

/// One execution, as spot, margin, futures and unified calls write it.
///
/// `{"id":19,"orderId":"6f01","tradeId":1102,"symbol":"ABC-USDT","side":"buy","liquidity":"taker","type":"limit",
/// "forceTaker":false,"price":"2","size":"5","funds":"10","fee":"0.01","feeCurrency":"USDT","tradeType":"TRADE",
/// "createdAt":1729577515473}`
#[derive(Deserialize)]
struct Execution<'a> {
    #[serde(borrow)]
    symbol: Cow<'a, str>,
    #[serde(rename = "tradeId")]
    trade_id: Option<Id>,
    #[serde(rename = "executionId")]
    execution_id: Option<Id>,
    #[serde(rename = "orderId")]
    order_id: Id,
    #[serde(rename = "clientOid")]
    client_order_id: Option<Id>,
    #[serde(borrow)]
    side: Cow<'a, str>,
    #[serde(default, borrow)]
    liquidity: Cow<'a, str>,
    #[serde(default, borrow, rename = "liquidityRole")]
    role: Cow<'a, str>,
    #[serde(rename = "forceTaker")]
    force_taker: Option<bool>,
    price: Amount,
    size: Amount,
    funds: Option<Amount>,
    value: Option<Amount>,
    fee: Option<Amount>,
    #[serde(rename = "feeCurrency")]
    fee_asset: Option<Id>,
    #[serde(default, borrow, rename = "tradeType")]
    trade_type: Cow<'a, str>,
    #[serde(default, borrow, rename = "fillType")]
    fill_type: Cow<'a, str>,
    #[serde(default, borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(default, borrow, rename = "orderType")]
    order_type: Cow<'a, str>,
    #[serde(rename = "createdAt")]
    created: Option<Whole>,
    #[serde(rename = "executionTime")]
    executed: Option<Whole>,
}

/// `{"id":"5486","currency":"USDT","type":"trade","balance":"26.6","available":"26.6","holds":"0"}`
#[derive(Deserialize)]
struct Wallet<'a> {
    currency: Id,
    #[serde(default, borrow, rename = "type")]
    kind: Cow<'a, str>,
    available: Amount,
    holds: Option<Amount>,
}

/// `{"id":"2540","currency":"USDT","amount":"1.5","createdAt":"1728443957539","context":"{\"symbol\":\"ABC-USDT\"}"}`
#[derive(Deserialize)]
struct Ledger<'a> {
    #[serde(default, borrow)]
    context: Option<&'a RawValue>,
}

/// `{"id":"6f01","symbol":"ABC-USDT","side":"buy","type":"limit","clientOid":"bot-1","channel":"API",
/// "cancelExist":false,"active":true,"createdAt":1729577515444}`
#[derive(Deserialize)]
struct Order<'a> {
    id: Id,
    #[serde(borrow)]
    symbol: Cow<'a, str>,
    #[serde(default, borrow)]
    side: Cow<'a, str>,
    #[serde(default, borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(rename = "clientOid")]
    client_order_id: Option<Id>,
    #[serde(default, borrow)]
    channel: Cow<'a, str>,
    active: Option<bool>,
    #[serde(rename = "cancelExist")]
    cancelled: Option<bool>,
    #[serde(rename = "dealSize")]
    filled: Option<Amount>,
    #[serde(rename = "createdAt")]
    created: Option<Whole>,
}

/// Takes an answer about an account.
pub(super) fn page(
    call: &str,
    json: &str,
    contracts: &Contracts,
    wallets: &mut Wallets,
    heard: &mut Heard<'_>,
) -> Result<(), Unread> {
    let Some(data) = data(json, heard)? else { return Ok(()) };
    let path = path(call);
    let tail = path.rsplit('/').next().unwrap_or("");
    match tail {
        "fills" | "recentFills" | "execution" => {
            let mut fills = Vec::new();
            for row in list(data)? {
                match fill(row.get(), contracts, heard) {
                    Ok(fill) => fills.extend(fill),
                    Err(why) => heard.row(Err(why)),
                }
            }
            // Pages come newest first; what happened first is told first.
            fills.reverse();
            fills.sort_by_key(|fill| fill.time);
            fills.into_iter().for_each(|fill| heard.push(EventKind::Fill(fill)));
        }
        "accounts" => {
            for row in list(data)? {
                let row = balance(row.get(), wallets, heard);
                heard.row(row);
            }
        }
        "ledgers" => {
            for row in list(data)? {
                let row = ledger(row.get());
                heard.row(row);
            }
        }
        "api-key" if path.split('/').any(|part| part == "sub") => return keys::listed(call, list(data)?, heard),
        "api-key" => return keys::own(call, data, heard),
        "sub-api-key" => return keys::listed(call, list(data)?, heard),
        "apikey" | "mode" | "symbols" | "bullet-private" | "timestamp" => {}
        _ if path.split('/').any(|part| part == "orders") => {
            // One order is an object, a list an array or a page; what a cancel answers names no pair.
            let told = |json: &str| json.starts_with('{') && json.contains("\"symbol\"");
            if data.starts_with('[') || data.contains("\"items\"") {
                for row in list(data)?.into_iter().filter(|row| told(row.get())) {
                    let row = order(row.get(), heard);
                    heard.row(row);
                }
            } else if told(data) {
                return order(data, heard);
            }
        }
        _ if path.split('/').any(|part| part == "accounts" || part == "user" || part == "sub") => {}
        other => heard.feed(FeedKind::Unknown(name(other))),
    }
    Ok(())
}

/// Returns what an answer holds, or says what the exchange refused.
pub(super) fn data<'a>(json: &'a str, heard: &mut Heard<'_>) -> Result<Option<&'a str>, Unread> {
    let answer: Answer<'a> = read("an answer", json)?;
    let code = answer.code.0;
    if code == "200000" {
        return Ok(answer.data.map(|data| data.get()).filter(|data| *data != "null"));
    }
    let why = match &*code {
        "400001" => "the request was not signed: a header is missing",
        "400002" => "the request's time is off: set this machine's clock",
        "400003" => "the key does not exist: it was deleted",
        "400004" => "the key's passphrase is wrong",
        "400005" => "the signature is wrong: check the secret",
        "400006" => "this machine's address is not on the key's list",
        "400007" => "the key lacks the permission for this call",
        "411100" => "the exchange has frozen this account",
        "429000" | "200002" | "1015" => "too many requests: the exchange asks to slow down",
        _ => "the exchange refused the call",
    };
    heard.refused(&code, why);
    Ok(None)
}

pub(super) fn list(data: &str) -> Result<Vec<&RawValue>, Unread> {
    if data.starts_with('{') { Ok(read::<Items<'_>>("a page", data)?.items) } else { rows("a page", data) }
}

fn fill(json: &str, contracts: &Contracts, heard: &Heard<'_>) -> Result<Option<Fill>, Unread> {
    let row: Execution<'_> = read("a fill", json)?;
    // Futures list the exchange's own acts among the trades.
    if [&row.trade_type, &row.fill_type].into_iter().any(|kind| unified::exchanges_own(kind, &row.order_id.0)) {
        return Ok(None);
    }
    let contract::Pair { symbol, counted } = contract::pair(&row.symbol)?;
    let price = row.price.price().map_err(figure("price"))?;
    let size = row.size.quantity().map_err(figure("size"))?;
    let told = row.funds.or(row.value).filter(|quote| quote.0.is_sign_positive() && !quote.0.is_zero());
    let listed = contracts.amounts((&row.symbol, counted), price, size);
    let (quantity, notional) = match (counted, told, listed) {
        (Counted::Base | Counted::Lots, Some(quote), Ok((quantity, _))) => (quantity, quote.0),
        // What it is worth says how much it is where no lot is listed; of an inverse contract the value is in the coin.
        (Counted::Base | Counted::Lots, Some(quote), Err(_)) => (contract::coins(quote.0, price)?, quote.0),
        (Counted::Dollars, Some(coins), Err(_)) => {
            let coins = coins.quantity().map_err(figure("value"))?;
            (coins, price.times(coins).map_err(figure("value"))?)
        }
        (Counted::Dollars, Some(_), Ok(listed)) => listed,
        (_, None, listed) => listed?,
    };
    let trade_id = [row.trade_id, row.execution_id].into_iter().flatten().find_map(|id| some(&id.0));
    let fee_asset = row.fee_asset.filter(|asset| !asset.0.is_empty());
    let fee = match (row.fee, fee_asset) {
        (Some(fee), Some(asset)) => Some(Money::new(fee.0, Asset::new(&asset.0).map_err(figure("feeCurrency"))?)),
        (Some(_), None) | (None, Some(_)) | (None, None) => None,
    };
    let role = if row.liquidity.is_empty() { &row.role } else { &row.liquidity };
    let time = [row.created, row.executed].into_iter().flatten().find_map(|at| Timestamp::from_magnitude(at.0));
    Ok(Some(Fill {
        account: heard.account()?,
        symbol,
        side: side(&row.side)?,
        price,
        quantity,
        notional,
        fee,
        maker: if row.force_taker == Some(true) { Some(false) } else { unified::maker(role) },
        trade_id: Some(trade_id.ok_or_else(|| unread("a fill without a trade id"))?),
        order_id: row.order_id.0,
        client_order_id: row.client_order_id.and_then(|id| some(&id.0)),
        source: None,
        order_type: word(if row.order_type.is_empty() { &row.kind } else { &row.order_type }),
        time: time.ok_or_else(|| unread("a fill without a time"))?,
        basis: Basis::Exact,
        via: Via::Rest,
    }))
}

fn balance(json: &str, wallets: &mut Wallets, heard: &mut Heard<'_>) -> Result<(), Unread> {
    let wallet: Wallet<'_> = read("an account", json)?;
    // Spot orders are paid from the trade wallet only.
    let Some(fast) = pays(&wallet.kind) else { return Ok(()) };
    let mut balance = Balance {
        account: heard.account()?,
        wallet: heard.wallet(),
        asset: Asset::new(&wallet.currency.0).map_err(figure("currency"))?,
        free: Some(wallet.available.0),
        locked: wallet.holds.map(|amount| amount.0),
        delta: None,
        why: BalanceWhy::Read,
        time: heard.at(),
    };
    wallets.add(&mut balance, fast);
    heard.push(EventKind::Balance(balance));
    Ok(())
}

/// Checks a ledger row: whoever fills gaps asks it for pairs, and must hear when its shape has changed.
fn ledger(json: &str) -> Result<(), Unread> {
    let row: Ledger<'_> = read("a ledger row", json)?;
    let Some(context) = row.context.filter(|context| context.get() != "null") else { return Ok(()) };
    let text: Cow<'_, str> = read("a ledger row's context", context.get())?;
    if text.starts_with('{') {
        read("a ledger row's context", &text).map(|_: serde::de::IgnoredAny| ())
    } else {
        Ok(())
    }
}

fn order(json: &str, heard: &mut Heard<'_>) -> Result<(), Unread> {
    let order: Order<'_> = read("an order", json)?;
    heard.push(EventKind::Order(OrderChange {
        account: heard.account()?,
        symbol: contract::pair(&order.symbol)?.symbol,
        side: side(&order.side).ok(),
        order_id: order.id.0,
        client_order_id: order.client_order_id.and_then(|id| some(&id.0)),
        source: some(&order.channel),
        order_type: word(&order.kind),
        step: match (order.active, order.cancelled) {
            (_, Some(true)) if !classic::is_filled_market(&order.kind, order.filled) => OrderStep::Cancelled,
            (Some(true), _) => OrderStep::Accepted,
            (Some(false), _) => OrderStep::Done,
            (None, _) => OrderStep::Other,
        },
        reason: None,
        time: order.created.and_then(|at| Timestamp::from_magnitude(at.0)).unwrap_or(heard.at()),
    }));
    Ok(())
}
