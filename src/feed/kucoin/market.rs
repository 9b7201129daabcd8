//! KuCoin's market: matches and snapshots of some pairs, candles to begin with.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use super::accepted;
use super::bullet::Bullet;
use super::classic::{Classic, Meant};
use crate::arrival::Source;
use crate::domain::{Symbol, Timestamp, Venue};
use crate::feed::error::Error;
use crate::feed::limiter::Limiter;
use crate::feed::link::{Gap, Protocol, Session, Step};
use crate::feed::outlet::Outlet;
use crate::feed::rest::Call;
use crate::feed::seed;
use crate::feed::socket::{Received, Socket};
use crate::feed::topics::{Change, Topics};
use crate::feed::venues::Venues;
use crate::runtime::clock;

/// Pairs in one message; KuCoin takes 100.
const BATCH: usize = 50;
/// Candles of one answer.
const PAGE: i64 = 1_500;

/// A part of KuCoin's market.
pub(crate) struct Market {
    pub(crate) venues: Arc<Venues>,
}

impl Protocol for Market {
    type Job = Symbol;
    type Session = Topical;

    fn sources(&self) -> Vec<Source> {
        vec![Source::Market(Venue::Kucoin)]
    }

    fn limiter(&self) -> &Limiter {
        &self.venues.unlimited
    }

    async fn connect(self: Arc<Self>) -> Result<(Socket, Topical), Error> {
        let venues = &self.venues;
        let bullet = Bullet::fetch(venues, None).await?;
        venues.kucoin_connects.ready(1).await;
        let socket = bullet.connect(venues).await?;
        let timing = venues.settings.timing;
        let classic = Classic::new(timing, bullet.ping, bullet.connect_id);
        let topics = Topics::new(timing.spacing, BATCH);
        Ok((socket, Topical { venues: Arc::clone(venues), classic, topics, saying: BTreeMap::new(), up: false }))
    }

    async fn run(self: Arc<Self>, symbol: Symbol, outlet: Outlet) -> Result<(), Error> {
        let seeded = read_past(&self.venues, &symbol, &outlet).await;
        self.venues.seeded.ended(Venue::Kucoin, &symbol, seeded)
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
        let sign = || Ok(Call { path: format!("/api/v1/{query}"), cost: 3, ..Call::default() });
        let (at, page) = accepted(venues.kucoin.ask(sign).await?)?.page(query.as_str())?;
        outlet.pass(at, Source::MarketRest(Venue::Kucoin), page).await
    };
    // Without them the bars still tell most of it.
    let trades = get(format!("market/histories?symbol={pair}")).await;
    if trades == Err(Error::Finished) {
        return trades;
    }
    let now = clock::now();
    let (mut start, end) = (seed::begin(&venues.settings.timing, now) / 1_000, now.millis() / 1_000 + 1);
    // Minutes without a trade have no candle: the day before tells a quiet pair from a new one.
    let before = start.div_euclid(3_600) * 3_600;
    get(format!("market/candles?symbol={pair}&type=1hour&startAt={}&endAt={before}", before - 86_400)).await?;
    while start < end {
        let stop = end.min(start + PAGE * 60);
        get(format!("market/candles?symbol={pair}&type=1min&startAt={start}&endAt={stop}")).await?;
        start = stop;
    }
    trades
}

/// The topics of one connection.
pub(crate) struct Topical {
    venues: Arc<Venues>,
    classic: Classic,
    topics: Topics,
    /// The pairs of each subscription under way.
    saying: BTreeMap<u64, Vec<Symbol>>,
    up: bool,
}

fn name(symbol: &Symbol) -> String {
    format!("{}-{}", symbol.base().as_str(), symbol.quote().as_str())
}

impl Session for Topical {
    type Job = Symbol;

    fn heard(&mut self, received: Received, steps: &mut Vec<Step<Symbol>>) -> Result<(), Error> {
        let meant = self.classic.heard(&received);
        steps.push(Step::Pass(Source::Market(Venue::Kucoin), received));
        let meant = meant?;
        match meant {
            // One unknown pair refuses the whole message.
            Meant::Refused(id) => {
                let (symbols, now) = (self.saying.remove(&id).unwrap_or_default(), clock::steady());
                if let Some(unknown) = self.topics.refused(&symbols, now) {
                    self.venues.unknown.refused(Venue::Kucoin, &unknown, now);
                }
            }
            Meant::Ack(id) => drop(self.saying.remove(&id)),
            Meant::Welcome | Meant::Else => {}
        }
        if matches!(meant, Meant::Ack(_)) && self.classic.answered() && !self.up {
            self.up = true;
            steps.push(Step::Up(Source::Market(Venue::Kucoin)));
        }
        Ok(())
    }

    fn due(&self) -> Option<(Instant, u32)> {
        // Nothing may be said before the welcome.
        let topics = if self.classic.welcomed() { self.topics.due() } else { None };
        self.classic.due().into_iter().chain(topics).min().map(|at| (at, 0))
    }

    fn speak(&mut self, now: Instant, steps: &mut Vec<Step<Symbol>>) -> Result<(), Error> {
        steps.extend(self.classic.check(now)?.map(Step::Send));
        if !self.classic.welcomed() {
            return Ok(());
        }
        let Some(change) = self.topics.next(now) else { return Ok(()) };
        let pairs: Vec<String> = change.symbols().iter().map(name).collect();
        let leave = matches!(change, Change::Remove(_));
        for channel in ["/market/match", "/market/snapshot"] {
            let topic = format!("{channel}:{}", pairs.join(","));
            let (id, message) = self.classic.subscribe(&topic, leave, false, now);
            if !leave {
                self.saying.insert(id, change.symbols().to_vec());
            }
            steps.push(Step::Send(message));
        }
        if let Change::Add(symbols) = change {
            steps.extend(
                symbols.into_iter().filter(|symbol| self.venues.seeded.first(Venue::Kucoin, symbol)).map(Step::Job),
            );
        }
        Ok(())
    }

    fn settled(&self) -> bool {
        self.classic.answered() && self.topics.due().is_none()
    }

    fn want(&mut self, pairs: &BTreeSet<Symbol>, now: Instant) {
        self.topics.want(&self.venues.unknown.without(Venue::Kucoin, pairs, now), now);
    }
}
