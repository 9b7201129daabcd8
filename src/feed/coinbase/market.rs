//! Coinbase's market: trades and tickers of some pairs, candles to begin with. No key is needed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use super::account::refused;
use super::frames::{Head, Heartbeat};
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
        Ok((socket, Channels { venues: Arc::clone(venues), timing, heartbeat, topics, said: false, confirm_until }))
    }

    async fn run(self: Arc<Self>, symbol: Symbol, outlet: Outlet) -> Result<(), Error> {
        let (pair, venues) = (name(&symbol), &self.venues);
        let end = clock::now();
        let mut start = (end - Span::from(venues.settings.timing.seed)).millis() / 60_000 * 60;
        let end = end.millis() / 1_000 + 1;
        while start < end {
            let stop = end.min(start + PAGE * 60);
            let query = format!("market/products/{pair}/candles?start={start}&end={stop}&granularity=ONE_MINUTE");
            let sign = || Ok(Call { path: format!("/api/v3/brokerage/{query}"), cost: 1, ..Call::default() });
            let answer = venues.coinbase.ask(sign).await?;
            if answer.status != 200 {
                return Err(refused(answer.status));
            }
            let (at, page) = answer.page(query.as_str())?;
            outlet.pass(at, Source::MarketRest(Venue::Coinbase), page).await?;
            start = stop;
        }
        Ok(())
    }

    fn fill(&self, _source: &Source, _gap: Gap) -> Option<Symbol> {
        None
    }

    fn known_until(&self, _source: &Source) -> Option<Timestamp> {
        None
    }
}

/// The channels of one connection.
pub(crate) struct Channels {
    venues: Arc<Venues>,
    timing: Timing,
    heartbeat: Heartbeat,
    topics: Topics,
    said: bool,
    confirm_until: Option<Instant>,
}

fn name(symbol: &Symbol) -> String {
    format!("{}-{}", symbol.base().as_str(), symbol.quote().as_str())
}

impl Session for Channels {
    type Job = Symbol;

    fn heard(&mut self, received: Received, steps: &mut Vec<Step<Symbol>>) -> Result<(), Error> {
        let (mut came_up, mut refused) = (false, None);
        if let Frame::Text(text) = &received.frame
            && let Ok(head) = serde_json::from_str::<Head<'_>>(text)
        {
            self.heartbeat.heard(&head);
            refused = head.refused();
            came_up = self.confirm_until.is_some() && head.confirms("market_trades");
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
        let times = [self.confirm_until, self.topics.due(), Some(self.heartbeat.until())];
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
        let Some(change) = self.topics.next(now) else { return Ok(()) };
        let pairs: Vec<String> = change.symbols().iter().map(name).collect();
        let kind = if matches!(change, Change::Remove(_)) { "unsubscribe" } else { "subscribe" };
        for channel in ["market_trades", "ticker"] {
            let request = serde_json::json!({"type": kind, "product_ids": pairs, "channel": channel});
            steps.push(Step::Send(request.to_string()));
        }
        if let Change::Add(symbols) = change {
            let first = |symbol: &Symbol| self.venues.seeded.first(Venue::Coinbase, symbol);
            steps.extend(symbols.into_iter().filter(first).map(Step::Job));
        }
        Ok(())
    }

    fn settled(&self) -> bool {
        self.confirm_until.is_none() && self.topics.due().is_none()
    }

    fn want(&mut self, pairs: &BTreeSet<Symbol>, now: Instant) {
        self.topics.want(pairs, now);
    }
}
