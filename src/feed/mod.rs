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
mod market_cap;
mod markets;
mod outlet;
mod rest;
mod seed;
mod settings;
pub mod sign;
mod socket;
mod topics;
mod venues;

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};

pub use error::{Advice, Error, Meaning, Refusal};
pub use settings::{Account, Binance, Coinbase, Kucoin, ReadKey, Remembered, Settings, Timing, Wallets};

pub use market_cap::{CapSource, MarketCap};

use crate::arrival::Incoming;
use crate::domain::{Symbol, Venue, Wallet};
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
    settings.timing = settings.timing.hurried(settings.hurry);
    let (venues, outlet) = (Arc::new(Venues::new(settings)?), Outlet::new(out));
    let mut tasks = access::tasks(access, &outlet);
    let (mut binance, mut margins) = (Vec::new(), Vec::new());
    for Account { id, key, known_until } in venues.settings.accounts.clone() {
        let name = id.to_string();
        match key {
            ReadKey::Binance { key, signer } => {
                let wallets = venues.settings.wallets.get(&id).cloned().unwrap_or_else(Wallets::spot);
                for wallet in wallets.watched {
                    let known_until =
                        if wallet == Wallet::Spot { known_until } else { wallets.known_until.get(&wallet).copied() };
                    let key = (key.clone(), signer.clone());
                    let account = binance::Account::new(id.clone(), wallet, key, known_until);
                    if let Some(remembered) = venues.settings.remembered.get(&id) {
                        account.remember(remembered);
                    }
                    match &account.wallet {
                        Wallet::Spot => binance.push(account),
                        Wallet::Margin | Wallet::Isolated(_) => margins.push(account),
                        Wallet::Futures => {
                            let name = account.source().to_string();
                            let account = Arc::new(account);
                            let subject = binance::Futures { venues: Arc::clone(&venues), account };
                            tasks.push(linked(name, subject, &venues, &outlet));
                        }
                    }
                }
            }
            ReadKey::Kucoin(signer) => {
                let private = kucoin::Private::new(&venues, id, &signer, known_until);
                tasks.push(linked(name, private, &venues, &outlet));
            }
            ReadKey::CoinbaseExchange(signer) => {
                let profile = coinbase::Profile::new(Arc::clone(&venues), id, signer, known_until);
                tasks.push(linked(name, profile, &venues, &outlet));
            }
            ReadKey::Coinbase(signer) => {
                let user = coinbase::User { venues: Arc::clone(&venues), id, signer, known_until };
                tasks.push(linked(name, user, &venues, &outlet));
            }
        }
    }
    let room = venues.settings.binance.accounts_per_connection.clamp(1, 1_000);
    for (number, accounts) in in_parts(binance, room).into_iter().enumerate() {
        let (number, accounts) = (number + 1, Arc::new(accounts));
        let subject = binance::Accounts { venues: Arc::clone(&venues), outlet: outlet.clone(), accounts };
        tasks.push(linked(format!("binance accounts {number}"), subject, &venues, &outlet));
    }
    for (number, accounts) in in_parts(margins, room).into_iter().enumerate() {
        let accounts = Arc::new(accounts);
        let subject = binance::Margins { venues: Arc::clone(&venues), outlet: outlet.clone(), accounts };
        tasks.push(linked(format!("binance margin wallets {}", number + 1), subject, &venues, &outlet));
    }
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
    tasks.push(markets((Venue::Kucoin, |_| true), market, kucoin, &venues, &outlet, &pairs));
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

/// Splits accounts into those of one connection each.
fn in_parts<T>(mut all: Vec<T>, room: usize) -> Vec<Vec<T>> {
    let mut parts = Vec::new();
    while !all.is_empty() {
        let rest = all.split_off(all.len().min(room));
        parts.push(std::mem::replace(&mut all, rest));
    }
    parts
}

fn linked<P: Protocol>(name: String, protocol: P, venues: &Arc<Venues>, outlet: &Outlet) -> Task {
    let (protocol, outlet, timing) = (Arc::new(protocol), outlet.clone(), venues.settings.timing);
    Task::restartable(name, Stage::Feeds, move |stop| {
        let link = Link::new(Arc::clone(&protocol), outlet.clone(), timing, None);
        async move { outcome(link.run(stop).await) }
    })
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
