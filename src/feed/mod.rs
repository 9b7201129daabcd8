//! Sockets and REST in: each frame stamped at receipt and handed over untouched, each loss and gap said.
//!
//! A link (`link.rs`) keeps one subject connected: a Binance connection with up to 1,000 accounts, one KuCoin or
//! Coinbase account, or some pairs of a market. The exchange's protocol on it is a state machine that touches no
//! socket (its `Session`); calls beside it (gap fills, fills behind running totals, candles) run as jobs.

pub mod access;
mod binance;
mod coinbase;
mod error;
mod keeper;
mod key_state;
mod kucoin;
pub(crate) mod limiter;
mod link;
mod market_cap;
mod markets;
mod outlet;
mod relay;
mod rest;
mod roster;
mod rotating;
mod seed;
mod settings;
mod sharing;
pub mod sign;
mod socket;
mod topics;
mod venues;

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};

pub use error::{Advice, Error, Meaning, Refusal};
pub use settings::{
    Account, Binance, Coinbase, Kucoin, Limits, ReadKey, Remembered, Roll, Settings, SubAccounts, Timing, Wallets,
};

pub use market_cap::{CapSource, MarketCap};

use crate::arrival::Incoming;
use crate::domain::{Symbol, Venue};
use crate::runtime::supervisor::{Outcome, Stage, Task};
use link::Protocol;
use markets::Markets;
use outlet::Outlet;
use roster::Roster;
use venues::Venues;

/// Returns the tasks that feed `out`: one for all accounts, one an exchange for its market. The accounts
/// ([`Settings::roll`]) and the wanted `pairs` may change while they run. Fails when the certificates cannot be read or a key is another exchange's.
pub fn tasks(
    mut settings: Settings,
    out: mpsc::Sender<Incoming>,
    pairs: watch::Receiver<BTreeSet<(Venue, Symbol)>>,
) -> Result<Vec<Task>, Error> {
    let access = std::mem::take(&mut settings.access);
    settings.timing = settings.timing.hurried(settings.hurry);
    let (venues, outlet) = (Arc::new(Venues::new(settings)?), Outlet::new(out));
    let roll = venues.settings.roll.clone().unwrap_or_else(|| watch::channel(Arc::new(venues.settings.first_roll())).1);
    let (shared, out) = (Arc::clone(&venues), outlet.clone());
    let mut tasks = access::tasks(access, roll.clone(), &outlet);
    tasks.push(Task::restartable("accounts", Stage::Feeds, move |stop| {
        let roster = Roster::new(Arc::clone(&shared), out.clone(), roll.clone(), stop);
        async move { outcome(roster.run().await) }
    }));
    let per = &venues.settings;
    let (binance, kucoin) = (per.binance.pairs_per_connection, per.kucoin.pairs_per_connection);
    let coinbase = per.coinbase.pairs_per_connection;
    for (place, takes) in [
        (binance::Place::Spot, (|symbol: &Symbol| !symbol.is_contract()) as fn(&Symbol) -> bool),
        (binance::Place::Futures, Symbol::is_contract),
    ] {
        let market = binance::Market { place, venues: Arc::clone(&venues), outlet: outlet.clone() };
        tasks.push(markets((Venue::Binance, takes), market, binance, &venues, &outlet, &pairs));
    }
    let market = kucoin::Market { venues: Arc::clone(&venues) };
    tasks.push(markets((Venue::Kucoin, |symbol| !symbol.is_contract()), market, kucoin, &venues, &outlet, &pairs));
    let market = coinbase::Market { venues: Arc::clone(&venues) };
    tasks.push(markets((Venue::Coinbase, |_| true), market, coinbase, &venues, &outlet, &pairs));
    for caps in venues.settings.market_cap.clone() {
        let (venues, outlet) = (Arc::clone(&venues), outlet.clone());
        tasks.push(Task::restartable(caps.name(), Stage::Feeds, move |stop| {
            let (caps, venues, outlet) = (caps.clone(), Arc::clone(&venues), outlet.clone());
            async move { outcome(market_cap::run(caps, &venues, outlet, stop).await) }
        }));
    }
    Ok(tasks)
}

fn markets<P: Protocol>(
    (venue, takes): (Venue, fn(&Symbol) -> bool),
    protocol: P,
    per_connection: usize,
    venues: &Arc<Venues>,
    outlet: &Outlet,
    pairs: &watch::Receiver<BTreeSet<(Venue, Symbol)>>,
) -> Task {
    let (protocol, outlet, timing, pairs) = (Arc::new(protocol), outlet.clone(), venues.settings.timing, pairs.clone());
    let watched = venues.settings.watch.iter().filter(|(at, _)| *at == venue);
    let always: BTreeSet<Symbol> = watched.map(|(_, symbol)| symbol.clone()).collect();
    let name = protocol.sources().first().map_or_else(|| venue.to_string(), ToString::to_string);
    Task::restartable(name, Stage::Feeds, move |stop| {
        let (protocol, outlet) = (Arc::clone(&protocol), outlet.clone());
        let (pairs, always) = (pairs.clone(), always.clone());
        let markets = Markets { venue, takes, protocol, outlet, timing, per_connection, pairs, always };
        async move { outcome(markets.run(stop).await) }
    })
}

fn outcome(ended: Result<(), Error>) -> Outcome {
    ended.map_err(Into::into)
}
