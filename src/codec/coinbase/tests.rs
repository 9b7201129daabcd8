//! Coinbase's rules on frames of our own.
#![allow(clippy::wildcard_enum_match_arm, reason = "a test names what it wants and shows whatever else came")]

use proptest::prelude::*;
use rust_decimal::Decimal;

use super::*;
use crate::arrival::Incoming;
use crate::domain::{Basis, Confirmation, EventKind, Fill, MarketKind, OrderStep, Via};

/// A codec and what it told; every message gets the next sequence number unless it brings its own.
#[derive(Default)]
struct Desk {
    codec: Codec,
    next: u64,
}

#[derive(Clone, Copy)]
struct Order {
    id: &'static str,
    product: &'static str,
    status: &'static str,
    cumulative: &'static str,
    value: &'static str,
    fees: &'static str,
}

const ORDER: Order = Order { id: "o-1", product: "PUMP-USD", status: "OPEN", cumulative: "0", value: "0", fees: "0" };

fn number(text: &str) -> Decimal {
    text.parse().unwrap()
}

fn arrival(from: &str, body: Body) -> Arrival {
    Incoming { at: Timestamp::from_millis(1_767_225_700_000), from: from.parse().unwrap(), body }.numbered(7)
}

fn page(call: &str, json: &str) -> Body {
    Body::Page { call: call.into(), frame: Body::json(json.into()).unwrap() }
}

impl Order {
    fn at(self, cumulative: &'static str, value: &'static str, fees: &'static str) -> Order {
        Order { cumulative, value, fees, ..self }
    }

    fn json(self) -> String {
        let Order { id, product, status, cumulative, value, fees } = self;
        let average = number(value).checked_div(number(cumulative)).unwrap_or_default().normalize();
        format!(
            r#"{{"order_id":"{id}","client_order_id":"bot-1","cumulative_quantity":"{cumulative}","leaves_quantity":"7","avg_price":"{average}",
            "total_fees":"{fees}","status":"{status}","product_id":"{product}","creation_time":"2026-01-01T00:00:00Z","order_side":"BUY",
            "order_type":"Stop Limit","number_of_fills":"3","filled_value":"{value}","cancel_reason":"","reject_reason":"","product_type":"SPOT"}}"#
        )
    }
}

impl Desk {
    fn hear(&mut self, from: &str, body: Body) -> Result<Vec<EventKind>, Unread> {
        let mut out = Vec::new();
        self.codec.decode(&arrival(from, body), &mut out)?;
        Ok(out.into_iter().map(|event| event.kind).collect())
    }

    /// A message of the user channel whose time is its sequence number in seconds.
    fn numbered(&mut self, number: u64, kind: &str, orders: &[Order]) -> Vec<EventKind> {
        let orders: Vec<String> = orders.iter().map(|order| order.json()).collect();
        let json = format!(
            r#"{{"channel":"user","client_id":"","timestamp":"2026-01-01T00:00:{number:02}Z","sequence_num":{number},
            "events":[{{"type":"{kind}","orders":[{}],"positions":{{"perpetual_futures_positions":[]}}}}]}}"#,
            orders.join(",")
        );
        self.next = number + 1;
        self.hear("coinbase/alice", Body::from_text(json)).unwrap()
    }

    fn user(&mut self, kind: &str, orders: &[Order]) -> Vec<EventKind> {
        self.numbered(self.next, kind, orders)
    }

    fn fills(&mut self, rows: &[String]) -> Vec<EventKind> {
        let json = format!(r#"{{"fills":[{}],"cursor":""}}"#, rows.join(","));
        self.hear("coinbase/alice/rest", page("orders/historical/fills?limit=100", &json)).unwrap()
    }

    fn reconnect(&mut self) {
        self.codec.link_changed(&"coinbase/alice".parse().unwrap());
        self.next = 0;
    }
}

/// A row of List Fills for order `o-1`: traded `secs` after midnight.
fn row(trade: &str, secs: u32, price: &str, size: &str) -> String {
    format!(
        r#"{{"entry_id":"e-{trade}","trade_id":"{trade}","order_id":"o-1","trade_time":"2026-01-01T00:00:{secs:02}.5Z","trade_type":"FILL",
        "price":"{price}","size":"{size}","commission":"0.5","product_id":"PUMP-USD","liquidity_indicator":"TAKER","size_in_quote":false,"side":"BUY"}}"#
    )
}

fn fills(events: &[EventKind]) -> Vec<&Fill> {
    fn fill(event: &EventKind) -> Option<&Fill> {
        if let EventKind::Fill(fill) = event { Some(fill) } else { None }
    }
    events.iter().filter_map(fill).collect()
}

fn figures(events: &[EventKind]) -> Vec<(Decimal, Decimal, Basis)> {
    fills(events).iter().map(|fill| (fill.quantity.get(), fill.price.get(), fill.basis)).collect()
}

fn confirmed(events: &[EventKind]) -> Vec<&Confirmation> {
    fn confirmation(event: &EventKind) -> Option<&Confirmation> {
        if let EventKind::Confirmed(confirmation) = event { Some(confirmation) } else { None }
    }
    events.iter().filter_map(confirmation).collect()
}

fn feed(events: &[EventKind]) -> Option<&FeedKind> {
    events.iter().find_map(|event| match event {
        EventKind::Feed(change) => Some(&change.kind),
        _ => None,
    })
}

fn provisional(quantity: &str, price: &str) -> (Decimal, Decimal, Basis) {
    (number(quantity), number(price), Basis::Provisional)
}

fn exact(quantity: &str, price: &str) -> (Decimal, Decimal, Basis) {
    (number(quantity), number(price), Basis::Exact)
}

#[test]
fn the_difference_of_two_totals_is_one_merged_fill_and_a_cancel_adds_none() {
    let mut desk = Desk::default();
    let before = desk.user("snapshot", &[ORDER.at("1", "100", "0.10")]);
    assert_eq!(figures(&before), []);
    let events = desk.user("update", &[ORDER.at("3", "330", "0.33")]);
    let [fill] = fills(&events)[..] else { panic!("{events:?}") };
    assert_eq!((fill.quantity.get(), fill.price.get(), fill.notional), (number("2"), number("115"), number("230")));
    assert_eq!(fill.fee.as_ref().map(ToString::to_string).as_deref(), Some("0.23 USD"));
    assert_eq!((&fill.trade_id, fill.maker, fill.basis, fill.via), (&None, None, Basis::Provisional, Via::Stream));
    assert_eq!(fill.time, Timestamp::from_rfc3339("2026-01-01T00:00:01Z").unwrap());
    assert_eq!((fill.client_order_id.as_deref(), fill.order_type.as_deref()), (Some("bot-1"), Some("stop_limit")));
    let after = desk.user("update", &[Order { status: "CANCELLED", ..ORDER.at("3", "330", "0.33") }]);
    assert!(matches!(&after[..], [EventKind::Order(order)] if order.step == OrderStep::Cancelled), "{after:?}");
}

#[test]
fn an_order_first_seen_in_an_update_is_told_whole_and_its_fill_comes_before_its_end() {
    let mut desk = Desk::default();
    let events = desk.user("update", &[Order { status: "FILLED", ..ORDER.at("4", "10", "0.1") }]);
    assert_eq!(figures(&events), [provisional("4", "2.5")]);
    assert!(matches!(&events[1], EventKind::Order(order) if order.step == OrderStep::Done));
}

#[test]
fn the_average_price_serves_where_the_filled_value_is_missing() {
    let mut desk = Desk::default();
    let bare = |order: Order| order.json().replace(r#""filled_value":"#, r#""nothing":"#);
    for (number, order) in [ORDER.at("1", "100", "0"), ORDER.at("3", "330", "0")].into_iter().enumerate() {
        let kind = if number == 0 { "snapshot" } else { "update" };
        let json = format!(
            r#"{{"channel":"user","timestamp":"2026-01-01T00:00:00Z","sequence_num":{number},"events":[{{"type":"{kind}","orders":[{}]}}]}}"#,
            bare(order)
        );
        let events = desk.hear("coinbase/alice", Body::from_text(json)).unwrap();
        let expected = if number == 0 { vec![] } else { vec![provisional("2", "115")] };
        assert_eq!(figures(&events), expected);
    }
}

#[test]
fn the_filled_value_is_believed_and_not_the_rounded_average() {
    let mut desk = Desk::default();
    desk.user("snapshot", &[ORDER]);
    let json = format!(
        r#"{{"channel":"user","timestamp":"2026-01-01T00:00:02Z","sequence_num":1,"events":[{{"type":"update","orders":[{}]}}]}}"#,
        ORDER.at("3", "10.5", "0").json().replace(r#""avg_price":"3.5""#, r#""avg_price":"4""#)
    );
    let events = desk.hear("coinbase/alice", Body::from_text(json)).unwrap();
    assert_eq!((figures(&events), fills(&events)[0].notional), (vec![provisional("3", "3.5")], number("10.5")));
}

#[test]
fn a_total_that_falls_is_told_and_ignored() {
    let mut desk = Desk::default();
    desk.user("update", &[ORDER.at("4", "40", "0")]);
    let fell = desk.user("update", &[ORDER.at("3", "30", "0")]);
    assert_eq!(feed(&fell), Some(&FeedKind::Unreadable("cumulative quantity fell".into())));
    assert_eq!(fell.len(), 1);
    assert_eq!(figures(&desk.user("update", &[ORDER.at("5", "50", "0")])), [provisional("1", "10")]);
}

#[test]
fn a_snapshot_after_a_reconnect_tells_what_was_missed_and_no_more() {
    let mut desk = Desk::default();
    desk.user("snapshot", &[ORDER.at("1", "10", "0")]);
    desk.reconnect();
    assert_eq!(desk.user("snapshot", &[ORDER.at("1", "10", "0")]), []);
    desk.reconnect();
    let grown = desk.user("snapshot", &[ORDER.at("3", "32", "0.2"), Order { id: "o-2", ..ORDER.at("9", "90", "0") }]);
    assert_eq!(figures(&grown), [provisional("2", "11")]);
    assert_eq!(fills(&grown)[0].via, Via::Stream);
}

#[test]
fn a_row_confirms_a_provisional_fill_and_is_never_a_second_one() {
    let mut desk = Desk::default();
    desk.user("snapshot", &[ORDER]);
    desk.user("update", &[ORDER.at("4", "40", "0.1")]);
    // Newest first, as the exchange lists them.
    let rows = [row("t-2", 2, "11", "3"), row("t-1", 1, "9", "1")];
    let events = desk.fills(&rows);
    let parts: Vec<_> = confirmed(&events).iter().map(|c| (c.trade_id.to_string(), c.booked, c.notional)).collect();
    assert_eq!(parts, [("t-1".into(), number("10"), number("9")), ("t-2".into(), number("30"), number("33"))]);
    assert_eq!((confirmed(&events)[0].maker, fills(&events).len()), (Some(false), 0));
    assert_eq!(desk.fills(&rows), [], "the same rows again");
}

#[test]
fn a_row_beyond_what_the_stream_told_is_a_fill_that_the_stream_does_not_tell_again() {
    let mut desk = Desk::default();
    desk.user("update", &[ORDER.at("1", "10", "0.1")]);
    let events = desk.fills(&[row("t-1", 1, "12", "4")]);
    assert_eq!(figures(&events), [exact("3", "12")]);
    let fill = fills(&events)[0];
    assert_eq!((fill.notional, fill.via, fill.trade_id.as_deref()), (number("36"), Via::Rest, Some("t-1")));
    assert_eq!(fill.fee.as_ref().map(ToString::to_string).as_deref(), Some("0.375 USD"));
    let [confirmation] = confirmed(&events)[..] else { panic!("{events:?}") };
    assert_eq!((confirmation.booked, confirmation.notional), (number("10"), number("12")));
    assert_eq!(figures(&desk.user("update", &[ORDER.at("4", "48", "0.5")])), []);
    assert_eq!(figures(&desk.user("update", &[ORDER.at("5", "61", "0.6")])), [provisional("1", "13")]);
}

#[test]
fn rows_of_an_order_the_stream_never_told_are_fills_and_its_totals_add_nothing() {
    let mut desk = Desk::default();
    assert_eq!(figures(&desk.fills(&[row("t-1", 1, "12", "4")])), [exact("4", "12")]);
    assert_eq!(figures(&desk.user("update", &[Order { status: "FILLED", ..ORDER.at("4", "48", "0.5") }])), []);
    desk.reconnect();
    assert_eq!(figures(&desk.user("snapshot", &[ORDER.at("4", "48", "0.5")])), []);
}

#[test]
fn what_traded_before_the_first_snapshot_is_found_by_the_list() {
    let mut desk = Desk::default();
    desk.numbered(10, "snapshot", &[ORDER.at("2", "20", "0")]);
    desk.user("update", &[ORDER.at("3", "31", "0")]);
    let events = desk.fills(&[row("t-2", 10, "11", "1"), row("t-1", 5, "10", "2")]);
    assert_eq!((figures(&events), confirmed(&events).len()), (vec![exact("2", "10")], 1));
}

#[test]
fn a_size_in_quote_is_divided_by_the_price_and_its_last_digits_are_no_fill() {
    let quote = row("t-1", 1, "3", "10").replace(r#""size_in_quote":false"#, r#""size_in_quote":true"#);
    let mut desk = Desk::default();
    let events = desk.fills(std::slice::from_ref(&quote));
    let [fill] = fills(&events)[..] else { panic!("{events:?}") };
    assert_eq!((fill.notional, fill.price.get()), (number("10"), number("3")));
    assert_eq!(fill.quantity.get().round_dp(8), number("3.33333333"));
    assert_eq!(figures(&desk.user("update", &[ORDER.at("3.33333334", "10", "0.5")])), []);
    let mut desk = Desk::default();
    desk.user("update", &[ORDER.at("3.33333333", "10", "0.5")]);
    let events = desk.fills(&[quote]);
    assert_eq!((figures(&events), confirmed(&events).len()), (vec![], 1));
    assert_eq!(confirmed(&events)[0].booked, number("10"));
}

#[test]
fn corrections_are_no_new_trades_and_one_of_the_price_is_taken_over() {
    let mut desk = Desk::default();
    let amended = |kind: &str, price: &str, size: &str| {
        let other = row("t-1", 1, price, size).replace(r#""trade_type":"FILL""#, &format!(r#""trade_type":"{kind}""#));
        other.replace("e-t-1", &format!("{kind}-{price}-{size}"))
    };
    for kind in ["REVERSAL", "CORRECTION", "SYNTHETIC"] {
        let events = desk.fills(&[amended(kind, "12", "4")]);
        assert!(figures(&events).is_empty() && confirmed(&events).is_empty(), "{kind}: {events:?}");
    }
    assert_eq!(figures(&desk.fills(&[row("t-1", 1, "12", "4")])), [exact("4", "12")]);
    let events = desk.fills(&[amended("CORRECTION", "11", "4")]);
    let told: Vec<_> = confirmed(&events).iter().map(|known| (known.booked, known.notional)).collect();
    assert_eq!((told, figures(&events)), (vec![(number("48"), number("44"))], vec![]));
    assert!(desk.fills(&[amended("CORRECTION", "11", "4")]).is_empty(), "the same row again");
    for other in [amended("REVERSAL", "11", "4"), amended("CORRECTION", "11", "3")] {
        let events = desk.fills(&[other]);
        assert!(matches!(&events[..], [EventKind::Feed(_)]), "told of and left: {events:?}");
    }
}

#[test]
fn an_order_from_before_the_connection_that_no_snapshot_told_is_left_to_the_list() {
    let mut desk = Desk::default();
    desk.numbered(20, "snapshot", &[]);
    let old = ORDER.at("5", "50", "0");
    assert_eq!(figures(&desk.numbered(21, "update", &[old])), [], "it may have traded yesterday");
    // The list says what and when: 4 long ago, 1 just now. From here on its totals are followed.
    let events = desk.fills(&[row("t-2", 20, "10", "1"), row("t-1", 1, "10", "4")]);
    assert_eq!(figures(&events), [exact("4", "10"), exact("1", "10")]);
    assert_eq!(figures(&desk.numbered(22, "update", &[ORDER.at("7", "72", "0")])), [provisional("2", "11")]);
    let events = desk.fills(&[row("t-3", 22, "11", "2")]);
    assert_eq!((figures(&events), confirmed(&events).len()), (vec![], 1));
}

#[test]
fn a_snapshot_in_several_messages_is_all_baseline() {
    let mut desk = Desk::default();
    desk.numbered(0, "snapshot", &[Order { id: "o-1", ..ORDER.at("1", "10", "0") }]);
    desk.numbered(1, "snapshot", &[Order { id: "o-2", ..ORDER.at("2", "20", "0") }]);
    let events = desk.numbered(2, "update", &[Order { id: "o-2", ..ORDER.at("3", "31", "0") }]);
    assert_eq!(figures(&events), [provisional("1", "11")]);
}

#[test]
fn a_bad_row_costs_no_other_row() {
    let mut desk = Desk::default();
    let events = desk.fills(&[row("t-2", 2, "0", "3"), row("t-1", 1, "9", "1"), row("t-3", 3, "9", "x")]);
    assert_eq!(figures(&events), [exact("1", "9")]);
    assert_eq!(events.iter().filter(|event| matches!(event, EventKind::Feed(_))).count(), 2);
    let orders = [Order { id: "o-2", fees: "none", ..ORDER }, ORDER.at("1", "5", "0")];
    assert_eq!(figures(&desk.user("update", &orders)), [], "o-1 is covered by its row");
}

#[test]
fn a_jump_in_the_numbering_is_told_and_a_stale_message_is_dropped() {
    let mut desk = Desk::default();
    desk.numbered(3, "snapshot", &[ORDER]);
    let heartbeat = r#"{"channel":"heartbeats","timestamp":"2026-01-01T00:00:04Z","sequence_num":4,"events":[{"heartbeat_counter":9}]}"#;
    assert_eq!(desk.hear("coinbase/alice", Body::from_text(heartbeat.into())).unwrap(), []);
    let ack = r#"{"channel":"subscriptions","timestamp":"2026-01-01T00:00:05Z","sequence_num":5,"events":[{"subscriptions":{"user":["u"]}}]}"#;
    assert_eq!(desk.hear("coinbase/alice", Body::from_text(ack.into())).unwrap(), []);
    assert_eq!(feed(&desk.numbered(6, "update", &[ORDER])), None);
    let jump = desk.numbered(9, "update", &[ORDER.at("2", "20", "0")]);
    assert_eq!(feed(&jump), Some(&FeedKind::Skipped { expected: 7, got: 9 }));
    assert_eq!(figures(&jump), [provisional("2", "10")]);
    assert_eq!(desk.numbered(8, "update", &[ORDER.at("9", "90", "0")]), []);
    assert_eq!(desk.numbered(0, "update", &[ORDER.at("9", "90", "0")]), [], "its time is old");
    assert_eq!(feed(&desk.numbered(10, "update", &[ORDER.at("2", "20", "0")])), None);
}

#[test]
fn a_new_connection_begins_its_numbering_anew() {
    let mut desk = Desk::default();
    desk.numbered(30, "snapshot", &[ORDER]);
    desk.reconnect();
    assert_eq!(figures(&desk.numbered(0, "snapshot", &[ORDER.at("1", "10", "0")])), [provisional("1", "10")]);
    // Killed and started again, nobody wrote that the link went; message 0 is later than the last one.
    let json = format!(
        r#"{{"channel":"user","timestamp":"2026-01-01T01:00:00Z","sequence_num":0,"events":[{{"type":"snapshot","orders":[{}]}}]}}"#,
        ORDER.at("2", "20", "0").json()
    );
    let events = desk.hear("coinbase/alice", Body::from_text(json)).unwrap();
    assert_eq!((figures(&events), feed(&events)), (vec![provisional("1", "10")], None));
}

#[test]
fn accounts_do_not_share_orders_or_numbering() {
    let mut desk = Desk::default();
    desk.numbered(5, "snapshot", &[ORDER.at("1", "10", "0")]);
    let json = format!(
        r#"{{"channel":"user","timestamp":"2026-01-01T00:00:00Z","sequence_num":1,"events":[{{"type":"update","orders":[{}]}}]}}"#,
        ORDER.at("1", "10", "0").json()
    );
    let events = desk.hear("coinbase/bob", Body::from_text(json)).unwrap();
    assert_eq!((figures(&events), feed(&events)), (vec![provisional("1", "10")], None));
}

#[test]
fn a_step_is_told_once_and_a_first_snapshot_tells_when_the_order_was_made() {
    let mut desk = Desk::default();
    let events = desk.user("snapshot", &[ORDER]);
    let [EventKind::Order(order)] = &events[..] else { panic!("{events:?}") };
    assert_eq!(order.time, Timestamp::from_rfc3339("2026-01-01T00:00:00Z").unwrap());
    for (status, step) in [
        ("OPEN", None),
        ("CANCEL_QUEUED", Some(OrderStep::Other)),
        ("EXPIRED", Some(OrderStep::Expired)),
        ("FAILED", Some(OrderStep::Rejected)),
    ] {
        let events = desk.user("update", &[Order { status, ..ORDER }]);
        let told = events.iter().find_map(|event| match event {
            EventKind::Order(order) => Some(order.step),
            _ => None,
        });
        assert_eq!(told, step, "{status}");
    }
}

#[test]
fn a_listed_order_tells_its_source_and_later_fills_carry_it() {
    let mut desk = Desk::default();
    desk.user("snapshot", &[ORDER]);
    let json = r#"{"order_id":"o-1","product_id":"PUMP-USD","side":"BUY","client_order_id":"bot-1","status":"OPEN",
        "created_time":"2025-12-31T23:00:00Z","last_fill_time":null,"order_type":"STOP_LIMIT","order_placement_source":"RETAIL_ADVANCED"}"#;
    for (call, json) in [
        ("orders/historical/batch?limit=100", format!(r#"{{"orders":[{json}],"has_next":false,"cursor":""}}"#)),
        ("orders/historical/o-1", format!(r#"{{"order":{json}}}"#)),
    ] {
        let events = desk.hear("coinbase/alice/rest", page(call, &json)).unwrap();
        let [EventKind::Order(order)] = &events[..] else { panic!("{events:?}") };
        assert_eq!(
            (order.source.as_deref(), order.order_type.as_deref()),
            (Some("RETAIL_ADVANCED"), Some("stop_limit"))
        );
        assert_eq!(order.step, OrderStep::Accepted);
    }
    let events = desk.user("update", &[ORDER.at("1", "10", "0")]);
    assert_eq!(fills(&events)[0].source.as_deref(), Some("RETAIL_ADVANCED"));
}

#[test]
fn accounts_are_read_balances() {
    let json = r#"{"accounts":[{"uuid":"u","name":"PUMP Wallet","currency":"PUMP","available_balance":{"value":"1.5","currency":"PUMP"},
        "hold":{"value":"0.5","currency":"PUMP"}}],"has_next":false,"cursor":""}"#;
    let events = Desk::default().hear("coinbase/alice/rest", page("accounts?limit=250", json)).unwrap();
    let [EventKind::Balance(balance)] = &events[..] else { panic!("{events:?}") };
    assert_eq!((balance.free, balance.locked), (Some(number("1.5")), Some(number("0.5"))));
}

#[test]
fn refusals_are_told_in_our_words() {
    let mut desk = Desk::default();
    let mut refusal = |body: Body, from: &str| match feed(&desk.hear(from, body).unwrap()) {
        Some(FeedKind::Refused { code, why }) => (code.to_string(), why.to_string()),
        other => panic!("{other:?}"),
    };
    let ws = |text: &str| Body::from_text(format!(r#"{{"type":"error","message":"{text}"}}"#));
    let (code, why) = refusal(ws("authentication failure"), "coinbase/alice");
    assert!(code == "authentication failure" && why.contains("key"), "{code} {why}");
    let (code, why) = refusal(ws("unknown channel hunter2"), "coinbase/market");
    assert!(code == "error" && !why.contains("hunter2"), "{code} {why}");
    let denied = r#"{"error":"PERMISSION_DENIED","error_details":"hunter2","message":"hunter2"}"#;
    let (code, why) = refusal(page("accounts", denied), "coinbase/alice/rest");
    assert!(code == "PERMISSION_DENIED" && why.contains("permission"), "{code} {why}");
    let older = r#"{"errors":[{"id":"invalid_token","message":"hunter2"}]}"#;
    let (code, why) = refusal(page("orders/historical/fills", older), "coinbase/alice/rest");
    assert!(code == "invalid_token" && why.contains("key"), "{code} {why}");
    for (says, call, word) in [
        ("Invalid API Key", "accounts", "key"),
        ("invalid signature", "fills?product_id=BTC-USD", "key"),
        ("Forbidden", "orders?status=open", "permission"),
        ("Public rate limit exceeded", "fills", "slow"),
        ("hunter2", "fills", "refused the call"),
    ] {
        let (code, why) = refusal(page(call, &format!(r#"{{"message":"{says}"}}"#)), "coinbase/alice/rest");
        assert!(code == "message" && why.contains(word) && !why.contains("hunter2"), "{says}: {why}");
    }
    let (code, _) = refusal(Body::from_text("Unauthorized\n".into()), "coinbase/alice/rest");
    assert_eq!(code, "401");
    for bad in ["[]", "{}", "gateway timeout"] {
        assert!(desk.hear("coinbase/alice", Body::from_text(bad.into())).is_err(), "{bad}");
    }
    let novel = r#"{"channel":"novel","timestamp":"","events":[]}"#;
    let events = desk.hear("coinbase/alice", Body::from_text(novel.into())).unwrap();
    assert_eq!(feed(&events), Some(&FeedKind::Unknown("novel".into())));
    // What Coinbase Exchange says besides is no sign that something cannot be read.
    for (from, kind) in [("coinbase/alice", "auction"), ("coinbase/market", "match"), ("coinbase/market", "ticker")] {
        let events =
            desk.hear(from, Body::from_text(format!(r#"{{"type":"{kind}","product_id":"BTC-USD"}}"#))).unwrap();
        assert_eq!(feed(&events), Some(&FeedKind::Unknown(kind.into())), "{from}");
    }
    let perpetual = r#"{"channel":"ticker","timestamp":"2026-01-01T00:00:00Z","sequence_num":0,"events":[{"type":"update","tickers":[
        {"type":"ticker","product_id":"BTC-PERP-INTX","price":"6.7","volume_24_h":"900"}]}]}"#;
    let events = desk.hear("coinbase/market", Body::from_text(perpetual.into())).unwrap();
    assert_eq!(feed(&events), Some(&FeedKind::Unknown("a product that is no spot pair".into())));
}

#[test]
fn a_futures_product_is_told_of_and_left() {
    let mut desk = Desk::default();
    let events = desk.user("update", &[Order { product: "BIT-28NOV26-CDE", ..ORDER.at("1", "1", "0") }]);
    assert!(matches!(feed(&events), Some(FeedKind::Unknown(_))) && events.len() == 1, "{events:?}");
}

/// What a market message told: pair, kind of event and its first figure.
fn market(events: &[EventKind]) -> Vec<(String, Decimal)> {
    let told = |event: &EventKind| match event {
        EventKind::Market(market) => {
            let figure = match &market.kind {
                MarketKind::Trade { price, .. } | MarketKind::PastTrade { price, .. } => price.get(),
                MarketKind::PastTold { .. } => return None,
                MarketKind::Volume { quote, .. } | MarketKind::Candle { quote, .. } => *quote,
            };
            Some((market.symbol.to_string(), figure))
        }
        other => panic!("{other:?}"),
    };
    events.iter().filter_map(told).collect()
}

fn trades(prices: &[(u32, &str)]) -> String {
    let trade = |(id, price): &(u32, &str)| {
        format!(
            r#"{{"trade_id":"{id}","product_id":"PUMP-USD","price":"{price}","size":"3","time":"2026-01-01T00:00:0{id}Z","side":"SELL"}}"#
        )
    };
    prices.iter().map(trade).collect::<Vec<_>>().join(",")
}

#[test]
fn public_trades_are_told_oldest_first_once_and_from_the_takers_side() {
    let mut desk = Desk::default();
    let message = |kind: &str, prices: &[(u32, &str)]| {
        let trades = trades(prices);
        Body::from_text(format!(
            r#"{{"channel":"market_trades","timestamp":"2026-01-01T00:00:09Z","sequence_num":3,"events":[{{"type":"{kind}","trades":[{trades}]}}]}}"#
        ))
    };
    let events = desk.hear("coinbase/market", message("snapshot", &[(2, "6.8"), (1, "6.7")])).unwrap();
    let named = |price: &str| ("PUMP-USD".to_owned(), number(price));
    assert_eq!(market(&events), [named("6.7"), named("6.8")]);
    let EventKind::Market(first) = &events[0] else { panic!() };
    assert!(matches!(first.kind, MarketKind::Trade { taker: Side::Buy, .. }), "the order that waited sold");
    let events = desk.hear("coinbase/market", message("update", &[(3, "6.9"), (2, "6.8")])).unwrap();
    assert_eq!(market(&events), [named("6.9")]);
}

#[test]
fn the_market_of_a_usdc_pair_somebody_trades_is_told_under_its_name_too() {
    let ticker = r#"{"channel":"ticker_batch","timestamp":"2026-01-01T00:00:09Z","sequence_num":3,"events":[{"type":"snapshot","tickers":[
        {"type":"ticker","product_id":"PUMP-USD","price":"2","volume_24_h":"900"}]}]}"#;
    let mut desk = Desk::default();
    let usd = ("PUMP-USD".to_owned(), number("1800"));
    let usdc = ("PUMP-USDC".to_owned(), number("1800"));
    let hear = |desk: &mut Desk| market(&desk.hear("coinbase/market", Body::from_text(ticker.into())).unwrap());
    assert_eq!(hear(&mut desk), std::slice::from_ref(&usd));
    desk.user("update", &[Order { product: "PUMP-USDC", ..ORDER }]);
    assert_eq!(hear(&mut desk), [usdc.clone(), usd.clone()]);
    let products = r#"{"products":[{"product_id":"PUMP-USDC","price":"2","volume_24h":"900","approximate_quote_24h_volume":"1800","alias":"PUMP-USD","alias_to":[]},
        {"product_id":"DEAD-USD","price":"","volume_24h":"","approximate_quote_24h_volume":"","alias":"","alias_to":[]}],"num_products":2}"#;
    let mut desk = Desk::default();
    let events = desk.hear("coinbase/market/rest", page("market/products", products)).unwrap();
    assert_eq!(market(&events), std::slice::from_ref(&usdc));
    assert_eq!(hear(&mut desk), [usdc, usd]);
}

#[test]
fn bars_are_told_oldest_first_for_the_pair_that_was_asked_and_running_ones_are_left() {
    let bar = |start: u64, product: &str| {
        format!(r#"{{"start":"{start}","low":"1","high":"3","open":"2","close":"2","volume":"10"{product}}}"#)
    };
    let mut desk = Desk::default();
    let growing = bar(1_767_225_660, "");
    let json = format!(r#"{{"candles":[{growing},{},{}]}}"#, bar(1_767_225_600, ""), bar(1_767_225_540, ""));
    let call = "market/products/PUMP-USDC/candles?granularity=ONE_MINUTE&limit=350";
    let events = desk.hear("coinbase/market/rest", page(call, &json)).unwrap();
    assert_eq!(market(&events), [("PUMP-USDC".to_owned(), number("20")), ("PUMP-USDC".to_owned(), number("20"))]);
    let EventKind::Market(first) = &events[0] else { panic!() };
    assert!(matches!(first.kind, MarketKind::Candle { start, .. } if start.millis() == 1_767_225_540_000));
    let product = r#","product_id":"PUMP-USD""#;
    let json = format!(
        r#"{{"channel":"candles","timestamp":"2026-01-01T00:06:00Z","sequence_num":3,"events":[{{"type":"snapshot","candles":[{},{}]}}]}}"#,
        bar(1_767_225_900, product),
        bar(1_767_225_600, product)
    );
    assert_eq!(market(&desk.hear("coinbase/market", Body::from_text(json)).unwrap()).len(), 1);
    let json = format!(r#"{{"trades":[{}],"best_bid":"6","best_ask":"7"}}"#, trades(&[(2, "6.8"), (1, "6.7")]));
    let events = desk.hear("coinbase/market/rest", page("market/products/PUMP-USDC/ticker?limit=100", &json)).unwrap();
    assert_eq!(market(&events), [("PUMP-USDC".to_owned(), number("6.7")), ("PUMP-USDC".to_owned(), number("6.8"))]);
}

#[test]
fn memory_read_back_in_the_middle_of_an_order_says_the_same() {
    let story = |read_back: bool| {
        let mut desk = Desk::default();
        let mut told = desk.user("snapshot", &[ORDER.at("1", "10", "0")]);
        told.extend(
            desk.user("update", &[ORDER.at("3", "32", "0.2"), Order { product: "PUMP-USDC", id: "o-2", ..ORDER }]),
        );
        told.extend(desk.fills(&[row("t-1", 9, "11.5", "1")]));
        if read_back {
            let bytes = postcard::to_stdvec(&desk.codec).unwrap();
            let codec: Codec = postcard::from_bytes(&bytes).unwrap();
            assert_eq!(codec, desk.codec);
            desk.codec = codec;
        }
        told.extend(desk.fills(&[row("t-2", 10, "11", "2"), row("t-1", 9, "11.5", "1")]));
        told.extend(desk.numbered(9, "update", &[ORDER.at("6", "65", "0.5")]));
        told
    };
    assert_eq!(story(true), story(false));
}

proptest! {
    #[test]
    fn a_mangled_message_never_panics_and_never_makes_an_empty_fill(
        which in 0usize..4, at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>(), how in 0u8..3,
    ) {
        let user = format!(
            r#"{{"channel":"user","timestamp":"2026-01-01T00:00:01Z","sequence_num":1,"events":[{{"type":"update","orders":[{}]}}]}}"#,
            ORDER.at("3.5", "10.25", "0.1").json()
        );
        let listed = format!(r#"{{"fills":[{},{}],"cursor":""}}"#, row("t-1", 1, "2.5", "2"), row("t-2", 2, "3", "4"));
        let market = format!(r#"{{"channel":"market_trades","timestamp":"","events":[{{"trades":[{}]}}]}}"#, trades(&[(1, "2")]));
        let quote = listed.replace(r#""size_in_quote":false"#, r#""size_in_quote":true"#);
        let mut bytes = [&user, &listed, &market, &quote][which].clone().into_bytes();
        let place = at.index(bytes.len());
        match how {
            0 => bytes[place] = byte,
            1 => bytes.truncate(place),
            _ => { bytes.drain(place.min(cut.index(bytes.len()))..place); }
        }
        let mut codec = Codec::new();
        let mut out = Vec::new();
        codec.decode(&arrival("coinbase/alice", Body::from_text(user)), &mut out).unwrap();
        for from in ["coinbase/alice", "coinbase/market"] {
            let _ = codec.decode(&arrival(from, Body::from_bytes(bytes.clone())), &mut out);
        }
        if let Ok(text) = String::from_utf8(bytes) && let Ok(frame) = Body::json(text) {
            for call in ["fills", "orders/historical/batch", "accounts"] {
                let body = Body::Page { call: call.into(), frame: frame.clone() };
                let _ = codec.decode(&arrival("coinbase/alice/rest", body), &mut out);
            }
        }
        for event in out {
            if let EventKind::Fill(fill) = event.kind {
                prop_assert!(fill.price.get() > Decimal::ZERO && fill.quantity.get() > Decimal::ZERO);
            }
        }
    }

    /// Totals of any size, in any order, neither panic nor make a fill of nothing.
    #[test]
    fn absurd_totals_never_panic(
        totals in prop::collection::vec((any::<i64>(), 0u32..20, any::<i64>(), 0u32..20, any::<bool>()), 1..12),
    ) {
        let mut codec = Codec::new();
        let mut out = Vec::new();
        for (number, (quantity, dp, value, value_dp, rest)) in totals.into_iter().enumerate() {
            let (quantity, value) = (Decimal::new(quantity, dp), Decimal::new(value, value_dp));
            let body = if rest {
                page("fills", &format!(r#"{{"fills":[{}]}}"#, row(&format!("t-{number}"), 1, &value.to_string(), &quantity.to_string())))
            } else {
                Body::from_text(format!(
                    r#"{{"channel":"user","timestamp":"","sequence_num":{number},"events":[{{"type":"update","orders":[{{"order_id":"o-1",
                    "cumulative_quantity":"{quantity}","filled_value":"{value}","total_fees":"{value}","product_id":"A-USD","order_side":"BUY"}}]}}]}}"#
                ))
            };
            let from = if rest { "coinbase/alice/rest" } else { "coinbase/alice" };
            codec.decode(&arrival(from, body), &mut out).unwrap();
        }
        for event in out {
            if let EventKind::Fill(fill) = event.kind {
                prop_assert!(fill.price.get() > Decimal::ZERO && fill.quantity.get() > Decimal::ZERO);
            }
        }
    }
}
