//! Two accounts of a quiet simulated world, the feeds that watch them, and what the codecs made of what was heard.

use std::collections::BTreeSet;
use std::time::Duration;

use fillguard::arrival::{Body, Incoming};
use fillguard::codec::{self, Codecs};
use fillguard::domain::{AccountId, Confirmation, EventKind, Fill, Side, Span, Symbol, Venue};
use fillguard::feed::{Account, ReadKey, Settings, Timing, tasks};
use fillguard::runtime::supervisor::{self, Supervisor};
use fillguard::runtime::{backoff, clock};
use fillguard::simulate::{self, Handle, Scenario, SimAccount, Simulator};
use rust_decimal::Decimal;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Nothing a test waits for takes longer, unless it is broken.
const PATIENCE: Duration = Duration::from_secs(20);

/// The simulator, the feeds that watch it, and what the codecs made of what they handed over.
pub struct Watch {
    pub handle: Handle,
    pub accounts: Vec<SimAccount>,
    arrivals: mpsc::Receiver<Incoming>,
    codecs: Codecs,
    pub told: Vec<EventKind>,
    pub links: Vec<String>,
    pub calls: Vec<String>,
    stop: CancellationToken,
    running: JoinSet<()>,
    _pairs: watch::Sender<BTreeSet<(Venue, Symbol)>>,
}

pub fn name(account: &SimAccount) -> AccountId {
    AccountId::new(Venue::Coinbase, &account.name).unwrap()
}

/// Which of Coinbase's two interfaces is watched.
#[derive(Clone, Copy, PartialEq)]
pub enum Api {
    Advanced,
    Exchange,
}

fn key(api: Api, account: &SimAccount) -> ReadKey {
    match (api, &account.exchange) {
        (Api::Exchange, Some(key)) => ReadKey::coinbase_exchange(&key.key_id, &key.secret, &key.passphrase).unwrap(),
        _ => ReadKey::coinbase(&account.key_id, &account.secret).unwrap(),
    }
}

pub fn pair(text: &str) -> Symbol {
    Symbol::from_dashed(text).unwrap()
}

impl Watch {
    /// Watches two accounts of a world where only the test trades.
    pub async fn start(api: Api, change: impl FnOnce(&mut Settings)) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let scenario = Scenario { attack_after_secs: None, history_days: 1, ..Scenario::default() };
        let settings = simulate::Settings { scenario, speed: 0.001, ..simulate::Settings::default() };
        let simulator = Simulator::start(settings).await.unwrap();
        let (places, handle) = (simulator.places(), simulator.handle());
        let coinbase = simulator.accounts().iter().filter(|account| account.venue == Venue::Coinbase);
        let accounts: Vec<SimAccount> = coinbase.take(2).cloned().collect();
        let quick = backoff::Settings {
            min: Duration::from_millis(5),
            max: Duration::from_millis(20),
            healthy: Duration::from_secs(60),
        };
        let watched = accounts.iter().map(|account| Account {
            id: name(account),
            key: key(api, account),
            // Yesterday is of no interest here: the overlap with it is taken off.
            known_until: Some(clock::now() + Span::from_secs(2)),
        });
        let mut given = Settings {
            accounts: watched.collect(),
            timing: Timing {
                backoff: quick,
                refused: quick,
                debounce: Duration::from_millis(50),
                overlap: Duration::from_secs(2),
                reconcile: Duration::ZERO,
                ..Timing::default()
            },
            ..Settings::default()
        };
        (given.coinbase.exchange_rest, given.coinbase.exchange_ws) =
            (places.coinbase.exchange_rest.clone(), places.coinbase.exchange_ws.clone());
        given.coinbase.ws_user = places.coinbase.ws_user;
        (given.coinbase.rest, given.coinbase.ws_market) = (places.coinbase.rest, places.coinbase.ws_market);
        (given.binance.rest, given.binance.ws_api) = (places.binance.rest, places.binance.ws_api);
        (given.binance.stream, given.kucoin.rest) = (places.binance.stream, places.kucoin.rest);
        change(&mut given);
        let (stop, mut running) = (CancellationToken::new(), JoinSet::new());
        let (out, arrivals) = mpsc::channel(1_024);
        let (pairs, wanted) = watch::channel(BTreeSet::new());
        let mut supervisor = Supervisor::new(supervisor::Settings::default());
        for task in tasks(given, out, wanted).unwrap() {
            supervisor.add(task);
        }
        let (world_ends, feeds_end) = (stop.clone(), stop.clone());
        running.spawn(async move { simulator.run(world_ends).await.unwrap() });
        running.spawn(async move { supervisor.run(feeds_end).await.unwrap() });
        let codecs = Codecs::new(&codec::Settings::default());
        let (told, links, calls) = (Vec::new(), Vec::new(), Vec::new());
        Watch { handle, accounts, arrivals, codecs, told, links, calls, stop, running, _pairs: pairs }
    }

    /// Takes arrivals until the events satisfy.
    pub async fn until(&mut self, what: &str, fits: impl Fn(&Self) -> bool) {
        let waiting = async {
            while !fits(self) {
                let arrival = self.arrivals.recv().await.unwrap();
                let from = arrival.from.to_string();
                match &arrival.body {
                    Body::LinkUp => self.links.push(format!("{from} up")),
                    Body::LinkDown { why } => self.links.push(format!("{from} down: {why}")),
                    Body::Filled { verified, .. } => self.links.push(format!("{from} filled {verified}")),
                    Body::Page { call, .. } => self.calls.push(format!("{from} {call}")),
                    Body::Frame(_) | Body::Text(_) | Body::Bytes(_) | Body::Tick => {}
                }
                let mut events = Vec::new();
                self.codecs.decode(&arrival.numbered(1), &mut events);
                self.told.extend(events.into_iter().map(|event| event.kind));
            }
        };
        let waited = tokio::time::timeout(PATIENCE, waiting).await.is_ok();
        assert!(waited, "waited in vain for {what}; links {:#?}, calls {:#?}", self.links, self.calls);
    }

    pub async fn up(&mut self, count: usize) {
        self.until("filled gaps", |watch| watch.filled() >= count).await;
    }

    pub fn filled(&self) -> usize {
        self.links.iter().filter(|line| line.contains(" filled ")).count()
    }

    pub fn fills(&self) -> Vec<&Fill> {
        let fills =
            self.told.iter().filter_map(|kind| if let EventKind::Fill(fill) = kind { Some(fill) } else { None });
        fills.collect()
    }

    pub fn confirmed(&self) -> Vec<&Confirmation> {
        let told = self.told.iter();
        told.filter_map(|kind| if let EventKind::Confirmed(known) = kind { Some(known) } else { None }).collect()
    }

    pub fn trade(&self, account: usize, symbol: &str, side: Side, quote: i64) -> String {
        self.handle.trade(&name(&self.accounts[account]), &pair(symbol), side, Decimal::from(quote)).unwrap()
    }

    /// Compares what was told of the accounts with what really happened, fill by fill.
    pub fn equals_truth(&self) -> bool {
        let ours: BTreeSet<AccountId> = self.accounts.iter().map(name).collect();
        let truth = self.handle.truth().fills.into_iter().filter(|fill| ours.contains(&fill.account));
        let truth = truth.map(|fill| {
            let trade = (fill.account, fill.symbol.to_string(), fill.order_id, fill.side);
            (trade, fill.price.get(), fill.quantity.get())
        });
        let told = self.fills().into_iter().map(|fill| {
            let trade = (fill.account.clone(), fill.symbol.to_string(), fill.order_id.to_string(), fill.side);
            (trade, fill.price.get(), fill.quantity.get())
        });
        let (mut truth, mut told): (Vec<_>, Vec<_>) = (truth.collect(), told.collect());
        truth.sort();
        told.sort();
        truth == told
    }

    pub async fn end(mut self) {
        self.stop.cancel();
        self.arrivals.close();
        while let Some(ended) = self.running.join_next().await {
            ended.unwrap();
        }
    }
}
