//! KuCoin's public market: trades, day volumes, bars.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::contract::{self, Contracts};
use super::{rest, side};
use crate::codec::newest::Newest;
use crate::codec::past::{bars_told, ended, past};
use crate::codec::shape::{Heard, figure, name, parameter, path, read, rows, unread};
use crate::codec::unread::Unread;
use crate::codec::wire::{Amount, Id, Whole};
use crate::domain::{EventKind, FeedKind, Market, MarketKind, Span, Symbol, Timestamp, Venue};

/// `data` of `/market/match:ABC-USDT` and a row of `market/histories` (which leaves out pair and orders). `side` is
/// the taker's.
///
/// `{"sequence":"1106","type":"match","symbol":"ABC-USDT","side":"buy","price":"6.7","size":"3","tradeId":"1106",
/// "takerOrderId":"6f01","makerOrderId":"6f00","time":"1729843222921000000"}`
#[derive(Deserialize)]
struct Trade<'a> {
    sequence: Option<Id>,
    #[serde(default, borrow)]
    symbol: Cow<'a, str>,
    #[serde(borrow)]
    side: Cow<'a, str>,
    price: Amount,
    size: Amount,
    #[serde(rename = "takerOrderId")]
    taker_order: Option<Id>,
    time: Whole,
}

/// `d` of `trade.SPOT`: `{"E":2063,"M":1768802538480000000,"S":"sell","p":"9.2","q":"8","s":"ABC-USDT","ti":"2063"}`
#[derive(Deserialize)]
struct UnifiedTrade<'a> {
    #[serde(rename = "E")]
    sequence: Option<Id>,
    #[serde(rename = "M")]
    time: Whole,
    #[serde(borrow, rename = "S")]
    side: Cow<'a, str>,
    #[serde(rename = "p")]
    price: Amount,
    #[serde(rename = "q")]
    size: Amount,
    #[serde(borrow, rename = "s")]
    symbol: Cow<'a, str>,
}

/// `data` of `/market/snapshot:ABC-USDT`: the figures lie one level down, beside their sequence.
///
/// `{"sequence":"5","data":{"symbol":"ABC-USDT","volValue":1240.5,"lastTradedPrice":6.7,"datetime":1729843222921}}`
#[derive(Deserialize)]
struct Snapshot<'a> {
    #[serde(borrow)]
    data: Day<'a>,
}

#[derive(Deserialize)]
struct Day<'a> {
    #[serde(borrow)]
    symbol: Cow<'a, str>,
    #[serde(rename = "volValue")]
    quote: Option<Amount>,
    #[serde(rename = "lastTradedPrice")]
    last: Option<Amount>,
    datetime: Option<Whole>,
}

/// `market/allTickers`: `{"time":1729173207043,"ticker":[{"symbol":"ABC-USDT","volValue":"1240.5","last":"6.7"}]}`
#[derive(Deserialize)]
struct Tickers<'a> {
    time: Option<Whole>,
    #[serde(borrow)]
    ticker: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Ticker<'a> {
    #[serde(borrow)]
    symbol: Cow<'a, str>,
    #[serde(rename = "volValue")]
    quote: Option<Amount>,
    last: Option<Amount>,
}

/// A row of `ua/v1/market/instrument?tradeType=FUTURES`: `{"symbol":"XBTUSDTM","unitSize":"0.001"}`. The unit of an inverse
/// contract is a dollar, and was written with a minus until 2026.
#[derive(Deserialize)]
struct Instrument<'a> {
    #[serde(borrow)]
    symbol: Cow<'a, str>,
    #[serde(rename = "unitSize")]
    lot: Option<Amount>,
}

/// A bar: seconds, open, **close**, high, low, base, quote: `["1729173180","6.6","6.7","6.8","6.5","90","603"]`.
#[derive(Deserialize)]
struct Bar(Whole, Amount, Amount, Amount, Amount, serde::de::IgnoredAny, Amount);

/// Takes a message of the classic public feed.
pub(super) fn message(topic: &str, data: &str, newest: &mut Newest, heard: &mut Heard<'_>) -> Result<(), Unread> {
    match topic.split(':').next().unwrap_or("") {
        "/market/match" => {
            let row: Trade<'_> = read("match", data)?;
            let symbol = contract::pair(&row.symbol)?.symbol;
            trade(symbol, row, newest, heard)
        }
        "/market/snapshot" => {
            let day = read::<Snapshot<'_>>("snapshot", data)?.data;
            volume(&day.symbol, day.quote, day.last, day.datetime, heard)
        }
        // A ticker has a price and no volume; the trade behind it comes on `match`.
        "/market/ticker" | "/market/candles" => Ok(()),
        other => {
            heard.feed(FeedKind::Unknown(name(other)));
            Ok(())
        }
    }
}

/// Takes a push of the unified public feed.
pub(super) fn push(channel: &str, data: &str, newest: &mut Newest, heard: &mut Heard<'_>) -> Result<(), Unread> {
    match channel.split('.').next().unwrap_or("") {
        "trade" => {
            let row: UnifiedTrade<'_> = read("trade", data)?;
            let symbol = contract::pair(&row.symbol)?.symbol;
            let UnifiedTrade { sequence, time, side, price, size, symbol: named } = row;
            trade(symbol, Trade { sequence, symbol: named, side, price, size, taker_order: None, time }, newest, heard)
        }
        "ticker" | "kline" => Ok(()),
        other => {
            heard.feed(FeedKind::Unknown(name(other)));
            Ok(())
        }
    }
}

/// Takes an answer about the market.
pub(super) fn page(call: &str, json: &str, contracts: &mut Contracts, heard: &mut Heard<'_>) -> Result<(), Unread> {
    let Some(data) = rest::data(json, heard)? else { return Ok(()) };
    let asked = || {
        let pair = parameter(call, "symbol").ok_or_else(|| unread("a page whose call names no symbol"))?;
        contract::pair(pair).map(|pair| pair.symbol)
    };
    match path(call).rsplit('/').next().unwrap_or("") {
        "instrument" => {
            for row in rest::list(data)? {
                let row: Result<Instrument<'_>, Unread> = read("a contract", row.get());
                heard.row(row.map(|row| row.lot.into_iter().for_each(|lot| contracts.list(&row.symbol, lot.0))));
            }
        }
        "histories" => {
            let symbol = asked()?;
            let mut trades = Vec::new();
            for row in rows("histories", data)? {
                match read::<Trade<'_>>("a trade", row.get()) {
                    Ok(row) => trades.push(row),
                    Err(why) => heard.row(Err(why)),
                }
            }
            trades.sort_by_key(|row| (row.time.0, number(row.sequence.as_ref()).unwrap_or(0)));
            for row in trades {
                let row = traded(row).map(|kind| {
                    heard.push(EventKind::Market(Market {
                        venue: Venue::Kucoin,
                        symbol: symbol.clone(),
                        kind: past(kind),
                    }));
                });
                heard.row(row);
            }
            let kind = MarketKind::PastTold { until: heard.at(), trades: true };
            heard.push(EventKind::Market(Market { venue: Venue::Kucoin, symbol, kind }));
        }
        "candles" => {
            let (symbol, span) = (asked()?, span(parameter(call, "type").unwrap_or("1min"))?);
            let mut last = None;
            for row in rows("candles", data)?.into_iter().rev() {
                match candle(span, row.get()) {
                    // The newest row may still be growing.
                    Ok(kind) if ended(&kind).is_none_or(|ended| ended <= heard.at()) => {
                        last = last.max(ended(&kind));
                        heard.push(EventKind::Market(Market { venue: Venue::Kucoin, symbol: symbol.clone(), kind }));
                    }
                    Ok(_) => {}
                    Err(why) => heard.row(Err(why)),
                }
            }
            if let Some(kind) = bars_told(call, "endAt", last, heard.at()) {
                heard.push(EventKind::Market(Market { venue: Venue::Kucoin, symbol, kind }));
            }
        }
        "allTickers" => {
            let page: Tickers<'_> = read("allTickers", data)?;
            for row in page.ticker {
                let row = read::<Ticker<'_>>("a ticker", row.get())
                    .and_then(|row| volume(&row.symbol, row.quote, row.last, page.time, heard));
                heard.row(row);
            }
        }
        "symbols" | "bullet-public" | "timestamp" | "prices" | "stats" => {}
        other => heard.feed(FeedKind::Unknown(name(other))),
    }
    Ok(())
}

fn number(id: Option<&Id>) -> Option<u64> {
    id.and_then(|id| id.0.parse().ok())
}

fn trade(symbol: Symbol, row: Trade<'_>, newest: &mut Newest, heard: &mut Heard<'_>) -> Result<(), Unread> {
    let time = Timestamp::from_magnitude(row.time.0).ok_or_else(|| unread("a trade without a time"))?;
    let sequence = number(row.sequence.as_ref());
    let kind = traded(row)?;
    if sequence.is_none_or(|number| newest.take(&symbol, number, time)) {
        heard.push(EventKind::Market(Market { venue: Venue::Kucoin, symbol, kind }));
    }
    Ok(())
}

fn traded(row: Trade<'_>) -> Result<MarketKind, Unread> {
    Ok(MarketKind::Trade {
        price: row.price.price().map_err(figure("price"))?,
        quantity: row.size.quantity().map_err(figure("size"))?,
        taker: side(&row.side)?,
        time: Timestamp::from_magnitude(row.time.0).ok_or_else(|| unread("a trade without a time"))?,
        taker_order: row.taker_order.map(|id| id.0).filter(|id| !id.is_empty()),
    })
}

fn volume(
    symbol: &str,
    quote: Option<Amount>,
    last: Option<Amount>,
    time: Option<Whole>,
    heard: &mut Heard<'_>,
) -> Result<(), Unread> {
    // A pair that is listed and does not trade yet has neither.
    let Some(quote) = quote else { return Ok(()) };
    let kind = MarketKind::Volume {
        quote: quote.0,
        last: last.and_then(|last| last.price().ok()),
        time: time.and_then(|time| Timestamp::from_magnitude(time.0)).unwrap_or(heard.at()),
    };
    heard.push(EventKind::Market(Market { venue: Venue::Kucoin, symbol: contract::pair(symbol)?.symbol, kind }));
    Ok(())
}

fn candle(span: Span, json: &str) -> Result<MarketKind, Unread> {
    let Bar(start, open, close, high, low, _, quote) = read("a candle", json)?;
    let price = |amount: Amount| amount.price().map_err(figure("a candle's price"));
    Ok(MarketKind::Candle {
        start: Timestamp::from_magnitude(start.0).ok_or_else(|| unread("a candle without a time"))?,
        span,
        open: price(open)?,
        high: price(high)?,
        low: price(low)?,
        close: price(close)?,
        quote: quote.0,
        taker_buy_quote: None,
        trades: None,
    })
}

/// Reads `1min` to `30min`, `1hour` to `12hour`, `1day`, `1week`.
fn span(text: &str) -> Result<Span, Unread> {
    let units = [("min", 60), ("hour", 3_600), ("day", 86_400), ("week", 604_800)];
    let read = |(unit, secs): (&str, i64)| Some(text.strip_suffix(unit)?.parse::<u8>().ok()? as i64 * secs);
    units
        .into_iter()
        .find_map(read)
        .filter(|secs| *secs > 0)
        .map(Span::from_secs)
        .ok_or_else(|| unread("a bar's length"))
}
