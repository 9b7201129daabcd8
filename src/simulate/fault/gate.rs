//! Requests that are turned away: too many, out of order, not answered.

use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use serde_json::json;

use crate::domain::Venue;
use crate::simulate::floor::Floor;
use crate::simulate::socket;

/// How a request is turned away.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Turned {
    /// Too many; again after so many seconds. Banned when the second is true.
    Refused(u64, bool),
    /// The exchange is out of order.
    Failed,
    /// No answer for so long.
    Hung(Duration),
}

/// Draws whether a request is turned away.
pub fn turned(floor: &Floor, venue: Venue) -> Option<Turned> {
    let mut book = floor.faults();
    let faults = book.of(venue, None);
    if faults.refuse + faults.fail + faults.hang <= 0.0 {
        return None;
    }
    let draw = book.dice.unit();
    if draw < faults.refuse {
        book.tally.refused += 1;
        return Some(Turned::Refused(
            faults.retry_after_secs.max(1),
            venue == Venue::Binance && book.dice.chance(0.25),
        ));
    }
    if draw < faults.refuse + faults.fail {
        book.tally.failed += 1;
        return Some(Turned::Failed);
    }
    if draw < faults.refuse + faults.fail + faults.hang {
        book.tally.hung += 1;
        return Some(Turned::Hung(Duration::from_secs_f64(faults.hang_secs)));
    }
    None
}

/// Turns an HTTP request away, a socket's first among them; nothing when it may go on.
pub async fn gate(floor: &Floor, venue: Venue) -> Option<Response> {
    match turned(floor, venue)? {
        Turned::Refused(secs, banned) => {
            let status = if banned { StatusCode::IM_A_TEAPOT } else { StatusCode::TOO_MANY_REQUESTS };
            let (body, name, value) = match venue {
                Venue::Binance => {
                    (json!({"code": -1003, "msg": "Too much request weight used."}), header::RETRY_AFTER, secs)
                }
                Venue::Kucoin => (
                    json!({"code": "429000", "msg": "Too many requests"}),
                    HeaderName::from_static("gw-ratelimit-reset"),
                    secs * 1_000,
                ),
                Venue::Coinbase => {
                    (json!({"error": "RESOURCE_EXHAUSTED", "message": "rate limited"}), header::RETRY_AFTER, secs)
                }
            };
            let mut response = socket::json(status, &body);
            response.headers_mut().insert(name, HeaderValue::from(value));
            Some(response)
        }
        Turned::Failed => {
            Some(socket::plain(StatusCode::SERVICE_UNAVAILABLE, "<html><h1>503 Service Unavailable</h1></html>"))
        }
        Turned::Hung(time) => {
            tokio::time::sleep(time).await;
            Some(socket::plain(StatusCode::GATEWAY_TIMEOUT, "upstream request timeout"))
        }
    }
}
