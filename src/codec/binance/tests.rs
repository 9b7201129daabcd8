//! Frames of our own, spelled as Binance spells them, and what must become of them.

#![expect(clippy::wildcard_enum_match_arm, reason = "a test that meets any other kind fails")]

use rust_decimal::Decimal;

use super::super::{Codecs, Settings};
use crate::arrival::{Arrival, Body};
use crate::domain::{
    BY_EXCHANGE, Balance, BalanceWhy, Event, EventKind, FeedKind, Fill, MarketKind, OrderChange, OrderStep, Side, Span,
    Timestamp, Via, Wallet,
};

const AT: Timestamp = Timestamp::from_millis(1_775_572_206_300);

fn decode(codecs: &mut Codecs, from: &str, body: Body) -> Vec<EventKind> {
    let mut out: Vec<Event> = Vec::new();
    codecs.decode(&Arrival { n: 1, at: AT, from: from.parse().unwrap(), body }, &mut out);
    out.into_iter().map(|event| event.kind).collect()
}

fn frame(from: &str, json: &str) -> Vec<EventKind> {
    decode(&mut Codecs::new(&Settings::default()), from, Body::from_text(json.into()))
}

fn page(from: &str, call: &str, json: &str) -> Vec<EventKind> {
    page_with(&mut Codecs::new(&Settings::default()), from, call, json)
}

fn page_with(codecs: &mut Codecs, from: &str, call: &str, json: &str) -> Vec<EventKind> {
    decode(codecs, from, Body::Page { call: call.into(), frame: Body::json(json.into()).unwrap() })
}

/// A report with some of its fields replaced; a value of `-` leaves the field out.
fn report(changes: &[(&str, &str)]) -> String {
    let mut fields = vec![
        ("E", "1775572206251"),
        ("s", r#""APPCBTC""#),
        ("c", r#""bot-17""#),
        ("S", r#""BUY""#),
        ("o", r#""LIMIT""#),
        ("f", r#""GTC""#),
        ("q", r#""120.00000000""#),
        ("p", r#""0.00002100""#),
        ("C", r#""""#),
        ("x", r#""TRADE""#),
        ("X", r#""PARTIALLY_FILLED""#),
        ("r", r#""NONE""#),
        ("i", "81234567"),
        ("l", r#""40.00000000""#),
        ("z", r#""40.00000000""#),
        ("L", r#""0.00002090""#),
        ("n", r#""0.04000000""#),
        ("N", r#""APPC""#),
        ("T", "1775572206250"),
        ("t", "5512345"),
        ("I", "160001234"),
        ("w", "false"),
        ("m", "false"),
        ("M", "false"),
        ("Z", r#""0.00083600""#),
        ("Y", r#""0.00083600""#),
    ];
    for (key, value) in changes {
        match fields.iter_mut().find(|field| field.0 == *key) {
            Some(field) => field.1 = value,
            None => fields.push((key, value)),
        }
    }
    let fields = fields.iter().filter(|field| field.1 != "-").map(|(key, value)| format!(r#","{key}":{value}"#));
    format!(r#"{{"e":"executionReport"{}}}"#, fields.collect::<String>())
}

fn of(changes: &[(&str, &str)]) -> Vec<EventKind> {
    frame("binance/alice", &report(changes))
}

fn fill(events: Vec<EventKind>) -> Fill {
    match <[EventKind; 1]>::try_from(events) {
        Ok([EventKind::Fill(fill)]) => fill,
        other => panic!("not one fill: {other:?}"),
    }
}

fn order(events: Vec<EventKind>) -> OrderChange {
    match <[EventKind; 1]>::try_from(events) {
        Ok([EventKind::Order(order)]) => order,
        other => panic!("not one order: {other:?}"),
    }
}

fn feed(events: Vec<EventKind>) -> FeedKind {
    match <[EventKind; 1]>::try_from(events) {
        Ok([EventKind::Feed(change)]) => change.kind,
        other => panic!("not one change of the feed: {other:?}"),
    }
}

fn unreadable(events: Vec<EventKind>) -> String {
    match feed(events) {
        FeedKind::Unreadable(why) => why.into(),
        other => panic!("{other:?}"),
    }
}

fn balances(events: Vec<EventKind>) -> Vec<Balance> {
    let balance = |kind| match kind {
        EventKind::Balance(balance) => balance,
        other => panic!("{other:?}"),
    };
    events.into_iter().map(balance).collect()
}

fn dec(text: &str) -> Decimal {
    text.parse().unwrap()
}

#[test]
fn a_trade_report_is_a_fill_with_the_executions_own_figures() {
    let fill = fill(of(&[]));
    assert_eq!(fill.account.to_string(), "binance/alice");
    assert_eq!((fill.symbol.to_string().as_str(), fill.side), ("APPC-BTC", Side::Buy));
    assert_eq!(fill.price.get(), dec("0.00002090"), "the execution's price, not the order's limit");
    assert_eq!((fill.quantity.get(), fill.notional), (dec("40"), dec("0.000836")));
    assert_eq!(fill.fee.unwrap().to_string(), "0.04 APPC");
    assert_eq!((fill.maker, fill.via), (Some(false), Via::Stream));
    assert_eq!((fill.trade_id.as_deref(), fill.order_id.as_str()), (Some("5512345"), "81234567"));
    assert_eq!((fill.client_order_id.as_deref(), fill.order_type.as_deref()), (Some("bot-17"), Some("limit")));
    assert_eq!(fill.time, Timestamp::from_millis(1_775_572_206_250));
}

#[test]
fn an_event_is_found_in_every_wrapper() {
    let bare = report(&[]);
    assert!(
        unreadable(frame("binance/alice", &format!("[{bare}]"))).contains("shape"),
        "no list, and no list of fields"
    );
    let reordered = bare.replace(r#"{"e":"executionReport","#, "{").replace('}', r#","e":"executionReport"}"#);
    let expected = fill(of(&[]));
    for json in [
        format!(r#"{{"subscriptionId":3,"event":{bare}}}"#),
        format!(r#"{{"event":{bare},"subscriptionId":3,"id":null,"new":[{{}}]}}"#),
        format!(r#"{{"stream":"aListenKey","data":{bare}}}"#),
        format!("  {bare}\n"),
        reordered,
    ] {
        assert_eq!(fill(frame("binance/alice", &json)), expected, "{json}");
    }
}

#[test]
fn maker_is_whether_the_accounts_own_order_waited() {
    assert_eq!(fill(of(&[("m", "true")])).maker, Some(true));
    assert_eq!(fill(of(&[("m", "-")])).maker, None);
}

#[test]
fn a_fee_without_an_asset_is_none_and_one_in_another_asset_keeps_it() {
    assert_eq!(fill(of(&[("n", r#""0""#), ("N", "null")])).fee, None);
    assert_eq!(fill(of(&[("n", "-"), ("N", "-")])).fee, None);
    assert_eq!(fill(of(&[("n", r#""0.00001""#), ("N", r#""BNB""#)])).fee.unwrap().to_string(), "0.00001 BNB");
}

#[test]
fn a_price_of_zero_is_made_of_the_quote_amount() {
    let fill = fill(of(&[("L", r#""0""#)]));
    assert_eq!((fill.price.get(), fill.notional), (dec("0.0000209"), dec("0.000836")));
    let why = unreadable(of(&[("L", r#""0.00000000""#), ("Y", r#""0.00000000""#)]));
    assert!(why.contains("`L` and `Y`"), "{why}");
}

#[test]
fn a_missing_or_rounded_quote_amount_is_price_times_quantity() {
    for quote in ["-", "null", r#""0.00000000""#] {
        assert_eq!(fill(of(&[("Y", quote)])).notional, dec("0.000836"), "{quote}");
    }
}

#[test]
fn a_liquidation_is_a_fill_and_a_prevented_trade_is_none() {
    assert_eq!(fill(of(&[("x", r#""CALCULATED""#), ("t", "-1")])).trade_id, None);
    assert_eq!(order(of(&[("x", r#""CALCULATED""#), ("l", r#""0""#)])).step, OrderStep::Other);
    let prevented = order(of(&[("x", r#""TRADE_PREVENTION""#), ("X", r#""EXPIRED_IN_MATCH""#)]));
    assert_eq!(prevented.step, OrderStep::Other);
}

#[test]
fn a_trade_report_that_traded_nothing_is_no_fill() {
    for (status, step) in
        [("NEW", OrderStep::Other), ("CANCELED", OrderStep::Cancelled), ("EXPIRED", OrderStep::Expired)]
    {
        let status = format!("{status:?}");
        let total = if status.contains("NEW") { r#""0.00000000""# } else { r#""40.00000000""# };
        let echo = order(of(&[("X", &status), ("l", r#""0.00000000""#), ("z", total), ("t", "-1")]));
        assert_eq!(echo.step, step, "{status}");
    }
    let events = of(&[("l", r#""0.00000000""#), ("z", r#""0.50000000""#), ("t", "-1")]);
    assert!(matches!(events[0], EventKind::Order(_)) && events.len() == 2);
    assert!(unreadable(events[1..].to_vec()).contains("over REST"), "its figures are due over REST");
}

#[test]
fn what_is_not_a_trade_is_a_step_of_the_order() {
    for (execution, step) in [
        ("NEW", OrderStep::Accepted),
        ("CANCELED", OrderStep::Cancelled),
        ("REPLACED", OrderStep::Amended),
        ("REJECTED", OrderStep::Rejected),
        ("EXPIRED", OrderStep::Expired),
    ] {
        let told = order(of(&[("x", &format!("{execution:?}"))]));
        assert_eq!((told.step, told.side, told.reason), (step, Some(Side::Buy), None), "whatever `l` says");
    }
    let events = of(&[("x", r#""TELEPORTED""#)]);
    assert!(matches!(&events[0], EventKind::Feed(change)
        if change.kind == FeedKind::Unknown("executionReport TELEPORTED".into())));
    assert!(matches!(&events[1], EventKind::Order(order) if order.step == OrderStep::Other));
}

#[test]
fn a_cancel_names_the_order_and_not_the_cancel_request() {
    let cancel = order(of(&[("x", r#""CANCELED""#), ("c", r#""request-1""#), ("C", r#""bot-17""#)]));
    assert_eq!(cancel.client_order_id.as_deref(), Some("bot-17"));
    assert_eq!(order(of(&[("x", r#""CANCELED""#)])).client_order_id.as_deref(), Some("bot-17"));
}

#[test]
fn a_reason_is_told_whether_it_rejects_or_expires() {
    let rejected = order(of(&[("x", r#""REJECTED""#), ("r", r#""INSUFFICIENT_BALANCES""#)]));
    assert_eq!(rejected.reason.as_deref(), Some("INSUFFICIENT_BALANCES"));
    let expired = order(of(&[("x", r#""EXPIRED""#), ("eR", r#""INSUFFICIENT_LIQUIDITY""#)]));
    assert_eq!(expired.reason.as_deref(), Some("INSUFFICIENT_LIQUIDITY"));
}

#[test]
fn a_field_that_is_wrong_is_named_and_its_value_is_not() {
    for (field, value, named) in [
        ("l", r#""-1""#, "`l`"),
        ("l", r#""hunter2""#, "`l`"),
        ("l", r#""1e40""#, "`l`"),
        ("l", "-", "`l`"),
        ("l", "[1]", "`l`"),
        ("L", "-", "`L`"),
        ("L", r#""-0.1""#, "`L`"),
        ("L", "true", "`L`"),
        ("Y", r#""hunter2""#, "`Y`"),
        ("n", r#""hunter2""#, "`n`"),
        ("N", r#""hunter 2""#, "`N`"),
        ("N", "7", "`N`"),
        ("m", r#""hunter2""#, "`m`"),
        ("S", r#""hunter2""#, "`S`"),
        ("s", r#""hunter2""#, "`s`"),
        ("s", "12", "`s`"),
        ("t", "-", "`t`"),
        ("t", r#""hunter2""#, "`t`"),
        ("i", "null", "`i`"),
        ("i", "1.5", "`i`"),
        ("T", "0", "`T`"),
        ("T", r#""hunter2""#, "`T`"),
        ("x", "3", "`x`"),
        ("c", "{}", "`c`"),
    ] {
        let why = unreadable(of(&[(field, value)]));
        assert!(why.contains(named) && !why.contains("hunter"), "{field} {value}: {why}");
    }
    let huge = of(&[("L", r#""79228162514264337593543950335""#), ("Y", "-")]);
    assert!(unreadable(huge).contains("price times quantity"));
}

#[test]
fn amounts_may_be_numbers_ids_may_be_text_and_times_may_be_microseconds() {
    let changes =
        [("l", "40"), ("L", "2.09e-5"), ("i", r#""81234567""#), ("t", r#""5512345""#), ("T", "1775572206250000")];
    assert_eq!(fill(of(&changes)), fill(of(&[])));
    assert_eq!(fill(of(&[("s", r#""币安人生USDT""#)])).symbol.to_string(), "币安人生-USDT");
}

#[test]
fn a_repeated_fill_is_counted_once_whichever_way_it_came() {
    let mut codecs = Codecs::new(&Settings::default());
    let trades = r#"[
        {"symbol":"APPCBTC","id":5512345,"orderId":81234567,"price":"0.00002090","qty":"40","quoteQty":"0.000836",
         "commission":"0.04","commissionAsset":"APPC","time":1775572206250,"isBuyer":true,"isMaker":false},
        {"symbol":"APPCBTC","id":5512346,"orderId":81234567,"price":"0.00002091","qty":"10","quoteQty":"0.0002091",
         "commission":"0.01","commissionAsset":"APPC","time":1775572206251,"isBuyer":true,"isMaker":false}]"#;
    let filled = || Body::Filled { since: AT, until: AT, verified: true };
    // What the stream tells first counts, also where it lacks the fee; so does its repeat in another wrapper.
    let stream = report(&[("n", "-"), ("N", "-")]);
    assert_eq!(fill(decode(&mut codecs, "binance/alice", Body::from_text(stream.clone()))).fee, None);
    let wrapped = format!(r#"{{"subscriptionId":9,"event":{stream}}}"#);
    assert_eq!(decode(&mut codecs, "binance/alice", Body::from_text(wrapped)), []);
    let found = fill(page_with(&mut codecs, "binance/alice/rest", "myTrades?symbol=APPCBTC", trades));
    assert_eq!((found.trade_id.as_deref(), found.via, found.client_order_id), (Some("5512346"), Via::Rest, None));

    let bytes = postcard::to_stdvec(&codecs).unwrap();
    let mut codecs: Codecs = postcard::from_bytes(&bytes).unwrap();
    assert_eq!(postcard::to_stdvec(&codecs).unwrap(), bytes);
    assert_eq!(decode(&mut codecs, "binance/alice", Body::from_text(stream.clone())), []);
    assert_eq!(page_with(&mut codecs, "binance/alice/rest", "myTrades", trades), []);
    for recovered in [1, 0] {
        let told = feed(decode(&mut codecs, "binance/alice/rest", filled()));
        assert_eq!(told, FeedKind::GapFilled { since: AT, until: AT, recovered, unsent: 0, verified: true });
    }
    // Another account's fill of the same numbers is another fill.
    assert_eq!(decode(&mut codecs, "binance/bob", Body::from_text(stream)).len(), 1);
}

#[test]
fn a_self_trade_has_two_fills() {
    let mut codecs = Codecs::new(&Settings::default());
    for id in ["81234567", "81234568"] {
        let json = report(&[("i", id)]);
        assert_eq!(fill(decode(&mut codecs, "binance/alice", Body::from_text(json))).order_id, id);
    }
}

#[test]
fn an_allocation_is_the_same_fill_on_the_feed_and_over_rest() {
    let mut codecs = Codecs::new(&Settings::default());
    let json = report(&[("t", "-1"), ("a", "12"), ("b", r#""ONE_PARTY_TRADE_REPORT""#)]);
    assert_eq!(fill(decode(&mut codecs, "binance/alice", Body::from_text(json))).trade_id.as_deref(), Some("a12"));
    let rows = r#"[{"symbol":"APPCBTC","allocationId":12,"orderId":81234567,"price":"0.0000209","qty":"40",
        "quoteQty":"0.000836","commission":"0","commissionAsset":"BTC","time":1775572206250,"isBuyer":true,"isMaker":false}]"#;
    assert_eq!(page_with(&mut codecs, "binance/alice/rest", "myAllocations?symbol=APPCBTC", rows), []);
}

#[test]
fn a_futures_update_follows_the_same_rule_and_its_early_copy_is_no_fill() {
    let update = |execution: &str, last: &str| {
        format!(
            r#"{{"e":"ORDER_TRADE_UPDATE","T":1775572206250,"E":1775572206251,"o":{{"s":"BTCUSDT","c":"x-1","S":"SELL",
            "o":"MARKET","x":"{execution}","X":"FILLED","i":8886774,"l":"{last}","z":"0.010","L":"68000.1","N":"USDT",
            "n":"0.272","T":1775572206250,"t":9001,"m":false,"rp":"0","ps":"BOTH"}}}}"#
        )
    };
    let traded = fill(frame("binance/alice", &update("TRADE", "0.010")));
    assert_eq!((traded.side, traded.notional, traded.trade_id.as_deref()), (Side::Sell, dec("680.001"), Some("9001")));
    fill(frame("binance/alice", &update("CALCULATED", "0.010")));
    assert_eq!(order(frame("binance/alice", &update("AMENDMENT", "0"))).step, OrderStep::Amended);
    let lite = r#"{"e":"TRADE_LITE","E":1775572206251,"T":1775572206250,"s":"BTCUSDT","q":"0.010","p":"0","m":false,
        "c":"x-1","S":"SELL","L":"68000.1","l":"0.010","t":9001,"i":8886774}"#;
    assert_eq!(frame("binance/alice", lite), []);
    assert_eq!(frame("binance/alice", r#"{"e":"ACCOUNT_UPDATE","a":{"B":[]}}"#), []);
}

#[test]
fn balances_are_told_with_why_they_moved() {
    let position = r#"{"subscriptionId":0,"event":{"e":"outboundAccountPosition","E":1775572206251,"u":1775572206250,
        "B":[{"a":"APPC","f":"39.96","l":"0"},{"a":"BTC","f":"0.5","l":"0.1"}]}}"#;
    let told = balances(frame("binance/alice", position));
    assert_eq!((told[1].asset.as_str(), told[1].free, told[1].locked), ("BTC", Some(dec("0.5")), Some(dec("0.1"))));
    assert!(told.iter().all(|balance| balance.why == BalanceWhy::Trade && balance.delta.is_none()));
    // As it was until 2020.
    let older = r#"{"e":"outboundAccountInfo","E":1499405658849,"m":0,"t":0,"b":0,"s":0,"T":true,"W":true,"D":true,
        "u":1499405658848,"B":[{"a":"LTC","f":"17366.18538083","l":"0.5"}]}"#;
    let told = balances(frame("binance/alice", older));
    assert_eq!(
        (told[0].asset.as_str(), told[0].free, told[0].locked),
        ("LTC", Some(dec("17366.18538083")), Some(dec("0.5")))
    );
    let moved = r#"{"e":"balanceUpdate","E":1775572206251,"a":"BTC","d":"-0.25","T":1775572206250}"#;
    let told = balances(frame("binance/alice", moved));
    assert_eq!((told[0].why, told[0].delta, told[0].free), (BalanceWhy::Transfer, Some(dec("-0.25")), None));
    // What is locked from outside is still there.
    assert_eq!(frame("binance/alice", &moved.replace("balanceUpdate", "externalLockUpdate")), []);
    let account = r#"{"canTrade":true,"updateTime":0,"balances":[{"asset":"BTC","free":"0.5","locked":"0"}]}"#;
    let told = balances(page("binance/alice/rest", "account?omitZeroBalances=true", account));
    assert_eq!((told[0].why, told[0].time), (BalanceWhy::Read, AT));
}

#[test]
fn the_end_of_a_stream_is_told() {
    let ended = |json: &str| feed(frame("binance/alice", json));
    assert!(matches!(
        ended(r#"{"subscriptionId":0,"event":{"e":"eventStreamTerminated","E":1775572206251}}"#),
        FeedKind::Ended(_)
    ));
    assert!(matches!(ended(r#"{"e":"listenKeyExpired","E":1775572206251}"#), FeedKind::Ended(_)));
    assert_eq!(ended(r#"{"event":{"e":"serverShutdown","E":1775572206251}}"#), FeedKind::ClosingSoon);
    assert_eq!(ended(r#"{"e":"brandNewEvent","E":1}"#), FeedKind::Unknown("brandNewEvent".into()));
    assert_eq!(ended(&format!(r#"{{"e":"{}"}}"#, "y".repeat(90))), FeedKind::Unknown("y".repeat(40).into()));
    assert_eq!(frame("binance/alice", r#"{"e":"listStatus","E":1,"s":"APPCBTC","C":"a","O":[{"s":"APPCBTC"}]}"#), []);
    let shutdown = r#"{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1775572206251}}"#;
    assert_eq!(feed(frame("binance/market", shutdown)), FeedKind::ClosingSoon);
}

#[test]
fn replies_are_no_events_and_refusals_are_told_in_our_words() {
    for reply in [
        r#"{"id":"s1","status":200,"result":{"subscriptionId":0},"rateLimits":[{"limit":6000}]}"#,
        r#"{"id":null,"status":200,"result":[{"symbol":"APPCBTC","id":1}]}"#,
        r#"{"result":null,"id":1}"#,
        r#"{"id":"s1","status":409,"error":{"code":-2035,"msg":"already"}}"#,
    ] {
        assert_eq!(frame("binance/alice", reply), [], "{reply}");
    }
    for (json, expected, word) in [
        (r#"{"id":null,"status":401,"error":{"code":-2015,"msg":"hunter2"}}"#, "-2015", "deleted"),
        (r#"{"id":"1","status":400,"error":{"code":-1021,"msg":"hunter2"}}"#, "-1021", "clock"),
        (r#"{"id":"1","status":400,"error":{"code":-1022,"msg":"hunter2"}}"#, "-1022", "signature"),
        (r#"{"id":"1","status":400,"error":{"code":-9999,"msg":"hunter2"}}"#, "-9999", "refused"),
        (
            r#"{"id":"1","status":418,"error":{"code":-1003,"msg":"hunter2","data":{"retryAfter":1775572326000}}}"#,
            "-1003",
            "banned for asking too much, until 2026-04-07T14:32:06.000Z",
        ),
        (r#"{"code":-2014,"msg":"hunter2"}"#, "-2014", "written"),
    ] {
        match feed(frame("binance/alice", json)) {
            FeedKind::Refused { code, why } => {
                assert!(code == expected && why.contains(word) && !why.contains("hunter2"), "{json}: {why}");
            }
            other => panic!("{other:?}"),
        }
    }
    let refused = feed(page("binance/alice/rest", "myTrades?symbol=APPCBTC", r#"{"code":-2015,"msg":"hunter2"}"#));
    assert!(matches!(refused, FeedKind::Refused { code, .. } if code == "-2015"));
}

#[test]
fn a_row_that_cannot_be_read_costs_no_other_row() {
    let rows = r#"[{"symbol":"APPCBTC","id":1,"orderId":2,"price":"0","qty":"40","time":1775572206250,"isBuyer":true},
        [],
        {"symbol":"APPCBTC","id":3,"orderId":2,"price":"1","qty":"40","time":1775572206250,"isBuyer":false}]"#;
    let events = page("binance/alice/rest", "myTrades?symbol=APPCBTC", rows);
    assert_eq!(events.len(), 3);
    assert!(unreadable(events[..1].to_vec()).contains("`price`"));
    let sold = fill(events[2..].to_vec());
    assert_eq!((sold.side, sold.maker, sold.fee, sold.notional), (Side::Sell, None, None, dec("40")));
}

#[test]
fn a_trade_without_its_pair_is_of_the_pair_that_was_asked_for() {
    let rows = r#"[{"id":28457,"orderId":5,"price":"4.00000100","qty":"12.00000000","commission":"10.1","commissionAsset":"BNB",
        "time":1499865549590,"isBuyer":true,"isMaker":false,"isBestMatch":true}]"#;
    let told = fill(page("binance/alice/rest", "myTrades?symbol=BNBBTC&fromId=1", rows));
    assert_eq!((told.symbol.to_string(), told.side), ("BNB-BTC".to_owned(), Side::Buy));
    assert!(unreadable(page("binance/alice/rest", "myTrades", rows)).contains("symbol"));
}

#[test]
fn order_lists_are_read_and_unknown_calls_are_told() {
    let orders = r#"[{"symbol":"APPCBTC","orderId":5,"clientOrderId":"bot-5","status":"NEW","type":"LIMIT","side":"BUY",
        "time":1775572206000,"updateTime":1775572206100},{"symbol":"APPCBTC","orderId":6,"clientOrderId":"bot-6",
        "status":"CANCELED","type":"LIMIT_MAKER","side":"SELL","time":1775572206000,"updateTime":1775572206100}]"#;
    let events = page("binance/alice/rest", "openOrders", orders);
    let steps: Vec<_> = events
        .iter()
        .map(|kind| match kind {
            EventKind::Order(order) => (order.step, order.time.millis() % 1_000, order.client_order_id.as_deref()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(steps, [(OrderStep::Accepted, 0, Some("bot-5")), (OrderStep::Cancelled, 100, Some("bot-6"))]);
    assert_eq!(page("binance/alice/rest", "sapi/v1/sub-account/list?page=1", r#"{"subAccounts":[]}"#), []);
    assert_eq!(feed(page("binance/alice/rest", "dustLog", "{}")), FeedKind::Unknown("dustLog".into()));
}

fn market(events: &[EventKind]) -> Vec<(String, MarketKind)> {
    let told = |kind: &EventKind| match kind {
        EventKind::Market(market) => (market.symbol.to_string(), market.kind.clone()),
        other => panic!("{other:?}"),
    };
    events.iter().map(told).collect()
}

#[test]
fn a_public_trades_taker_is_the_side_that_did_not_wait() {
    let trade = |id: u32, waited: bool, more: &str| {
        format!(
            r#"{{"stream":"appcbtc@trade","data":{{"e":"trade","E":1775572206251,"s":"APPCBTC","t":{id},"p":"0.0000209",
            "q":"40","T":1775572206250,"m":{waited},"M":true{more}}}}}"#
        )
    };
    for (waited, more, taker, order) in [
        (true, "", Side::Sell, None),
        (false, "", Side::Buy, None),
        (true, r#","b":88,"a":50"#, Side::Sell, Some("50")),
        (false, r#","b":88,"a":50"#, Side::Buy, Some("88")),
    ] {
        let events = market(&frame("binance/market", &trade(1, waited, more)));
        let MarketKind::Trade { taker: told, taker_order, price, .. } = &events[0].1 else { panic!("{events:?}") };
        assert_eq!((*told, taker_order.as_deref(), price.get()), (taker, order, dec("0.0000209")));
    }
    let mut codecs = Codecs::new(&Settings::default());
    for (id, count) in [(7, 1), (7, 0), (8, 1), (7, 0)] {
        assert_eq!(decode(&mut codecs, "binance/market", Body::from_text(trade(id, true, ""))).len(), count, "{id}");
    }
    let aggregate = r#"{"e":"aggTrade","E":1775572206251,"s":"APPCBTC","a":50,"p":"0.0000209","q":"40","f":1,"l":3,
        "T":1775572206250,"m":true,"M":true}"#;
    let events = market(&frame("binance/market", aggregate));
    assert!(matches!(events[0].1, MarketKind::Trade { taker_order: None, .. }), "`a` is no order here");
}

#[test]
fn tickers_come_alone_in_lists_and_over_rest() {
    let one = r#"{"e":"24hrMiniTicker","E":1775572206251,"s":"APPCBTC","c":"0.0000209","o":"0.00002","q":"1.25"}"#;
    let odd = r#"{"e":"24hrMiniTicker","E":1775572206251,"s":"FOOBAR","c":"1","q":"1"}"#;
    for json in [
        one.to_owned(),
        format!("[{one},{odd}]"),
        format!(r#"{{"stream":"!miniTicker@arr","data":[{odd},{one}]}}"#),
        one.replace("24hrMiniTicker", "24hrTicker"),
    ] {
        let events = market(&frame("binance/market", &json));
        assert_eq!(events.len(), 1, "{json}");
        assert_eq!(events[0].0, "APPC-BTC");
        assert!(matches!(events[0].1, MarketKind::Volume { quote, last: Some(_), .. } if quote == dec("1.25")));
    }
    let rest = r#"{"symbol":"APPCBTC","lastPrice":"0.0000209","quoteVolume":"1.25","closeTime":1775572206250}"#;
    for json in [rest.to_owned(), format!("[{rest}]")] {
        assert_eq!(market(&page("binance/market/rest", "ticker/24hr", &json)).len(), 1);
    }
}

#[test]
fn only_closed_candles_are_told() {
    let kline = |closed: bool| {
        format!(
            r#"{{"e":"kline","E":1775572206251,"s":"APPCBTC","k":{{"t":1775572140000,"T":1775572199999,"s":"APPCBTC",
            "i":"1m","o":"2","c":"3","h":"4","l":"1","v":"310","n":7,"x":{closed},"q":"630","V":"200","Q":"410"}}}}"#
        )
    };
    assert_eq!(frame("binance/market", &kline(false)), []);
    let stream = market(&frame("binance/market", &kline(true)));
    let rows = r#"[[1775572140000,"2","4","1","3","310",1775572199999,"630",7,"200","410","0"],
        [1775572200000,"3","3","3","3","1",1775572259999,"3",1,"1","3","0"]]"#;
    let mut rest = market(&page("binance/market/rest", "klines?symbol=APPCBTC&interval=1m", rows));
    let told = rest.pop().map(|(_, kind)| kind);
    assert_eq!(rest, stream, "the second is still growing");
    let until = Timestamp::from_millis(1_775_572_200_000);
    assert_eq!(
        told,
        Some(MarketKind::PastTold { until, trades: false }),
        "the past is told up to the last finished one"
    );
    let MarketKind::Candle { span, high, close, taker_buy_quote, trades, .. } = &rest[0].1 else { panic!() };
    assert_eq!((*span, high.get(), close.get()), (Span::from_secs(60), dec("4"), dec("3")));
    assert_eq!((*taker_buy_quote, *trades), (Some(dec("410")), Some(7)));
}

#[test]
fn the_list_of_pairs_says_how_a_name_is_split() {
    let mut codecs = Codecs::new(&Settings::default());
    let info = r#"{"symbols":[{"symbol":"DOTUSD","status":"TRADING","baseAsset":"DOT","quoteAsset":"USD"}]}"#;
    let dot = report(&[("s", r#""DOTUSD""#)]);
    assert!(unreadable(of(&[("s", r#""ADAUSD""#)])).contains("`s`"), "USD quotes nothing unless it is told");
    assert_eq!(page_with(&mut codecs, "binance/market/rest", "exchangeInfo", info), []);
    assert_eq!(fill(decode(&mut codecs, "binance/alice", Body::from_text(dot))).symbol.to_string(), "DOT-USD");
    assert_eq!(feed(frame("binance/alice", &report(&[("s", r#""USDT""#)]))), {
        FeedKind::Unreadable("`s`: not a pair of known assets".into())
    });
}

#[test]
fn what_is_not_watched_on_the_market_is_passed_over() {
    for json in [
        r#"{"u":400900217,"s":"APPCBTC","b":"25.35","B":"31.21","a":"25.36","A":"40.66"}"#,
        r#"{"lastUpdateId":160,"bids":[["0.0024","10"]],"asks":[]}"#,
        r#"{"e":"depthUpdate","E":1,"s":"APPCBTC","U":1,"u":2,"b":[["1","2"]],"a":[]}"#,
        r#"{"e":"trade","E":1,"s":"BTCUSDT","t":1,"p":"0","q":"0","X":"NA","T":1775572206250,"m":true}"#,
        r#"{"result":null,"id":1}"#,
    ] {
        assert_eq!(frame("binance/market", json), [], "{json}");
    }
    let trades = r#"[{"id":1,"price":"1","qty":"2","time":1775572206250,"isBuyerMaker":true}]"#;
    let told = market(&page("binance/market/rest", "trades?symbol=APPCBTC&limit=5", trades));
    assert!(
        matches!(&told[..], [(_, MarketKind::PastTrade { taker: Side::Sell, .. }), (_, MarketKind::PastTold { .. })]),
        "{told:?}"
    );
}

#[test]
fn a_wallet_s_pairs_balances_and_ends_are_its_own() {
    let mut codecs = Codecs::new(&Settings::default());
    let update = |client_id: &str, execution: &str, last: &str| {
        format!(
            r#"{{"e":"ORDER_TRADE_UPDATE","T":1775572206250,"E":1775572206251,"o":{{"s":"BTCUSDT","c":"{client_id}",
            "S":"SELL","o":"LIMIT","x":"{execution}","X":"FILLED","i":8886774,"l":"{last}","z":"0.010","L":"68000.1",
            "N":"USDT","n":"0.272","T":1775572206250,"t":9001,"m":false,"rp":"0","ps":"BOTH"}}}}"#
        )
    };
    let traded = fill(decode(&mut codecs, "binance/alice/futures", Body::from_text(update("x-1", "TRADE", "0.010"))));
    assert_eq!((traded.symbol.to_string().as_str(), traded.source), ("BTC_PERP-USDT", None));
    let rows = r#"[{"symbol":"BTCUSDT","id":9001,"orderId":8886774,"side":"SELL","price":"68000.1","qty":"0.010",
        "quoteQty":"680.001","commission":"0.272","commissionAsset":"USDT","time":1775572206250,"buyer":false,"maker":false}]"#;
    assert_eq!(page_with(&mut codecs, "binance/alice/futures/rest", "userTrades?symbol=BTCUSDT", rows), []);
    // The same numbers on spot are another trade, and on margin the same as on spot: one book, one numbering.
    let spot = rows.replace("buyer", "isBuyer").replace("maker", "isMaker");
    let told = fill(page_with(&mut codecs, "binance/alice/margin/rest", "myTrades?symbol=BTCUSDT", &spot));
    assert_eq!(told.symbol.to_string(), "BTC-USDT");

    let account = r#"{"e":"ACCOUNT_UPDATE","E":1775572206251,"T":1775572206250,"a":{"m":"ORDER",
        "B":[{"a":"USDT","wb":"912.4","cw":"912.4","bc":"0"}],"P":[{"s":"BTCUSDT","pa":"-0.010","ps":"BOTH"}]}}"#;
    let told = balances(frame("binance/alice/futures", account));
    assert_eq!((&told[0].wallet, told[0].free, told[0].why), (&Wallet::Futures, Some(dec("912.4")), BalanceWhy::Trade));
    let read = r#"{"totalWalletBalance":"912.4","assets":[{"asset":"USDT","walletBalance":"912.4","updateTime":0}]}"#;
    let told = balances(page("binance/alice/futures/rest", "account", read));
    assert_eq!((&told[0].wallet, told[0].free, told[0].locked), (&Wallet::Futures, Some(dec("912.4")), None));
    let read = r#"{"marginLevel":"999","userAssets":[{"asset":"BTC","borrowed":"1","free":"0.5","locked":"0.1"}]}"#;
    let told = balances(page("binance/alice/margin/rest", "account", read));
    assert_eq!((&told[0].wallet, told[0].free, told[0].locked), (&Wallet::Margin, Some(dec("0.5")), Some(dec("0.1"))));

    // The feed has a new token or key by then, or says itself that it is down.
    let ended = r#"{"subscriptionId":0,"event":{"e":"eventStreamTerminated","E":1775572206251}}"#;
    assert_eq!(frame("binance/alice/margin", ended), []);
    assert_eq!(frame("binance/alice/futures", r#"{"e":"listenKeyExpired","E":1,"listenKey":"k"}"#), []);
}

#[test]
fn what_the_exchange_sent_itself_is_told_and_on_spot_a_name_alone_proves_nothing() {
    let update = |client_id: &str, execution: &str| {
        let json = format!(
            r#"{{"e":"ORDER_TRADE_UPDATE","T":1775572206250,"E":1775572206251,"o":{{"s":"BTCUSDT","c":"{client_id}",
            "S":"SELL","o":"LIMIT","x":"{execution}","X":"FILLED","i":8886774,"l":"0.01","z":"0.01","L":"68000.1",
            "N":"USDT","n":"0","T":1775572206250,"t":9001,"m":false}}}}"#
        );
        fill(frame("binance/alice/futures", &json)).source
    };
    for name in ["autoclose-1775572206250", "adl_autoclose", "settlement_autoclose-7", "delivery_autoclose-7"] {
        assert_eq!(update(name, "TRADE").as_deref(), Some(BY_EXCHANGE), "{name}");
    }
    assert_eq!(update("bot-17", "CALCULATED").as_deref(), Some(BY_EXCHANGE));
    assert_eq!(update("my-autoclose-1", "TRADE"), None);
    assert_eq!(fill(of(&[("c", r#""autoclose-1""#)])).source, None);
}

#[test]
fn the_market_in_contracts_is_not_the_market_of_the_pairs_they_are_on() {
    let trade = r#"{"stream":"btcusdt@aggTrade","data":{"e":"aggTrade","E":1775572206251,"s":"BTCUSDT","a":77,
        "p":"68000.1","q":"0.5","f":1,"l":2,"T":1775572206250,"m":true}}"#;
    let of = |from: &str| match frame(from, trade).remove(0) {
        EventKind::Market(market) => market.symbol.to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!((of("binance/market").as_str(), of("binance/market/futures").as_str()), ("BTC-USDT", "BTC_PERP-USDT"));
    let candle = r#"[[1775572140000,"1","2","1","2","5",1775572199999,"10",3,"2","4","0"]]"#;
    match page("binance/market/futures/rest", "klines?symbol=BTCUSDT_260327&interval=1m", candle).remove(0) {
        EventKind::Market(market) => assert_eq!(market.symbol.to_string(), "BTC_260327-USDT"),
        other => panic!("{other:?}"),
    }
    // The list of contracts must not rename spot pairs.
    let mut codecs = Codecs::new(&Settings::default());
    let listed = r#"{"symbols":[{"symbol":"BTCUSDT","baseAsset":"BTCUS","quoteAsset":"DT"}]}"#;
    assert_eq!(page_with(&mut codecs, "binance/market/futures/rest", "exchangeInfo", listed), []);
    assert_eq!(
        fill(decode(&mut codecs, "binance/alice", Body::from_text(report(&[("s", r#""BTCUSDT""#)]))))
            .symbol
            .to_string(),
        "BTC-USDT"
    );
}
