//! The little that must be read of a frame; the codec reads the rest.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::feed::error::{Error, Refusal};
use crate::feed::settings::Timing;
use crate::runtime::clock;

/// `{"channel":"user","sequence_num":1,"events":[..]}`, `{"type":"error","message":"authentication failure"}`.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Head<'a> {
    #[serde(borrow)]
    pub(super) channel: Option<Cow<'a, str>>,
    pub(super) sequence_num: Option<u64>,
    #[serde(rename = "type", borrow)]
    pub(super) kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    message: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) events: Option<&'a RawValue>,
}

/// An event of the `user` channel.
#[derive(Debug, Deserialize)]
pub(super) struct UserEvent {
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    pub(super) orders: Option<Vec<Order>>,
}

/// An order of such an event.
#[derive(Debug, Deserialize)]
pub(super) struct Order {
    pub(super) order_id: String,
}

#[derive(Debug, Deserialize)]
struct Subscribed {
    #[serde(default)]
    subscriptions: std::collections::BTreeMap<String, Vec<String>>,
}

impl Head<'_> {
    /// Returns what an error message means; Coinbase gives it a text and no code.
    pub(super) fn refused(&self) -> Option<Error> {
        if self.kind.as_deref() != Some("error") {
            return None;
        }
        let about_key = self.message.as_deref().is_some_and(|text| text.to_ascii_lowercase().contains("auth"));
        Some(Error::Refused(Refusal::coinbase_socket(about_key)))
    }

    /// Returns whether an error message names `pair` as a word.
    pub(super) fn names(&self, pair: &str) -> bool {
        let word = |c: char| !(c.is_ascii_alphanumeric() || c == '-');
        self.message.as_deref().is_some_and(|text| text.split(word).any(|found| found == pair))
    }

    /// Returns whether it confirms a subscription to `channel`.
    pub(super) fn confirms(&self, channel: &str) -> bool {
        self.confirmed(channel).is_some()
    }

    /// Returns what it says is subscribed on `channel`; nothing where it says nothing of it.
    pub(super) fn confirmed(&self, channel: &str) -> Option<Vec<String>> {
        let events = self.events.filter(|_| self.channel.as_deref() == Some("subscriptions"));
        let events = events.and_then(|events| serde_json::from_str::<Vec<Subscribed>>(events.get()).ok());
        events.unwrap_or_default().into_iter().find_map(|mut event| event.subscriptions.remove(channel))
    }
}

/// Watches the one heartbeat a second.
#[derive(Debug)]
pub(super) struct Heartbeat {
    patience: Duration,
    until: Instant,
}

impl Heartbeat {
    /// Starts waiting: the first may take as long as an answer.
    pub(super) fn new(timing: &Timing) -> Self {
        Heartbeat { patience: timing.heartbeat, until: clock::steady() + timing.ack.max(timing.heartbeat) }
    }

    /// Notes a frame.
    pub(super) fn heard(&mut self, head: &Head<'_>) {
        if head.channel.as_deref() == Some("heartbeats") {
            self.beat();
        }
    }

    /// Notes a heartbeat.
    pub(super) fn beat(&mut self) {
        self.until = clock::steady() + self.patience;
    }

    /// Returns until when the next must come.
    pub(super) fn until(&self) -> Instant {
        self.until
    }

    /// Refuses a silence that lasts too long.
    pub(super) fn check(&self, now: Instant) -> Result<(), Error> {
        if self.until > now {
            return Ok(());
        }
        Err(Error::Silent { after: self.patience, what: "no heartbeat" })
    }
}
