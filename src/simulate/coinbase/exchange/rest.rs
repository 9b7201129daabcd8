//! Coinbase Exchange over REST.

use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};

use super::BASE;
use super::account::{self, Page};
use super::sign::{self, Shown};
use super::wire::{self, Fault};
use crate::domain::Venue;
use crate::runtime::clock;
use crate::simulate::floor::Floor;
use crate::simulate::socket::{self, Asked};
use crate::simulate::spelling::rfc3339;

/// Answers one request.
pub fn answer(floor: &Floor, asked: Asked) -> Response {
    let path = asked.path.strip_prefix(BASE).unwrap_or_default().to_owned();
    let result = match public(floor, &asked, &path) {
        Some(value) => Ok(Page(value, None)),
        None => signed(floor, &asked, &path).and_then(|who| private(floor, who, &asked, &path)),
    };
    match result {
        Ok(Page(value, older)) => {
            let mut response = socket::json(StatusCode::OK, &value);
            if let Some(cursor) = older.and_then(|older| HeaderValue::from_str(&older).ok()) {
                response.headers_mut().insert("cb-after", cursor);
            }
            response
        }
        Err(Fault { status, message }) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
            socket::json(status, &json!({"message": message}))
        }
    }
}

fn public(floor: &Floor, asked: &Asked, path: &str) -> Option<Value> {
    if asked.method.as_str() != "GET" {
        return None;
    }
    let now = clock::now();
    match path {
        "/time" => Some(json!({"iso": rfc3339(now), "epoch": now.millis() as f64 / 1_000.0})),
        "/products" => Some(floor.world().pairs_of(Venue::Coinbase).map(|(_, pair)| wire::product(pair)).collect()),
        "/currencies" => {
            let world = floor.world();
            let pairs = world.pairs_of(Venue::Coinbase);
            let assets = pairs.flat_map(|(_, pair)| [pair.base().to_owned(), pair.quote().to_owned()]);
            let assets: std::collections::BTreeSet<String> = assets.collect();
            let row = |asset: String| {
                json!({
                    "id": asset, "name": asset, "min_size": "0.00000001", "status": "online", "message": "",
                    "max_precision": "0.00000001", "convertible_to": [], "default_network": "",
                    "supported_networks": [], "details": {"type": if asset == "USD" { "fiat" } else { "crypto" }},
                })
            };
            Some(assets.into_iter().map(row).collect())
        }
        _ => None,
    }
}

fn signed(floor: &Floor, asked: &Asked, path: &str) -> Result<usize, Fault> {
    let shown = Shown {
        key: asked.header("CB-ACCESS-KEY"),
        sign: asked.header("CB-ACCESS-SIGN"),
        timestamp: asked.header("CB-ACCESS-TIMESTAMP"),
        passphrase: asked.header("CB-ACCESS-PASSPHRASE"),
    };
    let query = if asked.query.is_empty() { String::new() } else { format!("?{}", asked.query) };
    let said = format!("{}{path}{query}{}", asked.method, asked.body);
    sign::check(&floor.world(), &shown, &said, clock::now())
}

fn private(floor: &Floor, who: usize, asked: &Asked, path: &str) -> Result<Page, Fault> {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    match (asked.method.as_str(), parts.as_slice()) {
        ("GET", ["fills"]) => account::fills(floor, who, asked),
        ("GET", ["orders"]) => account::orders(floor, who, asked),
        ("GET", ["accounts"]) => account::accounts(floor, who, asked),
        ("GET", ["accounts", id, "ledger"]) => account::ledger(floor, who, asked, id),
        _ => Err(Fault::new(404, "NotFound")),
    }
}
