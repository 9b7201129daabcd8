//! The daemon's real feeds before the simulator: what they hand over, line by line.

use std::collections::BTreeSet;
use std::time::Duration;

use fillguard::arrival::{Arrival, Body, Incoming, Source};
use fillguard::domain::{AccountId, Side, Symbol, Timestamp, Venue};
use fillguard::feed::{Account, ReadKey, Settings, Timing, tasks};
use fillguard::runtime::backoff;
use fillguard::runtime::supervisor::{self, Supervisor};
use fillguard::simulate::{self, Handle, Pace, Scenario, Scene, SimAccount, Simulator};
use rust_decimal::Decimal;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Nothing a test waits for takes longer, unless it is broken.
const PATIENCE: Duration = Duration::from_secs(30);

/// A simulator that runs, and perhaps feeds before it.
pub struct Watched {
    pub handle: Handle,
    pub accounts: Vec<SimAccount>,
    places: simulate::Places,
    out: mpsc::Sender<Incoming>,
    arrivals: mpsc::Receiver<Incoming>,
    /// All that came, numbered as a journal numbers it.
    pub came: Vec<Arrival>,
    /// What tells the feeds of each `watch` which markets are wanted.
    pub pairs: Vec<watch::Sender<BTreeSet<(Venue, Symbol)>>>,
    stop: CancellationToken,
    running: JoinSet<()>,
}

pub fn id(account: &SimAccount) -> AccountId {
    AccountId::new(account.venue, &account.name).unwrap()
}

/// Waits that a test can afford, none of them zero.
pub fn timing() -> Timing {
    let millis = Duration::from_millis;
    let healthy = Duration::from_secs(60);
    Timing {
        backoff: backoff::Settings { min: millis(100), max: millis(200), healthy },
        refused: backoff::Settings { min: millis(250), max: millis(400), healthy },
        debounce: millis(20),
        reconcile: Duration::ZERO,
        lookback: Duration::from_secs(3_600),
        ..Timing::default()
    }
}

/// A quiet world with so many accounts at one exchange; nobody trades unless told to.
pub fn world(venue: Venue, accounts: usize) -> simulate::Settings {
    let none =
        Scene { dca: 0, grid: 0, retail: 0, rebalancer: 0, chaser: 0, victims: 0, unified: 0, ..Scene::default() };
    let some = Scene { dca: u32::try_from(accounts).unwrap(), ..none.clone() };
    let mut scenario = Scenario {
        attack_after_secs: None,
        history_days: 0,
        pace: Pace { dca: 86_400.0, ..Pace::default() },
        binance: none.clone(),
        kucoin: none.clone(),
        coinbase: none,
        ..Scenario::default()
    };
    match venue {
        Venue::Binance => scenario.binance = some,
        Venue::Kucoin => scenario.kucoin = some,
        Venue::Coinbase => scenario.coinbase = some,
    }
    simulate::Settings { scenario, ..simulate::Settings::default() }
}

impl Watched {
    pub async fn world(settings: simulate::Settings) -> Self {
        let simulator = Simulator::start(simulate::Settings { speed: 0.001, ..settings }).await.unwrap();
        let (places, accounts, handle) = (simulator.places(), simulator.accounts().to_vec(), simulator.handle());
        let (stop, mut running) = (CancellationToken::new(), JoinSet::new());
        let ended = stop.clone();
        running.spawn(async move { simulator.run(ended).await.unwrap() });
        let (out, arrivals) = mpsc::channel(4_096);
        Watched { handle, accounts, places, out, arrivals, came: Vec::new(), pairs: Vec::new(), stop, running }
    }

    /// Starts the feeds of some accounts, each known until a time or never seen before.
    pub fn watch(&mut self, accounts: &[(SimAccount, Option<Timestamp>)], timing: Timing) {
        let accounts = accounts.iter().map(|(account, known_until)| {
            let (key, secret) = (account.key_id.as_str(), &account.secret);
            let key = match &account.passphrase {
                Some(phrase) => ReadKey::kucoin(key, secret, phrase, 3),
                None if account.venue == Venue::Binance => ReadKey::binance(key, secret),
                None => ReadKey::coinbase(key, secret),
            };
            Account { id: id(account), key: key.unwrap(), known_until: *known_until }
        });
        let mut settings = Settings { accounts: accounts.collect(), timing, ..Settings::default() };
        settings.binance.rest = self.places.binance.rest.clone();
        settings.binance.ws_api = self.places.binance.ws_api.clone();
        settings.binance.stream = self.places.binance.stream.clone();
        settings.kucoin.rest = self.places.kucoin.rest.clone();
        settings.kucoin.uta_push = self.places.kucoin.uta_push.clone();
        settings.coinbase.rest = self.places.coinbase.rest.clone();
        settings.coinbase.ws_user = self.places.coinbase.ws_user.clone();
        settings.coinbase.ws_market = self.places.coinbase.ws_market.clone();
        let (pairs, wanted) = watch::channel(BTreeSet::new());
        let mut supervisor = Supervisor::new(supervisor::Settings::default());
        for task in tasks(settings, self.out.clone(), wanted).unwrap() {
            supervisor.add(task);
        }
        let stop = self.stop.clone();
        self.pairs.push(pairs);
        self.running.spawn(async move { supervisor.run(stop).await.unwrap() });
    }

    /// Makes an account trade; returns the order's id.
    pub fn trade(&self, account: &SimAccount, symbol: &str) -> String {
        let symbol = Symbol::from_dashed(symbol).unwrap();
        self.handle.trade(&id(account), &symbol, Side::Buy, Decimal::from(20)).unwrap()
    }

    /// Waits for the next arrival that fits, keeping all that come before it.
    pub async fn until(&mut self, what: &str, fits: impl Fn(&Arrival) -> bool) -> Arrival {
        let waiting = async {
            loop {
                let Incoming { at, from, body } = self.arrivals.recv().await.unwrap();
                self.came.push(Arrival { n: self.came.len() as u64 + 1, at, from, body });
                if fits(&self.came[self.came.len() - 1]) {
                    return;
                }
            }
        };
        if tokio::time::timeout(PATIENCE, waiting).await.is_err() {
            panic!("waited in vain for {what}; came: {:#?}", self.told());
        }
        self.came[self.came.len() - 1].clone()
    }

    pub async fn up(&mut self, account: &SimAccount) {
        let source = Source::Account(id(account));
        self.until(&format!("{source} up"), |one| one.from == source && matches!(one.body, Body::LinkUp)).await;
    }

    pub async fn down(&mut self, account: &SimAccount) -> String {
        let source = Source::Account(id(account));
        let is_down = |one: &Arrival| one.from == source && matches!(one.body, Body::LinkDown { .. });
        self.until(&format!("{source} down"), is_down).await;
        self.reasons(account).pop().unwrap()
    }

    /// Waits for the end of a gap; returns whether it was verified.
    pub async fn filled(&mut self, account: &SimAccount) -> bool {
        let source = Source::AccountRest(id(account));
        let is_filled = |one: &Arrival| one.from == source && matches!(one.body, Body::Filled { .. });
        matches!(self.until(&format!("{source} filled"), is_filled).await.body, Body::Filled { verified: true, .. })
    }

    /// Waits until the account's own feed tells of an order.
    pub async fn hears_of(&mut self, account: &SimAccount, order: &str) {
        let source = Source::Account(id(account));
        let tells = |one: &Arrival| {
            one.from == source && matches!(&one.body, Body::Frame(frame) if frame.get().contains(order))
        };
        self.until(&format!("{source} to tell of {order}"), tells).await;
    }

    /// Returns the calls whose pages came for an account.
    pub fn calls(&self, account: &SimAccount) -> Vec<String> {
        let source = Source::AccountRest(id(account));
        let of = self.came.iter().filter(|one| one.from == source);
        of.filter_map(|one| if let Body::Page { call, .. } = &one.body { Some(call.to_string()) } else { None })
            .collect()
    }

    /// Returns why an account was said to be down, in order.
    pub fn reasons(&self, account: &SimAccount) -> Vec<String> {
        let source = Source::Account(id(account));
        let of = self.came.iter().filter(|one| one.from == source);
        of.filter_map(|one| if let Body::LinkDown { why } = &one.body { Some(why.to_string()) } else { None }).collect()
    }

    /// Returns what was said about links and gaps, for a test that failed.
    fn told(&self) -> Vec<String> {
        let told = self.came.iter().filter_map(|one| match &one.body {
            Body::LinkUp => Some(format!("{} up", one.from)),
            Body::LinkDown { why } => Some(format!("{} down: {why}", one.from)),
            Body::Filled { verified, .. } => Some(format!("{} filled, verified {verified}", one.from)),
            Body::Page { call, .. } => Some(format!("{} {call}", one.from)),
            Body::Frame(_) | Body::Text(_) | Body::Bytes(_) | Body::Tick => None,
        });
        told.collect()
    }

    pub async fn end(&mut self) {
        self.stop.cancel();
        // What they still say is taken, so that nobody waits for room in the queue.
        while !self.running.is_empty() {
            tokio::select! {
                ended = self.running.join_next() => ended.unwrap().unwrap(),
                Some(_) = self.arrivals.recv() => {}
            }
        }
    }
}
