//! Memory that does not grow, whoever feeds it.

#![allow(clippy::print_stdout, reason = "the figures are for people")]

use std::net::{IpAddr, Ipv4Addr};

use super::*;

/// What a snapshot of the engine's memory takes, in bytes.
fn size(engine: &Engine) -> usize {
    postcard::to_stdvec(engine.memory()).unwrap().len()
}

fn account_size(engine: &Engine) -> usize {
    postcard::to_stdvec(engine.memory().watched(0)).unwrap().len()
}

pub(super) fn engine() -> Engine {
    Engine::new(Settings::default(), Networks::default())
}

/// `orders` of ten pairs with ids of many kinds, a session every two hours.
fn busy(engine: &mut Engine, orders: u64, pairs: u64, first: u64) {
    let mut out = Vec::new();
    for k in first..first + orders {
        let time = at(k as i64 * 700_000);
        let fill = fill(&format!("C{}-BTC", k % pairs), k, "0.00002", "1000", time);
        engine.judge(&event(k, time, EventKind::Fill(fill)), &mut out);
        let balance = Balance {
            account: account("alice"),
            wallet: crate::domain::Wallet::Spot,
            asset: crate::domain::Asset::new(&format!("C{}", k % pairs)).unwrap(),
            free: Some(dec("12.5")),
            locked: None,
            delta: None,
            why: crate::domain::BalanceWhy::Trade,
            time,
        };
        engine.judge(&event(k, time, EventKind::Balance(balance)), &mut out);
    }
}

#[test]
fn an_ordinary_account_takes_at_most_four_kilobytes_and_a_wild_one_twelve() {
    let mut ordinary = engine();
    busy(&mut ordinary, 3_000, 10, 1);
    let mut wild = engine();
    busy(&mut wild, 10_000, 2_000, 1);
    let (ordinary, wild) = (account_size(&ordinary), account_size(&wild));
    println!("an account's memory: {ordinary} bytes with ten pairs, {wild} bytes with two thousand");
    assert!(ordinary <= 4_096, "{ordinary}");
    assert!(wild <= 12_288, "{wild}");
}

#[test]
fn ten_thousand_orders_take_no_more_than_one_thousand() {
    let mut engine = engine();
    busy(&mut engine, 2_000, 200, 1);
    let before = account_size(&engine);
    busy(&mut engine, 10_000, 200, 2_001);
    let after = account_size(&engine);
    assert!(after <= before + before / 10, "{before} bytes, then {after}");
}

#[test]
fn an_order_that_rests_for_hours_goes_on_as_the_same_while_few_others_trade() {
    let mut engine = engine();
    let mut out = Vec::new();
    let mut take = |engine: &mut Engine, order: u64, k: u64| {
        let time = at(k as i64 * 3_000_000);
        engine.judge(&event(k, time, EventKind::Fill(fill("C1-BTC", order, "0.00002", "1", time))), &mut out);
        engine.memory().watched(0).account.orders
    };
    assert_eq!([take(&mut engine, 7, 1), take(&mut engine, 8, 2), take(&mut engine, 7, 5)], [1, 2, 2]);
}

#[test]
fn the_fills_of_one_order_take_no_room() {
    let mut engine = engine();
    let mut out = Vec::new();
    let mut take = |engine: &mut Engine, k: u64| {
        let fill = fill("C1-BTC", 7, "0.00002", "1", at(1_000 + k as i64));
        engine.judge(&event(k, at(1_000 + k as i64), EventKind::Fill(fill)), &mut out);
    };
    take(&mut engine, 1);
    let before = account_size(&engine);
    (2..5_000).for_each(|k| take(&mut engine, k));
    assert!(account_size(&engine) <= before + 64, "{before} bytes, then {}", account_size(&engine));
    assert_eq!(engine.memory().watched(0).account.orders, 1);
}

#[test]
fn a_pair_takes_at_most_512_bytes_however_long_it_trades() {
    let mut engine = engine();
    let mut out = Vec::new();
    for k in 0..5_000_u64 {
        let time = at(k as i64 * 1_700);
        let kind = MarketKind::Trade {
            price: crate::domain::Price::new(dec("0.0000201")).unwrap(),
            quantity: crate::domain::Quantity::new(dec("11.5")).unwrap(),
            taker: if k % 3 == 0 { Side::Sell } else { Side::Buy },
            time,
            taker_order: Some(compact_str::format_compact!("69a5{k:020}")),
        };
        let market = Market { venue: Venue::Kucoin, symbol: symbol("APPC-BTC"), kind };
        engine.judge(&event(k, time, EventKind::Market(market)), &mut out);
    }
    let one = postcard::to_stdvec(&engine.memory().pairs[0]).unwrap().len();
    println!("a pair's memory: {one} bytes in a snapshot");
    assert!(one <= 512, "{one}");
}

#[test]
fn twenty_thousand_pairs_are_remembered_and_not_one_more() {
    let mut engine = engine();
    let mut out = Vec::new();
    for k in 0..10_000_u64 {
        let time = at(k as i64);
        let kind = MarketKind::Volume { quote: dec("12.5"), last: None, time };
        let market = Market { venue: Venue::Binance, symbol: symbol(&format!("C{k}-BTC")), kind };
        engine.judge(&event(k, time, EventKind::Market(market)), &mut out);
    }
    assert_eq!(engine.memory().pairs.len(), 10_000);
    let ten_thousand = size(&engine);
    println!("ten thousand pairs without trades: {ten_thousand} bytes");
    assert!(ten_thousand < 10_000 * 300, "{ten_thousand}");
    for k in 10_000..20_020_u64 {
        let time = at(k as i64);
        let kind = MarketKind::Volume { quote: dec("12.5"), last: None, time };
        let market = Market { venue: Venue::Binance, symbol: symbol(&format!("C{k}-BTC")), kind };
        engine.judge(&event(k, time, EventKind::Market(market)), &mut out);
    }
    assert_eq!(engine.memory().pairs.len(), 20_000);
}

#[test]
fn a_pair_that_an_account_touches_is_not_forgotten_for_strangers() {
    let mut engine = engine();
    let mut out = Vec::new();
    engine.judge(&event(1, at(0), EventKind::Fill(fill("MINE-BTC", 1, "0.00002", "1000", at(0)))), &mut out);
    for k in 0..20_020_u64 {
        let time = at(86_400_000 + k as i64);
        let kind = MarketKind::Volume { quote: dec("12.5"), last: None, time };
        let market = Market { venue: Venue::Binance, symbol: symbol(&format!("C{k}-BTC")), kind };
        engine.judge(&event(k + 2, time, EventKind::Market(market)), &mut out);
    }
    let touched: Vec<String> = engine.memory().wanted().map(|wanted| wanted.symbol.to_string()).collect();
    assert_eq!(touched, ["MINE-BTC"]);
}

#[test]
fn a_thousand_addresses_take_no_more_than_a_hundred() {
    let mut engine = engine();
    let mut out = Vec::new();
    engine.judge(&event(1, at(0), EventKind::Fill(fill("C1-BTC", 1, "0.00002", "1000", at(0)))), &mut out);
    let mut visit = |engine: &mut Engine, k: u32| {
        let time = at(i64::from(k) * 3_600_000);
        let access = crate::domain::Access {
            log: "gateway".into(),
            name: "alice".into(),
            venue: Some(Venue::Binance),
            network: None,
            ip: Some(IpAddr::V4(Ipv4Addr::from(0xC612_0000 + k * 256))),
            user_agent: None,
            client_order_id: Some(compact_str::format_compact!("grid-{k}")),
            time,
        };
        engine.judge(&event(u64::from(k) + 2, time, EventKind::Access(access)), &mut out);
    };
    (0..200).for_each(|k| visit(&mut engine, k));
    let before = size(&engine);
    (200..1_200).for_each(|k| visit(&mut engine, k));
    let after = size(&engine);
    println!("an account with 1,200 addresses: {after} bytes in all");
    assert!(after <= before + before / 10, "{before} bytes, then {after}");
    assert!(after < 16_384, "{after}");
}

#[test]
fn a_memory_that_was_read_back_judges_as_before() {
    let mut one = engine();
    busy(&mut one, 400, 20, 1);
    let bytes = postcard::to_stdvec(one.memory()).unwrap();
    let memory: memory::Memory = postcard::from_bytes(&bytes).unwrap();
    let mut other = Engine::with_memory(Settings::default(), Networks::default(), memory);
    let mut told = [Vec::new(), Vec::new()];
    for (engine, out) in [&mut one, &mut other].into_iter().zip(&mut told) {
        let time = at(500 * 700_000);
        engine.judge(&event(900, time, EventKind::Fill(fill("NEW-BTC", 900, "0.00009", "90000", time))), out);
    }
    assert!(!told[0].is_empty());
    assert_eq!(told[0], told[1]);
    assert_eq!(postcard::to_stdvec(one.memory()).unwrap(), postcard::to_stdvec(other.memory()).unwrap());
}
