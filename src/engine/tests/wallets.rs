//! Wallets beside spot: what they hold counts, and what they sell is no holding.

use super::*;
use crate::domain::{Asset, Balance, BalanceWhy, Wallet};

fn told(wallet: Wallet, free: &str, time: Timestamp) -> EventKind {
    EventKind::Balance(Balance {
        account: account("alice"),
        wallet,
        asset: Asset::new("USDT").unwrap(),
        free: Some(dec(free)),
        locked: None,
        delta: None,
        why: BalanceWhy::Trade,
        time,
    })
}

fn alice(engine: &Engine) -> &account::Account {
    &engine.memory().watched(engine.memory().find(&super::account("alice")).unwrap()).account
}

#[test]
fn balances_of_wallets_do_not_overwrite_each_other_and_count_together() {
    let mut engine = Engine::new(Settings::default(), Networks::default());
    let mut out = Vec::new();
    let wallets = [Wallet::Spot, Wallet::Margin, Wallet::Isolated(symbol("BTC-USDT")), Wallet::Futures];
    for (place, wallet) in wallets.into_iter().enumerate() {
        engine.judge(&event(place as u64 + 1, at(0), told(wallet, "7500", at(0))), &mut out);
    }
    let held = alice(&engine);
    assert_eq!(held.balances.values().map(|held| held.amount).collect::<Vec<_>>(), [dec("7500")]);
    assert!((engine.memory().equity(held, None).unwrap() - 1.0).abs() < 1e-9, "30,000 dollars are one unit");
    let bytes = postcard::to_stdvec(engine.memory()).unwrap();
    let read: memory::Memory = postcard::from_bytes(&bytes).unwrap();
    assert_eq!(postcard::to_stdvec(&read).unwrap(), bytes);
}

#[test]
fn going_short_in_contracts_sells_nothing_off_and_takes_no_part_of_a_balance() {
    let mut engine = Engine::new(Settings::default(), Networks::default());
    let mut out = Vec::new();
    engine.judge(&event(1, at(0), told(Wallet::Spot, "100", at(0))), &mut out);
    for (order, pair) in ["BTC_PERP-USDT", "ETH_PERP-USDT", "SOL_PERP-USDT"].into_iter().enumerate() {
        let time = at(1_000 * order as i64);
        let mut short = fill(pair, order as u64, "100", "50", time);
        short.side = Side::Sell;
        engine.judge(&event(2 + order as u64, time, EventKind::Fill(short)), &mut out);
    }
    let mut long = fill("BTC_PERP-USDT", 9, "100", "50", at(4_000));
    long.client_order_id = None;
    engine.judge(&event(9, at(4_000), EventKind::Fill(long)), &mut out);
    let account = alice(&engine);
    assert!(account.sold_within(at(5_000), Span::from_secs(60), None).is_empty());
    assert_eq!(account.session.sold, 0);
    assert!(!account.session.whole, "fifty times the balance, and none of it spent");
    assert_eq!(out, []);
}

#[test]
fn an_order_of_the_exchange_has_no_origin_to_be_strange() {
    let strangeness = |source: Option<&str>| {
        let mut engine = Engine::new(Settings::default(), Networks::default());
        let mut out = Vec::new();
        // Two sessions with one grammar make it a habit.
        for order in 0..120_u64 {
            let time = at(order as i64 * 1_000 + if order < 60 { 0 } else { 7_200_000 });
            let mut own = fill("BTC_PERP-USDT", order, "100", "1", time);
            own.client_order_id = Some(compact_str::format_compact!("grid{order}"));
            engine.judge(&event(order + 1, time, EventKind::Fill(own)), &mut out);
        }
        let time = at(2 * 7_200_000);
        let mut last = fill("BTC_PERP-USDT", 500, "100", "1", time);
        last.client_order_id = Some("autoclose-1775572206250".into());
        last.source = source.map(Into::into);
        engine.judge(&event(500, time, EventKind::Fill(last)), &mut out);
        let account = alice(&engine);
        account.group_at(account.find("500").unwrap()).strange
    };
    assert!(strangeness(None) > 0.0);
    assert_eq!(strangeness(Some(BY_EXCHANGE)), 0.0);
}
