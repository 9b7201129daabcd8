//! One WebSocket connection: small buffers, pings answered, silence noticed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use compact_str::{CompactString, format_compact};
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream, connect_async_tls_with_config};

use super::error::Error;
use crate::arrival::Body;
use crate::domain::Timestamp;
use crate::runtime::clock;

/// Bytes of the read buffer. The default of 128 KiB costs 150 KiB a connection; fills are below 2 KiB.
const READ_BUFFER: usize = 8 * 1024;
/// Bytes of the largest message taken: no account event comes near it.
const MAX_MESSAGE: usize = 1024 * 1024;

/// How long a connection may be quiet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// How long the TCP, TLS and WebSocket handshakes may take together.
    pub connect: Duration,
    /// After this long without a frame a ping is sent.
    pub silence: Duration,
    /// Without an answer to that ping the connection is given up after this long.
    pub pong: Duration,
}

/// A data frame and when it came.
#[derive(Clone, Debug)]
pub struct Received {
    /// When it came.
    pub at: Timestamp,
    /// What came.
    pub frame: Frame,
}

/// A data frame as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// A text frame.
    Text(String),
    /// A binary frame.
    Bytes(Vec<u8>),
}

/// An open connection.
pub struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    patience: Patience,
    heard: Instant,
    heard_at: Timestamp,
    pinged: bool,
}

impl Frame {
    /// Returns the frame as an arrival's body, untouched.
    pub fn into_body(self) -> Body {
        match self {
            Frame::Text(text) => Body::from_text(text),
            Frame::Bytes(bytes) => Body::from_bytes(bytes),
        }
    }
}

impl Socket {
    /// Connects. `url` may carry a token: it is never part of an error.
    pub async fn connect(url: &str, tls: &Arc<rustls::ClientConfig>, patience: Patience) -> Result<Self, Error> {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(0)
            .max_write_buffer_size(MAX_MESSAGE)
            .max_message_size(Some(MAX_MESSAGE))
            .max_frame_size(Some(MAX_MESSAGE));
        let connector = Connector::Rustls(Arc::clone(tls));
        let connecting = connect_async_tls_with_config(url, Some(config), true, Some(connector));
        let (stream, _) = tokio::time::timeout(patience.connect, connecting)
            .await
            .map_err(|_| Error::Connect(format_compact!("no answer within {} s", patience.connect.as_secs_f32())))?
            .map_err(connecting_failed)?;
        Ok(Socket { stream, patience, heard: clock::steady(), heard_at: clock::now(), pinged: false })
    }

    /// Sends a text frame.
    pub async fn send(&mut self, text: String) -> Result<(), Error> {
        let sending = self.stream.send(Message::text(text));
        match tokio::time::timeout(self.patience.connect, sending).await {
            Ok(sent) => sent.map_err(lost),
            Err(_) => Err(Error::Silent { after: self.patience.connect, what: "what we send is not taken" }),
        }
    }

    /// Returns the next data frame. Pings are answered on the way; a closed, silent or misbehaving connection is an
    /// error. Dropping the wait loses nothing.
    pub async fn receive(&mut self) -> Result<Received, Error> {
        loop {
            let patience = if self.pinged { self.patience.pong } else { self.patience.silence };
            let Ok(message) = tokio::time::timeout_at((self.heard + patience).into(), self.stream.next()).await else {
                if self.pinged {
                    let after = self.patience.silence + self.patience.pong;
                    return Err(Error::Silent { after, what: "not even our ping was answered" });
                }
                self.pinged = true;
                self.heard = clock::steady();
                let ping = self.stream.send(Message::Ping(Vec::new().into()));
                if let Ok(sent) = tokio::time::timeout(self.patience.pong, ping).await {
                    sent.map_err(lost)?;
                }
                continue;
            };
            (self.heard, self.heard_at, self.pinged) = (clock::steady(), clock::now(), false);
            let frame = match message {
                None => return Err(Error::Closed("without a word".into())),
                Some(Err(error)) => return Err(lost(error)),
                Some(Ok(Message::Text(text))) => Frame::Text(text.as_str().to_owned()),
                Some(Ok(Message::Binary(bytes))) => Frame::Bytes(bytes.to_vec()),
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => continue,
                // Its code only: the reason is the other side's text.
                Some(Ok(Message::Close(close))) => {
                    let code = close.map_or(1005, |close| u16::from(close.code));
                    return Err(Error::Closed(format_compact!("code {code}")));
                }
            };
            return Ok(Received { at: self.heard_at, frame });
        }
    }

    /// Returns when the other side last showed a sign of life.
    pub fn heard_at(&self) -> Timestamp {
        self.heard_at
    }

    /// Says good-bye without waiting for an answer.
    pub async fn close(mut self) {
        // It may be gone already, and nothing depends on it.
        let _ = tokio::time::timeout(Duration::from_millis(200), self.stream.close(None)).await;
    }
}

fn connecting_failed(error: tungstenite::Error) -> Error {
    let tungstenite::Error::Http(response) = error else { return Error::Connect(words(error)) };
    let status = response.status().as_u16();
    if !matches!(status, 418 | 429) {
        return Error::Connect(format_compact!("HTTP {status} in place of a WebSocket"));
    }
    let asked = |name| response.headers().get(name).and_then(|value| value.to_str().ok()?.parse().ok());
    // KuCoin tells the wait in milliseconds, and in a header of its own.
    let wait = asked("retry-after").map(Duration::from_secs);
    Error::Limited(wait.or(asked("gw-ratelimit-reset").map(Duration::from_millis)).unwrap_or(Duration::from_secs(60)))
}

fn lost(error: tungstenite::Error) -> Error {
    if matches!(error, tungstenite::Error::Capacity(_)) { Error::Oversize } else { Error::Closed(words(error)) }
}

/// Returns what went wrong, leaving out whatever could hold an address with a token or a frame's content.
fn words(error: tungstenite::Error) -> CompactString {
    match error {
        tungstenite::Error::Io(error) => format_compact!("{error}"),
        tungstenite::Error::Tls(error) => format_compact!("TLS: {error}"),
        tungstenite::Error::Protocol(error) => format_compact!("{error}"),
        tungstenite::Error::ConnectionClosed | tungstenite::Error::AlreadyClosed => "already closed".into(),
        tungstenite::Error::Url(_) => "the address is no usable WebSocket URL, or does not answer".into(),
        tungstenite::Error::Capacity(_) => "a message too large".into(),
        tungstenite::Error::WriteBufferFull(_) => "what we send is not taken".into(),
        tungstenite::Error::Utf8(_) => "a text that is not UTF-8".into(),
        tungstenite::Error::AttackAttempt | tungstenite::Error::Http(_) | tungstenite::Error::HttpFormat(_) => {
            "not a WebSocket".into()
        }
    }
}
