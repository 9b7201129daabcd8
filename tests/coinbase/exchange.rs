//! Coinbase Exchange: matches as they happen, and what is done when one is missing.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fillguard::domain::{EventKind, FeedKind, Side, Venue, Via};
use fillguard::feed::ReadKey;
use fillguard::secret::Secret;
use rust_decimal::Decimal;

use crate::watch::{Api, Watch, name, pair};

#[tokio::test]
async fn every_fill_is_told_once_and_exactly_as_it_happened() {
    let mut watch = Watch::start(Api::Exchange, |_| {}).await;
    watch.up(2).await;
    watch.handle.double_fills(&name(&watch.accounts[0]), 2).unwrap();
    for round in 0..5 {
        watch.trade(0, "BTC-USD", Side::Buy, 100 + round);
        watch.trade(1, "ETH-USD", Side::Buy, 200 + round);
        watch.trade(0, "ETH-USD", Side::Sell, 50 + round);
    }
    watch.until("all fills", |watch| watch.equals_truth()).await;
    for fill in watch.fills() {
        assert!(fill.client_order_id.is_some() && fill.trade_id.is_some() && fill.maker == Some(false), "{fill:?}");
        assert!(fill.fee.is_some() && fill.via == Via::Stream, "{fill:?}");
    }
    let n = watch.fills().len();
    assert!(n >= 15, "{n}");
    // What the orders' own lists say adds nothing.
    watch
        .until("the orders asked about", |watch| {
            watch.calls.iter().filter(|call| call.contains("fills?order_id=")).count() >= 15
        })
        .await;
    assert_eq!((watch.fills().len(), watch.confirmed().len()), (n, 0));
    watch.end().await;
}

#[tokio::test]
async fn a_match_that_the_feed_lost_is_noticed_and_fetched() {
    let mut watch = Watch::start(Api::Exchange, |_| {}).await;
    watch.up(2).await;
    watch.handle.lose_fills(&name(&watch.accounts[0]), 1).unwrap();
    let lost = watch.trade(0, "BTC-USD", Side::Buy, 300);
    watch.until("the lost fill", |watch| watch.equals_truth()).await;
    let fills = watch.fills();
    let first = fills.iter().find(|fill| *fill.order_id == *lost).unwrap();
    assert!(first.via == Via::Rest && first.client_order_id.is_some(), "{first:?}");
    watch.end().await;
}

#[tokio::test]
async fn a_cut_in_the_middle_of_a_burst_loses_and_doubles_nothing() {
    let mut watch = Watch::start(Api::Exchange, |_| {}).await;
    watch.up(2).await;
    let symbols = ["BTC-USD", "ETH-USD", "SOL-USD"];
    for round in 0..30 {
        let _ = watch.handle.trade(
            &name(&watch.accounts[round % 2]),
            &pair(symbols[round % 3]),
            if round % 4 == 3 { Side::Sell } else { Side::Buy },
            Decimal::from(20 + round as i64),
        );
        if round % 10 == 4 {
            watch.handle.cut(Venue::Coinbase);
        }
        tokio::task::yield_now().await;
    }
    watch.until("the connections after the cut", |watch| watch.filled() >= 4).await;
    watch.until("all fills", |watch| watch.equals_truth()).await;
    assert!(watch.fills().len() >= 20, "{}", watch.fills().len());
    assert!(watch.fills().iter().any(|fill| fill.via == Via::Rest), "something was recovered");
    let unverified = watch.links.iter().filter(|line| line.contains("filled false")).count();
    assert_eq!(unverified, 0, "{:#?}", watch.links);
    watch.end().await;
}

#[tokio::test]
async fn a_pair_nobody_has_seen_is_found_by_the_orders_and_ledgers_of_a_gap() {
    let mut watch = Watch::start(Api::Exchange, |given| given.timing.reconcile = Duration::from_millis(500)).await;
    watch.up(2).await;
    // Neither the orders of this pair nor its matches are told: the feed is deaf for it.
    watch.handle.cut(Venue::Coinbase);
    let order = watch.trade(1, "SOL-USD", Side::Buy, 80);
    watch.until("the fill", |watch| watch.fills().iter().any(|fill| *fill.order_id == *order)).await;
    watch.until("balances compared", |watch| watch.filled() >= 6).await;
    assert!(watch.equals_truth());
    watch.end().await;
}

#[tokio::test]
async fn numbers_that_jump_are_normal_on_this_feed_and_start_no_storm() {
    let mut watch = Watch::start(Api::Exchange, |_| {}).await;
    watch.up(2).await;
    let before = watch.calls.len();
    for _ in 0..50 {
        watch.handle.skip_sequence(7);
        watch.handle.repeat_sequence();
    }
    watch.trade(0, "BTC-USD", Side::Buy, 60);
    watch.until("the fill", |watch| watch.equals_truth()).await;
    let skipped = watch
        .told
        .iter()
        .any(|kind| matches!(kind, EventKind::Feed(change) if matches!(change.kind, FeedKind::Skipped { .. })));
    assert!(!skipped && watch.calls.len() <= before + 3, "{:#?}", &watch.calls[before..]);
    watch.end().await;
}

/// Collects what is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_bad_key_is_one_line_with_its_code_the_others_go_on_and_no_secret_is_logged() {
    let log = Log::default();
    let sink = log.clone();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || sink.clone());
    let _guard = tracing::subscriber::set_default(subscriber.finish());
    let mut secrets = BTreeMap::new();
    let mut watch = Watch::start(Api::Exchange, |given| {
        if let ReadKey::CoinbaseExchange(_) = given.accounts[0].key {
            given.accounts[0].key = ReadKey::coinbase_exchange(
                "nobody",
                &Secret::new("c2VjcmV0LW9mLW5vYm9keQ==".into()),
                &Secret::new("phrase-of-nobody".into()),
            )
            .unwrap();
        }
    })
    .await;
    watch.until("the other account", |watch| watch.filled() >= 1).await;
    watch.trade(1, "BTC-USD", Side::Buy, 90);
    let bob = name(&watch.accounts[1]);
    watch.until("the other's fill", |watch| watch.fills().iter().any(|fill| fill.account == bob)).await;
    let down: Vec<&String> = watch.links.iter().filter(|line| line.contains("down")).collect();
    assert_eq!(down.len(), 1, "{down:?}");
    assert!(down[0].ends_with("Coinbase answered authentication failure: the key is unknown or was deleted; if you did not delete it, look at the account now"), "{down:?}");
    for account in &watch.accounts {
        let key = account.exchange.clone().unwrap();
        secrets.insert(key.secret.expose().to_owned(), "secret");
        secrets.insert(key.passphrase.expose().to_owned(), "passphrase");
        secrets.insert(key.key_id, "key");
    }
    secrets.insert("phrase-of-nobody".to_owned(), "passphrase");
    watch.end().await;
    let logged = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(logged.contains("not connected"), "{logged}");
    for (secret, what) in secrets {
        assert!(!logged.contains(&secret), "a {what} was logged");
    }
}

#[tokio::test]
async fn a_key_that_is_deleted_while_its_feed_is_quiet_is_told() {
    let mut watch = Watch::start(Api::Exchange, |given| given.timing.reconcile = Duration::from_millis(200)).await;
    watch.up(2).await;
    watch.handle.revoke(&name(&watch.accounts[0])).unwrap();
    watch.until("the loss", |watch| watch.links.iter().any(|line| line.contains("down: Coinbase answered 401"))).await;
    watch.trade(1, "BTC-USD", Side::Buy, 90);
    watch.until("the other's fill", |watch| watch.equals_truth()).await;
    watch.end().await;
}
