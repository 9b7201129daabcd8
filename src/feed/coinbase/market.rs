//! Coinbase's market: trades and tickers of some pairs, candles to begin with. No key is needed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use super::account::refused;
use super::frames::{Head, Heartbeat};
use crate::arrival::Source;
use crate::domain::{Symbol, Timestamp, Venue};
use crate::feed::error::{Error, Meaning};
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

/// Pairs in one message.
const BATCH: usize = 50;
/// Candles of one answer; Coinbase gives 350 at most.
const PAGE: i64 = 300;

/// A part of Coinbase's market.
pub(crate) struct Market {
    pub(crate) venues: Arc<Venues>,
}

impl Protocol for Market {
    type Job = Symbol;
    type Session = Channels;

    fn sources(&self) -> Vec<Source> {
        vec![Source::Market(Venue::Coinbase)]
    }

    fn limiter(&self) -> &Limiter {
        &self.venues.unlimited
    }

    async fn connect(self: Arc<Self>) -> Result<(Socket, Channels), Error> {
        let venues = &self.venues;
        venues.coinbase_connects.ready(1).await;
        let socket = Socket::connect(&venues.settings.coinbase.ws_market, &venues.tls, venues.patience()).await;
        let socket = obeyed(socket, &[&venues.coinbase_connects])?;
        let timing = venues.settings.timing;
        let (heartbeat, topics) = (Heartbeat::new(&timing), Topics::new(timing.spacing, BATCH));
        let confirm_until = Some(clock::steady() + timing.ack);
        let channels = Channels {
            venues: Arc::clone(venues),
            timing,
            heartbeat,
            topics,
            said: false,
            confirm_until,
            open: BTreeSet::new(),
            careful: false,
            forgive: 0,
        };
        Ok((socket, channels))
    }

    async fn run(self: Arc<Self>, symbol: Symbol, outlet: Outlet) -> Result<(), Error> {
        let seeded = read_past(&self.venues, &symbol, &outlet).await;
        self.venues.seeded.ended(Venue::Coinbase, &symbol, seeded)
    }

    fn fill(&self, _source: &Source, _gap: Gap) -> Option<Symbol> {
        None
    }

    fn known_until(&self, _source: &Source) -> Option<Timestamp> {
        None
    }
}

/// Reads a pair's last trades and its candles, oldest first.
async fn read_past(venues: &Venues, symbol: &Symbol, outlet: &Outlet) -> Result<(), Error> {
    let pair = name(symbol);
    let get = async |query: String| {
        let query = format!("market/products/{pair}/{query}");
        let sign = || Ok(Call { path: format!("/api/v3/brokerage/{query}"), cost: 1, ..Call::default() });
        let answer = venues.coinbase.ask(sign).await?;
        if answer.status != 200 {
            return Err(refused(answer.status));
        }
        let (at, page) = answer.page(query.as_str())?;
        outlet.pass(at, Source::MarketRest(Venue::Coinbase), page).await
    };
    // Without them the bars still tell most of it.
    let trades = get("ticker?limit=100".to_owned()).await;
    if trades == Err(Error::Finished) {
        return trades;
    }
    let now = clock::now();
    let (mut start, end) = (seed::begin(&venues.settings.timing, now) / 1_000, now.millis() / 1_000 + 1);
    // Minutes without a trade have no candle: the day before tells a quiet pair from a new one.
    let before = start.div_euclid(3_600) * 3_600;
    get(format!("candles?start={}&end={before}&granularity=ONE_HOUR", before - 86_400)).await?;
    while start < end {
        let stop = end.min(start + PAGE * 60);
        get(format!("candles?start={start}&end={stop}&granularity=ONE_MINUTE")).await?;
        start = stop;
    }
    trades
}

/// The channels of one connection.
pub(crate) struct Channels {
    venues: Arc<Venues>,
    timing: Timing,
    heartbeat: Heartbeat,
    topics: Topics,
    said: bool,
    confirm_until: Option<Instant>,
    /// Pairs whose subscription was neither confirmed nor refused yet.
    open: BTreeSet<Symbol>,
    /// Whether pairs are said one by one, because a refusal did not name the pair that it was about.
    careful: bool,
    /// Each subscription is two messages, and refused twice.
    forgive: u32,
}

fn name(symbol: &Symbol) -> String {
    format!("{}-{}", symbol.base().as_str(), symbol.quote().as_str())
}

impl Channels {
    /// Takes an error message. One that is about a pair costs that pair alone; the rest of its message is said again.
    fn refusal(&mut self, head: &Head<'_>) -> Option<Error> {
        let error = head.refused()?;
        // What is about a key is not about a pair.
        if !matches!(&error, Error::Refused(refusal) if refusal.meaning == Meaning::Other) {
            return Some(error);
        }
        let now = clock::steady();
        let mut named: Vec<Symbol> = self.open.iter().filter(|symbol| head.names(&name(symbol))).cloned().collect();
        if named.is_empty() && self.open.len() == 1 && (self.careful || self.forgive == 0) {
            named.extend(self.open.first().cloned());
        }
        if !named.is_empty() {
            for symbol in &named {
                self.open.remove(symbol);
                self.topics.forget(symbol);
                self.venues.unknown.refused(Venue::Coinbase, symbol, now);
            }
            let rest: Vec<Symbol> = std::mem::take(&mut self.open).into_iter().collect();
            self.topics.again(rest, self.careful, now);
        } else if self.forgive > 0 {
            self.forgive -= 1;
            return None;
        } else if self.open.is_empty() {
            return Some(error);
        } else {
            self.careful = true;
            let all: Vec<Symbol> = std::mem::take(&mut self.open).into_iter().collect();
            self.topics.again(all, true, now);
        }
        self.forgive += 1;
        if self.confirm_until.is_some() {
            self.confirm_until = Some(now + self.timing.ack);
        }
        None
    }

    /// Returns when the next change may be said; a careful one waits for the answer to the one before.
    fn topics_due(&self) -> Option<Instant> {
        self.topics.due().filter(|_| !self.careful || self.open.is_empty())
    }
}

impl Session for Channels {
    type Job = Symbol;

    fn heard(&mut self, received: Received, steps: &mut Vec<Step<Symbol>>) -> Result<(), Error> {
        let (mut came_up, mut refused) = (false, None);
        if let Frame::Text(text) = &received.frame
            && let Ok(head) = serde_json::from_str::<Head<'_>>(text)
        {
            self.heartbeat.heard(&head);
            refused = self.refusal(&head);
            if let Some(confirmed) = head.confirmed("market_trades") {
                came_up = self.confirm_until.is_some();
                self.open.retain(|symbol| !confirmed.contains(&name(symbol)));
            }
        }
        steps.push(Step::Pass(Source::Market(Venue::Coinbase), received));
        if came_up {
            self.confirm_until = None;
            steps.push(Step::Up(Source::Market(Venue::Coinbase)));
        }
        refused.map_or(Ok(()), Err)
    }

    fn due(&self) -> Option<(Instant, u32)> {
        if !self.said {
            return Some((clock::steady(), 0));
        }
        let times = [self.confirm_until, self.topics_due(), Some(self.heartbeat.until())];
        times.into_iter().flatten().min().map(|at| (at, 0))
    }

    fn speak(&mut self, now: Instant, steps: &mut Vec<Step<Symbol>>) -> Result<(), Error> {
        if !self.said {
            self.said = true;
            steps.push(Step::Send(r#"{"type":"subscribe","channel":"heartbeats"}"#.to_owned()));
            return Ok(());
        }
        if self.confirm_until.is_some_and(|until| until <= now) {
            return Err(Error::Silent { after: self.timing.ack, what: "the subscription was not confirmed" });
        }
        self.heartbeat.check(now)?;
        if self.topics_due().is_none() {
            return Ok(());
        }
        let Some(change) = self.topics.next(now) else { return Ok(()) };
        let pairs: Vec<String> = change.symbols().iter().map(name).collect();
        let kind = if matches!(change, Change::Remove(_)) { "unsubscribe" } else { "subscribe" };
        for channel in ["market_trades", "ticker"] {
            let request = serde_json::json!({"type": kind, "product_ids": pairs, "channel": channel});
            steps.push(Step::Send(request.to_string()));
        }
        if let Change::Add(symbols) = change {
            self.open.extend(symbols.iter().cloned());
            let first = |symbol: &Symbol| self.venues.seeded.first(Venue::Coinbase, symbol);
            steps.extend(symbols.into_iter().filter(first).map(Step::Job));
        }
        Ok(())
    }

    fn settled(&self) -> bool {
        self.confirm_until.is_none() && self.topics.due().is_none()
    }

    fn want(&mut self, pairs: &BTreeSet<Symbol>, now: Instant) {
        self.topics.want(&self.venues.unknown.without(Venue::Coinbase, pairs, now), now);
    }
}
