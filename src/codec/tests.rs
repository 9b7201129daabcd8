//! What holds for every codec: links, gaps, and that no frame, however mangled, does harm.

#![expect(clippy::wildcard_enum_match_arm, reason = "a test that meets any other kind fails")]

use proptest::prelude::*;

use super::*;
use crate::domain::{FeedChange, Fill, Timestamp};

const FROM: [&str; 10] = [
    "binance/alice",
    "binance/alice/rest",
    "binance/market",
    "binance/market/rest",
    "kucoin/alice",
    "kucoin/alice/rest",
    "coinbase/alice",
    "coinbase/alice/rest",
    "access/gateway",
    "clock",
];

const CALLS: [&str; 10] = [
    "myTrades?symbol=APPCBTC",
    "account",
    "openOrders",
    "exchangeInfo",
    "klines?symbol=APPCBTC&interval=1m",
    "ticker/24hr",
    "trades?symbol=APPCBTC",
    "aggTrades?symbol=APPCBTC",
    "orders/historical/fills",
    "?",
];

/// One whole frame or answer of each kind, to be mangled.
const WHOLE: [&str; 17] = [
    r#"{"subscriptionId":0,"event":{"e":"executionReport","E":1775572206251,"s":"APPCBTC","c":"bot-17","S":"BUY","o":"LIMIT","C":"","x":"TRADE","X":"FILLED","r":"NONE","i":81234567,"l":"40.0","z":"40.0","L":"0.0000209","n":"0.04","N":"APPC","T":1775572206250,"t":5512345,"m":false,"Y":"0.000836"}}"#,
    r#"{"e":"ORDER_TRADE_UPDATE","T":1775572206250,"o":{"s":"BTCUSDT","c":"x-1","S":"SELL","o":"MARKET","x":"CALCULATED","X":"FILLED","i":8886774,"l":"0.010","L":"68000.1","T":1775572206250,"t":9001}}"#,
    r#"{"e":"outboundAccountPosition","u":1775572206250,"B":[{"a":"APPC","f":"39.96","l":"0"}]}"#,
    r#"{"e":"balanceUpdate","a":"BTC","d":"-0.25","T":1775572206250}"#,
    r#"{"id":"1","status":418,"error":{"code":-1003,"msg":"m","data":{"retryAfter":1775572326000}}}"#,
    r#"[{"symbol":"APPCBTC","id":1,"orderId":2,"price":"1","qty":"40","quoteQty":"40","commission":"0","commissionAsset":"BNB","time":1775572206250,"isBuyer":true,"isMaker":false}]"#,
    r#"{"updateTime":1775572206250,"balances":[{"asset":"BTC","free":"0.5","locked":"0"}]}"#,
    r#"{"stream":"appcbtc@trade","data":{"e":"trade","s":"APPCBTC","t":7,"p":"0.0000209","q":"40","T":1775572206250,"m":true}}"#,
    r#"[{"e":"24hrMiniTicker","E":1775572206251,"s":"APPCBTC","c":"0.0000209","q":"1.25"}]"#,
    r#"[[1775572140000,"2","4","1","3","310",1775572199999,"630",7,"200","410","0"]]"#,
    r#"{"symbols":[{"symbol":"DOTUSD","baseAsset":"DOT","quoteAsset":"USD"}]}"#,
    r#"[{"id":1,"price":"1","qty":"2","time":1775572206250,"isBuyerMaker":true}]"#,
    r#"{"topic":"/spotMarket/tradeOrdersV2","type":"message","subject":"orderChange","data":{"symbol":"ABC-USDT","orderType":"limit","side":"sell","orderId":"6f01","type":"match","feeType":"takerFee","orderTime":1775572206026,"size":"5","filledSize":"5","price":"1.9","matchPrice":"2","matchSize":"5","tradeId":"1102","clientOid":"bot-17","remainSize":"0","status":"match","ts":1775572206250000000}}"#,
    r#"{"T":"execution.UNIFIED","P":1775572206251000000,"d":{"oi":"6f01","s":"ABC-USDT","S":"BUY","oT":"MARKET","p":"2","q":"5","ti":"1103","E":1775572206250000000,"lR":"TAKER","f":"0.01","fC":"USDT","fT":"NORMAL","ci":"bot-18"}}"#,
    r#"{"channel":"user","timestamp":"2026-04-07T14:30:06.25Z","sequence_num":4,"events":[{"type":"update","orders":[{"order_id":"O1","client_order_id":"bot-19","cumulative_quantity":"3","leaves_quantity":"7","avg_price":"110","total_fees":"0.33","status":"OPEN","product_id":"ABC-USD","order_side":"BUY","order_type":"Limit","number_of_fills":"3","filled_value":"330"}]}]}"#,
    r#"{"fills":[{"entry_id":"e1","trade_id":"t1","order_id":"O1","trade_time":"2026-04-07T14:30:06Z","trade_type":"FILL","price":"110","size":"3","commission":"0.33","product_id":"ABC-USD","liquidity_indicator":"TAKER","size_in_quote":false,"side":"BUY"}],"cursor":""}"#,
    r#"{"account":"binance/alice","ip":"203.0.113.7","ua":"bot/2","client_order_id":"bot-17","time":1775572206250}"#,
];

const VALUES: [&str; 14] = [
    "null",
    "true",
    "-1",
    "0",
    "1e400",
    "-0.0",
    "\"0\"",
    "\"\"",
    "\"-5\"",
    "\"1e29\"",
    "[]",
    "{}",
    "[[{\"a\":[]}]]",
    "99999999999999999999999",
];

fn arrival(from: &str, body: Body) -> Arrival {
    Arrival { n: 1, at: Timestamp::from_millis(1_775_572_206_300), from: from.parse().unwrap(), body }
}

fn decode(codecs: &mut Codecs, from: &str, body: Body) -> Vec<Event> {
    let mut out = Vec::new();
    codecs.decode(&arrival(from, body), &mut out);
    out
}

fn fills(events: &[Event]) -> Vec<&Fill> {
    events.iter().filter_map(|event| if let EventKind::Fill(fill) = &event.kind { Some(fill) } else { None }).collect()
}

/// Gives `json` to every source, as a frame and as an answer to every call, and looks at the fills.
fn everywhere(json: &str) {
    let mut codecs = Codecs::new(&Settings::default());
    for from in FROM {
        let mut events = decode(&mut codecs, from, Body::from_text(json.to_owned()));
        if let Ok(frame) = Body::json(json.to_owned()) {
            for call in CALLS {
                events.extend(decode(&mut codecs, from, Body::Page { call: call.into(), frame: frame.clone() }));
            }
        }
        for fill in fills(&events) {
            let above_zero = [fill.price.get(), fill.quantity.get(), fill.notional];
            assert!(above_zero.iter().all(|figure| figure.is_sign_positive() && !figure.is_zero()), "{fill:?}");
        }
    }
}

#[test]
fn links_gaps_and_ticks_are_told_for_whom_they_concern() {
    let mut codecs = Codecs::new(&Settings::default());
    let mut feed = |from: &str, body: Body| match decode(&mut codecs, from, body).pop().unwrap().kind {
        EventKind::Feed(change) => change,
        other => panic!("{other:?}"),
    };
    let up = feed("binance/alice", Body::LinkUp);
    assert_eq!((up.account.unwrap().to_string().as_str(), up.kind), ("binance/alice", FeedKind::Up));
    let down = feed("coinbase/market", Body::LinkDown { why: "closed 1006".into() });
    let expected = FeedKind::Down("closed 1006".into());
    assert_eq!(
        down,
        FeedChange { account: None, wallet: crate::domain::Wallet::Spot, venue: Some(Venue::Coinbase), kind: expected }
    );
    for (from, body) in [
        ("binance/alice", Body::Text("hunter2".into())),
        ("binance/market", Body::Bytes(vec![0xff])),
        ("clock", Body::from_text("{\"hunter2\":1}".into())),
    ] {
        let change = feed(from, body);
        assert!(matches!(&change.kind, FeedKind::Unreadable(why) if !why.contains("hunter2")), "{change:?}");
    }
    assert_eq!(decode(&mut codecs, "clock", Body::Tick)[0].kind, EventKind::Tick);
}

#[test]
fn events_of_earlier_arrivals_stay_where_they_are() {
    let mut codecs = Codecs::new(&Settings::default());
    let mut out = Vec::new();
    for _ in 0..3 {
        codecs.decode(&arrival("binance/alice", Body::from_text(WHOLE[0].into())), &mut out);
        codecs.decode(&arrival("clock", Body::Tick), &mut out);
    }
    let ticks = out.iter().filter(|event| event.kind == EventKind::Tick).count();
    assert_eq!((fills(&out).len(), ticks, out.len()), (1, 3, 4));
}

#[test]
fn what_is_nested_ten_megabytes_deep_is_refused_and_harms_nobody() {
    let megabytes = |count: usize| ("[".repeat(count << 19), "]".repeat(count << 19));
    let mut codecs = Codecs::new(&Settings::default());
    // What is not closed is no JSON; a socket hands it over as text.
    let events = decode(&mut codecs, "binance/alice", Body::from_text("[".repeat(10 << 20)));
    assert!(matches!(&events[0].kind, EventKind::Feed(change) if matches!(change.kind, FeedKind::Unreadable(_))));
    let (open, close) = megabytes(10);
    let frame = Body::json(format!("{open}{close}")).unwrap();
    for (from, call) in [("binance/alice", None), ("binance/market/rest", Some("klines?symbol=APPCBTC&interval=1m"))] {
        let body = match call {
            None => Body::Frame(frame.clone()),
            Some(call) => Body::Page { call: call.into(), frame: frame.clone() },
        };
        assert_eq!(fills(&decode(&mut codecs, from, body)), Vec::<&Fill>::new());
    }
    let (open, close) = megabytes(1);
    for (from, json) in [
        ("binance/alice", format!(r#"{{"e":"executionReport","l":{open}{close}}}"#)),
        ("binance/alice", format!(r#"{{"subscriptionId":0,"event":{open}{close}}}"#)),
        ("binance/alice", format!(r#"{{"e":"outboundAccountPosition","u":1775572206250,"B":{open}{close}}}"#)),
        ("binance/market", format!(r#"{{"stream":"x","data":{open}{close}}}"#)),
        ("kucoin/alice", format!(r#"{{"type":"message","topic":"/spotMarket/tradeOrdersV2","data":{open}{close}}}"#)),
        ("coinbase/alice", format!(r#"{{"channel":"user","events":{open}{close}}}"#)),
        ("access/gateway", format!(r#"{{"account":"alice","ip":{open}{close}}}"#)),
    ] {
        let events = decode(&mut codecs, from, Body::from_text(json));
        assert!(
            matches!(&events[0].kind, EventKind::Feed(change) if matches!(change.kind, FeedKind::Unreadable(_))),
            "{from}"
        );
    }
}

#[test]
fn the_whole_frames_are_readable_before_they_are_mangled() {
    let mut codecs = Codecs::new(&Settings::default());
    assert_eq!(fills(&decode(&mut codecs, "binance/alice", Body::from_text(WHOLE[0].into()))).len(), 1);
    assert_eq!(fills(&decode(&mut codecs, "binance/alice", Body::from_text(WHOLE[1].into()))).len(), 1);
    let page = Body::Page { call: CALLS[0].into(), frame: Body::json(WHOLE[5].into()).unwrap() };
    assert_eq!(fills(&decode(&mut codecs, "binance/alice/rest", page)).len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn flipped_bytes_do_no_harm(whole in 0..WHOLE.len(), flips in prop::collection::vec((any::<usize>(), any::<u8>()), 1..6)) {
        let mut bytes = WHOLE[whole].as_bytes().to_vec();
        for (place, byte) in flips {
            let place = place % bytes.len();
            bytes[place] = byte;
        }
        everywhere(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn a_cut_frame_does_no_harm(whole in 0..WHOLE.len(), cut in any::<usize>()) {
        let json = WHOLE[whole];
        everywhere(&json[..cut % json.len()]);
    }

    #[test]
    fn values_of_the_wrong_kind_do_no_harm(whole in 0..WHOLE.len(), changes in prop::collection::vec((any::<usize>(), 0..VALUES.len()), 1..4)) {
        let mut json = WHOLE[whole].to_owned();
        for (place, value) in changes {
            // A value runs from a colon to the next comma or bracket.
            let colons: Vec<usize> = json.match_indices(':').map(|found| found.0).collect();
            if colons.is_empty() { break; }
            let start = colons[place % colons.len()] + 1;
            let end = json[start..].find([',', '}', ']']).map_or(json.len(), |end| start + end);
            json.replace_range(start..end, VALUES[value]);
        }
        everywhere(&json);
    }

    #[test]
    fn bytes_of_any_kind_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut codecs = Codecs::new(&Settings::default());
        for from in FROM {
            decode(&mut codecs, from, Body::from_bytes(bytes.clone()));
        }
    }
}
