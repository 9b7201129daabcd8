//! Signed calls of one account: paid from its own allowance, and asked again when KuCoin says when.

use std::sync::Arc;
use std::time::Duration;

use super::{accepted, learn_time};
use crate::feed::error::{Error, Meaning, Refusal};
use crate::feed::limiter::Limiter;
use crate::feed::rest::{Answer, Call, Rest};
use crate::feed::sign::KucoinSigner;

/// How often a call is made again that came too soon.
const AGAIN: u32 = 2;

/// What asks KuCoin on an account's behalf.
#[derive(Clone)]
pub(crate) struct Asker {
    rest: Arc<Rest>,
    signer: KucoinSigner,
    /// KuCoin counts signed calls by account, 4,000 in 30 s. Whoever shares the key may use them up, which must not
    /// hold up the other accounts.
    purse: Arc<Limiter>,
}

impl Asker {
    /// Takes a host and what signs for the account.
    pub(crate) fn new(rest: &Arc<Rest>, signer: &KucoinSigner) -> Self {
        let purse = Arc::new(Limiter::new(1_600, Duration::from_secs(30), 400));
        Asker { rest: Arc::clone(rest), signer: signer.clone(), purse }
    }

    /// Returns one that signs with another key of the same account.
    pub(crate) fn rotated(&self, signer: &KucoinSigner) -> Self {
        Asker { signer: signer.clone(), ..self.clone() }
    }

    /// Returns what signs.
    pub(crate) fn signer(&self) -> &KucoinSigner {
        &self.signer
    }

    /// Returns the host.
    pub(crate) fn rest(&self) -> &Arc<Rest> {
        &self.rest
    }

    /// Makes a GET of `path`, its query included.
    pub(crate) async fn get(&self, path: &str, cost: u32) -> Result<Answer, Error> {
        self.ask(false, path, cost).await
    }

    /// Makes a POST of `path` with an empty body.
    pub(crate) async fn post(&self, path: &str, cost: u32) -> Result<Answer, Error> {
        self.ask(true, path, cost).await
    }

    async fn ask(&self, post: bool, path: &str, cost: u32) -> Result<Answer, Error> {
        let sign = || {
            let method = if post { "POST" } else { "GET" };
            let mut headers = self.signer.headers(self.rest.millis(), method, path, "");
            headers.push(("Content-Type", "application/json".to_owned()));
            Ok(Call {
                post,
                path: path.to_owned(),
                headers,
                cost,
                purse: Some(Arc::clone(&self.purse)),
                ..Call::default()
            })
        };
        let (mut learned, mut busy) = (false, 0);
        loop {
            let answer = self.rest.ask(sign).await?;
            let reset = answer.reset;
            let refusal = match accepted(answer) {
                Err(Error::Refused(refusal)) => refusal,
                other => return other,
            };
            match asked_to_wait(&refusal, reset) {
                // Once: a clock that is still off after that is not the clock.
                _ if refusal.meaning == Meaning::Clock && !learned => {
                    learned = true;
                    learn_time(&self.rest).await?;
                }
                Some(wait) if busy < AGAIN => {
                    busy += 1;
                    // 1015 is said to an address, the others to an account.
                    let who = if refusal.code == "1015" { self.rest.limiter() } else { &*self.purse };
                    who.pause(wait);
                }
                Some(_) | None => return Err(Error::Refused(refusal)),
            }
        }
    }
}

/// Returns how long KuCoin wants to be left alone: it says so under HTTP 200 too
/// (<https://www.kucoin.com/docs-new/rate-limit>).
fn asked_to_wait(refusal: &Refusal, reset: Option<Duration>) -> Option<Duration> {
    match refusal.code.as_str() {
        "429000" => Some(reset.unwrap_or(Duration::from_secs(30))),
        "200002" => Some(Duration::from_secs(10)),
        "1015" => Some(Duration::from_secs(30)),
        _ => None,
    }
}
