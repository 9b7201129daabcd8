//! The unified account's feed: signs in by a frame, then `execution`, `orderAll` and `balance`
//! (<https://www.kucoin.com/docs-new/3470346w0>).

use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flate2::read::DeflateDecoder;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::bullet::Rhythm;
use crate::feed::error::{Error, Refusal};
use crate::feed::rest::Rest;
use crate::feed::settings::Timing;
use crate::feed::sign::KucoinSigner;
use crate::feed::socket::{Frame, Received};
use crate::runtime::clock;

/// Bytes of the largest deflated answer looked into.
const INFLATED: u64 = 1024 * 1024;
/// Milliseconds between pings, unless the welcome says otherwise.
const PING: u64 = 18_000;
/// What is subscribed; `balance` names its wallet in another field.
const CHANNELS: [(&str, &str); 3] = [("execution", "tradeType"), ("orderAll", "tradeType"), ("balance", "accountType")];

/// The protocol of one unified account.
pub(super) struct Unified {
    timing: Timing,
    signer: KucoinSigner,
    rest: Arc<Rest>,
    stage: Stage,
    until: Instant,
    rhythm: Rhythm,
    ping_at: Instant,
    pong_until: Option<Instant>,
    pings: u64,
}

/// How far it has come. Questions are numbered: 1 signs in, 2 to 4 subscribe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Welcome,
    SignIn,
    Subscribing(u8),
    Up,
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    result: Option<bool>,
    message: Option<String>,
    reason: Option<String>,
    #[serde(rename = "pingInterval")]
    ping_interval: Option<u64>,
    op: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(borrow)]
    code: Option<&'a RawValue>,
}

impl Unified {
    /// Starts waiting for the welcome.
    pub(super) fn new(timing: Timing, signer: KucoinSigner, rest: Arc<Rest>) -> Self {
        let (now, rhythm) = (clock::steady(), Rhythm::new(PING, millis(timing.pong)));
        let (until, ping_at) = (now + timing.ack, now + rhythm.every);
        Unified { timing, signer, rest, stage: Stage::Welcome, until, rhythm, ping_at, pong_until: None, pings: 100 }
    }

    /// Returns whether it is signed in and subscribed.
    pub(super) fn up(&self) -> bool {
        self.stage == Stage::Up
    }

    /// Takes a frame; returns what to send, and whether all is subscribed just now.
    pub(super) fn heard(&mut self, received: &Received) -> Result<(Option<String>, bool), Error> {
        let Some(text) = text(&received.frame) else { return Ok((None, false)) };
        let Ok(head) = serde_json::from_str::<Head<'_>>(&text) else { return Ok((None, false)) };
        if [&head.op, &head.kind].into_iter().flatten().any(|word| word == "pong") {
            self.pong_until = None;
            return Ok((None, false));
        }
        let id: Option<u8> = head.id.and_then(|id| id.get().trim_matches('"').parse().ok());
        let now = clock::steady();
        match (self.stage, head.result) {
            (Stage::Welcome, _) if head.message.as_deref() == Some("welcome") => {
                self.rhythm = Rhythm::new(head.ping_interval.unwrap_or(PING), millis(self.timing.pong));
                (self.stage, self.until, self.ping_at) =
                    (Stage::SignIn, now + self.timing.ack, now + self.rhythm.every);
                Ok((Some(self.signer.auth_frame(self.rest.millis(), 1)), false))
            }
            (Stage::SignIn, Some(true)) if id == Some(1) => {
                (self.stage, self.until) = (Stage::Subscribing(0), now + self.timing.ack);
                Ok((subscribe(0), false))
            }
            (Stage::Subscribing(channel), Some(true)) if id == Some(channel + 2) => {
                let request = subscribe(channel + 1);
                let up = request.is_none();
                self.stage = if up { Stage::Up } else { Stage::Subscribing(channel + 1) };
                self.until = now + self.timing.ack;
                Ok((request, up))
            }
            (Stage::SignIn | Stage::Subscribing(_), Some(false)) => {
                let code = head.code.map(|code| code.get().trim_matches('"').to_owned());
                let code = code.as_deref().unwrap_or(match self.stage {
                    Stage::SignIn => about(head.reason.as_deref().unwrap_or_default()),
                    Stage::Welcome | Stage::Subscribing(_) | Stage::Up => "400007",
                });
                let refusal = Refusal::kucoin(code).of_unified();
                Err(Error::Refused(refusal))
            }
            (Stage::Welcome | Stage::SignIn | Stage::Subscribing(_) | Stage::Up, _) => Ok((None, false)),
        }
    }

    /// Returns when there is something to check or to send.
    pub(super) fn due(&self) -> Option<Instant> {
        let waiting = (!self.up()).then_some(self.until);
        waiting.into_iter().chain(self.pong_until).chain([self.ping_at]).min()
    }

    /// Returns a ping when it is time for one; a silence that lasts too long is an error.
    pub(super) fn check(&mut self, now: Instant) -> Result<Option<String>, Error> {
        if !self.up() && self.until <= now {
            return Err(Error::Silent { after: self.timing.ack, what: "signing in was not answered" });
        }
        if self.pong_until.is_some_and(|until| until <= now) {
            return Err(Error::Silent { after: self.rhythm.timeout, what: "our ping was not answered" });
        }
        if self.ping_at > now {
            return Ok(None);
        }
        self.ping_at = now + self.rhythm.every;
        self.pong_until.get_or_insert(now + self.rhythm.timeout);
        self.pings += 1;
        let time = clock::now().millis().to_string();
        Ok(Some(serde_json::json!({"id": self.pings.to_string(), "op": "ping", "timestamp": time}).to_string()))
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Returns the code that goes with a refusal in words; without one it can be about the signature only.
fn about(reason: &str) -> &'static str {
    let reason = reason.to_ascii_lowercase();
    let codes = [
        ("passphrase", "400004"),
        ("timestamp", "400002"),
        ("permission", "400007"),
        ("not exist", "400003"),
        ("whitelist", "400006"),
    ];
    codes.iter().find(|(word, _)| reason.contains(word)).map_or("400005", |(_, code)| code)
}

fn subscribe(channel: u8) -> Option<String> {
    let (name, field) = CHANNELS.get(usize::from(channel))?;
    let id = (channel + 2).to_string();
    Some(serde_json::json!({"id": id, "action": "SUBSCRIBE", "channel": name, *field: "UNIFIED"}).to_string())
}

/// Returns the JSON of a frame that may be binary, plain or deflated.
fn text(frame: &Frame) -> Option<String> {
    match frame {
        Frame::Text(text) => Some(text.clone()),
        Frame::Bytes(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) if text.trim_start().starts_with('{') => Some(text.to_owned()),
            Ok(_) | Err(_) => {
                let mut text = String::new();
                DeflateDecoder::new(bytes.as_slice()).take(INFLATED).read_to_string(&mut text).ok().map(|_| text)
            }
        },
    }
}
