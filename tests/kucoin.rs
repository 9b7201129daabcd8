//! KuCoin's two feeds before the simulator: gaps read to the end, modes that change or are not told, planned renewals.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail wherever it finds a fault")]

#[path = "support/exchange.rs"]
#[allow(dead_code, reason = "other tests need the rest of it")]
mod exchange;
#[path = "support/watched.rs"]
#[allow(dead_code, reason = "other tests need the rest of it")]
mod watched;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use exchange::{Exchange, Peer, Reply, Request, within};
use fillguard::arrival::{Arrival, Body, Incoming, Source};
use fillguard::codec::{Codecs, Settings};
use fillguard::domain::{AccountId, EventKind, FeedKind, Span, Venue, Via};
use fillguard::feed::{self, Account, ReadKey, Timing};
use fillguard::runtime::clock;
use fillguard::runtime::supervisor::{self, Supervisor};
use fillguard::secret::Secret;
use fillguard::simulate::SimAccount;
use serde_json::json;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use watched::{Watched, id, timing, world};

/// One account of a world of its own, classic or unified.
async fn one(unified: bool) -> (Watched, SimAccount) {
    let watched = Watched::world(world(Venue::Kucoin, 1)).await;
    let account = watched.accounts[0].clone();
    watched.handle.unify(&id(&account), unified).unwrap();
    (watched, account)
}

/// Returns the ids of the fills that the codecs make of what came, by the way they came.
fn fills(came: &[Arrival], via: Via) -> Vec<String> {
    let (mut codecs, mut events) = (Codecs::new(&Settings::default()), Vec::new());
    came.iter().for_each(|arrival| codecs.decode(arrival, &mut events));
    let unreadable = events
        .iter()
        .find(|one| matches!(&one.kind, EventKind::Feed(feed) if matches!(feed.kind, FeedKind::Unreadable(_))));
    assert!(unreadable.is_none(), "{unreadable:?}");
    let fills = events.into_iter().filter_map(|event| {
        let EventKind::Fill(fill) = event.kind else { return None };
        fill.trade_id.filter(|_| fill.via == via)
    });
    fills.map(|id| id.to_string()).collect()
}

fn truth(watched: &Watched) -> BTreeSet<String> {
    watched.handle.truth().fills.into_iter().map(|fill| fill.trade_id).collect()
}

#[tokio::test]
async fn a_gap_of_many_pages_is_read_to_the_end_and_verified() {
    for unified in [false, true] {
        let (mut watched, alice) = one(unified).await;
        // Before the feed, so that only pages can tell; two pairs, one of them with more than two pages.
        while truth(&watched).len() < 230 {
            watched.trade(&alice, "BTC-USDT");
        }
        watched.trade(&alice, "SOL-USDT");
        watched.watch(&[(alice.clone(), None)], timing());
        assert!(watched.filled(&alice).await, "unified {unified}: {:?}", watched.calls(&alice));
        let paged = watched.calls(&alice).iter().filter(|call| call.contains("lastId=")).count();
        assert!(paged >= 2, "unified {unified}: {:?}", watched.calls(&alice));
        let told = fills(&watched.came, Via::Rest);
        assert_eq!(told.len(), told.iter().collect::<BTreeSet<_>>().len(), "unified {unified}");
        assert_eq!(told.into_iter().collect::<BTreeSet<_>>(), truth(&watched), "unified {unified}");
        watched.end().await;
    }
}

#[tokio::test]
async fn a_fill_is_counted_once_although_feed_and_history_spell_it_differently() {
    for unified in [false, true] {
        let (mut watched, alice) = one(unified).await;
        watched.watch(&[(alice.clone(), None)], Timing { reconcile: Duration::from_millis(500), ..timing() });
        watched.filled(&alice).await;
        // Some are told twice, some by the history only.
        watched.handle.lose_fills(&id(&alice), 3).unwrap();
        for _ in 0..8 {
            let order = watched.trade(&alice, "ETH-USDT");
            watched
                .until("the order", |one| matches!(&one.body, Body::Frame(frame) if frame.get().contains(&order)))
                .await;
        }
        while !watched
            .came
            .iter()
            .any(|one| matches!(&one.body, Body::Page { frame, .. } if frame.get().contains("ETH-USDT")))
        {
            watched.filled(&alice).await;
        }
        watched.filled(&alice).await;
        assert!(watched.filled(&alice).await, "unified {unified}");
        let (pushed, recovered) = (fills(&watched.came, Via::Stream), fills(&watched.came, Via::Rest));
        assert_eq!(recovered.len(), 3, "unified {unified}: {recovered:?}");
        assert_eq!(pushed.len() + recovered.len(), truth(&watched).len(), "unified {unified}");
        let all: BTreeSet<String> = pushed.into_iter().chain(recovered).collect();
        assert_eq!(all, truth(&watched), "unified {unified}");
        watched.end().await;
    }
}

#[tokio::test]
async fn a_long_absence_is_asked_for_in_pieces_that_kucoin_allows_and_begins_where_it_was_known() {
    for unified in [false, true] {
        let mut settings = world(Venue::Kucoin, 1);
        settings.scenario.history_days = 20;
        let mut watched = Watched::world(settings).await;
        let alice = watched.accounts[0].clone();
        watched.handle.unify(&id(&alice), unified).unwrap();
        let known_until = clock::now() - Span::from_secs(19 * 86_400);
        watched.watch(&[(alice.clone(), Some(known_until))], timing());
        // The simulator refuses a day more of the ledger and a week more of fills.
        assert!(watched.filled(&alice).await, "unified {unified}: {:?}", watched.calls(&alice));
        let calls = watched.calls(&alice);
        let begins: Vec<i64> =
            calls.iter().filter_map(|call| call.split("startAt=").nth(1)?.split('&').next()?.parse().ok()).collect();
        let first = known_until - Span::from(timing().overlap);
        assert_eq!(begins[0], first.millis(), "unified {unified}");
        assert!(begins.iter().all(|start| *start >= first.millis() - 10_000), "unified {unified}");
        let ledgers = calls.iter().filter(|call| call.contains("TRADE_EXCHANGE")).count();
        // After an absence the account may have been in the other mode: both histories are asked.
        assert!(ledgers >= 20, "unified {unified}: {calls:?}");
        assert!(calls.iter().filter(|call| call.contains("order/execution?tradeType=SPOT")).count() >= 3, "{calls:?}");
        watched.end().await;
    }
}

#[tokio::test]
async fn an_account_that_becomes_a_unified_one_is_followed_to_its_other_feed_without_losing_a_fill() {
    let (mut watched, alice) = one(false).await;
    watched.watch(&[(alice.clone(), None)], Timing { reconcile: Duration::from_millis(400), ..timing() });
    watched.filled(&alice).await;
    let first = watched.trade(&alice, "BTC-USDT");
    watched.hears_of(&alice, &first).await;
    watched.handle.unify(&id(&alice), true).unwrap();
    // The classic feed is silent about this one.
    watched.trade(&alice, "BTC-USDT");
    let why = watched.down(&alice).await;
    assert!(why.contains("classic and unified"), "{why}");
    watched.up(&alice).await;
    assert!(watched.filled(&alice).await);
    let last = watched.trade(&alice, "BTC-USDT");
    watched.hears_of(&alice, &last).await;
    // An order is told before its fills.
    loop {
        let pushed = fills(&watched.came, Via::Stream);
        let all: BTreeSet<String> = pushed.into_iter().chain(fills(&watched.came, Via::Rest)).collect();
        if all == truth(&watched) {
            break;
        }
        watched.until("the rest of the fills", |_| true).await;
    }
    watched.end().await;
}

#[tokio::test]
async fn unified_accounts_have_the_lots_of_contracts_read_once_for_all_and_classic_ones_do_not() {
    for unified in [true, false] {
        let mut watched = Watched::world(world(Venue::Kucoin, 2)).await;
        let accounts = watched.accounts.clone();
        for account in &accounts {
            watched.handle.unify(&id(account), unified).unwrap();
        }
        let both: Vec<_> = accounts.iter().map(|account| (account.clone(), None)).collect();
        watched.watch(&both, Timing { reconcile: Duration::from_millis(200), ..timing() });
        for account in accounts.iter().chain(&accounts) {
            watched.filled(account).await;
        }
        let is_list =
            |arrival: &&Arrival| matches!(&arrival.body, Body::Page { call, .. } if call.contains("instrument"));
        let lists: Vec<&Arrival> = watched.came.iter().filter(is_list).collect();
        assert_eq!(lists.len(), usize::from(unified), "unified {unified}");
        // Then an execution in lots is read.
        let mut codecs = Codecs::new(&Settings::default());
        let mut events = Vec::new();
        lists.iter().for_each(|list| codecs.decode(list, &mut events));
        assert!(events.is_empty(), "{events:?}");
        let text = r#"{"T":"execution.lite.UNIFIED","P":1,"d":{"p":"60000","q":"2","s":"XBTUSDTM","S":"BUY","ti":"7","oi":"8",
            "E":1774854798514000000,"oT":"MARKET","lR":"TAKER"}}"#;
        let text = text.replace("XBT", "BTC");
        let from = Source::Account(id(&accounts[0]));
        codecs.decode(&Incoming { at: clock::now(), from, body: Body::from_text(text) }.numbered(1), &mut events);
        let told = events.pop().unwrap().kind;
        match (unified, told) {
            (true, EventKind::Fill(fill)) => assert_eq!(fill.notional.normalize().to_string(), "12000"),
            (false, EventKind::Feed(feed)) => assert!(matches!(feed.kind, FeedKind::Unreadable(_)), "{feed:?}"),
            (_, other) => panic!("{other:?}"),
        }
        watched.end().await;
    }
}

#[tokio::test]
async fn a_mode_that_is_not_told_leaves_every_gap_unverified_until_it_is() {
    let (mut watched, alice) = one(false).await;
    watched.handle.hide_mode(&id(&alice), true).unwrap();
    watched.watch(&[(alice.clone(), None)], Timing { reconcile: Duration::from_millis(300), ..timing() });
    assert!(!watched.filled(&alice).await && !watched.filled(&alice).await);
    let order = watched.trade(&alice, "BTC-USDT");
    watched.hears_of(&alice, &order).await;
    watched.handle.hide_mode(&id(&alice), false).unwrap();
    // One may be on its way.
    watched.filled(&alice).await;
    assert!(watched.filled(&alice).await);
    assert!(watched.reasons(&alice).is_empty(), "{:?}", watched.reasons(&alice));
    watched.end().await;
}

#[tokio::test]
async fn a_unified_account_whose_mode_was_hidden_is_found_when_it_is_told() {
    let (mut watched, alice) = one(true).await;
    watched.handle.hide_mode(&id(&alice), true).unwrap();
    watched.watch(&[(alice.clone(), None)], Timing { reconcile: Duration::from_millis(300), ..timing() });
    watched.filled(&alice).await;
    // The feed that was guessed says nothing; the other history does.
    watched.trade(&alice, "BTC-USDT");
    while fills(&watched.came, Via::Rest).is_empty() {
        assert!(!watched.filled(&alice).await);
    }
    watched.handle.hide_mode(&id(&alice), false).unwrap();
    watched.down(&alice).await;
    watched.up(&alice).await;
    let order = watched.trade(&alice, "BTC-USDT");
    watched.hears_of(&alice, &order).await;
    watched.end().await;
}

/// KuCoin's REST side, played: a classic account in which nothing happened.
fn rest(port: u16, request: &Request) -> Reply {
    match request.path.split('?').next().unwrap() {
        "/api/v1/timestamp" => Reply::json(json!({"code": "200000", "data": clock::now().millis()}).to_string()),
        "/api/ua/v1/account/mode" => Reply::json(r#"{"code":"200000","data":{"selfAccountMode":"CLASSIC"}}"#),
        "/api/v1/bullet-private" | "/api/v1/bullet-public" => {
            let server = json!({"endpoint": format!("ws://127.0.0.1:{port}/kucoin"), "encrypt": true,
                "protocol": "websocket", "pingInterval": 18_000, "pingTimeout": 10_000});
            let token = format!("token{}", TOKENS.fetch_add(1, Ordering::SeqCst));
            Reply::json(json!({"code": "200000", "data": {"token": token, "instanceServers": [server]}}).to_string())
        }
        "/api/v1/hf/accounts/ledgers" => Reply::json(r#"{"code":"200000","data":[]}"#),
        "/api/ua/v1/unified/order/execution" => Reply::json(r#"{"code":"200000","data":{"items":[]}}"#),
        _ => Reply::json(r#"{"code":"404000","msg":"Url Not Found"}"#),
    }
}

static TOKENS: AtomicUsize = AtomicUsize::new(0);

/// Starts the feed of one account before a played exchange.
fn feed(exchange: &Exchange, timing: Timing) -> (mpsc::Receiver<Incoming>, CancellationToken, JoinSet<()>) {
    let secret = |text: &str| Secret::new(text.to_owned());
    let key = ReadKey::kucoin("key-1", &secret("not-a-real-secret"), &secret("open sesame"), 3).unwrap();
    let account = Account { id: AccountId::new(Venue::Kucoin, "carol").unwrap(), key, known_until: None };
    let mut settings = feed::Settings { accounts: vec![account], timing, ..feed::Settings::default() };
    settings.kucoin.rest = exchange.http();
    settings.kucoin.uta_push = format!("{}/uta", exchange.ws());
    let (out, arrivals) = mpsc::channel(1_024);
    let (pairs, wanted) = watch::channel(BTreeSet::new());
    let mut supervisor = Supervisor::new(supervisor::Settings::default());
    for task in feed::tasks(settings, out, wanted).unwrap() {
        supervisor.add(task);
    }
    let (stop, mut running) = (CancellationToken::new(), JoinSet::new());
    let ended = stop.clone();
    running.spawn(async move {
        let _pairs = pairs;
        supervisor.run(ended).await.unwrap();
    });
    (arrivals, stop, running)
}

async fn until(arrivals: &mut mpsc::Receiver<Incoming>, fits: impl Fn(&Incoming) -> bool) -> Vec<Incoming> {
    let mut came = Vec::new();
    loop {
        let arrival = within("an arrival", arrivals.recv()).await.unwrap();
        let found = fits(&arrival);
        came.push(arrival);
        if found {
            return came;
        }
    }
}

async fn let_in(peer: &mut Peer) {
    let connect_id = peer.path.split("connectId=").nth(1).unwrap().to_owned();
    peer.say(json!({"id": connect_id, "type": "welcome"}).to_string()).await;
    for _ in 0..2 {
        let request = peer.hear().await;
        peer.say(json!({"id": request["id"], "type": "ack"}).to_string()).await;
    }
}

fn token(peer: &Peer) -> String {
    peer.path.split("token=").nth(1).unwrap().split('&').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_connection_is_renewed_with_a_new_token_before_the_day_is_over_and_nobody_is_blind() {
    let mut exchange = Exchange::open(rest).await;
    let (mut arrivals, stop, mut running) = feed(&exchange, Timing { renew: Duration::from_millis(400), ..timing() });
    let mut old = exchange.peer().await;
    let_in(&mut old).await;
    until(&mut arrivals, |one| matches!(one.body, Body::LinkUp)).await;
    let mut tokens = BTreeSet::from([token(&old)]);
    for round in 0..3 {
        let mut new = exchange.peer().await;
        assert!(tokens.insert(token(&new)), "the token of an earlier connection");
        let last_words = json!({"type": "message", "topic": "/account/balance", "round": round}).to_string();
        // Until the new one is subscribed the old one is listened to.
        old.say(last_words.clone()).await;
        let came =
            until(&mut arrivals, |one| matches!(&one.body, Body::Frame(frame) if frame.get() == last_words)).await;
        assert!(!came.iter().any(|one| matches!(one.body, Body::LinkDown { .. })), "{came:?}");
        let_in(&mut new).await;
        old.closed().await;
        old = new;
    }
    stop.cancel();
    within("the end", running.join_next()).await.unwrap().unwrap();
}

#[tokio::test]
async fn an_exchange_that_does_not_answer_is_no_reason_to_take_an_account_for_a_classic_one() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let mut exchange = Exchange::open(move |port, request: &Request| match request.path.as_str() {
        // Every call is made three times before it counts as failed.
        "/api/ua/v1/account/mode" if count.fetch_add(1, Ordering::SeqCst) < 3 => Reply::status(503, "busy"),
        "/api/ua/v1/account/mode" => Reply::json(r#"{"code":"200000","data":{"selfAccountMode":"UNIFIED"}}"#),
        "/api/v1/bullet-private" => panic!("the classic feed was asked for"),
        _ => rest(port, request),
    })
    .await;
    let (mut arrivals, stop, mut running) = feed(&exchange, timing());
    let came = until(&mut arrivals, |one| matches!(one.body, Body::LinkDown { .. })).await;
    assert!(matches!(&came.last().unwrap().body, Body::LinkDown { why } if why.contains("503")), "{came:?}");
    assert_eq!(exchange.peer().await.path, "/uta");
    assert!(asked.load(Ordering::SeqCst) > 3);
    stop.cancel();
    within("the end", running.join_next()).await.unwrap().unwrap();
}

#[tokio::test]
async fn too_many_requests_are_waited_out_as_long_as_kucoin_says_also_under_http_200() {
    for status in [200, 429] {
        let refused = AtomicUsize::new(0);
        let mut exchange =
            Exchange::open(move |port, request: &Request| match request.path.split('?').next().unwrap() {
                "/api/v1/hf/accounts/ledgers" if refused.fetch_add(1, Ordering::SeqCst) == 0 => Reply {
                    status,
                    headers: "gw-ratelimit-limit: 4000\r\ngw-ratelimit-remaining: 0\r\ngw-ratelimit-reset: 700\r\n"
                        .to_owned(),
                    body: r#"{"code":"429000","msg":"too many requests"}"#.to_owned(),
                },
                _ => rest(port, request),
            })
            .await;
        let (mut arrivals, stop, mut running) = feed(&exchange, timing());
        let mut peer = exchange.peer().await;
        let_in(&mut peer).await;
        exchange.request("/api/v1/hf/accounts/ledgers").await;
        let refused_at = clock::steady();
        exchange.request("/api/v1/hf/accounts/ledgers").await;
        // Not how fast, but that it was not before it was allowed.
        assert!(clock::steady() - refused_at >= Duration::from_millis(600), "under {status}");
        let came = until(&mut arrivals, |one| matches!(one.body, Body::Filled { .. })).await;
        assert!(matches!(came.last().unwrap().body, Body::Filled { verified: true, .. }), "under {status}");
        assert_eq!(came.last().unwrap().from, Source::AccountRest(AccountId::new(Venue::Kucoin, "carol").unwrap()));
        stop.cancel();
        within("the end", running.join_next()).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_book_that_the_key_may_not_read_leaves_the_gap_unverified_and_one_that_is_not_there_does_not() {
    for (status, code, verified) in [(200, "400007", false), (403, "400007", false), (200, "130203", true)] {
        let refusal = json!({"code": code, "msg": "no"}).to_string();
        let exchange = Exchange::open(move |port, request: &Request| match request.path.split('?').next().unwrap() {
            "/api/v3/hf/margin/account/ledgers" if status == 200 => Reply::json(refusal.clone()),
            "/api/v3/hf/margin/account/ledgers" => Reply::status(status, &refusal),
            _ => rest(port, request),
        });
        let mut exchange = exchange.await;
        let (mut arrivals, stop, mut running) = feed(&exchange, timing());
        let mut peer = exchange.peer().await;
        let_in(&mut peer).await;
        let came = until(&mut arrivals, |one| matches!(one.body, Body::Filled { .. })).await;
        let Body::Filled { verified: said, .. } = came.last().unwrap().body else { panic!("{came:?}") };
        assert_eq!(said, verified, "{code} under {status}");
        assert!(!came.iter().any(|one| matches!(one.body, Body::LinkDown { .. })), "{came:?}");
        stop.cancel();
        within("the end", running.join_next()).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_trade_that_the_ledger_names_and_no_page_holds_leaves_the_gap_unverified() {
    let exchange = Exchange::open(|port, request: &Request| match request.path.split('?').next().unwrap() {
        "/api/v1/hf/accounts/ledgers" => {
            let context = |trade: &str| json!({"symbol": "APC-BTC", "orderId": "o1", "tradeId": trade}).to_string();
            let rows = json!([{"id": "2", "context": context("7")}, {"id": "1", "context": context("8")}]);
            Reply::json(json!({"code": "200000", "data": rows}).to_string())
        }
        "/api/v1/hf/fills" => Reply::json(r#"{"code":"200000","data":{"items":[{"tradeId":7}],"lastId":1}}"#),
        _ => rest(port, request),
    });
    let mut exchange = exchange.await;
    let (mut arrivals, stop, mut running) = feed(&exchange, timing());
    let mut peer = exchange.peer().await;
    let_in(&mut peer).await;
    let came = until(&mut arrivals, |one| matches!(one.body, Body::Filled { .. })).await;
    assert!(matches!(came.last().unwrap().body, Body::Filled { verified: false, .. }), "{came:?}");
    stop.cancel();
    within("the end", running.join_next()).await.unwrap().unwrap();
}
