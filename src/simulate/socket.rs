//! From an HTTP request to an answer or a WebSocket. The upgrade is done by hand: axum's own would bring a second
//! WebSocket library.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::AsyncReadExt;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::fault::{Liar, Life};
use super::floor::Floor;

/// A request as the faces look at it: read whole, nothing decoded that a signature may cover.
#[derive(Debug)]
pub struct Asked {
    /// Its verb.
    pub method: Method,
    /// Its path.
    pub path: String,
    /// Its query, as sent.
    pub query: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: String,
}

impl Asked {
    /// Reads a request; a body over 64 KiB or not UTF-8 counts as empty.
    pub async fn read(request: Request) -> Self {
        let (parts, body) = request.into_parts();
        let body = axum::body::to_bytes(body, 64 * 1_024).await.unwrap_or_default();
        Asked {
            method: parts.method,
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().unwrap_or_default().to_owned(),
            headers: parts.headers,
            body: String::from_utf8(body.to_vec()).unwrap_or_default(),
        }
    }

    /// Returns a header's text, empty when absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Returns a parameter of the query, else of a form body, decoded.
    pub fn param(&self, name: &str) -> Option<String> {
        pairs(&self.query).chain(pairs(&self.body)).find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// Returns every value of a repeated parameter.
    pub fn params(&self, name: &str) -> Vec<String> {
        pairs(&self.query).filter(|(key, _)| key == name).map(|(_, value)| value).collect()
    }

    /// Returns a parameter as a whole number.
    pub fn number(&self, name: &str) -> Option<i64> {
        self.param(name)?.parse().ok()
    }
}

/// A WebSocket from the server's side.
pub struct Socket {
    stream: WebSocketStream<TokioIo<Upgraded>>,
    liar: Option<Liar>,
}

impl Socket {
    /// Waits for the next message; nothing when the client is gone or broke the protocol.
    pub async fn hear(&mut self) -> Option<Message> {
        loop {
            let Some(liar) = &mut self.liar else { return heard(&mut self.stream).await };
            match liar.life() {
                Life::On => {}
                Life::Deaf => return drained(&mut self.stream).await,
                Life::Cut => return None,
                Life::Closed => {
                    self.close(1008, "disconnected after the longest life of a connection").await;
                    return None;
                }
            }
            for message in liar.due() {
                // Buffered without a wait, so that dropping this one loses nothing; sent by the flush below.
                self.stream.feed(message).await.ok()?;
            }
            self.stream.flush().await.ok()?;
            tokio::select! {
                heard = heard(&mut self.stream) => return heard,
                () = tokio::time::sleep_until(liar.wake().into()) => {}
            }
        }
    }

    /// Has an account feed's messages go through the liar that `make` makes, from now on.
    pub fn lie(&mut self, make: impl FnOnce() -> Liar) {
        self.liar.get_or_insert_with(make);
    }

    /// Sends what an account's feed tells, as far as the exchange's faults let it; false when the client is gone.
    pub async fn push(&mut self, value: &Value) -> bool {
        let Some(liar) = &mut self.liar else { return self.say(value).await };
        for message in liar.instead_of(value) {
            if !self.send(message).await {
                return false;
            }
        }
        true
    }

    /// Sends a JSON text; false when the client is gone.
    pub async fn say(&mut self, value: &Value) -> bool {
        self.send(Message::text(value.to_string())).await
    }

    /// Sends any message; false when the client is gone.
    pub async fn send(&mut self, message: Message) -> bool {
        if self.liar.as_mut().is_some_and(|liar| liar.life() == Life::Deaf) {
            return true;
        }
        !matches!(self.stream.send(message).await, Err(Error::ConnectionClosed | Error::AlreadyClosed | Error::Io(_)))
    }

    /// Says good-bye with a code and a reason.
    pub async fn close(&mut self, code: u16, reason: &str) {
        let frame = CloseFrame { code: CloseCode::from(code), reason: reason.to_owned().into() };
        let _ = self.stream.close(Some(frame)).await;
    }
}

async fn heard(stream: &mut WebSocketStream<TokioIo<Upgraded>>) -> Option<Message> {
    match stream.next().await? {
        Ok(Message::Close(_)) => {
            // The answering close frame is queued by now and wants to be sent.
            let _ = stream.flush().await;
            None
        }
        Err(_) => None,
        Ok(message) => Some(message),
    }
}

/// Takes what comes and answers nothing, not even pings, until the client goes away.
async fn drained(stream: &mut WebSocketStream<TokioIo<Upgraded>>) -> Option<Message> {
    let mut bytes = [0; 1_024];
    while stream.get_mut().read(&mut bytes).await.is_ok_and(|count| count > 0) {}
    None
}

/// Tells whether a request asks to become a WebSocket.
pub fn wants_socket(request: &Request) -> bool {
    let upgrade = request.headers().get(header::UPGRADE).and_then(|value| value.to_str().ok());
    upgrade.is_some_and(|value| value.eq_ignore_ascii_case("websocket"))
}

/// Answers 101 and serves the socket once the connection has changed hands.
pub fn upgrade<F>(floor: &Arc<Floor>, request: Request, serve: impl FnOnce(Socket) -> F + Send + 'static) -> Response
where
    F: Future<Output = ()> + Send + 'static,
{
    let Some(key) = request.headers().get(header::SEC_WEBSOCKET_KEY) else {
        return plain(StatusCode::BAD_REQUEST, "Sec-WebSocket-Key is missing");
    };
    let host = request.headers().get(header::HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
    floor.count_opened(format!("{host}{}", request.uri().path()));
    let accept = derive_accept_key(key.as_bytes());
    let upgraded = hyper::upgrade::on(request);
    floor.keep_socket(async move {
        if let Ok(connection) = upgraded.await {
            let stream = WebSocketStream::from_raw_socket(TokioIo::new(connection), Role::Server, None).await;
            serve(Socket { stream, liar: None }).await;
        }
    });
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(accept) = HeaderValue::from_str(&accept) {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
    response
}

/// Answers with JSON.
pub fn json(status: StatusCode, value: &Value) -> Response {
    let mut response = plain(status, &value.to_string());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Answers with plain text.
pub fn plain(status: StatusCode, text: &str) -> Response {
    let mut response = Response::new(Body::from(text.to_owned()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

/// Splits `a=1&b=2` and decodes both halves.
pub fn pairs(query: &str) -> impl Iterator<Item = (String, String)> {
    query.split('&').filter_map(|part| part.split_once('=')).map(|(key, value)| (decode(key), decode(value)))
}

fn decode(text: &str) -> String {
    let (bytes, mut plain, mut at) = (text.as_bytes(), Vec::with_capacity(text.len()), 0);
    while let Some(&byte) = bytes.get(at) {
        let coded =
            bytes.get(at + 1..at + 3).and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        match (byte, coded) {
            (b'%', Some(decoded)) => {
                plain.push(decoded);
                at += 2;
            }
            (b'+', _) => plain.push(b' '),
            (other, _) => plain.push(other),
        }
        at += 1;
    }
    String::from_utf8_lossy(&plain).into_owned()
}

#[cfg(test)]
mod tests {
    use super::pairs;

    #[test]
    fn a_query_is_decoded_once() {
        let read: Vec<_> = pairs("symbol=%E8%BF%99&e=a%2Bb%40c&broken=%zz&flag&x=1+2").collect();
        assert_eq!(read[0], ("symbol".to_owned(), "这".to_owned()));
        assert_eq!(read[1].1, "a+b@c");
        assert_eq!(read[2].1, "%zz");
        assert_eq!(read[3].1, "1 2");
    }
}
