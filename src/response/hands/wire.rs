//! One request to an exchange, and what is certain about it: carried out, refused, never sent, or unclear.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use compact_str::{CompactString, format_compact};
use reqwest::header::RETRY_AFTER;

use crate::runtime::clock;

/// Bytes of the largest answer taken.
const MAX_ANSWER: usize = 8 << 20;

/// An exchange's REST host, for requests that act.
#[derive(Debug)]
pub(super) struct Wire {
    client: reqwest::Client,
    base: String,
    /// Milliseconds to add to our clock to get theirs.
    offset: AtomicI64,
    learned: AtomicI64,
}

/// A signed request. It has no `Debug`: its path may hold a passphrase.
pub(super) struct Call {
    pub(super) verb: Verb,
    pub(super) path: String,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Get,
    Post,
    Delete,
}

/// What became of a request.
pub(super) enum Said {
    /// It was answered.
    Answer(u16, String),
    /// It never left: nothing can have changed.
    NotSent(CompactString),
    /// It was turned away before it was looked at.
    Later(Duration),
    /// It left, and whether it was carried out is not known.
    Unclear(CompactString),
}

impl Wire {
    pub(super) fn new(base: &str, tls: &Arc<rustls::ClientConfig>, timeout: Duration) -> Result<Self, CompactString> {
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(rustls::ClientConfig::clone(tls))
            .user_agent(concat!("fillguard/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(timeout)
            .timeout(timeout)
            // A redirect would carry signed headers to another place.
            .redirect(reqwest::redirect::Policy::none())
            // A request that is sent again by a library could be carried out twice.
            .retry(reqwest::retry::never())
            .build()
            .map_err(|error| format_compact!("{}", error.without_url()))?;
        let base = base.trim_end_matches('/').to_owned();
        Ok(Wire { client, base, offset: AtomicI64::new(0), learned: AtomicI64::new(0) })
    }

    pub(super) fn host(&self) -> &str {
        self.base.split_once("://").map_or(self.base.as_str(), |(_, host)| host)
    }

    /// Returns milliseconds by the exchange's clock.
    pub(super) fn millis(&self) -> i64 {
        clock::now().millis().saturating_add(self.offset.load(Ordering::Relaxed))
    }

    /// Learns the exchange's clock, unless it was learned within the last minute; our own has to do where it does not
    /// answer.
    pub(super) async fn learn(&self, path: &str, read: impl Fn(&serde_json::Value) -> Option<i64>) {
        let now = clock::now().millis();
        let learned = self.learned.load(Ordering::Relaxed);
        if learned != 0 && (now - learned).abs() < 60_000 {
            return;
        }
        let call = Call { verb: Verb::Get, path: path.to_owned(), headers: Vec::new(), body: None };
        if let Said::Answer(200, text) = self.say(call).await
            && let Some(theirs) = serde_json::from_str(&text).ok().as_ref().and_then(read)
        {
            let after = clock::now().millis();
            self.offset.store(theirs.saturating_sub(now + (after - now) / 2), Ordering::Relaxed);
            self.learned.store(after, Ordering::Relaxed);
        }
    }

    /// Sends a request, once.
    pub(super) async fn say(&self, call: Call) -> Said {
        let url = format!("{}{}", self.base, call.path);
        let mut request = match call.verb {
            Verb::Get => self.client.get(url),
            Verb::Post => self.client.post(url),
            Verb::Delete => self.client.delete(url),
        };
        for (name, value) in call.headers {
            request = request.header(name, value);
        }
        if let Some(body) = call.body {
            request = request.body(body);
        }
        let mut response = match request.send().await {
            Ok(response) => response,
            Err(error) if error.is_builder() || error.is_connect() => return Said::NotSent(words(error)),
            Err(error) => return Said::Unclear(words(error)),
        };
        let status = response.status().as_u16();
        if matches!(status, 418 | 429) {
            let header = |name: &str| response.headers().get(name)?.to_str().ok()?.parse::<u64>().ok();
            let wait = header(RETRY_AFTER.as_str()).map(Duration::from_secs);
            let wait = wait.or(header("gw-ratelimit-reset").map(Duration::from_millis));
            return Said::Later(wait.unwrap_or(Duration::from_secs(1)));
        }
        let mut bytes = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if bytes.len() + chunk.len() <= MAX_ANSWER => bytes.extend_from_slice(&chunk),
                Ok(Some(_)) => return Said::Unclear("the answer is too large".into()),
                Ok(None) => break,
                Err(error) => return Said::Unclear(words(error)),
            }
        }
        if status >= 500 {
            return Said::Unclear(format_compact!("HTTP {status}"));
        }
        match String::from_utf8(bytes) {
            Ok(text) => Said::Answer(status, text),
            Err(_) => Said::Unclear("the answer is not text".into()),
        }
    }
}

/// Returns what went wrong without the address, down to the first cause: a passphrase rides in it.
fn words(error: reqwest::Error) -> CompactString {
    if error.is_timeout() {
        return "no answer in time".into();
    }
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    format_compact!("{cause}")
}
