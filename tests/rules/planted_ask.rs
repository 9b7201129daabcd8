//! A fill far from the pair's price.

use fillguard::domain::{Kind, Level, Reason, RuleName, Side};

use crate::stories::alice_and_a_thin_pair;
use crate::tale::{Deal, dec};

const RULE: RuleName = RuleName::PlantedAsk;

#[test]
fn a_few_coins_at_forty_times_the_price_are_told_at_once() {
    let mut tale = alice_and_a_thin_pair();
    tale.deal(&Deal::buy("alice", "APPC-BTC").at("0.00080000", "900"));
    let verdict = tale.replay();
    let found = verdict.of(RULE);
    assert_eq!(found.len(), 1, "{}", verdict.told());
    assert_eq!((found[0].kind, found[0].account.to_string()), (Kind::PlantedAsk, "binance/alice".into()));
    assert!(found[0].level >= Level::Alert);
    let Reason::FarFromReference { buy, percent, price, .. } = &found[0].reason else { panic!() };
    assert!(*buy && *percent > 3_000.0 && price == "0.0008", "{:?}", found[0].reason);
}

#[test]
fn a_sell_into_a_planted_bid_is_told_too() {
    let mut tale = alice_and_a_thin_pair();
    tale.holds("alice", &[("BTC", "0.10000000"), ("APPC", "60000.00000000")]);
    tale.deal(&Deal::sell("alice", "APPC-BTC").at("0.00000050", "50000"));
    let verdict = tale.replay();
    assert!(verdict.level(RULE) >= Some(Level::Alert), "{}", verdict.told());
    assert!(matches!(verdict.of(RULE)[0].reason, Reason::FarFromReference { buy: false, .. }));
}

#[test]
fn a_fill_that_is_told_late_is_judged_by_the_price_before_it() {
    for late in [0.0, 2.0, 10.0, 30.0] {
        let mut tale = alice_and_a_thin_pair();
        let deal = Deal::buy("alice", "APPC-BTC").at("0.00080000", "900").late(late);
        tale.deal(&deal);
        // The market has gone on meanwhile.
        let mut frames = tale.arrivals.split_off(tale.arrivals.len() - if late > 0.0 { 3 } else { 4 });
        let market = if late > 0.0 { Vec::new() } else { vec![frames.pop().unwrap()] };
        tale.arrivals.extend(market);
        for _ in 0..(late as i64) {
            tale.trade(Side::Sell, "APPC-BTC", &[(dec("0.00002000"), dec("40"))]);
            tale.wait(1.0);
        }
        for arrival in frames {
            tale.push(&arrival.from.to_string(), arrival.body, 38);
        }
        let verdict = tale.replay();
        assert!(verdict.level(RULE) >= Some(Level::Alert), "{late} s late: {}", verdict.told());
        let loss = verdict.of(RULE)[0].loss.clone().unwrap().amount();
        assert!(loss > dec("0.70") && loss < dec("0.7025"), "{late} s late: {loss}");
    }
}

#[test]
fn a_makers_fill_far_away_is_a_bargain_and_no_alarm() {
    let mut tale = alice_and_a_thin_pair();
    tale.deal(&Deal::sell("alice", "APPC-BTC").at("0.00080000", "900").maker());
    let verdict = tale.replay();
    assert_eq!(verdict.level(RULE), None, "{}", verdict.told());
}

#[test]
fn a_fill_near_the_price_or_without_money_is_no_planted_ask() {
    let mut tale = alice_and_a_thin_pair();
    tale.deal(&Deal::buy("alice", "APPC-BTC").at("0.00002080", "2000"));
    assert_eq!(tale.replay().level(RULE), None, "4 % above");
    let mut tale = alice_and_a_thin_pair();
    // Four times the price, for a ten-thousandth of what she holds.
    tale.deal(&Deal::buy("alice", "APPC-BTC").at("0.00008000", "1"));
    let verdict = tale.replay();
    assert_eq!(verdict.level(RULE), None, "{}", verdict.told());
}

#[test]
fn what_she_holds_of_the_pair_is_not_worth_the_planted_price() {
    // She holds 150,000 of the coin; one trade at 40 times its price must not make her rich, and the loss small.
    let mut tale = alice_and_a_thin_pair();
    tale.holds("alice", &[("BTC", "1.20000000"), ("APPC", "150000.00000000")]);
    let deal = Deal::buy("alice", "APPC-BTC").at("0.00080000", "900").late(1.0);
    tale.deal(&deal);
    let verdict = tale.replay();
    assert!(verdict.level(RULE) >= Some(Level::Alert), "{}", verdict.told());
    let share = verdict.of(RULE)[0].terms.iter().find(|term| term.name == "overpaid").unwrap().value;
    assert!(share > 10.0, "0.7 of 4.2 is lost, not {share} %");
}

#[test]
fn who_trades_as_far_from_the_price_every_week_is_not_called_each_time() {
    let mut tale = alice_and_a_thin_pair();
    let mut levels = Vec::new();
    for _ in 0..14 {
        tale.days(7.0).quiet("APPC-BTC", "0.00002000", "0.0008", 7_200);
        let since = tale.arrivals.len() as u64;
        tale.deal(&Deal::buy("alice", "APPC-BTC").at("0.00002700", "9000"));
        tale.wait(60.0).deal(&Deal::sell("alice", "APPC-BTC").at("0.00002650", "9000"));
        let verdict = tale.replay();
        levels.push(verdict.of(RULE).iter().filter(|found| found.n > since).map(|found| found.level).max());
    }
    assert!(levels[0] >= Some(Level::Alert), "{levels:?}");
    assert!(levels[12..].iter().all(|level| *level < Some(Level::Alert)), "{levels:?}");
    // Forty times the price is no habit of hers.
    tale.days(7.0).quiet("APPC-BTC", "0.00002000", "0.0008", 7_200);
    let since = tale.arrivals.len() as u64;
    tale.deal(&Deal::buy("alice", "APPC-BTC").at("0.00080000", "900"));
    let verdict = tale.replay();
    let told = verdict.of(RULE).iter().any(|found| found.n > since && found.level >= Level::Alert);
    assert!(told, "{}", verdict.told());
}
