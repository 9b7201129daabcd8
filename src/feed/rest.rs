//! Calls to one exchange's REST host: inside its limits, with time-outs, and nothing signed in an error.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use compact_str::{CompactString, format_compact};
use reqwest::header::{HeaderMap, RETRY_AFTER};

use super::error::Error;
use super::limiter::Limiter;
use crate::arrival::Body;
use crate::domain::Timestamp;
use crate::runtime::clock;

/// Bytes of the largest answer taken: Binance's list of pairs has a few million.
const MAX_ANSWER: usize = 32 * 1024 * 1024;

/// One exchange's REST host.
#[derive(Debug)]
pub struct Rest {
    client: reqwest::Client,
    base: String,
    limiter: Limiter,
    /// The wait before a second attempt; the one before the third is four times as long.
    wait: Duration,
    /// Milliseconds to add to our clock to get theirs.
    offset: AtomicI64,
    /// When that was learned, in milliseconds by our clock; zero when it was not.
    learned: AtomicI64,
}

/// A call, signed and ready to go.
#[derive(Clone, Debug, Default)]
pub struct Call {
    /// True for POST (with an empty body), else GET.
    pub post: bool,
    /// True for PUT (with an empty body), whatever `post` says.
    pub put: bool,
    /// Path and query, as signed.
    pub path: String,
    /// Headers, the signing ones among them.
    pub headers: Vec<(&'static str, String)>,
    /// What the exchange counts it as.
    pub cost: u32,
    /// Who pays instead of the host's bucket, where the exchange counts by account.
    pub purse: Option<Arc<Limiter>>,
}

/// An answer, whatever its status.
#[derive(Clone, Debug)]
pub struct Answer {
    /// When it came.
    pub at: Timestamp,
    /// HTTP status.
    pub status: u16,
    /// When KuCoin's count of our calls begins anew, where it said so.
    pub reset: Option<Duration>,
    /// Its body.
    pub text: String,
    /// The cursor of the next older page, where it comes in a header (Coinbase Exchange's `CB-AFTER`).
    pub older: Option<String>,
}

impl Rest {
    /// Builds the client of `base` (scheme and host, perhaps with a path in front of all others).
    pub fn new(
        base: &str,
        tls: &Arc<rustls::ClientConfig>,
        timeout: Duration,
        wait: Duration,
        limiter: Limiter,
    ) -> Result<Self, Error> {
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(rustls::ClientConfig::clone(tls))
            .user_agent(concat!("fillguard/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(timeout)
            .timeout(timeout.saturating_mul(3))
            // A redirect would carry signed headers to another place.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| Error::Connect(format_compact!("{}", error.without_url())))?;
        let base = base.trim_end_matches('/').to_owned();
        Ok(Rest { client, base, limiter, wait, offset: AtomicI64::new(0), learned: AtomicI64::new(0) })
    }

    /// Returns host, port and path of the base, as a Coinbase token names it.
    pub fn host(&self) -> &str {
        self.base.split_once("://").map_or(self.base.as_str(), |(_, host)| host)
    }

    /// Returns the bucket all calls are paid from.
    pub fn limiter(&self) -> &Limiter {
        &self.limiter
    }

    /// Returns milliseconds by the exchange's clock.
    pub fn millis(&self) -> i64 {
        clock::now().millis().saturating_add(self.offset.load(Ordering::Relaxed))
    }

    /// Says whether the exchange's clock was learned within the last minute: a thousand accounts that connect together
    /// need not ask a thousand times.
    pub fn knows_time(&self) -> bool {
        let learned = self.learned.load(Ordering::Relaxed);
        learned != 0 && (clock::now().millis() - learned).abs() < 60_000
    }

    /// Returns milliseconds by which the exchange's clock is ahead of ours, as last learned.
    pub fn offset(&self) -> i64 {
        self.offset.load(Ordering::Relaxed)
    }

    /// Learns the exchange's clock from a public call; `read` finds the milliseconds in the answer.
    pub async fn learn_time(&self, path: &str, read: fn(&str) -> Option<i64>) -> Result<(), Error> {
        // The wait for our turn is no part of the way there.
        self.limiter.ready(1).await;
        let before = clock::now();
        let answer = self.once(&Call { path: path.to_owned(), ..Call::default() }).await?;
        let theirs = read(&answer.text).filter(|_| answer.status == 200).ok_or(Error::Http(answer.status))?;
        // Half the way there and back is the best guess of when they looked at their clock.
        let middle = before.millis() + (answer.at.millis() - before.millis()) / 2;
        self.offset.store(theirs.saturating_sub(middle), Ordering::Relaxed);
        self.learned.store(clock::now().millis(), Ordering::Relaxed);
        Ok(())
    }

    /// Makes a call; `sign` builds it anew for every attempt because what is signed grows old. Tries three times when
    /// the host cannot be reached, is busy, or asks us to wait.
    pub async fn ask(&self, sign: impl Fn() -> Result<Call, Error>) -> Result<Answer, Error> {
        let mut wait = self.wait;
        for _ in 0..2 {
            match self.once(&sign()?).await {
                Ok(answer) if answer.status < 500 => return Ok(answer),
                Ok(_) | Err(Error::Connect(_)) => tokio::time::sleep(wait.mul_f64(0.5 + rand::random::<f64>())).await,
                // The limiter is paused and the next attempt waits there.
                Err(Error::Limited(_)) => {}
                Err(error) => return Err(error),
            }
            wait *= 4;
        }
        self.once(&sign()?).await
    }

    async fn once(&self, call: &Call) -> Result<Answer, Error> {
        match &call.purse {
            Some(purse) => {
                purse.ready(call.cost).await;
                // A ban of our address holds for everybody.
                self.limiter.ready(0).await;
            }
            // Learning the time comes before a connection, and so before any subscription: it does not stand back.
            None if call.cost <= 1 => self.limiter.ready(call.cost).await,
            None => self.limiter.spare(call.cost).await,
        }
        let url = format!("{}{}", self.base, call.path);
        let mut request = match (call.put, call.post) {
            (true, _) => self.client.put(url).body(""),
            (false, true) => self.client.post(url).body(""),
            (false, false) => self.client.get(url),
        };
        for (name, value) in &call.headers {
            request = request.header(*name, value);
        }
        let failed = |error: reqwest::Error| Error::Connect(words(error));
        let mut response = request.send().await.map_err(failed)?;
        let status = response.status().as_u16();
        let reset = response.headers().get("gw-ratelimit-reset").and_then(|value| value.to_str().ok()?.parse().ok());
        let reset = reset.map(Duration::from_millis);
        if matches!(status, 418 | 429) {
            let asked = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
            let wait = asked.map(Duration::from_secs).or(reset);
            let wait = wait.unwrap_or(Duration::from_secs(if status == 418 { 120 } else { 10 }));
            call.purse.as_deref().unwrap_or(&self.limiter).pause(wait);
            return Err(Error::Limited(wait));
        }
        let older = cursor(response.headers());
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if bytes.len() + chunk.len() > MAX_ANSWER {
                return Err(Error::Oversize);
            }
            bytes.extend_from_slice(&chunk);
        }
        let text = String::from_utf8(bytes).map_err(|_| Error::Protocol("an answer that is not UTF-8"))?;
        Ok(Answer { at: clock::now(), status, reset, text, older })
    }
}

impl Answer {
    /// Makes a page of it, under the name of its call.
    pub fn page(self, call: impl Into<CompactString>) -> Result<(Timestamp, Body), Error> {
        let frame = Body::json(self.text).map_err(|_| Error::Protocol("an answer that is not JSON"))?;
        Ok((self.at, Body::Page { call: call.into(), frame }))
    }
}

/// Returns the cursor of the next older page. It goes into the next question, so that only what can be one is taken.
fn cursor(headers: &HeaderMap) -> Option<String> {
    let text = headers.get("cb-after")?.to_str().ok()?;
    (!text.is_empty() && text.len() <= 256).then(|| text.to_owned())
}

/// Returns what went wrong without the URL, down to the first cause.
fn words(error: reqwest::Error) -> CompactString {
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    format_compact!("{cause}")
}

#[cfg(test)]
mod tests;
