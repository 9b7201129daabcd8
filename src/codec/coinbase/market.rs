//! Coinbase's public market: trades, day volumes, bars.

use std::borrow::Cow;

use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::orders::spot;
use super::{Aliases, Problem, refused, side};
use crate::codec::newest::Newest;
use crate::codec::past::{bars_told, ended, past};
use crate::codec::shape::{Heard, figure, name, parameter, path, read, unread};
use crate::codec::unread::Unread;
use crate::codec::wire::{Amount, Id, Whole};
use crate::domain::{EventKind, FeedKind, Market, MarketKind, Span, Symbol, Timestamp, Venue};

/// What market events need of the codec, and where they go.
pub(super) struct Told<'a, 'b> {
    pub(super) aliases: &'a mut Aliases,
    pub(super) newest: &'a mut Newest,
    pub(super) heard: &'a mut Heard<'b>,
}

/// One of a message's `events`: `{"type":"update","trades":[]}`, or `tickers`, or `candles`.
#[derive(Deserialize)]
struct Batch<'a> {
    #[serde(default, borrow)]
    trades: Option<Vec<&'a RawValue>>,
    #[serde(default, borrow)]
    tickers: Option<Vec<&'a RawValue>>,
    #[serde(default, borrow)]
    candles: Option<Vec<&'a RawValue>>,
}

/// An answer about the market, or an error.
#[derive(Deserialize)]
struct Answer<'a> {
    error: Option<Id>,
    #[serde(default)]
    errors: Option<Vec<Problem>>,
    #[serde(default, borrow)]
    products: Option<Vec<&'a RawValue>>,
    #[serde(default, borrow)]
    trades: Option<Vec<&'a RawValue>>,
    #[serde(default, borrow)]
    candles: Option<Vec<&'a RawValue>>,
}

/// `{"trade_id":"77","product_id":"ABC-USD","price":"6.7","size":"3","time":"2026-01-01T00:00:00.5Z","side":"SELL"}`;
/// `side` is that of the order that waited.
#[derive(Deserialize)]
struct Trade<'a> {
    trade_id: Option<Id>,
    #[serde(borrow)]
    product_id: Cow<'a, str>,
    price: Amount,
    size: Amount,
    #[serde(borrow)]
    time: Cow<'a, str>,
    #[serde(borrow)]
    side: Cow<'a, str>,
}

/// `{"type":"ticker","product_id":"ABC-USD","price":"6.7","volume_24_h":"900","low_24_h":"6","high_24_h":"7"}`
#[derive(Deserialize)]
struct Ticker<'a> {
    #[serde(borrow)]
    product_id: Cow<'a, str>,
    price: Amount,
    volume_24_h: Option<Amount>,
}

/// `{"start":"1767225600","low":"6.5","high":"6.8","open":"6.6","close":"6.7","volume":"90","product_id":"ABC-USD"}`
#[derive(Deserialize)]
struct Candle<'a> {
    start: Whole,
    low: Amount,
    high: Amount,
    open: Amount,
    close: Amount,
    volume: Amount,
    #[serde(default, borrow)]
    product_id: Cow<'a, str>,
}

/// `{"product_id":"ABC-USDC","price":"6.7","volume_24h":"900","approximate_quote_24h_volume":"6030",
/// "alias":"ABC-USD","alias_to":[]}`; a product that does not trade has empty figures.
#[derive(Deserialize)]
struct Product<'a> {
    #[serde(borrow)]
    product_id: Cow<'a, str>,
    #[serde(default, borrow)]
    price: Cow<'a, str>,
    #[serde(default, borrow)]
    volume_24h: Cow<'a, str>,
    #[serde(default, borrow)]
    approximate_quote_24h_volume: Cow<'a, str>,
    alias: Option<Cow<'a, str>>,
    alias_to: Option<Vec<Cow<'a, str>>>,
}

impl Told<'_, '_> {
    /// Tells what happened in a market, and again under the name of the pair that shares its book.
    fn tell(&mut self, symbol: Symbol, kind: MarketKind) {
        if let Some(other) = self.aliases.of(&symbol).cloned() {
            self.alone(other, kind.clone());
        }
        self.alone(symbol, kind);
    }

    fn alone(&mut self, symbol: Symbol, kind: MarketKind) {
        self.heard.push(EventKind::Market(Market { venue: Venue::Coinbase, symbol, kind }));
    }
}

/// Takes the `events` of a message; `time` is the message's.
pub(super) fn events(channel: &str, events: Vec<&RawValue>, time: Timestamp, told: &mut Told<'_, '_>) {
    if !matches!(channel, "market_trades" | "ticker" | "ticker_batch" | "candles") {
        told.heard.feed(FeedKind::Unknown(name(channel)));
        return;
    }
    // Within a message the newest batch and, in a batch, the newest trade come first.
    for event in events.into_iter().rev() {
        let batch = match read::<Batch<'_>>("an event of the market", event.get()) {
            Ok(batch) => batch,
            Err(why) => {
                told.heard.row(Err(why));
                continue;
            }
        };
        for row in batch.trades.into_iter().flatten().rev() {
            let row = trade(row.get(), told);
            told.heard.row(row);
        }
        for row in batch.tickers.into_iter().flatten() {
            let row = ticker(row.get(), time, told);
            told.heard.row(row);
        }
        for row in batch.candles.into_iter().flatten().rev() {
            let row = streamed(row.get(), time, told);
            told.heard.row(row);
        }
    }
}

/// Takes an answer about the market.
pub(super) fn page(call: &str, json: &str, told: &mut Told<'_, '_>) -> Result<(), Unread> {
    let answer: Answer<'_> = read("an answer", json)?;
    if refused(answer.error, answer.errors, told.heard) {
        return Ok(());
    }
    let mut parts = path(call).rsplit('/');
    let tail = parts.next().unwrap_or("");
    let mut asked = || Symbol::from_dashed(parts.next().unwrap_or("")).map_err(figure("the call's product"));
    match tail {
        "products" => {
            for row in answer.products.into_iter().flatten() {
                let row = product(row.get(), told);
                told.heard.row(row);
            }
        }
        "candles" => {
            let (symbol, span) = (asked()?, span(parameter(call, "granularity").unwrap_or("ONE_MINUTE"))?);
            let mut last = None;
            for row in answer.candles.into_iter().flatten().rev() {
                let row = read("a candle", row.get()).and_then(|row| candle(&row, span));
                match row {
                    // The newest row may still be growing.
                    Ok(kind) if ended(&kind).is_none_or(|ended| ended <= told.heard.at()) => {
                        last = last.max(ended(&kind));
                        told.tell(symbol.clone(), kind);
                    }
                    Ok(_) => {}
                    Err(why) => told.heard.row(Err(why)),
                }
            }
            if let Some(kind) = bars_told(call, "end", last, told.heard.at()) {
                told.tell(symbol, kind);
            }
        }
        "ticker" => {
            // A page answers for the pair that was asked, whatever label its rows carry.
            let symbol = asked()?;
            for row in answer.trades.into_iter().flatten().rev() {
                match read::<Trade<'_>>("a trade", row.get()).and_then(|row| traded(&row)) {
                    Ok(kind) => told.tell(symbol.clone(), past(kind)),
                    Err(why) => told.heard.row(Err(why)),
                }
            }
            let until = told.heard.at();
            told.tell(symbol, MarketKind::PastTold { until, trades: true });
        }
        "time" | "product_book" => {}
        // One product: `market/products/ABC-USD` answers the row itself.
        _ if path(call).contains("products/") => return product(json, told),
        other => told.heard.feed(FeedKind::Unknown(name(other))),
    }
    Ok(())
}

fn traded(row: &Trade<'_>) -> Result<MarketKind, Unread> {
    Ok(MarketKind::Trade {
        price: row.price.price().map_err(figure("price"))?,
        quantity: row.size.quantity().map_err(figure("size"))?,
        taker: side(&row.side)?.opposite(),
        time: Timestamp::from_rfc3339(&row.time).ok_or_else(|| unread("a trade without a time"))?,
        taker_order: None,
    })
}

fn trade(json: &str, told: &mut Told<'_, '_>) -> Result<(), Unread> {
    let row: Trade<'_> = read("a trade", json)?;
    let Some(symbol) = spot(&row.product_id, told.heard) else { return Ok(()) };
    let kind = traded(&row)?;
    let time = Timestamp::from_rfc3339(&row.time).ok_or_else(|| unread("a trade without a time"))?;
    // Each name has its own place: a pair that joins late is seeded although its book was read under the other name.
    let number = row.trade_id.and_then(|id| id.0.parse().ok());
    let other = told.aliases.of(&symbol).cloned();
    for symbol in other.into_iter().chain([symbol]) {
        if number.is_none_or(|number| told.newest.take(&symbol, number, time)) {
            told.alone(symbol, kind.clone());
        }
    }
    Ok(())
}

fn ticker(json: &str, time: Timestamp, told: &mut Told<'_, '_>) -> Result<(), Unread> {
    let row: Ticker<'_> = read("a ticker", json)?;
    let Some(symbol) = spot(&row.product_id, told.heard) else { return Ok(()) };
    let last = row.price.price().map_err(figure("price"))?;
    let Some(volume) = row.volume_24_h else { return Ok(()) };
    let quote = volume.0.checked_mul(last.get()).ok_or_else(|| unread("a volume out of range"))?.normalize();
    told.tell(symbol, MarketKind::Volume { quote, last: Some(last), time });
    Ok(())
}

/// The channel repeats the running bar of five minutes once a second; only a finished one is told.
fn streamed(json: &str, time: Timestamp, told: &mut Told<'_, '_>) -> Result<(), Unread> {
    const SPAN: Span = Span::from_secs(300);
    let row: Candle<'_> = read("a candle", json)?;
    let Some(symbol) = spot(&row.product_id, told.heard) else { return Ok(()) };
    let kind = candle(&row, SPAN)?;
    let finished = Timestamp::from_magnitude(row.start.0).is_some_and(|start| start + SPAN <= time);
    if finished {
        told.tell(symbol, kind);
    }
    Ok(())
}

/// A bar tells base only; its quote is taken at the middle of its four prices.
fn candle(row: &Candle<'_>, span: Span) -> Result<MarketKind, Unread> {
    let price = |amount: Amount| amount.price().map_err(figure("a candle's price"));
    let (open, high, low, close) = (price(row.open)?, price(row.high)?, price(row.low)?, price(row.close)?);
    let sum = [high, low, close].iter().try_fold(open.get(), |sum, price| sum.checked_add(price.get()));
    let quote = sum.and_then(|sum| sum.checked_mul(Decimal::new(25, 2))?.checked_mul(row.volume.0));
    Ok(MarketKind::Candle {
        start: Timestamp::from_magnitude(row.start.0).ok_or_else(|| unread("a candle without a time"))?,
        span,
        open,
        high,
        low,
        close,
        quote: quote.ok_or_else(|| unread("a volume out of range"))?.normalize(),
        taker_buy_quote: None,
        trades: None,
    })
}

fn product(json: &str, told: &mut Told<'_, '_>) -> Result<(), Unread> {
    let row: Product<'_> = read("a product", json)?;
    // Futures are listed among the products and have no spot market.
    let Ok(symbol) = Symbol::from_dashed(&row.product_id) else { return Ok(()) };
    let named = |text: &str| Symbol::from_dashed(text).ok();
    if let Some(label) = row.alias.as_deref().and_then(named) {
        told.aliases.add(label, &symbol);
    }
    for other in row.alias_to.iter().flatten().filter_map(|text| named(text)) {
        told.aliases.add(symbol.clone(), &other);
    }
    let amount = |text: &str| crate::domain::decimal(text).ok().filter(|amount| !amount.is_sign_negative());
    let last = amount(&row.price).and_then(|price| crate::domain::Price::new(price).ok());
    let base = || amount(&row.volume_24h)?.checked_mul(last?.get());
    let Some(quote) = amount(&row.approximate_quote_24h_volume).or_else(base) else { return Ok(()) };
    let time = told.heard.at();
    told.alone(symbol, MarketKind::Volume { quote, last, time });
    Ok(())
}

fn span(granularity: &str) -> Result<Span, Unread> {
    let secs = match granularity {
        "ONE_MINUTE" => 60,
        "FIVE_MINUTE" => 300,
        "FIFTEEN_MINUTE" => 900,
        "THIRTY_MINUTE" => 1_800,
        "ONE_HOUR" => 3_600,
        "TWO_HOUR" => 7_200,
        "FOUR_HOUR" => 14_400,
        "SIX_HOUR" => 21_600,
        "ONE_DAY" => 86_400,
        _ => return Err(unread("a bar's length")),
    };
    Ok(Span::from_secs(secs))
}
