//! Binance's errors: an HTTP status, a negative code, a sentence.

use serde_json::{Value, json};

use crate::simulate::broken::How;

/// A refusal as Binance words it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The HTTP status, also given in WebSocket replies.
    pub status: u16,
    /// The code.
    pub code: i64,
    /// The sentence.
    pub msg: String,
    /// For 429 and 418: seconds until requests are welcome again.
    pub retry_after: Option<u64>,
}

impl Fault {
    /// Words a refusal.
    pub fn new(status: u16, code: i64, msg: &str) -> Self {
        Fault { status, code, msg: msg.to_owned(), retry_after: None }
    }

    /// The key is not one of this exchange, was deleted, or may not do this: Binance does not say which.
    pub fn bad_key() -> Self {
        Fault::new(401, -2015, "Invalid API-key, IP, or permissions for action.")
    }

    /// The key does not even look like one.
    pub fn malformed_key() -> Self {
        Fault::new(401, -2014, "API-key format invalid.")
    }

    /// The signature is not the key's.
    pub fn bad_signature() -> Self {
        Fault::new(400, -1022, "Signature for this request is not valid.")
    }

    /// Words what a broken key is answered; nothing for what Binance does not know.
    pub fn of(how: How) -> Option<Self> {
        Some(match how {
            How::Secret | How::Unsigned => Fault::bad_signature(),
            How::Right | How::Address | How::Deleted => Fault::bad_key(),
            How::Unknown => Fault::new(401, -2008, "Invalid Api-Key ID."),
            How::Form => Fault::malformed_key(),
            How::Clock => Fault::new(400, -1021, "Timestamp for this request is outside of the recvWindow."),
            How::Frozen => Fault::new(400, -2017, "API Keys are locked on this account."),
            How::SubAccount => Fault::new(401, -1002, "You are not authorized to execute this request."),
            How::Passphrase | How::Identity | How::Unified | How::Portfolio => return None,
        })
    }

    /// A parameter is missing.
    pub fn missing(name: &str) -> Self {
        let msg = format!("Mandatory parameter '{name}' was not sent, was empty/null, or malformed.");
        Fault { status: 400, code: -1102, msg, retry_after: None }
    }

    /// The pair does not exist.
    pub fn bad_symbol() -> Self {
        Fault::new(400, -1121, "Invalid symbol.")
    }

    /// Too much weight was used; `banned` once the first refusals were ignored.
    pub fn too_much(limit: u32, retry_after: u64, banned: bool) -> Self {
        let status = if banned { 418 } else { 429 };
        let msg = format!("Too much request weight used; current limit is {limit} request weight per 1 MINUTE.");
        Fault { status, code: -1003, msg, retry_after: Some(retry_after) }
    }

    /// Returns the error object.
    pub fn value(&self) -> Value {
        json!({"code": self.code, "msg": self.msg})
    }
}
