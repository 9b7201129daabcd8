//! Buying high and selling low in one pair, again and again.

use fillguard::domain::{Kind, Level, Money, Reason, RuleName, Side};

use crate::stories::{alice_and_a_thin_pair, churn};
use crate::tale::{Deal, Tale, dec, nudge};

const RULE: RuleName = RuleName::ChurnLoss;

#[test]
fn losing_round_trips_in_a_dead_pair_are_told_before_a_tenth_is_gone() {
    let tale = churn();
    let verdict = tale.replay();
    let found = verdict.of(RULE);
    let first = found.iter().find(|finding| finding.level >= Level::Alert).unwrap();
    assert_eq!((first.kind, first.account.to_string()), (Kind::Churn, "binance/alice".into()), "{}", verdict.told());
    assert_eq!(first.symbol.as_ref().unwrap().to_string(), "APPC-BTC");
    let lost = first.loss.clone().map(|loss: Money| loss.amount()).unwrap();
    assert!(lost > dec("0") && lost < dec("0.06"), "{lost} of 1.2: {}", verdict.told());
    let Reason::LosingRoundTrips { percent, .. } = first.reason else { panic!() };
    assert!((percent - 9.52).abs() < 1.0, "{percent}");
}

#[test]
fn a_grid_that_earns_and_a_market_maker_that_loses_its_fees_are_left_alone() {
    for (buy, sell) in [("0.00001996", "0.00002004"), ("0.000019995", "0.00001999")] {
        let mut tale = alice_and_a_thin_pair();
        for _ in 0..60 {
            tale.deal(&Deal::buy("alice", "APPC-BTC").at(buy, "600").maker());
            tale.wait(4.0);
            tale.deal(&Deal::sell("alice", "APPC-BTC").at(sell, "600").maker());
            tale.wait(4.0);
        }
        let verdict = tale.replay();
        assert_eq!(verdict.level(RULE), None, "{}", verdict.told());
        assert!(verdict.loudest() < Some(Level::Alert), "{}", verdict.told());
    }
}

#[test]
fn one_bad_trade_is_a_mistake_and_no_churn() {
    let mut tale = alice_and_a_thin_pair();
    tale.deal(&Deal::buy("alice", "APPC-BTC").at("0.00002050", "4000"));
    tale.wait(60.0);
    tale.deal(&Deal::sell("alice", "APPC-BTC").at("0.00001980", "4000"));
    let verdict = tale.replay();
    assert_eq!(verdict.level(RULE), None, "{}", verdict.told());
}

#[test]
fn a_fall_that_is_bought_all_the_way_down_is_no_churn() {
    let mut tale = Tale::binance();
    tale.candles("ETH-BTC", "0.03100000", "2400", 2);
    tale.up("alice").holds("alice", &[("BTC", "1.20000000")]);
    tale.habit("alice", "ETH-BTC", "0.03100000", "0.05", 30, 2.5, 1.2);
    for k in 0..12 {
        tale.trade(Side::Sell, "ETH-BTC", &[(nudge(dec("0.031"), -0.004 * f64::from(k)), dec("30"))]);
        tale.wait(20.0);
        tale.deal(&Deal::buy("alice", "ETH-BTC").fill(nudge(dec("0.031"), -0.004 * f64::from(k)), dec("0.4")).maker());
        tale.wait(40.0);
    }
    let verdict = tale.replay();
    assert_eq!(verdict.level(RULE), None, "{}", verdict.told());
}

/// Twelve round trips in a large coin with most of the money, each at a loss of half a percent.
fn bad_day(tale: &mut Tale) {
    for _ in 0..12 {
        tale.deal(&Deal::buy("alice", "ETH-BTC").at("0.03108", "30"));
        tale.wait(20.0);
        tale.deal(&Deal::sell("alice", "ETH-BTC").at("0.03092", "30"));
        tale.wait(15.0);
    }
}

#[test]
fn a_day_trader_whose_bad_days_are_known_is_left_alone_and_a_far_worse_day_is_told() {
    let day_trader = || {
        let mut tale = Tale::binance();
        tale.candles("ETH-BTC", "0.03100000", "2400", 2);
        tale.up("alice").holds("alice", &[("BTC", "1.20000000")]);
        tale.habit("alice", "ETH-BTC", "0.03100000", "0.8", 30, 2.5, 1.2);
        tale
    };
    let mut first = day_trader();
    bad_day(&mut first);
    let told = first.replay();
    assert!(told.level(RULE) >= Some(Level::Alert), "{}", told.told());
    // The account traded on for days, so it was the owner; and it happens to this owner.
    let mut known = day_trader();
    for _ in 0..5 {
        bad_day(&mut known);
        known.wait(2.6 * 86_400.0);
        known.trade(Side::Buy, "ETH-BTC", &[(dec("0.031"), dec("1"))]);
        known.deal(&Deal::buy("alice", "ETH-BTC").at("0.03100", "2"));
        known.wait(86_400.0);
    }
    let before = known.replay().of(RULE).len();
    bad_day(&mut known);
    let verdict = known.replay();
    let now = verdict.of(RULE);
    assert!(now[before..].iter().all(|finding| finding.level < Level::Alert), "{}", verdict.told());
    for _ in 0..12 {
        known.deal(&Deal::buy("alice", "ETH-BTC").at("0.03300", "30"));
        known.wait(4.0);
        known.deal(&Deal::sell("alice", "ETH-BTC").at("0.02900", "30"));
        known.wait(4.0);
    }
    let verdict = known.replay();
    assert!(verdict.of(RULE)[before..].iter().any(|finding| finding.level >= Level::Alert), "{}", verdict.told());
}
