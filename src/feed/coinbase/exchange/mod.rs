//! One Coinbase Exchange profile's connection: the `user` channel tells each match, so that nothing has to be computed
//! (<https://docs.cdp.coinbase.com/exchange/websocket-feed/overview>).

mod gap;
mod messages;
mod products;
mod progress;
mod session;

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Deserialize;

use self::products::Products;
use self::session::UserFeed;
use crate::arrival::Source;
use crate::domain::{AccountId, Timestamp};
use crate::feed::binance::known::Known;
use crate::feed::error::{Error, Meaning, Refusal};
use crate::feed::limiter::{Limiter, obeyed};
use crate::feed::link::{Gap, Protocol};
use crate::feed::outlet::Outlet;
use crate::feed::rest::{Answer, Call, Rest};
use crate::feed::settings::Remembered;
use crate::feed::sign::ExchangeSigner;
use crate::feed::socket::Socket;
use crate::feed::venues::Venues;

/// A Coinbase Exchange key and the profile it is bound to.
pub(crate) struct Profile {
    venues: Arc<Venues>,
    id: AccountId,
    signer: ExchangeSigner,
    known_until: Option<Timestamp>,
    known: Known,
    products: Products,
}

/// What runs beside the connection.
pub(crate) enum Job {
    /// Asks for the fills of these orders.
    Orders(BTreeSet<String>),
    /// Asks for the fills of these pairs since then.
    Pairs(BTreeSet<String>, Timestamp),
    /// Asks for what was missed.
    Fill(Gap),
}

impl Profile {
    /// Takes a key, and what is remembered of its profile from before.
    pub(crate) fn new(
        venues: Arc<Venues>,
        id: AccountId,
        signer: ExchangeSigner,
        known_until: Option<Timestamp>,
        remembered: Option<&Remembered>,
    ) -> Self {
        let known = Known::default();
        if let Some(Remembered { pairs, balances, .. }) = remembered {
            for pair in pairs {
                known.touched(&format!("{}-{}", pair.base().as_str(), pair.quote().as_str()));
            }
            if !balances.is_empty() {
                known.settle(balances.iter().map(|(asset, total)| (asset.as_str().to_owned(), *total)).collect(), 0);
            }
        }
        Profile { venues, id, signer, known_until, known, products: Products::default() }
    }

    fn source(&self) -> Source {
        Source::Account(self.id.clone())
    }

    fn rest(&self) -> &Rest {
        &self.venues.coinbase_exchange
    }

    /// Makes a signed call; `path` is path and query.
    async fn ask(&self, path: &str) -> Result<Answer, Error> {
        let sign = || {
            let headers = self.signer.headers(self.rest().millis(), "GET", path);
            Ok(Call { path: path.to_owned(), headers, cost: 1, ..Call::default() })
        };
        match accepted(self.rest().ask(sign).await?) {
            // Our clock may have jumped since it was compared.
            Err(Error::Refused(refusal)) if refusal.meaning == Meaning::Clock => {
                learn_time(self.rest()).await?;
                accepted(self.rest().ask(sign).await?)
            }
            answer => answer,
        }
    }
}

impl Protocol for Profile {
    type Job = Job;
    type Session = UserFeed;

    fn sources(&self) -> Vec<Source> {
        vec![self.source()]
    }

    fn limiter(&self) -> &Limiter {
        &self.venues.unlimited
    }

    async fn probe(self: Arc<Self>, _outlet: Outlet) -> Result<(), Error> {
        self.ask("/accounts").await.map(drop)
    }

    async fn connect(self: Arc<Self>) -> Result<(Socket, UserFeed), Error> {
        let venues = &self.venues;
        // What is signed is refused when it is 30 s off.
        if !self.rest().knows_time()
            && let Err(error) = learn_time(self.rest()).await
        {
            tracing::debug!(%error, "coinbase exchange: its clock could not be read");
        }
        // Before the socket: the first subscription is due within 5 s of connecting.
        self.products.read(self.rest()).await?;
        venues.coinbase_connects.ready(1).await;
        let socket = Socket::connect(&venues.settings.coinbase.exchange_ws, &venues.tls, venues.patience()).await;
        let socket = obeyed(socket, &[&venues.coinbase_connects])?;
        let session = UserFeed::new(Arc::clone(&self), venues.settings.timing);
        Ok((socket, session))
    }

    async fn run(self: Arc<Self>, job: Job, outlet: Outlet) -> Result<(), Error> {
        match job {
            Job::Orders(orders) => self.fills_of_orders(&orders, &outlet).await,
            Job::Pairs(pairs, since) => self.fills_of_pairs(&pairs, since, &outlet).await,
            Job::Fill(gap) => self.fill_gap(gap, &outlet).await,
        }
    }

    fn fill(&self, _source: &Source, gap: Gap) -> Option<Job> {
        Some(Job::Fill(gap))
    }

    fn known_until(&self, _source: &Source) -> Option<Timestamp> {
        self.known_until
    }
}

/// Learns the exchange's clock: `{"iso":"2026-01-01T00:00:00.500Z","epoch":1767225600.5}`.
async fn learn_time(rest: &Rest) -> Result<(), Error> {
    #[derive(Deserialize)]
    struct Time {
        iso: String,
    }
    let read = |text: &str| {
        let time: Time = serde_json::from_str(text).ok()?;
        Timestamp::from_rfc3339(&time.iso).map(Timestamp::millis)
    };
    rest.learn_time("/time", read).await
}

/// Returns the answer if it is one, else what `{"message":"Invalid API Key"}` means.
fn accepted(answer: Answer) -> Result<Answer, Error> {
    #[derive(Default, Deserialize)]
    struct Fault {
        #[serde(default)]
        message: String,
    }
    if answer.status == 200 {
        return Ok(answer);
    }
    let fault: Fault = serde_json::from_str(&answer.text).unwrap_or_default();
    Err(Error::Refused(Refusal::coinbase_exchange(answer.status, &fault.message)))
}
