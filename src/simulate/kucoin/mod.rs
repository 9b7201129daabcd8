//! KuCoin: REST, the classic sockets behind bullet tokens, and the unified account's push, on one port.
//!
//! Shapes and rules: <https://www.kucoin.com/docs-new>.

mod account;
mod classic;
mod fault;
mod keys;
mod market;
mod orders;
mod rest;
mod sign;
mod topics;
mod uta;
mod wire;

pub use keys::SUB_PASSPHRASE;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;

use super::acts;
use super::fault as wrongs;
use super::floor::{Floor, locked};
use super::socket;
use crate::domain::{Span, Timestamp, Venue};
use crate::runtime::clock;

/// Answers everything on KuCoin's port.
pub fn router(floor: Arc<Floor>) -> Router {
    Router::new().fallback(answer).with_state(floor)
}

async fn answer(State(floor): State<Arc<Floor>>, request: Request) -> Response {
    if let Some(turned) = wrongs::gate(&floor, Venue::Kucoin).await {
        return turned;
    }
    if !socket::wants_socket(&request) {
        let asked = socket::Asked::read(request).await;
        return acts::serve(&floor, Venue::Kucoin, asked, rest::answer).await;
    }
    let unified = request.uri().path().trim_end_matches('/') == "/uta";
    let query: Vec<(String, String)> = socket::pairs(request.uri().query().unwrap_or_default()).collect();
    let param = |name: &str| query.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    let (token, connect_id) = (param("token"), param("connectId").unwrap_or_default());
    let hall = Arc::clone(&floor);
    match unified {
        true => socket::upgrade(&floor, request, move |socket| uta::serve(hall, socket, token)),
        false => socket::upgrade(&floor, request, move |socket| classic::serve(hall, socket, token, connect_id)),
    }
}

/// Returns how often clients shall ping and how long the answer takes at most, in milliseconds.
fn rhythm(floor: &Floor) -> (u64, u64) {
    let every = u64::try_from(floor.settings.client_ping.as_millis()).unwrap_or(18_000);
    (every, (every / 2).min(10_000))
}

/// Whose a socket token is; nothing when it is unknown or older than a day.
fn bearer(floor: &Floor, token: &str) -> Option<Option<usize>> {
    let tokens = locked(&floor.tokens);
    tokens.get(token).filter(|(_, until)| *until > clock::now()).map(|(who, _)| *who)
}

/// Makes a socket token, good for a day or as long as a connection lives here.
fn hand_out(floor: &Floor, who: Option<usize>, now: Timestamp) -> String {
    let hash = blake3::hash(format!("{}/{who:?}/{}", floor.settings.seed, now.nanos()).as_bytes());
    let token = format!("2neAiuYvAU61ZDXANAGAsiL4-{}", hash.to_hex());
    let mut tokens = locked(&floor.tokens);
    tokens.retain(|_, (_, until)| *until > now);
    tokens.insert(token.clone(), (who, now + Span::from(floor.settings.connection_life)));
    token
}
