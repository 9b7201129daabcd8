//! Binance's market: trades and 24 h volumes of some pairs on one combined stream, candles to begin with
//! (<https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams>).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use serde::Deserialize;

use super::accepted;
use crate::arrival::Source;
use crate::domain::{Span, Symbol, Timestamp, Venue};
use crate::feed::error::Error;
use crate::feed::limiter::{Limiter, obeyed};
use crate::feed::link::{Gap, Protocol, Session, Step};
use crate::feed::outlet::Outlet;
use crate::feed::rest::Call;
use crate::feed::settings::Timing;
use crate::feed::socket::{Frame, Received, Socket};
use crate::feed::topics::{Change, Topics};
use crate::feed::venues::Venues;
use crate::runtime::clock;

/// Candles of one page.
const PAGE: i64 = 1_000;
/// Pairs in one message: short enough for the 4 KiB a message may have.
const BATCH: usize = 50;

/// A part of Binance's market.
pub(crate) struct Market {
    pub(crate) venues: Arc<Venues>,
    pub(crate) outlet: Outlet,
}

impl Protocol for Market {
    type Job = Symbol;
    type Session = Streams;

    fn sources(&self) -> Vec<Source> {
        vec![Source::Market(Venue::Binance)]
    }

    fn limiter(&self) -> &Limiter {
        &self.venues.unlimited
    }

    async fn connect(self: Arc<Self>) -> Result<(Socket, Streams), Error> {
        let venues = &self.venues;
        venues.pairs.prepare(venues, &self.outlet).await;
        venues.binance_connects.ready(1).await;
        let url = format!("{}/stream", venues.settings.binance.stream.trim_end_matches('/'));
        let socket = Socket::connect(&url, &venues.tls, venues.patience()).await;
        let socket = obeyed(socket, &[&venues.binance_connects, venues.binance.limiter()])?;
        Ok((socket, Streams::new(Arc::clone(venues))))
    }

    async fn run(self: Arc<Self>, symbol: Symbol, outlet: Outlet) -> Result<(), Error> {
        seed(&self.venues, &symbol, &outlet).await
    }

    fn fill(&self, _source: &Source, _gap: Gap) -> Option<Symbol> {
        None
    }

    fn known_until(&self, _source: &Source) -> Option<Timestamp> {
        None
    }
}

/// The streams of one connection.
pub(crate) struct Streams {
    venues: Arc<Venues>,
    timing: Timing,
    topics: Topics,
    asked: BTreeMap<u64, Instant>,
    questions: u64,
    up: bool,
}

#[derive(Deserialize)]
struct Reply {
    id: Option<u64>,
    stream: Option<String>,
    error: Option<serde::de::IgnoredAny>,
    event: Option<serde::de::IgnoredAny>,
}

impl Streams {
    fn new(venues: Arc<Venues>) -> Self {
        let timing = venues.settings.timing;
        Streams {
            venues,
            timing,
            topics: Topics::new(timing.spacing, BATCH),
            asked: BTreeMap::new(),
            questions: 0,
            up: false,
        }
    }
}

impl Session for Streams {
    type Job = Symbol;

    fn heard(&mut self, received: Received, steps: &mut Vec<Step<Symbol>>) -> Result<(), Error> {
        let source = Source::Market(Venue::Binance);
        let mut refused = false;
        if let Frame::Text(text) = &received.frame
            && let Ok(reply) = serde_json::from_str::<Reply>(text)
        {
            let stream = reply.stream.as_deref();
            if let Some(id) = reply.id
                && self.asked.remove(&id).is_some()
            {
                refused = reply.error.is_some();
                if !refused && !self.up {
                    self.up = true;
                    steps.push(Step::Up(source.clone()));
                }
            }
            if stream == Some("!serverShutdown") || (stream.is_none() && reply.event.is_some()) {
                steps.push(Step::Renew);
            }
        }
        steps.push(Step::Pass(source, received));
        if refused { Err(Error::Protocol("Binance refused a subscription to its market")) } else { Ok(()) }
    }

    fn due(&self) -> Option<(Instant, u32)> {
        let unanswered = self.asked.values().min().copied();
        self.topics.due().into_iter().chain(unanswered).min().map(|at| (at, 0))
    }

    fn speak(&mut self, now: Instant, steps: &mut Vec<Step<Symbol>>) -> Result<(), Error> {
        if self.asked.values().any(|until| *until <= now) {
            return Err(Error::Silent { after: self.timing.ack, what: "a subscription was not answered" });
        }
        let Some(change) = self.topics.next(now) else { return Ok(()) };
        let method = match &change {
            Change::Add(_) => "SUBSCRIBE",
            Change::Remove(_) => "UNSUBSCRIBE",
        };
        let names = change.symbols().iter().map(|symbol| self.venues.pairs.name(symbol).to_lowercase());
        let params: Vec<String> =
            names.flat_map(|pair| [format!("{pair}@trade"), format!("{pair}@miniTicker")]).collect();
        self.questions += 1;
        self.asked.insert(self.questions, now + self.timing.ack);
        let request = serde_json::json!({"method": method, "params": params, "id": self.questions});
        steps.push(Step::Send(request.to_string()));
        if let Change::Add(symbols) = change {
            steps.extend(
                symbols.into_iter().filter(|symbol| self.venues.seeded.first(Venue::Binance, symbol)).map(Step::Job),
            );
        }
        Ok(())
    }

    fn settled(&self) -> bool {
        self.asked.is_empty() && self.topics.due().is_none()
    }

    fn want(&mut self, pairs: &BTreeSet<Symbol>, now: Instant) {
        self.topics.want(pairs, now);
    }
}

/// Reads a pair's recent candles, oldest first, and its last 24 hours.
async fn seed(venues: &Venues, symbol: &Symbol, outlet: &Outlet) -> Result<(), Error> {
    let pair = venues.pairs.name(symbol);
    let encoded = crate::feed::sign::percent_encode(&pair);
    let get = async |path: String, call: String, cost: u32| {
        let sign = || Ok(Call { path: path.clone(), cost, ..Call::default() });
        let (at, page) = accepted(venues.binance.ask(sign).await?)?.page(call)?;
        outlet.pass(at, Source::MarketRest(Venue::Binance), page).await
    };
    let mut start = (clock::now() - Span::from(venues.settings.timing.seed)).millis() / 60_000 * 60_000;
    let end = clock::now().millis();
    while start < end {
        let path = format!("/api/v3/klines?symbol={encoded}&interval=1m&limit={PAGE}&startTime={start}");
        get(path, format!("klines?symbol={pair}&interval=1m"), 2).await?;
        start += PAGE * 60_000;
    }
    get(format!("/api/v3/ticker/24hr?symbol={encoded}"), format!("ticker/24hr?symbol={pair}"), 2).await
}
