//! Margin and futures wallets of Binance against an exchange played on loopback: signing in, losing, being refused.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail wherever it finds a fault")]

#[allow(dead_code, reason = "not every test plays the whole exchange")]
#[path = "support/exchange.rs"]
mod exchange;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use exchange::{Exchange, Peer, Reply, Request, within};
use fillguard::arrival::{Body, Incoming};
use fillguard::codec::{self, Codecs};
use fillguard::domain::{AccountId, Event, EventKind, Side, Symbol, Venue, Wallet};
use fillguard::feed::{Account, ReadKey, Settings, Timing, Wallets, tasks};
use fillguard::runtime::supervisor::{self, Supervisor};
use fillguard::runtime::{backoff, clock};
use fillguard::secret::Secret;
use fillguard::simulate::{self, Handle, Scenario, SimAccount, Simulator};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// The daemon's feeds, what they hand over, and the fills that are read of it.
struct Daemon {
    arrivals: mpsc::Receiver<Incoming>,
    pairs: watch::Sender<BTreeSet<(Venue, Symbol)>>,
    stop: CancellationToken,
    running: JoinSet<Result<(), supervisor::Error>>,
    codecs: Codecs,
    n: u64,
    /// How often each trade was counted: pair and trade id.
    fills: BTreeMap<(String, String), usize>,
}

/// The trades that the exchange's lists hold.
#[derive(Clone, Default)]
struct Book(Arc<Mutex<BTreeSet<u64>>>);

impl Book {
    fn add(&self, trades: impl IntoIterator<Item = u64>) {
        self.0.lock().unwrap().extend(trades);
    }

    /// Returns the rows of a list; futures call the flags otherwise than margin does.
    fn rows(&self, [buyer, maker]: [&str; 2]) -> String {
        let row = |id: &u64| {
            json!({"symbol": "APCUSDT", "id": id, "orderId": 77, "price": "100", "qty": "1", "quoteQty": "100",
                "commission": "0.04", "commissionAsset": "USDT", "time": clock::now().millis(), buyer: true,
                maker: false})
        };
        Value::from_iter(self.0.lock().unwrap().iter().map(row)).to_string()
    }

    fn is_empty(&self) -> bool {
        self.0.lock().unwrap().is_empty()
    }
}

fn alice() -> AccountId {
    AccountId::new(Venue::Binance, "alice").unwrap()
}

/// Settings that watch `wallets` of alice at a played exchange, with waits a test can afford.
fn settings(exchange: &Exchange, wallets: impl IntoIterator<Item = Wallet>) -> Settings {
    let quick = backoff::Settings {
        min: Duration::from_millis(5),
        max: Duration::from_millis(20),
        healthy: Duration::from_secs(60),
    };
    let key = ReadKey::binance("key-of-alice", &Secret::new("not-a-real-secret".to_owned())).unwrap();
    let accounts = vec![Account { id: alice(), key, known_until: None }];
    let mut settings = Settings { accounts, ..Settings::default() };
    let watched = wallets.into_iter().collect();
    settings.wallets.insert(alice(), Wallets { watched, ..Wallets::default() });
    settings.binance.rest = exchange.http();
    settings.binance.futures_rest = exchange.http();
    settings.binance.ws_api = format!("{}/ws-api/v3", exchange.ws());
    settings.binance.stream = exchange.ws();
    settings.binance.futures_stream = exchange.ws();
    settings.timing = Timing {
        backoff: quick,
        refused: backoff::Settings { min: Duration::from_secs(60), max: Duration::from_secs(60), ..quick },
        spacing: Duration::from_millis(1),
        reconcile: Duration::ZERO,
        ..Timing::default()
    };
    settings
}

impl Daemon {
    fn start(settings: Settings) -> Self {
        let (out, arrivals) = mpsc::channel(1_024);
        let (pairs, wanted) = watch::channel(BTreeSet::new());
        let mut supervisor = Supervisor::new(supervisor::Settings::default());
        for task in tasks(settings, out, wanted).unwrap() {
            supervisor.add(task);
        }
        let (stop, mut running) = (CancellationToken::new(), JoinSet::new());
        running.spawn(supervisor.run(stop.clone()));
        let codecs = Codecs::new(&codec::Settings::default());
        Daemon { arrivals, pairs, stop, running, codecs, n: 0, fills: BTreeMap::new() }
    }

    /// Returns the next arrival in one line, and reads it as the pipeline would.
    async fn next(&mut self) -> String {
        let incoming = within("an arrival", self.arrivals.recv()).await.unwrap();
        self.n += 1;
        let arrival = incoming.numbered(self.n);
        let mut events: Vec<Event> = Vec::new();
        self.codecs.decode(&arrival, &mut events);
        for event in events {
            if let EventKind::Fill(fill) = event.kind {
                let key = (fill.symbol.to_string(), fill.trade_id.unwrap().to_string());
                *self.fills.entry(key).or_default() += 1;
            }
        }
        let from = arrival.from;
        match arrival.body {
            Body::Frame(frame) => format!("{from} {}", frame.get()),
            Body::Text(text) => format!("{from} text {text}"),
            Body::Bytes(bytes) => format!("{from} {} bytes", bytes.len()),
            Body::Page { call, .. } => format!("{from} {call}"),
            Body::LinkUp => format!("{from} up"),
            Body::LinkDown { why } => format!("{from} down: {why}"),
            Body::Filled { verified, .. } => format!("{from} filled, verified {verified}"),
            Body::Tick => format!("{from} tick"),
        }
    }

    /// Returns the next arrival that begins so, and those that came before it.
    async fn until(&mut self, start: &str) -> (String, Vec<String>) {
        let mut passed = Vec::new();
        loop {
            let waited = tokio::time::timeout(exchange::PATIENCE, self.next()).await;
            let Ok(line) = waited else { panic!("waited in vain for {start:?}; came: {passed:#?}") };
            if line.starts_with(start) {
                return (line, passed);
            }
            passed.push(line);
        }
    }

    /// Asserts that exactly these trades of a pair were counted, each once.
    fn counted(&self, symbol: &str, trades: impl IntoIterator<Item = u64>) {
        let expected = trades.into_iter().map(|id| ((symbol.to_owned(), id.to_string()), 1)).collect();
        assert_eq!(self.fills, expected);
    }

    async fn end(mut self) {
        self.stop.cancel();
        within("the end", self.running.join_next()).await.unwrap().unwrap().unwrap();
    }
}

/// Binance's REST side; trades are those of `margin` and `futures`.
fn rest(request: &Request, margin: &Book, futures: &Book) -> Reply {
    match request.path.split('?').next().unwrap() {
        "/api/v3/time" | "/fapi/v1/time" => Reply::json(json!({"serverTime": clock::now().millis()}).to_string()),
        "/api/v3/exchangeInfo" => {
            Reply::json(r#"{"symbols":[{"symbol":"APCUSDT","baseAsset":"APC","quoteAsset":"USDT"}]}"#)
        }
        "/api/v3/account" => Reply::json(r#"{"balances":[{"asset":"BTC","free":"1","locked":"0"}]}"#),
        "/sapi/v1/margin/account" => {
            Reply::json(r#"{"userAssets":[{"asset":"USDT","borrowed":"0","free":"500","locked":"0"}]}"#)
        }
        "/fapi/v3/account" => Reply::json(r#"{"assets":[{"asset":"USDT","walletBalance":"900"}],"positions":[]}"#),
        "/sapi/v1/userListenToken" => token(3_600_000),
        "/fapi/v1/listenKey" => Reply::json(r#"{"listenKey":"one-listen-key"}"#),
        "/sapi/v1/margin/myTrades" => Reply::json(margin.rows(["isBuyer", "isMaker"])),
        "/fapi/v1/userTrades" => Reply::json(futures.rows(["buyer", "maker"])),
        "/fapi/v1/income" if futures.is_empty() => Reply::json("[]"),
        "/fapi/v1/income" => Reply::json(
            json!([{"symbol": "APCUSDT", "incomeType": "COMMISSION", "income": "-0.04", "asset": "USDT",
                "time": clock::now().millis(), "tradeId": "1"}])
            .to_string(),
        ),
        "/api/v3/ticker/24hr" | "/fapi/v1/ticker/24hr" => Reply::json(
            json!({"symbol": "APCUSDT", "lastPrice": "100", "quoteVolume": "5000", "closeTime": clock::now().millis()})
                .to_string(),
        ),
        _ => Reply::json("[]"),
    }
}

fn token(lasts_ms: i64) -> Reply {
    static GIVEN: AtomicUsize = AtomicUsize::new(0);
    let (number, until) = (GIVEN.fetch_add(1, Ordering::SeqCst), clock::now().millis() + lasts_ms);
    Reply::json(json!({"token": format!("token-{number}"), "expirationTime": until}).to_string())
}

fn order_trade_update(trade: u64) -> String {
    let now = clock::now().millis();
    json!({"e": "ORDER_TRADE_UPDATE", "E": now, "T": now, "o": {"s": "APCUSDT", "c": "bot-1", "S": "BUY", "o": "MARKET",
        "x": "TRADE", "X": "FILLED", "i": 77, "l": "1", "z": "1", "L": "100", "n": "0.04", "N": "USDT", "T": now,
        "t": trade, "m": false, "rp": "0", "ps": "BOTH"}})
    .to_string()
}

fn execution_report(subscription: u64, trade: u64) -> String {
    let now = clock::now().millis();
    json!({"subscriptionId": subscription, "event": {"e": "executionReport", "E": now, "s": "APCUSDT", "c": "bot-1",
        "S": "BUY", "o": "MARKET", "x": "TRADE", "X": "FILLED", "i": 77, "l": "1", "z": "1", "L": "100", "Y": "100",
        "n": "0.04", "N": "USDT", "T": now, "t": trade, "m": false}})
    .to_string()
}

/// Answers a subscription by token; returns the token.
async fn subscribed(peer: &mut Peer, number: u64) -> String {
    let request = peer.hear().await;
    assert_eq!(request["method"], "userDataStream.subscribe.listenToken");
    peer.say(json!({"id": request["id"], "status": 200, "result": {"subscriptionId": number}}).to_string()).await;
    request["params"]["listenToken"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_burst_on_futures_that_is_cut_short_is_told_whole_and_each_fill_once() {
    let futures = Book::default();
    let book = futures.clone();
    let mut exchange = Exchange::open(move |_, request| rest(request, &Book::default(), &book)).await;
    let mut daemon = Daemon::start(settings(&exchange, [Wallet::Futures]));
    let asked = exchange.request("/fapi/v1/listenKey").await;
    assert_eq!((asked.method.as_str(), asked.header("X-MBX-APIKEY")), ("POST", "key-of-alice"));
    let mut peer = exchange.peer().await;
    assert_eq!(peer.path, "/private/ws?listenKey=one-listen-key");
    daemon.until("binance/alice/futures up").await;
    // Nothing was traded, and the list of commissions says so: sure from the first reading on.
    daemon.until("binance/alice/futures/rest filled, verified true").await;
    for trade in 1..=4 {
        peer.say(order_trade_update(trade)).await;
    }
    // The early copy of a fill, and the same fill again, change nothing.
    peer.say(r#"{"e":"TRADE_LITE","E":1,"T":1,"s":"APCUSDT","q":"1","p":"0","m":false,"c":"bot-1","S":"BUY","L":"100","l":"1","t":4,"i":77}"#).await;
    peer.say(order_trade_update(4)).await;
    futures.add(1..=9);
    peer.close(1001).await;
    daemon.until("binance/alice/futures down").await;
    let mut peer = exchange.peer().await;
    daemon.until("binance/alice/futures up").await;
    daemon.until("binance/alice/futures/rest userTrades?symbol=APCUSDT").await;
    daemon.until("binance/alice/futures/rest filled, verified true").await;
    peer.say(order_trade_update(10)).await;
    daemon.until(r#"binance/alice/futures {"E""#).await;
    daemon.counted("APC_PERP-USDT", 1..=10);
    daemon.end().await;
}

#[tokio::test]
async fn an_expired_listen_key_costs_no_fill() {
    let futures = Book::default();
    let book = futures.clone();
    let mut exchange = Exchange::open(move |_, request| rest(request, &Book::default(), &book)).await;
    let mut daemon = Daemon::start(settings(&exchange, [Wallet::Futures]));
    let mut peer = exchange.peer().await;
    daemon.until("binance/alice/futures/rest filled").await;
    peer.say(order_trade_update(1)).await;
    // What follows is not sent any more.
    futures.add(1..=3);
    peer.say(r#"{"e":"listenKeyExpired","E":1775572206251,"listenKey":"one-listen-key"}"#).await;
    let (why, _) = daemon.until("binance/alice/futures down").await;
    assert!(why.ends_with("the listen key has expired; a new one is fetched"), "{why}");
    peer.closed().await;
    let _peer = exchange.peer().await;
    daemon.until("binance/alice/futures/rest filled, verified true").await;
    daemon.counted("APC_PERP-USDT", 1..=3);
    daemon.end().await;
}

#[tokio::test]
async fn a_listen_key_is_kept_alive_and_had_anew_when_it_is_gone() {
    let gone = Arc::new(AtomicBool::new(false));
    let dead = Arc::clone(&gone);
    let mut exchange = Exchange::open(move |_, request| {
        if request.method == "PUT" && dead.swap(false, Ordering::SeqCst) {
            return Reply::status(400, r#"{"code":-1125,"msg":"This listenKey does not exist."}"#);
        }
        rest(request, &Book::default(), &Book::default())
    })
    .await;
    let mut given = settings(&exchange, [Wallet::Futures]);
    given.timing.keep_alive = Duration::from_millis(30);
    let mut daemon = Daemon::start(given);
    let _peer = exchange.peer().await;
    daemon.until("binance/alice/futures up").await;
    loop {
        if exchange.request("/fapi/v1/listenKey").await.method == "PUT" {
            break;
        }
    }
    gone.store(true, Ordering::SeqCst);
    let (why, passed) = daemon.until("binance/alice/futures down").await;
    assert!(why.contains("-1125"), "{why}");
    assert!(!passed.iter().any(|line| line.contains("down")), "kept alive once and still up: {passed:?}");
    let _peer = exchange.peer().await;
    daemon.until("binance/alice/futures up").await;
    daemon.end().await;
}

#[tokio::test]
async fn a_key_without_the_right_to_futures_says_so_once_and_spot_goes_on() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let mut exchange = Exchange::open(move |_, request| {
        if request.path.starts_with("/fapi/v1/listenKey") {
            count.fetch_add(1, Ordering::SeqCst);
            return Reply::status(401, r#"{"code":-2015,"msg":"Invalid API-key, IP, or permissions for action."}"#);
        }
        rest(request, &Book::default(), &Book::default())
    })
    .await;
    let mut given = settings(&exchange, [Wallet::Spot, Wallet::Futures]);
    // Asked for again and again: still one line.
    given.timing.refused = given.timing.backoff;
    let mut daemon = Daemon::start(given);
    let mut peer = exchange.peer().await;
    let request = peer.hear().await;
    assert_eq!(request["method"], "userDataStream.subscribe.signature");
    peer.say(json!({"id": request["id"], "status": 200, "result": {"subscriptionId": 0}}).to_string()).await;
    while asked.load(Ordering::SeqCst) < 4 {
        exchange.request("/fapi/v1/listenKey").await;
    }
    peer.say(execution_report(0, 1)).await;
    let (_, passed) = daemon.until(r#"binance/alice {"event""#).await;
    let told: Vec<&String> = passed.iter().filter(|line| line.starts_with("binance/alice/futures")).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    let why = told[0];
    for part in
        ["binance/alice/futures down: Binance answered -2015", "may not read this wallet", "make a new reading key"]
    {
        assert!(why.contains(part), "{why}");
    }
    daemon.counted("APC-USDT", [1]);
    daemon.end().await;
}

#[tokio::test]
async fn a_wallet_whose_past_cannot_be_read_is_said_to_be_unverified_and_is_asked_again() {
    let (margin, broken) = (Book::default(), Arc::new(AtomicBool::new(true)));
    margin.add([3]);
    let (book, out_of_order) = (margin.clone(), Arc::clone(&broken));
    let mut exchange = Exchange::open(move |_, request| {
        if request.path.starts_with("/sapi/v1/margin/account") && out_of_order.load(Ordering::SeqCst) {
            return Reply::status(503, "<html>out of order</html>");
        }
        rest(request, &book, &Book::default())
    })
    .await;
    let mut given = settings(&exchange, [Wallet::Isolated(Symbol::from_dashed("APC-USDT").unwrap()), Wallet::Margin]);
    given.watch = vec![(Venue::Binance, Symbol::from_dashed("APC-USDT").unwrap())];
    let mut daemon = Daemon::start(given);
    let mut peer = exchange.peer().await;
    while peer.path.starts_with("/stream") {
        peer = exchange.peer().await;
    }
    subscribed(&mut peer, 0).await;
    subscribed(&mut peer, 1).await;
    let (_, passed) = daemon.until("binance/alice/margin/rest filled, verified false").await;
    assert!(!passed.iter().any(|line| line.starts_with("binance/alice/margin/rest myTrades")), "{passed:?}");
    broken.store(false, Ordering::SeqCst);
    daemon.until("binance/alice/margin/rest myTrades?symbol=APCUSDT").await;
    daemon.until("binance/alice/margin/rest filled").await;
    daemon.counted("APC-USDT", [3]);
    daemon.end().await;
}

#[tokio::test]
async fn a_margin_token_is_replaced_before_it_expires_and_the_end_of_the_old_one_is_no_news() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let mut exchange = Exchange::open(move |_, request| {
        if request.path.starts_with("/sapi/v1/userListenToken") {
            // The first lasts half a second, the second an hour.
            return token(if count.fetch_add(1, Ordering::SeqCst) == 0 { 500 } else { 3_600_000 });
        }
        rest(request, &Book::default(), &Book::default())
    })
    .await;
    let mut daemon = Daemon::start(settings(&exchange, [Wallet::Margin]));
    let granted = exchange.request("/sapi/v1/userListenToken").await;
    let (method, key) = (granted.method.as_str(), granted.header("X-MBX-APIKEY"));
    assert_eq!((method, key, granted.param("signature")), ("POST", "key-of-alice", None));
    let mut peer = exchange.peer().await;
    let first = subscribed(&mut peer, 0).await;
    daemon.until("binance/alice/margin up").await;
    let second = subscribed(&mut peer, 1).await;
    assert_ne!(first, second);
    // While both live both tell.
    peer.say(execution_report(0, 1)).await;
    peer.say(execution_report(1, 1)).await;
    peer.say(r#"{"subscriptionId":0,"event":{"e":"eventStreamTerminated","E":1775572206251}}"#).await;
    peer.say(execution_report(1, 2)).await;
    let mut passed = Vec::new();
    while daemon.fills.len() < 2 {
        passed.push(daemon.next().await);
    }
    assert!(!passed.iter().any(|line| line.contains("down") || line.contains("margin up")), "{passed:?}");
    daemon.counted("APC-USDT", 1..=2);
    daemon.end().await;
}

#[tokio::test]
async fn a_margin_token_that_expires_costs_no_fill() {
    let margin = Book::default();
    let book = margin.clone();
    let mut exchange = Exchange::open(move |_, request| rest(request, &book, &Book::default())).await;
    let mut daemon = Daemon::start(settings(&exchange, [Wallet::Margin]));
    let mut peer = exchange.peer().await;
    let first = subscribed(&mut peer, 4).await;
    daemon.until("binance/alice/margin/rest filled, verified false").await;
    peer.say(execution_report(4, 1)).await;
    margin.add(1..=5);
    peer.say(r#"{"subscriptionId":4,"event":{"e":"eventStreamTerminated","E":1775572206251}}"#).await;
    daemon.until("binance/alice/margin down: Binance ended this wallet's stream").await;
    assert_ne!(subscribed(&mut peer, 5).await, first, "a token of its own");
    daemon.until("binance/alice/margin up").await;
    daemon.until("binance/alice/margin/rest myTrades?symbol=APCUSDT").await;
    daemon.until("binance/alice/margin/rest filled, verified true").await;
    peer.say(execution_report(5, 6)).await;
    daemon.until(r#"binance/alice/margin {"event""#).await;
    daemon.counted("APC-USDT", 1..=6);
    let asked = exchange.request("/sapi/v1/margin/myTrades").await;
    let millis = |name: &str| asked.param(name).unwrap().parse::<i64>().unwrap();
    assert!(millis("endTime") - millis("startTime") < 86_400_000, "the exchange takes a day at most");
    daemon.end().await;
}

#[tokio::test]
async fn a_refused_token_is_retried_and_the_other_margin_wallets_go_on() {
    let isolated = Wallet::Isolated(Symbol::from_dashed("APC-USDT").unwrap());
    let margin = Book::default();
    margin.add([8]);
    let mut exchange = Exchange::open(move |_, request| {
        let path = request.path.split('?').next().unwrap();
        if path == "/sapi/v1/userListenToken" && request.param("isIsolated").is_none() {
            return Reply::status(400, r#"{"code":-3003,"msg":"Margin account does not exist."}"#);
        }
        rest(request, &margin, &Book::default())
    })
    .await;
    let mut daemon = Daemon::start(settings(&exchange, [Wallet::Margin, isolated]));
    let mut peer = exchange.peer().await;
    subscribed(&mut peer, 0).await;
    let (_, passed) = daemon.until("binance/alice/isolated/APC-USDT up").await;
    daemon.until("binance/alice/isolated/APC-USDT/rest filled, verified true").await;
    daemon.counted("APC-USDT", [8]);
    let asked = exchange.request("/sapi/v1/margin/myTrades").await;
    assert_eq!((asked.param("symbol"), asked.param("isIsolated")), (Some("APCUSDT"), Some("TRUE")));
    assert!(!passed.iter().any(|line| line.starts_with("binance/alice/margin up")), "{passed:?}");
    peer.say(execution_report(0, 9)).await;
    daemon.until(r#"binance/alice/isolated/APC-USDT {"event""#).await;
    daemon.counted("APC-USDT", 8..=9);
    daemon.end().await;
}

#[tokio::test]
async fn a_contract_has_the_futures_market_and_a_spot_pair_the_spot_market() {
    let mut exchange = Exchange::open(|_, request| rest(request, &Book::default(), &Book::default())).await;
    let mut daemon = Daemon::start(settings(&exchange, []));
    let pair = |text: &str| (Venue::Binance, Symbol::from_dashed(text).unwrap());
    daemon.pairs.send_replace(BTreeSet::from([pair("APC_PERP-USDT"), pair("APC-USDT")]));
    let mut awaited = BTreeSet::new();
    let mut peers = Vec::new();
    for _ in 0..2 {
        let mut peer = exchange.peer().await;
        let request = peer.hear().await;
        let streams = match peer.path.as_str() {
            "/stream" => json!(["apcusdt@trade", "apcusdt@miniTicker"]),
            "/market/stream" => json!(["apcusdt@aggTrade", "apcusdt@miniTicker"]),
            other => panic!("{other}"),
        };
        assert_eq!(request["params"], streams);
        peer.say(json!({"result": null, "id": request["id"]}).to_string()).await;
        let from = if peer.path == "/stream" { "binance/market" } else { "binance/market/futures" };
        awaited.extend([format!("{from} up"), format!("{from}/rest ticker/24hr?symbol=APCUSDT")]);
        peers.push(peer);
    }
    // Two connections and their questions, in whatever order they come.
    while !awaited.is_empty() {
        let line = daemon.next().await;
        awaited.retain(|start| !line.starts_with(start.as_str()));
    }
    daemon.end().await;
}

/// The simulator, and feeds that watch wallets of its first Binance account.
struct Played {
    daemon: Daemon,
    handle: Handle,
    who: AccountId,
    stop: CancellationToken,
    running: JoinSet<()>,
}

impl Played {
    async fn start(wallets: impl IntoIterator<Item = Wallet>, lives: Duration, reconcile: Duration) -> Self {
        let scenario = Scenario { attack_after_secs: None, history_days: 0, ..Scenario::default() };
        let quiet = simulate::Settings {
            speed: 0.001,
            scenario,
            listen_key_life: lives,
            listen_token_life: lives,
            ..simulate::Settings::default()
        };
        let simulator = Simulator::start(quiet).await.unwrap();
        let hmac = |account: &&SimAccount| account.venue == Venue::Binance && !account.ed25519;
        let account = simulator.accounts().iter().find(hmac).unwrap().clone();
        let who = AccountId::new(Venue::Binance, &account.name).unwrap();
        let (places, handle) = (simulator.places().binance, simulator.handle());
        let key = ReadKey::binance(&account.key_id, &account.secret).unwrap();
        let accounts = vec![Account { id: who.clone(), key, known_until: None }];
        let mut settings = Settings { accounts, ..Settings::default() };
        settings.wallets.insert(who.clone(), Wallets { watched: wallets.into_iter().collect(), ..Wallets::default() });
        settings.binance.rest = places.rest;
        settings.binance.ws_api = places.ws_api;
        settings.binance.stream = places.stream;
        settings.binance.futures_rest = places.futures_rest;
        settings.binance.futures_stream = places.futures_stream;
        settings.timing.reconcile = reconcile;
        settings.timing.backoff = backoff::Settings {
            min: Duration::from_millis(5),
            max: Duration::from_millis(20),
            ..settings.timing.backoff
        };
        let (stop, mut running) = (CancellationToken::new(), JoinSet::new());
        let ended = stop.clone();
        running.spawn(async move { simulator.run(ended).await.unwrap() });
        Played { daemon: Daemon::start(settings), handle, who, stop, running }
    }

    /// Waits until each wallet was read for the first time: from then on nothing may be missed.
    async fn settled(&mut self, wallets: &[Wallet]) {
        let whose = |wallet: &Wallet| fillguard::arrival::Source::answers(self.who.clone(), wallet.clone());
        let mut owed: BTreeSet<String> = wallets.iter().map(|wallet| format!("{} filled", whose(wallet))).collect();
        while !owed.is_empty() {
            let line = self.daemon.next().await;
            owed.retain(|start| !line.starts_with(start.as_str()));
        }
    }

    fn trade(&self, wallet: &Wallet, symbol: &str, side: Side) {
        let symbol = Symbol::from_dashed(symbol).unwrap();
        self.handle.trade_in(wallet, &self.who, &symbol, side, Decimal::from(300)).unwrap();
    }

    /// Waits until every fill that really happened was counted, and asserts that each was counted once.
    async fn all_counted(&mut self) {
        let truth = self.handle.truth().fills;
        assert!(!truth.is_empty());
        let real: BTreeMap<(String, String), usize> =
            truth.iter().map(|fill| ((fill.symbol.to_string(), fill.trade_id.clone()), 1)).collect();
        let counting = async {
            while self.daemon.fills.len() < real.len() {
                self.daemon.next().await;
            }
        };
        let _ = tokio::time::timeout(exchange::PATIENCE, counting).await;
        assert_eq!(self.daemon.fills, real);
    }

    async fn end(mut self) {
        self.daemon.end().await;
        self.stop.cancel();
        within("the simulator's end", self.running.join_next()).await;
    }
}

#[tokio::test]
async fn fills_of_every_wallet_of_a_simulated_account_are_told_once() {
    let isolated = Wallet::Isolated(Symbol::from_dashed("BTC-USDT").unwrap());
    let wallets = [Wallet::Spot, Wallet::Margin, isolated.clone(), Wallet::Futures];
    let mut played = Played::start(wallets.clone(), Duration::from_secs(3_600), Duration::ZERO).await;
    played.settled(&wallets).await;
    for wallet in &wallets {
        let symbol = if *wallet == Wallet::Futures { "BTC_PERP-USDT" } else { "BTC-USDT" };
        played.trade(wallet, symbol, Side::Buy);
        if *wallet == Wallet::Futures {
            played.trade(wallet, symbol, Side::Sell);
            played.trade(wallet, symbol, Side::Sell);
        }
    }
    played.all_counted().await;
    played.end().await;
}

#[tokio::test]
async fn keys_and_tokens_that_run_out_again_and_again_cost_no_fill() {
    // Tokens are replaced in time; listen keys are not kept alive here, so each one dies.
    let wallets = [Wallet::Margin, Wallet::Futures];
    let mut played = Played::start(wallets.clone(), Duration::from_millis(400), Duration::ZERO).await;
    let who = played.who.clone();
    played.settled(&wallets).await;
    for _ in 0..3 {
        played.trade(&Wallet::Margin, "ETH-USDT", Side::Buy);
        played.trade(&Wallet::Futures, "ETH_PERP-USDT", Side::Buy);
        played.daemon.until(&format!("{who}/futures down: the listen key has expired")).await;
        played.trade(&Wallet::Futures, "ETH_PERP-USDT", Side::Sell);
        played.daemon.until(&format!("{who}/futures up")).await;
    }
    played.all_counted().await;
    played.end().await;
}

#[tokio::test]
async fn what_a_healthy_feed_loses_is_found_by_the_next_comparison() {
    let wallets = [Wallet::Margin, Wallet::Futures];
    let mut played = Played::start(wallets.clone(), Duration::from_secs(3_600), Duration::from_millis(200)).await;
    let who = played.who.clone();
    played.settled(&wallets).await;
    for (wallet, symbol) in [(Wallet::Margin, "SOL-USDT"), (Wallet::Futures, "SOL_PERP-USDT")] {
        played.handle.lose_fills_in(&wallet, &who, 1_000).unwrap();
        played.trade(&wallet, symbol, Side::Buy);
    }
    played.all_counted().await;
    played.end().await;
}
