//! Holdings sold off within a minute.

use fillguard::domain::{Kind, Level, Reason, RuleName, Side};

use crate::tale::{Deal, Tale, dec};

const RULE: RuleName = RuleName::Liquidation;
const SALES: [(&str, &str, &str); 4] = [
    ("ETH-BTC", "0.03100000", "4"),
    ("ADA-BTC", "0.00000710", "3000"),
    ("XLM-BTC", "0.00000240", "9000"),
    ("LTC-BTC", "0.00090000", "11"),
];

fn alice() -> Tale {
    let mut tale = Tale::binance();
    let held = [("BTC", "0.05"), ("ETH", "4"), ("ADA", "3000"), ("XLM", "9000"), ("LTC", "11")];
    tale.up("alice").holds("alice", &held);
    tale.habit("alice", "ETH-BTC", "0.03100000", "0.05", 30, 2.5, 1.2);
    for (pair, price, _) in SALES {
        tale.trade(Side::Buy, pair, &[(dec(price), dec("10"))]);
        tale.wait(1.0);
    }
    tale
}

#[test]
fn four_holdings_sold_in_twenty_seconds_are_told_before_anything_is_bought() {
    let mut tale = alice();
    for (pair, price, quantity) in SALES {
        tale.deal(&Deal::sell("alice", pair).at(price, quantity).unseen());
        tale.wait(5.0);
    }
    let verdict = tale.replay();
    let last = *verdict.of(RULE).last().unwrap();
    assert_eq!((last.kind, last.account.to_string()), (Kind::Liquidation, "binance/alice".into()));
    assert!(last.level >= Level::Alert, "{}", verdict.told());
    let Reason::SoldOff { assets, seconds } = &last.reason else { panic!() };
    assert_eq!((assets.join(" "), *seconds), ("ADA ETH LTC XLM".into(), 15.0));
}

#[test]
fn sales_spread_over_hours_and_makers_sales_are_no_liquidation() {
    let mut tale = alice();
    for (pair, price, quantity) in SALES {
        tale.deal(&Deal::sell("alice", pair).at(price, quantity).unseen());
        tale.wait(1_800.0);
    }
    assert_eq!(tale.replay().level(RULE), None);
    let mut tale = alice();
    for (pair, price, quantity) in SALES {
        tale.deal(&Deal::sell("alice", pair).at(price, quantity).maker().unseen());
        tale.wait(5.0);
    }
    assert_eq!(tale.replay().level(RULE), None);
}

#[test]
fn who_rebalances_four_holdings_each_week_is_left_alone() {
    let mut tale = alice();
    let mut since = 0;
    for week in 0..27 {
        tale.days(7.0);
        since = tale.arrivals.len() as u64;
        // Every other week it is the other way round, so that there is something to sell.
        let side = if week % 2 == 0 { Side::Sell } else { Side::Buy };
        for (pair, price, quantity) in SALES {
            let part = (dec(quantity) * dec("0.2")).to_string();
            tale.deal(&Deal::new(side, "alice", pair).at(price, &part).unseen());
            tale.wait(8.0);
        }
    }
    let verdict = tale.replay();
    assert!(verdict.loudest() < Some(Level::Alert), "{}", verdict.told());
    let late: Vec<_> = verdict.of(RULE).into_iter().filter(|finding| finding.n > since).collect();
    assert!(late.is_empty(), "after half a year it is a habit: {}", verdict.told());
}

#[test]
fn a_hundredth_of_two_holdings_is_no_liquidation() {
    let mut tale = alice();
    tale.deal(&Deal::sell("alice", "ADA-BTC").at("0.00000710", "30").unseen());
    tale.wait(4.0);
    tale.deal(&Deal::sell("alice", "XLM-BTC").at("0.00000240", "90").unseen());
    let verdict = tale.replay();
    assert_eq!(verdict.level(RULE), None, "{}", verdict.told());
}

#[test]
fn a_sale_of_yesterday_is_not_judged_again_with_the_sales_of_today() {
    let mut tale = alice();
    let (pair, price, quantity) = SALES[0];
    tale.deal(&Deal::sell("alice", pair).at(price, quantity));
    for (pair, price, quantity) in &SALES[1..] {
        tale.wait(4.0 * 3_600.0);
        tale.deal(&Deal::sell("alice", pair).at(price, quantity));
    }
    tale.wait(3_600.0);
    // A stranger's trade completes what was the pair's last order for half a day.
    tale.trade(Side::Buy, pair, &[(dec(price), dec("1"))]);
    let verdict = tale.replay();
    assert_eq!(verdict.level(RULE), None, "{}", verdict.told());
}

#[test]
fn a_rebalancer_whose_holdings_are_emptied_is_told_of_it() {
    let mut tale = alice();
    for week in 0..12 {
        tale.days(7.0);
        let side = if week % 2 == 0 { Side::Sell } else { Side::Buy };
        for (pair, price, quantity) in &SALES[..2] {
            let part = (dec(quantity) * dec("0.2")).to_string();
            tale.deal(&Deal::new(side, "alice", pair).at(price, &part).unseen());
            tale.wait(8.0);
        }
    }
    tale.days(3.0);
    let since = tale.arrivals.len() as u64;
    for (pair, price, quantity) in SALES {
        tale.deal(&Deal::sell("alice", pair).at(price, quantity).unseen());
        tale.wait(5.0);
    }
    let verdict = tale.replay();
    let told = verdict.of(RULE).iter().any(|found| found.n > since && found.level >= Level::Alert);
    assert!(told, "{}", verdict.told());
    assert!(
        !verdict.of(RULE).iter().any(|found| found.n <= since && found.level >= Level::Alert),
        "{}",
        verdict.told()
    );
}

#[test]
fn an_account_of_two_sessions_is_a_notice_at_most() {
    let mut tale = Tale::binance();
    let held = [("BTC", "0.05"), ("ETH", "4"), ("ADA", "3000"), ("XLM", "9000"), ("LTC", "11")];
    tale.up("alice").holds("alice", &held);
    for (pair, price, _) in SALES {
        tale.trade(Side::Buy, pair, &[(dec(price), dec("10"))]);
    }
    for _ in 0..2 {
        tale.deal(&Deal::buy("alice", "ETH-BTC").at("0.03100000", "0.5").unseen()).days(1.0);
    }
    for (pair, price, quantity) in SALES {
        tale.deal(&Deal::sell("alice", pair).at(price, quantity).unseen());
        tale.wait(5.0);
    }
    let verdict = tale.replay();
    assert!(verdict.level(RULE) < Some(Level::Alert), "{}", verdict.told());
}
