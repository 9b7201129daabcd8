//! Sockets and REST in: each frame stamped at receipt and handed over untouched, each loss and gap said.
//!
//! A link (`link.rs`) keeps one subject connected: a Binance connection with up to 1,000 accounts, one KuCoin or
//! Coinbase account, or some pairs of a market. The exchange's protocol on it is a state machine that touches no
//! socket (its `Session`); calls beside it (gap fills, fills behind running totals, candles) run as jobs.

pub mod access;
mod binance;
mod coinbase;
mod error;
mod kucoin;
mod limiter;
mod link;
mod markets;
mod outlet;
mod rest;
mod settings;
pub mod sign;
mod socket;
mod topics;
mod venues;

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};

pub use error::{Advice, Error, Meaning, Refusal};
pub use settings::{Account, Binance, Coinbase, Kucoin, ReadKey, Remembered, Settings, Timing};

use crate::arrival::Incoming;
use crate::domain::{Symbol, Venue};
use crate::runtime::supervisor::{Outcome, Stage, Task};
use link::{Link, Protocol};
use markets::Markets;
use outlet::Outlet;
use venues::Venues;

/// Returns the tasks that feed `out`: one a connection for accounts, one an exchange for its market, whose wanted
/// `pairs` may change while it runs. Fails when the certificates cannot be read or a key is another exchange's.
pub fn tasks(
    mut settings: Settings,
    out: mpsc::Sender<Incoming>,
    pairs: watch::Receiver<BTreeSet<(Venue, Symbol)>>,
) -> Result<Vec<Task>, Error> {
    let access = std::mem::take(&mut settings.access);
    let (venues, outlet) = (Arc::new(Venues::new(settings)?), Outlet::new(out));
    let mut tasks = access::tasks(access, &outlet);
    let mut binance = Vec::new();
    for Account { id, key, known_until } in venues.settings.accounts.clone() {
        let name = id.to_string();
        match key {
            ReadKey::Binance { key, signer } => {
                let remembered = venues.settings.remembered.get(&id);
                let account = binance::Account::new(id, key, signer, known_until);
                if let Some(remembered) = remembered {
                    account.remember(remembered);
                }
                binance.push(account);
            }
            ReadKey::Kucoin(signer) => {
                let private = kucoin::Private::new(&venues, id, &signer, known_until);
                tasks.push(linked(name, private, &venues, &outlet));
            }
            ReadKey::Coinbase(signer) => {
                let user = coinbase::User { venues: Arc::clone(&venues), id, signer, known_until };
                tasks.push(linked(name, user, &venues, &outlet));
            }
        }
    }
    let room = venues.settings.binance.accounts_per_connection.clamp(1, 1_000);
    let mut number = 0;
    while !binance.is_empty() {
        let rest = binance.split_off(binance.len().min(room));
        let accounts = Arc::new(std::mem::replace(&mut binance, rest));
        number += 1;
        let subject = binance::Accounts { venues: Arc::clone(&venues), outlet: outlet.clone(), accounts };
        tasks.push(linked(format!("binance accounts {number}"), subject, &venues, &outlet));
    }
    let per = &venues.settings;
    let (binance, kucoin) = (per.binance.pairs_per_connection, per.kucoin.pairs_per_connection);
    let coinbase = per.coinbase.pairs_per_connection;
    let market = binance::Market { venues: Arc::clone(&venues), outlet: outlet.clone() };
    tasks.push(markets(Venue::Binance, market, binance, &venues, &outlet, &pairs));
    let market = kucoin::Market { venues: Arc::clone(&venues) };
    tasks.push(markets(Venue::Kucoin, market, kucoin, &venues, &outlet, &pairs));
    let market = coinbase::Market { venues: Arc::clone(&venues) };
    tasks.push(markets(Venue::Coinbase, market, coinbase, &venues, &outlet, &pairs));
    Ok(tasks)
}

fn linked<P: Protocol>(name: String, protocol: P, venues: &Arc<Venues>, outlet: &Outlet) -> Task {
    let (protocol, outlet, timing) = (Arc::new(protocol), outlet.clone(), venues.settings.timing);
    Task::restartable(name, Stage::Feeds, move |stop| {
        let link = Link::new(Arc::clone(&protocol), outlet.clone(), timing, None);
        async move { outcome(link.run(stop).await) }
    })
}

fn markets<P: Protocol>(
    venue: Venue,
    protocol: P,
    per_connection: usize,
    venues: &Arc<Venues>,
    outlet: &Outlet,
    pairs: &watch::Receiver<BTreeSet<(Venue, Symbol)>>,
) -> Task {
    let (protocol, outlet, timing, pairs) = (Arc::new(protocol), outlet.clone(), venues.settings.timing, pairs.clone());
    let watched = venues.settings.watch.iter().filter(|(at, _)| *at == venue);
    let always: BTreeSet<Symbol> = watched.map(|(_, symbol)| symbol.clone()).collect();
    Task::restartable(format!("{venue} market"), Stage::Feeds, move |stop| {
        let (protocol, outlet) = (Arc::clone(&protocol), outlet.clone());
        let (pairs, always) = (pairs.clone(), always.clone());
        let markets = Markets { venue, protocol, outlet, timing, per_connection, pairs, always };
        async move { outcome(markets.run(stop).await) }
    })
}

fn outcome(ended: Result<(), Error>) -> Outcome {
    ended.map_err(Into::into)
}
