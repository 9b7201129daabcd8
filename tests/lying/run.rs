//! One run: an exchange that lies, the real feeds, the journal on disk, the pipeline.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fillguard::domain::{AccountId, Side, Span, Symbol, Venue};
use fillguard::feed::{self, ReadKey};
use fillguard::journal::{self, Journal};
use fillguard::pipeline::{self, Pipeline};
use fillguard::runtime::clock;
use fillguard::runtime::supervisor::{self, Supervisor};
use fillguard::simulate::{Faults, Handle, Pace, Scenario, Scene, Settings, SimAccount, Simulator, Tally};
use rust_decimal::Decimal;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::ledger::{Difference, Ledger};
use crate::modes::{Face, HURRY, Mode};

/// What a run must come to by then, or it is broken.
const DEADLINE: Duration = Duration::from_secs(60);

/// What a run came to.
pub struct Outcome {
    pub face: Face,
    pub mode: Mode,
    pub seed: u64,
    /// What the exchange knows.
    pub known: usize,
    pub ledger: Ledger,
    pub difference: Difference,
    pub tally: Tally,
    /// Links that were lost and whose gap nobody had asked for at the end.
    pub owing: usize,
    /// How often links were lost before the end.
    pub downs: u64,
}

/// The numbers of a seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

struct Stage {
    face: Face,
    handle: Handle,
    accounts: Vec<AccountId>,
    ledger: Arc<Mutex<Ledger>>,
    dice: Dice,
    seed: u64,
}

/// Lives one run through.
pub async fn run(face: Face, mode: Mode, seed: u64) -> Outcome {
    let simulator = Simulator::start(simulated(face, seed)).await.unwrap();
    let (handle, stop) = (simulator.handle(), CancellationToken::new());
    let accounts: Vec<SimAccount> =
        simulator.accounts().iter().filter(|account| account.venue == face.venue()).cloned().collect();
    let feeds = watching(&simulator, face, &accounts);
    let accounts: Vec<AccountId> = accounts.iter().map(id).collect();
    for account in &accounts {
        let dollar = if face.venue() == Venue::Coinbase { "USD" } else { "USDT" };
        handle.deposit_in(&face.wallet(), account, dollar, Decimal::from(400_000)).unwrap();
    }
    let mut running: JoinSet<()> = JoinSet::new();
    let (until, ended) = (stop.clone(), CancellationToken::new());
    let exchange = ended.clone();
    running.spawn(async move { simulator.run(exchange).await.unwrap() });

    let home = tempfile::tempdir().unwrap();
    let ledger = daemon(face, feeds, home.path(), until, &mut running);
    let mut stage = Stage { face, handle, accounts, ledger, dice: Dice(seed ^ 0x5eed), seed };
    stage.live(mode).await;
    let (downs, (_, owing)) = {
        let ledger = stage.ledger.lock().unwrap();
        (ledger.downs(), ledger.up_and_owing())
    };
    stop.cancel();
    tokio::time::sleep(Duration::from_millis(50)).await;
    ended.cancel();
    while running.join_next().await.is_some() {}
    let truth = stage.handle.truth().fills;
    let ledger = std::mem::take(&mut *stage.ledger.lock().unwrap());
    let difference = ledger.differs(&truth);
    Outcome { face, mode, seed, known: truth.len(), ledger, difference, tally: stage.handle.tally(), owing, downs }
}

/// A world in which only the script trades: a saver, and a bot whose key is stolen.
fn simulated(face: Face, seed: u64) -> Settings {
    let nobody = Scene { dca: 0, grid: 0, retail: 0, rebalancer: 0, chaser: 0, victims: 0, ..Scene::default() };
    let two = Scene { dca: 1, victims: 1, unified: if face == Face::KucoinUnified { 2 } else { 0 }, ..nobody.clone() };
    let scene = |venue| if venue == face.venue() { two.clone() } else { nobody.clone() };
    let never = 1e8;
    let pace = Pace { dca: never, grid: never, retail: never, rebalancer: never, chaser: never };
    let scenario = Scenario {
        attack_after_secs: None,
        history_days: 0,
        pace,
        binance: scene(Venue::Binance),
        kucoin: scene(Venue::Kucoin),
        coinbase: scene(Venue::Coinbase),
        ..Scenario::default()
    };
    let usual = Settings::default();
    Settings {
        seed,
        scenario,
        ping_every: usual.ping_every / HURRY,
        // What is a minute there is two seconds here: the machine may be busy with other tests.
        silence: Duration::from_secs(2),
        client_ping: Duration::from_millis(600),
        heartbeat: Duration::from_millis(100),
        listen_key_life: usual.listen_key_life / HURRY,
        // Shorter than in life, so that each run lives through some.
        listen_token_life: Duration::from_secs(6),
        weight_per_minute: u32::MAX,
        ..usual
    }
}

/// The feeds' settings: the defaults in a hurry, with the patience for answers that a busy machine needs.
fn watching(simulator: &Simulator, face: Face, accounts: &[SimAccount]) -> feed::Settings {
    let places = simulator.places();
    let mut feeds = feed::Settings { hurry: HURRY, ..feed::Settings::default() };
    feeds.binance.rest = places.binance.rest;
    feeds.binance.ws_api = places.binance.ws_api;
    feeds.binance.stream = places.binance.stream;
    feeds.binance.futures_rest = places.binance.futures_rest;
    feeds.binance.futures_stream = places.binance.futures_stream;
    feeds.kucoin.rest = places.kucoin.rest;
    feeds.kucoin.uta_push = places.kucoin.uta_push;
    feeds.coinbase.rest = places.coinbase.rest;
    feeds.coinbase.ws_user = places.coinbase.ws_user;
    feeds.coinbase.ws_market = places.coinbase.ws_market;
    feeds.coinbase.exchange_rest = places.coinbase.exchange_rest;
    feeds.coinbase.exchange_ws = places.coinbase.exchange_ws;
    let timing = &mut feeds.timing;
    let really = |millis: u64| Duration::from_millis(millis) * HURRY;
    (timing.connect, timing.ack, timing.pong, timing.heartbeat) =
        (really(700), really(1_000), really(500), really(1_000));
    timing.reconcile = really(1_500);
    timing.refused.max = really(1_000);
    timing.debounce = really(60);
    feeds.accounts = accounts
        .iter()
        .map(|account| {
            let key = match account.venue {
                Venue::Binance => ReadKey::binance(&account.key_id, &account.secret),
                Venue::Kucoin => {
                    ReadKey::kucoin(&account.key_id, &account.secret, account.passphrase.as_ref().unwrap(), 3)
                }
                Venue::Coinbase if face == Face::CoinbaseExchange => {
                    let key = account.exchange.as_ref().unwrap();
                    ReadKey::coinbase_exchange(&key.key_id, &key.secret, &key.passphrase)
                }
                Venue::Coinbase => ReadKey::coinbase(&account.key_id, &account.secret),
            };
            feed::Account { id: id(account), key: key.unwrap(), known_until: None }
        })
        .collect();
    let watched = || feed::Wallets { watched: BTreeSet::from([face.wallet()]), ..feed::Wallets::default() };
    feeds.wallets = accounts.iter().map(|account| (id(account), watched())).collect();
    feeds
}

fn id(account: &SimAccount) -> AccountId {
    AccountId::new(account.venue, &account.name).unwrap()
}

/// Starts feeds, journal and pipeline, joined as the daemon joins them; returns what is judged.
fn daemon(
    face: Face,
    feeds: feed::Settings,
    home: &std::path::Path,
    stop: CancellationToken,
    running: &mut JoinSet<()>,
) -> Arc<Mutex<Ledger>> {
    let settings = journal::Settings { dir: home.join("journal"), ..journal::Settings::default() };
    let (written, _) = Journal::open(settings, clock::now()).unwrap();
    let (incoming, inbox) = mpsc::channel(1_024);
    let (outbox, mut batches) = mpsc::channel(16);
    let (_pairs, wanted) = watch::channel(BTreeSet::new());
    let mut supervisor = Supervisor::new(supervisor::Settings::default());
    for task in feed::tasks(feeds, incoming, wanted).unwrap() {
        supervisor.add(task);
    }
    let halt = CancellationToken::new();
    let end = halt.clone();
    running.spawn(async move {
        let _pairs = _pairs;
        supervisor.run(stop).await.unwrap();
        end.cancel();
    });
    running.spawn(async move { journal::run(written, inbox, outbox, halt).await.unwrap() });
    let ledger = Arc::new(Mutex::new(Ledger::of(face)));
    let judged = Arc::clone(&ledger);
    running.spawn(async move {
        let mut rules = pipeline::Settings::default();
        let blind = &mut rules.engine.blind;
        for span in [&mut blind.verify_within, &mut blind.down_alert] {
            *span = Span::from_nanos(span.nanos() / i64::from(HURRY));
        }
        // Whether holdings were emptied shows only where balances were told in time: not to hang on that, any sale of
        // several is noted.
        rules.engine.liquidation.levels.notice = 2.0;
        let mut pipeline = Pipeline::new(rules);
        while let Some(batch) = batches.recv().await {
            let mut ledger = judged.lock().unwrap();
            for arrival in &batch {
                let effects = pipeline.step(arrival);
                ledger.take(arrival, &pipeline, &effects);
            }
        }
    });
    ledger
}

impl Stage {
    async fn live(&mut self, mode: Mode) {
        let accounts = self.accounts.len();
        self.until("the feeds to come up", |ledger, _| ledger.up_and_owing() == (accounts, 0)).await;
        let venue = self.face.venue();
        self.handle.set_faults(venue, mode.faults(self.face)).unwrap();
        self.ordinary(45).await;
        // What the bot pays for the thin pair is known before the theft: what comes by REST is judged later than what
        // the stream told meanwhile, so within the theft itself another order might be the first.
        self.trade(1, &self.pair(self.thin()), Side::Buy, Decimal::from(300), false).await;
        self.midway(mode).await;
        self.ordinary(45).await;
        if mode == Mode::Revoke {
            self.until("the dead keys to be noticed", |ledger, _| ledger.up_and_owing().0 == 0).await;
            for account in self.accounts.clone() {
                self.handle.restore(&account).unwrap();
            }
        }
        self.judged(mode).await;
        self.theft().await;
        self.judged(mode).await;
        if mode == Mode::Deaf {
            // Comparing finds the fills whether or not the silence was noticed; it must be all the same.
            self.until("a silent link to be noticed", |ledger, _| ledger.downs() > 0).await;
        }
        self.handle.set_faults(venue, Faults::default()).unwrap();
        // What comes late comes now, and what was lost is asked for.
        tokio::time::sleep(Duration::from_millis(600)).await;
        self.until("the last gaps to be asked for", |ledger, _| ledger.up_and_owing() == (accounts, 0)).await;
    }

    async fn midway(&mut self, mode: Mode) {
        let venue = self.face.venue();
        match mode {
            Mode::Revoke => {
                for account in self.accounts.clone() {
                    self.handle.revoke(&account).unwrap();
                }
            }
            Mode::Shutdown => {
                self.handle.server_shutdown();
                self.ordinary(12).await;
                self.handle.close(venue);
            }
            _ => {}
        }
    }

    /// Trades as the accounts always do.
    async fn ordinary(&mut self, orders: u64) {
        for order in 0..orders {
            let who = usize::from(order % 4 != 0);
            let pair = ["BTC", "ETH", "SOL"][self.dice.below(3) as usize];
            let quote = 200 + self.dice.below(5_000);
            self.trade(who, &self.pair(pair), Side::Buy, Decimal::from(quote), false).await;
        }
    }

    /// Trades as a thief does with the second account's key: sells holdings off, buys a thin pair.
    async fn theft(&mut self) {
        // Nothing is held on futures; a sale there goes short.
        let sold = if self.face == Face::BinanceFutures { 20_000 } else { 10_000_000 };
        for pair in ["BTC", "ETH", "SOL"] {
            self.trade(1, &self.pair(pair), Side::Sell, Decimal::from(sold), true).await;
        }
        for quote in [900, 20_000, 20_000, 20_000, 900, 900] {
            self.trade(1, &self.pair(self.thin()), Side::Buy, Decimal::from(quote), true).await;
        }
    }

    fn thin(&self) -> &'static str {
        match self.face.venue() {
            Venue::Binance => "KORU",
            Venue::Kucoin => "BRYN",
            Venue::Coinbase => "GRIV",
        }
    }

    fn pair(&self, base: &str) -> Symbol {
        let quote = if self.face.venue() == Venue::Coinbase { "USD" } else { "USDT" };
        let contract = if self.face == Face::BinanceFutures { "_PERP" } else { "" };
        Symbol::from_dashed(&format!("{base}{contract}-{quote}")).unwrap()
    }

    async fn trade(&mut self, who: usize, pair: &Symbol, side: Side, quote: Decimal, hostile: bool) {
        let (wallet, account) = (self.face.wallet(), &self.accounts[who]);
        match hostile {
            true => self.handle.steal_in(&wallet, account, pair, side, quote).unwrap(),
            false => self.handle.trade_in(&wallet, account, pair, side, quote).unwrap(),
        };
        tokio::time::sleep(Duration::from_millis(6 + self.dice.below(8))).await;
    }

    async fn judged(&self, mode: Mode) {
        let what = format!("every fill to be judged ({mode:?} at {:?}, seed {})", self.face, self.seed);
        self.until(&what, |ledger, handle| ledger.differs(&handle.truth().fills).missing.is_empty()).await;
    }

    /// Waits until something is so; says what differs when it never is.
    async fn until(&self, what: &str, is_so: impl Fn(&Ledger, &Handle) -> bool) {
        let begun = clock::steady();
        loop {
            tokio::time::sleep(Duration::from_millis(25)).await;
            let ledger = self.ledger.lock().unwrap();
            if is_so(&ledger, &self.handle) {
                return;
            }
            if begun.elapsed() > DEADLINE {
                let difference = ledger.differs(&self.handle.truth().fills);
                let links = ledger.up_and_owing();
                let whys = ledger.whys();
                panic!("waited in vain for {what}; links up and owing {links:?}, lost for {whys:?}, {difference:#?}");
            }
        }
    }
}
