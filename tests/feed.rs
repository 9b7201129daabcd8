//! Feeds against exchanges played on loopback: signing in, losing and finding the connection, filling gaps.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail wherever it finds a fault")]

#[path = "support/exchange.rs"]
mod exchange;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use exchange::{Exchange, Peer, Reply, Request, within};
use fillguard::arrival::{Body, Incoming};
use fillguard::domain::{AccountId, Symbol, Venue};
use fillguard::feed::sign::BinanceSigner;
use fillguard::feed::{Account, CapSource, MarketCap, ReadKey, Settings, SubAccounts, Timing, tasks};
use fillguard::runtime::supervisor::{self, Supervisor};
use fillguard::runtime::{backoff, clock};
use fillguard::secret::Secret;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const SECRET: &str = "not-a-real-secret";

/// The daemon's feeds, and what they hand over.
struct Daemon {
    arrivals: mpsc::Receiver<Incoming>,
    pairs: watch::Sender<BTreeSet<(Venue, Symbol)>>,
    stop: CancellationToken,
    running: JoinSet<Result<(), supervisor::Error>>,
}

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

fn pair(text: &str) -> Symbol {
    Symbol::from_dashed(text).unwrap()
}

fn binance(name: &str) -> Account {
    let key = ReadKey::binance(&format!("key-of-{name}"), &secret(SECRET)).unwrap();
    Account { id: AccountId::new(Venue::Binance, name).unwrap(), key, known_until: None }
}

fn kucoin(name: &str) -> Account {
    let key = ReadKey::kucoin("key-1", &secret(SECRET), &secret("open sesame"), 3).unwrap();
    Account { id: AccountId::new(Venue::Kucoin, name).unwrap(), key, known_until: None }
}

fn coinbase(name: &str) -> Account {
    let key = ReadKey::coinbase("key-1", &secret(&STANDARD.encode([7; 32]))).unwrap();
    Account { id: AccountId::new(Venue::Coinbase, name).unwrap(), key, known_until: None }
}

/// Settings that point every address at one played exchange, with waits a test can afford.
fn settings(exchange: &Exchange, accounts: Vec<Account>) -> Settings {
    let quick = backoff::Settings {
        min: Duration::from_millis(5),
        max: Duration::from_millis(20),
        healthy: Duration::from_secs(60),
    };
    let mut settings = Settings { accounts, ..Settings::default() };
    for rest in [&mut settings.binance.rest, &mut settings.kucoin.rest, &mut settings.coinbase.rest] {
        *rest = exchange.http();
    }
    settings.binance.ws_api = format!("{}/ws-api/v3", exchange.ws());
    settings.binance.stream = exchange.ws();
    settings.kucoin.uta_push = format!("{}/uta", exchange.ws());
    settings.coinbase.ws_user = format!("{}/user", exchange.ws());
    settings.coinbase.ws_market = format!("{}/market", exchange.ws());
    settings.timing = Timing {
        backoff: quick,
        refused: quick,
        debounce: Duration::from_millis(20),
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
        Daemon { arrivals, pairs, stop, running }
    }

    /// Returns the next arrival in one line: who, what.
    async fn next(&mut self) -> String {
        let arrival = within("an arrival", self.arrivals.recv()).await.unwrap();
        let from = arrival.from;
        match arrival.body {
            Body::Frame(frame) => format!("{from} {}", frame.get()),
            Body::Text(text) => format!("{from} text {text}"),
            Body::Bytes(bytes) => format!("{from} {} bytes", bytes.len()),
            Body::Page { call, frame } => format!("{from} {call} -> {}", frame.get()),
            Body::LinkUp => format!("{from} up"),
            Body::LinkDown { why } => format!("{from} down: {why}"),
            Body::Filled { verified, .. } => format!("{from} filled, verified {verified}"),
            Body::Tick => format!("{from} tick"),
        }
    }

    /// Returns the next arrival that begins so; what comes before it is not of this test's interest.
    async fn until(&mut self, start: &str) -> String {
        let mut passed = Vec::new();
        loop {
            let waited = tokio::time::timeout(exchange::PATIENCE, self.next()).await;
            let Ok(line) = waited else { panic!("waited in vain for {start:?}; came: {passed:#?}") };
            if line.starts_with(start) {
                return line;
            }
            passed.push(line);
        }
    }

    async fn end(mut self) -> Vec<String> {
        self.stop.cancel();
        within("the end", self.running.join_next()).await.unwrap().unwrap().unwrap();
        let mut last = Vec::new();
        while !self.arrivals.is_empty() {
            last.push(self.next().await);
        }
        last
    }
}

/// Binance's REST side, for accounts that did nothing.
fn binance_rest(_port: u16, request: &Request) -> Reply {
    match request.path.split('?').next().unwrap() {
        "/api/v3/time" => Reply::json(json!({"serverTime": clock::now().millis()}).to_string()),
        "/api/v3/exchangeInfo" => {
            Reply::json(r#"{"symbols":[{"symbol":"APCBTC","baseAsset":"APC","quoteAsset":"BTC"}]}"#)
        }
        "/api/v3/account" => Reply::json(r#"{"balances":[{"asset":"BTC","free":"1","locked":"0"}]}"#),
        "/api/v3/openOrders" | "/api/v3/myTrades" | "/api/v3/klines" | "/api/v3/aggTrades" => Reply::json("[]"),
        "/api/v3/ticker/24hr" => Reply::json(r#"{"symbol":"APCBTC"}"#),
        _ => Reply::status(404, "{}"),
    }
}

/// Answers a subscription.
async fn subscribed(peer: &mut Peer, number: u64) -> Value {
    let request = peer.hear().await;
    peer.say(json!({"id": request["id"], "status": 200, "result": {"subscriptionId": number}}).to_string()).await;
    request
}

fn event(number: u64, trade: u64) -> String {
    json!({"subscriptionId": number, "event": {"e": "executionReport", "s": "APCBTC", "t": trade}}).to_string()
}

#[tokio::test]
async fn a_binance_account_is_subscribed_with_a_signature_and_its_events_are_passed_untouched() {
    let mut exchange = Exchange::open(binance_rest).await;
    let mut daemon = Daemon::start(settings(&exchange, vec![binance("alice")]));
    let mut peer = exchange.peer().await;
    let request = subscribed(&mut peer, 7).await;
    assert_eq!(request["method"], "userDataStream.subscribe.signature");
    let params = &request["params"];
    let time = params["timestamp"].to_string();
    let signer = BinanceSigner::new(&secret(SECRET)).unwrap();
    assert_eq!(params["signature"], signer.sign(&format!("apiKey=key-of-alice&timestamp={time}")));
    assert_eq!(peer.ping(b"20 s").await, b"20 s");
    // Spaces and the order of fields stay as they are.
    let odd = r#"{ "event":{"s":"APCBTC","e":"executionReport"}, "subscriptionId":7 }"#;
    peer.say(odd).await;
    daemon.until(r#"binance/alice {"id":"#).await;
    assert_eq!(daemon.next().await, "binance/alice up");
    assert_eq!(daemon.until("binance/alice {").await, format!("binance/alice {odd}"));
    let last = daemon.end().await;
    assert_eq!(last.last().unwrap(), "binance/alice down: fillguard is stopping");
}

#[tokio::test]
async fn a_lost_connection_is_said_made_anew_and_its_gap_asked_for() {
    let mut exchange = Exchange::open(binance_rest).await;
    let mut daemon = Daemon::start(settings(&exchange, vec![binance("alice")]));
    let mut peer = exchange.peer().await;
    subscribed(&mut peer, 0).await;
    peer.say(event(0, 1)).await;
    // From nothing: nothing is known to compare balances with.
    assert_eq!(daemon.until("binance/alice/rest filled").await, "binance/alice/rest filled, verified false");
    peer.close(1006 + 6).await;
    assert_eq!(daemon.until("binance/alice down").await, "binance/alice down: the connection was closed (code 1012)");
    let mut peer = exchange.peer().await;
    subscribed(&mut peer, 3).await;
    daemon.until("binance/alice up").await;
    // The pair is known from the account's own event. What was held is told after the trades, as the stream does.
    daemon.until("binance/alice/rest myTrades?symbol=APCBTC&startTime=").await;
    daemon.until("binance/alice/rest account ->").await;
    assert_eq!(daemon.next().await, "binance/alice/rest filled, verified true");
    let signed = exchange.request("/api/v3/myTrades").await;
    assert_eq!(signed.header("X-MBX-APIKEY"), "key-of-alice");
    let (payload, signature) = signed.path.split_once('?').unwrap().1.split_once("&signature=").unwrap();
    assert_eq!(signature, BinanceSigner::new(&secret(SECRET)).unwrap().sign(payload));
    daemon.end().await;
}

#[tokio::test]
async fn a_refused_key_is_told_in_words_and_the_other_accounts_go_on() {
    let mut exchange = Exchange::open(binance_rest).await;
    let mut daemon = Daemon::start(settings(&exchange, vec![binance("alice"), binance("bob")]));
    let mut peer = exchange.peer().await;
    let request = peer.hear().await;
    peer.say(
        json!({"id": request["id"], "status": 401, "error": {"code": -2015, "msg": "Invalid API-key"}}).to_string(),
    )
    .await;
    subscribed(&mut peer, 0).await;
    peer.say(event(0, 1)).await;
    let refusal = daemon.until("binance/alice {").await;
    assert!(refusal.contains("-2015"), "the frame itself is passed: {refusal}");
    let why = daemon.next().await;
    assert!(why.starts_with("binance/alice down: Binance answered -2015: the key was deleted"), "{why}");
    daemon.until("binance/bob up").await;
    daemon.until(r#"binance/bob {"event""#).await;
    // Tried again on the same connection; this time it is let in.
    subscribed(&mut peer, 1).await;
    daemon.until("binance/alice up").await;
    daemon.end().await;
}

#[tokio::test]
async fn an_announced_shutdown_costs_no_event_because_the_next_connection_is_up_first() {
    let mut exchange = Exchange::open(binance_rest).await;
    let mut daemon = Daemon::start(settings(&exchange, vec![binance("alice")]));
    let mut old = exchange.peer().await;
    subscribed(&mut old, 0).await;
    daemon.until("binance/alice up").await;
    old.say(r#"{"event":{"e":"serverShutdown","E":1770123456789}}"#).await;
    let mut new = exchange.peer().await;
    let request = new.hear().await;
    // Between the two both are listened to.
    old.say(event(0, 1)).await;
    daemon.until(&format!("binance/alice {}", event(0, 1))).await;
    new.say(json!({"id": request["id"], "status": 200, "result": {"subscriptionId": 5}}).to_string()).await;
    new.say(event(5, 2)).await;
    let mut came = Vec::new();
    while came.last() != Some(&format!("binance/alice {}", event(5, 2))) {
        came.push(daemon.next().await);
    }
    assert!(!came.iter().any(|line| line.contains("down") || line.contains("up")), "{came:?}");
    old.closed().await;
    daemon.end().await;
}

#[tokio::test]
async fn an_event_that_comes_before_the_answer_is_kept_until_its_account_is_known() {
    let mut exchange = Exchange::open(binance_rest).await;
    let mut daemon = Daemon::start(settings(&exchange, vec![binance("alice")]));
    let mut peer = exchange.peer().await;
    let request = peer.hear().await;
    peer.say(event(9, 1)).await;
    peer.say(json!({"id": request["id"], "status": 200, "result": {"subscriptionId": 9}}).to_string()).await;
    daemon.until("binance/alice up").await;
    assert_eq!(daemon.next().await, format!("binance/alice {}", event(9, 1)));
    daemon.end().await;
}

#[tokio::test]
async fn a_clock_that_is_off_is_set_right_once_and_the_account_asked_for_again() {
    let asked = AtomicUsize::new(0);
    let ahead = 90_000;
    let mut exchange = Exchange::open(move |port, request| {
        // Their clock jumps after our first look at it.
        if request.path == "/api/v3/time" && asked.fetch_add(1, Ordering::SeqCst) > 0 {
            return Reply::json(json!({"serverTime": clock::now().millis() + ahead}).to_string());
        }
        binance_rest(port, request)
    })
    .await;
    let mut given = settings(&exchange, vec![binance("alice")]);
    given.timing.ack = Duration::from_millis(1_000);
    let mut daemon = Daemon::start(given);
    let mut peer = exchange.peer().await;
    let request = peer.hear().await;
    peer.say(json!({"id": request["id"], "status": 400, "error": {"code": -1021, "msg": "Timestamp"}}).to_string())
        .await;
    let again = subscribed(&mut peer, 0).await;
    let time = |request: &Value| request["params"]["timestamp"].as_i64().unwrap();
    assert!(time(&again) - time(&request) >= ahead, "{} {}", time(&again), time(&request));
    let mut line = daemon.next().await;
    while line != "binance/alice up" {
        assert!(!line.contains("down"), "{line}");
        line = daemon.next().await;
    }
    daemon.end().await;
}

#[tokio::test]
async fn an_ended_stream_is_said_and_subscribed_again_on_the_same_connection() {
    let mut exchange = Exchange::open(binance_rest).await;
    let mut daemon = Daemon::start(settings(&exchange, vec![binance("alice")]));
    let mut peer = exchange.peer().await;
    subscribed(&mut peer, 0).await;
    peer.say(r#"{"subscriptionId":0,"event":{"e":"eventStreamTerminated","E":1}}"#).await;
    daemon.until("binance/alice down: Binance ended this account's stream").await;
    subscribed(&mut peer, 1).await;
    daemon.until("binance/alice up").await;
    daemon.end().await;
}

#[tokio::test]
async fn garbage_is_passed_as_it_came_and_a_giant_ends_the_connection() {
    let mut exchange = Exchange::open(binance_rest).await;
    let mut daemon = Daemon::start(settings(&exchange, vec![binance("alice")]));
    let mut peer = exchange.peer().await;
    subscribed(&mut peer, 0).await;
    peer.say("Unauthorized <not json>").await;
    peer.say_bytes(vec![0xff, 0xfe, 1]).await;
    daemon.until("binance/alice text Unauthorized <not json>").await;
    daemon.until("binance/alice 3 bytes").await;
    peer.say("x".repeat(1024 * 1024 + 1)).await;
    daemon.until("binance/alice down: a message of more than 1 MiB").await;
    subscribed(&mut exchange.peer().await, 0).await;
    daemon.until("binance/alice up").await;
    daemon.end().await;
}

#[tokio::test]
async fn a_server_that_answers_nothing_any_more_is_left() {
    let mut exchange = Exchange::open(binance_rest).await;
    let mut given = settings(&exchange, vec![binance("alice")]);
    (given.timing.silence, given.timing.pong) = (Duration::from_millis(200), Duration::from_millis(200));
    let mut daemon = Daemon::start(given);
    let mut peer = exchange.peer().await;
    subscribed(&mut peer, 0).await;
    daemon.until("binance/alice up").await;
    peer.stay_silent().await;
    let why = daemon.until("binance/alice down").await;
    assert_eq!(why, "binance/alice down: silent for 400 ms: not even our ping was answered");
    subscribed(&mut exchange.peer().await, 0).await;
    daemon.end().await;
}

#[tokio::test]
async fn a_pair_is_seeded_when_first_wanted_and_streams_follow_what_is_wanted() {
    let mut exchange = Exchange::open(binance_rest).await;
    let mut given = settings(&exchange, Vec::new());
    given.watch = vec![(Venue::Binance, pair("APC-BTC"))];
    let mut daemon = Daemon::start(given);
    let mut peer = exchange.peer().await;
    assert_eq!(peer.path, "/stream");
    let request = peer.hear().await;
    assert_eq!(
        request,
        json!({"method": "SUBSCRIBE", "params": ["apcbtc@trade", "apcbtc@miniTicker"], "id": request["id"]})
    );
    peer.say(json!({"result": null, "id": request["id"]}).to_string()).await;
    peer.say(r#"{"stream":"apcbtc@trade","data":{}}"#).await;
    let mut came: Vec<String> = Vec::new();
    while came.len() < 8 {
        let line = daemon.next().await.split(" ->").next().unwrap().to_owned();
        // From when to when is the clock's matter.
        came.push(line.split("&startTime=").next().unwrap().to_owned());
    }
    came.sort();
    assert_eq!(
        came,
        [
            r#"binance/market up"#,
            r#"binance/market {"id":1,"result":null}"#,
            r#"binance/market {"stream":"apcbtc@trade","data":{}}"#,
            "binance/market/rest aggTrades?symbol=APCBTC",
            "binance/market/rest exchangeInfo",
            "binance/market/rest klines?symbol=APCBTC&interval=1m",
            "binance/market/rest klines?symbol=APCBTC&interval=1m",
            "binance/market/rest ticker/24hr?symbol=APCBTC",
        ]
    );
    daemon.pairs.send(BTreeSet::from([(Venue::Binance, pair("XYZ-BTC")), (Venue::Kucoin, pair("XYZ-BTC"))])).unwrap();
    // KuCoin's market connects too; this one is Binance's.
    assert_eq!(peer.hear().await["params"], json!(["xyzbtc@trade", "xyzbtc@miniTicker"]));
    daemon.pairs.send(BTreeSet::new()).unwrap();
    let request = peer.hear().await;
    assert_eq!((&request["method"], &request["params"][0]), (&json!("UNSUBSCRIBE"), &json!("xyzbtc@trade")));
    daemon.end().await;
}

/// KuCoin's REST side: a classic account that traded one pair.
fn kucoin_rest(port: u16, request: &Request) -> Reply {
    match request.path.split('?').next().unwrap() {
        "/api/v1/timestamp" => Reply::json(json!({"code": "200000", "data": clock::now().millis()}).to_string()),
        "/api/ua/v1/account/mode" => Reply::status(404, "no such page"),
        "/api/v1/bullet-private" | "/api/v1/bullet-public" => {
            let server = json!({"endpoint": format!("ws://127.0.0.1:{port}/kucoin"), "encrypt": true,
                "protocol": "websocket", "pingInterval": 200, "pingTimeout": 1_000});
            Reply::json(
                json!({"code": "200000", "data": {"token": "tok/en==", "instanceServers": [server]}}).to_string(),
            )
        }
        "/api/v1/hf/accounts/ledgers" => {
            let context = json!({"symbol": "APC-BTC", "orderId": "o1", "tradeId": "7"}).to_string();
            Reply::json(json!({"code": "200000", "data": [{"id": "1", "context": context}]}).to_string())
        }
        "/api/v1/hf/fills" => Reply::json(r#"{"code":"200000","data":{"items":[{"tradeId":7}],"lastId":1}}"#),
        _ => Reply::json(r#"{"code":"404000","msg":"Url Not Found"}"#),
    }
}

/// Lets a client in: the welcome, and an answer to each subscription. Returns the topics.
async fn let_in(peer: &mut Peer) -> Vec<String> {
    let connect_id = peer.path.split("connectId=").nth(1).unwrap().to_owned();
    peer.say(json!({"id": connect_id, "type": "welcome"}).to_string()).await;
    let mut topics = Vec::new();
    while topics.len() < 2 {
        let request = peer.hear().await;
        assert_eq!((&request["type"], &request["privateChannel"]), (&json!("subscribe"), &json!(true)));
        topics.push(request["topic"].as_str().unwrap().to_owned());
        peer.say(json!({"id": request["id"], "type": "ack"}).to_string()).await;
    }
    topics
}

#[tokio::test]
async fn a_classic_kucoin_account_is_welcomed_subscribed_and_its_gap_filled() {
    let mut exchange = Exchange::open(kucoin_rest).await;
    let mut given = settings(&exchange, vec![kucoin("carol")]);
    given.timing.lookback = Duration::from_secs(3_600);
    let mut daemon = Daemon::start(given);
    let mut peer = exchange.peer().await;
    assert!(peer.path.starts_with("/kucoin?token=tok%2Fen%3D%3D&connectId="), "{}", peer.path);
    let signed = exchange.request("/api/v1/bullet-private").await;
    assert_eq!((signed.method.as_str(), signed.header("KC-API-KEY-VERSION")), ("POST", "3"));
    assert_eq!(let_in(&mut peer).await, ["/spotMarket/tradeOrdersV2", "/account/balance"]);
    daemon.until("kucoin/carol up").await;
    daemon.until("kucoin/carol/rest hf/accounts/ledgers?bizType=TRADE_EXCHANGE").await;
    daemon.until("kucoin/carol/rest hf/fills?symbol=APC-BTC").await;
    assert_eq!(daemon.next().await, "kucoin/carol/rest filled, verified true");
    daemon.end().await;
}

#[tokio::test]
async fn kucoin_is_pinged_by_us_and_left_when_it_does_not_answer() {
    let mut exchange = Exchange::open(kucoin_rest).await;
    let mut daemon = Daemon::start(settings(&exchange, vec![kucoin("carol")]));
    let mut peer = exchange.peer().await;
    let_in(&mut peer).await;
    for _ in 0..2 {
        let ping = peer.hear().await;
        assert_eq!(ping["type"], "ping");
        peer.say(json!({"id": ping["id"], "type": "pong"}).to_string()).await;
    }
    daemon.until("kucoin/carol up").await;
    let why = daemon.until("kucoin/carol down").await;
    assert_eq!(why, "kucoin/carol down: silent for 1 s: our ping was not answered");
    // A new connection has a new token.
    let mut peer = exchange.peer().await;
    let_in(&mut peer).await;
    daemon.until("kucoin/carol up").await;
    daemon.end().await;
}

#[tokio::test]
async fn a_wrong_passphrase_is_told_in_words() {
    let exchange = Exchange::open(|port, request: &Request| match request.path.as_str() {
        "/api/v1/bullet-private" => Reply::json(r#"{"code":"400004","msg":"Invalid KC-API-PASSPHRASE"}"#),
        _ => kucoin_rest(port, request),
    })
    .await;
    let mut daemon = Daemon::start(settings(&exchange, vec![kucoin("carol")]));
    let why = daemon.next().await;
    assert!(why.starts_with("kucoin/carol down: KuCoin answered 400004: the passphrase is wrong"), "{why}");
    daemon.end().await;
}

#[tokio::test]
async fn without_a_welcome_nothing_is_said_and_the_connection_is_left() {
    let mut exchange = Exchange::open(kucoin_rest).await;
    let mut given = settings(&exchange, vec![kucoin("carol")]);
    given.timing.ack = Duration::from_millis(400);
    let mut daemon = Daemon::start(given);
    let peer = exchange.peer().await;
    assert_eq!(daemon.next().await, "kucoin/carol down: silent for 200 ms: no welcome");
    peer.closed().await;
    daemon.end().await;
}

#[tokio::test]
async fn a_unified_kucoin_account_signs_in_by_a_frame() {
    let mut exchange = Exchange::open(|port, request: &Request| match request.path.split('?').next().unwrap() {
        "/api/ua/v1/account/mode" => Reply::json(r#"{"code":"200000","data":{"selfAccountMode":"UNIFIED"}}"#),
        "/api/ua/v1/unified/order/execution" => Reply::json(r#"{"code":"200000","data":{"items":[]}}"#),
        _ => kucoin_rest(port, request),
    })
    .await;
    let mut daemon = Daemon::start(settings(&exchange, vec![kucoin("dave")]));
    let mut peer = exchange.peer().await;
    assert_eq!(peer.path, "/uta");
    peer.say(r#"{"sessionId":"s","message":"welcome","pingInterval":18000}"#).await;
    let auth = peer.hear().await;
    assert_eq!((&auth["op"], &auth["kc-api-key"]), (&json!("auth"), &json!("key-1")));
    peer.say(json!({"id": auth["id"], "result": true}).to_string()).await;
    let mut channels = Vec::new();
    while channels.len() < 3 {
        let request = peer.hear().await;
        channels.push((request["channel"].clone(), request["tradeType"].clone(), request["accountType"].clone()));
        // Answers may be binary.
        peer.say_bytes(json!({"id": request["id"], "result": true}).to_string().into_bytes()).await;
    }
    let (unified, none) = (json!("UNIFIED"), Value::Null);
    assert_eq!(
        channels,
        [
            (json!("execution"), unified.clone(), none.clone()),
            (json!("orderAll"), unified.clone(), none.clone()),
            (json!("balance"), none, unified),
        ]
    );
    daemon.until("kucoin/dave up").await;
    daemon.until("kucoin/dave/rest filled, verified true").await;
    daemon.end().await;
}

#[tokio::test]
async fn kucoins_market_is_subscribed_without_a_key() {
    let mut exchange = Exchange::open(|port, request: &Request| match request.path.split('?').next().unwrap() {
        "/api/v1/market/candles" => Reply::json(r#"{"code":"200000","data":[]}"#),
        _ => kucoin_rest(port, request),
    })
    .await;
    let mut given = settings(&exchange, Vec::new());
    given.watch = vec![(Venue::Kucoin, pair("APC-BTC")), (Venue::Kucoin, pair("XYZ-BTC"))];
    let mut daemon = Daemon::start(given);
    let mut peer = exchange.peer().await;
    assert_eq!(exchange.request("/api/v1/bullet-public").await.header("KC-API-KEY"), "");
    let connect_id = peer.path.split("connectId=").nth(1).unwrap().to_owned();
    peer.say(json!({"id": connect_id, "type": "welcome"}).to_string()).await;
    for topic in ["/market/match:APC-BTC,XYZ-BTC", "/market/snapshot:APC-BTC,XYZ-BTC"] {
        let request = peer.hear().await;
        assert_eq!(request["topic"], topic);
        peer.say(json!({"id": request["id"], "type": "ack"}).to_string()).await;
    }
    daemon.until("kucoin/market up").await;
    daemon.end().await;
}

#[tokio::test]
async fn a_pair_kucoin_does_not_know_spoils_no_other_of_its_message() {
    let mut exchange = Exchange::open(|port, request: &Request| match request.path.split('?').next().unwrap() {
        "/api/v1/market/candles" | "/api/v1/market/histories" if request.path.contains("DEAD-BTC") => {
            Reply::json(r#"{"code":"900001","msg":"symbol not exists"}"#)
        }
        "/api/v1/market/candles" | "/api/v1/market/histories" => Reply::json(r#"{"code":"200000","data":[]}"#),
        _ => kucoin_rest(port, request),
    })
    .await;
    let mut given = settings(&exchange, Vec::new());
    given.watch = ["APC-BTC", "DEAD-BTC", "XYZ-BTC"].map(|name| (Venue::Kucoin, pair(name))).to_vec();
    let mut daemon = Daemon::start(given);
    let mut peer = exchange.peer().await;
    let connect_id = peer.path.split("connectId=").nth(1).unwrap().to_owned();
    peer.say(json!({"id": connect_id, "type": "welcome"}).to_string()).await;
    let (mut taken, mut refused) = (BTreeSet::new(), 0);
    while taken.len() < 4 {
        let request = peer.hear().await;
        let topic = request["topic"].as_str().unwrap();
        if topic.contains("DEAD-BTC") {
            refused += 1;
            let why = format!("topic {topic} is not found");
            peer.say(json!({"id": request["id"], "type": "error", "code": 404, "data": why}).to_string()).await;
        } else {
            let (channel, names) = topic.split_once(':').unwrap();
            taken.extend(names.split(',').map(|name| format!("{channel}:{name}")));
            peer.say(json!({"id": request["id"], "type": "ack"}).to_string()).await;
        }
    }
    assert!((2..=6).contains(&refused), "{refused}");
    daemon.until("kucoin/market up").await;
    // On a new connection the unknown pair is not asked for.
    peer.close(1001).await;
    let mut peer = exchange.peer().await;
    let connect_id = peer.path.split("connectId=").nth(1).unwrap().to_owned();
    peer.say(json!({"id": connect_id, "type": "welcome"}).to_string()).await;
    assert_eq!(peer.hear().await["topic"], "/market/match:APC-BTC,XYZ-BTC");
    daemon.end().await;
}

#[tokio::test]
async fn a_pair_coinbase_does_not_know_spoils_no_other_of_its_message() {
    // Some errors name the pair, some do not.
    for named in [true, false] {
        let mut exchange = Exchange::open(coinbase_rest).await;
        let mut given = settings(&exchange, Vec::new());
        given.watch = ["APC-USD", "DEAD-USD", "XYZ-USD"].map(|name| (Venue::Coinbase, pair(name))).to_vec();
        let mut daemon = Daemon::start(given);
        let mut peer = exchange.peer().await;
        assert_eq!(peer.hear().await["channel"], "heartbeats");
        let mut taken: BTreeSet<(String, String)> = BTreeSet::new();
        let trades = |taken: &BTreeSet<(String, String)>| {
            taken
                .iter()
                .filter(|(channel, _)| channel == "market_trades")
                .map(|(_, name)| name.clone())
                .collect::<Vec<_>>()
        };
        while taken.len() < 4 {
            let request = peer.hear().await;
            let names: Vec<String> =
                request["product_ids"].as_array().unwrap().iter().map(|name| name.as_str().unwrap().into()).collect();
            if names.contains(&"DEAD-USD".to_owned()) {
                let why = if named { "DEAD-USD is not a valid product" } else { "Failed to subscribe" };
                peer.say(json!({"type": "error", "message": why}).to_string()).await;
                continue;
            }
            let channel = request["channel"].as_str().unwrap().to_owned();
            taken.extend(names.into_iter().map(|name| (channel.clone(), name)));
            let listed = json!([{"subscriptions": {"market_trades": trades(&taken)}}]);
            peer.say(json!({"channel": "subscriptions", "events": listed}).to_string()).await;
        }
        assert_eq!(trades(&taken), ["APC-USD", "XYZ-USD"]);
        daemon.until("coinbase/market up").await;
        // The connection goes on: nothing was lost.
        peer.say(r#"{"channel":"heartbeats","events":[]}"#).await;
        daemon.until(r#"coinbase/market {"channel":"heartbeats""#).await;
        daemon.end().await;
    }
}

/// Coinbase's REST side: two pages of fills.
fn coinbase_rest(_port: u16, request: &Request) -> Reply {
    match request.path.split('?').next().unwrap() {
        "/api/v3/brokerage/time" => Reply::json(json!({"epochMillis": clock::now().millis().to_string()}).to_string()),
        "/api/v3/brokerage/orders/historical/fills" if request.param("cursor").is_none() => {
            Reply::json(r#"{"fills":[{"trade_id":"2"}],"cursor":"next=1"}"#)
        }
        "/api/v3/brokerage/orders/historical/fills" => Reply::json(r#"{"fills":[{"trade_id":"1"}],"cursor":""}"#),
        "/api/v3/brokerage/market/products/APC-USD/candles" => Reply::json(r#"{"candles":[]}"#),
        "/api/v3/brokerage/market/products/APC-USD/ticker" => Reply::json(r#"{"trades":[]}"#),
        _ => Reply::status(404, "{}"),
    }
}

fn claims(token: &str) -> Value {
    let part = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

/// Takes the two subscriptions and confirms them; the next message has number 1.
async fn coinbase_in(peer: &mut Peer) -> Vec<String> {
    let mut channels = Vec::new();
    let mut tokens = BTreeSet::new();
    while channels.len() < 2 {
        let request = peer.hear().await;
        // A token lives two minutes and is made for one message.
        assert!(tokens.insert(request["jwt"].to_string()));
        let claims = claims(request["jwt"].as_str().unwrap());
        assert_eq!((&claims["iss"], &claims["uri"]), (&json!("cdp"), &Value::Null));
        assert_eq!(claims["exp"].as_i64().unwrap() - claims["nbf"].as_i64().unwrap(), 120);
        channels.push(request["channel"].as_str().unwrap().to_owned());
    }
    let events = json!([{"subscriptions": {"user": ["portfolio"], "heartbeats": ["heartbeats"]}}]);
    peer.say(json!({"channel": "subscriptions", "sequence_num": 0, "events": events}).to_string()).await;
    channels
}

#[tokio::test]
async fn a_coinbase_key_signs_in_reads_its_gap_and_asks_for_the_fills_of_changed_orders() {
    let mut exchange = Exchange::open(coinbase_rest).await;
    let mut daemon = Daemon::start(settings(&exchange, vec![coinbase("erin")]));
    let mut peer = exchange.peer().await;
    assert_eq!(coinbase_in(&mut peer).await, ["user", "heartbeats"]);
    daemon.until("coinbase/erin up").await;
    let gap = "coinbase/erin/rest orders/historical/fills?start_sequence_timestamp=";
    // The list comes newest first, and is handed over oldest first.
    assert!(daemon.until(gap).await.contains("&cursor=next%3D1 ->"));
    assert!(!daemon.until(gap).await.contains("&cursor="));
    assert_eq!(daemon.next().await, "coinbase/erin/rest filled, verified true");
    let signed = exchange.request("/api/v3/brokerage/orders").await;
    let token = signed.header("Authorization").strip_prefix("Bearer ").unwrap();
    let host = exchange.http().replace("http://", "");
    assert_eq!(claims(token)["uri"], format!("GET {host}/api/v3/brokerage/orders/historical/fills"));

    let update = |number: u64, order: &str| {
        let events = json!([{"type": "update", "orders": [{"order_id": order}]}]);
        json!({"channel": "user", "sequence_num": number, "events": events}).to_string()
    };
    peer.say(update(1, "o-1")).await;
    peer.say(update(2, "o-2")).await;
    daemon.until("coinbase/erin/rest orders/historical/fills?order_ids=o-1&order_ids=o-2&limit=100 ->").await;
    // Number 3 is missing: what it told is asked for.
    peer.say(r#"{"channel":"heartbeats","sequence_num":4,"events":[]}"#).await;
    daemon.until("coinbase/erin/rest filled, verified true").await;
    daemon.end().await;
}

#[tokio::test]
async fn coinbase_without_heartbeats_is_left() {
    let mut exchange = Exchange::open(coinbase_rest).await;
    let mut given = settings(&exchange, vec![coinbase("erin")]);
    (given.timing.heartbeat, given.timing.ack) = (Duration::from_millis(300), Duration::from_secs(3));
    let mut daemon = Daemon::start(given);
    let mut peer = exchange.peer().await;
    coinbase_in(&mut peer).await;
    daemon.until("coinbase/erin up").await;
    peer.say(r#"{"channel":"heartbeats","sequence_num":1,"events":[]}"#).await;
    assert_eq!(daemon.until("coinbase/erin down").await, "coinbase/erin down: silent for 300 ms: no heartbeat");
    coinbase_in(&mut exchange.peer().await).await;
    daemon.until("coinbase/erin up").await;
    daemon.end().await;
}

#[tokio::test]
async fn a_key_coinbase_does_not_know_is_told_in_words() {
    let mut exchange = Exchange::open(coinbase_rest).await;
    let mut daemon = Daemon::start(settings(&exchange, vec![coinbase("erin")]));
    let mut peer = exchange.peer().await;
    peer.hear().await;
    peer.say(r#"{"type":"error","message":"authentication failure"}"#).await;
    daemon.until(r#"coinbase/erin {"type":"error""#).await;
    let why = daemon.next().await;
    assert!(
        why.starts_with("coinbase/erin down: Coinbase answered authentication failure: the key was deleted"),
        "{why}"
    );
    daemon.end().await;
}

#[tokio::test]
async fn coinbases_market_needs_no_token() {
    let mut exchange = Exchange::open(coinbase_rest).await;
    let mut given = settings(&exchange, Vec::new());
    given.watch = vec![(Venue::Coinbase, pair("APC-USD"))];
    let mut daemon = Daemon::start(given);
    let mut peer = exchange.peer().await;
    assert_eq!(peer.hear().await, json!({"type": "subscribe", "channel": "heartbeats"}));
    for channel in ["market_trades", "ticker"] {
        assert_eq!(peer.hear().await, json!({"type": "subscribe", "product_ids": ["APC-USD"], "channel": channel}));
    }
    peer.say(r#"{"channel":"subscriptions","events":[{"subscriptions":{"market_trades":["APC-USD"]}}]}"#).await;
    daemon.until("coinbase/market up").await;
    daemon.end().await;
}

#[tokio::test]
async fn a_healthy_connection_is_compared_with_the_exchanges_list_all_the_same() {
    let mut exchange = Exchange::open(coinbase_rest).await;
    let mut given = settings(&exchange, vec![coinbase("erin")]);
    given.timing.reconcile = Duration::from_millis(50);
    let mut daemon = Daemon::start(given);
    let mut peer = exchange.peer().await;
    coinbase_in(&mut peer).await;
    for _ in 0..3 {
        daemon.until("coinbase/erin/rest filled, verified true").await;
    }
    daemon.end().await;
}

#[tokio::test]
async fn a_key_that_dies_while_its_feed_is_quiet_is_found_by_asking() {
    let dead = Arc::new(AtomicUsize::new(0));
    let key = Arc::clone(&dead);
    let mut exchange = Exchange::open(move |port, request| {
        if request.path.starts_with("/api/v3/account") && key.load(Ordering::SeqCst) > 0 {
            return Reply::status(401, r#"{"code":-2015,"msg":"Invalid API-key"}"#);
        }
        binance_rest(port, request)
    })
    .await;
    let mut given = settings(&exchange, vec![binance("alice"), binance("bob")]);
    given.timing.reconcile = Duration::from_millis(50);
    let mut daemon = Daemon::start(given);
    let mut peer = exchange.peer().await;
    subscribed(&mut peer, 0).await;
    subscribed(&mut peer, 1).await;
    daemon.until("binance/bob up").await;
    dead.store(1, Ordering::SeqCst);
    // Both are asked about; bob's key lives, alice's does not.
    let mut told = BTreeSet::new();
    while told.len() < 2 {
        let request = peer.hear().await;
        let alice = request["params"]["apiKey"] == "key-of-alice";
        let (status, code) = if alice { (401, -2015) } else { (400, -2035) };
        peer.say(json!({"id": request["id"], "status": status, "error": {"code": code, "msg": "x"}}).to_string()).await;
        told.insert(alice);
    }
    let why = daemon.until("binance/alice down").await;
    assert!(why.starts_with("binance/alice down: Binance answered -2015"), "{why}");
    assert!(!daemon.end().await.iter().any(|line| line.starts_with("binance/bob down: Binance")));
}

#[tokio::test]
async fn an_exchange_that_asks_to_wait_is_waited_for() {
    let asked = AtomicUsize::new(0);
    let mut exchange = Exchange::open(move |port, request| {
        if request.path.starts_with("/api/v3/brokerage/orders") && asked.fetch_add(1, Ordering::SeqCst) == 0 {
            return Reply { status: 429, headers: "Retry-After: 1\r\n".to_owned(), body: "{}".to_owned() };
        }
        coinbase_rest(port, request)
    })
    .await;
    let mut daemon = Daemon::start(settings(&exchange, vec![coinbase("erin")]));
    let mut peer = exchange.peer().await;
    coinbase_in(&mut peer).await;
    exchange.request("/api/v3/brokerage/orders").await;
    let refused_at = clock::steady();
    exchange.request("/api/v3/brokerage/orders").await;
    // Not how fast, but that it was not at once.
    assert!(clock::steady() - refused_at >= Duration::from_millis(900));
    daemon.until("coinbase/erin/rest filled, verified true").await;
    daemon.end().await;
}

/// Coinbase Exchange's REST side, for a profile that did nothing.
fn coinbase_exchange_rest(_port: u16, request: &Request) -> Reply {
    match request.path.split('?').next().unwrap() {
        "/time" => Reply::json(json!({"iso": clock::now().to_string(), "epoch": 1.5}).to_string()),
        "/products" => Reply::json(
            r#"[{"id":"APC-USD","status":"online"},{"id":"BTC-USD","status":"online"},{"id":"OLD-USD","status":"delisted"}]"#,
        ),
        "/accounts" => Reply::json(r#"[{"id":"u-1","currency":"USD","balance":"0","available":"0","hold":"0"}]"#),
        "/orders" => Reply::json("[]"),
        _ => Reply::status(404, r#"{"message":"NotFound"}"#),
    }
}

fn coinbase_exchange(name: &str) -> Account {
    let key = ReadKey::coinbase_exchange("key-1", &secret(&STANDARD.encode([7; 32])), &secret("open")).unwrap();
    Account { id: AccountId::new(Venue::Coinbase, name).unwrap(), key, known_until: None }
}

fn coinbase_exchange_settings(exchange: &Exchange) -> Settings {
    let mut given = settings(exchange, vec![coinbase_exchange("erin")]);
    (given.coinbase.exchange_rest, given.coinbase.exchange_ws) = (exchange.http(), exchange.ws());
    given
}

/// Takes the one subscription and confirms it; returns the pairs of its `user` channel.
async fn coinbase_exchange_in(peer: &mut Peer) -> Value {
    let request = peer.hear().await;
    assert_eq!(
        (&request["type"], &request["key"], &request["passphrase"]),
        (&json!("subscribe"), &json!("key-1"), &json!("open"))
    );
    let channels = &request["channels"];
    assert_eq!((&channels[0]["name"], &channels[1]["name"]), (&json!("user"), &json!("heartbeat")));
    assert_eq!(channels[1]["product_ids"].as_array().unwrap().len(), 1);
    peer.say(json!({"type": "subscriptions", "channels": channels}).to_string()).await;
    channels[0]["product_ids"].clone()
}

#[tokio::test]
async fn a_pair_that_coinbase_exchange_refuses_is_left_out_and_the_rest_is_watched() {
    let mut exchange = Exchange::open(coinbase_exchange_rest).await;
    let mut daemon = Daemon::start(coinbase_exchange_settings(&exchange));
    let mut peer = exchange.peer().await;
    let asked = peer.hear().await;
    assert_eq!(asked["channels"][0]["product_ids"], json!(["APC-USD", "BTC-USD"]), "delisted ones are not asked for");
    peer.say(r#"{"type":"error","message":"Failed to subscribe","reason":"APC-USD is not a valid product"}"#).await;
    daemon.until("coinbase/erin down: a pair was refused and is left out from now on").await;
    let mut peer = exchange.peer().await;
    assert_eq!(coinbase_exchange_in(&mut peer).await, json!(["BTC-USD"]));
    daemon.until("coinbase/erin up").await;
    daemon.until("coinbase/erin/rest accounts ->").await;
    assert_eq!(daemon.until("coinbase/erin/rest filled").await, "coinbase/erin/rest filled, verified true");
    let signed = exchange.request("/accounts").await;
    assert_eq!((signed.header("CB-ACCESS-KEY"), signed.header("CB-ACCESS-PASSPHRASE")), ("key-1", "open"));
    // Frames are passed as they came.
    let odd = r#"{ "type":"heartbeat" , "product_id":"BTC-USD"}"#;
    peer.say(odd).await;
    daemon.until(&format!("coinbase/erin {odd}")).await;
    daemon.end().await;
}

#[tokio::test]
async fn coinbase_exchange_that_stops_beating_or_never_confirms_is_left() {
    let mut exchange = Exchange::open(coinbase_exchange_rest).await;
    let mut given = coinbase_exchange_settings(&exchange);
    (given.timing.heartbeat, given.timing.ack) = (Duration::from_millis(300), Duration::from_secs(2));
    let mut daemon = Daemon::start(given);
    let mut peer = exchange.peer().await;
    coinbase_exchange_in(&mut peer).await;
    daemon.until("coinbase/erin up").await;
    peer.say(r#"{"type":"heartbeat","product_id":"BTC-USD","sequence":1,"last_trade_id":1}"#).await;
    assert_eq!(daemon.until("coinbase/erin down").await, "coinbase/erin down: silent for 300 ms: no heartbeat");
    let mut peer = exchange.peer().await;
    peer.hear().await;
    let why = daemon.until("coinbase/erin down").await;
    assert!(why.starts_with("coinbase/erin down: silent for"), "{why}");
    coinbase_exchange_in(&mut exchange.peer().await).await;
    daemon.until("coinbase/erin up").await;
    daemon.end().await;
}

/// Binance's REST side with what it says about keys; the one that asks may look at a sub-account's.
fn binance_keys(port: u16, request: &Request) -> Reply {
    match request.path.split('?').next().unwrap() {
        "/sapi/v1/account/apiRestrictions" => Reply::json(r#"{"ipRestrict":true,"enableReading":true}"#),
        "/sapi/v1/sub-account/list" => {
            Reply::json(r#"{"subAccounts":[{"email":"bot+1@example.org"},{"email":"b&t"}]}"#)
        }
        "/sapi/v1/sub-account/subAccountApi" => {
            Reply::json(r#"{"total":1,"rows":[{"email":"bot+1@example.org","apikey":"id-of-grid","canTrade":true}]}"#)
        }
        "/sapi/v1/sub-account/subAccountApi/ipRestriction" => {
            Reply::json(r#"{"ipRestrict":"true","ipList":["203.0.113.7"],"apiKey":"id-of-grid"}"#)
        }
        _ => binance_rest(port, request),
    }
}

#[tokio::test]
async fn what_a_key_may_do_is_asked_whenever_its_feed_comes_up_and_then_again_and_again() {
    let mut exchange = Exchange::open(binance_keys).await;
    let mut asked_once = settings(&exchange, vec![binance("alice")]);
    asked_once.timing.key_state = Duration::from_secs(3_600);
    let mut daemon = Daemon::start(asked_once.clone());
    let own = "binance/alice/rest sapi/v1/account/apiRestrictions?key=";
    for _ in 0..2 {
        let mut peer = exchange.peer().await;
        subscribed(&mut peer, 0).await;
        let page = daemon.until(own).await;
        assert!(page.ends_with(r#" -> {"ipRestrict":true,"enableReading":true}"#) && !page.contains("key-of-alice"));
        peer.close(1001).await;
    }
    daemon.end().await;
    let mut often = asked_once;
    often.timing.key_state = Duration::from_millis(10);
    let mut daemon = Daemon::start(often);
    let mut peer = exchange.peer().await;
    subscribed(&mut peer, 0).await;
    for _ in 0..5 {
        daemon.until(own).await;
    }
    daemon.end().await;
}

#[tokio::test]
async fn the_keys_of_sub_accounts_are_listed_and_their_ids_stay_in_the_questions() {
    let mut exchange = Exchange::open(binance_keys).await;
    let mut settings = settings(&exchange, vec![binance("alice")]);
    settings.sub_accounts = [(binance("alice").id, SubAccounts::All)].into();
    let mut daemon = Daemon::start(settings);
    let mut peer = exchange.peer().await;
    subscribed(&mut peer, 0).await;
    daemon.until("binance/alice/rest sapi/v1/sub-account/list?").await;
    let page = daemon.until("binance/alice/rest sapi/v1/sub-account/subAccountApi?").await;
    assert!(page.contains("subAccountApi?email=bot+1@example.org&page=1&size=100 ->"), "{page}");
    let page = daemon.until("binance/alice/rest sapi/v1/sub-account/subAccountApi/ipRestriction?").await;
    let call = page.split(" -> ").next().unwrap();
    assert!(call.contains("email=bot+1@example.org&key=") && !call.contains("id-of-grid"), "{call}");
    let request = exchange.request("/sapi/v1/sub-account/subAccountApi/ipRestriction").await;
    assert!(request.path.contains("email=bot%2B1%40example.org&subAccountApiKey=id-of-grid&"), "{}", request.path);
    daemon.end().await;
}

#[tokio::test]
async fn a_key_that_may_not_be_looked_at_keeps_its_connection_and_a_dead_one_does_not() {
    let dead = Arc::new(AtomicUsize::new(0));
    let is_dead = Arc::clone(&dead);
    let mut exchange = Exchange::open(move |port, request| match request.path.as_str() {
        "/api/v1/user/api-key" if is_dead.load(Ordering::Relaxed) == 0 => {
            Reply::json(r#"{"code":"400007","msg":"Access denied, require more permission"}"#)
        }
        // The peer answers no pings, so none may be due while the test lasts.
        _ if is_dead.load(Ordering::Relaxed) == 0 => {
            let reply = kucoin_rest(port, request);
            Reply { body: reply.body.replace("\"pingInterval\":200", "\"pingInterval\":60000"), ..reply }
        }
        _ => Reply::json(r#"{"code":"400003","msg":"KC-API-KEY not exists"}"#),
    })
    .await;
    let mut settings = settings(&exchange, vec![kucoin("bob")]);
    // Not oftener than the account's allowance lets ordinary calls through beside it.
    settings.timing.key_state = Duration::from_millis(500);
    let mut daemon = Daemon::start(settings);
    let mut peer = exchange.peer().await;
    let_in(&mut peer).await;
    daemon.until("kucoin/bob up").await;
    for _ in 0..2 {
        exchange.request("/api/v1/user/api-key").await;
    }
    peer.say(r#"{"type":"message","topic":"/account/balance","data":{}}"#).await;
    daemon.until(r#"kucoin/bob {"type":"message""#).await;
    dead.store(1, Ordering::Relaxed);
    let why = daemon.until("kucoin/bob down").await;
    assert!(why.contains("400003"), "{why}");
    daemon.end().await;
}

#[tokio::test]
async fn a_file_of_market_caps_is_handed_over_when_it_changes() {
    let exchange = Exchange::open(binance_rest).await;
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("caps.csv");
    let mut given = settings(&exchange, Vec::new());
    given.market_cap = vec![MarketCap { from: CapSource::File(file.clone()), every: Duration::from_millis(20) }];
    // Whole at once, so that nobody reads half of it.
    let put = |bytes: &[u8]| {
        std::fs::write(home.path().join("new"), bytes).unwrap();
        std::fs::rename(home.path().join("new"), &file).unwrap();
    };
    // It is not there yet; that is told once and hinders nothing.
    let mut daemon = Daemon::start(given);
    for text in ["APC,2100000,1400", "APC,2200000,1390\n"] {
        put(text.as_bytes());
        assert_eq!(daemon.until("market-cap/file").await, format!("market-cap/file text {text}"));
    }
    put(&vec![b'x'; (1 << 20) + 1]);
    put(br#"[{"asset":"APC","usd":5}]"#);
    assert_eq!(daemon.until("market-cap/file [").await, r#"market-cap/file [{"asset":"APC","usd":5}]"#);
    daemon.end().await;
}

#[tokio::test]
async fn a_list_of_market_caps_on_the_web_is_read_page_by_page_with_its_key() {
    let mut exchange = Exchange::open(|port, request: &Request| match request.path.split('?').next().unwrap() {
        "/api/v3/coins/markets" if request.param("page") == Some("1") => {
            Reply::json(json!(vec![json!({"symbol": "apc", "market_cap": 7}); 250]).to_string())
        }
        "/api/v3/coins/markets" => Reply::json(r#"[{"symbol":"xyz","market_cap":1}]"#),
        _ => binance_rest(port, request),
    })
    .await;
    let mut given = settings(&exchange, Vec::new());
    let url = format!("{}/api/v3/coins/markets", exchange.http());
    let from = CapSource::Web { url, pages: 9, key: Some(secret("cap-key")) };
    given.market_cap = vec![MarketCap { from, every: Duration::from_secs(3_600) }];
    let mut daemon = Daemon::start(given);
    for page in 1..=2 {
        let line = daemon.until("market-cap/web").await;
        let call =
            format!("market-cap/web coins/markets?vs_currency=usd&order=market_cap_desc&per_page=250&page={page} ->");
        assert!(line.starts_with(&call), "{line}");
        assert_eq!(exchange.request("/api/v3/coins/markets").await.header("x-cg-demo-api-key"), "cap-key");
    }
    let rest = daemon.end().await;
    assert!(!rest.iter().any(|line| line.starts_with("market-cap")), "a short page is the last: {rest:?}");
}
