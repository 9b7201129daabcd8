//! What habits say, at their thresholds.

use super::*;
use crate::engine::account::{Account, Holding};
use crate::engine::rules::scene::Scene;

#[test]
fn nobody_sleeps_before_two_days_are_over_or_five_pauses_are_known() {
    let slept = |pauses: usize, days: f64| {
        let mut account = Account::new(account("alice"));
        (0..pauses).for_each(|_| account.pauses.learn(3_600_f64.ln(), 0.1));
        account.session.pause = Some((days * 86_400.0).ln());
        habit::dormancy(&account).nats
    };
    assert_eq!([slept(5, 1.9), slept(4, 30.0)], [0.0, 0.0]);
    assert_eq!([slept(5, 2.1), slept(5, 30.0)], [3.0, 3.0]);
}

#[test]
fn an_order_takes_the_whole_balance_from_four_fifths_of_it() {
    let weight = |spent: &str| {
        let mut scene = Scene::new(400, 60, spent, 0.0);
        let held = Holding { amount: dec("1"), at: scene.group.first - Span::from_secs(60) };
        scene.account.balances.insert(crate::domain::Asset::new("BTC").unwrap(), held);
        habit::whole_balance(&scene.account, &scene.group).nats
    };
    assert_eq!([weight("0.79"), weight("0.81")], [0.0, 1.5]);
}

#[test]
fn what_an_owner_spent_before_is_no_longer_wild() {
    let weight = |large: usize| {
        let mut account = Account::new(account("alice"));
        (0..60).for_each(|session| account.buys.push(if session < large { 0.0 } else { 0.05_f64.ln() }));
        let bought = fill("APPC-BTC", 1, "0.005", "200", at(0));
        account.take(&bought, 1, bought.time, 1.0, None);
        habit::size(&account, Side::Buy).nats
    };
    assert!(weight(0) > 5.0, "{}", weight(0));
    // Six of sixty sessions: ln(0.5 / (7 / 62)).
    assert_eq!(weight(6), 1.488);
}

#[test]
fn who_often_trades_in_loud_markets_earns_less_from_one_more() {
    let mut chaser = Account::new(account("alice"));
    (0..20).for_each(|_| chaser.heat.push(5.0));
    // 21 of 22 sessions: ln(0.9545 / 0.05) is 2.949.
    assert!((habit::heat(&chaser, 5.0) - (5.0 - 2.949)).abs() < 1e-3, "{}", habit::heat(&chaser, 5.0));
    assert_eq!(habit::heat(&chaser, 5.8), 5.8, "louder than all before");
    assert_eq!(habit::heat(&Account::new(account("bob")), 5.0), 5.0);
}

#[test]
fn who_traded_as_far_from_the_price_before_is_not_called_each_time() {
    let mut member = Account::new(account("alice"));
    (0..20).for_each(|session| member.far.push(if session < 3 { 0.5 } else { 0.0 }));
    assert_eq!(habit::far_before(&member, 0.9).nats, -2.773, "-2 ln 4");
    assert_eq!(habit::far_before(&member, 1.1).nats, 0.0, "more than twice as far");
    (0..20).for_each(|_| member.far.push(0.5));
    assert_eq!(habit::far_before(&member, 0.9).nats, -5.0);
}

#[test]
fn the_sales_of_an_account_that_hardly_sells_are_measured_by_what_it_buys() {
    let mut keeper = Account::new(account("alice"));
    (0..60).for_each(|_| keeper.buys.push(0.05_f64.ln()));
    keeper.sessions = 60;
    let mut sold = fill("APPC-BTC", 1, "0.005", "200", at(0));
    sold.side = Side::Sell;
    keeper.take(&sold, 1, sold.time, 1.0, None);
    assert!(habit::size(&keeper, Side::Sell).nats > 5.0);
    assert_eq!(habit::sells_seldom(&keeper).nats, 2.0);
    keeper.sessions = 4;
    assert_eq!(habit::size(&keeper, Side::Sell).nats, 0.0, "nothing is known of it yet");
    assert_eq!(habit::sells_seldom(&keeper).nats, 0.0);
}

#[test]
fn a_sale_counts_for_a_minute_and_is_whole_from_nine_tenths_of_what_was_held() {
    let sell = |account: &mut Account, base: &str, quantity: &str, millis: i64| {
        let held = Holding { amount: dec("100"), at: at(0) };
        account.balances.insert(crate::domain::Asset::new(base).unwrap(), held);
        let mut sold = fill(&format!("{base}-BTC"), millis as u64, "0.005", quantity, at(millis));
        sold.side = Side::Sell;
        account.take(&sold, 1, sold.time, 1.0, None);
    };
    let mut alice = Account::new(account("alice"));
    sell(&mut alice, "ETH", "89", 0);
    sell(&mut alice, "LTC", "91", 1_000);
    let minute = Span::from_secs(60);
    let told = |now: i64, but: Option<&str>| {
        let but = but.map(|base| crate::domain::Asset::new(base).unwrap());
        let sold = alice.sold_within(at(now), minute, but.as_ref());
        sold.into_iter().map(|sale| (sale.asset.to_string(), sale.whole)).collect::<Vec<_>>()
    };
    assert_eq!(told(2_000, None), [("ETH".to_owned(), Some(false)), ("LTC".to_owned(), Some(true))]);
    assert_eq!(told(2_000, Some("LTC")), [("ETH".to_owned(), Some(false))], "the coin that is bought with it");
    assert_eq!(told(60_500, None), [("LTC".to_owned(), Some(true))]);
    assert_eq!(told(61_500, None), []);
    assert_eq!(told(500, None), [("ETH".to_owned(), Some(false))], "what came later is no past");
}

#[test]
fn five_minutes_without_a_trade_begin_a_new_episode() {
    let taken = |pause: i64| {
        let mut account = Account::new(account("alice"));
        for (n, millis) in [(1, 0), (2, pause)] {
            let bought = fill("APPC-BTC", n, "0.005", "200", at(millis));
            account.take(&bought, n, bought.time, 1.0, None);
        }
        account.habit(&symbol("APPC-BTC")).unwrap().episode.taken
    };
    assert_eq!([taken(299_000), taken(301_000)], [dec("2"), dec("1")]);
}

#[test]
fn what_is_told_long_after_it_traded_is_a_session_of_its_own_past() {
    let sessions = |before: i64| {
        let mut account = Account::new(account("alice"));
        for (n, millis) in [(1, 0), (2, -before), (3, 3_600_000)] {
            let bought = fill("APPC-BTC", n, "0.005", "200", at(millis));
            account.take(&bought, n, bought.time, 1.0, None);
        }
        account.sessions
    };
    assert_eq!([sessions(3_600_000), sessions(1_000)], [2, 1]);
}

#[test]
fn one_holding_sold_before_a_buy_is_an_ordinary_exchange_and_two_are_not() {
    let weight = |bases: &[&str]| {
        let mut account = Account::new(account("alice"));
        account.sessions = 60;
        for (place, base) in bases.iter().enumerate() {
            let mut sold = fill(&format!("{base}-BTC"), place as u64, "0.005", "100", at(1_000 * place as i64));
            sold.side = Side::Sell;
            account.take(&sold, 1, sold.time, 1.0, None);
        }
        habit::sold_before(&account, at(10_000), &crate::domain::Asset::new("APPC").unwrap()).nats
    };
    assert_eq!([weight(&["ETH"]), weight(&["ETH", "LTC"])], [0.0, 2.4]);
}

#[test]
fn what_comes_after_an_alarm_waits_with_it_before_it_is_a_habit() {
    let sessions = |alarmed: bool| {
        let mut account = Account::new(account("alice"));
        for (n, hours) in [(1, 0), (2, 1), (3, 2)] {
            let bought = fill("APPC-BTC", n, "0.005", "200", at(3_600_000 * hours));
            account.take(&bought, n, bought.time, 1.0, None);
            if n == 1 {
                account.session.tell(1, alarmed);
            }
        }
        account.sessions
    };
    assert_eq!([sessions(false), sessions(true)], [2, 0]);
}
