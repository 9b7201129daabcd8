//! From where: addresses of the key's use, and who sent an order.

use fillguard::domain::{Kind, Level, Reason, RuleName, Side};

use crate::tale::{Deal, Tale, dec, nudge};

const ADDRESS: RuleName = RuleName::UnfamiliarAddress;
const ORIGIN: RuleName = RuleName::UnknownOrigin;
const HOME: &str = "203.0.113.7";

/// Alice's bot has traded from one machine for `days`.
fn at_home(days: i32) -> Tale {
    let mut tale = Tale::binance();
    tale.up("alice");
    tale.deal(&Deal::buy("alice", "ETH-BTC").at("0.03100000", "0.5").unseen());
    for _ in 0..days {
        tale.used("alice", Some(HOME), None).days(1.0);
    }
    tale
}

#[test]
fn a_new_network_beside_the_familiar_one_is_told() {
    let mut tale = at_home(20);
    tale.used("alice", Some(HOME), None).wait(30.0);
    tale.used("alice", Some("198.51.100.23"), None).wait(20.0);
    assert_eq!(tale.replay().level(ADDRESS), None, "it may be a move");
    tale.used("alice", Some(HOME), None);
    let verdict = tale.replay();
    let found = verdict.of(ADDRESS);
    assert_eq!((found[0].kind, found[0].level), (Kind::Address, Level::Alert), "{}", verdict.told());
    assert_eq!((found[0].account.to_string(), found[0].symbol.clone()), ("binance/alice".into(), None));
    let Reason::NewAddress { ip, prefix, concurrent, .. } = &found[0].reason else { panic!() };
    assert_eq!((ip.as_str(), prefix.as_str(), *concurrent), ("198.51.100.23", "198.51.100.0/24", true));
}

#[test]
fn a_move_of_the_machine_is_a_notice_at_most() {
    let mut tale = at_home(20);
    tale.days(1.0);
    for _ in 0..30 {
        tale.used("alice", Some("198.51.100.23"), None).wait(3_600.0);
    }
    let verdict = tale.replay();
    assert!(verdict.loudest() <= Some(Level::Notice), "{}", verdict.told());
}

#[test]
fn a_neighbouring_address_says_next_to_nothing() {
    let mut tale = at_home(20);
    tale.used("alice", Some("203.0.113.200"), None);
    assert_eq!(tale.replay().level(ADDRESS), None);
}

#[test]
fn a_provider_that_gives_a_new_prefix_every_week_makes_no_alert() {
    let mut tale = Tale::binance();
    tale.up("alice").deal(&Deal::buy("alice", "ETH-BTC").at("0.03100000", "0.5").unseen());
    for day in 0..200 {
        let ip = format!("198.18.{}.{}", day / 7, 10 + day % 7);
        for _ in 0..4 {
            tale.used("alice", Some(&ip), None).wait(6.0 * 3_600.0);
        }
    }
    let verdict = tale.replay();
    assert!(verdict.loudest() < Some(Level::Alert), "{}", verdict.told());
    assert!(verdict.of(ADDRESS).len() <= 12, "{} notices in 200 days", verdict.of(ADDRESS).len());
}

#[test]
fn two_lines_that_share_the_load_are_familiar_both() {
    let mut tale = Tale::binance();
    tale.up("alice").deal(&Deal::buy("alice", "ETH-BTC").at("0.03100000", "0.5").unseen());
    for k in 0..60 {
        let ip = if k % 3 == 0 { "198.51.100.23" } else { HOME };
        tale.used("alice", Some(ip), None).wait(120.0);
    }
    tale.days(1.0);
    for k in 0..60 {
        let ip = if k % 2 == 0 { "198.51.100.23" } else { HOME };
        tale.used("alice", Some(ip), None).wait(60.0);
    }
    let verdict = tale.replay();
    assert_eq!(verdict.loudest(), None, "{}", verdict.told());
}

#[test]
fn a_line_without_an_address_is_no_evidence() {
    let mut tale = at_home(20);
    for _ in 0..20 {
        tale.used("alice", None, Some("grid-1")).wait(5.0);
    }
    assert_eq!(tale.replay().level(ADDRESS), None);
}

#[test]
fn the_first_days_are_learnt_in_silence() {
    let mut tale = Tale::binance();
    tale.up("alice").deal(&Deal::buy("alice", "ETH-BTC").at("0.03100000", "0.5").unseen());
    for ip in ["203.0.113.7", "198.51.100.23", "192.0.2.9", "198.18.4.4"] {
        tale.used("alice", Some(ip), None).wait(60.0);
    }
    assert_eq!(tale.replay().level(ADDRESS), None);
}

/// `orders` small ones of alice, named by `name`; the gateway names them too where `logged`.
fn orders(tale: &mut Tale, count: i32, logged: bool, name: impl Fn(i32) -> String) {
    for k in 0..count {
        let name = name(k);
        if logged {
            tale.used("alice", Some(HOME), Some(&name)).wait(0.2);
        }
        let price = nudge(dec("0.031"), 0.004 * tale.dice());
        let side = if k % 2 == 0 { Side::Buy } else { Side::Sell };
        tale.deal(&Deal::new(side, "alice", "ETH-BTC").fill(price, dec("1.5")).named(&name).unseen());
        tale.wait(3.0 * 3_600.0);
    }
}

fn trader() -> Tale {
    let mut tale = Tale::binance();
    tale.up("alice").holds("alice", &[("BTC", "1.20000000"), ("ETH", "4.00000000")]);
    tale
}

#[test]
fn an_order_named_unlike_seventy_others_is_noticed() {
    let mut tale = trader();
    orders(&mut tale, 70, false, |k| format!("grid-{:06}", 1_200 + k));
    tale.deal(&Deal::buy("alice", "ETH-BTC").at("0.03100000", "1.5").named("x-Q7PLK2NA8c21f0").unseen());
    let verdict = tale.replay();
    let found = verdict.of(ORIGIN);
    assert_eq!(found.len(), 1, "{}", verdict.told());
    assert_eq!((found[0].kind, found[0].level), (Kind::Origin, Level::Notice), "{}", verdict.told());
    assert!(matches!(&found[0].reason, Reason::StrangeOrder { what, .. } if what == "grammar"));
}

#[test]
fn an_order_that_the_own_log_does_not_name_is_told_after_ten_seconds() {
    let mut tale = trader();
    orders(&mut tale, 70, true, |k| format!("grid-{:06}", 1_200 + k));
    // The thief knows the grammar; the log does not know the order.
    tale.deal(&Deal::buy("alice", "ETH-BTC").at("0.03100000", "1.5").named("grid-009000").unseen());
    assert_eq!(tale.replay().level(ORIGIN), None, "not before the log had its ten seconds");
    tale.wait(11.0).tick();
    let verdict = tale.replay();
    assert_eq!(verdict.level(ORIGIN), Some(Level::Alert), "{}", verdict.told());
    assert!(matches!(&verdict.of(ORIGIN)[0].reason, Reason::StrangeOrder { what, .. } if what == "not_ours"));
}

#[test]
fn an_order_that_was_amended_stays_the_one_that_was_sent_whatever_its_fills_are_called() {
    // <https://developers.binance.com/docs/binance-spot-api-docs/faqs/order_amend_keep_priority>: the exchange makes up
    // a client id where none is given.
    let told = |amended: bool| {
        let mut tale = trader();
        let step = |tale: &mut Tale, kind: &str, c: &str, original: &str| {
            let time = tale.now;
            let frame = serde_json::json!({"e": "executionReport", "E": time, "s": "ETHBTC", "c": c, "C": original,
                "S": "SELL", "o": "LIMIT", "f": "GTC", "q": "2.0", "p": "0.0331", "x": kind, "X": "NEW", "r": "NONE",
                "i": 777_001, "l": "0", "z": "0", "L": "0", "n": "0", "N": null, "T": time, "t": -1, "m": false});
            tale.frame("binance/alice", &frame, 5);
        };
        orders(&mut tale, 30, true, |k| format!("grid-{:06}", 1_200 + k));
        tale.used("alice", Some(HOME), Some("grid-001999"));
        step(&mut tale, "NEW", "grid-001999", "");
        // So long ago that neither is remembered.
        orders(&mut tale, 140, true, |k| format!("grid-{:06}", 2_000 + k));
        if amended {
            step(&mut tale, "REPLACED", "ulcTmGH9xKnIWbCPWXQpVJ", "grid-001999");
        }
        let time = tale.now;
        let trade = serde_json::json!({"e": "executionReport", "E": time, "s": "ETHBTC", "c": "ulcTmGH9xKnIWbCPWXQpVJ",
            "C": "", "S": "SELL", "o": "LIMIT", "f": "GTC", "q": "1.0", "p": "0.0331", "x": "TRADE", "X": "FILLED",
            "r": "NONE", "i": 777_001, "l": "1.0", "z": "1.0", "L": "0.0331", "n": "0", "N": null, "T": time,
            "t": 990_001, "m": true, "Y": "0.0331"});
        tale.frame("binance/alice", &trade, 5).wait(11.0).tick();
        tale.replay()
    };
    let (amended, another) = (told(true), told(false));
    assert_eq!(amended.loudest(), None, "{}", amended.told());
    assert_eq!(another.level(ORIGIN), Some(Level::Alert), "{}", another.told());
}

#[test]
fn a_log_that_names_the_order_late_or_fell_silent_accuses_nobody() {
    let mut tale = trader();
    orders(&mut tale, 70, true, |k| format!("grid-{:06}", 1_200 + k));
    tale.deal(&Deal::buy("alice", "ETH-BTC").at("0.03100000", "1.5").named("grid-009000").unseen());
    tale.wait(6.0).used("alice", Some(HOME), Some("grid-009000")).wait(20.0).tick();
    assert_eq!(tale.replay().level(ORIGIN), None);
    let mut tale = trader();
    orders(&mut tale, 70, true, |k| format!("grid-{:06}", 1_200 + k));
    tale.days(2.0);
    orders(&mut tale, 20, false, |k| format!("grid-{:06}", 2_200 + k));
    tale.wait(60.0).tick();
    let verdict = tale.replay();
    assert_eq!(verdict.level(ORIGIN), None, "{}", verdict.told());
}

#[test]
fn a_log_that_cannot_be_read_accuses_nobody_until_it_speaks_again() {
    let mut tale = trader();
    orders(&mut tale, 70, true, |k| format!("grid-{:06}", 1_200 + k));
    tale.deal(&Deal::buy("alice", "ETH-BTC").at("0.03100000", "1.5").named("grid-009000").unseen());
    tale.log_down().wait(60.0).tick();
    tale.deal(&Deal::buy("alice", "ETH-BTC").at("0.03100000", "1.5").named("grid-009001").unseen());
    tale.wait(60.0).tick();
    assert_eq!(tale.replay().level(ORIGIN), None, "{}", tale.replay().told());
    orders(&mut tale, 3, true, |k| format!("grid-{:06}", 9_100 + k));
    tale.deal(&Deal::buy("alice", "ETH-BTC").at("0.03100000", "1.5").named("grid-009200").unseen());
    tale.wait(11.0).tick();
    assert_eq!(tale.replay().level(ORIGIN), Some(Level::Alert), "{}", tale.replay().told());
}

#[test]
fn ids_without_a_grammar_say_nothing() {
    let mut tale = trader();
    let words = ["red", "blue", "fish", "tree", "cloud", "stone", "lamp", "door", "leaf", "wind"];
    let name = |k: i32| format!("{}-{}", words[(k % 10) as usize], words[(k / 10 % 10) as usize]);
    orders(&mut tale, 90, false, name);
    tale.deal(&Deal::buy("alice", "ETH-BTC").at("0.03100000", "1.5").named("x-Q7PLK2NA8c21f0").unseen());
    let verdict = tale.replay();
    assert!(verdict.loudest() < Some(Level::Alert), "{}", verdict.told());
    assert_eq!(verdict.level(ORIGIN), None, "{}", verdict.told());
}

#[test]
fn in_leak_mode_an_order_that_none_of_ours_sent_is_a_message() {
    for (on, level) in [(false, Level::Notice), (true, Level::Alert)] {
        let mut tale = trader();
        orders(&mut tale, 70, false, |k| format!("grid-{:06}", 1_200 + k));
        if on {
            let until = (tale.now + 86_400_000) * 1_000_000;
            let mode = serde_json::json!({"leak_mode": [{"account": "binance/alice", "why": "x", "until": until}]});
            tale.frame("operator", &mode, 0);
        }
        tale.deal(&Deal::buy("alice", "ETH-BTC").at("0.03100000", "1.5").named("x-Q7PLK2NA8c21f0").unseen());
        let verdict = tale.replay();
        assert_eq!(verdict.level(ORIGIN), Some(level), "{}", verdict.told());
        let marked = verdict.of(ORIGIN)[0].terms.iter().any(|term| term.name == "leak_mode");
        assert_eq!(marked, on);
    }
}
