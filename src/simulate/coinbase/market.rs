//! What everybody may ask of Coinbase.

use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::account::invalid;
use super::rest::Fault;
use super::wire::plain;
use crate::domain::{Side, Timestamp, Venue};
use crate::runtime::clock;
use crate::simulate::floor::Floor;
use crate::simulate::socket::Asked;
use crate::simulate::spelling::{capitals, rfc3339, trade_id};
use crate::simulate::world::{Candle, Pair, PublicTrade, World};

/// Candles in one answer at most.
const CANDLES: i64 = 350;

/// Answers List Products.
pub fn products(floor: &Floor, _: usize, asked: &Asked, _: &str) -> Result<Value, Fault> {
    let (world, now) = (floor.world(), clock::now());
    let only = asked.params("product_ids");
    let rows: Vec<Value> = world
        .pairs_of(Venue::Coinbase)
        .filter(|(_, pair)| only.is_empty() || only.contains(&pair.spelled()))
        .map(|(_, pair)| listed(pair, now))
        .collect();
    Ok(json!({"num_products": rows.len(), "products": rows}))
}

/// Answers Get Product.
pub fn product(floor: &Floor, _: usize, _: &Asked, id: &str) -> Result<Value, Fault> {
    let world = floor.world();
    Ok(listed(find(&world, id)?, clock::now()))
}

fn listed(pair: &Pair, now: Timestamp) -> Value {
    let day = pair.day(now);
    let tick = plain(Decimal::new(1, pair.scene.price_decimals));
    let lot = plain(Decimal::new(1, pair.scene.lot_decimals));
    json!({
        "product_id": pair.spelled(), "price": plain(pair.last()),
        "price_percentage_change_24h": format!("{:.8}", 100.0 * (day.close / day.open - 1.0)), "volume_24h": amount(day.volume),
        "volume_percentage_change_24h": "0", "base_increment": lot, "quote_increment": tick,
        "quote_min_size": plain(pair.least()), "quote_max_size": "150000000", "base_min_size": lot, "base_max_size": "30000000",
        "base_name": pair.base(), "quote_name": pair.quote(), "watched": false, "is_disabled": false, "new": false,
        "status": "online", "cancel_only": false, "limit_only": false, "post_only": false, "trading_disabled": false,
        "auction_mode": false, "product_type": "SPOT", "quote_currency_id": pair.quote(), "base_currency_id": pair.base(),
        "fcm_trading_session_details": null, "mid_market_price": "", "alias": "", "alias_to": [],
        "base_display_symbol": pair.base(), "quote_display_symbol": pair.quote(), "view_only": false,
        "price_increment": tick, "display_name": pair.spelled(), "product_venue": "CBE",
        "approximate_quote_24h_volume": format!("{:.2}", day.quote),
    })
}

/// Answers Get Product Candles, newest first.
pub fn candles(floor: &Floor, _: usize, asked: &Asked, id: &str) -> Result<Value, Fault> {
    let world = floor.world();
    let pair = find(&world, id)?;
    let width = match asked.param("granularity").as_deref() {
        Some("ONE_MINUTE") => 60,
        Some("FIVE_MINUTE") => 300,
        Some("FIFTEEN_MINUTE") => 900,
        Some("THIRTY_MINUTE") => 1_800,
        Some("ONE_HOUR") => 3_600,
        Some("TWO_HOUR") => 7_200,
        Some("SIX_HOUR") => 21_600,
        Some("ONE_DAY") => 86_400,
        Some(_) | None => return Err(invalid("granularity is wrong")),
    };
    let bound = |name: &str| asked.number(name).ok_or_else(|| invalid(&format!("{name} is missing")));
    let (from, to) = (bound("start")?, bound("end")?);
    if (to - from) / width > CANDLES {
        return Err(invalid("number of candles requested should be less than 350"));
    }
    let rows: Vec<Value> = pair.candles(width, from, to).iter().rev().map(|candle| row(pair, candle)).collect();
    Ok(json!({"candles": rows}))
}

/// Returns a candle's numbers as strings.
pub fn row(pair: &Pair, candle: &Candle) -> Value {
    let decimals = usize::try_from(pair.scene.price_decimals).unwrap_or(8);
    let price = |price: f64| format!("{price:.decimals$}");
    json!({"start": candle.start.to_string(), "low": price(candle.low), "high": price(candle.high),
        "open": price(candle.open), "close": price(candle.close), "volume": amount(candle.volume)})
}

/// Answers Get Market Trades.
pub fn ticker(floor: &Floor, _: usize, asked: &Asked, id: &str) -> Result<Value, Fault> {
    let world = floor.world();
    let at = world.by_spelling(Venue::Coinbase, id).ok_or_else(|| unknown(id))?;
    let pair = find(&world, id)?;
    let limit = usize::try_from(asked.number("limit").unwrap_or(100)).unwrap_or(100).clamp(1, 1_000);
    let trades: Vec<Value> = pair.tape().rev().take(limit).map(|print| trade(at, pair, print)).collect();
    let (bid, ask) = pair.best(clock::now());
    Ok(json!({"trades": trades, "best_bid": plain(bid), "best_ask": plain(ask)}))
}

/// Returns a public trade; its side is the maker's.
pub fn trade(at: usize, pair: &Pair, print: &PublicTrade) -> Value {
    let maker = match print.taker {
        Side::Buy => Side::Sell,
        Side::Sell => Side::Buy,
    };
    json!({"trade_id": trade_id(Venue::Coinbase, at, print.id), "product_id": pair.spelled(), "price": plain(print.price),
        "size": plain(print.quantity), "time": rfc3339(print.time), "side": capitals(maker), "bid": "", "ask": ""})
}

/// Answers Get Best Bid/Ask.
pub fn best_bid_ask(floor: &Floor, _: usize, asked: &Asked, _: &str) -> Result<Value, Fault> {
    let (world, now) = (floor.world(), clock::now());
    let only = asked.params("product_ids");
    let rows: Vec<Value> = world
        .pairs_of(Venue::Coinbase)
        .filter(|(_, pair)| only.is_empty() || only.contains(&pair.spelled()))
        .map(|(_, pair)| {
            let ((bid, ask), size) = (pair.best(now), amount(pair.scene.depth / 10.0 / pair.mid(now)));
            json!({"product_id": pair.spelled(), "bids": [{"price": plain(bid), "size": size}],
                "asks": [{"price": plain(ask), "size": size}], "time": rfc3339(now)})
        })
        .collect();
    Ok(json!({"pricebooks": rows}))
}

/// Returns a row of the `ticker` channel.
pub fn ticker_row(pair: &Pair, now: Timestamp) -> Value {
    let (day, (bid, ask)) = (pair.day(now), pair.best(now));
    let size = amount(pair.scene.depth / 10.0 / day.close);
    json!({
        "type": "ticker", "product_id": pair.spelled(), "price": plain(pair.last()), "volume_24_h": amount(day.volume),
        "low_24_h": amount(day.low), "high_24_h": amount(day.high), "low_52_w": amount(day.low), "high_52_w": amount(day.high),
        "price_percent_chg_24_h": format!("{:.8}", 100.0 * (day.close / day.open - 1.0)), "best_bid": plain(bid),
        "best_bid_quantity": size, "best_ask": plain(ask), "best_ask_quantity": size,
    })
}

fn find<'w>(world: &'w World, id: &str) -> Result<&'w Pair, Fault> {
    world.by_spelling(Venue::Coinbase, id).and_then(|at| world.pairs.get(at)).ok_or_else(|| unknown(id))
}

fn unknown(id: &str) -> Fault {
    Fault(404, "NOT_FOUND", format!("product {id} was not found"))
}

fn amount(amount: f64) -> String {
    format!("{amount:.8}")
}
