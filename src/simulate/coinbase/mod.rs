//! Coinbase Advanced Trade: REST and the user and market sockets on one port.
//!
//! Shapes and rules: <https://docs.cdp.coinbase.com/coinbase-app/advanced-trade-apis>.

mod account;
mod channels;
mod exchange;
mod jwt;
mod market;
mod rest;
mod wire;

pub use wire::portfolio;
mod ws;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;

use super::floor::Floor;
use super::{acts, fault, socket};
use crate::domain::Venue;

/// Answers everything on Coinbase's port; either socket carries every channel, as each may back up the other.
pub fn router(floor: Arc<Floor>) -> Router {
    Router::new().fallback(answer).with_state(floor)
}

async fn answer(State(floor): State<Arc<Floor>>, request: Request) -> Response {
    if let Some(turned) = fault::gate(&floor, Venue::Coinbase).await {
        return turned;
    }
    if exchange::is_below(request.uri().path()) {
        return exchange::answer(floor, request).await;
    }
    if !socket::wants_socket(&request) {
        let asked = socket::Asked::read(request).await;
        return acts::serve(&floor, Venue::Coinbase, asked, rest::answer).await;
    }
    let hall = Arc::clone(&floor);
    socket::upgrade(&floor, request, move |socket| ws::serve(hall, socket))
}
