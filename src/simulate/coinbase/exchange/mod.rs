//! Coinbase Exchange on Coinbase's port, below `/exchange`: every account of Advanced Trade has a second key for it.
//!
//! Shapes and rules: <https://docs.cdp.coinbase.com/exchange>.

mod account;
mod rest;
mod sign;
mod wire;
mod ws;

use std::sync::Arc;

use axum::extract::Request;
use axum::response::Response;

use crate::simulate::floor::Floor;
use crate::simulate::socket;

/// Where it begins on Coinbase's port.
pub const BASE: &str = "/exchange";

/// Returns whether a path is one of it.
pub fn is_below(path: &str) -> bool {
    path.strip_prefix(BASE).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Answers a request or serves a socket.
pub async fn answer(floor: Arc<Floor>, request: Request) -> Response {
    if !socket::wants_socket(&request) {
        return rest::answer(&floor, socket::Asked::read(request).await);
    }
    let hall = Arc::clone(&floor);
    socket::upgrade(&floor, request, move |socket| ws::serve(hall, socket))
}
