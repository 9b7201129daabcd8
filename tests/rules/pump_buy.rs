//! A pair is being raised, and the account buys it (or it is dumped, and the account sells).

use fillguard::domain::{Family, Kind, Level, Reason, RuleName, Side};

use crate::stories::{alice_and_a_thin_pair, dear, raise};
use crate::tale::{Deal, Dialect, Tale, Verdict, dec, nudge};

fn silent(verdict: &Verdict) {
    assert!(verdict.loudest() < Some(Level::Alert), "{}", verdict.told());
}

#[test]
fn the_first_buy_of_a_pair_that_is_being_raised_is_told_at_its_first_fill() {
    let mut tale = alice_and_a_thin_pair();
    raise(&mut tale);
    let first = tale.arrivals.len() as u64 + 2;
    tale.deal(&dear("alice", "APPC-BTC"));
    let verdict = tale.replay();
    let found = verdict.of(RuleName::PumpBuy);
    assert!(found[0].level >= Level::Alert && found[0].n == first, "{}", verdict.told());
    let last = found.last().unwrap();
    assert_eq!((last.kind, last.level, last.account.to_string()), (Kind::Pump, Level::Act, "binance/alice".into()));
    assert_eq!(last.symbol.as_ref().unwrap().to_string(), "APPC-BTC");
    let Reason::Stands { new_pair, buy, spent, .. } = &last.reason else { panic!("{:?}", last.reason) };
    assert!(*new_pair && *buy && spent.amount() == dear("alice", "APPC-BTC").notional());
    for family in [Family::Market, Family::Habit] {
        let nats: f64 = last.terms.iter().filter(|term| term.family == family).map(|term| term.nats).sum();
        assert!(nats >= 1.5, "act needs {family}: {}", verdict.told());
    }
}

#[test]
fn an_attacked_pair_that_the_owner_knows_is_told_too() {
    let mut tale = Tale::binance();
    tale.candles("APPC-BTC", "0.00002000", "2.4", 2);
    tale.up("alice").holds("alice", &[("BTC", "1.20000000")]);
    tale.habit("alice", "APPC-BTC", "0.00002000", "0.01", 30, 2.5, 1.2);
    tale.quiet("APPC-BTC", "0.00002000", "0.0008", 300);
    raise(&mut tale).deal(&dear("alice", "APPC-BTC"));
    let verdict = tale.replay();
    assert!(verdict.loudest() >= Some(Level::Alert), "{}", verdict.told());
    let Reason::Stands { new_pair, .. } = verdict.of(RuleName::PumpBuy).last().unwrap().reason else { panic!() };
    assert!(!new_pair);
}

#[test]
fn a_sell_into_a_dump_is_the_mirror_of_a_buy_into_a_pump() {
    let mut tale = alice_and_a_thin_pair();
    tale.holds("alice", &[("BTC", "0.40000000"), ("APPC", "60000.00000000")]);
    tale.rush(Side::Sell, "APPC-BTC", "0.00002000", 0.75, 12, 3.0, "0.06");
    let deal = Deal::sell("alice", "APPC-BTC")
        .at("0.00001500", "15000")
        .at("0.00001400", "15000")
        .at("0.00001200", "15000")
        .at("0.00001000", "15000");
    tale.deal(&deal);
    let verdict = tale.replay();
    assert!(verdict.loudest() >= Some(Level::Alert), "{}", verdict.told());
    let sold = verdict.of(RuleName::PumpBuy).last().unwrap().reason.clone();
    assert!(matches!(sold, Reason::Stands { buy: false, .. }), "{}", verdict.told());
    // 60,000 at 0.00002 would have been 1.2; 0.765 came in, give or take what the pair's price was a minute before.
    let loss = verdict.of(RuleName::PumpBuy).last().unwrap().loss.clone().unwrap();
    assert!(loss.amount() > dec("0.40") && loss.amount() < dec("0.45"), "{loss}");
}

#[test]
fn the_same_buy_in_a_market_that_does_not_move_is_no_alert() {
    let mut tale = alice_and_a_thin_pair();
    tale.deal(&Deal::buy("alice", "APPC-BTC").at("0.00002002", "2500"));
    silent(&tale.replay());
}

#[test]
fn a_large_order_in_a_liquid_pair_is_its_owners() {
    let mut tale = Tale::binance();
    tale.candles("ETH-BTC", "0.03100000", "2400", 2);
    tale.up("alice").holds("alice", &[("BTC", "1.20000000")]);
    tale.habit("alice", "ETH-BTC", "0.03100000", "0.05", 30, 2.5, 1.2);
    tale.quiet("ETH-BTC", "0.03100000", "0.8", 300);
    tale.deal(&Deal::buy("alice", "ETH-BTC").at("0.03100200", "12").at("0.03100300", "8"));
    silent(&tale.replay());
}

#[test]
fn who_often_buys_what_is_being_raised_is_not_called_for_one_more() {
    let mut tale = Tale::binance();
    tale.up("alice").holds("alice", &[("BTC", "3.00000000")]);
    let coins = ["ADX", "BRD", "CND", "DLT", "EVX", "FUEL", "GTO", "HOT", "KEY", "LEND", "MTH", "NEBL", "OAX", "POE"];
    let mut last = None;
    for coin in coins {
        let pair = format!("{coin}-BTC");
        tale.candles(&pair, "0.00002000", "2.4", 2).quiet(&pair, "0.00002000", "0.0008", 300);
        tale.rush(Side::Buy, &pair, "0.00002000", 1.25, 12, 3.0, "0.06");
        let begin = tale.arrivals.len() as u64;
        tale.deal(&Deal::buy("alice", &pair).at("0.00002500", "5000").at("0.00002520", "5000"));
        tale.wait(600.0).deal(&Deal::sell("alice", &pair).at("0.00002600", "10000").maker().unseen());
        tale.days(3.0);
        last = Some(begin);
    }
    let verdict = tale.replay();
    let since = last.unwrap();
    let late: Vec<_> = verdict.findings().into_iter().filter(|finding| finding.n > since).collect();
    assert!(
        late.iter().all(|finding| finding.rule != RuleName::PumpBuy || finding.level < Level::Alert),
        "{}",
        verdict.told()
    );
}

#[test]
fn a_bid_that_waited_and_was_filled_is_no_chase() {
    let mut tale = alice_and_a_thin_pair();
    tale.rush(Side::Sell, "APPC-BTC", "0.00002000", 0.8, 12, 3.0, "0.06");
    tale.deal(&Deal::buy("alice", "APPC-BTC").at("0.00001600", "3000").maker());
    silent(&tale.replay());
}

#[test]
fn a_pair_in_its_first_hours_alone_never_costs_the_key() {
    let mut tale = Tale::binance();
    tale.up("alice").holds("alice", &[("BTC", "1.20000000")]);
    tale.habit("alice", "ETH-BTC", "0.03100000", "0.05", 30, 2.5, 1.2);
    tale.quiet("NEWC-BTC", "0.00002000", "0.05", 600);
    tale.rush(Side::Buy, "NEWC-BTC", "0.00002000", 1.25, 12, 3.0, "0.06");
    tale.deal(&Deal::buy("alice", "NEWC-BTC").at("0.00002500", "2200"));
    let verdict = tale.replay();
    assert!(verdict.loudest() < Some(Level::Act), "{}", verdict.told());
    for finding in verdict.of(RuleName::PumpBuy) {
        let market = finding.terms.iter().find(|term| term.name == "market").map_or(0.0, |term| term.nats);
        assert!(market <= 2.001, "{}", verdict.told());
    }
}

#[test]
fn what_was_traded_before_watching_began_is_learnt_and_not_judged() {
    for dialect in [Dialect::Binance, Dialect::KucoinClassic, Dialect::Coinbase] {
        let mut tale = Tale::new(dialect);
        let quote = if dialect == Dialect::Coinbase { "USD" } else { "USDT" };
        let pair = format!("SOL-{quote}");
        // The pair has doubled since; a month of buys far below, and some far above, today's price.
        tale.candles(&pair, "140", "90000000", 2);
        tale.quiet(&pair, "140", "900", 60);
        tale.up("bob").holds("bob", &[(quote, "9000")]);
        let past: Vec<_> = (0..40)
            .map(|k| {
                (f64::from(60 - k), pair.as_str(), Side::Buy, nudge(dec("70"), 0.05 * f64::from(k % 3 * 20)), dec("12"))
            })
            .collect();
        tale.remembers("bob", &past);
        let verdict = tale.replay();
        assert_eq!(verdict.fills, 40, "{dialect:?}");
        assert!(verdict.findings().is_empty(), "{dialect:?}: {}", verdict.told());
    }
}

#[test]
fn what_was_learnt_from_the_past_does_not_hide_an_attack() {
    // A past at prices far from today's must not look like a habit of buying in violent moments.
    let mut tale = Tale::binance();
    tale.candles("APPC-BTC", "0.00002000", "2.4", 2).candles("ETH-BTC", "0.03100000", "2400", 2);
    tale.up("alice").holds("alice", &[("BTC", "1.20000000")]);
    tale.habit("alice", "ETH-BTC", "0.06500000", "0.05", 30, 2.5, 1.2);
    tale.quiet("APPC-BTC", "0.00002000", "0.0008", 300);
    raise(&mut tale).deal(&dear("alice", "APPC-BTC"));
    let verdict = tale.replay();
    assert_eq!(verdict.level(RuleName::PumpBuy), Some(Level::Act), "{}", verdict.told());
}
