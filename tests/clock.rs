//! An exchange whose clock is not ours: signatures carry its time, and a stale one is made anew once.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail wherever it finds a fault")]

#[path = "support/exchange.rs"]
#[allow(dead_code, reason = "other tests need the rest of it")]
mod exchange;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use exchange::{Exchange, Peer, Reply, Request, within};
use fillguard::arrival::{Body, Incoming};
use fillguard::domain::{AccountId, Timestamp, Venue};
use fillguard::feed::{Account, ReadKey, Settings, Timing, tasks};
use fillguard::runtime::supervisor::{self, Supervisor};
use fillguard::runtime::{backoff, clock};
use fillguard::secret::Secret;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

struct Feeds {
    arrivals: mpsc::Receiver<Incoming>,
    stop: CancellationToken,
    running: JoinSet<()>,
}

fn key(venue: Venue) -> ReadKey {
    let secret = |text: &str| Secret::new(text.to_owned());
    let key = match venue {
        Venue::Binance => ReadKey::binance("key-1", &secret("not-a-real-secret")),
        Venue::Kucoin => ReadKey::kucoin("key-1", &secret("not-a-real-secret"), &secret("open sesame"), 3),
        Venue::Coinbase => ReadKey::coinbase("key-1", &secret(&STANDARD.encode([7; 32]))),
    };
    key.unwrap()
}

impl Feeds {
    fn start(exchange: &Exchange, venue: Venue, known_until: Option<Timestamp>) -> Self {
        let account = Account { id: AccountId::new(venue, "carol").unwrap(), key: key(venue), known_until };
        let mut settings = Settings { accounts: vec![account], ..Settings::default() };
        for rest in [&mut settings.binance.rest, &mut settings.kucoin.rest, &mut settings.coinbase.rest] {
            *rest = exchange.http();
        }
        settings.binance.ws_api = format!("{}/ws-api/v3", exchange.ws());
        settings.coinbase.ws_user = format!("{}/user", exchange.ws());
        let slow = Duration::from_secs(600);
        let waits = backoff::Settings { min: slow, max: slow, healthy: slow };
        settings.timing = Timing { backoff: waits, refused: waits, ack: Duration::from_secs(1), ..Timing::default() };
        let (out, arrivals) = mpsc::channel(1_024);
        let (pairs, wanted) = watch::channel(BTreeSet::new());
        let mut supervisor = Supervisor::new(supervisor::Settings::default());
        for task in tasks(settings, out, wanted).unwrap() {
            supervisor.add(task);
        }
        let (stop, mut running) = (CancellationToken::new(), JoinSet::new());
        let ended = stop.clone();
        running.spawn(async move {
            let _pairs = pairs;
            supervisor.run(ended).await.unwrap();
        });
        Feeds { arrivals, stop, running }
    }

    async fn until(&mut self, fits: impl Fn(&Body) -> bool) -> Body {
        loop {
            let body = within("an arrival", self.arrivals.recv()).await.unwrap().body;
            if fits(&body) {
                return body;
            }
        }
    }

    async fn end(mut self) {
        self.stop.cancel();
        within("the end", self.running.join_next()).await.unwrap().unwrap();
    }
}

/// An exchange whose clock is `ahead` of ours; every account is empty. What is signed for another time than its own by
/// a second and a half is refused, as by the strictest of the three for a time ahead.
fn rest(port: u16, request: &Request, ahead: i64) -> Reply {
    let theirs = clock::now().millis() + ahead;
    let near = |millis: i64| (millis - theirs).abs() < 1_500;
    let stale =
        Reply::status(400, r#"{"code":-1021,"msg":"Timestamp for this request is outside of the recvWindow."}"#);
    match request.path.split('?').next().unwrap() {
        "/api/v3/time" => Reply::json(json!({"serverTime": theirs}).to_string()),
        "/api/v1/timestamp" => Reply::json(json!({"code": "200000", "data": theirs}).to_string()),
        "/api/v3/brokerage/time" => Reply::json(json!({"epochMillis": theirs.to_string()}).to_string()),
        "/api/v3/exchangeInfo" => {
            Reply::json(r#"{"symbols":[{"symbol":"APCBTC","baseAsset":"APC","quoteAsset":"BTC"}]}"#)
        }
        path if path.starts_with("/api/v3/brokerage") => {
            let token = request.header("Authorization").strip_prefix("Bearer ").unwrap_or_default();
            match nbf(token) {
                Some(second) if near(second * 1_000 + 500) => Reply::json(r#"{"fills":[],"cursor":""}"#),
                _ => Reply::status(401, "Unauthorized"),
            }
        }
        path if path.starts_with("/api/v3/") && !path.contains("/hf/") => {
            match request.param("timestamp").and_then(|time| time.parse().ok()) {
                Some(time) if near(time) && path.ends_with("/account") => {
                    Reply::json(r#"{"balances":[{"asset":"BTC","free":"1","locked":"0"}]}"#)
                }
                Some(time) if near(time) => Reply::json("[]"),
                _ => stale,
            }
        }
        path => match request.header("KC-API-TIMESTAMP").parse() {
            Ok(time) if near(time) => match path {
                "/api/ua/v1/account/mode" => Reply::json(r#"{"code":"200000","data":{"selfAccountMode":"CLASSIC"}}"#),
                "/api/v1/bullet-private" => {
                    let server = json!({"endpoint": format!("ws://127.0.0.1:{port}/kucoin"), "encrypt": true,
                        "protocol": "websocket", "pingInterval": 18_000, "pingTimeout": 10_000});
                    let data = json!({"token": "t", "instanceServers": [server]});
                    Reply::json(json!({"code": "200000", "data": data}).to_string())
                }
                _ => Reply::json(r#"{"code":"200000","data":[]}"#),
            },
            _ => Reply::json(r#"{"code":"400002","msg":"KC-API-TIMESTAMP Invalid"}"#),
        },
    }
}

fn nbf(token: &str) -> Option<i64> {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    serde_json::from_slice::<Value>(&claims).ok()?["nbf"].as_i64()
}

/// Lets the account in, and looks at the time it signed for.
async fn let_in(exchange: &mut Exchange, venue: Venue, ahead: i64) -> Peer {
    let mut peer = exchange.peer().await;
    let theirs = clock::now().millis() + ahead;
    match venue {
        Venue::Binance => {
            let request = peer.hear().await;
            let signed = request["params"]["timestamp"].as_i64().unwrap();
            assert!((signed - theirs).abs() < 1_500, "{}", signed - theirs);
            let answer = json!({"id": request["id"], "status": 200, "result": {"subscriptionId": 0}});
            peer.say(answer.to_string()).await;
        }
        Venue::Kucoin => {
            let connect_id = peer.path.split("connectId=").nth(1).unwrap().to_owned();
            peer.say(json!({"id": connect_id, "type": "welcome"}).to_string()).await;
            for _ in 0..2 {
                let request = peer.hear().await;
                peer.say(json!({"id": request["id"], "type": "ack"}).to_string()).await;
            }
        }
        Venue::Coinbase => {
            for _ in 0..2 {
                let request = peer.hear().await;
                let signed = nbf(request["jwt"].as_str().unwrap()).unwrap() * 1_000 + 500;
                assert!((signed - theirs).abs() < 1_500, "{}", signed - theirs);
            }
            let events = json!([{"subscriptions": {"user": ["portfolio"], "heartbeats": ["heartbeats"]}}]);
            peer.say(json!({"channel": "subscriptions", "sequence_num": 0, "events": events}).to_string()).await;
        }
    }
    peer
}

#[tokio::test]
async fn an_exchange_three_seconds_ahead_or_behind_is_signed_for_in_its_own_time() {
    for venue in Venue::ALL {
        for ahead in [3_000, -3_000] {
            let mut exchange = Exchange::open(move |port, request: &Request| rest(port, request, ahead)).await;
            let mut feeds = Feeds::start(&exchange, venue, None);
            let _peer = let_in(&mut exchange, venue, ahead).await;
            let told = feeds.until(|body| matches!(body, Body::Filled { .. } | Body::LinkDown { .. })).await;
            assert!(matches!(told, Body::Filled { .. }), "{venue} {ahead}: {told:?}");
            feeds.end().await;
        }
    }
}

#[tokio::test]
async fn a_call_refused_for_its_time_is_made_once_more_and_one_refused_for_its_signature_is_not() {
    let stale =
        [(Venue::Binance, 400, r#"{"code":-1021,"msg":"x"}"#), (Venue::Kucoin, 200, r#"{"code":"400002","msg":"x"}"#)];
    let wrong =
        [(Venue::Binance, 400, r#"{"code":-1022,"msg":"x"}"#), (Venue::Kucoin, 200, r#"{"code":"400005","msg":"x"}"#)];
    for ((venue, status, body), times) in
        stale.into_iter().map(|one| (one, 2)).chain(wrong.into_iter().map(|one| (one, 1)))
    {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let refused = move |port: u16, request: &Request| {
            if ["/api/v3/account", "/api/v1/hf/accounts/ledgers"].iter().any(|path| request.path.starts_with(path)) {
                count.fetch_add(1, Ordering::SeqCst);
                return Reply::status(status, body);
            }
            rest(port, request, 0)
        };
        let mut exchange = Exchange::open(refused).await;
        let feeds = Feeds::start(&exchange, venue, None);
        let _peer = let_in(&mut exchange, venue, 0).await;
        let reached = async {
            while asked.load(Ordering::SeqCst) < times {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        within("the calls", reached).await;
        // The next question waits ten minutes; another call of this one would follow at once.
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(asked.load(Ordering::SeqCst), times, "{venue} {body}");
        feeds.end().await;
    }
}

#[tokio::test]
async fn a_clock_that_jumps_is_not_taken_for_a_dead_key() {
    for venue in [Venue::Kucoin, Venue::Coinbase] {
        let looked = AtomicUsize::new(0);
        // Five minutes, after our first look at their clock.
        let mut exchange = Exchange::open(move |port, request: &Request| {
            let time = request.path.ends_with("/time") || request.path.ends_with("/timestamp");
            let first = time && looked.fetch_add(1, Ordering::SeqCst) == 0;
            rest(port, request, if first { 0 } else { 300_000 })
        })
        .await;
        let mut feeds = Feeds::start(&exchange, venue, None);
        let _peer = let_in(&mut exchange, venue, 0).await;
        let told = feeds.until(|body| matches!(body, Body::Filled { .. } | Body::LinkDown { .. })).await;
        assert!(matches!(told, Body::Filled { verified: true, .. }), "{venue}: {told:?}");
        feeds.end().await;
    }
}

#[tokio::test]
async fn after_a_restart_each_exchange_is_asked_from_where_the_account_was_known() {
    let known_until = clock::now() - fillguard::domain::Span::from_secs(7_200);
    let from = known_until - fillguard::domain::Span::from(Timing::default().overlap);
    for venue in Venue::ALL {
        let mut exchange = Exchange::open(|port, request: &Request| match request.path.split('?').next().unwrap() {
            // It holds a pair, so that there is one to ask for.
            "/api/v3/openOrders" => Reply::json(r#"[{"symbol":"APCBTC"}]"#),
            _ => rest(port, request, 0),
        })
        .await;
        let mut feeds = Feeds::start(&exchange, venue, Some(known_until));
        let _peer = let_in(&mut exchange, venue, 0).await;
        let (path, begin) = match venue {
            Venue::Binance => ("/api/v3/myTrades", format!("startTime={}", from.millis())),
            Venue::Kucoin => ("/api/v1/hf/accounts/ledgers", format!("startAt={}", from.millis())),
            Venue::Coinbase => ("/api/v3/brokerage/orders", format!("start_sequence_timestamp={from}")),
        };
        let request = exchange.request(path).await;
        assert!(request.path.contains(&begin), "{venue}: {} for {begin}", request.path);
        let told = feeds.until(|body| matches!(body, Body::Filled { .. })).await;
        assert!(matches!(told, Body::Filled { since, .. } if since == from), "{venue}: {told:?}");
        feeds.end().await;
    }
}
