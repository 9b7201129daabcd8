//! The simulator seen from outside: real sockets on loopback, requests signed here and not with its own code.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test may stop short")]

use std::time::Duration;

use aws_lc_rs::{hmac, rand::SystemRandom, signature};
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine};
use fillguard::domain::{AccountId, Side, Symbol, Venue};
use fillguard::runtime::clock;
use fillguard::simulate::{Handle, Kind, Places, Role, Scenario, Settings, SimAccount, Simulator};
use futures_util::{SinkExt, StreamExt};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use tokio_util::sync::CancellationToken;

struct World {
    places: Places,
    accounts: Vec<SimAccount>,
    handle: Handle,
    http: reqwest::Client,
    stop: CancellationToken,
    running: JoinSet<()>,
}

struct Client(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl World {
    /// Starts a quiet world: nobody attacks, and the ordinary accounts act so rarely that a test is alone.
    async fn quiet() -> Self {
        World::with(Settings { speed: 0.001, ..Settings::default() }, None).await
    }

    async fn with(settings: Settings, attack_after_secs: Option<f64>) -> Self {
        // One TLS stack is chosen by hand in this crate, and the HTTP client asks for it even for plain HTTP.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let scenario = Scenario { attack_after_secs, history_days: 1, ..settings.scenario };
        let simulator = Simulator::start(Settings { scenario, ..settings }).await.unwrap();
        let (places, accounts, handle) = (simulator.places(), simulator.accounts().to_vec(), simulator.handle());
        let (stop, mut running) = (CancellationToken::new(), JoinSet::new());
        let ended = stop.clone();
        running.spawn(async move { simulator.run(ended).await.unwrap() });
        World { places, accounts, handle, http: reqwest::Client::new(), stop, running }
    }

    fn account(&self, venue: Venue, fits: impl Fn(&SimAccount) -> bool) -> &SimAccount {
        self.accounts.iter().find(|account| account.venue == venue && fits(account)).unwrap()
    }

    fn trade(&self, account: &SimAccount, symbol: &str) -> String {
        let symbol = Symbol::from_dashed(symbol).unwrap();
        self.handle.trade(&id(account), &symbol, Side::Buy, Decimal::from(50)).unwrap()
    }

    async fn get(&self, url: &str, headers: &[(&str, &str)]) -> (u16, String) {
        let mut request = self.http.get(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    async fn binance(&self, account: &SimAccount, path: &str, query: &str) -> (u16, Value) {
        let stamped = format!("{query}{}timestamp={}", if query.is_empty() { "" } else { "&" }, clock::now().millis());
        let url = format!("{}{path}?{stamped}&signature={}", self.places.binance.rest, hex(account, &stamped));
        let (status, text) = self.get(&url, &[("X-MBX-APIKEY", &account.key_id)]).await;
        (status, serde_json::from_str(&text).unwrap())
    }

    async fn kucoin(&self, account: &SimAccount, method: &str, path: &str) -> (u16, Value) {
        let now = clock::now().millis().to_string();
        let sign = |text: &str| BASE64_STANDARD.encode(hmac(account.secret.expose(), text));
        let phrase = sign(account.passphrase.as_ref().unwrap().expose());
        let request = match method {
            "POST" => self.http.post(format!("{}{path}", self.places.kucoin.rest)),
            _ => self.http.get(format!("{}{path}", self.places.kucoin.rest)),
        };
        let response = request
            .header("KC-API-KEY", &account.key_id)
            .header("KC-API-SIGN", sign(&format!("{now}{method}{path}")))
            .header("KC-API-TIMESTAMP", &now)
            .header("KC-API-PASSPHRASE", phrase)
            .header("KC-API-KEY-VERSION", "2")
            .send()
            .await
            .unwrap();
        (response.status().as_u16(), serde_json::from_str(&response.text().await.unwrap()).unwrap())
    }

    async fn coinbase(&self, account: &SimAccount, path: &str, query: &str) -> (u16, Value) {
        let bearer = format!("Bearer {}", jwt(account, Some(&format!("GET api.coinbase.com{path}")), 0));
        let url = format!("{}{path}?{query}", self.places.coinbase.rest);
        let (status, text) = self.get(&url, &[("Authorization", &bearer)]).await;
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    async fn end(mut self) {
        self.stop.cancel();
        while let Some(ended) = self.running.join_next().await {
            ended.unwrap();
        }
    }
}

impl Client {
    async fn connect(url: &str) -> Self {
        Client(connect_async(url).await.unwrap().0)
    }

    async fn say(&mut self, value: Value) {
        self.0.send(Message::text(value.to_string())).await.unwrap();
    }

    /// Waits for the next JSON text; nothing when the server ended the connection.
    async fn hear(&mut self) -> Option<Value> {
        let next = async {
            loop {
                match self.0.next().await {
                    Some(Ok(Message::Text(text))) => return Some(serde_json::from_str(&text).unwrap()),
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                    Some(Ok(Message::Binary(_) | Message::Close(_) | Message::Frame(_)) | Err(_)) | None => {
                        return None;
                    }
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(20), next).await.expect("the server said nothing for 20 s")
    }

    async fn until(&mut self, fits: impl Fn(&Value) -> bool) -> Value {
        loop {
            let value = self.hear().await.expect("the server ended the connection");
            if fits(&value) {
                return value;
            }
        }
    }

    async fn ask(&mut self, value: Value) -> Value {
        self.say(value).await;
        self.until(|reply| reply.get("status").is_some() || reply.get("id").is_some()).await
    }
}

fn id(account: &SimAccount) -> AccountId {
    AccountId::new(account.venue, &account.name).unwrap()
}

fn hmac(secret: &str, text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), text.as_bytes()).as_ref().to_vec()
}

fn hex(account: &SimAccount, text: &str) -> String {
    hmac(account.secret.expose(), text).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn subscribe(id: Value, account: &SimAccount) -> Value {
    subscribe_at(id, account, clock::now().millis())
}

fn subscribe_at(id: Value, account: &SimAccount, now: i64) -> Value {
    let text = format!("apiKey={}&timestamp={now}", account.key_id);
    let params = json!({"apiKey": account.key_id, "timestamp": now, "signature": hex(account, &text)});
    json!({"id": id, "method": "userDataStream.subscribe.signature", "params": params})
}

fn jwt(account: &SimAccount, uri: Option<&str>, age: i64) -> String {
    let now = clock::now().millis() / 1_000 - age;
    let coded = |value: Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let mut claims = json!({"sub": account.key_id, "iss": "cdp", "nbf": now, "exp": now + 120});
    if let Some(uri) = uri {
        claims["uri"] = json!(uri);
    }
    let header = json!({"alg": "ES256", "kid": account.key_id, "nonce": "00", "typ": "JWT"});
    let signed = format!("{}.{}", coded(header), coded(claims));
    let body: String = account.secret.expose().lines().filter(|line| !line.starts_with('-')).collect();
    let der = BASE64_STANDARD.decode(body).unwrap();
    let pair =
        signature::EcdsaKeyPair::from_private_key_der(&signature::ECDSA_P256_SHA256_FIXED_SIGNING, &der).unwrap();
    let tag = pair.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
    format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(tag))
}

fn plain(account: &SimAccount) -> bool {
    !account.ed25519 && !account.unified
}

fn code(reply: &Value) -> i64 {
    reply["error"]["code"].as_i64().unwrap_or(0)
}

#[tokio::test]
async fn a_theft_reaches_its_victim_s_feed_exactly_as_the_truth_has_it() {
    let scenario = Scenario { hostile_buys: 5, victim_gap_secs: 1.0, ..Scenario::default() };
    let world = World::with(Settings { scenario, ..Settings::default() }, Some(0.5)).await;
    let victim = world.account(Venue::Binance, |account| account.role == Role::Victim && plain(account)).clone();
    let mut feed = Client::connect(&world.places.binance.ws_api).await;
    assert_eq!(feed.ask(subscribe(json!(1), &victim)).await["result"]["subscriptionId"], 0);
    let mut told: Vec<(String, String, String)> = Vec::new();
    let mut quiet = 0;
    while quiet < 1 {
        let next = tokio::time::timeout(Duration::from_secs(4), feed.hear()).await;
        let Ok(Some(value)) = next else {
            quiet += i32::from(!told.is_empty());
            continue;
        };
        let event = &value["event"];
        if event["x"] == "TRADE" {
            let text = |name: &str| event[name].as_str().unwrap().to_owned();
            told.push((event["t"].to_string(), text("S"), text("c")));
        }
        quiet = 0;
    }
    let truth = world.handle.truth();
    let hostile = truth.fills.iter().filter(|fill| fill.account == id(&victim) && fill.hostile);
    let expected: Vec<_> = hostile
        .map(|fill| {
            let side = if fill.side == Side::Buy { "BUY" } else { "SELL" };
            (fill.trade_id.clone(), side.to_owned(), fill.client_order_id.clone())
        })
        .collect();
    told.retain(|fill| !fill.2.starts_with("stack-"));
    assert!(expected.len() > 10, "{}", expected.len());
    assert_eq!(told, expected);
    assert!(truth.first_hostile.unwrap() < truth.last_hostile.unwrap());
    world.end().await;
}

#[tokio::test]
async fn binance_answers_by_id_and_refuses_with_its_codes() {
    let world = World::quiet().await;
    let mine = world.account(Venue::Binance, plain).clone();
    let mut feed = Client::connect(&world.places.binance.ws_api).await;
    let time = feed.ask(json!({"id": null, "method": "time"})).await;
    assert!(time["id"].is_null() && time["result"]["serverTime"].is_i64(), "{time}");
    assert_eq!(feed.ask(json!({"id": "a-1", "method": "ping"})).await["id"], "a-1");
    let good = feed.ask(subscribe(json!(7), &mine)).await;
    assert_eq!((&good["id"], &good["status"]), (&json!(7), &json!(200)));
    assert_eq!(good["rateLimits"][0]["limit"], 6_000);
    assert_eq!(code(&feed.ask(subscribe(json!(8), &mine)).await), -2035);

    let now = clock::now().millis();
    assert_eq!(code(&feed.ask(subscribe_at(json!(9), &mine, now - 6_000)).await), -1021);
    assert_eq!(code(&feed.ask(subscribe_at(json!(9), &mine, now + 5_000)).await), -1021);
    let mut wrong = subscribe(json!(10), &mine);
    wrong["params"]["timestamp"] = json!(now - 1);
    assert_eq!(code(&feed.ask(wrong).await), -1022);
    let mut wrong = subscribe(json!(11), &mine);
    wrong["params"]["apiKey"] = json!("k".repeat(64));
    assert_eq!(code(&feed.ask(wrong.clone()).await), -2015);
    wrong["params"]["apiKey"] = json!("short");
    assert_eq!(code(&feed.ask(wrong).await), -2014);

    let left =
        feed.ask(json!({"id": 12, "method": "userDataStream.unsubscribe", "params": {"subscriptionId": 0}})).await;
    assert_eq!(left["result"], json!({}));
    let again = feed.ask(subscribe(json!(13), &mine)).await;
    assert_eq!(again["result"]["subscriptionId"], 1, "ids are not used twice");
    world.handle.revoke(&id(&mine)).unwrap();
    let (status, reply) = world.binance(&mine, "/api/v3/account", "").await;
    assert_eq!((status, &reply["code"]), (401, &json!(-2015)));
    world.end().await;
}

#[tokio::test]
async fn fills_that_the_feed_loses_or_repeats_are_once_in_my_trades() {
    let world = World::quiet().await;
    let mine = world.account(Venue::Binance, plain).clone();
    let mut feed = Client::connect(&world.places.binance.ws_api).await;
    feed.ask(subscribe(json!(1), &mine)).await;
    world.handle.lose_fills(&id(&mine), 1).unwrap();
    let lost = world.trade(&mine, "BTC-USDT");
    world.handle.double_fills(&id(&mine), 1).unwrap();
    let doubled = world.trade(&mine, "BTC-USDT");
    let mut told = Vec::new();
    while told.len() < 2 {
        let value = feed.until(|value| value["event"]["x"] == "TRADE").await;
        told.push(value["event"]["i"].to_string());
    }
    assert_eq!(told, [doubled.clone(), doubled.clone()]);
    let (_, trades) = world.binance(&mine, "/api/v3/myTrades", "symbol=BTCUSDT").await;
    let count = |order: &str| {
        trades.as_array().unwrap().iter().filter(|row| row["orderId"] == order.parse::<u64>().unwrap()).count()
    };
    assert_eq!((count(&lost), count(&doubled)), (1, 1));
    world.end().await;
}

#[tokio::test]
async fn binance_counts_weight_then_refuses_then_bans() {
    let world = World::with(Settings { weight_per_minute: 100, speed: 0.001, ..Settings::default() }, None).await;
    let url = format!("{}/api/v3/exchangeInfo", world.places.binance.rest);
    let mut seen = Vec::new();
    for _ in 0..30 {
        let response = world.http.get(&url).send().await.unwrap();
        let retry = response.headers().contains_key("retry-after");
        let status = response.status().as_u16();
        assert_eq!(retry, status != 200);
        assert!(response.headers().contains_key("x-mbx-used-weight-1m"));
        seen.push(status);
    }
    seen.dedup();
    // A minute may end on the way, and then the allowance begins anew.
    assert_eq!(seen.get(..3), Some(&[200, 429, 418][..]), "{seen:?}");
    world.end().await;
}

#[tokio::test]
async fn binance_says_when_its_sockets_end_and_they_end_at_their_age() {
    let life = Duration::from_millis(1_500);
    let world = World::with(Settings { connection_life: life, speed: 0.001, ..Settings::default() }, None).await;
    let mut feed = Client::connect(&world.places.binance.ws_api).await;
    feed.ask(json!({"id": 1, "method": "ping"})).await;
    world.handle.server_shutdown();
    let said = feed.until(|value| value["event"]["e"] == "serverShutdown").await;
    assert!(said.get("subscriptionId").is_none());
    assert!(feed.hear().await.is_none(), "the connection outlived its life");
    world.end().await;
}

#[tokio::test]
async fn binance_serves_a_day_of_minutes_and_a_past_that_end_now() {
    let world = World::quiet().await;
    let base = &world.places.binance.rest;
    for pair in ["BTCUSDT", "KORUUSDT"] {
        let (_, text) = world.get(&format!("{base}/api/v3/klines?symbol={pair}&interval=1m&limit=1000"), &[]).await;
        let candles: Vec<Value> = serde_json::from_str(&text).unwrap();
        assert_eq!(candles.len(), 1_000);
        let age = clock::now().millis() - candles[999][0].as_i64().unwrap();
        assert!((0..=120_000).contains(&age), "{age}");
    }
    let mine = world.account(Venue::Binance, |account| account.role == Role::Ordinary(Kind::Rebalancer)).clone();
    let (_, page) = world.binance(&mine, "/api/v3/myTrades", "symbol=BTCUSDT&limit=5").await;
    let page = page.as_array().unwrap().clone();
    assert_eq!(page.len(), 5);
    let from = page[2]["id"].as_i64().unwrap();
    let (_, rest) = world.binance(&mine, "/api/v3/myTrades", &format!("symbol=BTCUSDT&fromId={from}")).await;
    assert_eq!(rest.as_array().unwrap()[..3], page[2..], "fromId is inclusive");
    let (status, reply) = world.binance(&mine, "/api/v3/myTrades", "limit=5").await;
    assert_eq!((status, &reply["code"]), (400, &json!(-1102)));
    world.end().await;
}

#[tokio::test]
async fn kucoin_welcomes_acknowledges_answers_pings_and_drops_the_silent() {
    let silence = Duration::from_millis(2_500);
    let world = World::with(Settings { silence, speed: 0.001, ..Settings::default() }, None).await;
    let mine = world.account(Venue::Kucoin, plain).clone();
    let (_, bullet) = world.kucoin(&mine, "POST", "/api/v1/bullet-private").await;
    let server = &bullet["data"]["instanceServers"][0];
    let (endpoint, token) = (server["endpoint"].as_str().unwrap(), bullet["data"]["token"].as_str().unwrap());
    let mut feed = Client::connect(&format!("{endpoint}?token={token}&connectId=c1")).await;
    assert_eq!(feed.hear().await.unwrap(), json!({"id": "c1", "type": "welcome"}));
    feed.say(json!({"id": "2", "type": "subscribe", "topic": "/spotMarket/tradeOrdersV2", "privateChannel": true, "response": true})).await;
    assert_eq!(feed.hear().await.unwrap(), json!({"id": "2", "type": "ack"}));
    feed.say(json!({"id": "3", "type": "subscribe", "topic": "/nothing/here", "response": true})).await;
    assert_eq!(feed.hear().await.unwrap()["type"], "error");
    feed.say(json!({"id": "4", "type": "ping"})).await;
    assert_eq!(feed.hear().await.unwrap()["type"], "pong");
    let order = world.trade(&mine, "BTC-USDT");
    let fill = feed.until(|value| value["data"]["type"] == "match").await;
    assert_eq!(fill["data"]["orderId"], order.as_str());
    assert!(fill["data"]["ts"].as_i64().unwrap() > 1_600_000_000_000_000_000);
    let done = feed.until(|value| value["data"]["type"] == "filled").await;
    assert_eq!(done["data"]["remainSize"], "0");
    assert!(feed.hear().await.is_none(), "a silent client was kept");

    let mut stranger = Client::connect(&format!("{endpoint}?token=wrong&connectId=c2")).await;
    assert_eq!(stranger.hear().await.unwrap()["data"], "token is expired");
    world.end().await;
}

#[tokio::test]
async fn kucoin_tells_a_unified_account_s_fills_on_the_unified_push_only() {
    let world = World::quiet().await;
    let mine = world.account(Venue::Kucoin, |account| account.unified).clone();
    let (_, mode) = world.kucoin(&mine, "GET", "/api/ua/v1/account/mode").await;
    assert_eq!(mode["data"]["selfAccountMode"], "UNIFIED");
    let (_, bullet) = world.kucoin(&mine, "POST", "/api/v1/bullet-private").await;
    let endpoint = bullet["data"]["instanceServers"][0]["endpoint"].as_str().unwrap().to_owned();
    let mut classic = Client::connect(&format!("{endpoint}?token={}", bullet["data"]["token"].as_str().unwrap())).await;
    classic.hear().await;
    classic.say(json!({"id": "1", "type": "subscribe", "topic": "/spotMarket/tradeOrders", "response": true})).await;
    classic.hear().await;
    let (_, token) = world.kucoin(&mine, "POST", "/api/v2/bullet-private").await;
    let url = format!("{}?token={}", world.places.kucoin.uta_push, token["data"]["token"].as_str().unwrap());
    let mut unified = Client::connect(&url).await;
    assert_eq!(unified.hear().await.unwrap()["message"], "welcome");
    unified.say(json!({"id": "2", "action": "SUBSCRIBE", "channel": "execution", "tradeType": "UNIFIED"})).await;
    assert_eq!(unified.hear().await.unwrap(), json!({"id": "2", "result": true}));
    let order = world.trade(&mine, "BTC-USDT");
    let fill = unified.until(|value| value["T"] == "execution.UNIFIED").await;
    assert_eq!(fill["d"]["oi"], order.as_str());
    classic.say(json!({"id": "9", "type": "ping"})).await;
    assert_eq!(classic.hear().await.unwrap()["type"], "pong", "nothing came before the pong");
    world.end().await;
}

#[tokio::test]
async fn kucoin_tells_a_deleted_key_from_a_wrong_signature() {
    let world = World::quiet().await;
    let mut mine = world.account(Venue::Kucoin, plain).clone();
    let (status, fine) = world.kucoin(&mine, "GET", "/api/v1/user/api-key").await;
    assert_eq!((status, &fine["data"]["permission"]), (200, &json!("General,Spot")));
    let (_, ledgers) = world.kucoin(&mine, "GET", "/api/v1/hf/accounts/ledgers?bizType=TRADE_EXCHANGE&limit=200").await;
    let rows = ledgers["data"].as_array().unwrap();
    let context: Value = serde_json::from_str(rows[0]["context"].as_str().unwrap()).unwrap();
    let path = format!("/api/v1/hf/fills?symbol={}&limit=100", context["symbol"].as_str().unwrap());
    let (_, fills) = world.kucoin(&mine, "GET", &path).await;
    assert_eq!(fills["data"]["items"][0]["tradeId"].to_string(), context["tradeId"].as_str().unwrap());

    let right = mine.secret.clone();
    mine.secret = fillguard::secret::Secret::new("wrong".to_owned());
    assert_eq!(
        world.kucoin(&mine, "GET", "/api/v1/accounts").await.1["code"],
        "400004",
        "the passphrase is looked at first"
    );
    mine.secret = right;
    world.handle.permit_withdrawals(&id(&mine), true).unwrap();
    let (_, wider) = world.kucoin(&mine, "GET", "/api/v1/user/api-key").await;
    assert_eq!(wider["data"]["permission"], "General,Spot,Transfer");
    world.handle.revoke(&id(&mine)).unwrap();
    assert_eq!(world.kucoin(&mine, "GET", "/api/v1/accounts").await.1["code"], "400003");
    let (status, text) = world.get(&format!("{}/api/v1/accounts", world.places.kucoin.rest), &[]).await;
    assert!(status == 401 && text.contains("400001"), "{text}");
    world.end().await;
}

#[tokio::test]
async fn coinbase_sends_data_before_the_acknowledgement_and_numbers_every_message() {
    let world = World::quiet().await;
    let mine =
        world.account(Venue::Coinbase, |account| account.role == Role::Ordinary(Kind::Dca) && plain(account)).clone();
    let mut feed = Client::connect(&world.places.coinbase.ws_user).await;
    feed.say(json!({"type": "subscribe", "channel": "user", "jwt": jwt(&mine, None, 0)})).await;
    let (first, second) = (feed.hear().await.unwrap(), feed.hear().await.unwrap());
    assert_eq!((&first["channel"], &first["events"][0]["type"]), (&json!("user"), &json!("snapshot")));
    assert_eq!(second["channel"], "subscriptions");
    feed.say(json!({"type": "subscribe", "channel": "heartbeats"})).await;
    let order = world.trade(&mine, "BTC-USD");
    let mut expected = 2;
    let mut total = Decimal::ZERO;
    let mut beats = 0;
    while beats < 2 || total.is_zero() {
        let message = feed.hear().await.unwrap();
        assert_eq!(message["sequence_num"], expected, "{message}");
        expected += 1;
        beats += i32::from(message["channel"] == "heartbeats");
        for row in message["events"][0]["orders"].as_array().into_iter().flatten() {
            assert_eq!(row["order_id"], order.as_str());
            total = row["cumulative_quantity"].as_str().unwrap().parse().unwrap();
        }
    }
    let (_, fills) =
        world.coinbase(&mine, "/api/v3/brokerage/orders/historical/fills", &format!("order_ids={order}")).await;
    let sizes =
        fills["fills"].as_array().unwrap().iter().map(|row| row["size"].as_str().unwrap().parse::<Decimal>().unwrap());
    assert_eq!(sizes.sum::<Decimal>(), total);
    world.handle.skip_sequence(3);
    let next = feed.until(|message| message["sequence_num"].as_i64() >= Some(expected)).await;
    assert!(next["sequence_num"].as_i64().unwrap() >= expected + 3 - 1, "{next}");
    world.handle.repeat_sequence();
    world.handle.cut(Venue::Coinbase);
    while feed.hear().await.is_some() {}
    world.end().await;
}

#[tokio::test]
async fn coinbase_closes_on_who_does_not_subscribe_and_refuses_old_and_foreign_tokens() {
    let wait = Duration::from_millis(400);
    let world = World::with(Settings { first_subscribe: wait, speed: 0.001, ..Settings::default() }, None).await;
    let mine = world.account(Venue::Coinbase, plain).clone();
    let mut late = Client::connect(&world.places.coinbase.ws_user).await;
    assert!(late.hear().await.is_none());
    let mut feed = Client::connect(&world.places.coinbase.ws_user).await;
    feed.say(json!({"type": "subscribe", "channel": "user", "jwt": jwt(&mine, None, 200)})).await;
    assert_eq!(feed.hear().await.unwrap(), json!({"type": "error", "message": "authentication failure"}));
    let mut market = Client::connect(&world.places.coinbase.ws_market).await;
    market.say(json!({"type": "subscribe", "channel": "market_trades", "product_ids": ["BTC-USD"]})).await;
    let trades =
        market.until(|message| message["channel"] == "market_trades" && message["events"][0]["type"] == "update").await;
    assert!(trades["events"][0]["trades"][0]["trade_id"].is_string());

    let path = "/api/v3/brokerage/key_permissions";
    assert_eq!(world.coinbase(&mine, path, "").await.1["can_trade"], true);
    let url = format!("{}{path}", world.places.coinbase.rest);
    let other = format!("Bearer {}", jwt(&mine, Some("GET api.coinbase.com/api/v3/brokerage/accounts"), 0));
    assert_eq!(world.get(&url, &[("Authorization", &other)]).await, (401, "Unauthorized\n".to_owned()));
    world.handle.revoke(&id(&mine)).unwrap();
    assert_eq!(world.coinbase(&mine, path, "").await, (401, json!("Unauthorized\n")));
    world.end().await;
}
