//! The classic feeds' protocol: welcome, subscribe, ack, and pings that the client sends
//! (<https://www.kucoin.com/docs-new/websocket-api/base-info/introduction>).

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Instant;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::bullet::Rhythm;
use crate::feed::error::{Error, Refusal};
use crate::feed::settings::Timing;
use crate::feed::socket::{Frame, Received};
use crate::runtime::clock;

/// The part of the protocol that accounts and market share.
pub(super) struct Classic {
    timing: Timing,
    rhythm: Rhythm,
    connect_id: String,
    welcome: Option<Instant>,
    asked: BTreeMap<u64, Instant>,
    questions: u64,
    ping_at: Instant,
    pong_until: Option<Instant>,
}

/// What a frame meant for the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meant {
    /// The connection is open for subscriptions.
    Welcome,
    /// A subscription was taken.
    Ack(u64),
    /// A subscription was refused; nothing else is wrong with the connection.
    Refused(u64),
    /// Data, or nothing we follow.
    Else,
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(rename = "type", borrow)]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    code: Option<&'a RawValue>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

/// Returns a JSON text's or number's characters.
fn plain(raw: &RawValue) -> &str {
    raw.get().trim_matches('"')
}

impl Classic {
    /// Starts waiting for the welcome, which comes within 5 s.
    pub(super) fn new(timing: Timing, rhythm: Rhythm, connect_id: String) -> Self {
        let now = clock::steady();
        let welcome = Some(now + timing.ack / 2);
        let asked = BTreeMap::new();
        Classic {
            timing,
            rhythm,
            connect_id,
            welcome,
            asked,
            questions: 0,
            ping_at: now + rhythm.every,
            pong_until: None,
        }
    }

    /// Returns whether the welcome came.
    pub(super) fn welcomed(&self) -> bool {
        self.welcome.is_none()
    }

    /// Returns whether every subscription was answered.
    pub(super) fn answered(&self) -> bool {
        self.welcomed() && self.asked.is_empty()
    }

    /// Takes a frame.
    pub(super) fn heard(&mut self, received: &Received) -> Result<Meant, Error> {
        let Frame::Text(text) = &received.frame else { return Ok(Meant::Else) };
        let Ok(head) = serde_json::from_str::<Head<'_>>(text) else { return Ok(Meant::Else) };
        let id = head.id.map(plain).unwrap_or_default();
        match head.kind.as_deref() {
            Some("welcome") if id == self.connect_id || !self.welcomed() => {
                self.welcome = None;
                Ok(Meant::Welcome)
            }
            Some("ack") => {
                let known = id.parse().ok().filter(|id: &u64| self.asked.remove(id).is_some());
                Ok(known.map_or(Meant::Else, Meant::Ack))
            }
            Some("pong") => {
                self.pong_until = None;
                Ok(Meant::Else)
            }
            Some("error") => {
                let expired = head.data.is_some_and(|data| plain(data) == "token is expired");
                let code = if expired { "401" } else { head.code.map(plain).unwrap_or("error") };
                // 400 and 404: a topic that is not there.
                let asked = id.parse().ok().filter(|_| matches!(code, "400" | "404"));
                if let Some(id) = asked.filter(|id: &u64| self.asked.remove(id).is_some()) {
                    return Ok(Meant::Refused(id));
                }
                Err(Error::Refused(Refusal::kucoin(code)))
            }
            Some(_) | None => Ok(Meant::Else),
        }
    }

    /// Returns a subscription to `topic`, or the end of one, and its number.
    pub(super) fn subscribe(&mut self, topic: &str, leave: bool, private: bool, now: Instant) -> (u64, String) {
        self.questions += 1;
        self.asked.insert(self.questions, now + self.timing.ack);
        let kind = if leave { "unsubscribe" } else { "subscribe" };
        let message = serde_json::json!({
            "id": self.questions.to_string(), "type": kind, "topic": topic, "privateChannel": private, "response": true,
        });
        (self.questions, message.to_string())
    }

    /// Returns when there is something to check or to send.
    pub(super) fn due(&self) -> Option<Instant> {
        let asked = self.asked.values().min().copied();
        self.welcome.into_iter().chain(asked).chain(self.pong_until).chain([self.ping_at]).min()
    }

    /// Returns a ping when it is time for one; a silence that lasts too long is an error.
    pub(super) fn check(&mut self, now: Instant) -> Result<Option<String>, Error> {
        let silent = |after, what| Err(Error::Silent { after, what });
        if self.welcome.is_some_and(|until| until <= now) {
            return silent(self.timing.ack / 2, "no welcome");
        }
        if self.asked.values().any(|until| *until <= now) {
            return silent(self.timing.ack, "a subscription was not answered");
        }
        if self.pong_until.is_some_and(|until| until <= now) {
            return silent(self.rhythm.timeout, "our ping was not answered");
        }
        if self.ping_at > now {
            return Ok(None);
        }
        self.ping_at = now + self.rhythm.every;
        self.pong_until.get_or_insert(now + self.rhythm.timeout);
        let id = clock::now().millis().to_string();
        Ok(Some(serde_json::json!({"id": id, "type": "ping"}).to_string()))
    }
}
