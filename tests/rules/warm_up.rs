//! What an account did before it was watched: read once over REST, learnt, and not judged.

use fillguard::domain::{Level, RuleName, Side};
use fillguard::pipeline::{Pipeline, Settings};
use rust_decimal::Decimal;

use crate::tale::{Deal, Dialect, Tale, dec};

type Trade<'a> = (f64, &'a str, Side, Decimal, Decimal);

const VENUES: [Dialect; 4] = [Dialect::Binance, Dialect::KucoinClassic, Dialect::KucoinUnified, Dialect::Coinbase];

/// Three months: small buys of a large coin, and everything a rule could stumble over: a small coin bought with all there
/// was at twice the price, four holdings sold within half a minute, and twenty losing round trips.
fn wild() -> Vec<Trade<'static>> {
    let mut trades: Vec<Trade<'_>> = Vec::new();
    for day in 0..60 {
        trades.push((90.0 - f64::from(day), "ETH-BTC", Side::Buy, dec("0.031"), dec("1.6")));
    }
    for (nth, pair) in ["ADA-BTC", "XLM-BTC", "LTC-BTC", "LINK-BTC"].into_iter().enumerate() {
        trades.push((20.0 - nth as f64 * 5.0 / 86_400.0, pair, Side::Sell, dec("0.0000071"), dec("30000")));
    }
    for nth in 0..8 {
        let price = dec("0.00002") + dec("0.000005") * Decimal::from(nth);
        trades.push((15.0 - f64::from(nth) * 4.0 / 86_400.0, "WILD-BTC", Side::Buy, price, dec("9000")));
    }
    for nth in 0..40 {
        let (side, price) = if nth % 2 == 0 { (Side::Buy, "0.000021") } else { (Side::Sell, "0.000019") };
        trades.push((10.0 - f64::from(nth) * 3.0 / 86_400.0, "DEAD-BTC", side, dec(price), dec("9000")));
    }
    trades
}

fn watched(dialect: Dialect, trades: &[Trade<'_>]) -> Tale {
    let mut tale = Tale::new(dialect);
    tale.candles("APPC-BTC", "0.00002000", "2.4", 2);
    tale.up("alice").holds("alice", &[("BTC", "1.20000000"), ("ETH", "90.00000000")]);
    tale.remembers("alice", trades);
    tale.quiet("APPC-BTC", "0.00002000", "0.0008", 300);
    tale
}

#[test]
fn a_past_full_of_everything_raises_nothing() {
    for dialect in VENUES {
        let tale = watched(dialect, &wild());
        let verdict = tale.replay();
        assert_eq!((verdict.told().as_str(), verdict.fills), ("", wild().len() as u64), "{dialect:?}");
    }
}

#[test]
fn a_past_makes_habits_whichever_pair_is_told_first() {
    let mut backward = wild();
    // Pair by pair, the newest pair first: each page still goes forward in time.
    backward.sort_by(|a, b| a.1.cmp(b.1).reverse());
    for trades in [wild(), backward] {
        for dialect in VENUES {
            let tale = watched(dialect, &trades);
            let mut pipeline = Pipeline::new(Settings::default());
            tale.arrivals.iter().for_each(|arrival| drop(pipeline.step(arrival)));
            let (accounts, orders) = pipeline.accounts_and_orders();
            assert_eq!((accounts, orders), (1, trades.len() as u64), "{dialect:?}");
            // A usual amount of a usual pair is nobody's business,
            let mut usual = watched(dialect, &trades);
            usual.deal(&Deal::buy("alice", "ETH-BTC").at("0.03100000", "1.6").unseen());
            assert_eq!(usual.replay().told(), "", "{dialect:?}");
        }
    }
}

#[test]
fn who_has_a_past_is_protected_from_the_first_order_on() {
    let saver: Vec<Trade<'_>> =
        (0..60).map(|day| (61.0 - f64::from(day), "ETH-BTC", Side::Buy, dec("0.031"), dec("1.6"))).collect();
    for dialect in VENUES {
        let mut tale = watched(dialect, &saver);
        tale.rush(Side::Buy, "APPC-BTC", "0.00002000", 1.25, 12, 3.0, "0.06");
        tale.deal(&crate::stories::dear("alice", "APPC-BTC"));
        let verdict = tale.replay();
        assert!(verdict.level(RuleName::PumpBuy) >= Some(Level::Alert), "{dialect:?}: {}", verdict.told());
    }
}

#[test]
fn what_was_missed_while_the_feed_was_down_is_judged_though_it_is_told_over_rest() {
    let saver: Vec<Trade<'_>> =
        (0..60).map(|day| (61.0 - f64::from(day), "ETH-BTC", Side::Buy, dec("0.031"), dec("1.6"))).collect();
    let mut tale = watched(Dialect::Binance, &saver);
    tale.down("alice", "closed 1006");
    tale.rush(Side::Buy, "APPC-BTC", "0.00002000", 1.25, 12, 3.0, "0.06");
    let fills = [("0.000025", "8000"), ("0.0000255", "8000"), ("0.000026", "8000"), ("0.000026", "8000")];
    for (price, quantity) in fills {
        tale.trade(Side::Buy, "APPC-BTC", &[(dec(price), dec(quantity))]);
    }
    let traded = tale.now;
    tale.wait(20.0).up("alice");
    let ago = (tale.now - traded) as f64 / 86_400_000.0;
    let missed: Vec<Trade<'_>> =
        fills.iter().map(|(price, quantity)| (ago, "APPC-BTC", Side::Buy, dec(price), dec(quantity))).collect();
    tale.remembers("alice", &missed);
    let verdict = tale.replay();
    assert!(verdict.loudest() >= Some(Level::Alert), "{}", verdict.told());
}
