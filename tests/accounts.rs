//! Accounts that come, go and change their keys while fills flow: nothing is lost or doubled, and who stays notices
//! nothing.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail wherever it finds a fault")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fillguard::arrival::{Body, REMOVED, Source};
use fillguard::domain::{AccountId, Side, Symbol, Venue, Wallet};
use fillguard::feed::{self, Limits, ReadKey, Remembered, Roll, Settings, Timing, tasks};
use fillguard::pipeline::{self, Pipeline};
use fillguard::runtime::backoff;
use fillguard::runtime::supervisor::{self, Supervisor};
use fillguard::secret::Secret;
use fillguard::simulate::{self, Handle, Places, Scenario, Scene, SimAccount, Simulator};
use rust_decimal::Decimal;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(60);

/// What came, judged as the daemon does.
struct Judged {
    pipeline: Pipeline,
    /// Accounts whose feed was said to be up, and how often.
    ups: BTreeMap<String, usize>,
    /// Who was said to be down, and why.
    downs: Vec<(String, String)>,
    n: u64,
}

/// Feeds, simulator and pipeline in one process.
struct World {
    places: Places,
    accounts: Vec<SimAccount>,
    handle: Handle,
    roll: watch::Sender<Arc<Roll>>,
    judged: Arc<Mutex<Judged>>,
    /// Which wallets of Binance's accounts are watched.
    wallets: BTreeSet<Wallet>,
    stop: CancellationToken,
    running: JoinSet<()>,
}

fn id(account: &SimAccount) -> AccountId {
    AccountId::new(account.venue, &account.name).unwrap()
}

fn watched(account: &SimAccount) -> feed::Account {
    let key = match account.venue {
        Venue::Binance => ReadKey::binance(&account.key_id, &account.secret),
        Venue::Kucoin => ReadKey::kucoin(&account.key_id, &account.secret, account.passphrase.as_ref().unwrap(), 3),
        Venue::Coinbase => ReadKey::coinbase(&account.key_id, &account.secret),
    };
    feed::Account { id: id(account), key: key.unwrap(), known_until: None }
}

/// The same account with its key of Coinbase Exchange.
fn on_exchange(account: &SimAccount) -> feed::Account {
    let key = account.exchange.as_ref().unwrap();
    let key = ReadKey::coinbase_exchange(&key.key_id, &key.secret, &key.passphrase).unwrap();
    feed::Account { key, ..watched(account) }
}

fn scenario(binance: u32, others: u32) -> Scenario {
    let scene = |dca| Scene { dca, grid: 0, retail: 0, rebalancer: 0, chaser: 0, victims: 0, ..Scene::default() };
    Scenario {
        attack_after_secs: None,
        history_days: 0,
        binance: scene(binance),
        kucoin: Scene { unified: 1, ..scene(others) },
        coinbase: scene(others),
        ..Scenario::default()
    }
}

impl World {
    /// Starts with the accounts that `first` picks; `room` is that of a Binance connection.
    async fn start(scenario: Scenario, room: usize, first: impl Fn(&SimAccount) -> bool) -> World {
        World::of_wallets([Wallet::Spot].into(), scenario, room, first).await
    }

    async fn of_wallets(
        wallets: BTreeSet<Wallet>,
        scenario: Scenario,
        room: usize,
        first: impl Fn(&SimAccount) -> bool,
    ) -> World {
        let settings =
            simulate::Settings { scenario, speed: 0.001, weight_per_minute: u32::MAX, ..simulate::Settings::default() };
        let simulator = Simulator::start(settings).await.unwrap();
        let (places, accounts, handle) = (simulator.places(), simulator.accounts().to_vec(), simulator.handle());
        let (stop, mut running) = (CancellationToken::new(), JoinSet::new());
        let ended = stop.clone();
        running.spawn(async move { simulator.run(ended).await.unwrap() });

        let roll =
            Roll { accounts: accounts.iter().filter(|one| first(one)).map(watched).collect(), ..Roll::default() };
        let (roll, followed) = watch::channel(Arc::new(roll));
        let (out, mut arrivals) = mpsc::channel(1_024);
        let mut supervisor = Supervisor::new(supervisor::Settings::default());
        for task in tasks(feeds(&places, room, followed), out, watch::channel(BTreeSet::new()).1).unwrap() {
            supervisor.add(task);
        }
        let ended = stop.clone();
        running.spawn(async move { supervisor.run(ended).await.unwrap() });
        let pipeline = Pipeline::new(pipeline::Settings::default());
        let judged = Arc::new(Mutex::new(Judged { pipeline, ups: BTreeMap::new(), downs: Vec::new(), n: 0 }));
        let taking = Arc::clone(&judged);
        running.spawn(async move {
            while let Some(arrival) = arrivals.recv().await {
                let mut judged = taking.lock().unwrap();
                judged.n += 1;
                let from = arrival.from.to_string();
                match &arrival.body {
                    Body::LinkUp => *judged.ups.entry(from).or_default() += 1,
                    Body::LinkDown { why } => judged.downs.push((from, why.to_string())),
                    Body::Frame(_)
                    | Body::Text(_)
                    | Body::Bytes(_)
                    | Body::Page { .. }
                    | Body::Filled { .. }
                    | Body::Tick => {}
                }
                let arrival = arrival.numbered(judged.n);
                judged.pipeline.step(&arrival);
            }
        });
        World { places, accounts, handle, roll, judged, wallets, stop, running }
    }

    fn of(&self, venue: Venue) -> Vec<SimAccount> {
        self.accounts.iter().filter(|account| account.venue == venue).cloned().collect()
    }

    fn watch(&self, change: impl FnOnce(&mut Vec<feed::Account>)) {
        self.roll.send_modify(|roll| {
            let mut accounts = roll.accounts.clone();
            change(&mut accounts);
            // As the daemon does: whoever comes back goes on where the memory ends.
            let pipeline = &self.judged.lock().unwrap().pipeline;
            let (mut remembered, mut wallets) = (BTreeMap::new(), BTreeMap::new());
            for account in &mut accounts {
                if account.id.venue == Venue::Binance {
                    let known = self.wallets.iter().filter(|one| pipeline.knows(&account.id, one));
                    let until = known.filter_map(|one| Some((one.clone(), pipeline.blind_since(&account.id, one)?)));
                    let watched = self.wallets.clone();
                    let watched = feed::Wallets { watched, known_until: until.collect() };
                    wallets.insert(account.id.clone(), watched);
                }
                let Some(known) = pipeline.account(&account.id) else { continue };
                account.known_until = pipeline.blind_since(&account.id, &Wallet::Spot);
                let pairs = known.pairs().cloned().collect();
                remembered.insert(account.id.clone(), Remembered { pairs, ..Remembered::default() });
            }
            *roll = Arc::new(Roll { accounts, remembered, wallets, ..Roll::default() });
        });
    }

    /// Gives an account another key at the exchange and tells the feeds.
    fn rekey(&self, account: &SimAccount) {
        let renewed = watched(&self.handle.rekey(&id(account)).unwrap());
        self.watch(|all| {
            let known = all.iter_mut().find(|one| one.id == renewed.id).unwrap();
            *known = renewed;
        });
    }

    fn trade(&self, account: &SimAccount) {
        let pair = if account.venue == Venue::Coinbase { "BTC-USD" } else { "BTC-USDT" };
        let pair = Symbol::from_dashed(pair).unwrap();
        self.handle.trade(&id(account), &pair, Side::Buy, Decimal::from(20)).unwrap();
    }

    /// Trades once in each watched wallet of an account.
    fn trade_everywhere(&self, account: &SimAccount) {
        if account.venue != Venue::Binance {
            return self.trade(account);
        }
        for wallet in &self.wallets {
            let pair = if *wallet == Wallet::Futures { "BTC_PERP-USDT" } else { "BTC-USDT" };
            let pair = Symbol::from_dashed(pair).unwrap();
            self.handle.trade_in(wallet, &id(account), &pair, Side::Buy, Decimal::from(20)).unwrap();
        }
    }

    /// Returns whose feeds an account has.
    fn feeds_of(&self, account: &SimAccount) -> BTreeSet<String> {
        let wallets = if account.venue == Venue::Binance { self.wallets.clone() } else { [Wallet::Spot].into() };
        wallets.into_iter().map(|wallet| Source::feed(id(account), wallet).to_string()).collect()
    }

    fn traded(&self, account: &SimAccount) -> usize {
        let fills = self.handle.truth().fills;
        fills
            .iter()
            .filter(|fill| fill.account == id(account))
            .map(|fill| &fill.order_id)
            .collect::<BTreeSet<_>>()
            .len()
    }

    fn judged(&self, account: &SimAccount) -> usize {
        self.judged.lock().unwrap().pipeline.account(&id(account)).map_or(0, |known| known.orders as usize)
    }

    fn ups(&self, account: &SimAccount) -> usize {
        self.judged.lock().unwrap().ups.get(&id(account).to_string()).copied().unwrap_or(0)
    }

    fn downs(&self) -> Vec<(String, String)> {
        self.judged.lock().unwrap().downs.clone()
    }

    async fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        let waiting = async {
            while !is_so() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, waiting).await;
        let counts = || self.accounts.iter().map(|one| (one.name.clone(), self.judged(one), self.traded(one)));
        assert!(
            waited.is_ok(),
            "waited in vain for {what}; downs: {:?}; judged and traded: {:?}",
            self.downs(),
            counts().filter(|(_, judged, traded)| judged != traded).take(20).collect::<Vec<_>>()
        );
    }

    async fn end(mut self) {
        self.stop.cancel();
        while self.running.join_next().await.is_some() {}
    }
}

fn feeds(places: &Places, room: usize, roll: watch::Receiver<Arc<Roll>>) -> Settings {
    let quick = backoff::Settings {
        min: Duration::from_millis(5),
        max: Duration::from_millis(50),
        healthy: Duration::from_secs(60),
    };
    let most = 1_000_000;
    let mut settings = Settings { roll: Some(roll), ..Settings::default() };
    settings.limits = Limits {
        binance_weight: 100 * most,
        binance_connects: most,
        kucoin_weight: most,
        kucoin_connects: most,
        coinbase_calls: most,
        coinbase_connects: most,
        binance_futures_weight: most,
        binance_futures_connects: most,
        coinbase_exchange_calls: most,
    };
    settings.binance.rest.clone_from(&places.binance.rest);
    settings.binance.ws_api.clone_from(&places.binance.ws_api);
    settings.binance.stream.clone_from(&places.binance.stream);
    settings.binance.futures_rest.clone_from(&places.binance.futures_rest);
    settings.binance.futures_stream.clone_from(&places.binance.futures_stream);
    settings.coinbase.exchange_rest.clone_from(&places.coinbase.exchange_rest);
    settings.coinbase.exchange_ws.clone_from(&places.coinbase.exchange_ws);
    settings.binance.accounts_per_connection = room;
    settings.kucoin.rest.clone_from(&places.kucoin.rest);
    settings.kucoin.uta_push.clone_from(&places.kucoin.uta_push);
    settings.coinbase.rest.clone_from(&places.coinbase.rest);
    settings.coinbase.ws_user.clone_from(&places.coinbase.ws_user);
    settings.coinbase.ws_market.clone_from(&places.coinbase.ws_market);
    settings.timing = Timing {
        backoff: quick,
        refused: quick,
        debounce: Duration::from_millis(20),
        reconcile: Duration::ZERO,
        ..Timing::default()
    };
    settings
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accounts_come_go_and_change_keys_while_fills_flow_and_nothing_is_lost_or_doubled() {
    // Two to a Binance connection; the last account of each exchange comes later.
    let world = World::start(scenario(4, 3), 2, |_| false).await;
    let (binance, kucoin, coinbase) = (world.of(Venue::Binance), world.of(Venue::Kucoin), world.of(Venue::Coinbase));
    let late = [&binance[3], &kucoin[2], &coinbase[2]];
    let first: Vec<SimAccount> =
        world.accounts.iter().filter(|one| !late.iter().any(|l| id(l) == id(one))).cloned().collect();
    world.watch(|all| all.extend(first.iter().map(watched)));
    world.until("all to be up", || first.iter().all(|account| world.ups(account) > 0)).await;
    let trade_all = || first.iter().for_each(|account| world.trade(account));
    trade_all();
    let before = world.handle.connects(&world.places.binance.ws_api);

    // Those who come late take the room that is left.
    world.watch(|all| all.extend(late.iter().map(|account| watched(account))));
    trade_all();
    world.until("the late ones to be up", || late.iter().all(|account| world.ups(account) > 0)).await;
    assert_eq!(world.handle.connects(&world.places.binance.ws_api), before, "nobody was connected anew");
    late.iter().for_each(|account| world.trade(account));

    // New keys: no feed is said to be down, and only one connection more is made at Binance, where both were full.
    let (user, own) = (&world.places.coinbase.ws_user, world.handle.connects(&world.places.coinbase.ws_user));
    for account in [&binance[0], &kucoin[0], &kucoin[1], &coinbase[0]] {
        world.rekey(account);
        trade_all();
    }
    world.until("Coinbase's new key", || world.handle.connects(user) == own + 1).await;
    world.until("Binance's new key", || world.handle.connects(&world.places.binance.ws_api) == before + 1).await;
    for _ in 0..40 {
        trade_all();
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(world.downs(), [], "somebody was blind meanwhile");

    // One goes; its neighbour on the connection stays.
    let gone = &binance[2];
    world.watch(|all| all.retain(|account| account.id != id(gone)));
    world.until("the farewell", || !world.downs().is_empty()).await;
    trade_all();
    let stay: Vec<&SimAccount> = world.accounts.iter().filter(|account| id(account) != id(gone)).collect();
    world.until("all fills", || stay.iter().all(|one| world.judged(one) == world.traded(one))).await;
    world.trade(gone);
    stay.iter().for_each(|account| world.trade(account));
    world.until("all fills", || stay.iter().all(|one| world.judged(one) == world.traded(one))).await;
    assert_eq!(world.downs(), [(id(gone).to_string(), REMOVED.to_owned())]);
    assert!(world.judged(gone) < world.traded(gone), "who is gone is watched no longer");
    assert_eq!(world.handle.connects(&world.places.binance.ws_api), before + 1);
    assert!(stay.iter().all(|account| world.ups(account) == 1), "{:?}", world.judged.lock().unwrap().ups);

    // It comes back, is taken in where there is room, and what it did meanwhile is asked for.
    world.watch(|all| all.push(watched(gone)));
    world.until("what was missed", || world.judged(gone) == world.traded(gone)).await;
    assert_eq!(world.handle.connects(&world.places.binance.ws_api), before + 1);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn margin_futures_and_coinbase_exchange_change_keys_go_and_come_back_without_losing_a_fill() {
    let isolated = Wallet::Isolated(Symbol::from_dashed("BTC-USDT").unwrap());
    let wallets = BTreeSet::from([Wallet::Spot, Wallet::Margin, isolated, Wallet::Futures]);
    let world = World::of_wallets(wallets, scenario(2, 2), 10, |_| false).await;
    let (binance, coinbase) = (world.of(Venue::Binance), world.of(Venue::Coinbase));
    let all: Vec<&SimAccount> = binance.iter().chain(&coinbase).collect();
    let every: BTreeSet<String> = all.iter().flat_map(|account| world.feeds_of(account)).collect();
    world.watch(|list| {
        list.extend(binance.iter().map(watched));
        list.extend(coinbase.iter().map(on_exchange));
    });
    let ups = || world.judged.lock().unwrap().ups.clone();
    world.until("all to be up", || every.iter().all(|feed| ups().contains_key(feed))).await;
    let caught_up = || all.iter().all(|one| world.judged(one) == world.traded(one));
    all.iter().for_each(|account| world.trade_everywhere(account));
    world.until("the first fills", caught_up).await;

    // New keys: nobody is said to be down, and no fill is lost or doubled meanwhile.
    let places = &world.places;
    let doors = [&places.binance.ws_api, &places.coinbase.exchange_ws];
    let connects = || doors.map(|door| world.handle.connects(door));
    let before = connects();
    for account in [&binance[0], &coinbase[0]] {
        let renewed = world.handle.rekey(&id(account)).unwrap();
        let renewed = if account.venue == Venue::Binance { watched(&renewed) } else { on_exchange(&renewed) };
        world.watch(|list| {
            let known = list.iter_mut().find(|one| one.id == renewed.id).unwrap();
            *known = renewed;
        });
        all.iter().for_each(|account| world.trade_everywhere(account));
    }
    // Spot and margin are on two connections, and each is followed by one with the new key.
    world.until("the new keys", || connects()[0] >= before[0] + 2 && connects()[1] == before[1] + 1).await;
    for _ in 0..30 {
        all.iter().for_each(|account| world.trade_everywhere(account));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    world.until("all fills", caught_up).await;
    assert_eq!(world.downs(), [], "somebody was blind meanwhile");
    assert!(ups().iter().all(|(feed, times)| *times == 1 || !every.contains(feed)), "{:?}", ups());

    // One of each goes, with all of its wallets; who stays notices nothing.
    let gone = [&binance[0], &coinbase[0]];
    let stay = [&binance[1], &coinbase[1]];
    world.watch(|list| list.retain(|one| !gone.iter().any(|account| id(account) == one.id)));
    let left: BTreeSet<String> = gone.iter().flat_map(|account| world.feeds_of(account)).collect();
    world.until("the farewells", || world.downs().len() == left.len()).await;
    assert!(world.downs().iter().all(|(feed, why)| left.contains(feed) && why == REMOVED), "{:?}", world.downs());
    all.iter().for_each(|account| world.trade_everywhere(account));
    world.until("the fills of who stays", || stay.iter().all(|one| world.judged(one) == world.traded(one))).await;
    assert!(gone.iter().all(|one| world.judged(one) < world.traded(one)), "who is gone is watched no longer");
    assert_eq!(world.downs().len(), left.len());

    // They come back, and what they did meanwhile is asked for.
    let back =
        [watched(&world.handle.rekey(&id(gone[0])).unwrap()), on_exchange(&world.handle.rekey(&id(gone[1])).unwrap())];
    world.watch(|list| list.extend(back));
    world.until("what was missed", caught_up).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_key_that_is_refused_costs_nothing_and_the_next_one_is_taken() {
    let world = World::start(scenario(2, 1), 10, |_| true).await;
    world.until("all to be up", || world.accounts.iter().all(|account| world.ups(account) > 0)).await;
    let wrong = |account: &SimAccount| {
        let mut wrong = account.clone();
        wrong.secret = match account.venue {
            Venue::Coinbase => Secret::new("A".repeat(43) + "="),
            Venue::Binance | Venue::Kucoin => Secret::new("mistyped".to_owned()),
        };
        wrong
    };
    let victims =
        [&world.of(Venue::Binance)[0], &world.of(Venue::Kucoin)[0], &world.of(Venue::Coinbase)[0]].map(Clone::clone);
    for victim in &victims {
        let wrong = watched(&wrong(victim));
        world.watch(|all| {
            all.iter_mut().for_each(|one| {
                if one.id == wrong.id {
                    one.clone_from(&wrong)
                }
            })
        });
    }
    for _ in 0..30 {
        world.accounts.iter().for_each(|account| world.trade(account));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    world.until("all fills", || world.accounts.iter().all(|one| world.judged(one) == world.traded(one))).await;
    assert_eq!(world.downs(), []);
    let connects = || world.handle.connects(&world.places.coinbase.ws_user);
    let tried = connects();
    for victim in &victims {
        world.rekey(victim);
    }
    world.until("the right key", || connects() > tried).await;
    for _ in 0..30 {
        world.accounts.iter().for_each(|account| world.trade(account));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    world.until("all fills", || world.accounts.iter().all(|one| world.judged(one) == world.traded(one))).await;
    assert_eq!(world.downs(), []);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_accounts_added_in_one_go_come_up_on_few_connections() {
    let world = World::start(scenario(1_000, 1), 300, |account| account.venue != Venue::Binance).await;
    let added = world.of(Venue::Binance);
    world.watch(|all| all.extend(added.iter().map(watched)));
    world.until("all to be up", || added.iter().all(|account| world.ups(account) == 1)).await;
    assert_eq!(world.handle.connects(&world.places.binance.ws_api), 4);
    for (place, account) in added.iter().enumerate() {
        world.trade(account);
        // A socket that falls behind is cut, as at an exchange.
        if place % 50 == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    world.until("a fill of each", || added.iter().all(|account| world.judged(account) == 1)).await;
    assert_eq!(world.downs(), []);
    world.end().await;
}
