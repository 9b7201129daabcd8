//! A pair is being raised, and the account buys it.

use fillguard::domain::{Family, Kind, Level, RuleName, Side};

use crate::tale::{Deal, Tale, dec};

/// Alice has traded ETH-BTC for three months; a thin pair she never touched lies quiet.
pub fn alice_and_a_thin_pair() -> Tale {
    let mut tale = Tale::binance();
    tale.candles("APPC-BTC", "0.00002000", "2.4", 2).candles("ETH-BTC", "0.03100000", "2400", 2);
    tale.up("alice").holds("alice", &[("BTC", "1.20000000"), ("ETH", "4.00000000")]);
    tale.habit("alice", "ETH-BTC", "0.03100000", "0.05", 30, 2.5, 1.2);
    tale.quiet("APPC-BTC", "0.00002000", "0.0008", 300);
    tale
}

/// What the thieves do: the crowd's first orders, then hers.
pub fn attack(tale: &mut Tale) -> Deal {
    tale.rush(Side::Buy, "APPC-BTC", "0.00002000", 1.25, 12, 3.0, "0.06");
    let deal = Deal::buy("alice", "APPC-BTC")
        .at("0.00002500", "8000")
        .at("0.00002520", "8000")
        .at("0.00002550", "8000")
        .at("0.00002600", "8000");
    tale.deal(&deal);
    deal
}

#[test]
fn the_first_buy_of_a_pair_that_is_being_raised_is_told_at_once() {
    let mut tale = alice_and_a_thin_pair();
    attack(&mut tale);
    let verdict = tale.replay();
    println!("{}", verdict.told());
    assert!(verdict.level(RuleName::PumpBuy) >= Some(Level::Alert), "{}", verdict.told());
    let _ = (Family::Market, Kind::Pump, dec("1"));
}
