//! Binance's markets: trades and 24 h volumes of some pairs on one combined stream, candles to begin with. Spot
//! (<https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams>) and USDⓈ-M futures
//! (<https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams>) differ in hosts and
//! names only.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use serde::Deserialize;

use super::accepted;
use super::gap::wire;
use crate::arrival::Source;
use crate::domain::{Symbol, Timestamp, Venue};
use crate::feed::error::Error;
use crate::feed::limiter::{Limiter, obeyed};
use crate::feed::link::{Gap, Protocol, Session, Step};
use crate::feed::outlet::Outlet;
use crate::feed::rest::Call;
use crate::feed::seed;
use crate::feed::settings::Timing;
use crate::feed::socket::{Frame, Received, Socket};
use crate::feed::topics::{Change, Topics};
use crate::feed::venues::Venues;
use crate::runtime::clock;

/// Candles of one page.
const PAGE: i64 = 1_000;
/// Pairs in one message: short enough for the 4 KiB a message may have.
const BATCH: usize = 50;

/// One of Binance's markets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Spot,
    Futures,
}

/// A part of one of Binance's markets.
pub(crate) struct Market {
    pub(crate) place: Place,
    pub(crate) venues: Arc<Venues>,
    pub(crate) outlet: Outlet,
}

impl Protocol for Market {
    type Job = Symbol;
    type Session = Streams;

    fn sources(&self) -> Vec<Source> {
        vec![self.place.source()]
    }

    fn limiter(&self) -> &Limiter {
        &self.venues.unlimited
    }

    async fn connect(self: Arc<Self>) -> Result<(Socket, Streams), Error> {
        let venues = &self.venues;
        let hosts = &venues.settings.binance;
        let url = match self.place {
            Place::Spot => {
                venues.pairs.prepare(venues, &self.outlet).await;
                venues.binance_connects.ready(1).await;
                format!("{}/stream", hosts.stream.trim_end_matches('/'))
            }
            Place::Futures => {
                venues.binance_futures_connects.ready(1).await;
                format!("{}/market/stream", hosts.futures_stream.trim_end_matches('/'))
            }
        };
        let (connects, rest) = match self.place {
            Place::Spot => (&venues.binance_connects, &venues.binance),
            Place::Futures => (&venues.binance_futures_connects, &venues.binance_futures),
        };
        let socket = Socket::connect(&url, &venues.tls, venues.patience()).await;
        let socket = obeyed(socket, &[connects, rest.limiter()])?;
        Ok((socket, Streams::new(self.place, Arc::clone(venues))))
    }

    async fn run(self: Arc<Self>, symbol: Symbol, outlet: Outlet) -> Result<(), Error> {
        let seeded = read_past(self.place, &self.venues, &symbol, &outlet).await;
        // Its streams take any name and stay silent; only REST tells that there is no such pair.
        if matches!(&seeded, Err(Error::Refused(refusal)) if refusal.code == "-1121") {
            self.venues.unknown.refused(Venue::Binance, &symbol, clock::steady());
            return Ok(());
        }
        self.venues.seeded.ended(Venue::Binance, &symbol, seeded)
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
    place: Place,
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

impl Place {
    fn source(self) -> Source {
        match self {
            Place::Spot => Source::Market(Venue::Binance),
            Place::Futures => Source::FuturesMarket(Venue::Binance),
        }
    }

    fn answers(self) -> Source {
        match self {
            Place::Spot => Source::MarketRest(Venue::Binance),
            Place::Futures => Source::FuturesMarketRest(Venue::Binance),
        }
    }

    fn name(self, venues: &Venues, symbol: &Symbol) -> String {
        match self {
            Place::Spot => venues.pairs.name(symbol),
            Place::Futures => wire(symbol),
        }
    }

    /// Returns the stream of trades; that of single trades is not documented for futures, that of trades of one taker at
    /// one price is.
    fn trades(self) -> &'static str {
        match self {
            Place::Spot => "trade",
            Place::Futures => "aggTrade",
        }
    }
}

impl Streams {
    fn new(place: Place, venues: Arc<Venues>) -> Self {
        let timing = venues.settings.timing;
        Streams {
            place,
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
        let source = self.place.source();
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
        let names = change.symbols().iter().map(|symbol| self.place.name(&self.venues, symbol).to_lowercase());
        let trades = self.place.trades();
        let params: Vec<String> =
            names.flat_map(|pair| [format!("{pair}@{trades}"), format!("{pair}@miniTicker")]).collect();
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
        self.topics.want(&self.venues.unknown.without(Venue::Binance, pairs, now), now);
    }
}

/// Reads a pair's last trades, its recent candles, oldest first, and its last 24 hours.
async fn read_past(place: Place, venues: &Venues, symbol: &Symbol, outlet: &Outlet) -> Result<(), Error> {
    let pair = place.name(venues, symbol);
    let (rest, base, costs) = match place {
        Place::Spot => (&venues.binance, "/api/v3", (4, 2, 2)),
        Place::Futures => (&venues.binance_futures, "/fapi/v1", (20, 5, 1)),
    };
    let encoded = crate::feed::sign::percent_encode(&pair);
    let get = async |path: String, call: String, cost: u32| {
        let sign = || Ok(Call { path: path.clone(), cost, ..Call::default() });
        let (at, page) = accepted(rest.ask(sign).await?)?.page(call)?;
        outlet.pass(at, place.answers(), page).await
    };
    // A pair that is being raised trades its last thousand away within minutes: they are read first.
    let path = format!("{base}/aggTrades?symbol={encoded}&limit={PAGE}");
    // Without them the bars still tell most of it.
    let trades = get(path, format!("aggTrades?symbol={pair}"), costs.0).await;
    if trades == Err(Error::Finished) {
        return trades;
    }
    let now = clock::now();
    let (mut start, end) = (seed::begin(&venues.settings.timing, now), now.millis());
    while start < end {
        let stop = end.min(start + PAGE * 60_000 - 1);
        let span = format!("startTime={start}&endTime={stop}");
        let path = format!("{base}/klines?symbol={encoded}&interval=1m&limit={PAGE}&{span}");
        get(path, format!("klines?symbol={pair}&interval=1m&{span}"), costs.1).await?;
        start += PAGE * 60_000;
    }
    get(format!("{base}/ticker/24hr?symbol={encoded}"), format!("ticker/24hr?symbol={pair}"), costs.2).await?;
    trades
}
