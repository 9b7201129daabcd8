//! KuCoin's rules on frames of our own.
#![allow(clippy::wildcard_enum_match_arm, reason = "a test names what it wants and shows whatever else came")]

use std::io::Write;

use proptest::prelude::*;
use rust_decimal::Decimal;

use super::*;
use crate::arrival::Incoming;
use crate::domain::{BalanceWhy, Basis, EventKind, Fill, MarketKind, OrderStep, Timestamp, Via};

const MATCH: &str = r#"{"topic":"/spotMarket/tradeOrdersV2","type":"message","subject":"orderChange","userId":"u","channelType":"private",
 "data":{"symbol":"PUMP-USDT","orderType":"limit","side":"buy","orderId":"6f01","liquidity":"taker","type":"match","feeType":"makerFee",
 "orderTime":1747385641600,"size":"50","filledSize":"40","price":"0.9","matchPrice":"0.8","matchSize":"40","tradeId":"6f02",
 "clientOid":"bot-1","remainSize":"10","status":"match","ts":1747385641636000123}}"#;

const EXECUTION: &str = r#"{"T":"execution.UNIFIED","P":1747385641700000000,"d":{"oi":"4769","s":"PUMP-USDT","S":"SELL","oT":"MARKET",
 "p":"0.8","q":"40","ti":"22221471895799808","E":1747385641638000000,"lR":"TAKER","f":"0.032","fC":"USDT","fT":"NORMAL","ci":"bot-2","fP":""}}"#;

const LITE: &str = r#"{"T":"execution.lite.UNIFIED","P":1,"d":{"E":1747385641638000000,"S":"SELL","p":"0.8","q":"40","s":"PUMP-USDT",
 "lR":"TAKER","oT":"MARKET","oi":"4769","ti":22221471895799808}}"#;

const FILLS: &str = r#"{"code":"200000","data":{"items":[
 {"id":2,"orderId":"6f05","tradeId":11029373945659392,"symbol":"PUMP-USDT","side":"sell","liquidity":"maker","type":"limit",
  "forceTaker":false,"price":"2","size":"5","funds":"10","fee":"0.01","feeCurrency":"USDT","tradeType":"TRADE","createdAt":1747385642000},
 {"id":1,"orderId":"6f04","tradeId":"11029373945659391","symbol":"PUMP-USDT","side":"buy","liquidity":"maker","type":"market",
  "forceTaker":true,"price":"3","size":"5","fee":"0.015","feeCurrency":"USDT","tradeType":"TRADE","createdAt":1747385641000}],"lastId":1}}"#;

fn arrival(from: &str, body: Body) -> Arrival {
    Incoming { at: Timestamp::from_millis(1_747_385_650_000), from: from.parse().unwrap(), body }.numbered(7)
}

fn told(from: &str, json: &str) -> Result<Vec<EventKind>, Unread> {
    let mut out = Vec::new();
    Codec::new().decode(&arrival(from, Body::from_text(json.into())), &mut out)?;
    assert!(out.iter().all(|event| event.n == 7 && event.at == Timestamp::from_millis(1_747_385_650_000)));
    Ok(out.into_iter().map(|event| event.kind).collect())
}

fn paged(from: &str, call: &str, json: &str) -> Result<Vec<EventKind>, Unread> {
    let mut out = Vec::new();
    let frame = Body::json(json.into()).unwrap();
    Codec::new().decode(&arrival(from, Body::Page { call: call.into(), frame }), &mut out)?;
    Ok(out.into_iter().map(|event| event.kind).collect())
}

fn account(json: &str) -> Vec<EventKind> {
    told("kucoin/alice", json).unwrap()
}

fn fill(events: Vec<EventKind>) -> Fill {
    match <[EventKind; 1]>::try_from(events) {
        Ok([EventKind::Fill(fill)]) => fill,
        other => panic!("not one fill: {other:?}"),
    }
}

fn number(text: &str) -> Decimal {
    text.parse().unwrap()
}

fn is_feed(events: &[EventKind], wanted: &FeedKind) -> bool {
    matches!(events, [EventKind::Feed(change)] if change.kind == *wanted && change.account.is_some())
}

#[test]
fn a_match_is_a_fill_at_the_match_price_with_nanoseconds_kept() {
    let fill = fill(account(MATCH));
    assert_eq!((fill.price.get(), fill.quantity.get(), fill.notional), (number("0.8"), number("40"), number("32")));
    assert_eq!((fill.side, fill.symbol.to_string().as_str()), (Side::Buy, "PUMP-USDT"));
    assert_eq!(fill.time.nanos(), 1_747_385_641_636_000_123);
    assert_eq!((fill.trade_id.as_deref(), &*fill.order_id), (Some("6f02"), "6f01"));
    assert_eq!((fill.client_order_id.as_deref(), fill.order_type.as_deref()), (Some("bot-1"), Some("limit")));
    assert_eq!((fill.fee, fill.basis, fill.via), (None, Basis::Exact, Via::Stream));
}

#[test]
fn the_fee_type_says_who_waited_and_the_status_only_where_it_is_missing() {
    let maker = |json: &str| fill(account(json)).maker;
    assert_eq!(maker(MATCH), Some(true), "liquidity says taker");
    assert_eq!(maker(&MATCH.replace("makerFee", "takerFee")), Some(false));
    let bare = MATCH.replace(r#""feeType":"makerFee","#, "");
    assert_eq!(maker(&bare), Some(false));
    assert_eq!(maker(&bare.replace(r#""status":"match""#, r#""status":"open""#)), Some(true));
}

#[test]
fn only_a_match_with_a_size_is_a_fill() {
    for (kind, step) in [
        ("received", OrderStep::Accepted),
        ("open", OrderStep::Accepted),
        ("update", OrderStep::Amended),
        ("filled", OrderStep::Done),
        ("canceled", OrderStep::Cancelled),
    ] {
        let events = account(&MATCH.replace(r#""type":"match""#, &format!(r#""type":"{kind}""#)));
        assert!(matches!(&events[..], [EventKind::Order(order)] if order.step == step), "{kind}: {events:?}");
    }
    let none = account(&MATCH.replace(r#""matchSize":"40""#, r#""matchSize":"0""#));
    assert!(matches!(&none[..], [EventKind::Order(order)] if order.step == OrderStep::Other));
}

#[test]
fn a_match_without_what_makes_it_a_fill_is_an_error_and_not_a_guess() {
    for (cut, put) in [
        (r#""matchPrice":"0.8","#, ""),
        (r#""tradeId":"6f02","#, ""),
        (r#""matchSize":"40","#, ""),
        (r#""side":"buy","#, ""),
        (r#""matchPrice":"0.8""#, r#""matchPrice":"0""#),
        (r#""matchSize":"40""#, r#""matchSize":"NaN""#),
        ("PUMP-USDT", "PUMP"),
    ] {
        assert!(told("kucoin/alice", &MATCH.replace(cut, put)).is_err(), "{cut}");
    }
}

#[test]
fn an_order_without_a_client_id_and_with_a_time_in_nanoseconds_is_read() {
    let json = MATCH
        .replace(r#""clientOid":"bot-1","#, "")
        .replace(r#","ts":1747385641636000123"#, "")
        .replace("1747385641600", "1747385641600000000");
    let fill = fill(account(&json));
    assert_eq!((fill.client_order_id, fill.time), (None, Timestamp::from_millis(1_747_385_641_600)));
}

/// KuCoin's list, then what an account hears.
fn with_contracts(from: &str, body: Body) -> Result<Vec<EventKind>, Unread> {
    let list = r#"{"code":"200000","data":{"tradeType":"FUTURES","list":[{"symbol":"XBTUSDTM","unitSize":"0.001","isInverse":false},
        {"symbol":"XBTUSDM","unitSize":-1,"isInverse":true},{"symbol":"DOGEUSDTM","unitSize":100},{"symbol":"NEWUSDTM","unitSize":null}]}}"#;
    let (mut codec, mut out) = (Codec::new(), Vec::new());
    let list = Body::Page {
        call: "ua/v1/market/instrument?tradeType=FUTURES".into(),
        frame: Body::json(list.into()).unwrap(),
    };
    codec.decode(&arrival("kucoin/market/rest", list), &mut out)?;
    assert_eq!(out, []);
    // What is read back from a snapshot counts the same.
    let mut again: Codec = postcard::from_bytes(&postcard::to_stdvec(&codec).unwrap()).unwrap();
    again.decode(&arrival(from, body), &mut out)?;
    Ok(out.into_iter().map(|event| event.kind).collect())
}

#[test]
fn a_contract_is_no_pair_and_its_sizes_are_lots() {
    let classic = MATCH.replace("/spotMarket/tradeOrdersV2", "/contractMarket/tradeOrders");
    for (frame, pair) in
        [(&classic, "PUMP-USDT"), (&EXECUTION.to_owned(), "PUMP-USDT"), (&LITE.to_owned(), "PUMP-USDT")]
    {
        let of = |name: &str| {
            let frame = Body::from_text(frame.replace(pair, name));
            with_contracts("kucoin/alice", frame).map(|events| {
                let fill = fill(events);
                (fill.symbol.to_string(), fill.quantity.to_string(), fill.notional.normalize().to_string())
            })
        };
        let is = |symbol: &str, base: &str, quote: &str| Ok((symbol.into(), base.into(), quote.into()));
        assert_eq!(of("XBTUSDTM"), is("BTC_PERP-USDT", "0.04", "0.032"));
        assert_eq!(of("DOGEUSDTM"), is("DOGE_PERP-USDT", "4000", "3200"));
        assert_eq!(of("XBTUSDM"), is("BTC_PERP-USD", "50", "40"), "a dollar each");
        assert_eq!(of("PUMP-USDT"), is("PUMP-USDT", "40", "32"));
        let Err(Unread(why)) = of("NEWUSDTM") else { panic!("a lot nobody has listed was guessed") };
        assert!(why.contains("lot"), "{why}");
    }
}

#[test]
fn a_contracts_trade_that_is_asked_for_is_worth_what_the_exchange_says() {
    let row = |symbol: &str, price: &str, size: &str, value: &str, more: &str| {
        let row = format!(
            r#"{{"orderId":"427993476303507456","tradeId":"1928560862264","symbol":"{symbol}","side":"BUY","price":"{price}",
            "size":"{size}","value":"{value}","fee":"0.04","feeCurrency":"USDT","liquidityRole":"TAKER","fillType":"NORMAL",
            "executionTime":1774854798514000000{more}}}"#
        );
        let page = format!(r#"{{"code":"200000","data":{{"tradeType":"FUTURES","items":[{row}]}}}}"#);
        Body::Page { call: "unified/order/execution?tradeType=FUTURES".into(), frame: Body::json(page).unwrap() }
    };
    let told = |body: Body| {
        let fill = fill(with_contracts("kucoin/alice/rest", body).unwrap());
        (fill.symbol.to_string(), fill.quantity.to_string(), fill.notional.normalize().to_string())
    };
    let is = |symbol: &str, base: &str, quote: &str| (symbol.into(), base.into(), quote.into());
    assert_eq!(told(row("DOGEUSDTM", "0.09641", "1", "9.641", "")), is("DOGE_PERP-USDT", "100", "9.641"));
    // Where nobody has listed the lot, what it is worth tells how much it is.
    assert_eq!(told(row("NEWUSDTM", "0.5", "3", "15", "")), is("NEW_PERP-USDT", "30", "15"));
    assert_eq!(told(row("ETHUSDM", "2000", "50", "0.025", "")), is("ETH_PERP-USD", "0.025", "50"));
    for kind in ["LIQUID", "ADL", "SETTLEMENT"] {
        let mut body = row("XBTUSDTM", "63962.4", "8", "511.6992", "");
        if let Body::Page { frame, .. } = &mut body {
            *frame = Body::json(frame.get().replace("NORMAL", kind)).unwrap();
        }
        assert_eq!(with_contracts("kucoin/alice/rest", body).unwrap(), [], "{kind} is no order of anybody's key");
    }
}

#[test]
fn a_market_order_that_traded_was_not_cancelled_by_anybody() {
    // What is left of a buy for an amount of quote is less than a lot, and KuCoin says `canceled` of it.
    let end = MATCH
        .replace(r#""type":"match""#, r#""type":"canceled""#)
        .replace(r#""orderType":"limit""#, r#""orderType":"market""#);
    let step = |json: &str| match &account(json)[..] {
        [EventKind::Order(order)] => order.step,
        other => panic!("{other:?}"),
    };
    assert_eq!(step(&end), OrderStep::Done);
    assert_eq!(step(&end.replace(r#""filledSize":"40""#, r#""filledSize":"0""#)), OrderStep::Cancelled);
    assert_eq!(step(&end.replace(r#""orderType":"market""#, r#""orderType":"limit""#)), OrderStep::Cancelled);
    let row = |kind: &str, filled: &str| {
        let row = format!(
            r#"{{"id":"6f01","symbol":"PUMP-USDT","side":"buy","type":"{kind}","dealSize":"{filled}","active":false,"cancelExist":true}}"#
        );
        let events =
            paged("kucoin/alice/rest", "hf/orders/6f01", &format!(r#"{{"code":"200000","data":{row}}}"#)).unwrap();
        let [EventKind::Order(order)] = &events[..] else { panic!("{events:?}") };
        order.step
    };
    assert_eq!(row("market", "0.1493"), OrderStep::Done);
    assert_eq!((row("market", "0"), row("limit", "1")), (OrderStep::Cancelled, OrderStep::Cancelled));
}

#[test]
fn a_balance_tells_what_can_be_spent_and_nothing_of_another_wallet() {
    let json = r#"{"topic":"/account/balance","type":"message","subject":"account.balance","data":{"currency":"USDT","total":"21",
        "available":"20","hold":"1","availableChange":"-0.5","holdChange":"0.5","relationContext":{"symbol":"PUMP-USDT"},
        "relationEvent":"trade.hold","time":"1747385641636"}}"#;
    let one = |json: &str| match &account(json)[..] {
        [EventKind::Balance(balance)] => balance.clone(),
        other => panic!("{other:?}"),
    };
    let trade = one(json);
    assert_eq!((trade.free, trade.locked, trade.delta), (Some(number("20")), Some(number("1")), None));
    assert_eq!((trade.why, trade.time), (BalanceWhy::Trade, Timestamp::from_millis(1_747_385_641_636)));
    for moved in [
        "main.deposit",
        "main.withdraw_hold",
        "main.transfer",
        "margin.hold",
        "isolated_PUMP-USDT.transfer",
        "option.x",
    ] {
        assert_eq!(account(&json.replace("trade.hold", moved)), [], "{moved}");
    }
    assert_eq!(one(&json.replace("trade.hold", "trade_hf.transfer")).why, BalanceWhy::Transfer);
}

#[test]
fn what_can_be_spent_is_what_both_trade_wallets_hold_in_whatever_order_they_tell() {
    let mut codec = Codec::new();
    let mut spend = |body: Body, from: &str| {
        let mut out = Vec::new();
        codec.decode(&arrival(from, body), &mut out).unwrap();
        match out.pop().map(|event| event.kind) {
            Some(EventKind::Balance(balance)) => (balance.free, balance.locked),
            other => panic!("{other:?}"),
        }
    };
    let moved = |event: &str, free: &str, hold: &str| {
        let json = format!(
            r#"{{"topic":"/account/balance","type":"message","subject":"account.balance","data":{{"currency":"USDT",
                "available":"{free}","hold":"{hold}","relationEvent":"{event}","time":"1747385641636"}}}}"#
        );
        Body::from_text(json)
    };
    let told = |free: &str, locked: &str| (Some(number(free)), Some(number(locked)));
    assert_eq!(spend(moved("trade_hf.setted", "1000", "3"), "kucoin/alice"), told("1000", "3"));
    assert_eq!(spend(moved("trade.transfer", "10", "1"), "kucoin/alice"), told("1010", "4"));
    assert_eq!(spend(moved("trade_hf.hold", "900", "103"), "kucoin/alice"), told("910", "104"));
    let page = |rows: [(&str, &str); 2]| {
        let rows = rows
            .map(|(kind, free)| format!(r#"{{"currency":"USDT","type":"{kind}","available":"{free}","holds":"0"}}"#));
        let frame = format!(r#"{{"code":"200000","data":[{}]}}"#, rows.join(","));
        Body::Page { call: "accounts".into(), frame: Body::json(frame).unwrap() }
    };
    for rows in [[("trade_hf", "70"), ("trade", "0")], [("trade", "0"), ("trade_hf", "70")]] {
        assert_eq!(spend(page(rows), "kucoin/alice/rest"), told("70", "0"), "{rows:?}");
    }
    // Another's wallets are another's.
    assert_eq!(spend(moved("trade.setted", "5", "0"), "kucoin/bob"), told("5", "0"));
}

#[test]
fn greetings_and_answers_say_nothing_and_refusals_are_told_in_our_words() {
    for quiet in [
        r#"{"id":"7","type":"welcome"}"#,
        r#"{"id":"7","type":"ack"}"#,
        r#"{"id":"7","type":"pong"}"#,
        r#"{"id":"7","result":true}"#,
        r#"{"sessionId":"0f","message":"welcome","pingInterval":18000}"#,
        r#"{"id":"7","op":"pong","timestamp":"1"}"#,
        r#"{"topic":"/margin/position","type":"message","subject":"debt.ratio","data":{"debtRatio":0.7}}"#,
        r#"{"T":"positionAll.UNIFIED","P":1,"d":{"s":"XBTUSDTM"}}"#,
    ] {
        assert_eq!(account(quiet), [], "{quiet}");
    }
    let refusal = |json: &str| match &account(json)[..] {
        [EventKind::Feed(change)] => match &change.kind {
            FeedKind::Refused { code, why } => (code.to_string(), why.to_string()),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    };
    let (code, why) = refusal(r#"{"id":"7","type":"error","code":401,"data":"token is expired"}"#);
    assert!(code == "401" && why.contains("expired"), "{code} {why}");
    let (code, why) = refusal(r#"{"id":"7","type":"error","code":"404","data":"topic /x of hunter2 is not found"}"#);
    assert!(code == "404" && !why.contains("hunter2"), "{code} {why}");
    let (code, _) = refusal(r#"{"id":"2","result":false,"reason":"no"}"#);
    assert_eq!(code, "result_false");
}

#[test]
fn what_is_not_known_is_named_and_what_is_not_readable_is_an_error() {
    let topic = r#"{"topic":"/new/thing:PUMP-USDT","type":"message","data":{}}"#;
    assert!(is_feed(&account(topic), &FeedKind::Unknown("/new/thing".into())));
    assert!(is_feed(&account(r#"{"T":"novel.SPOT","d":{}}"#), &FeedKind::Unknown("novel".into())));
    assert!(is_feed(&account(r#"{"id":"1","type":"notice"}"#), &FeedKind::Unknown("notice".into())));
    for bad in ["[]", "{}", "hello", r#"{"type":"message","topic":"/account/balance"}"#, r#"{"T":"execution.SPOT"}"#] {
        assert!(told("kucoin/alice", bad).is_err(), "{bad}");
    }
}

#[test]
fn an_execution_is_a_fill_with_its_fee_and_the_lite_channel_tells_the_same_one() {
    let full = fill(account(EXECUTION));
    assert_eq!((full.price.get(), full.quantity.get(), full.notional), (number("0.8"), number("40"), number("32")));
    assert_eq!((full.side, full.maker), (Side::Sell, Some(false)));
    assert_eq!(full.fee.as_ref().map(ToString::to_string).as_deref(), Some("0.032 USDT"));
    assert_eq!((full.client_order_id.as_deref(), full.time.nanos()), (Some("bot-2"), 1_747_385_641_638_000_000));
    let lite = fill(account(LITE));
    assert_eq!((&lite.trade_id, &lite.order_id, &lite.symbol), (&full.trade_id, &full.order_id, &full.symbol));
    assert_eq!(lite.fee, None);
}

#[test]
fn what_the_exchange_itself_does_to_a_position_is_no_fill() {
    for kind in ["ADL", "LIQUID", "SETTLEMENT"] {
        let events = account(&EXECUTION.replace("NORMAL", kind));
        assert!(matches!(&events[..], [EventKind::Order(order)] if order.step == OrderStep::Other), "{kind}");
    }
    let lite = account(&LITE.replace(r#""oi":"4769""#, r#""oi":"0""#));
    assert!(matches!(&lite[..], [EventKind::Order(_)]), "{lite:?}");
    let rest = FILLS.replace(r#""tradeType":"TRADE""#, r#""tradeType":"adl""#);
    assert_eq!(paged("kucoin/alice/rest", "recentFills", &rest).unwrap(), []);
}

#[test]
fn a_unified_order_is_a_step_with_its_source_and_never_a_fill() {
    let json = |state: u8, event: &str, cancelled: &str| {
        format!(
            r#"{{"T":"orderAll.UNIFIED","P":1,"d":{{"oi":"4769","ci":"","os":{state},"eT":"{event}","s":"PUMP-USDT","S":"BUY",
            "oT":"MARKET","lS":"40","ls":"0.8","fS":"40","ti":"2222","cS":{cancelled},"oS":"USER","cR":"","O":"1747385641000000000","U":1747385641638000000}}}}"#
        )
    };
    for (state, event, cancelled, step) in [
        (2, "OPEN", "0", OrderStep::Accepted),
        (3, "FILL", r#""0""#, OrderStep::Done),
        (4, "MATCH", "0", OrderStep::Other),
        (5, "CANCEL", r#""1""#, OrderStep::Cancelled),
        (6, "CANCEL", "1", OrderStep::Cancelled),
    ] {
        let events = account(&json(state, event, cancelled));
        let [EventKind::Order(order)] = &events[..] else { panic!("{events:?}") };
        assert_eq!((order.step, order.source.as_deref(), order.side), (step, Some("USER"), Some(Side::Buy)));
        assert_eq!((order.client_order_id.as_deref(), order.order_type.as_deref()), (None, Some("market")));
    }
}

#[test]
fn the_funding_wallet_is_not_what_can_be_spent() {
    let json = |wallet: &str, time: &str| {
        format!(r#"{{"T":"balance.{wallet}","P":1,"d":{{"U":{time},"a":"5","b":"7","c":"USDT","h":"2","cS":"1"}}}}"#)
    };
    let unified = account(&json("UNIFIED", "1747385641638000000"));
    let funding = account(&json("FUNDING", r#""1747385641638""#));
    let ([EventKind::Balance(unified)], [EventKind::Balance(funding)]) = (&unified[..], &funding[..]) else { panic!() };
    assert_eq!((unified.free, unified.locked), (Some(number("5")), Some(number("2"))));
    assert_eq!((funding.free, funding.why, funding.time), (None, BalanceWhy::Transfer, unified.time));
    // Beside the spot wallet of an account that is not unified.
    for other in ["FUTURES", "CROSS", "ISOLATED"] {
        let told = account(&json(other, "1747385641638000000"));
        let [EventKind::Balance(told)] = &told[..] else { panic!() };
        assert_eq!((told.free, told.locked), (None, None), "{other}");
    }
    let spot = account(&json("SPOT", "1747385641638000000"));
    assert!(matches!(&spot[..], [EventKind::Balance(spot)] if spot.free == Some(number("5"))), "{spot:?}");
}

#[test]
fn a_binary_frame_is_json_or_raw_deflate_up_to_a_bound() {
    let binary = |bytes: Vec<u8>| {
        let mut out = Vec::new();
        Codec::new().decode(&arrival("kucoin/alice", Body::Bytes(bytes)), &mut out).map(|()| out.len())
    };
    let deflated = |text: &[u8]| {
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    };
    assert_eq!(binary(EXECUTION.as_bytes().to_vec()), Ok(1));
    assert_eq!(binary(deflated(EXECUTION.as_bytes())), Ok(1));
    assert!(binary(vec![0xff; 40]).is_err());
    let bomb = deflated(&vec![b' '; 5 << 20]);
    assert!(bomb.len() < 100_000 && binary(bomb).unwrap_err().to_string().contains("4 MiB"));
}

#[test]
fn a_page_of_fills_is_told_oldest_first_with_ids_as_text() {
    for call in ["hf/fills?symbol=PUMP-USDT", "/api/v3/hf/margin/fills?symbol=PUMP-USDT", "limit/fills", "fills"] {
        let events = paged("kucoin/alice/rest", call, FILLS).unwrap();
        let [EventKind::Fill(first), EventKind::Fill(second)] = &events[..] else { panic!("{call}: {events:?}") };
        assert_eq!(
            (first.trade_id.as_deref(), second.trade_id.as_deref()),
            (Some("11029373945659391"), Some("11029373945659392"))
        );
        assert_eq!((first.notional, second.notional), (number("15"), number("10")));
        assert_eq!((first.maker, second.maker), (Some(false), Some(true)), "a forced taker took");
        assert_eq!(
            (first.via, second.fee.as_ref().map(ToString::to_string).as_deref()),
            (Via::Rest, Some("0.01 USDT"))
        );
        assert_eq!(second.time, Timestamp::from_millis(1_747_385_642_000));
    }
}

#[test]
fn a_unified_page_names_its_execution_and_role_differently() {
    let json = r#"{"code":"200000","data":{"items":[{"executionId":"e-9","orderId":"4769","symbol":"PUMP-USDT","side":"BUY","price":"2","size":"5",
        "fee":"0.01","feeCurrency":"USDT","liquidityRole":"MAKER","executionTime":1747385641638000000}]}}"#;
    let fill = fill(paged("kucoin/alice/rest", "unified/order/execution?tradeType=SPOT", json).unwrap());
    assert_eq!((fill.trade_id.as_deref(), fill.maker), (Some("e-9"), Some(true)));
    assert_eq!(fill.time.nanos(), 1_747_385_641_638_000_000);
}

#[test]
fn a_bad_row_costs_no_other_row() {
    let events = paged("kucoin/alice/rest", "fills", &FILLS.replacen(r#""price":"2""#, r#""price":"0""#, 1)).unwrap();
    assert!(
        matches!(&events[..], [EventKind::Feed(change), EventKind::Fill(_)] if matches!(change.kind, FeedKind::Unreadable(_)))
    );
}

#[test]
fn a_refused_call_tells_a_dead_key_from_a_wrong_clock() {
    for (code, word) in [
        ("400001", "header"),
        ("400002", "clock"),
        ("400003", "deleted"),
        ("400004", "passphrase"),
        ("400005", "secret"),
        ("400006", "address"),
        ("400007", "permission"),
        ("411100", "frozen"),
        ("429000", "too many"),
        ("500000", "refused"),
    ] {
        let json = format!(r#"{{"code":"{code}","msg":"hunter2"}}"#);
        let events = paged("kucoin/alice/rest", "hf/fills", &json).unwrap();
        let [EventKind::Feed(change)] = &events[..] else { panic!("{events:?}") };
        let FeedKind::Refused { code: told, why } = &change.kind else { panic!("{change:?}") };
        assert!(told == code && why.contains(word) && !why.contains("hunter2"), "{told} {why}");
    }
}

#[test]
fn accounts_are_read_balances_of_the_trade_wallet_and_ledgers_are_only_checked() {
    let json = r#"{"code":"200000","data":[{"id":"1","currency":"USDT","type":"trade","balance":"27","available":"26","holds":"1"},
        {"id":"2","currency":"USDT","type":"main","balance":"900","available":"900","holds":"0"}]}"#;
    let events = paged("kucoin/alice/rest", "accounts", json).unwrap();
    let [EventKind::Balance(balance)] = &events[..] else { panic!("{events:?}") };
    assert_eq!((balance.free, balance.locked, balance.why), (Some(number("26")), Some(number("1")), BalanceWhy::Read));
    let ledger = |context: &str| {
        let json = format!(r#"{{"code":"200000","data":[{{"id":"1","currency":"USDT","context":{context}}}]}}"#);
        paged("kucoin/alice/rest", "hf/accounts/ledgers?bizType=TRADE_EXCHANGE", &json).unwrap()
    };
    assert_eq!(ledger(r#""{\"symbol\":\"PUMP-USDT\",\"tradeId\":\"1\"}""#), []);
    assert_eq!((ledger(r#""""#), ledger("null")), (vec![], vec![]));
    assert!(matches!(&ledger(r#""{torn""#)[..], [EventKind::Feed(_)]));
}

#[test]
fn a_listed_order_tells_its_channel() {
    let row = r#"{"id":"6f01","symbol":"PUMP-USDT","side":"buy","type":"limit","clientOid":"bot-1","channel":"API","active":true,"cancelExist":false,"createdAt":1747385641000}"#;
    let one = format!(r#"{{"code":"200000","data":{row}}}"#);
    let page = format!(r#"{{"code":"200000","data":{{"items":[{row}]}}}}"#);
    for (call, json) in [("hf/orders/6f01?symbol=PUMP-USDT", &one), ("hf/orders/done", &page)] {
        let events = paged("kucoin/alice/rest", call, json).unwrap();
        assert!(
            matches!(&events[..], [EventKind::Order(order)] if order.source.as_deref() == Some("API")),
            "{events:?}"
        );
    }
    let symbols = r#"{"code":"200000","data":{"symbols":["PUMP-USDT"]}}"#;
    assert_eq!(paged("kucoin/alice/rest", "hf/orders/active/symbols", symbols).unwrap(), []);
}

#[test]
fn a_public_trade_keeps_the_takers_order_and_is_told_once() {
    let json = r#"{"topic":"/market/match:PUMP-USDT","type":"message","subject":"trade.l3match","data":{"sequence":"1106","type":"match","symbol":"PUMP-USDT",
        "side":"sell","price":"6.7","size":"3","tradeId":"1106","takerOrderId":"6f01","makerOrderId":"6f00","time":"1747385641638000000"}}"#;
    let mut codec = Codec::new();
    let mut out = Vec::new();
    for _ in 0..2 {
        codec.decode(&arrival("kucoin/market", Body::from_text(json.into())), &mut out).unwrap();
    }
    let page = r#"{"code":"200000","data":[{"sequence":"1106","price":"6.7","size":"3","side":"sell","time":1747385641638000000},
        {"sequence":"1107","price":"6.8","size":"1","side":"buy","time":1747385641639000000}]}"#;
    let page = Body::Page { call: "market/histories?symbol=PUMP-USDT".into(), frame: Body::json(page.into()).unwrap() };
    codec.decode(&arrival("kucoin/market/rest", page), &mut out).unwrap();
    let kinds: Vec<&MarketKind> = out
        .iter()
        .map(|event| match &event.kind {
            EventKind::Market(market) => &market.kind,
            other => panic!("{other:?}"),
        })
        .collect();
    let [live, old, last, told] = &kinds[..] else { panic!("{out:?}") };
    assert!(matches!(live, MarketKind::Trade { taker: Side::Sell, taker_order: Some(id), .. } if id == "6f01"));
    assert!(matches!(old, MarketKind::PastTrade { taker: Side::Sell, taker_order: None, .. }));
    assert!(matches!(last, MarketKind::PastTrade { taker: Side::Buy, taker_order: None, .. }));
    assert!(matches!(told, MarketKind::PastTold { until, trades: true } if *until == out[0].at));
}

#[test]
fn a_candle_has_its_close_before_its_high_and_the_oldest_is_told_first() {
    let json = r#"{"code":"200000","data":[["1747385400","9","9","9","9","9","9"],["1747385340","6.6","6.7","6.8","6.5","90","603"],["1747385040","6.5","6.6","6.9","6.4","80","520"]]}"#;
    let mut events = paged("kucoin/market/rest", "market/candles?symbol=PUMP-USDT&type=5min", json).unwrap();
    let EventKind::Market(told) = events.pop().unwrap() else { panic!() };
    let until = Timestamp::from_millis(1_747_385_640_000);
    assert_eq!(told.kind, MarketKind::PastTold { until, trades: false }, "the newest bar is still growing");
    let candles: Vec<_> = events
        .iter()
        .map(|event| match event {
            EventKind::Market(market) => match &market.kind {
                MarketKind::Candle { start, span, close, high, low, quote, .. } => {
                    (start.millis(), span.nanos(), close.get(), high.get(), low.get(), *quote)
                }
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        })
        .collect();
    let five = 300_000_000_000;
    assert_eq!(candles[0], (1_747_385_040_000, five, number("6.6"), number("6.9"), number("6.4"), number("520")));
    assert_eq!(candles[1], (1_747_385_340_000, five, number("6.7"), number("6.8"), number("6.5"), number("603")));
}

#[test]
fn day_volumes_are_in_quote() {
    let volume = |events: Vec<EventKind>| match &events[..] {
        [EventKind::Market(market)] => match &market.kind {
            MarketKind::Volume { quote, last, .. } => (*quote, last.map(|last| last.get())),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    };
    let all = r#"{"code":"200000","data":{"time":1747385641638,"ticker":[{"symbol":"PUMP-USDT","vol":"90","volValue":"603.5","last":"6.7"}]}}"#;
    let snapshot = r#"{"topic":"/market/snapshot:PUMP-USDT","type":"message","data":{"sequence":"5","data":{"symbol":"PUMP-USDT","volValue":603.5,"lastTradedPrice":6.7,"datetime":1747385641638}}}"#;
    let expected = (number("603.5"), Some(number("6.7")));
    assert_eq!(volume(paged("kucoin/market/rest", "market/allTickers", all).unwrap()), expected);
    assert_eq!(volume(told("kucoin/market", snapshot).unwrap()), expected);
}

#[test]
fn memory_read_back_says_the_same() {
    let json = r#"{"T":"trade.SPOT","P":1,"d":{"E":2063,"M":1747385641638000000,"S":"sell","p":"9.2","q":"8","s":"PUMP-USDT","ti":"2063"}}"#;
    let mut codec = Codec::new();
    let mut out = Vec::new();
    codec.decode(&arrival("kucoin/market", Body::from_text(json.into())), &mut out).unwrap();
    let mut again: Codec = postcard::from_bytes(&postcard::to_stdvec(&codec).unwrap()).unwrap();
    assert_eq!(again, codec);
    again.decode(&arrival("kucoin/market", Body::from_text(json.into())), &mut out).unwrap();
    assert_eq!(out.len(), 1);
}

proptest! {
    #[test]
    fn a_mangled_frame_never_panics_and_never_makes_an_empty_fill(
        which in 0usize..4, at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>(), how in 0u8..3,
    ) {
        let mut bytes = [MATCH, EXECUTION, LITE, FILLS][which].as_bytes().to_vec();
        let place = at.index(bytes.len());
        match how {
            0 => bytes[place] = byte,
            1 => bytes.truncate(place),
            _ => { bytes.drain(place.min(cut.index(bytes.len()))..place); }
        }
        let mut out = Vec::new();
        let mut codec = Codec::new();
        for from in ["kucoin/alice", "kucoin/market"] {
            let _ = codec.decode(&arrival(from, Body::from_bytes(bytes.clone())), &mut out);
        }
        if let Ok(text) = String::from_utf8(bytes) && let Ok(frame) = Body::json(text) {
            let _ = codec.decode(&arrival("kucoin/alice/rest", Body::Page { call: "fills".into(), frame }), &mut out);
        }
        for event in out {
            if let EventKind::Fill(fill) = event.kind {
                prop_assert!(fill.price.get() > Decimal::ZERO && fill.quantity.get() > Decimal::ZERO);
                prop_assert!(fill.notional > Decimal::ZERO);
            }
        }
    }
}
