//! Binance: REST of spot, margin and futures, the WebSocket API with the account feeds, market streams and the private
//! streams of futures on one port.
//!
//! Shapes and rules: <https://developers.binance.com/docs/binance-spot-api-docs>.

mod account;
mod fault;
mod futures;
mod keys;
mod margin;
mod market;
mod private;
mod rest;
mod routes;
mod sign;
mod stream;
mod wire;
mod ws_api;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;

use super::acts;
use super::fault as wrongs;
use super::floor::Floor;
use super::socket;
use crate::domain::Venue;
use fault::Fault;

/// A request's parameters by name, as text.
type Params = BTreeMap<String, String>;

/// Answers everything on Binance's port.
pub fn router(floor: Arc<Floor>) -> Router {
    Router::new().fallback(answer).with_state(floor)
}

async fn answer(State(floor): State<Arc<Floor>>, request: Request) -> Response {
    if let Some(turned) = wrongs::gate(&floor, Venue::Binance).await {
        return turned;
    }
    if !socket::wants_socket(&request) {
        let asked = socket::Asked::read(request).await;
        return acts::serve(&floor, Venue::Binance, asked, rest::answer).await;
    }
    let path = request.uri().path().to_owned();
    let query = request.uri().query().unwrap_or_default().to_owned();
    let hall = Arc::clone(&floor);
    if path == "/ws-api/v3" {
        let limits = !query.contains("returnRateLimits=false");
        return socket::upgrade(&floor, request, move |socket| ws_api::serve(hall, socket, limits));
    }
    if let Some(wanted) = private::wanted(&path, &query) {
        return socket::upgrade(&floor, request, move |socket| private::serve(hall, socket, wanted));
    }
    match stream::Wanted::of(&path, &query) {
        Some(wanted) => socket::upgrade(&floor, request, move |socket| stream::serve(hall, socket, wanted)),
        None => rest::refused(&Fault::new(404, -1000, "there is no such stream path")),
    }
}
