//! Several accounts at once.

use fillguard::domain::{EffectKind, Finding, Kind, Level, Reason, RuleName};
use fillguard::engine::fleet::Tags;
use fillguard::pipeline::{Pipeline, Settings};
use serde_json::json;

use crate::tale::{Deal, Tale, Verdict};

const RULE: RuleName = RuleName::CoTrading;
const PAIR: &str = "APPC-BTC";
const ALL: [&str; 5] = ["alice", "bob", "carol", "dave", "erin"];

/// Five accounts with habits of their own, and a pair with `daily` BTC a day.
fn fleet(daily: &str) -> Tale {
    let mut tale = Tale::binance();
    tale.candles(PAIR, "0.00002000", daily, 2);
    for who in ALL {
        tale.up(who);
        tale.habit(who, "ETH-BTC", "0.03100000", "0.05", 12, 2.5, 1.2);
        let btc = if who == "erin" { "0" } else { "1.20000000" };
        tale.holds(who, &[("BTC", btc), ("ETH", "4.00000000")]);
    }
    tale.quiet(PAIR, "0.00002000", "0.0008", 300);
    tale
}

fn buy(tale: &mut Tale, who: &str, pause: f64) {
    tale.deal(&Deal::buy(who, PAIR).at("0.00002010", "3000").unseen()).wait(pause);
}

fn tagged(accounts: &[&str]) -> Settings {
    let mut settings = Settings::default();
    settings.engine.tags = tags(accounts);
    settings
}

fn tags(accounts: &[&str]) -> Tags {
    let ids = accounts.iter().map(|who| format!("binance/{who}").parse().unwrap()).collect();
    Tags([("botco".into(), ids)].into())
}

fn about<'a>(verdict: &'a Verdict, who: &str) -> Vec<&'a Finding> {
    verdict.of(RULE).into_iter().filter(|finding| finding.account.name == who).collect()
}

#[test]
fn two_accounts_that_newly_buy_a_thin_pair_are_a_notice_and_a_third_is_an_alert_for_all() {
    let mut tale = fleet("2.4");
    buy(&mut tale, "alice", 100.0);
    assert_eq!(tale.replay().level(RULE), None);
    buy(&mut tale, "bob", 100.0);
    assert_eq!(tale.replay().level(RULE), Some(Level::Notice), "{}", tale.replay().told());
    buy(&mut tale, "carol", 0.0);
    let verdict = tale.replay();
    for who in &ALL[..3] {
        let found = about(&verdict, who);
        let last = found.last().unwrap();
        assert_eq!((last.level, last.kind), (Level::Alert, Kind::Fleet), "{}", verdict.told());
        assert_eq!(last.symbol.as_ref().unwrap().to_string(), PAIR);
        let Reason::Together { count, seconds, sold, accounts, .. } = &last.reason else { panic!() };
        assert_eq!((*count, *seconds, *sold, accounts.len()), (3, 200.0, false, 2));
    }
    assert!(about(&verdict, "dave").is_empty() && about(&verdict, "erin").is_empty());
    // A notice when bob came and an alert when carol did: who comes after them is told alone.
    buy(&mut tale, "dave", 0.0);
    let verdict = tale.replay();
    assert_eq!((about(&verdict, "alice").len(), about(&verdict, "dave").len()), (2, 1), "{}", verdict.told());
}

#[test]
fn accounts_that_are_watched_for_less_than_two_weeks_may_be_a_group_nobody_knows_yet() {
    let mut tale = Tale::binance();
    tale.candles(PAIR, "0.00002000", "2.4", 2);
    for who in &ALL[..3] {
        tale.up(who);
        tale.habit(who, "ETH-BTC", "0.03100000", "0.05", 4, 2.5, 1.2);
    }
    tale.quiet(PAIR, "0.00002000", "0.0008", 300);
    // Nor does a second program make it more: after four sessions nobody knows whether it is a thief's.
    for _ in 0..4 {
        for who in &ALL[..3] {
            let named = format!("own-{}", tale.number_of_story());
            tale.deal(&Deal::buy(who, "ETH-BTC").at("0.03100000", "0.05").named(&named).unseen()).wait(40.0);
        }
        tale.wait(3_600.0);
    }
    let mut other = Tale::binance();
    other.arrivals.clone_from(&tale.arrivals);
    other.now = tale.now;
    ALL[..3].iter().for_each(|who| buy(&mut tale, who, 20.0));
    assert_eq!(tale.replay().level(RULE), Some(Level::Notice), "{}", tale.replay().told());
    for who in &ALL[..3] {
        other.deal(&Deal::buy(who, PAIR).at("0.00002010", "3000").named(&format!("X{who}#77")).unseen()).wait(20.0);
    }
    let verdict = other.replay();
    let strange = verdict.findings().iter().any(|f| f.terms.iter().any(|term| term.name == "order_grammar"));
    assert!(strange, "{}", verdict.told());
    assert_eq!(verdict.level(RULE), Some(Level::Notice), "{}", verdict.told());
}

#[test]
fn a_message_counts_the_others_and_does_not_name_them() {
    let mut tale = fleet("2.4");
    for who in &ALL[..3] {
        buy(&mut tale, who, 40.0);
    }
    let verdict = tale.replay();
    let told: Vec<String> = verdict
        .effects
        .iter()
        .filter_map(|effect| {
            let EffectKind::Incident { incident, message, .. } = &effect.kind;
            let message = message.as_ref().filter(|_| incident.account.name == "carol")?;
            Some(format!("{} {}", message.headline, message.facts.join(" ")))
        })
        .collect();
    let text = told.join("\n");
    assert!(text.contains("3 accounts newly buy APPC-BTC within 80 s, this one among them"), "{text}");
    assert!(!text.contains("alice") && !text.contains("bob"), "{text}");
}

#[test]
fn busy_pairs_makers_old_pairs_and_half_an_hour_make_no_scan() {
    let mut tale = fleet("2400");
    ALL.iter().for_each(|who| buy(&mut tale, who, 20.0));
    assert_eq!(tale.replay().level(RULE), None, "busy: {}", tale.replay().told());

    let mut tale = fleet("2.4");
    for who in ALL {
        tale.deal(&Deal::buy(who, PAIR).at("0.00002010", "3000").maker().unseen()).wait(20.0);
    }
    assert_eq!(tale.replay().level(RULE), None, "makers: {}", tale.replay().told());

    let mut tale = fleet("2.4");
    ALL.iter().for_each(|who| buy(&mut tale, who, 3.0 * 3_600.0));
    ALL.iter().for_each(|who| buy(&mut tale, who, 20.0));
    assert_eq!(tale.replay().level(RULE), None, "old pairs: {}", tale.replay().told());

    let mut tale = fleet("2.4");
    ALL.iter().for_each(|who| buy(&mut tale, who, 1_900.0));
    assert_eq!(tale.replay().level(RULE), None, "too far apart: {}", tale.replay().told());

    let mut tale = fleet("2.4");
    for _ in 0..6 {
        buy(&mut tale, "alice", 20.0);
    }
    assert_eq!(tale.replay().level(RULE), None, "one account: {}", tale.replay().told());
}

#[test]
fn accounts_known_to_copy_each_other_are_one() {
    let mut tale = fleet("2.4");
    ALL.iter().for_each(|who| buy(&mut tale, who, 1.0));
    let mut settings = tagged(&ALL);
    assert_eq!(tale.replay_with(settings.clone()).level(RULE), Some(Level::Alert));
    settings.engine.co_trading.copying.push("botco".into());
    let verdict = tale.replay_with(settings);
    assert_eq!(verdict.level(RULE), None, "{}", verdict.told());
}

fn is_in(finding: &Finding, pair: &str) -> bool {
    finding.symbol.as_ref().is_some_and(|symbol| symbol.to_string() == pair)
}

/// Alice and bob bought the same on so many days, in a pair of its own each, before carol joins them in another.
fn companions(days: usize) -> Tale {
    acquainted(days, 3)
}

/// The same, before the first so many of all buy another pair.
fn acquainted(days: usize, then: usize) -> Tale {
    let mut tale = fleet("2.4");
    for pair in ["ONE-BTC", "TWO-BTC"].iter().take(days) {
        for who in &ALL[..2] {
            tale.deal(&Deal::buy(who, pair).at("0.00002010", "3000").unseen()).wait(2.0);
        }
        tale.days(1.5);
    }
    ALL[..then].iter().for_each(|who| buy(&mut tale, who, 2.0));
    tale
}

#[test]
fn two_quiet_days_together_are_a_presumption_that_leak_mode_does_not_heed() {
    let loudest = |tale: &Tale| {
        let verdict = tale.replay();
        let found = about(&verdict, "carol").iter().map(|finding| finding.level).max();
        (found, verdict.told())
    };
    assert_eq!(loudest(&companions(0)).0, Some(Level::Alert), "{}", loudest(&companions(0)).1);
    assert_eq!(loudest(&companions(1)).0, Some(Level::Alert), "{}", loudest(&companions(1)).1);
    assert_eq!(loudest(&companions(2)).0, Some(Level::Notice), "{}", loudest(&companions(2)).1);
    // Of the two alone nothing is said then.
    let said = |days: usize| about(&acquainted(days, 2).replay(), "bob").iter().filter(|f| is_in(f, PAIR)).count();
    assert_eq!([said(1), said(2)], [1, 0]);
    let mut tale = companions(2);
    let mode = json!({"leak_mode": [{"tag": "botco", "why": "dump published", "until": i64::MAX}]});
    tale.frame("operator", &mode, 0);
    buy(&mut tale, "dave", 2.0);
    let verdict = tale.replay_with(tagged(&ALL));
    let found = about(&verdict, "dave").iter().map(|finding| finding.level).max();
    assert_eq!(found, Some(Level::Alert), "{}", verdict.told());
}

#[test]
fn a_pair_of_which_nobody_told_the_turnover_is_a_notice_until_somebody_does() {
    let mut tale = fleet("2.4");
    for who in &ALL[..3] {
        tale.deal(&Deal::buy(who, "NEWS-BTC").at("0.00002010", "3000").unseen()).wait(20.0);
    }
    assert_eq!(tale.replay().level(RULE), Some(Level::Notice), "{}", tale.replay().told());
    let mut busy = fleet("2.4");
    busy.arrivals.clone_from(&tale.arrivals);
    busy.now = tale.now;
    tale.candles("NEWS-BTC", "0.00002000", "2.4", 2);
    assert_eq!(tale.replay().level(RULE), Some(Level::Alert), "{}", tale.replay().told());
    busy.candles("NEWS-BTC", "0.00002000", "2400", 2);
    assert_eq!(busy.replay().level(RULE), Some(Level::Notice), "{}", busy.replay().told());
}

#[test]
fn accounts_of_the_same_tag_that_were_not_hit_yet_are_warned_once() {
    let mut tale = fleet("2.4");
    for who in &ALL[..3] {
        buy(&mut tale, who, 40.0);
    }
    tale.wait(600.0);
    let verdict = tale.replay_with(tagged(&ALL));
    let (dave, erin) = (about(&verdict, "dave"), about(&verdict, "erin"));
    assert_eq!((dave.len(), dave[0].level), (1, Level::Alert), "dave could pay: {}", verdict.told());
    assert_eq!((erin.len(), erin[0].level), (1, Level::Notice), "erin has no BTC: {}", verdict.told());
    assert!(matches!(&dave[0].reason, Reason::OthersHit { tag, count: 3, .. } if tag == "botco"));
    let mut quiet = tagged(&ALL);
    quiet.engine.co_trading.warn = 0;
    assert!(about(&tale.replay_with(quiet), "dave").is_empty());
    assert!(about(&tale.replay_with(tagged(&ALL[..3])), "dave").is_empty(), "dave has no tag");
    let two = tale.replay_with(tagged(&["alice", "bob", "dave"]));
    assert_eq!(about(&two, "dave")[0].level, Level::Notice, "two of his tag: {}", two.told());
    let one = tale.replay_with(tagged(&["alice", "dave"]));
    assert!(about(&one, "dave").is_empty(), "one of his tag: {}", one.told());
}

#[test]
fn other_accounts_are_a_family_of_evidence_for_the_other_rules() {
    let mut tale = fleet("2.4");
    for who in &ALL[..3] {
        tale.deal(&Deal::buy(who, PAIR).at("0.00002100", "9000").at("0.00002150", "9000")).wait(20.0);
    }
    let verdict = tale.replay();
    let with = |who: &str| {
        let all = verdict.of(RuleName::PumpBuy);
        all.into_iter().rfind(|f| f.account.name == who && f.terms.iter().any(|term| term.name == "together")).cloned()
    };
    assert!(with("alice").is_some(), "the first is judged again: {}", verdict.told());
    let carols = with("carol").unwrap();
    let nats = carols.terms.iter().find(|term| term.name == "together").map(|term| term.nats);
    assert_eq!(nats, Some(4.0), "{}", verdict.told());
}

#[test]
fn three_accounts_that_sell_their_holdings_off_are_a_notice_and_an_alert_where_they_share_a_tag() {
    let mut tale = fleet("2.4");
    let sales = [("ETH-BTC", "0.03100000", "3.9"), ("ADA-BTC", "0.00000710", "9000")];
    for who in ALL {
        tale.holds(who, &[("ADA", "9000")]);
    }
    for who in &ALL[..3] {
        for (pair, price, quantity) in sales {
            tale.deal(&Deal::sell(who, pair).at(price, quantity).unseen()).wait(4.0);
        }
    }
    let of = |verdict: &Verdict| {
        let all =
            verdict.of(RULE).into_iter().filter(|f| f.symbol.is_none() && matches!(f.reason, Reason::Together { .. }));
        all.map(|f| f.level).max()
    };
    let verdict = tale.replay();
    assert_eq!(of(&verdict), Some(Level::Notice), "{}", verdict.told());
    let verdict = tale.replay_with(tagged(&ALL[..3]));
    assert_eq!(of(&verdict), Some(Level::Alert), "{}", verdict.told());
}

#[test]
fn a_leaked_platform_takes_two_accounts_and_less_evidence_until_it_is_over() {
    let story = |until: f64, wait: f64| {
        let mut tale = fleet("2.4");
        let until = (tale.now + (until * 1_000.0) as i64) * 1_000_000;
        let mode = json!({"leak_mode": [{"tag": "botco", "why": "dump published", "until": until}]});
        tale.frame("operator", &mode, 0).wait(wait);
        buy(&mut tale, "alice", 40.0);
        buy(&mut tale, "bob", 40.0);
        tale
    };
    let level = |tale: &Tale, accounts: &[&str]| tale.replay_with(tagged(accounts)).level(RULE);
    assert_eq!(level(&story(3_600.0, 1.0), &ALL), Some(Level::Alert));
    assert_eq!(level(&story(3_600.0, 1.0), &["dave", "erin"]), Some(Level::Notice), "another platform's");
    assert_eq!(level(&story(3_600.0, 4_000.0), &ALL), Some(Level::Notice), "over");
    let mut tale = fleet("2.4");
    tale.frame("operator", &json!({"leak_mode": [{"tag": "botco", "why": "x", "until": i64::MAX}]}), 0);
    tale.frame("operator", &json!({"leak_mode": []}), 0);
    buy(&mut tale, "alice", 40.0);
    buy(&mut tale, "bob", 40.0);
    assert_eq!(level(&tale, &ALL), Some(Level::Notice), "switched off");
    tale.frame("operator", &json!({"leak_mode": [{"venue": "nowhere", "until": 1}]}), 0);
    assert_eq!(tale.replay().unreadable, 1);
}

#[test]
fn a_restart_between_any_two_arrivals_changes_no_verdict() {
    let mut tale = fleet("2.4");
    tale.frame("operator", &json!({"leak_mode": [{"account": "binance/bob", "why": "x", "until": i64::MAX}]}), 0);
    let begin = tale.arrivals.len() - 1;
    for who in ALL {
        buy(&mut tale, who, 30.0);
    }
    let settings = tagged(&ALL[..4]);
    let whole = tale.replay_with(settings.clone()).effects;
    let mut pipeline = Pipeline::new(settings.clone());
    let mut effects = Vec::new();
    for (place, arrival) in tale.arrivals.iter().enumerate() {
        if place >= begin {
            let snapshot = pipeline.snapshot().unwrap();
            pipeline = Pipeline::resume(settings.clone(), &snapshot).unwrap();
        }
        effects.extend(pipeline.step(arrival));
    }
    assert_eq!(postcard::to_stdvec(&effects).unwrap(), postcard::to_stdvec(&whole).unwrap());
}

#[test]
fn the_alarm_comes_within_five_seconds_of_the_third_accounts_fill() {
    let mut tale = fleet("2.4");
    buy(&mut tale, "alice", 100.0);
    buy(&mut tale, "bob", 100.0);
    let third = tale.now;
    // Its own feed is slow; the two before it are long known.
    tale.deal(&Deal::buy("carol", PAIR).at("0.00002010", "3000").unseen().late(3.0)).wait(60.0).tick();
    let verdict = tale.replay();
    for who in &ALL[..3] {
        let loud = about(&verdict, who).into_iter().find(|finding| finding.level == Level::Alert).unwrap();
        let after = loud.at.millis() - third;
        assert!((0..=5_000).contains(&after), "{who}: {after} ms");
        let told = verdict.effects.iter().any(|effect| {
            let EffectKind::Incident { incident, message, .. } = &effect.kind;
            incident.account.name == *who && message.is_some() && (0..=5_000).contains(&(effect.at.millis() - third))
        });
        assert!(told, "{who} got no message: {}", verdict.told());
    }
}

#[test]
fn a_warning_says_that_the_account_was_not_hit_yet_and_by_what_tag_it_is_warned() {
    let mut tale = fleet("2.4");
    for who in &ALL[..3] {
        buy(&mut tale, who, 40.0);
    }
    let verdict = tale.replay_with(tagged(&ALL));
    let mut told = verdict.effects.iter().filter_map(|effect| {
        let EffectKind::Incident { incident, message, .. } = &effect.kind;
        message.as_ref().filter(|_| incident.account.name == "dave")
    });
    let message = told.next().unwrap();
    let text = format!("{} {}", message.headline, message.facts.join(" "));
    assert!(text.contains("was not hit yet") && text.contains("botco"), "{text}");
    assert!(!text.contains("alice") && !text.contains("carol"), "{text}");
}

#[test]
fn who_was_heard_of_first_changes_nothing() {
    let story = |order: &[&str]| {
        let mut tale = Tale::binance();
        tale.candles(PAIR, "0.00002000", "2.4", 2);
        for who in order {
            tale.up(who);
        }
        for who in ALL {
            tale.habit(who, "ETH-BTC", "0.03100000", "0.05", 12, 2.5, 1.2);
            tale.holds(who, &[("BTC", "1.20000000"), ("ETH", "4.00000000")]);
        }
        tale.quiet(PAIR, "0.00002000", "0.0008", 300);
        ALL[..4].iter().for_each(|who| buy(&mut tale, who, 20.0));
        let verdict = tale.replay_with(tagged(&ALL));
        verdict.of(RULE).into_iter().cloned().collect::<Vec<Finding>>()
    };
    let one = story(&ALL);
    assert!(one.len() > 6, "{}", one.len());
    for order in [["erin", "dave", "carol", "bob", "alice"], ["carol", "erin", "alice", "dave", "bob"]] {
        assert_eq!(story(&order), one);
    }
}
