//! Coinbase Advanced Trade: running totals told at once, confirmed by the list, and gaps in the numbering.

use std::collections::BTreeMap;
use std::time::Duration;

use fillguard::domain::{AccountId, Basis, EventKind, FeedKind, Side, Venue};
use rust_decimal::Decimal;

use crate::watch::{Api, Watch, name, pair};

/// Base by order, as told and as it happened.
type Totals = BTreeMap<(AccountId, String), Decimal>;

fn told(watch: &Watch) -> Totals {
    let mut totals = Totals::new();
    for fill in watch.fills() {
        *totals.entry((fill.account.clone(), fill.order_id.to_string())).or_default() += fill.quantity.get();
    }
    totals
}

fn happened(watch: &Watch) -> Totals {
    let mut totals = Totals::new();
    for fill in watch.handle.truth().fills {
        if watch.accounts.iter().any(|account| name(account) == fill.account) {
            *totals.entry((fill.account, fill.order_id)).or_default() += fill.quantity.get();
        }
    }
    totals
}

/// Returns whether every provisional fill of every order was confirmed, to the last digit of its quote.
fn confirmed(watch: &Watch) -> bool {
    let mut open: BTreeMap<&str, Decimal> = BTreeMap::new();
    for fill in watch.fills().into_iter().filter(|fill| fill.basis == Basis::Provisional) {
        *open.entry(&fill.order_id).or_default() += fill.notional;
    }
    for known in watch.confirmed() {
        *open.entry(&known.order_id).or_default() -= known.booked;
    }
    !open.is_empty() && open.values().all(Decimal::is_zero)
}

#[tokio::test]
async fn every_unit_is_told_once_and_every_provisional_fill_is_confirmed() {
    let mut watch = Watch::start(Api::Advanced, |_| {}).await;
    watch.up(2).await;
    for round in 0..6 {
        watch.trade(round % 2, ["BTC-USD", "ETH-USD"][round % 2], Side::Buy, 100 + round as i64);
        watch.trade(round % 2, "SOL-USD", Side::Sell, 30 + round as i64);
    }
    watch.until("all orders", |watch| told(watch) == happened(watch) && confirmed(watch)).await;
    assert!(told(&watch).len() >= 12, "{}", told(&watch).len());
    watch.end().await;
}

#[tokio::test]
async fn a_cut_in_the_middle_of_a_burst_loses_and_doubles_nothing() {
    let mut watch = Watch::start(Api::Advanced, |_| {}).await;
    watch.up(2).await;
    for round in 0..24 {
        let (account, symbol) = (name(&watch.accounts[round % 2]), ["BTC-USD", "ETH-USD", "SOL-USD"][round % 3]);
        let _ = watch.handle.trade(&account, &pair(symbol), Side::Buy, Decimal::from(20 + round as i64));
        if round % 8 == 3 {
            watch.handle.cut(Venue::Coinbase);
        }
    }
    watch.until("the connections after the cut", |watch| watch.filled() >= 4).await;
    watch.until("all orders", |watch| told(watch) == happened(watch)).await;
    watch.end().await;
}

#[tokio::test]
async fn a_jump_in_the_numbering_is_told_and_asked_for_and_fifty_are_asked_for_together() {
    let mut watch = Watch::start(Api::Advanced, |given| given.timing.debounce = Duration::from_millis(300)).await;
    watch.up(2).await;
    watch.handle.skip_sequence(3);
    watch.until("the filled gaps of both", |watch| watch.filled() >= 4).await;
    let skipped = |watch: &Watch| {
        let kinds = watch.told.iter();
        kinds
            .filter(|kind| matches!(kind, EventKind::Feed(change) if matches!(change.kind, FeedKind::Skipped { .. })))
            .count()
    };
    assert_eq!(skipped(&watch), 2);
    let calls = watch.calls.len();
    let account = name(&watch.accounts[0]);
    let mut orders = 0;
    for _ in 0..50 {
        watch.handle.skip_sequence(1);
        // A message that comes again is stale: neither a jump nor a fill.
        watch.handle.repeat_sequence();
        orders += usize::from(watch.handle.trade(&account, &pair("BTC-USD"), Side::Buy, Decimal::from(11)).is_ok());
        // Apart, else the exchange merges them into one message and one jump.
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    watch.until("all orders", |watch| told(watch) == happened(watch) && confirmed(watch)).await;
    let (jumps, asked) = (skipped(&watch) - 2, watch.calls.len() - calls);
    assert!(orders >= 40 && jumps >= 20, "{orders} orders, {jumps} jumps");
    assert!(asked < jumps, "{asked} calls for {jumps} jumps: {:#?}", watch.calls);
    watch.end().await;
}

#[tokio::test]
async fn a_key_that_is_deleted_while_its_feed_is_quiet_is_told_and_the_other_goes_on() {
    let mut watch = Watch::start(Api::Advanced, |given| given.timing.reconcile = Duration::from_millis(200)).await;
    watch.up(2).await;
    watch.handle.revoke(&name(&watch.accounts[0])).unwrap();
    let down = |line: &String| line.contains("amber down: Coinbase answered 401");
    watch.until("the loss", |watch| watch.links.iter().any(down)).await;
    watch.trade(1, "BTC-USD", Side::Buy, 90);
    watch.until("the other's order", |watch| told(watch) == happened(watch)).await;
    watch.end().await;
}
