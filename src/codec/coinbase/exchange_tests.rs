//! Coinbase Exchange's messages and answers, on frames of our own, through the memory of fills that all exchanges share.
#![allow(clippy::wildcard_enum_match_arm, reason = "a test names what it wants and shows whatever else came")]

use serde_json::{Value, json};

use super::*;
use crate::arrival::Incoming;
use crate::codec::{Codecs, Settings};
use crate::domain::{Basis, Confirmation, EventKind, Fill, OrderChange, OrderStep, Via};

struct Desk(Codecs);

impl Desk {
    fn new() -> Self {
        Desk(Codecs::new(&Settings::default()))
    }

    fn hear(&mut self, from: &str, body: Body) -> Vec<EventKind> {
        let at = Timestamp::from_millis(1_767_225_700_000);
        let mut out = Vec::new();
        self.0.decode(&Incoming { at, from: from.parse().unwrap(), body }.numbered(7), &mut out);
        out.into_iter().map(|event| event.kind).collect()
    }

    fn feed(&mut self, message: &Value) -> Vec<EventKind> {
        self.hear("coinbase/alice", Body::from_text(message.to_string()))
    }

    fn rest(&mut self, call: &str, rows: &Value) -> Vec<EventKind> {
        let frame = Body::json(rows.to_string()).unwrap();
        self.hear("coinbase/alice/rest", Body::Page { call: call.into(), frame })
    }

    fn fill(&mut self, message: &Value) -> Fill {
        match self.feed(message).as_slice() {
            [EventKind::Fill(fill)] => fill.clone(),
            other => panic!("no fill alone but {other:?}"),
        }
    }
}

/// A match in which alice's buy order took what rested.
fn taken() -> Value {
    json!({
        "type": "match", "trade_id": 10, "sequence": 50, "maker_order_id": "theirs", "taker_order_id": "ours",
        "time": "2026-01-01T00:00:00.5Z", "product_id": "PUMP-USD", "size": "2", "price": "100.5", "side": "sell",
        "user_id": "u-1", "profile_id": "p-1", "taker_user_id": "u-1", "taker_profile_id": "p-1",
        "taker_fee_rate": "0.004",
    })
}

fn received() -> Value {
    json!({
        "type": "received", "order_id": "ours", "order_type": "market", "funds": "201", "side": "buy", "sequence": 49,
        "product_id": "PUMP-USD", "client_oid": "bot-1", "time": "2026-01-01T00:00:00.4Z", "user_id": "u-1",
    })
}

fn row() -> Value {
    json!({
        "trade_id": 10, "product_id": "PUMP-USD", "order_id": "ours", "created_at": "2026-01-01T00:00:00.5Z",
        "liquidity": "T", "price": "100.50000000", "size": "2.00000000", "fee": "0.8100", "side": "buy",
        "settled": true,
    })
}

#[test]
fn a_match_is_an_exact_fill_of_the_side_that_is_ours() {
    let mut desk = Desk::new();
    let fill = desk.fill(&taken());
    assert_eq!((fill.side, fill.maker, fill.basis, fill.via), (Side::Buy, Some(false), Basis::Exact, Via::Stream));
    assert_eq!(
        (fill.price.to_string(), fill.quantity.to_string(), fill.notional.to_string()),
        ("100.5".into(), "2".into(), "201".into())
    );
    assert_eq!((fill.trade_id.as_deref(), &*fill.order_id), (Some("10"), "ours"));
    assert_eq!(fill.fee.unwrap().to_string(), "0.804 USD");
    let mut rested = taken();
    for (old, new) in [
        ("taker_user_id", "maker_user_id"),
        ("taker_profile_id", "maker_profile_id"),
        ("taker_fee_rate", "maker_fee_rate"),
    ] {
        let value = rested.as_object_mut().unwrap().remove(old).unwrap();
        rested[new] = value;
    }
    rested["trade_id"] = json!(11);
    let fill = desk.fill(&rested);
    assert_eq!((fill.side, fill.maker, &*fill.order_id), (Side::Sell, Some(true), "theirs"));
}

#[test]
fn an_order_s_own_name_comes_from_the_message_that_received_it() {
    let mut desk = Desk::new();
    let step = desk.feed(&received());
    let [EventKind::Order(OrderChange { step: OrderStep::Accepted, client_order_id, .. })] = step.as_slice() else {
        panic!("{step:?}")
    };
    assert_eq!(client_order_id.as_deref(), Some("bot-1"));
    let mut match_of_nobody = taken();
    for key in ["user_id", "profile_id", "taker_user_id", "taker_profile_id", "taker_fee_rate"] {
        match_of_nobody.as_object_mut().unwrap().remove(key);
    }
    let fill = desk.fill(&match_of_nobody);
    assert_eq!(
        (fill.side, fill.client_order_id.as_deref(), fill.order_type.as_deref()),
        (Side::Buy, Some("bot-1"), Some("market"))
    );
    let stranger = Desk::new().feed(&match_of_nobody);
    assert!(matches!(stranger.as_slice(), [EventKind::Feed(change)] if matches!(change.kind, FeedKind::Unreadable(_))));
}

#[test]
fn trading_with_oneself_is_two_fills_and_another_profile_s_side_is_none() {
    let mut both = taken();
    for (key, value) in [("maker_user_id", "u-1"), ("maker_profile_id", "p-1"), ("maker_fee_rate", "0.001")] {
        both[key] = json!(value);
    }
    let sides = |told: Vec<EventKind>| -> Vec<(Side, Option<bool>)> {
        told.iter()
            .map(|kind| match kind {
                EventKind::Fill(fill) => (fill.side, fill.maker),
                other => panic!("{other:?}"),
            })
            .collect()
    };
    let mut desk = Desk::new();
    assert_eq!(sides(desk.feed(&both)), [(Side::Buy, Some(false)), (Side::Sell, Some(true))]);
    assert!(desk.feed(&both).is_empty(), "a repeat is none");
    both["trade_id"] = json!(12);
    both["maker_profile_id"] = json!("p-2");
    assert_eq!(sides(desk.feed(&both)), [(Side::Buy, Some(false))]);
}

#[test]
fn a_fill_told_by_both_is_counted_once_and_a_missing_fee_is_a_confirmation() {
    let mut desk = Desk::new();
    desk.fill(&taken());
    assert!(desk.rest("fills?product_id=PUMP-USD", &json!([row()])).is_empty());
    let mut free = taken();
    free.as_object_mut().unwrap().remove("taker_fee_rate");
    free["trade_id"] = json!(20);
    assert!(desk.fill(&free).fee.is_none());
    let mut listed = row();
    listed["trade_id"] = json!(20);
    let told = desk.rest("fills?order_id=ours", &json!([listed]));
    let [EventKind::Confirmed(Confirmation { booked, notional, fee, maker, .. })] = told.as_slice() else {
        panic!("{told:?}")
    };
    assert_eq!((booked == notional, *maker, fee.as_ref().unwrap().to_string()), (true, Some(false), "0.81 USD".into()));
    assert!(desk.rest("fills?order_id=ours", &json!([listed])).is_empty(), "confirmed once");
}

#[test]
fn what_only_the_list_told_is_a_fill_with_its_order_s_name() {
    let mut desk = Desk::new();
    let orders = json!([{
        "id": "ours", "product_id": "PUMP-USD", "side": "buy", "type": "limit", "client_oid": "web-7", "status": "done",
        "done_reason": "filled", "created_at": "2026-01-01T00:00:00Z", "done_at": "2026-01-01T00:00:02Z",
    }]);
    let done = desk.rest("orders?status=done", &orders);
    assert!(matches!(done.as_slice(), [EventKind::Order(OrderChange { step: OrderStep::Done, .. })]), "{done:?}");
    assert!(desk.rest("orders?status=done", &orders).is_empty(), "it stands as it was told");
    let mut older = row();
    (older["trade_id"], older["created_at"]) = (json!(9), json!("2026-01-01T00:00:00.1Z"));
    let told = desk.rest("fills?product_id=PUMP-USD&limit=100", &json!([row(), older]));
    let [EventKind::Fill(first), EventKind::Fill(second)] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!((first.trade_id.as_deref(), second.trade_id.as_deref()), (Some("9"), Some("10")), "oldest first");
    assert_eq!((second.client_order_id.as_deref(), second.via), (Some("web-7"), Via::Rest));
    assert!(desk.feed(&taken()).is_empty(), "the feed comes too late");
    let call = "fills?product_id=PUMP-USD&start_date=2026-01-01T00:00:00.2Z&limit=100";
    let told = Desk::new().rest(call, &json!([row(), older]));
    assert_eq!(told.len(), 1, "what is older than asked for is history");
}

#[test]
fn steps_are_told_once_and_refusals_in_words() {
    let mut desk = Desk::new();
    let step = |kind: &str, more: &Value| {
        let mut message = json!({"type": kind, "order_id": "o", "product_id": "PUMP-USD", "side": "sell", "time": "2026-01-01T00:00:01Z"});
        message.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        message
    };
    let mut steps = Vec::new();
    for message in [
        step("activate", &json!({"stop_type": "entry", "stop_price": "80"})),
        step("received", &json!({"order_type": "limit", "size": "5", "client-oid": "c"})),
        step("open", &json!({"remaining_size": "5"})),
        step("change", &json!({"reason": "modify_order", "new_size": "4", "old_size": "5"})),
        step("change", &json!({"reason": "STP", "new_size": "3", "old_size": "4"})),
        step("done", &json!({"reason": "canceled", "remaining_size": "3"})),
    ] {
        for kind in desk.feed(&message) {
            match kind {
                EventKind::Order(change) => steps.push(change.step),
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(steps, [OrderStep::Accepted, OrderStep::Amended, OrderStep::Amended, OrderStep::Cancelled]);
    let refused = desk.feed(&json!({"type": "error", "message": "Authentication Failed", "reason": "Invalid API Key"}));
    let [EventKind::Feed(change)] = refused.as_slice() else { panic!("{refused:?}") };
    assert!(matches!(&change.kind, FeedKind::Refused { code, .. } if code == "authentication failure"), "{change:?}");
    for quiet in [
        json!({"type": "heartbeat", "sequence": 9, "last_trade_id": 1, "product_id": "PUMP-USD"}),
        json!({"type": "subscriptions", "channels": []}),
    ] {
        assert!(desk.feed(&quiet).is_empty());
    }
}

#[test]
fn balances_are_read_and_bad_rows_cost_no_other() {
    let mut desk = Desk::new();
    let accounts = json!([
        {"id": "a", "currency": "PUMP", "balance": "1.5", "available": "1", "hold": "0.5"},
        {"id": "b", "currency": "USD", "balance": "x", "available": "x", "hold": "0"},
    ]);
    let told = desk.rest("accounts", &accounts);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told.iter().any(|kind| matches!(kind, EventKind::Balance(balance) if balance.asset.as_str() == "PUMP")));
    assert!(desk.rest("accounts/a/ledger?limit=100", &json!([{"type": "match"}])).is_empty());
}

#[test]
fn orders_and_unpaid_fills_survive_a_snapshot() {
    let mut desk = Desk::new();
    desk.feed(&received());
    let mut free = taken();
    free.as_object_mut().unwrap().remove("taker_fee_rate");
    desk.fill(&free);
    let bytes = postcard::to_stdvec(&desk.0).unwrap();
    let mut read = Desk(postcard::from_bytes(&bytes).unwrap());
    assert_eq!(postcard::to_stdvec(&read.0).unwrap(), bytes);
    let told = read.rest("fills?order_id=ours", &json!([row()]));
    assert!(matches!(told.as_slice(), [EventKind::Confirmed(_)]), "{told:?}");
}
