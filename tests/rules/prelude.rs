//! What thieves do before: orders cancelled at once, keys tried, and small trades that should make them familiar.

use fillguard::domain::{Finding, Level, RuleName, Side, Term};
use serde_json::json;

use crate::stories::{alice_and_a_thin_pair, dear, raise};
use crate::tale::{Deal, Tale, Verdict, dec, nudge};

/// Alice's own program has traded ETH-BTC for ten days, sixty orders that it named.
fn at_work() -> Tale {
    let mut tale = alice_and_a_thin_pair();
    for k in 0..60 {
        let side = if k % 2 == 0 { Side::Buy } else { Side::Sell };
        let deal = Deal::new(side, "alice", "ETH-BTC").fill(nudge(dec("0.031"), 0.001), dec("0.7"));
        tale.deal(&deal.named(&format!("grid-{k:06}"))).wait(14_400.0);
    }
    tale.quiet("APPC-BTC", "0.00002000", "0.0008", 300);
    tale
}

/// The exchange says that resting orders of alice were cancelled, one each second.
fn cancelled(tale: &mut Tale, orders: u64) -> &mut Tale {
    for _ in 0..orders {
        let (number, now) = (tale.number_of_story(), tale.now);
        let report = json!({"subscriptionId": 0, "event": {"e": "executionReport", "E": now + 1, "s": "ETHBTC",
            "c": format!("gone-{number}"), "S": "SELL", "o": "LIMIT", "f": "GTC", "q": "0.50000000", "p": "0.03300000",
            "P": "0.00000000", "F": "0.00000000", "g": -1, "C": format!("grid-{number:06}"), "x": "CANCELED",
            "X": "CANCELED", "r": "NONE", "i": 91_000_000 + number, "l": "0.00000000", "z": "0.00000000",
            "L": "0.00000000", "n": "0", "N": null, "T": now, "t": -1, "I": 190_000_000 + number, "w": false, "m": false,
            "M": false, "O": now - 60_000, "Z": "0.00000000", "Y": "0.00000000", "Q": "0.00000000", "V": "NONE"}});
        tale.frame("binance/alice", &report, 5).wait(1.0);
    }
    tale
}

fn term<'a>(verdict: &'a Verdict, rule: RuleName, name: &str) -> Option<&'a Term> {
    let found: Vec<&Finding> = verdict.of(rule);
    found.last().and_then(|finding| finding.terms.iter().find(|term| term.name == name))
}

#[test]
fn resting_orders_cancelled_at_once_before_a_buy_are_evidence_and_habitual_cancels_are_not() {
    let mut tale = at_work();
    cancelled(&mut tale, 6);
    raise(&mut tale).deal(&dear("alice", "APPC-BTC"));
    let verdict = tale.replay();
    let counted = term(&verdict, RuleName::PumpBuy, "cancelled_before").unwrap_or_else(|| panic!("{}", verdict.told()));
    assert!(counted.nats > 1.0 && (counted.value - 6.0).abs() < 0.1, "{counted:?}");
    let mut tale = at_work();
    for _ in 0..5 {
        cancelled(&mut tale, 6).days(1.0);
    }
    cancelled(&mut tale, 6);
    raise(&mut tale).deal(&dear("alice", "APPC-BTC"));
    let verdict = tale.replay();
    assert!(term(&verdict, RuleName::PumpBuy, "cancelled_before").is_none(), "{}", verdict.told());
}

#[test]
fn a_tiny_order_of_a_stranger_raises_what_follows_within_the_week() {
    for (days, raises) in [(2.0, true), (9.0, false)] {
        let mut tale = at_work();
        tale.deal(&Deal::buy("alice", "APPC-BTC").at("0.00002002", "30").named("zzKq81LmXw04RtYuQw2PbV"));
        tale.days(days).quiet("APPC-BTC", "0.00002000", "0.0008", 300);
        raise(&mut tale).deal(&dear("alice", "APPC-BTC").named("aaKq81LmXw04RtYuQw2Pb1"));
        let verdict = tale.replay();
        assert_eq!(term(&verdict, RuleName::PumpBuy, "probed").is_some(), raises, "{days}: {}", verdict.told());
        assert!(verdict.loudest() >= Some(Level::Alert), "{}", verdict.told());
    }
}

#[test]
fn a_week_of_small_trades_by_a_stranger_buys_the_burst_no_silence() {
    let mut tale = at_work();
    let mut number = 0;
    for _ in 0..7 {
        for _ in 0..3 {
            number += 1;
            let named = format!("zzKq81LmXw04RtYuQw{number:04}");
            tale.quiet("APPC-BTC", "0.00002000", "0.0008", 60);
            tale.deal(&Deal::buy("alice", "APPC-BTC").at("0.00002002", "900").named(&named));
            tale.wait(28_000.0);
        }
    }
    tale.quiet("APPC-BTC", "0.00002000", "0.0008", 300);
    let begin = tale.arrivals.len() as u64;
    raise(&mut tale).deal(&dear("alice", "APPC-BTC").named("zzKq81LmXw04RtYuQw9999"));
    let verdict = tale.replay();
    let told = verdict.of(RuleName::PumpBuy).iter().any(|found| found.n > begin && found.level >= Level::Alert);
    assert!(told, "{}", verdict.told());
}
