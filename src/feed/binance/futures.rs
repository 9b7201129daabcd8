//! A futures wallet: a stream named by a listen key, which is kept alive, and had anew when it dies
//! (<https://developers.binance.com/docs/derivatives/usds-margined-futures/user-data-streams>).

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use serde::Deserialize;

use super::account_page::named;
use super::gap::{self, Account};
use super::{accepted, keys, learn_time_at};
use crate::arrival::Source;
use crate::domain::Timestamp;
use crate::feed::error::{Advice, Error};
use crate::feed::limiter::{Limiter, obeyed};
use crate::feed::link::{Gap, Protocol, Session, Step};
use crate::feed::outlet::Outlet;
use crate::feed::rest::{Call, Rest};
use crate::feed::settings::Timing;
use crate::feed::sign::percent_encode;
use crate::feed::socket::{Frame, Received, Socket};
use crate::feed::venues::Venues;
use crate::runtime::clock;

/// One account's futures wallet.
pub(crate) struct Futures {
    pub(crate) venues: Arc<Venues>,
    pub(crate) account: Arc<Account>,
}

/// What runs beside the connection.
pub(crate) enum Job {
    /// Keep the listen key alive, and leave word of how that went.
    KeepAlive(Arc<Word>),
    Fill(Gap),
}

/// How the last keeping alive went wrong, if it did.
#[derive(Debug, Default)]
pub(crate) struct Word(Mutex<Option<Error>>);

#[derive(Deserialize)]
struct ListenKey {
    #[serde(rename = "listenKey")]
    key: String,
}

/// Learns the clock of the futures host.
pub(super) async fn learn_time(rest: &Rest) -> Result<(), Error> {
    learn_time_at(rest, "/fapi/v1/time").await
}

impl Futures {
    /// Returns the account's listen key: the one there is, its life extended, or a new one. It is the account's and not
    /// ours: other programs may use it too, so it is never deleted.
    async fn listen_key(&self) -> Result<String, Error> {
        let sign = || {
            let headers = self.account.headers();
            Ok(Call { post: true, path: "/fapi/v1/listenKey".to_owned(), headers, cost: 1, ..Call::default() })
        };
        let answer = accepted(self.venues.binance_futures.ask(sign).await?);
        let answer = answer.map_err(|error| self.account.worded(error))?;
        Ok(gap::read::<ListenKey>(&answer.text)?.key)
    }

    async fn keep_alive(&self) -> Result<(), Error> {
        let sign = || {
            let headers = self.account.headers();
            Ok(Call { put: true, path: "/fapi/v1/listenKey".to_owned(), headers, cost: 1, ..Call::default() })
        };
        let answer = accepted(self.venues.binance_futures.ask(sign).await?);
        answer.map(drop).map_err(|error| self.account.worded(error))
    }
}

impl Protocol for Futures {
    type Job = Job;
    type Session = Stream;

    fn sources(&self) -> Vec<Source> {
        vec![self.account.source()]
    }

    fn limiter(&self) -> &Limiter {
        &self.venues.unlimited
    }

    async fn connect(self: Arc<Self>) -> Result<(Socket, Stream), Error> {
        let venues = &self.venues;
        venues.binance_futures_connects.turn(1).await;
        // Best effort: a wrong clock is told by the first call that is signed, and then learned.
        if !venues.binance_futures.knows_time()
            && let Err(error) = learn_time(&venues.binance_futures).await
        {
            tracing::debug!(%error, "binance futures: its clock could not be read");
        }
        let key = self.listen_key().await?;
        let base = venues.settings.binance.futures_stream.trim_end_matches('/');
        let url = format!("{base}/private/ws?listenKey={}", percent_encode(&key));
        let socket = Socket::connect(&url, &venues.tls, venues.patience()).await;
        let socket = obeyed(socket, &[&venues.binance_futures_connects, venues.binance_futures.limiter()])?;
        Ok((socket, Stream::new(Arc::clone(&self.account), venues.settings.timing)))
    }

    async fn run(self: Arc<Self>, job: Job, outlet: Outlet) -> Result<(), Error> {
        match job {
            Job::KeepAlive(word) => {
                word.leave(self.keep_alive().await.err());
                Ok(())
            }
            Job::Fill(gap) => gap::fill(&self.venues, &self.account, gap, &outlet).await,
        }
    }

    fn inspects(&self, _source: &Source) -> bool {
        self.account.asks_about_key
    }

    async fn inspect(self: Arc<Self>, _source: Source, outlet: Outlet) -> Result<(), Error> {
        keys::inspect(&self.venues, &self.account, &outlet).await
    }

    fn fill(&self, _source: &Source, gap: Gap) -> Option<Job> {
        Some(Job::Fill(gap))
    }

    fn known_until(&self, _source: &Source) -> Option<Timestamp> {
        self.account.known_until
    }
}

impl Word {
    fn leave(&self, error: Option<Error>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = error;
    }

    fn take(&self) -> Option<Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn is_left(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }
}

/// The stream of one connection. There is nothing to subscribe: the address names it.
pub(crate) struct Stream {
    account: Arc<Account>,
    timing: Timing,
    up: bool,
    keep_alive_at: Instant,
    word: Arc<Word>,
}

/// The little that is read of an event: its name, its pair, and what positions it tells of.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    e: Cow<'a, str>,
    #[serde(borrow)]
    o: Option<Order<'a>>,
    #[serde(borrow)]
    a: Option<Update<'a>>,
    #[serde(borrow, default)]
    p: Vec<Position<'a>>,
}

#[derive(Deserialize)]
struct Order<'a> {
    #[serde(borrow)]
    s: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Update<'a> {
    #[serde(rename = "P", borrow, default)]
    positions: Vec<Position<'a>>,
}

#[derive(Deserialize)]
struct Position<'a> {
    #[serde(borrow)]
    s: Cow<'a, str>,
    #[serde(borrow, default)]
    pa: Cow<'a, str>,
    #[serde(borrow, default)]
    ps: Cow<'a, str>,
}

impl Stream {
    fn new(account: Arc<Account>, timing: Timing) -> Self {
        let keep_alive_at = clock::steady() + timing.keep_alive;
        Stream { account, timing, up: false, keep_alive_at, word: Arc::default() }
    }

    fn remember(&self, head: &Head<'_>) {
        let known = &self.account.known;
        match head.e.as_ref() {
            "ORDER_TRADE_UPDATE" => head.o.iter().for_each(|order| known.touched(&order.s)),
            "ACCOUNT_UPDATE" => {
                for position in head.a.iter().flat_map(|update| &update.positions) {
                    known.touched(&position.s);
                    known.moved(&named(&position.s, &position.ps), &position.pa, "0", None);
                }
            }
            "MARGIN_CALL" => head.p.iter().for_each(|position| known.touched(&position.s)),
            _ => {}
        }
    }
}

impl Session for Stream {
    type Job = Job;

    fn heard(&mut self, received: Received, steps: &mut Vec<Step<Job>>) -> Result<(), Error> {
        let mut ended = Ok(());
        if let Frame::Text(text) = &received.frame {
            match serde_json::from_str::<Head<'_>>(text) {
                // The exchange says nothing more on this connection; whatever follows is found over REST.
                Ok(head) if head.e == "listenKeyExpired" => {
                    ended = Err(Error::Protocol("the listen key has expired; a new one is fetched"));
                }
                Ok(head) if head.e == "serverShutdown" => steps.push(Step::Renew),
                Ok(head) => self.remember(&head),
                Err(_) => {}
            }
        }
        steps.push(Step::Pass(self.account.source(), received));
        ended
    }

    fn due(&self) -> Option<(Instant, u32)> {
        let now = !self.up || self.word.is_left();
        Some((if now { clock::steady() } else { self.keep_alive_at }, 0))
    }

    fn speak(&mut self, now: Instant, steps: &mut Vec<Step<Job>>) -> Result<(), Error> {
        if !self.up {
            self.up = true;
            steps.push(Step::Up(self.account.source()));
        }
        if let Some(error) = self.word.take() {
            // `-1125`: somebody deleted it, or it died while the host could not be reached.
            match error.advice() {
                Advice::Retry => {}
                Advice::Reconnect if matches!(error, Error::Connect(_)) => {}
                Advice::Reconnect | Advice::GiveUp => return Err(error),
            }
            tracing::warn!(%error, feed = %self.account.source(), "the listen key could not be kept alive; tried again");
            self.keep_alive_at = now + self.timing.keep_alive / 10;
        } else if self.keep_alive_at <= now {
            self.keep_alive_at = now + self.timing.keep_alive;
            steps.push(Step::Job(Job::KeepAlive(Arc::clone(&self.word))));
        }
        Ok(())
    }

    fn suspect(&mut self, _source: &Source, _error: Error) -> Result<(), Error> {
        // A key that may not ask for trades may still listen. Keeping the stream alive tells whether it may do that.
        self.keep_alive_at = clock::steady();
        Ok(())
    }

    fn settled(&self) -> bool {
        self.up
    }
}
