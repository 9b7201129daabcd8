//! USDⓈ-M futures over REST: listen keys, what a wallet holds and traded, and the contracts there are.
//!
//! Shapes and rules: <https://developers.binance.com/docs/derivatives/usds-margined-futures>.

use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::account::{limit, number};
use super::wire::eight;
use super::{Fault, Params, margin};
use crate::domain::{Side, Span, Timestamp, Venue, Wallet};
use crate::runtime::clock;
use crate::simulate::acts::{self, Switch};
use crate::simulate::floor::{Floor, locked};
use crate::simulate::spelling::capitals;
use crate::simulate::world::{Account, Fill, Order, Pair, Tag, World};

const WEEK_MS: i64 = 7 * 86_400_000;

/// Answers a new listen key, or the one there is with its life extended.
pub fn listen_key(floor: &Floor, who: Option<usize>, _params: &Params) -> Result<Value, Fault> {
    let who = who.ok_or_else(Fault::bad_key)?;
    margin::wallet(floor, Some(who), &Wallet::Futures)?;
    let (now, life) = (clock::now(), floor.settings.listen_key_life);
    let mut keys = locked(&floor.listen_keys);
    keys.retain(|_, (_, until)| *until > now);
    let known = keys.iter().find(|(_, (owner, _))| *owner == who).map(|(key, _)| key.clone());
    let key = match known {
        Some(key) => key,
        None => floor.world().accounts.get_mut(who).map(|owner| owner.dice.word(64)).ok_or_else(Fault::bad_key)?,
    };
    keys.insert(key.clone(), (who, now + life.into()));
    Ok(json!({"listenKey": key}))
}

/// Keeps the listen key alive.
pub fn keep_alive(floor: &Floor, who: Option<usize>, _params: &Params) -> Result<Value, Fault> {
    margin::wallet(floor, who, &Wallet::Futures)?;
    let (now, life) = (clock::now(), floor.settings.listen_key_life);
    let mut keys = locked(&floor.listen_keys);
    let mine = keys.iter_mut().find(|(_, (owner, until))| Some(*owner) == who && *until > now);
    let (key, (_, until)) = mine.ok_or_else(|| Fault::new(400, -1125, "This listenKey does not exist."))?;
    *until = now + life.into();
    Ok(json!({"listenKey": key}))
}

/// Ends the listen key.
pub fn close(floor: &Floor, who: Option<usize>, _params: &Params) -> Result<Value, Fault> {
    locked(&floor.listen_keys).retain(|_, (owner, _)| Some(*owner) != who);
    Ok(json!({}))
}

/// Answers `account`: assets and positions.
pub fn account(floor: &Floor, who: Option<usize>, _params: &Params) -> Result<Value, Fault> {
    let at = margin::wallet(floor, who, &Wallet::Futures)?;
    let (world, now) = (floor.world(), clock::now());
    let owner = world.accounts.get(at).ok_or_else(Fault::bad_key)?;
    let assets: Vec<Value> = balances_of(owner, now);
    let total = eight(owner.free("USDT"));
    Ok(json!({"totalWalletBalance": total, "availableBalance": total, "canTrade": true, "canDeposit": true,
        "canWithdraw": true, "feeTier": 0, "multiAssetsMargin": false, "updateTime": 0, "assets": assets,
        "positions": positions_of(&world, owner, now)}))
}

/// Answers `balance`.
pub fn balance(floor: &Floor, who: Option<usize>, _params: &Params) -> Result<Value, Fault> {
    let at = margin::wallet(floor, who, &Wallet::Futures)?;
    let world = floor.world();
    Ok(Value::Array(world.accounts.get(at).map(|owner| balances_of(owner, clock::now())).unwrap_or_default()))
}

/// Answers `positionRisk`.
pub fn positions(floor: &Floor, who: Option<usize>, _params: &Params) -> Result<Value, Fault> {
    let at = margin::wallet(floor, who, &Wallet::Futures)?;
    let world = floor.world();
    let owner = world.accounts.get(at).ok_or_else(Fault::bad_key)?;
    Ok(Value::Array(positions_of(&world, owner, clock::now())))
}

fn balances_of(owner: &Account, now: Timestamp) -> Vec<Value> {
    let row = |(asset, held): (&String, &crate::simulate::world::Holding)| {
        let (free, zero) = (eight(held.free), eight(Decimal::ZERO));
        json!({"asset": asset, "balance": free, "walletBalance": free, "crossWalletBalance": free,
            "availableBalance": free, "maxWithdrawAmount": free, "marginBalance": free, "unrealizedProfit": zero,
            "crossUnPnl": zero, "maintMargin": zero, "initialMargin": zero, "positionInitialMargin": zero,
            "openOrderInitialMargin": zero, "marginAvailable": true, "updateTime": now.millis()})
    };
    owner.holdings.iter().map(row).collect()
}

/// Returns the positions that are open.
pub fn positions_of(world: &World, owner: &Account, now: Timestamp) -> Vec<Value> {
    let row = |(at, amount): (&usize, &Decimal)| {
        let pair = world.pairs.get(*at).filter(|_| !amount.is_zero())?;
        let (last, zero) = (eight(pair.last()), eight(Decimal::ZERO));
        Some(
            json!({"symbol": pair.spelled(), "positionSide": "BOTH", "positionAmt": eight(*amount), "entryPrice": last,
            "breakEvenPrice": last, "markPrice": last, "unRealizedProfit": zero, "unrealizedProfit": zero,
            "liquidationPrice": "0", "isolatedMargin": zero, "notional": eight(*amount * pair.last()),
            "marginAsset": "USDT", "isolatedWallet": zero, "initialMargin": zero, "maintMargin": zero,
            "positionInitialMargin": zero, "openOrderInitialMargin": zero, "adl": 1, "leverage": "5",
            "marginType": "cross", "updateTime": now.millis()}),
        )
    };
    owner.positions.iter().filter_map(row).collect()
}

/// Answers `userTrades`, oldest first: those from an id, or of at most a week.
pub fn user_trades(floor: &Floor, who: Option<usize>, params: &Params) -> Result<Value, Fault> {
    let spelled = params.get("symbol").ok_or_else(|| Fault::missing("symbol"))?;
    let (from_id, order_id) = (number(params, "fromId")?, number(params, "orderId")?);
    if from_id.is_some() && (params.contains_key("startTime") || params.contains_key("endTime")) {
        return Err(Fault::new(400, -1128, "Combination of optional parameters invalid."));
    }
    let span = span(params)?;
    let limit = limit(params, 500)?;
    let at = margin::wallet(floor, who, &Wallet::Futures)?;
    let world = floor.world();
    world.by_spelling(Venue::Binance, spelled).ok_or_else(Fault::bad_symbol)?;
    let named = |fill: &Fill| world.pairs.get(fill.pair).filter(|pair| pair.spelled() == *spelled);
    let mut rows: Vec<Value> = world
        .accounts
        .get(at)
        .ok_or_else(Fault::bad_key)?
        .fills
        .iter()
        .filter(|fill| from_id.is_none_or(|from| i64::try_from(fill.trade_id).unwrap_or(0) >= from))
        .filter(|fill| order_id.is_none_or(|order| i64::try_from(fill.order_id) == Ok(order)))
        .filter(|fill| from_id.is_some() || span.contains(&fill.time.millis()))
        .filter_map(|fill| named(fill).map(|pair| user_trade(pair, fill)))
        .collect();
    match from_id.is_some() || params.contains_key("startTime") {
        true => rows.truncate(limit),
        false => drop(rows.drain(..rows.len().saturating_sub(limit))),
    }
    Ok(Value::Array(rows))
}

/// Answers `income`: commissions only, the one kind there is here.
pub fn income(floor: &Floor, who: Option<usize>, params: &Params) -> Result<Value, Fault> {
    let (span, limit) = (span(params)?, limit(params, 100)?);
    let at = margin::wallet(floor, who, &Wallet::Futures)?;
    let world = floor.world();
    let owner = world.accounts.get(at).ok_or_else(Fault::bad_key)?;
    if params.get("incomeType").is_some_and(|kind| kind != "COMMISSION") {
        return Ok(json!([]));
    }
    let row = |fill: &Fill| {
        let pair = world.pairs.get(fill.pair)?;
        Some(json!({"symbol": pair.spelled(), "incomeType": "COMMISSION", "income": eight(-fill.fee),
            "asset": fill.fee_asset, "info": "COMMISSION", "time": fill.time.millis(), "tranId": fill.serial,
            "tradeId": fill.trade_id.to_string()}))
    };
    let within = owner.fills.iter().filter(|fill| span.contains(&fill.time.millis()));
    Ok(within.filter_map(row).take(limit).collect())
}

/// Answers `leverageBracket`: one bracket for everybody.
pub fn brackets(floor: &Floor, _who: Option<usize>, _params: &Params) -> Result<Value, Fault> {
    let world = floor.world();
    let dollars = world.pairs_of(Venue::Binance).filter(|(_, pair)| pair.quote() == "USDT");
    let bracket = json!({"bracket": 1, "initialLeverage": 20, "notionalCap": 10_000_000, "notionalFloor": 0,
        "maintMarginRatio": 0.025, "cum": 0.0});
    Ok(dollars.map(|(_, pair)| json!({"symbol": pair.spelled(), "notionalCoef": 1.0, "brackets": [bracket]})).collect())
}

/// Answers `openOrders`, of one contract or all.
pub fn open_orders(floor: &Floor, who: Option<usize>, params: &Params) -> Result<Value, Fault> {
    let at = margin::wallet(floor, who, &Wallet::Futures)?;
    let world = floor.world();
    let only = params.get("symbol");
    let row = |order: &&Order| {
        let pair = world.pairs.get(order.pair).filter(|pair| only.is_none_or(|only| pair.spelled() == *only))?;
        Some(json!({"orderId": order.id, "symbol": pair.spelled(), "status": "NEW", "clientOrderId": order.client_id,
            "price": eight(order.limit.unwrap_or_default()), "origQty": eight(order.quantity),
            "executedQty": eight(order.filled), "type": "LIMIT", "side": capitals(order.side), "positionSide": "BOTH",
            "time": order.created.millis(), "updateTime": order.updated.millis()}))
    };
    Ok(world.open_orders(at).iter().filter_map(row).collect())
}

/// Cancels all open orders of a contract.
pub fn cancel_all(floor: &Floor, who: Option<usize>, params: &Params) -> Result<Value, Fault> {
    let at = margin::wallet(floor, who, &Wallet::Futures)?;
    let symbol = params.get("symbol").ok_or_else(|| Fault::missing("symbol"))?;
    may_trade(floor, at)?;
    acts::cancel(floor, at, |pair| pair.spelled() == *symbol);
    Ok(json!({"code": 200, "msg": "The operation of cancel all open order is done."}))
}

/// Starts the countdown after which a contract's open orders are cancelled, or stops it with 0.
pub fn count_down(floor: &Floor, who: Option<usize>, params: &Params) -> Result<Value, Fault> {
    let at = margin::wallet(floor, who, &Wallet::Futures)?;
    let symbol = params.get("symbol").ok_or_else(|| Fault::missing("symbol"))?;
    let millis = number(params, "countdownTime")?.ok_or_else(|| Fault::missing("countdownTime"))?;
    may_trade(floor, at)?;
    floor.world().by_spelling(Venue::Binance, symbol).ok_or_else(Fault::bad_symbol)?;
    let due = clock::now() + Span::from_millis(millis);
    let mut acts = locked(&floor.acts);
    match millis {
        0 => _ = acts.switches.remove(&(at, symbol.clone())),
        _ => _ = acts.switches.insert((at, symbol.clone()), Switch { secs: millis / 1_000, due }),
    }
    Ok(json!({"symbol": symbol, "countdownTime": millis.to_string()}))
}

fn may_trade(floor: &Floor, at: usize) -> Result<(), Fault> {
    let world = floor.world();
    let owner = world.accounts.get(world.holder(at)).filter(|owner| owner.permissions.trade);
    owner.map(|_| ()).ok_or_else(Fault::bad_key)
}

/// Places an order at market; the simulator takes no other kind over its API.
pub fn place(floor: &Floor, who: Option<usize>, params: &Params) -> Result<Value, Fault> {
    let (now, mut news) = (clock::now(), Vec::new());
    let at = margin::wallet(floor, who, &Wallet::Futures)?;
    let reply = {
        let mut world = floor.world();
        let spelled = params.get("symbol").ok_or_else(|| Fault::missing("symbol"))?;
        let pair = world.contract(spelled, now).ok_or_else(Fault::bad_symbol)?;
        let side = match params.get("side").map(String::as_str) {
            Some("BUY") => Side::Buy,
            Some("SELL") => Side::Sell,
            Some(_) | None => return Err(Fault::missing("side")),
        };
        if params.get("type").map(String::as_str) != Some("MARKET") {
            return Err(Fault::new(400, -1116, "Invalid orderType."));
        }
        let quantity = params.get("quantity").and_then(|text| text.parse::<Decimal>().ok());
        let quantity = quantity.ok_or_else(|| Fault::missing("quantity"))?;
        let owner = world.accounts.get_mut(at).filter(|owner| owner.permissions.trade).ok_or_else(Fault::bad_key)?;
        let client_id = params.get("newClientOrderId").cloned().unwrap_or_else(|| owner.dice.word(22));
        let tag = Tag { client_id, by_hand: false, hostile: false };
        let id = world.contract_order((at, pair, side), quantity, tag, now, &mut news);
        let id = id.ok_or_else(|| Fault::new(400, -4164, "Order's notional must be no smaller than 5."))?;
        let order = world.orders.get(&id).zip(world.pairs.get(pair)).ok_or_else(Fault::bad_symbol)?;
        let (order, pair) = order;
        json!({"orderId": order.id, "symbol": pair.spelled(), "status": "FILLED", "clientOrderId": order.client_id,
            "price": "0", "avgPrice": eight(order.average()), "origQty": eight(order.quantity),
            "executedQty": eight(order.filled), "cumQty": eight(order.filled), "cumQuote": eight(order.filled_quote),
            "timeInForce": "GTC", "type": "MARKET", "origType": "MARKET", "reduceOnly": false, "closePosition": false,
            "side": capitals(order.side), "positionSide": "BOTH", "stopPrice": "0", "workingType": "CONTRACT_PRICE",
            "priceProtect": false, "updateTime": order.updated.millis()})
    };
    floor.publish(news);
    Ok(reply)
}

/// Answers `exchangeInfo`: a perpetual contract on every dollar pair.
pub fn exchange_info(floor: &Floor, _who: Option<usize>, _params: &Params) -> Result<Value, Fault> {
    let world = floor.world();
    let dollars = world.pairs_of(Venue::Binance).filter(|(_, pair)| pair.quote() == "USDT");
    let symbols: Vec<Value> = dollars.map(|(_, pair)| listed(pair)).collect();
    let assets = json!([{"asset": "USDT", "marginAvailable": true, "autoAssetExchange": "0"}]);
    Ok(json!({"timezone": "UTC", "serverTime": clock::now().millis(), "futuresType": "U_MARGINED", "assets": assets,
        "rateLimits": [{"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 2400}],
        "exchangeFilters": [], "symbols": symbols}))
}

fn listed(pair: &Pair) -> Value {
    let (tick, lot) = (Decimal::new(1, pair.scene.price_decimals), Decimal::new(1, pair.scene.lot_decimals));
    json!({"symbol": pair.spelled(), "pair": pair.spelled(), "contractType": "PERPETUAL",
        "deliveryDate": 4_133_404_800_000_i64, "onboardDate": 1_569_398_400_000_i64, "status": "TRADING",
        "baseAsset": pair.base(), "quoteAsset": "USDT", "marginAsset": "USDT", "pricePrecision": pair.scene.price_decimals,
        "quantityPrecision": pair.scene.lot_decimals, "baseAssetPrecision": 8, "quotePrecision": 8,
        "underlyingType": "COIN", "underlyingSubType": [], "triggerProtect": "0.0500", "liquidationFee": "0.012500",
        "marketTakeBound": "0.05", "maintMarginPercent": "2.5000", "requiredMarginPercent": "5.0000",
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": eight(tick), "maxPrice": "1000000", "tickSize": eight(tick)},
            {"filterType": "LOT_SIZE", "minQty": eight(lot), "maxQty": "9000000", "stepSize": eight(lot)},
            {"filterType": "MARKET_LOT_SIZE", "minQty": eight(lot), "maxQty": "9000000", "stepSize": eight(lot)},
            {"filterType": "MIN_NOTIONAL", "notional": "5"},
        ],
        "orderTypes": ["LIMIT", "MARKET"], "timeInForce": ["GTC", "IOC", "FOK", "GTX"]})
}

fn user_trade(pair: &Pair, fill: &Fill) -> Value {
    json!({"symbol": pair.spelled(), "id": fill.trade_id, "orderId": fill.order_id, "side": capitals(fill.side),
        "price": eight(fill.price), "qty": eight(fill.quantity), "quoteQty": eight(fill.quote),
        "realizedPnl": eight(Decimal::ZERO), "marginAsset": "USDT", "commission": eight(fill.fee),
        "commissionAsset": fill.fee_asset, "time": fill.time.millis(), "positionSide": "BOTH",
        "buyer": fill.side == Side::Buy, "maker": fill.maker})
}

/// Returns the milliseconds asked for: a week at most, the last one when nothing is said.
fn span(params: &Params) -> Result<std::ops::RangeInclusive<i64>, Fault> {
    let now = clock::now().millis();
    let (start, end) = match (number(params, "startTime")?, number(params, "endTime")?) {
        (Some(start), Some(end)) => (start, end),
        (Some(start), None) => (start, start.saturating_add(WEEK_MS)),
        (None, Some(end)) => (end.saturating_sub(WEEK_MS), end),
        (None, None) => (now - WEEK_MS, now),
    };
    if end.saturating_sub(start) > WEEK_MS {
        return Err(Fault::new(400, -4166, "Search window is restricted to recent 7 days only."));
    }
    Ok(start..=end)
}
