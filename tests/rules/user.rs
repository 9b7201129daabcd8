//! Rules of the user's own: over real orders, with what they look back at, and never louder than one kind of evidence.

use fillguard::domain::{Level, RuleName};
use fillguard::engine::expression::{Condition, Sentence};
use fillguard::engine::rules::user::Rule;

use crate::stories::alice_and_a_thin_pair;
use crate::tale::{Deal, Tale};

fn rule(name: &str, when: &str, why: &str) -> Rule {
    let (when, why) = (Condition::new(when).unwrap(), Sentence::new(why).unwrap());
    Rule { name: name.into(), when, level: Level::Alert, why, staged: false, budget: 0.1 }
}

fn judged(tale: &Tale, rules: Vec<Rule>) -> crate::tale::Verdict {
    let mut settings = fillguard::pipeline::Settings::default();
    settings.engine.user.rules = rules;
    tale.replay_with(settings)
}

#[test]
fn a_condition_over_an_order_speaks_in_its_own_words() {
    let mut tale = alice_and_a_thin_pair();
    tale.deal(&Deal::buy("alice", "APPC-BTC").at("0.00002001", "40000"));
    let own =
        rule("large", "order.side == 'buy' && pair.new && order.dollars > 1000", "{account.name} took {order.pair}");
    let near = rule("larger", "order.side == 'buy' && pair.new && order.dollars > 1000000", "no");
    let verdict = judged(&tale, vec![own, near]);
    let found = verdict.of(RuleName::User);
    assert!(!found.is_empty(), "{}", verdict.told());
    assert!(found.iter().all(|found| found.rule_name() == "large" && found.level == Level::Alert));
    assert!(format!("{:?}", found[0].reason).contains("alice took APPC-BTC"), "{:?}", found[0].reason);
}

#[test]
fn a_count_over_a_time_grows_with_the_orders_and_forgets() {
    let mut tale = alice_and_a_thin_pair();
    for _ in 0..4 {
        tale.deal(&Deal::buy("alice", "APPC-BTC").at("0.00002001", "900")).wait(20.0);
    }
    tale.wait(3_600.0).deal(&Deal::buy("alice", "APPC-BTC").at("0.00002001", "900"));
    let many = rule("many", "count(pair, '10m', 'buy') >= 4", "{count(pair, '10m')} orders");
    let verdict = judged(&tale, vec![many]);
    let found = verdict.of(RuleName::User);
    assert!(!found.is_empty(), "{}", verdict.told());
    // The market shows an order a moment later, and it is judged again; the one of an hour later is alone.
    let minute = fillguard::domain::Span::from_secs(60);
    assert!(found.iter().all(|each| each.at.since(found[0].at) < minute), "{}", verdict.told());
}

#[test]
fn two_rules_of_ones_own_are_two_pieces_of_news_and_never_act() {
    let mut tale = alice_and_a_thin_pair();
    tale.deal(&Deal::buy("alice", "APPC-BTC").at("0.00002001", "40000"));
    let verdict = judged(&tale, vec![rule("one", "true", "one"), rule("two", "true", "two")]);
    let names: std::collections::BTreeSet<_> =
        verdict.of(RuleName::User).iter().map(|found| found.rule_name().to_owned()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(verdict.of(RuleName::User).iter().all(|found| found.level < Level::Act));
}

#[test]
fn a_staged_rule_is_heard_in_the_history_only_and_says_what_it_would_have_said() {
    let mut tale = alice_and_a_thin_pair();
    tale.deal(&Deal::buy("alice", "APPC-BTC").at("0.00002001", "40000"));
    let staged = Rule { staged: true, ..rule("quietly", "true", "seen") };
    let verdict = judged(&tale, vec![staged]);
    let found = verdict.of(RuleName::User);
    assert!(!found.is_empty() && found.iter().all(|found| found.level == Level::Notice), "{}", verdict.told());
    let held = found[0].terms.iter().find(|term| term.name == fillguard::engine::STAGED).unwrap();
    assert_eq!(held.value, 2.0);
}
