//! What everybody may ask of KuCoin.

use std::collections::BTreeSet;

use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::account::symbol;
use super::fault::Fault;
use super::wire::plain;
use crate::domain::{Timestamp, Venue};
use crate::simulate::socket::Asked;
use crate::simulate::spelling::{kucoin_trade_id, small};
use crate::simulate::world::{Pair, World};

/// Answers `symbols`.
pub fn symbols(world: &World) -> Value {
    let row = |pair: &Pair| {
        json!({
            "symbol": pair.spelled(), "name": pair.spelled(), "baseCurrency": pair.base(), "quoteCurrency": pair.quote(),
            "feeCurrency": pair.quote(), "market": market(pair),
            "baseMinSize": plain(Decimal::new(1, pair.scene.lot_decimals)), "quoteMinSize": plain(pair.least()),
            "baseMaxSize": "10000000000", "quoteMaxSize": "99999999",
            "baseIncrement": plain(Decimal::new(1, pair.scene.lot_decimals)), "quoteIncrement": "0.000001",
            "priceIncrement": plain(Decimal::new(1, pair.scene.price_decimals)), "priceLimitRate": "0.1",
            "minFunds": plain(pair.least()), "isMarginEnabled": false, "enableTrading": true, "feeCategory": 1,
            "makerFeeCoefficient": "1.00", "takerFeeCoefficient": "1.00", "st": pair.scene.thin,
            "callauctionIsEnabled": false, "tradingStartTime": null,
        })
    };
    world.pairs_of(Venue::Kucoin).map(|(_, pair)| row(pair)).collect()
}

/// Answers `ua/v1/market/instrument`: the pairs, or a perpetual contract on each that is paid in dollars.
pub fn instruments(world: &World, asked: &Asked) -> Value {
    let futures = asked.param("tradeType").as_deref() == Some("FUTURES");
    let row = |pair: &Pair| {
        let quote = pair.quote();
        let symbol = if futures { format!("{}{quote}M", pair.base()) } else { pair.spelled() };
        let lot = if futures { json!("0.1") } else { Value::Null };
        json!({"symbol": symbol, "baseCurrency": pair.base(), "quoteCurrency": quote, "unitSize": lot, "isInverse": false,
            "tradingStatus": "1"})
    };
    let pairs = world.pairs_of(Venue::Kucoin).map(|(_, pair)| pair).filter(|pair| !futures || pair.quote() == "USDT");
    json!({"tradeType": if futures { "FUTURES" } else { "SPOT" }, "list": pairs.map(row).collect::<Vec<_>>()})
}

/// Answers `currencies`.
pub fn currencies(world: &World) -> Value {
    let assets: BTreeSet<&str> =
        world.pairs_of(Venue::Kucoin).flat_map(|(_, pair)| [pair.base(), pair.quote()]).collect();
    let row = |asset: &&str| {
        json!({"currency": asset, "name": asset, "fullName": asset, "precision": 8, "confirms": null,
            "contractAddress": null, "isMarginEnabled": false, "isDebitEnabled": false, "chains": []})
    };
    assets.iter().map(row).collect()
}

/// Answers `market/allTickers`.
pub fn all_tickers(world: &World, now: Timestamp) -> Value {
    let rows: Vec<Value> = world.pairs_of(Venue::Kucoin).map(|(_, pair)| ticker(pair, now)).collect();
    json!({"time": now.millis(), "ticker": rows})
}

/// Answers `market/stats`.
pub fn stats(world: &World, asked: &Asked, now: Timestamp) -> Result<Value, Fault> {
    let pair = world.pairs.get(symbol(world, asked)?).ok_or_else(|| Fault::param("symbol not exists"))?;
    let mut row = ticker(pair, now);
    row["time"] = json!(now.millis());
    Ok(row)
}

fn ticker(pair: &Pair, now: Timestamp) -> Value {
    let (day, (bid, ask)) = (pair.day(now), pair.best(now));
    let size = format!("{:.6}", pair.scene.depth / 10.0 / day.close);
    json!({
        "symbol": pair.spelled(), "symbolName": pair.spelled(), "buy": plain(bid), "bestBidSize": size, "sell": plain(ask),
        "bestAskSize": size, "changeRate": format!("{:.4}", day.close / day.open - 1.0),
        "changePrice": price(pair, day.close - day.open), "high": price(pair, day.high), "low": price(pair, day.low),
        "vol": amount(day.volume), "volValue": amount(day.quote), "last": plain(pair.last()),
        "averagePrice": price(pair, if day.volume > 0.0 { day.quote / day.volume } else { day.close }),
        "takerFeeRate": "0.001", "makerFeeRate": "0.001", "takerCoefficient": "1", "makerCoefficient": "1",
    })
}

/// Answers `market/candles`: newest first, and close before high.
pub fn candles(world: &World, asked: &Asked) -> Result<Value, Fault> {
    let pair = world.pairs.get(symbol(world, asked)?).ok_or_else(|| Fault::param("symbol not exists"))?;
    let width = match asked.param("type").as_deref() {
        Some("1min") => 60,
        Some("5min") => 300,
        Some("15min") => 900,
        Some("30min") => 1_800,
        Some("1hour") => 3_600,
        Some("4hour") => 14_400,
        Some("1day") => 86_400,
        Some(_) | None => return Err(Fault::param("type is wrong")),
    };
    let (from, to) = (asked.number("startAt").unwrap_or(0), asked.number("endAt").filter(|end| *end > 0));
    let candles = pair.candles(width, from, to.map_or(i64::MAX, |to| to - 1));
    let row = |candle: &crate::simulate::world::Candle| {
        json!([
            candle.start.to_string(),
            price(pair, candle.open),
            price(pair, candle.close),
            price(pair, candle.high),
            price(pair, candle.low),
            amount(candle.volume),
            amount(candle.quote),
        ])
    };
    Ok(candles.iter().rev().take(1_500).map(row).collect())
}

/// Answers `market/histories`: the last hundred trades, in nanoseconds.
pub fn histories(world: &World, asked: &Asked) -> Result<Value, Fault> {
    let pair = world.pairs.get(symbol(world, asked)?).ok_or_else(|| Fault::param("symbol not exists"))?;
    let mut rows: Vec<Value> = pair
        .tape()
        .rev()
        .take(100)
        .map(|trade| {
            json!({"sequence": kucoin_trade_id(trade.id).to_string(), "price": plain(trade.price),
                "size": plain(trade.quantity), "side": small(trade.taker), "time": trade.time.nanos()})
        })
        .collect();
    rows.reverse();
    Ok(Value::Array(rows))
}

/// Answers `market/orderbook/level1`.
pub fn level1(world: &World, asked: &Asked, now: Timestamp) -> Result<Value, Fault> {
    let pair = world.pairs.get(symbol(world, asked)?).ok_or_else(|| Fault::param("symbol not exists"))?;
    Ok(best(pair, now))
}

/// Returns best bid, best ask and last trade as `level1` and the ticker topic give them.
pub fn best(pair: &Pair, now: Timestamp) -> Value {
    let ((bid, ask), size) = (pair.best(now), format!("{:.6}", pair.scene.depth / 10.0 / pair.mid(now)));
    let last = pair.tape().next_back();
    json!({
        "time": now.millis(), "sequence": kucoin_trade_id(last.map_or(0, |trade| trade.id)).to_string(),
        "price": plain(pair.last()), "size": last.map_or("0".to_owned(), |trade| plain(trade.quantity)),
        "bestBid": plain(bid), "bestBidSize": size, "bestAsk": plain(ask), "bestAskSize": size,
    })
}

/// Returns the snapshot topic's data.
pub fn snapshot(pair: &Pair, now: Timestamp) -> Value {
    let (day, (bid, ask)) = (pair.day(now), pair.best(now));
    json!({
        "averagePrice": day.close, "baseCurrency": pair.base(), "board": 1, "buy": number(bid), "changePrice": day.close - day.open,
        "changeRate": day.close / day.open - 1.0, "close": day.close, "datetime": now.millis(), "high": day.high,
        "lastTradedPrice": day.close, "low": day.low, "makerCoefficient": 1.0, "makerFeeRate": 0.001, "marginTrade": false,
        "market": market(pair), "markets": [market(pair)], "open": day.open, "quoteCurrency": pair.quote(),
        "sell": number(ask), "symbol": pair.spelled(), "symbolCode": pair.spelled(), "takerCoefficient": 1.0,
        "takerFeeRate": 0.001, "trading": true, "vol": day.volume, "volValue": day.quote,
    })
}

/// Returns the market that KuCoin files a pair under.
pub fn market(pair: &Pair) -> &'static str {
    if pair.quote() == "BTC" { "BTC" } else { "USDS" }
}

fn number(amount: Decimal) -> f64 {
    amount.try_into().unwrap_or_default()
}

fn price(pair: &Pair, price: f64) -> String {
    let decimals = usize::try_from(pair.scene.price_decimals).unwrap_or(8);
    format!("{price:.decimals$}")
}

fn amount(amount: f64) -> String {
    format!("{amount:.8}")
}
