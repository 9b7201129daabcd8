//! A first fill in a pair nobody watched, from the simulated exchange through the real feeds to the rules: its market is
//! asked for at once, its past comes, and what trades there from then on is heard.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail wherever it finds a fault")]

#[path = "support/watched.rs"]
#[allow(dead_code, reason = "other tests need the rest of it")]
mod watched;

use std::time::Duration;

use fillguard::arrival::{Arrival, Body, Source};
use fillguard::domain::{Span, Symbol, Venue};
use fillguard::feed::Timing;
use fillguard::pipeline::{Pipeline, Settings};
use watched::{Watched, timing, world};

/// Returns the call of a page about a market.
fn call(one: &Arrival, venue: Venue) -> Option<&str> {
    let Body::Page { call, .. } = &one.body else { return None };
    (one.from == Source::MarketRest(venue)).then_some(call.as_str())
}

async fn followed_from_the_first_fill(venue: Venue, pair: &str, name: &str) {
    let mut watched = Watched::world(world(venue, 1)).await;
    let account = watched.accounts[0].clone();
    watched.watch(&[(account.clone(), None)], timing());
    watched.up(&account).await;
    watched.filled(&account).await;
    let mut pipeline = Pipeline::new(Settings::default());
    watched.came.iter().for_each(|one| drop(pipeline.step(one)));
    let wanted = (venue, Symbol::from_dashed(pair).unwrap());
    assert!(!pipeline.pairs_of_interest(100).0.contains(&wanted), "nobody touched it yet");
    let order = watched.trade(&account, pair);
    watched.hears_of(&account, &order).await;
    // What the daemon's loop does after each batch: the pairs go to the feeds as soon as the fill was judged.
    let heard = watched.came.len();
    let seen = pipeline.counts().last as usize;
    watched.came[seen..].iter().for_each(|one| drop(pipeline.step(one)));
    let (pairs, left_out) = pipeline.pairs_of_interest(100);
    assert!(pairs.contains(&wanted) && left_out == 0, "{pairs:?}");
    watched.pairs[0].send(pairs).unwrap();

    // The first that is asked of this pair are its last trades, the fill among them; then its bars up to now.
    let about = |one: &Arrival| call(one, venue).is_some_and(|call| call.contains(name));
    let first = watched.until("the pair's past", about).await;
    let first = call(&first, venue).unwrap().to_owned();
    let trades = ["aggTrades", "histories", "ticker?limit"];
    assert!(trades.iter().any(|name| first.contains(name)), "{first}");
    let bars = |one: &Arrival| {
        call(one, venue).is_some_and(|call| {
            call.contains(name) && call.contains("s?") && !trades.iter().any(|name| call.contains(name))
        })
    };
    watched.until("the pair's bars", bars).await;
    let asked = watched.came[heard..].iter().filter(|one| about(one)).count();
    assert!(asked >= 2);

    // A trade after that is heard on the market's own feed.
    let is_up = |one: &Arrival| one.from == Source::Market(venue) && matches!(one.body, Body::LinkUp);
    if !watched.came.iter().any(is_up) {
        watched.until("the market to be up", is_up).await;
    }
    watched.trade(&account, pair);
    let name = name.to_lowercase();
    let traded = |one: &Arrival| {
        let Body::Frame(frame) = &one.body else { return false };
        let text = frame.get().to_lowercase();
        let kinds = ["@trade", "/market/match", "market_trades"];
        one.from == Source::Market(venue) && text.contains(&name) && kinds.iter().any(|kind| text.contains(kind))
    };
    watched.until("the trade on the market's feed", traded).await;
    let seen = pipeline.counts().last as usize;
    watched.came[seen..].iter().for_each(|one| drop(pipeline.step(one)));
    assert_eq!(pipeline.counts().unreadable, 0);
    watched.end().await;
}

#[tokio::test]
async fn binance_is_asked_for_the_market_of_a_first_fill() {
    followed_from_the_first_fill(Venue::Binance, "SOL-USDT", "SOLUSDT").await;
}

#[tokio::test]
async fn kucoin_is_asked_for_the_market_of_a_first_fill() {
    followed_from_the_first_fill(Venue::Kucoin, "SOL-USDT", "SOL-USDT").await;
}

#[tokio::test]
async fn coinbase_is_asked_for_the_market_of_a_first_fill() {
    followed_from_the_first_fill(Venue::Coinbase, "SOL-USD", "SOL-USD").await;
}

#[tokio::test]
async fn what_a_binance_account_bought_before_it_was_first_watched_is_read_and_nothing_more_is_claimed() {
    let mut watched = Watched::world(world(Venue::Binance, 1)).await;
    let account = watched.accounts[0].clone();
    let order = watched.trade(&account, "SOL-USDT");
    watched.watch(&[(account.clone(), None)], Timing { reconcile: Duration::from_millis(300), ..timing() });
    assert!(!watched.filled(&account).await, "a pair that was sold out cannot be asked for");
    let read = |one: &Arrival| matches!(&one.body, Body::Page { call, frame } if call.contains("myTrades") && frame.get().contains(&order));
    assert!(watched.came.iter().any(read), "{:?}", watched.calls(&account));
    assert!(watched.filled(&account).await, "nothing moved since");
    let told = |one: &Arrival| {
        let Body::Filled { since, until, verified } = one.body else { return None };
        Some((since, until, verified))
    };
    let [first, second] = watched.came.iter().filter_map(told).collect::<Vec<_>>()[..] else {
        panic!("not two answers")
    };
    assert!(!first.2 && second.2);
    // Balances prove nothing of the time before the first of them was read.
    let slack = Span::from_secs(2);
    assert!(second.0 + slack >= first.1 && second.0 <= second.1, "{first:?} {second:?}");
    watched.end().await;
}
