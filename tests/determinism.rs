//! The same recording gives the same effects: run twice, cut anywhere, resumed from a snapshot, told late or twice.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test: its steps may fail")]

#[path = "support/spelling.rs"]
mod spelling;
#[path = "support/stories.rs"]
mod stories;
#[path = "support/tale.rs"]
mod tale;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use fillguard::arrival::{Arrival, Body};
use fillguard::domain::{
    AccountId, Effect, EffectKind, Incident, Level, RuleName, Side, Span, Story, Timestamp, Transition,
};
use fillguard::pipeline::{Pipeline, Settings};
use proptest::prelude::*;
use stories::{alice_and_a_thin_pair, dear, raise};
use tale::{Deal, Tale, Verdict, dec};

fn run(arrivals: &[Arrival]) -> Vec<Effect> {
    let mut pipeline = Pipeline::new(Settings::default());
    arrivals.iter().flat_map(|arrival| pipeline.step(arrival)).collect()
}

fn bytes(effects: &[Effect]) -> Vec<u8> {
    postcard::to_stdvec(effects).unwrap()
}

fn incident(effect: &Effect) -> (&Incident, Transition) {
    let EffectKind::Incident { incident, transition, .. } = &effect.kind;
    (incident, *transition)
}

/// Two accounts of two exchanges in one stream, and all stories of Binance one after the other.
fn long_story() -> Vec<Arrival> {
    let mut all = Vec::new();
    let mut shift = 0;
    for story in stories::all() {
        let last = story.tale.arrivals.iter().map(|arrival| arrival.at.nanos()).max().unwrap();
        let first = story.tale.arrivals.iter().map(|arrival| arrival.at.nanos()).min().unwrap();
        shift = shift.max(0);
        for mut arrival in story.tale.arrivals {
            arrival.n = all.len() as u64 + 1;
            arrival.at = Timestamp::from_nanos(arrival.at.nanos() + shift);
            all.push(arrival);
        }
        shift += (last - first) / 40;
    }
    all
}

#[test]
fn two_runs_give_the_same_bytes_and_no_two_effects_one_name() {
    let arrivals = long_story();
    let (one, other) = (run(&arrivals), run(&arrivals));
    assert!(one.len() > 40, "{} effects", one.len());
    assert_eq!(bytes(&one), bytes(&other));
    let names: BTreeSet<String> = one.iter().map(Effect::name).collect();
    assert_eq!(names.len(), one.len());
}

#[test]
fn effects_of_a_recording_that_was_cut_are_the_first_effects_of_the_whole() {
    for story in stories::all() {
        let whole = run(&story.tale.arrivals);
        for part in [1, 3, 5, 6, 7, 9] {
            let cut = story.tale.arrivals.len() * part / 10;
            let before = run(&story.tale.arrivals[..cut]);
            let expected: Vec<Effect> = whole.iter().filter(|effect| effect.n <= cut as u64).cloned().collect();
            assert_eq!(bytes(&before), bytes(&expected), "{} cut at {cut}", story.file);
        }
    }
}

type Told = (Vec<Arrival>, Vec<Effect>);

fn with_effects(arrivals: Vec<Arrival>) -> Told {
    let effects = run(&arrivals);
    (arrivals, effects)
}

static LONG: LazyLock<Told> = LazyLock::new(|| with_effects(long_story()));
static ALL: LazyLock<Vec<Told>> =
    LazyLock::new(|| stories::all().into_iter().map(|story| with_effects(story.tale.arrivals)).collect());

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn a_restart_anywhere_is_no_restart(cuts in proptest::collection::btree_set(1_usize..1_000, 1..5)) {
        let (arrivals, whole) = &*LONG;
        let mut pipeline = Pipeline::new(Settings::default());
        let mut effects = Vec::new();
        for (place, arrival) in arrivals.iter().enumerate() {
            if cuts.contains(&(place * 1_000 / arrivals.len())) && place % 3 == 0 {
                let snapshot = pipeline.snapshot().unwrap();
                pipeline = Pipeline::resume(Settings::default(), &snapshot).unwrap();
                // A snapshot of what was read back is the same snapshot.
                prop_assert_eq!(&pipeline.snapshot().unwrap(), &snapshot);
            }
            effects.extend(pipeline.step(arrival));
        }
        prop_assert_eq!(bytes(&effects), bytes(whole));
    }

    #[test]
    fn the_future_changes_no_verdict(story in 0_usize..16, part in 0.0_f64..1.0) {
        let (arrivals, whole) = &ALL[story];
        let cut = (arrivals.len() as f64 * part) as usize;
        let expected: Vec<Effect> = whole.iter().filter(|effect| effect.n <= cut as u64).cloned().collect();
        prop_assert_eq!(bytes(&run(&arrivals[..cut])), bytes(&expected));
    }
}

fn pump() -> Tale {
    let mut tale = alice_and_a_thin_pair();
    raise(&mut tale).deal(&dear("alice", "APPC-BTC"));
    tale
}

/// The loudest level and the greatest loss that each rule told.
fn summary(verdict: &Verdict) -> BTreeMap<RuleName, (Level, String)> {
    let mut told = BTreeMap::new();
    for finding in verdict.findings() {
        let loss = finding.loss.as_ref().map(ToString::to_string).unwrap_or_default();
        let entry = told.entry(finding.rule).or_insert((finding.level, loss.clone()));
        *entry = (entry.0.max(finding.level), loss);
    }
    told
}

#[test]
fn fills_sent_twice_and_out_of_order_change_no_verdict() {
    let tale = pump();
    let clean = tale.replay();
    let mut doubled = Tale::binance();
    for arrival in &tale.arrivals {
        doubled.now = arrival.at.millis();
        doubled.push(&arrival.from.to_string(), arrival.body.clone(), 0);
        doubled.push(&arrival.from.to_string(), arrival.body.clone(), 0);
    }
    assert_eq!(summary(&doubled.replay()), summary(&clean));
    assert_eq!(doubled.replay().fills, clean.fills);
    // The order's own frames upside down.
    let mut turned = Tale::binance();
    turned.arrivals.clone_from(&tale.arrivals);
    let own: Vec<usize> = (0..turned.arrivals.len())
        .filter(|place| *place >= tale.arrivals.len() - 10 && turned.arrivals[*place].from.account().is_some())
        .collect();
    for (one, other) in own.iter().zip(own.iter().rev()).take(own.len() / 2) {
        turned.arrivals.swap(*one, *other);
    }
    for (place, arrival) in turned.arrivals.iter_mut().enumerate() {
        arrival.n = place as u64 + 1;
    }
    assert_eq!(summary(&turned.replay()), summary(&clean));
}

#[test]
fn fills_that_come_up_to_half_a_minute_late_are_as_loud() {
    let clean = pump().replay();
    for late in [0.5, 3.0, 10.0, 30.0] {
        let mut tale = alice_and_a_thin_pair();
        raise(&mut tale);
        let before = tale.arrivals.len();
        tale.deal(&dear("alice", "APPC-BTC").late(late));
        // The market frames come in time, go on, and only then are her fills told.
        let frames = tale.arrivals.split_off(before);
        let (market, own): (Vec<_>, Vec<_>) = frames.into_iter().partition(|frame| frame.from.account().is_none());
        for frame in market {
            tale.push(&frame.from.to_string(), frame.body, 46);
        }
        let steps = (late * 2.0) as i32;
        tale.rush(Side::Sell, "APPC-BTC", "0.00002550", 0.8, steps.max(1), late, "0.02");
        for frame in own {
            tale.push(&frame.from.to_string(), frame.body, 0);
        }
        let verdict = tale.replay();
        assert_eq!(
            (verdict.loudest(), verdict.level(RuleName::PumpBuy)),
            (clean.loudest(), clean.level(RuleName::PumpBuy)),
            "{late} s late: {}",
            verdict.told()
        );
    }
}

#[test]
fn a_hundred_fills_of_one_order_are_one_order() {
    let mut one = alice_and_a_thin_pair();
    let mut many = alice_and_a_thin_pair();
    one.deal(&Deal::buy("alice", "ETH-BTC").at("0.03100000", "1.5").unseen());
    let mut deal = Deal::buy("alice", "ETH-BTC").unseen();
    for _ in 0..100 {
        deal = deal.at("0.03100000", "0.015");
    }
    many.deal(&deal);
    let mut rates = Vec::new();
    for tale in [&one, &many] {
        let mut pipeline = Pipeline::new(Settings::default());
        tale.arrivals.iter().for_each(|arrival| drop(pipeline.step(arrival)));
        rates.push(pipeline.accounts_and_orders());
    }
    assert_eq!(rates[0], rates[1]);
    assert_eq!(summary(&one.replay()), summary(&many.replay()));
}

#[test]
fn a_clock_that_jumps_back_an_hour_changes_no_verdict_and_reopens_nothing() {
    let tale = pump();
    let clean = tale.replay();
    let mut jumping = Tale::binance();
    jumping.arrivals.clone_from(&tale.arrivals);
    let half = jumping.arrivals.len() - 6;
    for arrival in &mut jumping.arrivals[half..] {
        arrival.at = Timestamp::from_nanos(arrival.at.nanos() - 3_600_000_000_000);
    }
    let verdict = jumping.replay();
    assert_eq!(verdict.loudest(), clean.loudest(), "{}", verdict.told());
    let opened = |verdict: &Verdict| verdict.effects.iter().filter(|e| incident(e).1 == Transition::Opened).count();
    assert_eq!((opened(&verdict), opened(&clean)), (1, 1));
}

#[test]
fn one_arrival_stamped_years_behind_closes_nothing() {
    let mut tale = pump();
    let last = tale.arrivals.len() - 1;
    let at = &mut tale.arrivals[last].at;
    *at = Timestamp::from_nanos(at.nanos() - 3_650 * 86_400 * 1_000_000_000);
    tale.wait(60.0).tick();
    let verdict = tale.replay();
    let count = |what| verdict.effects.iter().filter(|effect| incident(effect).1 == what).count();
    assert_eq!((count(Transition::Opened), count(Transition::Closed)), (1, 0), "{}", verdict.told());
}

#[test]
fn an_incident_is_opened_once_grows_and_is_closed_after_half_an_hour_of_quiet() {
    let mut tale = pump();
    tale.wait(60.0).deal(&Deal::buy("alice", "APPC-BTC").at("0.00002900", "4000"));
    let last = tale.arrivals.last().unwrap().at;
    tale.wait(1_790.0).tick();
    assert!(tale.replay().effects.iter().all(|effect| incident(effect).1 != Transition::Closed));
    tale.wait(15.0).tick();
    tale.wait(3_000.0).tick();
    let verdict = tale.replay();
    let steps: Vec<(&Incident, Transition)> = verdict.effects.iter().map(incident).collect();
    assert_eq!(steps[0].1, Transition::Opened);
    assert_eq!(steps.last().unwrap().1, Transition::Closed);
    let count = |what| steps.iter().filter(|step| step.1 == what).count();
    assert_eq!((count(Transition::Opened), count(Transition::Closed)), (1, 1));
    assert!(steps.iter().all(|step| step.0.id == steps[0].0.id));
    let (mut level, mut findings) = (Level::Notice, 0);
    for (incident, _) in &steps {
        assert!(incident.level >= level && incident.count >= findings, "an incident never shrinks");
        (level, findings) = (incident.level, incident.count);
    }
    let closed = steps.last().unwrap().0;
    assert!(closed.closed.unwrap().since(last) <= Span::from_secs(1_800), "at the end of the quiet time, not later");
    assert!(verdict.effects.last().unwrap().at > closed.closed.unwrap());
}

#[test]
fn one_story_of_an_account_has_one_incident_and_another_story_its_own() {
    let mut tale = pump();
    tale.down("alice", "closed 1006").wait(5.0).up("alice").wait(90.0).tick();
    let verdict = tale.replay();
    let mut ids: BTreeMap<Story, BTreeSet<String>> = BTreeMap::new();
    for effect in &verdict.effects {
        let (incident, _) = incident(effect);
        ids.entry(incident.story).or_default().insert(incident.id.to_string());
    }
    assert_eq!(ids.values().map(BTreeSet::len).collect::<Vec<_>>(), [1, 1], "{ids:?}");
    let mut names = ids.into_values().flatten().collect::<Vec<_>>();
    names.dedup();
    assert_eq!(names.len(), 2);
}

#[test]
fn two_accounts_in_one_arrival_are_told_in_the_order_of_their_names() {
    let mut tale = Tale::binance();
    for who in ["zoe", "alice"] {
        tale.up(who).deal(&Deal::buy(who, "ETH-BTC").at("0.03100000", "0.5").unseen());
    }
    for who in ["zoe", "alice"] {
        tale.down(who, "closed 1006").wait(1.0).up(who);
    }
    tale.wait(120.0).tick();
    tale.wait(1_900.0).tick();
    let verdict = tale.replay();
    let told: Vec<(String, Transition, u32)> = verdict
        .effects
        .iter()
        .map(|effect| (incident(effect).0.account.to_string(), incident(effect).1, effect.place))
        .collect();
    let step = |who: &str, what| (format!("binance/{who}"), what, 0);
    let (opened, closed) = (Transition::Opened, Transition::Closed);
    assert_eq!(
        told,
        [step("alice", opened), step("zoe", opened), step("alice", closed), step("zoe", closed)],
        "each account counts its own effects from 0"
    );
}

#[test]
fn what_is_quiet_is_closed_before_what_is_new_is_opened() {
    let mut tale = pump();
    tale.wait(2_000.0);
    tale.rush(Side::Buy, "APPC-BTC", "0.00002000", 1.3, 12, 3.0, "0.06");
    let cut = tale.arrivals.len();
    tale.deal(&Deal::buy("alice", "APPC-BTC").at("0.00002600", "7000").at("0.00002700", "7000"));
    // Nothing but the attack's own second order wakes the pipeline.
    let mut arrivals = tale.arrivals.clone();
    arrivals.drain(cut - 24..cut);
    for (place, arrival) in arrivals.iter_mut().enumerate() {
        arrival.n = place as u64 + 1;
    }
    let effects = run(&arrivals);
    let last: Vec<Transition> = effects.iter().rev().take(8).rev().map(|effect| incident(effect).1).collect();
    let closed = last.iter().position(|step| *step == Transition::Closed);
    let opened = last.iter().rposition(|step| *step == Transition::Opened);
    assert!(closed.is_some() && closed < opened, "{last:?}");
}

#[test]
fn a_second_attack_twenty_minutes_later_is_told_as_loudly() {
    let mut tale = pump();
    let first = tale.replay().loudest();
    tale.wait(1_200.0);
    tale.rush(Side::Sell, "APPC-BTC", "0.00002000", 0.999, 6, 30.0, "0.01");
    let since = tale.arrivals.len() as u64;
    raise(&mut tale).deal(&dear("alice", "APPC-BTC"));
    let verdict = tale.replay();
    let again = verdict.of(RuleName::PumpBuy).into_iter().filter(|finding| finding.n > since).map(|f| f.level).max();
    assert_eq!(again, first, "{}", verdict.told());
}

#[test]
fn a_week_of_small_trades_in_the_pair_buys_no_silence() {
    let mut tale = alice_and_a_thin_pair();
    for _ in 0..7 {
        for _ in 0..3 {
            tale.deal(&Deal::buy("alice", "APPC-BTC").at("0.00002000", "60"));
            tale.wait(1_200.0);
        }
        tale.days(1.0);
    }
    tale.quiet("APPC-BTC", "0.00002000", "0.0008", 300);
    raise(&mut tale).deal(&dear("alice", "APPC-BTC"));
    let verdict = tale.replay();
    assert!(verdict.loudest() >= Some(Level::Alert), "{}", verdict.told());
}

#[test]
fn a_young_account_is_told_of_only_where_market_and_habit_are_loud() {
    // Three orders in all: the owner's habits are not known.
    let mut tale = Tale::binance();
    tale.candles("APPC-BTC", "0.00002000", "2.4", 2).up("alice").holds("alice", &[("BTC", "1.20000000")]);
    tale.quiet("APPC-BTC", "0.00002000", "0.0008", 300);
    tale.deal(&Deal::buy("alice", "APPC-BTC").at("0.00002030", "9000").at("0.00002040", "9000"));
    let verdict = tale.replay();
    for finding in verdict.of(RuleName::PumpBuy).into_iter().filter(|finding| finding.level >= Level::Alert) {
        let market: f64 =
            finding.terms.iter().filter(|t| t.name == "market" || t.name == "share_of_day").map(|t| t.nats).sum();
        assert!(market >= 3.0, "{}", verdict.told());
    }
}

#[test]
fn terms_sum_to_the_score_money_is_exact_and_act_has_two_families() {
    for story in stories::all() {
        let verdict = story.tale.replay();
        for finding in verdict.findings() {
            let sum: f64 = finding.terms.iter().map(|term| term.nats).sum();
            assert!((sum - finding.score).abs() < 2e-3, "{}: {}", story.file, verdict.told());
            assert!(finding.terms.iter().all(|term| term.nats.is_finite() && term.value.is_finite()));
            if finding.level == Level::Act {
                let mut families = BTreeMap::new();
                for term in &finding.terms {
                    *families.entry(term.family).or_insert(0.0) += term.nats;
                }
                let strong = families.values().filter(|nats| **nats >= 1.5).count();
                assert!(strong >= 2, "{}: {}", story.file, verdict.told());
            }
        }
    }
    // 8000 x (0.000025 + 0.0000252 + 0.0000255 + 0.000026) = 0.8136 paid for 32,000 that were worth what the pair
    // cost in the minute before.
    let verdict = pump().replay();
    let found = verdict.of(RuleName::PumpBuy);
    let reference = (dec("0.2") - found[0].loss.clone().unwrap().amount()) / dec("8000");
    assert!(reference > dec("0.0000199") && reference < dec("0.0000201"), "{reference}");
    assert_eq!(found.last().unwrap().loss.clone().unwrap().amount(), dec("0.8136") - dec("32000") * reference);
}

#[test]
fn absurd_figures_neither_stop_it_nor_become_a_score() {
    let figures = ["0.000000000000000001", "1000000000000000000", "0.00000001", "79228162514264337593543950335", "1"];
    let mut tale = alice_and_a_thin_pair();
    for price in figures {
        for quantity in figures {
            if dec(price).checked_mul(dec(quantity)).is_none() {
                continue;
            }
            let report = serde_json::json!({"e": "executionReport", "E": tale.now, "s": "APPCBTC", "c": "x", "S": "BUY",
                "o": "MARKET", "x": "TRADE", "X": "FILLED", "i": tale.number_of_story(), "l": quantity, "z": quantity,
                "L": price, "n": "0", "N": null, "T": tale.now, "t": tale.number_of_story(), "m": false,
                "Y": price});
            tale.frame("binance/alice", &report, 30);
            let trade = serde_json::json!({"e": "trade", "E": tale.now, "s": "APPCBTC", "t": tale.number_of_story(),
                "p": price, "q": quantity, "T": tale.now, "m": false});
            tale.frame("binance/market", &trade, 30).wait(0.7);
            let sold = serde_json::json!({"e": "executionReport", "E": tale.now, "s": "APPCBTC", "c": "x", "S": "SELL",
                "o": "MARKET", "x": "TRADE", "X": "FILLED", "i": tale.number_of_story(), "l": quantity, "z": quantity,
                "L": price, "n": "0", "N": null, "T": tale.now, "t": tale.number_of_story(), "m": false,
                "Y": price});
            tale.frame("binance/alice", &sold, 30).wait(0.7);
        }
    }
    for asset in ["BTC", "APPC"] {
        tale.holds("alice", &[(asset, "1000000000000000000")]);
    }
    tale.deal(&Deal::buy("alice", "APPC-BTC").at("0.00002500", "8000"));
    let verdict = tale.replay();
    for finding in verdict.findings() {
        let numbers = finding.terms.iter().flat_map(|term| [term.nats, term.value]).chain([finding.score]);
        assert!(numbers.into_iter().all(f64::is_finite), "{}", verdict.told());
    }
    for effect in &verdict.effects {
        // A number that is none would be written as null.
        let line = fillguard::replay::to_json(effect);
        assert!(line.is_none_or(|line| line["score"].is_number()));
    }
}

#[test]
fn broken_frames_stop_nothing_and_are_told_once() {
    let mut tale = alice_and_a_thin_pair();
    for _ in 0..200 {
        tale.wait(0.1).push("binance/alice", Body::Text("<html>502</html>".into()), 0);
    }
    raise(&mut tale).deal(&dear("alice", "APPC-BTC"));
    let verdict = tale.replay();
    assert_eq!(verdict.unreadable, 200);
    assert_eq!(verdict.loudest(), pump().replay().loudest());
    let messages = verdict.effects.iter().filter(|effect| {
        let EffectKind::Incident { incident, message, .. } = &effect.kind;
        incident.story == Story::Blind && message.is_some()
    });
    assert_eq!(messages.count(), 1, "people are told once");
    let blind: AccountId = "binance/alice".parse().unwrap();
    assert!(verdict.effects.iter().all(|effect| incident(effect).0.account == blind));
}
