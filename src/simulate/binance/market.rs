//! What everybody may ask of Binance.

use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::account::{limit, symbol, time as time_param};
use super::wire::eight;
use super::{Fault, Params};
use crate::domain::{Side, Timestamp, Venue};
use crate::runtime::clock;
use crate::simulate::floor::Floor;
use crate::simulate::world::{Candle, Pair, PublicTrade, World};

/// Answers `time`.
pub fn time(_floor: &Floor, _who: Option<usize>, _params: &Params) -> Result<Value, Fault> {
    Ok(json!({"serverTime": clock::now().millis()}))
}

/// Answers `exchangeInfo`.
pub fn exchange_info(floor: &Floor, _who: Option<usize>, params: &Params) -> Result<Value, Fault> {
    let world = floor.world();
    let symbols: Vec<Value> = chosen(&world, params)?.into_iter().map(listed).collect();
    Ok(json!({
        "timezone": "UTC", "serverTime": clock::now().millis(),
        "rateLimits": [{"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1,
            "limit": floor.settings.weight_per_minute}],
        "exchangeFilters": [], "symbols": symbols,
    }))
}

fn listed(pair: &Pair) -> Value {
    let (tick, lot) = (Decimal::new(1, pair.scene.price_decimals), Decimal::new(1, pair.scene.lot_decimals));
    json!({
        "symbol": pair.spelled(), "status": "TRADING", "baseAsset": pair.base(), "baseAssetPrecision": 8,
        "quoteAsset": pair.quote(), "quotePrecision": 8, "quoteAssetPrecision": 8, "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8, "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET"], "icebergAllowed": true,
        "ocoAllowed": true, "otoAllowed": true, "quoteOrderQtyMarketAllowed": true, "allowTrailingStop": true,
        "cancelReplaceAllowed": true, "isSpotTradingAllowed": true, "isMarginTradingAllowed": false,
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": eight(tick), "maxPrice": "1000000.00000000", "tickSize": eight(tick)},
            {"filterType": "LOT_SIZE", "minQty": eight(lot), "maxQty": "9000000.00000000", "stepSize": eight(lot)},
            {"filterType": "NOTIONAL", "minNotional": eight(pair.least()), "applyMinToMarket": true,
             "maxNotional": "9000000.00000000", "applyMaxToMarket": false, "avgPriceMins": 5},
        ],
        "permissions": [], "permissionSets": [["SPOT"]], "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
        "allowedSelfTradePreventionModes": ["EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH"],
    })
}

/// Answers `ticker/24hr`.
pub fn day(floor: &Floor, _who: Option<usize>, params: &Params) -> Result<Value, Fault> {
    let (world, now) = (floor.world(), clock::now());
    let mini = params.get("type").is_some_and(|kind| kind == "MINI");
    one_or_all(params, chosen(&world, params)?.into_iter().map(|pair| day_of(pair, mini, now)).collect())
}

fn day_of(pair: &Pair, mini: bool, now: Timestamp) -> Value {
    let (day, (bid, ask)) = (pair.day(now), pair.best(now));
    let last_id = pair.tape().next_back().map_or(0, |trade| trade.id);
    let mut row = json!({
        "symbol": pair.spelled(), "openPrice": price(pair, day.open), "highPrice": price(pair, day.high),
        "lowPrice": price(pair, day.low), "lastPrice": eight(pair.last()), "volume": amount(day.volume),
        "quoteVolume": amount(day.quote), "openTime": now.millis() - 86_400_000, "closeTime": now.millis(),
        "firstId": last_id.saturating_sub(u64::from(day.trades)), "lastId": last_id, "count": day.trades,
    });
    if let (false, Some(row)) = (mini, row.as_object_mut()) {
        let change = day.close - day.open;
        let more = [
            ("priceChange", amount(change)),
            ("priceChangePercent", format!("{:.3}", 100.0 * change / day.open)),
            ("weightedAvgPrice", amount(if day.volume > 0.0 { day.quote / day.volume } else { 0.0 })),
            ("prevClosePrice", price(pair, day.open)),
            ("lastQty", eight(pair.tape().next_back().map_or(Decimal::ZERO, |trade| trade.quantity))),
            ("bidPrice", eight(bid)),
            ("bidQty", amount(pair.scene.depth / 10.0 / day.close)),
            ("askPrice", eight(ask)),
            ("askQty", amount(pair.scene.depth / 10.0 / day.close)),
        ];
        row.extend(more.into_iter().map(|(name, text)| (name.to_owned(), Value::String(text))));
    }
    row
}

/// Answers `ticker/price`.
pub fn last(floor: &Floor, _who: Option<usize>, params: &Params) -> Result<Value, Fault> {
    let world = floor.world();
    let row = |pair: &Pair| json!({"symbol": pair.spelled(), "price": eight(pair.last())});
    one_or_all(params, chosen(&world, params)?.into_iter().map(row).collect())
}

/// Answers `ticker/bookTicker`.
pub fn book(floor: &Floor, _who: Option<usize>, params: &Params) -> Result<Value, Fault> {
    let (world, now) = (floor.world(), clock::now());
    let row = |pair: &Pair| {
        let ((bid, ask), depth) = (pair.best(now), amount(pair.scene.depth / 10.0 / pair.mid(now)));
        json!({"symbol": pair.spelled(), "bidPrice": eight(bid), "bidQty": depth, "askPrice": eight(ask), "askQty": depth})
    };
    one_or_all(params, chosen(&world, params)?.into_iter().map(row).collect())
}

/// Answers `depth` with levels like those that takers meet.
pub fn depth(floor: &Floor, _who: Option<usize>, params: &Params) -> Result<Value, Fault> {
    let (world, now) = (floor.world(), clock::now());
    let pair = world.pairs.get(symbol(&world, params)?).ok_or_else(Fault::bad_symbol)?;
    let (bid, ask) = pair.best(now);
    let step = if pair.scene.thin { Decimal::new(4, 3) } else { Decimal::new(1, 4) };
    let quantity = amount(pair.scene.depth * if pair.scene.thin { 0.4 } else { 0.01 } / pair.mid(now));
    let side = |start: Decimal, step: Decimal| -> Vec<Value> {
        (0..20_i64).map(|k| json!([eight(start * (Decimal::ONE + step * Decimal::from(k))), quantity])).collect()
    };
    Ok(json!({"lastUpdateId": now.millis(), "bids": side(bid, -step), "asks": side(ask, step)}))
}

/// Answers `klines`.
pub fn klines(floor: &Floor, _who: Option<usize>, params: &Params) -> Result<Value, Fault> {
    let world = floor.world();
    let pair = world.pairs.get(symbol(&world, params)?).ok_or_else(Fault::bad_symbol)?;
    let interval = params.get("interval").ok_or_else(|| Fault::missing("interval"))?;
    let width = width(interval).ok_or_else(|| Fault::new(400, -1120, "Invalid interval."))?;
    let seconds = |time: Option<Timestamp>| time.map(|time| time.millis().div_euclid(1_000));
    let from = seconds(time_param(params, "startTime")?);
    let to = seconds(time_param(params, "endTime")?);
    let mut candles = pair.candles(width, from.unwrap_or(0), to.unwrap_or(i64::MAX));
    let limit = limit(params, 500)?;
    match from {
        Some(_) => candles.truncate(limit),
        None => drop(candles.drain(..candles.len().saturating_sub(limit))),
    }
    Ok(candles.iter().map(|candle| kline_row(pair, candle, width)).collect())
}

fn kline_row(pair: &Pair, candle: &Candle, width: i64) -> Value {
    json!([
        candle.start * 1_000,
        price(pair, candle.open),
        price(pair, candle.high),
        price(pair, candle.low),
        price(pair, candle.close),
        amount(candle.volume),
        (candle.start + width) * 1_000 - 1,
        amount(candle.quote),
        candle.trades,
        amount(candle.taker_volume),
        amount(candle.taker_quote),
        "0",
    ])
}

/// Answers `trades`, oldest first.
pub fn trades(floor: &Floor, _who: Option<usize>, params: &Params) -> Result<Value, Fault> {
    let row = |trade: &PublicTrade| {
        json!({"id": trade.id, "price": eight(trade.price), "qty": eight(trade.quantity),
            "quoteQty": eight(trade.price * trade.quantity), "time": trade.time.millis(),
            "isBuyerMaker": trade.taker == Side::Sell, "isBestMatch": true})
    };
    tape(floor, params, row)
}

/// Answers `aggTrades`, oldest first.
pub fn agg_trades(floor: &Floor, _who: Option<usize>, params: &Params) -> Result<Value, Fault> {
    let row = |trade: &PublicTrade| {
        json!({"a": trade.id, "p": eight(trade.price), "q": eight(trade.quantity), "f": trade.id, "l": trade.id,
            "T": trade.time.millis(), "m": trade.taker == Side::Sell, "M": true})
    };
    tape(floor, params, row)
}

fn tape(floor: &Floor, params: &Params, row: impl Fn(&PublicTrade) -> Value) -> Result<Value, Fault> {
    let world = floor.world();
    let pair = world.pairs.get(symbol(&world, params)?).ok_or_else(Fault::bad_symbol)?;
    let mut rows: Vec<Value> = pair.tape().rev().take(limit(params, 500)?).map(row).collect();
    rows.reverse();
    Ok(Value::Array(rows))
}

fn chosen<'w>(world: &'w World, params: &Params) -> Result<Vec<&'w Pair>, Fault> {
    if params.contains_key("symbol") {
        return Ok(world.pairs.get(symbol(world, params)?).into_iter().collect());
    }
    let Some(list) = params.get("symbols") else {
        return Ok(world.pairs_of(Venue::Binance).map(|(_, pair)| pair).collect());
    };
    let names: Vec<String> = serde_json::from_str(list).map_err(|_| Fault::missing("symbols"))?;
    let find = |name: &String| world.by_spelling(Venue::Binance, name).and_then(|at| world.pairs.get(at));
    names.iter().map(|name| find(name).ok_or_else(Fault::bad_symbol)).collect()
}

fn one_or_all(params: &Params, mut rows: Vec<Value>) -> Result<Value, Fault> {
    match params.contains_key("symbol") {
        true => rows.pop().ok_or_else(Fault::bad_symbol),
        false => Ok(Value::Array(rows)),
    }
}

/// Writes a price of the market's history with the pair's decimals and Binance's eight.
pub fn price(pair: &Pair, price: f64) -> String {
    eight(pair.price(price))
}

/// Writes an amount of the market's history.
pub fn amount(amount: f64) -> String {
    format!("{amount:.8}")
}

fn width(interval: &str) -> Option<i64> {
    Some(match interval {
        "1m" => 60,
        "3m" => 180,
        "5m" => 300,
        "15m" => 900,
        "30m" => 1_800,
        "1h" => 3_600,
        "2h" => 7_200,
        "4h" => 14_400,
        "1d" => 86_400,
        _ => return None,
    })
}
