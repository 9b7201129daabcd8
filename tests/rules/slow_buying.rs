//! One-sided trading in a thin pair, in many small steps.

use fillguard::domain::{Kind, Level, Reason, RuleName, Side};

use crate::stories::alice_and_a_thin_pair;
use crate::tale::{Deal, Tale, dec, nudge};

const RULE: RuleName = RuleName::SlowBuying;

/// Buys of 2,000 APPC (0.04 BTC), one each half hour, in a market that does not move.
fn slowly(tale: &mut Tale, orders: usize) -> &mut Tale {
    for _ in 0..orders {
        tale.quiet("APPC-BTC", "0.00002000", "0.0008", 90);
        tale.deal(&Deal::buy("alice", "APPC-BTC").at("0.00002002", "2000"));
        tale.wait(1_700.0);
    }
    tale
}

#[test]
fn a_new_pair_bought_in_small_steps_over_hours_is_told_before_half_is_spent() {
    let mut tale = alice_and_a_thin_pair();
    slowly(&mut tale, 24);
    let verdict = tale.replay();
    let found = verdict.of(RULE);
    let first =
        found.iter().find(|finding| finding.level >= Level::Alert).unwrap_or_else(|| panic!("{}", verdict.told()));
    assert_eq!((first.kind, first.account.to_string()), (Kind::Slow, "binance/alice".into()));
    let Reason::OneSided { orders, buy, new_pair, ref spent, .. } = first.reason else { panic!("{:?}", first.reason) };
    assert!(orders <= 12 && buy && new_pair, "{orders} orders: {}", verdict.told());
    assert!(spent.amount() <= dec("0.481"), "{spent}");
    assert!(verdict.loudest() < Some(Level::Act), "one kind of story is an alert at most: {}", verdict.told());
}

#[test]
fn a_new_pair_bought_in_three_steps_is_its_owners() {
    let mut tale = alice_and_a_thin_pair();
    slowly(&mut tale, 3);
    assert_eq!(tale.replay().level(RULE), None);
}

#[test]
fn bids_that_waited_are_nobodys_pressure() {
    let mut tale = alice_and_a_thin_pair();
    for _ in 0..24 {
        tale.deal(&Deal::buy("alice", "APPC-BTC").at("0.00001998", "2000").maker());
        tale.wait(1_800.0);
    }
    assert_eq!(tale.replay().level(RULE), None);
}

#[test]
fn who_buys_and_sells_in_turn_builds_up_nothing() {
    let mut tale = alice_and_a_thin_pair();
    for _ in 0..24 {
        tale.quiet("APPC-BTC", "0.00002000", "0.0008", 60);
        tale.deal(&Deal::buy("alice", "APPC-BTC").at("0.00002002", "2000"));
        tale.wait(600.0);
        tale.deal(&Deal::sell("alice", "APPC-BTC").at("0.00002004", "2000"));
        tale.wait(600.0);
    }
    assert_eq!(tale.replay().level(RULE), None);
}

#[test]
fn a_saver_who_buys_a_little_every_day_is_left_alone() {
    let mut tale = alice_and_a_thin_pair();
    for _ in 0..40 {
        tale.quiet("APPC-BTC", "0.00002000", "0.0008", 60);
        tale.deal(&Deal::buy("alice", "APPC-BTC").at("0.00002002", "600"));
        tale.days(1.0);
    }
    let verdict = tale.replay();
    assert_eq!(verdict.level(RULE), None, "{}", verdict.told());
}

#[test]
fn many_small_orders_in_a_liquid_pair_are_no_run() {
    let mut tale = Tale::binance();
    tale.candles("LTC-BTC", "0.00700000", "900", 2);
    tale.up("alice").holds("alice", &[("BTC", "1.20000000"), ("ETH", "4.00000000")]);
    tale.habit("alice", "ETH-BTC", "0.03100000", "0.05", 30, 2.5, 1.2);
    tale.quiet("LTC-BTC", "0.00700000", "0.3", 300);
    for _ in 0..24 {
        tale.quiet("LTC-BTC", "0.00700000", "0.3", 60);
        tale.deal(&Deal::buy("alice", "LTC-BTC").at("0.00700100", "5.7"));
        tale.wait(1_740.0);
    }
    let verdict = tale.replay();
    assert_eq!(verdict.level(RULE), None, "{}", verdict.told());
}

#[test]
fn a_week_of_crumbs_in_advance_buys_no_silence() {
    let mut tale = alice_and_a_thin_pair();
    for _ in 0..7 {
        tale.quiet("APPC-BTC", "0.00002000", "0.0008", 60);
        tale.deal(&Deal::buy("alice", "APPC-BTC").at("0.00002002", "50"));
        tale.days(1.0);
    }
    slowly(&mut tale, 24);
    let verdict = tale.replay();
    assert!(verdict.level(RULE) >= Some(Level::Alert), "{}", verdict.told());
}

#[test]
fn a_holding_sold_bit_by_bit_by_a_stranger_is_told_and_by_its_owner_is_not() {
    for (name, told) in [("zzKq81LmXw04RtYuQw2PbV", true), ("", false)] {
        let mut tale = alice_and_a_thin_pair();
        tale.holds("alice", &[("BTC", "0.40000000"), ("APPC", "60000.00000000")]);
        // Sixty orders with her own program's names, so that another's can be told apart.
        for k in 0..60 {
            let side = if k % 2 == 0 { Side::Buy } else { Side::Sell };
            let price = nudge(dec("0.031"), 0.001);
            tale.deal(&Deal::new(side, "alice", "ETH-BTC").fill(price, dec("0.02")).named(&format!("grid-{k:06}")));
            tale.wait(1_200.0);
        }
        for k in 0..24 {
            tale.quiet("APPC-BTC", "0.00002000", "0.0008", 90);
            let named = if name.is_empty() { format!("grid-{:06}", 100 + k) } else { format!("{}{k:02}", &name[..20]) };
            tale.deal(&Deal::sell("alice", "APPC-BTC").at("0.00001998", "2400").named(&named));
            tale.wait(900.0);
        }
        let verdict = tale.replay();
        assert_eq!(verdict.level(RULE) >= Some(Level::Alert), told, "{name:?}: {}", verdict.told());
    }
}

#[test]
fn a_bot_that_averages_down_is_left_alone() {
    let mut tale = alice_and_a_thin_pair();
    let mut price = dec("0.00002000");
    for k in 0..7 {
        price = nudge(price, -0.012);
        tale.quiet("APPC-BTC", &price.to_string(), "0.0008", 90);
        tale.deal(
            &Deal::buy("alice", "APPC-BTC").fill(price, dec("700") + dec("150") * rust_decimal::Decimal::from(k)),
        );
        tale.wait(1_700.0);
    }
    let verdict = tale.replay();
    assert!(verdict.loudest() < Some(Level::Alert), "{}", verdict.told());
}
