//! Coinbase's List Fills: the truth that confirms provisional fills, and adds what the stream did not tell.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::book::Book;
use super::totals::{Row, Sum};
use super::{Aliases, orders, side};
use crate::codec::shape::{Heard, figure, name, read, unread};
use crate::codec::unread::Unread;
use crate::codec::wire::{Amount, Id};
use crate::domain::{
    Asset, Balance, BalanceWhy, Basis, Confirmation, EventKind, FeedKind, Fill, Money, Price, Quantity, Timestamp, Via,
};

/// One row of List Fills.
///
/// `{"entry_id":"e-1","trade_id":"t-1","order_id":"4a5b","trade_time":"2026-01-01T00:00:01.5Z","trade_type":"FILL",
/// "price":"110","size":"3","commission":"0.33","product_id":"ABC-USD","liquidity_indicator":"MAKER",
/// "size_in_quote":false,"side":"BUY"}`
#[derive(Deserialize)]
struct Listed<'a> {
    #[serde(default)]
    entry_id: Id,
    trade_id: Id,
    order_id: Id,
    #[serde(borrow)]
    trade_time: Cow<'a, str>,
    #[serde(borrow)]
    trade_type: Cow<'a, str>,
    price: Amount,
    size: Amount,
    commission: Option<Amount>,
    #[serde(borrow)]
    product_id: Cow<'a, str>,
    #[serde(default, borrow)]
    liquidity_indicator: Cow<'a, str>,
    #[serde(default)]
    size_in_quote: bool,
    #[serde(borrow)]
    side: Cow<'a, str>,
}

/// One row of `accounts`:
/// `{"uuid":"u-1","currency":"ABC","available_balance":{"value":"1.5","currency":"ABC"},"hold":{"value":"0"}}`
#[derive(Deserialize)]
struct Wallet {
    currency: Id,
    available_balance: Value,
    hold: Option<Value>,
}

#[derive(Deserialize)]
struct Value {
    value: Amount,
}

/// Takes the rows of List Fills, which come newest first, and tells them oldest first.
pub(super) fn list(rows: Vec<&RawValue>, book: &mut Book, aliases: &mut Aliases, heard: &mut Heard<'_>) {
    let mut read_rows: Vec<(Timestamp, Listed<'_>)> = Vec::with_capacity(rows.len());
    for row in rows.into_iter().rev() {
        match read::<Listed<'_>>("a fill", row.get()) {
            Ok(row) => match Timestamp::from_rfc3339(&row.trade_time) {
                Some(time) => read_rows.push((time, row)),
                None => heard.row(Err(unread("a fill without a time"))),
            },
            Err(why) => heard.row(Err(why)),
        }
    }
    read_rows.sort_by_key(|(time, _)| *time);
    for (time, row) in read_rows {
        let row = take(row, time, book, aliases, heard);
        heard.row(row);
    }
}

fn take(
    row: Listed<'_>,
    time: Timestamp,
    book: &mut Book,
    aliases: &mut Aliases,
    heard: &mut Heard<'_>,
) -> Result<(), Unread> {
    // All but the first amend the books of a fill that was told; none is a new trade. Only a correction of the price can be
    // taken over: what a reversal takes back was still sent by somebody.
    let correction = match &*row.trade_type {
        "FILL" => false,
        "CORRECTION" => true,
        "SYNTHETIC" => return Ok(()),
        other => {
            heard.feed(FeedKind::Unknown(name(other)));
            return Ok(());
        }
    };
    let Some(symbol) = orders::spot(&row.product_id, heard) else { return Ok(()) };
    aliases.touch(&symbol);
    let account = heard.account()?;
    let side = side(&row.side)?;
    let price = row.price.price().map_err(figure("price"))?;
    let size = row.size.quantity().map_err(figure("size"))?;
    let (quantity, value) = if row.size_in_quote {
        let base = size.get().checked_div(price.get()).ok_or_else(|| unread("a size out of range"))?;
        (Quantity::new(base).map_err(figure("size"))?, size.get())
    } else {
        (size, price.times(size).map_err(figure("size"))?)
    };
    let key = Book::row(&row.trade_id.0, &row.entry_id.0);
    let sum = Sum { quantity: quantity.get(), value, fees: row.commission.map(|fee| fee.0) };
    if !book.take(key) {
        return Ok(());
    }
    let maker = match &*row.liquidity_indicator {
        "MAKER" => Some(true),
        "TAKER" => Some(false),
        _ => None,
    };
    let fee = |sum: &Sum| sum.fees.map(|fees| Money::new(fees, symbol.quote().clone()));
    if correction {
        match book.corrected(&row.trade_id.0, sum.quantity, sum.value) {
            Some(booked) => heard.push(EventKind::Confirmed(Confirmation {
                account,
                fee: fee(&sum),
                symbol: symbol.clone(),
                order_id: row.order_id.0,
                trade_id: row.trade_id.0,
                booked,
                notional: sum.value,
                maker,
                time,
            })),
            None => heard.feed(FeedKind::Unknown("CORRECTION".into())),
        }
        return Ok(());
    }
    book.traded(&row.trade_id.0, sum.quantity, sum.value);
    let totals = book.order(&row.order_id.0);
    let told = totals.list(Row { sum, time, rounded: row.size_in_quote })?;
    let source = totals.source.clone();
    if let Some((sum, booked)) = told.confirmed {
        heard.push(EventKind::Confirmed(Confirmation {
            account: account.clone(),
            symbol: symbol.clone(),
            order_id: row.order_id.0.clone(),
            trade_id: row.trade_id.0.clone(),
            booked,
            notional: sum.value,
            fee: fee(&sum),
            maker,
            time,
        }));
    }
    if let Some(sum) = told.fresh {
        heard.push(EventKind::Fill(Fill {
            fee: fee(&sum),
            account,
            symbol,
            side,
            price: Price::new(price.get()).map_err(figure("price"))?,
            quantity: Quantity::new(sum.quantity).map_err(figure("size"))?,
            notional: sum.value,
            maker,
            trade_id: Some(row.trade_id.0),
            order_id: row.order_id.0,
            client_order_id: None,
            source,
            order_type: None,
            time,
            basis: Basis::Exact,
            via: Via::Rest,
        }));
    }
    Ok(())
}

/// Takes a row of `accounts`.
pub(super) fn balance(json: &str, heard: &mut Heard<'_>) -> Result<(), Unread> {
    let wallet: Wallet = read("an account", json)?;
    heard.push(EventKind::Balance(Balance {
        account: heard.account()?,
        wallet: heard.wallet(),
        asset: Asset::new(&wallet.currency.0).map_err(figure("currency"))?,
        free: Some(wallet.available_balance.value.0),
        locked: wallet.hold.map(|hold| hold.value.0),
        delta: None,
        why: BalanceWhy::Read,
        time: heard.at(),
    }));
    Ok(())
}
