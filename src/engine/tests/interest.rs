//! Which pairs' markets are worth watching.

use std::collections::BTreeSet;

use super::super::memory::Memory;
use super::bounds::engine;
use super::*;
use crate::domain::{Asset, BalanceWhy};

fn hold(engine: &mut Engine, n: u64, asset: &str, amount: &str) {
    let balance = Balance {
        account: account("alice"),
        wallet: Wallet::Spot,
        asset: Asset::new(asset).unwrap(),
        free: Some(dec(amount)),
        locked: None,
        delta: None,
        why: BalanceWhy::Read,
        time: at(n as i64),
    };
    engine.judge(&event(n, at(n as i64), EventKind::Balance(balance)), &mut Vec::new());
}

fn trade(engine: &mut Engine, n: u64, pair: &str, millis: i64) {
    let fill = fill(pair, n, "0.00002", "1000", at(millis));
    engine.judge(&event(n, at(millis), EventKind::Fill(fill)), &mut Vec::new());
}

fn wanted(memory: &Memory) -> Vec<String> {
    memory.wanted().map(|wanted| wanted.symbol.to_string()).collect()
}

fn names(pairs: BTreeSet<(Venue, Symbol)>) -> Vec<String> {
    pairs.into_iter().map(|(_, symbol)| symbol.to_string()).collect()
}

#[test]
fn what_is_held_is_followed_in_the_quotes_its_account_trades_and_money_is_not() {
    let mut engine = engine();
    hold(&mut engine, 1, "APC", "500");
    assert_eq!(wanted(engine.memory()), ["APC-USDT"], "nothing traded yet");
    trade(&mut engine, 2, "ETH-BTC", 2);
    for (n, asset) in [(3, "USDT"), (4, "BTC"), (5, "ETH")] {
        hold(&mut engine, n, asset, "5000");
    }
    hold(&mut engine, 6, "XYZ", "70");
    assert_eq!(wanted(engine.memory()), ["APC-USDT", "ETH-BTC", "XYZ-BTC"]);
    let moved = engine.memory().interest_moved();
    hold(&mut engine, 7, "XYZ", "80");
    assert_eq!(engine.memory().interest_moved(), moved, "nothing new");
}

#[test]
fn dust_is_not_followed_and_of_unknown_worth_nothing_is_dust() {
    let mut engine = engine();
    let price = Price::new(dec("0.001")).unwrap();
    let kind = MarketKind::Volume { quote: dec("1000"), last: Some(price), time: at(1) };
    let market = Market { venue: Venue::Binance, symbol: symbol("DUST-USDT"), kind };
    engine.judge(&event(1, at(1), EventKind::Market(market)), &mut Vec::new());
    hold(&mut engine, 2, "DUST", "9000");
    assert!(wanted(engine.memory()).is_empty(), "nine dollars");
    hold(&mut engine, 3, "DUST", "11000");
    assert_eq!(wanted(engine.memory()), ["DUST-USDT"]);
    hold(&mut engine, 4, "WHAT", "0.0000001");
    assert_eq!(wanted(engine.memory()), ["DUST-USDT", "WHAT-USDT"]);
}

#[test]
fn where_there_is_no_room_the_pair_traded_longest_ago_goes_first_and_what_is_held_last() {
    let mut engine = engine();
    let day = 86_400_000;
    trade(&mut engine, 1, "OLD-BTC", 0);
    trade(&mut engine, 2, "HELD-BTC", 1_000);
    trade(&mut engine, 3, "LATER-BTC", day);
    hold(&mut engine, 4, "HELD", "7000");
    trade(&mut engine, 5, "NOW-BTC", 2 * day);
    let memory = engine.memory();
    let now = at(2 * day + 60_000);
    let kept = |most| memory.wanted_at_most(most, now);
    assert_eq!(kept(9).1, 0);
    assert_eq!((names(kept(3).0), kept(3).1), (vec!["HELD-BTC".into(), "LATER-BTC".into(), "NOW-BTC".into()], 1));
    assert_eq!((names(kept(2).0), kept(2).1), (vec!["HELD-BTC".into(), "NOW-BTC".into()], 2));
    assert_eq!(names(kept(1).0), ["NOW-BTC"], "what is in use goes before what is held");
    // Back in use, it is asked for again.
    let moved = memory.interest_moved();
    trade(&mut engine, 6, "OLD-BTC", 3 * day);
    assert!(engine.memory().interest_moved() > moved);
    assert_eq!(names(engine.memory().wanted_at_most(1, at(3 * day)).0), ["OLD-BTC"]);
}
