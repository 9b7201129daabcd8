//! The little that must be read of a frame to route it; the codec reads the rest.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

/// `{"subscriptionId":0,"event":{"e":"executionReport","s":"APCBTC"}}`, `{"id":"s1","status":200,"result":{..}}`.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Envelope<'a> {
    #[serde(rename = "subscriptionId")]
    pub(super) subscription: Option<u64>,
    #[serde(borrow)]
    pub(super) id: Option<&'a RawValue>,
    pub(super) status: Option<u16>,
    #[serde(borrow)]
    pub(super) result: Option<&'a RawValue>,
    pub(super) error: Option<Fault>,
    #[serde(borrow)]
    pub(super) event: Option<Head<'a>>,
}

/// `{"code":-2015,"msg":"...","data":{"retryAfter":1770000000000}}`.
#[derive(Debug, Deserialize)]
pub(super) struct Fault {
    pub(super) code: i64,
    pub(super) data: Option<FaultData>,
}

#[derive(Debug, Deserialize)]
pub(super) struct FaultData {
    #[serde(rename = "retryAfter")]
    pub(super) retry_after: Option<i64>,
}

/// The head of an event, and the assets of an `outboundAccountPosition`.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Head<'a> {
    #[serde(borrow)]
    pub(super) e: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) s: Option<&'a RawValue>,
    #[serde(rename = "B", borrow)]
    pub(super) balances: Option<&'a RawValue>,
    /// When an `outboundAccountPosition` was so, in milliseconds.
    #[serde(rename = "u", borrow)]
    updated: Option<&'a RawValue>,
}

/// One asset of a position.
#[derive(Debug, Deserialize)]
pub(super) struct Position<'a> {
    #[serde(borrow)]
    pub(super) a: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) f: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) l: Cow<'a, str>,
}

/// The answer to a subscription.
#[derive(Debug, Deserialize)]
pub(super) struct Subscribed {
    #[serde(rename = "subscriptionId")]
    pub(super) subscription: Option<u64>,
}

impl Head<'_> {
    /// Returns when a position was so, where the event tells.
    pub(super) fn updated(&self) -> Option<i64> {
        self.updated.and_then(|raw| serde_json::from_str(raw.get()).ok())
    }

    /// Returns the event's pair, where it names one.
    pub(super) fn symbol(&self) -> Option<String> {
        self.s.and_then(|raw| serde_json::from_str(raw.get()).ok())
    }
}
