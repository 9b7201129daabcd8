//! What a person says of an alarm, and what is learnt while nobody has said anything.

use fillguard::arrival::Body;
use fillguard::codec::operator;
use fillguard::domain::{Answer, EffectKind, Level, RuleName, Side};

use crate::stories::{alice_and_a_thin_pair, dear, raise};
use crate::tale::{Deal, Tale, Verdict, dec, nudge};

const STRANGER: &str = "zzKq81LmXw04RtYuQw2PbV";

/// Alice has sixty orders that her own program named, and then buys a thin pair while a crowd raises it.
fn alarmed(named: &str) -> Tale {
    let mut tale = at_work();
    raise(&mut tale).deal(&dear("alice", "APPC-BTC").named(named));
    tale
}

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

/// Answers the newest incident as the channels would: by what the incident says of itself.
fn answered(tale: &mut Tale, mine: bool) -> &mut Tale {
    let verdict = tale.replay();
    let told = verdict.effects.iter().rev().find_map(|effect| {
        let EffectKind::Incident { incident, finding, .. } = &effect.kind;
        finding.as_ref().filter(|finding| finding.level >= Level::Alert).map(|_| incident.clone())
    });
    let answer = Answer::to(&told.unwrap_or_else(|| panic!("nothing to answer: {}", verdict.told())), mine, "test");
    tale.push("operator", Body::from_text(operator::write(&answer, None)), 0);
    tale
}

/// A day later the pair is quiet again, and the same happens once more.
fn again(tale: &mut Tale, named: &str) -> u64 {
    tale.days(1.5).quiet("APPC-BTC", "0.00002000", "0.0008", 7_200);
    let begun = tale.arrivals.len() as u64;
    raise(tale).deal(&dear("alice", "APPC-BTC").named(named));
    begun
}

/// The weight of a term in the loudest finding of a rule after arrival `n`.
fn nats(verdict: &Verdict, after: u64, rule: RuleName, name: &str) -> f64 {
    let found = verdict.of(rule).into_iter().filter(|finding| finding.n > after);
    let loudest = found.max_by(|a, b| a.score.total_cmp(&b.score));
    let loudest = loudest.unwrap_or_else(|| panic!("no {rule}: {}", verdict.told()));
    loudest.terms.iter().find(|term| term.name == name).map_or(0.0, |term| term.nats)
}

fn score(verdict: &Verdict, after: u64) -> f64 {
    let found = verdict.of(RuleName::PumpBuy).into_iter().filter(|finding| finding.n > after);
    found.map(|finding| finding.score).fold(0.0, f64::max)
}

#[test]
fn what_the_owner_vouched_for_is_a_habit_at_once() {
    let mut silent = alarmed(STRANGER);
    let mut vouched = alarmed(STRANGER);
    answered(&mut vouched, true);
    let (from, since) = (again(&mut silent, "aaKq81LmXw04RtYuQw2Pb1"), again(&mut vouched, "aaKq81LmXw04RtYuQw2Pb1"));
    let (silent, vouched) = (silent.replay(), vouched.replay());
    for name in ["order_grammar", "pair_novelty", "size"] {
        let (before, after) =
            (nats(&silent, from, RuleName::PumpBuy, name), nats(&vouched, since, RuleName::PumpBuy, name));
        assert!(after < before - 0.4, "{name}: {before} and {after}\n{}", vouched.told());
    }
    assert!(score(&vouched, since) < score(&silent, from) - 3.0, "{}", vouched.told());
}

#[test]
fn who_answers_for_pumps_is_called_less_for_the_next_unless_another_program_sends_it() {
    let vouched = || {
        let mut tale = alarmed("grid-000998");
        answered(&mut tale, true);
        tale
    };
    let (mut asked, mut other) = (vouched(), vouched());
    let since = again(&mut asked, "grid-000999");
    let verdict = asked.replay();
    let once = nats(&verdict, since, RuleName::PumpBuy, "vouched");
    assert!((-1.74..-1.70).contains(&once), "{once}\n{}", verdict.told());
    let since = again(&mut other, STRANGER);
    let verdict = other.replay();
    assert_eq!(nats(&verdict, since, RuleName::PumpBuy, "vouched"), 0.0, "{}", verdict.told());
    assert!(verdict.of(RuleName::PumpBuy).iter().any(|found| found.n > since && found.level >= Level::Alert));
    // Who says that it was not them has vouched for nothing.
    let mut disowned = alarmed("grid-000998");
    answered(&mut disowned, false);
    let since = again(&mut disowned, "grid-000999");
    assert_eq!(nats(&disowned.replay(), since, RuleName::PumpBuy, "vouched"), 0.0);
}

#[test]
fn an_answer_moves_no_other_account() {
    let tell = |answer: bool| {
        let mut tale = alarmed(STRANGER);
        tale.up("bob").holds("bob", &[("BTC", "1.20000000"), ("ETH", "4.00000000")]);
        tale.habit("bob", "ETH-BTC", "0.03100000", "0.05", 30, 2.5, 1.2);
        if answer {
            answered(&mut tale, true);
        }
        tale.days(1.5).quiet("APPC-BTC", "0.00002000", "0.0008", 7_200);
        raise(&mut tale).deal(&dear("bob", "APPC-BTC"));
        let verdict = tale.replay();
        let of_bob = verdict.findings().into_iter().filter(|finding| finding.account.name == "bob");
        of_bob.map(|finding| (finding.rule, finding.level, finding.terms.clone())).collect::<Vec<_>>()
    };
    let (with, without) = (tell(true), tell(false));
    assert!(!with.is_empty());
    assert_eq!(with, without);
}

#[test]
fn nothing_of_an_attack_becomes_a_habit_however_long_the_account_trades_on() {
    let mut tale = alarmed(STRANGER);
    answered(&mut tale, false);
    // Her own program goes on for ten days.
    for k in 100..160 {
        let side = if k % 2 == 0 { Side::Buy } else { Side::Sell };
        let deal = Deal::new(side, "alice", "ETH-BTC").fill(nudge(dec("0.031"), 0.001), dec("0.7"));
        tale.deal(&deal.named(&format!("grid-{k:06}"))).wait(14_400.0);
    }
    let begun = again(&mut tale, "aaKq81LmXw04RtYuQw2Pb1");
    let verdict = tale.replay();
    for (name, least) in [("order_grammar", 2.9), ("pair_novelty", 2.0), ("size", 2.0)] {
        let nats = nats(&verdict, begun, RuleName::PumpBuy, name);
        assert!(nats >= least, "{name} {nats}\n{}", verdict.told());
    }
}

#[test]
fn an_attack_that_nobody_has_spoken_of_is_not_learnt_while_it_goes_on() {
    // Three waves within a day and a half: the second and third are judged as the first.
    let mut tale = alarmed(STRANGER);
    let mut scores = vec![score(&tale.replay(), 0)];
    for wave in 0..2 {
        tale.wait(30_000.0).quiet("APPC-BTC", "0.00002000", "0.0008", 7_200);
        // In between the thief trades small, without any alarm.
        tale.deal(
            &Deal::buy("alice", "APPC-BTC").at("0.00002002", "900").named(&format!("zzKq81LmXw04RtYuQw2P{wave}x")),
        );
        tale.wait(7_200.0).quiet("APPC-BTC", "0.00002000", "0.0008", 7_200);
        let begun = tale.arrivals.len() as u64;
        raise(&mut tale).deal(&dear("alice", "APPC-BTC").named(&format!("bbKq81LmXw04RtYuQw2P{wave}x")));
        let verdict = tale.replay();
        for name in ["order_grammar", "pair_novelty"] {
            assert!(nats(&verdict, begun, RuleName::PumpBuy, name) >= 2.0, "wave {wave} {name}\n{}", verdict.told());
        }
        scores.push(score(&verdict, begun));
    }
    assert!(scores[2] > scores[0] - 2.0, "{scores:?}");
}

#[test]
fn who_trades_small_under_the_owners_names_for_a_week_buys_the_burst_no_silence() {
    let mut tale = at_work();
    for number in 0..21 {
        tale.quiet("APPC-BTC", "0.00002000", "0.0008", 60);
        let deal = Deal::buy("alice", "APPC-BTC").at("0.00002002", "900").named(&format!("grid-{:06}", 400 + number));
        tale.deal(&deal).wait(28_000.0);
    }
    tale.quiet("APPC-BTC", "0.00002000", "0.0008", 300);
    let begun = tale.arrivals.len() as u64;
    raise(&mut tale).deal(&dear("alice", "APPC-BTC").named("grid-000999"));
    let verdict = tale.replay();
    let told = verdict.of(RuleName::PumpBuy).iter().any(|found| found.n > begun && found.level >= Level::Alert);
    assert!(told, "{}", verdict.told());
}

#[test]
fn an_answer_told_twice_or_to_nothing_changes_nothing_more() {
    let mut once = alarmed(STRANGER);
    answered(&mut once, true);
    let mut twice = once.arrivals.clone();
    twice.push(twice.last().unwrap().clone());
    let mut repeated = Tale::binance();
    repeated.arrivals = twice;
    repeated.now = once.now;
    repeated.numbers = 1_000_000;
    let last = repeated.arrivals.len() as u64;
    repeated.arrivals.last_mut().unwrap().n = last;
    let (one, two) = (once.replay(), repeated.replay());
    assert_eq!(one.told(), two.told());
    // Of a name nobody watches.
    let stray = r#"{"answer":{"account":"binance/nobody","first":1,"last":9,"mine":true}}"#;
    once.push("operator", Body::from_text(stray.into()), 0);
    assert_eq!(once.replay().told(), one.told());
    assert_eq!(once.replay().unreadable, 0);
}
