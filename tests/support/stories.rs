//! The stories behind `replay-data/`: each is told anew from here, so a recording can always be made again.

#![allow(dead_code, reason = "each test tells other stories")]

use fillguard::arrival::Body;
use fillguard::domain::Side;
use rust_decimal::Decimal;

use super::spelling;
use super::tale::{Deal, Dialect, Tale, dec, nudge};

/// A recording: where it lies under `replay-data/`, what people should know, and what happens.
pub struct Story {
    pub file: &'static str,
    pub note: &'static str,
    pub tale: Tale,
}

/// All of them.
pub fn all() -> Vec<Story> {
    let story = |file, note, tale| Story { file, note, tale };
    vec![
        story(
            "binance/pump_of_a_new_pair",
            "alice's key buys a thin pair she never traded while a crowd raises it",
            pump(),
        ),
        story(
            "binance/liquidation_then_pump",
            "alice's key sells four holdings within 20 s, then buys a thin pair with the proceeds",
            liquidation_then_pump(),
        ),
        story("binance/planted_ask", "alice's key takes an ask planted at 40 times the price", planted_ask()),
        story("binance/churn", "alice's key buys high and sells low in a dead pair, again and again", churn()),
        story("binance/ordinary_dca_and_grid", "carol saves, dave runs a grid: nothing to tell", ordinary()),
        story(
            "binance/fill_sent_twice",
            "every frame of the attacking order comes twice, and the list repeats it",
            twice(),
        ),
        story("binance/reconnect_unverified", "two reconnects: one asked for and verified, one never", reconnect()),
        story("binance/unfamiliar_address", "the key is used from a new network while the old one goes on", address()),
        story(
            "binance/unknown_origin",
            "orders that are named unlike all others, and one that the log does not name",
            origin(),
        ),
        story("binance/unreadable_frames", "broken frames among good ones", unreadable()),
        story(
            "kucoin/pump_classic",
            "bob's key buys a thin pair that is being raised; classic feed",
            kucoin(Dialect::KucoinClassic),
        ),
        story(
            "kucoin/pump_unified",
            "bob's key buys a thin pair that is being raised; unified feed",
            kucoin(Dialect::KucoinUnified),
        ),
        story("kucoin/ordinary", "bob trades as he always did: nothing to tell", kucoin_ordinary()),
        story(
            "coinbase/pump_confirmed_by_list_fills",
            "erin's key buys a thin pair that is being raised; running totals, then the list with a better price",
            coinbase_pump(),
        ),
        story("coinbase/sequence_gap", "messages are missing on the user feed", sequence_gap()),
        story("coinbase/ordinary", "erin trades as she always did: nothing to tell", coinbase_ordinary()),
        story(
            "binance/key_may_withdraw",
            "alice's key is given the right to withdraw, loses it, is given it again; then its list of addresses goes",
            key_may_withdraw(),
        ),
        story(
            "kucoin/key_of_a_sub_account",
            "a new key in bob's sub-account, and one more masked address on his own key's list",
            key_of_a_sub_account(),
        ),
        story(
            "coinbase/key_state_ordinary",
            "erin's key is looked at, refused, looked at again and narrowed: nothing to tell but the refusal",
            key_state_ordinary(),
        ),
    ]
}

/// Alice has traded ETH-BTC for three months; APPC-BTC, which she never touched, lies quiet.
pub fn alice_and_a_thin_pair() -> Tale {
    let mut tale = Tale::binance();
    tale.candles("APPC-BTC", "0.00002000", "2.4", 2);
    tale.up("alice").holds("alice", &[("BTC", "1.20000000"), ("ETH", "4.00000000")]);
    tale.habit("alice", "ETH-BTC", "0.03100000", "0.05", 30, 2.5, 1.2);
    tale.quiet("APPC-BTC", "0.00002000", "0.0008", 300);
    tale
}

/// The attacking order itself: 0.8136 BTC for what was worth 0.64 five seconds before.
pub fn dear(who: &str, pair: &str) -> Deal {
    Deal::buy(who, pair)
        .at("0.00002500", "8000")
        .at("0.00002520", "8000")
        .at("0.00002550", "8000")
        .at("0.00002600", "8000")
}

/// A crowd raises APPC-BTC by a quarter in three seconds.
pub fn raise(tale: &mut Tale) -> &mut Tale {
    tale.rush(Side::Buy, "APPC-BTC", "0.00002000", 1.25, 12, 3.0, "0.06");
    tale
}

fn pump() -> Tale {
    let mut tale = alice_and_a_thin_pair();
    raise(&mut tale).deal(&dear("alice", "APPC-BTC"));
    tale.rush(Side::Buy, "APPC-BTC", "0.00002600", 1.1, 6, 4.0, "0.05");
    let rest = Deal::buy("alice", "APPC-BTC").at("0.00002870", "6000").at("0.00002890", "6000");
    tale.deal(&rest);
    tale.rush(Side::Sell, "APPC-BTC", "0.00002850", 0.7, 14, 20.0, "0.05");
    tale.wait(2_400.0).tick();
    tale
}

/// Alice holds five assets; all are sold at market within 20 s, then the thin pair is bought.
fn liquidation_then_pump() -> Tale {
    let mut tale = Tale::binance();
    tale.candles("APPC-BTC", "0.00002000", "2.4", 2);
    tale.up("alice").holds(
        "alice",
        &[
            ("BTC", "0.05000000"),
            ("ETH", "4.00000000"),
            ("ADA", "3000.00000000"),
            ("XLM", "9000.00000000"),
            ("LTC", "11.00000000"),
        ],
    );
    tale.habit("alice", "ETH-BTC", "0.03100000", "0.05", 30, 2.5, 1.2);
    for (pair, price) in [("ADA-BTC", "0.00000710"), ("XLM-BTC", "0.00000240"), ("LTC-BTC", "0.00090000")] {
        tale.trade(Side::Buy, pair, &[(dec(price), dec("10"))]);
    }
    tale.quiet("APPC-BTC", "0.00002000", "0.0008", 180);
    for (pair, price, quantity) in [
        ("ETH-BTC", "0.03095000", "4"),
        ("ADA-BTC", "0.00000708", "3000"),
        ("XLM-BTC", "0.00000239", "9000"),
        ("LTC-BTC", "0.00089800", "11"),
    ] {
        tale.deal(&Deal::sell("alice", pair).at(price, quantity).unseen());
        tale.wait(5.0);
    }
    tale.rush(Side::Buy, "APPC-BTC", "0.00002000", 1.2, 10, 3.0, "0.06");
    tale.deal(&Deal::buy("alice", "APPC-BTC").at("0.00002400", "3000").at("0.00002450", "3000"));
    tale.wait(2_400.0).tick();
    tale
}

fn planted_ask() -> Tale {
    let mut tale = alice_and_a_thin_pair();
    tale.deal(&Deal::buy("alice", "APPC-BTC").at("0.00002010", "200").at("0.00080000", "900"));
    tale.wait(30.0);
    tale.quiet("APPC-BTC", "0.00002000", "0.0008", 120);
    tale.wait(1_900.0).tick();
    tale
}

/// Alternating buys at 0.000021 and sells at 0.000019 of a pair whose price does not move between them.
pub fn churn() -> Tale {
    let mut tale = alice_and_a_thin_pair();
    for _ in 0..8 {
        tale.deal(&Deal::buy("alice", "APPC-BTC").at("0.00002100", "9000"));
        tale.wait(1.5);
        tale.deal(&Deal::sell("alice", "APPC-BTC").at("0.00001900", "9000"));
        tale.wait(1.5);
    }
    tale.wait(2_400.0).tick();
    tale
}

fn ordinary() -> Tale {
    let mut tale = Tale::binance();
    tale.candles("BTC-USDT", "64000", "900000000", 2);
    tale.up("carol").holds("carol", &[("USDT", "6000.00000000"), ("BTC", "0.41000000")]);
    tale.up("dave").holds("dave", &[("USDT", "9000.00000000"), ("BTC", "0.15000000")]);
    let past: Vec<_> =
        (0..26).map(|week| (7.0 * f64::from(26 - week), "BTC-USDT", Side::Buy, dec("64000"), dec("0.00156"))).collect();
    tale.remembers("carol", &past);
    tale.habit("dave", "BTC-USDT", "64000", "640", 30, 1.0, 0.9);
    tale.quiet("BTC-USDT", "64000", "2500", 240);
    tale.deal(&Deal::buy("carol", "BTC-USDT").at("64010.5", "0.00156").named("dca-BTC-27"));
    for k in 0..6 {
        tale.quiet("BTC-USDT", "64000", "2500", 60);
        let low = nudge(dec("63950"), -0.0005 * f64::from(k));
        tale.deal(&Deal::buy("dave", "BTC-USDT").fill(low, dec("0.01")).maker().named(&format!("grid-{k}-b")));
        tale.wait(25.0);
        let high = nudge(low, 0.0015);
        tale.deal(&Deal::sell("dave", "BTC-USDT").fill(high, dec("0.01")).maker().named(&format!("grid-{k}-s")));
    }
    tale.wait(2_400.0).tick();
    tale
}

/// The same frames again a second later, and a REST list that holds the fills once more.
fn twice() -> Tale {
    let mut tale = alice_and_a_thin_pair();
    raise(&mut tale);
    let begin = tale.arrivals.len();
    tale.deal(&dear("alice", "APPC-BTC"));
    let sent: Vec<_> = tale.arrivals[begin..].to_vec();
    let list: Vec<serde_json::Value> = sent.iter().filter_map(listed).collect();
    tale.wait(1.0);
    for arrival in sent {
        tale.push(&arrival.from.to_string(), arrival.body, 40);
    }
    tale.wait(2.0).page("binance/alice/rest", "myTrades?symbol=APPCBTC&limit=1000", &list.into());
    tale.wait(2_400.0).tick();
    tale
}

/// A trade report as `myTrades` lists it.
fn listed(arrival: &fillguard::arrival::Arrival) -> Option<serde_json::Value> {
    let Body::Frame(frame) = &arrival.body else { return None };
    let frame: serde_json::Value = serde_json::from_str(frame.get()).unwrap();
    let event = &frame["event"];
    (event["x"] == "TRADE").then(|| {
        serde_json::json!({"symbol": event["s"], "id": event["t"], "orderId": event["i"], "orderListId": -1,
            "price": event["L"], "qty": event["l"], "quoteQty": event["Y"], "commission": event["n"],
            "commissionAsset": event["N"], "time": event["T"], "isBuyer": true, "isMaker": false, "isBestMatch": true})
    })
}

fn reconnect() -> Tale {
    let mut tale = alice_and_a_thin_pair();
    tale.down("alice", "closed 1006").wait(21.0).up("alice");
    tale.wait(3.0);
    tale.remembers("alice", &[(0.000_15, "ETH-BTC", Side::Buy, dec("0.03100000"), dec("1.5"))]);
    tale.filled("alice", 26.0, true);
    tale.wait(300.0).down("alice", "no answer to a ping").wait(40.0).up("alice");
    for _ in 0..6 {
        tale.wait(30.0).tick();
    }
    tale.wait(2_400.0).tick();
    tale
}

fn address() -> Tale {
    let mut tale = Tale::binance();
    tale.now -= 16 * 86_400_000;
    tale.up("alice");
    tale.deal(&Deal::buy("alice", "ETH-BTC").at("0.03100000", "0.5").unseen());
    for day in 0..16 {
        tale.used("alice", Some(if day % 2 == 0 { "203.0.113.7" } else { "203.0.113.9" }), None);
        tale.days(1.0);
    }
    tale.used("alice", Some("203.0.113.7"), None).wait(60.0);
    tale.used("alice", Some("198.51.100.23"), None).wait(20.0);
    tale.used("alice", Some("203.0.113.7"), None).wait(15.0);
    tale.used("alice", Some("198.51.100.23"), None);
    tale.wait(2_400.0).tick();
    tale
}

/// Seventy orders of one grammar, each named in the gateway's log; then one of another, and one the log does not name.
fn origin() -> Tale {
    let mut tale = Tale::binance();
    tale.now -= 71 * 3 * 3_600_000;
    tale.up("alice").holds("alice", &[("BTC", "1.20000000"), ("ETH", "4.00000000")]);
    for k in 0..70 {
        let name = format!("grid-{:06}", 1_200 + k);
        tale.used("alice", Some("203.0.113.7"), Some(&name)).wait(0.3);
        let price = nudge(dec("0.031"), 0.004 * tale.dice());
        let side = if k % 2 == 0 { Side::Buy } else { Side::Sell };
        tale.deal(&Deal::new(side, "alice", "ETH-BTC").fill(price, dec("1.5")).named(&name).unseen());
        tale.wait(3.0 * 3_600.0);
    }
    tale.deal(&Deal::buy("alice", "ETH-BTC").at("0.03100000", "1.5").named("x-Q7PLK2NA8c21f0").unseen());
    tale.wait(15.0).tick();
    tale.wait(2_400.0).tick();
    tale
}

fn unreadable() -> Tale {
    let mut tale = alice_and_a_thin_pair();
    let broken = [
        Body::Text("Internal Server Error".into()),
        Body::Bytes(vec![0xff, 0x00, 0x17]),
        Body::Frame(
            Body::json(
                r#"{"subscriptionId":0,"event":{"e":"executionReport","s":"APPCBTC","x":"TRADE","l":"a lot"}}"#.into(),
            )
            .unwrap(),
        ),
        Body::Frame(
            Body::json(r#"{"subscriptionId":0,"event":{"e":"somethingNew","E":1772442300000}}"#.into()).unwrap(),
        ),
        Body::Frame(Body::json("[1,2,3]".into()).unwrap()),
    ];
    for body in broken {
        tale.wait(2.0).push("binance/alice", body, 38);
    }
    tale.deal(&Deal::buy("alice", "ETH-BTC").at("0.03100000", "1.5").unseen());
    tale.wait(2_400.0).tick();
    tale
}

/// Bob has traded SOL-USDT for three months; MUSE-USDT, which he never touched, is raised by a fifth.
fn kucoin(dialect: Dialect) -> Tale {
    let mut tale = bob(dialect);
    tale.rush(Side::Buy, "MUSE-USDT", "0.5", 1.22, 12, 3.0, "1200");
    tale.deal(&Deal::buy("bob", "MUSE-USDT").at("0.61", "8000").at("0.618", "8000").at("0.63", "9000"));
    tale.rush(Side::Sell, "MUSE-USDT", "0.63", 0.75, 10, 20.0, "900");
    tale.wait(2_400.0).tick();
    tale
}

fn bob(dialect: Dialect) -> Tale {
    let mut tale = Tale::new(dialect);
    tale.candles("MUSE-USDT", "0.5", "60000", 2);
    tale.up("bob").holds("bob", &[("USDT", "21000"), ("SOL", "40")]);
    tale.habit("bob", "SOL-USDT", "140", "900", 30, 2.5, 1.2);
    tale.quiet("MUSE-USDT", "0.5", "25", 300);
    tale
}

fn kucoin_ordinary() -> Tale {
    let mut tale = bob(Dialect::KucoinClassic);
    for _ in 0..3 {
        tale.deal(&Deal::buy("bob", "SOL-USDT").at("140.2", "3").at("140.3", "3.5").unseen());
        tale.wait(400.0);
        tale.deal(&Deal::sell("bob", "SOL-USDT").at("141.1", "6.5").maker().unseen());
        tale.quiet("MUSE-USDT", "0.5", "25", 120);
    }
    tale.wait(2_400.0).tick();
    tale
}

fn erin() -> Tale {
    let mut tale = Tale::new(Dialect::Coinbase);
    tale.candles("RARI-USD", "2.2", "70000", 2);
    tale.up("erin").holds("erin", &[("USD", "24000"), ("ETH", "5")]);
    tale.habit("erin", "ETH-USD", "2050", "900", 30, 2.5, 1.2);
    tale.quiet("RARI-USD", "2.2", "30", 300);
    tale
}

fn coinbase_pump() -> Tale {
    let mut tale = erin();
    tale.rush(Side::Buy, "RARI-USD", "2.2", 1.25, 12, 3.0, "1500");
    let deal = Deal::buy("erin", "RARI-USD").at("2.75", "2000").at("2.78", "2000").at("2.82", "2000");
    let order = tale.numbers + 1;
    tale.deal(&deal);
    tale.wait(2.0);
    // The list knows better: the last fill was a hair cheaper than the totals said.
    let listed = Deal::buy("erin", "RARI-USD").at("2.75", "2000").at("2.78", "2000").at("2.815", "2000");
    spelling::list_fills(&mut tale, &listed, order);
    tale.wait(5.0);
    tale.deal(&Deal::buy("erin", "RARI-USD").at("2.84", "1500"));
    tale.wait(2_400.0).tick();
    tale
}

fn sequence_gap() -> Tale {
    let mut tale = erin();
    tale.deal(&Deal::buy("erin", "ETH-USD").at("2051", "0.2").at("2051.2", "0.24").unseen());
    tale.wait(60.0);
    // Three messages never came.
    *tale.sequence.entry("erin".into()).or_default() += 3;
    tale.deal(&Deal::sell("erin", "ETH-USD").at("2052", "0.44").unseen());
    tale.wait(2.0).filled("erin", 90.0, true);
    tale.wait(2_400.0).tick();
    tale
}

fn coinbase_ordinary() -> Tale {
    let mut tale = erin();
    for _ in 0..3 {
        tale.deal(&Deal::buy("erin", "ETH-USD").at("2051", "0.2").at("2051.2", "0.24").unseen());
        tale.wait(400.0);
        tale.deal(&Deal::sell("erin", "ETH-USD").at("2060", "0.44").maker().unseen());
        tale.quiet("RARI-USD", "2.2", "30", 120);
    }
    tale.wait(2_400.0).tick();
    tale
}

fn restrictions(tale: &mut Tale, withdraw: bool, restricted: bool) {
    let page = serde_json::json!({"ipRestrict": restricted, "createTime": 1_750_000_000_000_i64,
        "enableReading": true, "enableSpotAndMarginTrading": true, "enableWithdrawals": withdraw,
        "enableInternalTransfer": false, "enableMargin": false, "enableFutures": false,
        "permitsUniversalTransfer": false, "enableVanillaOptions": false, "enableFixApiTrade": false,
        "enableFixReadOnly": true, "enablePortfolioMarginTrading": false});
    tale.page("binance/alice/rest", "sapi/v1/account/apiRestrictions?key=4d0f9b12", &page);
    tale.wait(300.0).tick();
}

fn key_may_withdraw() -> Tale {
    let mut tale = Tale::binance();
    tale.up("alice");
    for withdraw in [false, false, true, true, false, true] {
        restrictions(&mut tale, withdraw, true);
    }
    restrictions(&mut tale, true, false);
    for _ in 0..8 {
        restrictions(&mut tale, true, false);
    }
    tale
}

fn key_of_a_sub_account() -> Tale {
    let mut tale = Tale::new(Dialect::KucoinClassic);
    tale.up("bob");
    let key = |name: &str, permission: &str, addresses: &str, own: bool| {
        serde_json::json!({"remark": name, "apiKey": format!("<redacted:{}>", &format!("{:08x}", name.len() * 77_777_777)),
            "apiVersion": 3, "permission": permission, "ipWhitelist": addresses,
            "createdAt": 1_750_000_000_000_i64, "uid": 70_001, "isMaster": own})
    };
    for round in 0..6 {
        let addresses = if round < 3 { "203.**.7" } else { "203.**.7,198.**.23" };
        let own = key("watch", "General", addresses, true);
        let answer = serde_json::json!({"code": "200000", "data": own});
        tale.page("kucoin/bob/rest", "user/api-key", &answer).wait(1.0);
        let mut listed = vec![key("grid-bot", "General,Spot", "203.**.7", false)];
        if round >= 2 {
            listed.insert(0, key("x", "General,Spot,Transfer", "", false));
        }
        let answer = serde_json::json!({"code": "200000", "data": listed});
        tale.page("kucoin/bob/rest", "sub/api-key?subName=grids", &answer).wait(299.0).tick();
    }
    tale.wait(2_400.0).tick();
    tale
}

fn key_state_ordinary() -> Tale {
    let mut tale = Tale::new(Dialect::Coinbase);
    tale.up("erin");
    let mut look = |page: serde_json::Value| {
        tale.page("coinbase/erin/rest", "key_permissions?key=81c2d3aa", &page).wait(300.0).tick();
    };
    look(serde_json::json!({"can_view": true, "can_trade": true, "can_transfer": false, "can_receive": false}));
    look(serde_json::json!({"can_receive": false, "can_transfer": false, "can_trade": true, "can_view": true}));
    look(serde_json::json!({"can_view": true, "can_trade": true, "portfolio_type": "DEFAULT"}));
    look(serde_json::json!({"error": "UNAUTHENTICATED", "error_details": "", "message": ""}));
    look(serde_json::json!({"can_view": true, "can_trade": true, "can_transfer": false, "can_receive": false}));
    look(serde_json::json!({"can_view": true, "can_trade": false, "can_transfer": false, "can_receive": false}));
    tale.wait(2_400.0).tick();
    tale
}

/// Nothing but numbers, for those who count.
pub fn total(fills: &[(Decimal, Decimal)]) -> Decimal {
    fills.iter().map(|(price, quantity)| price * quantity).sum()
}
