//! Coinbase over REST.

use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};

use super::jwt::{self, No, Purpose};
use super::{account, market};
use crate::runtime::clock;
use crate::simulate::floor::{Floor, locked};
use crate::simulate::socket::{self, Asked};
use crate::simulate::spelling::rfc3339;

const BASE: &str = "/api/v3/brokerage";

/// A refusal as Coinbase words it: an HTTP status, an error's name, a sentence.
#[derive(Clone, Debug)]
pub struct Fault(pub u16, pub &'static str, pub String);

type Answer = fn(&Floor, usize, &Asked, &str) -> Result<Value, Fault>;

/// Answers one request.
pub fn answer(floor: &Floor, asked: Asked) -> Response {
    if asked.path == "/oauth2/revoke" {
        // 200 whether or not there was such a token.
        let token = asked.param("token").unwrap_or_default();
        locked(&floor.acts).tokens.remove(&token);
        return socket::json(StatusCode::OK, &json!({}));
    }
    let Some(path) = asked.path.strip_prefix(BASE) else {
        return socket::plain(StatusCode::NOT_FOUND, "404 page not found");
    };
    let result = match public(floor, &asked, path) {
        Some(result) => result,
        None => {
            let Some((answer, last)) = private(&asked, path) else {
                return socket::plain(StatusCode::NOT_FOUND, "404 page not found");
            };
            match bearer(floor, &asked) {
                Ok(who) => answer(floor, who, &asked, last),
                Err(No::Denied) => Err(Fault(403, "PERMISSION_DENIED", "Missing required scopes".to_owned())),
                // The one answer that is not JSON.
                Err(No::Unauthorized) => return socket::plain(StatusCode::UNAUTHORIZED, "Unauthorized\n"),
            }
        }
    };
    let mut response = match result {
        Ok(value) => socket::json(StatusCode::OK, &value),
        Err(Fault(status, error, details)) => {
            let value = json!({"error": error, "error_details": details, "message": details});
            socket::json(StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST), &value)
        }
    };
    for (name, value) in [("x-ratelimit-limit", "30"), ("x-ratelimit-remaining", "29"), ("x-ratelimit-reset", "1")] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

fn bearer(floor: &Floor, asked: &Asked) -> Result<usize, No> {
    let token = asked.header("authorization").strip_prefix("Bearer ").ok_or(No::Unauthorized)?;
    // Applications show a token that is no JWT.
    if let Some(who) = locked(&floor.acts).tokens.get(token) {
        return Ok(*who);
    }
    let purpose = Purpose::Rest { method: asked.method.as_str(), host: asked.header("host"), path: &asked.path };
    jwt::check(&floor.world(), token, purpose, clock::now())
}

fn public(floor: &Floor, asked: &Asked, path: &str) -> Option<Result<Value, Fault>> {
    if asked.method.as_str() != "GET" {
        return None;
    }
    let now = clock::now();
    if path == "/time" {
        let second = now.millis().div_euclid(1_000);
        return Some(Ok(
            json!({"iso": rfc3339(now), "epochSeconds": second.to_string(), "epochMillis": now.millis().to_string()}),
        ));
    }
    let path = path.strip_prefix("/market")?;
    product_paths(path).map(|answer| answer(floor, usize::MAX, asked, product_of(path)))
}

fn product_paths(path: &str) -> Option<Answer> {
    let rest = path.strip_prefix("/products")?;
    match rest.trim_start_matches('/').split('/').collect::<Vec<_>>().as_slice() {
        [""] => Some(market::products),
        [_] => Some(market::product),
        [_, "candles"] => Some(market::candles),
        [_, "ticker"] => Some(market::ticker),
        _ => None,
    }
}

fn product_of(path: &str) -> &str {
    path.trim_start_matches("/products").trim_start_matches('/').split('/').next().unwrap_or_default()
}

fn private<'a>(asked: &Asked, path: &'a str) -> Option<(Answer, &'a str)> {
    let last = path.rsplit('/').next().unwrap_or_default();
    let answer: Answer = match (asked.method.as_str(), path) {
        ("GET", "/accounts") => account::accounts,
        ("GET", "/orders/historical/fills") => account::fills,
        ("GET", "/orders/historical/batch") => account::orders,
        ("POST", "/orders") => account::place,
        ("POST", "/orders/batch_cancel") => account::batch_cancel,
        ("POST", "/portfolios/move_funds") => account::move_funds,
        ("GET", "/key_permissions") => account::key_permissions,
        ("GET", "/transaction_summary") => account::transaction_summary,
        ("GET", "/portfolios") => account::portfolios,
        ("GET", "/best_bid_ask") => market::best_bid_ask,
        ("GET", path) if path.starts_with("/accounts/") => account::account,
        ("GET", path) if path.starts_with("/orders/historical/") => account::order,
        ("GET", path) => return product_paths(path).map(|answer| (answer, product_of(path))),
        _ => return None,
    };
    Some((answer, last))
}
