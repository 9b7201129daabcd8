//! KuCoin over REST.

use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};

use super::fault::Fault;
use super::{account, hand_out, keys, market, orders, rhythm, sign};
use crate::domain::Timestamp;
use crate::runtime::clock;
use crate::simulate::acts;
use crate::simulate::floor::Floor;
use crate::simulate::socket::{self, Asked};

/// Answers one request.
pub fn answer(floor: &Floor, asked: Asked) -> Response {
    let mut response = match public(floor, &asked).or_else(|| private(floor, &asked)) {
        Some(Ok(data)) => socket::json(StatusCode::OK, &json!({"code": "200000", "data": data})),
        Some(Err(fault)) => refused(&fault),
        None => refused(&Fault::new(404, "404000", "URL not found")),
    };
    for (name, value) in
        [("gw-ratelimit-limit", "4000"), ("gw-ratelimit-remaining", "3990"), ("gw-ratelimit-reset", "30000")]
    {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

fn refused(fault: &Fault) -> Response {
    let status = StatusCode::from_u16(fault.status).unwrap_or(StatusCode::BAD_REQUEST);
    let mut response = socket::json(status, &fault.value());
    // Some refusals come with HTTP 200.
    response.extensions_mut().insert(acts::Refused);
    response
}

fn public(floor: &Floor, asked: &Asked) -> Option<Result<Value, Fault>> {
    let now = clock::now();
    Some(match (asked.method.as_str(), asked.path.as_str()) {
        ("GET", "/api/v1/timestamp") => Ok(json!(now.millis())),
        ("POST", "/api/v1/bullet-public") => Ok(bullet(floor, hand_out(floor, None, now))),
        ("GET", "/api/v1/symbols" | "/api/v2/symbols") => Ok(market::symbols(&floor.world())),
        ("GET", "/api/ua/v1/market/instrument") => Ok(market::instruments(&floor.world(), asked)),
        ("GET", "/api/v1/currencies" | "/api/v2/currencies" | "/api/v3/currencies") => {
            Ok(market::currencies(&floor.world()))
        }
        ("GET", "/api/v1/market/allTickers") => Ok(market::all_tickers(&floor.world(), now)),
        ("GET", "/api/v1/market/stats") => market::stats(&floor.world(), asked, now),
        ("GET", "/api/v1/market/candles") => market::candles(&floor.world(), asked),
        ("GET", "/api/v1/market/histories") => market::histories(&floor.world(), asked),
        ("GET", "/api/v1/market/orderbook/level1") => market::level1(&floor.world(), asked, now),
        ("GET", "/api/v1/status") => Ok(json!({"status": "open", "msg": ""})),
        _ => return None,
    })
}

fn private(floor: &Floor, asked: &Asked) -> Option<Result<Value, Fault>> {
    type Answer = fn(&Floor, usize, &Asked) -> Result<Value, Fault>;
    let answer: Answer = match (asked.method.as_str(), asked.path.as_str()) {
        ("POST", "/api/v1/bullet-private") => {
            |floor, who, _| Ok(bullet(floor, hand_out(floor, Some(who), clock::now())))
        }
        ("POST", "/api/v2/bullet-private") => {
            |floor, who, _| Ok(json!({"token": hand_out(floor, Some(who), clock::now())}))
        }
        ("GET", "/api/v1/hf/fills") => account::fills,
        ("GET", "/api/v1/hf/accounts/ledgers") => account::ledgers,
        // Nobody borrows here.
        ("GET", "/api/v3/hf/margin/account/ledgers") => |_, _, _| Ok(json!([])),
        ("GET", "/api/v3/hf/margin/fills") => |_, _, _| Ok(json!({"items": [], "lastId": null})),
        ("GET", "/api/v1/hf/accounts/opened") => |_, _, _| Ok(json!(true)),
        ("GET", "/api/v1/limit/fills") => account::recent_fills,
        ("GET", "/api/v1/accounts") => account::accounts,
        ("GET", "/api/v1/hf/orders/active") => account::active_orders,
        ("GET", "/api/v1/hf/orders/active/symbols") => account::active_symbols,
        ("POST", "/api/v1/hf/orders") => account::place,
        ("DELETE", "/api/v1/hf/orders/cancelAll") => account::cancel_all,
        ("GET", "/api/v1/user/api-key" | "/api/ua/v2/user/api-key") => account::key_info,
        ("GET", "/api/v2/sub/user") => account::sub_users,
        ("GET", "/api/v1/sub/api-key") => account::sub_keys,
        ("DELETE", "/api/v1/sub/api-key") => keys::delete,
        ("POST", "/api/v1/sub/api-key/update") => keys::update,
        ("POST", "/api/v1/hf/orders/dead-cancel-all" | "/api/ua/v1/dcp/set") => keys::switch,
        ("GET", "/api/v1/hf/orders/dead-cancel-all/query" | "/api/ua/v1/dcp/query") => keys::switched,
        ("GET", "/api/v3/hf/margin/order/active/symbols") => orders::margin_symbols,
        ("DELETE", "/api/v3/hf/margin/orders") => orders::cancel_margin,
        // Futures, on a host of their own in the world outside.
        ("GET", "/api/v1/orders") => orders::futures,
        ("DELETE", "/api/v3/orders") => orders::cancel_futures,
        (
            "GET",
            "/api/v1/stop-order"
            | "/api/v3/oco/orders"
            | "/api/v3/hf/margin/stop-orders"
            | "/api/v3/hf/margin/oco-orders"
            | "/api/v1/stopOrders",
        ) => orders::stops,
        (
            "DELETE",
            "/api/v1/stop-order/cancel"
            | "/api/v3/oco/orders"
            | "/api/v3/hf/margin/stop-order/cancel"
            | "/api/v3/hf/margin/oco-order/cancel"
            | "/api/v1/stopOrders",
        ) => orders::cancel_stops,
        ("GET", "/api/ua/v1/account/mode" | "/api/ua/v2/account/mode") => account::mode,
        ("GET", "/api/ua/v1/unified/order/execution" | "/api/ua/v2/unified/order/execution") => account::executions,
        ("GET", path) if path.starts_with("/api/v1/hf/orders/") => account::order,
        _ => return None,
    };
    let who = sign::rest(&floor.world(), asked, now());
    Some(who.and_then(|who| answer(floor, who, asked)))
}

fn now() -> Timestamp {
    clock::now()
}

fn bullet(floor: &Floor, token: String) -> Value {
    let (every, answer) = rhythm(floor);
    let endpoint = floor.places.kucoin.rest.replacen("http://", "ws://", 1) + "/";
    json!({"token": token, "instanceServers": [{
        "endpoint": endpoint, "encrypt": false, "protocol": "websocket", "pingInterval": every, "pingTimeout": answer,
    }]})
}
