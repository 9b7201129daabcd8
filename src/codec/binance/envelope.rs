//! What is round an event: nothing, the WebSocket API's subscription, or a combined stream; and replies, which are none.

use serde::Deserialize;

use super::super::scalar::{Object, Scalar};
use super::super::shape::read;
use super::super::unread::Unread;
use super::refusal::Refusal;

/// A frame, opened.
pub(super) enum Opened<E> {
    /// It carries an event.
    Event(E),
    /// It answers a request and says no.
    Refused(Refusal),
    /// It answers a request: a subscription's acknowledgement, or a result that is read over REST instead.
    Reply,
}

/// All that can be round an event: `{"subscriptionId":0,"event":{"e":"executionReport"}}`,
/// `{"stream":"apcbtc@trade","data":{"e":"trade"}}`, `{"id":"s1","status":200,"result":{"subscriptionId":0}}`,
/// `{"id":null,"status":401,"error":{"code":-2015,"msg":"..."}}`, `{"result":null,"id":1}`.
#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a, E: Deserialize<'de>"))]
struct Envelope<'a, E> {
    event: Option<E>,
    data: Option<E>,
    error: Option<Failure<'a>>,
    #[serde(default)]
    status: Scalar<'a>,
    #[serde(default)]
    result: Scalar<'a>,
    #[serde(default)]
    id: Scalar<'a>,
    // A market stream and REST say no without an envelope: `{"code":-2015,"msg":"..."}`.
    #[serde(default)]
    code: Scalar<'a>,
    #[serde(default)]
    msg: Scalar<'a>,
}

/// `{"code":-1003,"msg":"...","data":{"serverTime":1775572206000,"retryAfter":1775572326000}}`
#[derive(Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Failure<'a> {
    code: Scalar<'a>,
    msg: Scalar<'a>,
    data: Option<Later<'a>>,
}

/// When an exchange that had enough of us may be asked again, in ms since 1970.
#[derive(Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Later<'a> {
    #[serde(rename = "retryAfter")]
    retry_after: Scalar<'a>,
}

/// Opens a frame; one that is no envelope is taken for the event itself.
pub(super) fn open<'a, E: Deserialize<'a>>(json: &'a str) -> Result<Opened<E>, Unread> {
    // Most events start with their name, which spares a look for an envelope; another order is only slower.
    if json.starts_with("{\"e\":") || json.starts_with('[') {
        return read("an event", json).map(Opened::Event);
    }
    let Object(envelope): Object<Envelope<'a, E>> = read("a frame", json)?;
    if let Some(event) = envelope.event.or(envelope.data) {
        return Ok(Opened::Event(event));
    }
    let status = envelope.status.whole("status").ok();
    if let Some(error) = envelope.error {
        let until = error.data.and_then(|data| data.retry_after.time("retryAfter").ok());
        return Ok(Opened::Refused(Refusal { status, code: error.code.whole("code").ok(), until }));
    }
    if let (Ok(code), false) = (envelope.code.whole("code"), envelope.msg.is_absent()) {
        return Ok(Opened::Refused(Refusal { status, code: Some(code), until: None }));
    }
    if status.is_some_and(|status| status >= 400) {
        return Ok(Opened::Refused(Refusal { status, code: None, until: None }));
    }
    if status.is_some() || !envelope.result.is_absent() || !envelope.id.is_absent() {
        return Ok(Opened::Reply);
    }
    read("an event", json).map(Opened::Event)
}

/// Returns the refusal that a REST answer is, if it is one.
pub(super) fn refusal(json: &str) -> Option<Refusal> {
    if !json.trim_start().starts_with('{') {
        return None;
    }
    let failure: Failure<'_> = serde_json::from_str(json).ok()?;
    let code = failure.code.whole("code").ok().filter(|code| *code < 0)?;
    if failure.msg.is_absent() { None } else { Some(Refusal { status: None, code: Some(code), until: None }) }
}
