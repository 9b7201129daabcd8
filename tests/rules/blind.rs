//! What we could not see.

use fillguard::arrival::REMOVED;
use fillguard::domain::{Effect, EffectKind};
use fillguard::domain::{Kind, Level, Reason, RuleName, Story};

use crate::tale::{Deal, Tale};

const RULE: RuleName = RuleName::Blind;

fn alice() -> Tale {
    let mut tale = Tale::binance();
    tale.up("alice").deal(&Deal::buy("alice", "ETH-BTC").at("0.03100000", "0.5").unseen());
    tale.wait(60.0);
    tale
}

#[test]
fn a_gap_that_nobody_asked_for_is_told_a_minute_after_the_reconnect() {
    let mut tale = alice();
    tale.down("alice", "closed 1006").wait(21.0).up("alice").wait(59.0).tick();
    assert_eq!(tale.replay().level(RULE), None, "it still may be asked for");
    tale.wait(2.0).tick();
    let verdict = tale.replay();
    let found = verdict.of(RULE);
    assert_eq!((found.len(), found[0].kind, found[0].level), (1, Kind::Blind, Level::Notice), "{}", verdict.told());
    let Reason::NotVerified { since, until, recovered, why } = &found[0].reason else { panic!() };
    assert_eq!((until.unwrap().since(*since).secs_f64(), *recovered, why.as_str()), (21.0, 0, "closed 1006"));
    let stories: Vec<Story> = verdict
        .effects
        .iter()
        .map(|effect: &Effect| match &effect.kind {
            EffectKind::Incident { incident, .. } => incident.story,
        })
        .collect();
    assert_eq!(stories, [Story::Blind]);
}

#[test]
fn a_gap_that_was_filled_and_verified_is_no_news() {
    let mut tale = alice();
    tale.down("alice", "closed 1006").wait(21.0).up("alice").wait(3.0).filled("alice", 26.0, true);
    tale.wait(600.0).tick();
    assert_eq!(tale.replay().level(RULE), None);
}

#[test]
fn a_gap_that_was_filled_in_part_is_told_with_what_was_recovered() {
    let mut tale = alice();
    tale.down("alice", "closed 1006").wait(21.0).up("alice").wait(3.0).filled("alice", 26.0, false);
    let verdict = tale.replay();
    assert_eq!(verdict.level(RULE), Some(Level::Notice), "{}", verdict.told());
}

#[test]
fn a_filling_of_another_time_does_not_close_the_gap() {
    let mut tale = alice();
    tale.down("alice", "closed 1006").wait(300.0).up("alice").wait(3.0).filled("alice", 20.0, true);
    tale.wait(120.0).tick();
    assert_eq!(tale.replay().level(RULE), Some(Level::Notice));
}

#[test]
fn a_feed_that_stays_down_is_an_alert_after_ten_minutes_and_said_once() {
    let mut tale = alice();
    tale.down("alice", "no answer to a ping").wait(590.0).tick();
    assert_eq!(tale.replay().level(RULE), None);
    for _ in 0..20 {
        tale.wait(60.0).tick();
    }
    let verdict = tale.replay();
    assert_eq!(verdict.of(RULE).len(), 1, "{}", verdict.told());
    assert_eq!(verdict.level(RULE), Some(Level::Alert));
}

#[test]
fn a_flapping_link_owes_the_whole_time_since_it_was_first_lost() {
    let mut tale = alice();
    tale.down("alice", "closed 1006");
    for _ in 0..5 {
        tale.wait(10.0).up("alice").wait(10.0).down("alice", "closed 1006");
    }
    tale.wait(10.0).up("alice").wait(90.0).tick();
    let verdict = tale.replay();
    let Reason::NotVerified { since, until, .. } = &verdict.of(RULE)[0].reason else { panic!() };
    assert_eq!(until.unwrap().since(*since).secs_f64(), 110.0, "{}", verdict.told());
}

#[test]
fn a_refusal_on_the_accounts_own_feed_is_a_notice() {
    let mut tale = alice();
    let refusal = serde_json::json!({"id": 1, "status": 401, "error": {"code": -2015, "msg": "Invalid API-key."}});
    tale.frame("binance/alice", &refusal, 40);
    let verdict = tale.replay();
    assert_eq!(verdict.level(RULE), Some(Level::Notice), "{}", verdict.told());
    let Reason::NotVerified { why, .. } = &verdict.of(RULE)[0].reason else { panic!() };
    assert!(why.contains("-2015") && !why.contains("Invalid API-key."), "{why}");
}

#[test]
fn an_account_that_was_taken_out_is_no_alarm_and_its_return_owes_the_time_between() {
    let mut tale = alice();
    tale.down("alice", REMOVED);
    for _ in 0..20 {
        tale.wait(3_600.0).tick();
    }
    assert_eq!(tale.replay().level(RULE), None, "{}", tale.replay().told());
    tale.up("alice").wait(120.0).tick();
    let verdict = tale.replay();
    assert_eq!(verdict.level(RULE), Some(Level::Notice), "{}", verdict.told());
}

#[test]
fn an_account_that_was_down_before_it_was_taken_out_is_no_alarm_afterwards() {
    let mut tale = alice();
    tale.down("alice", "closed 1006").wait(300.0).down("alice", REMOVED).wait(3_600.0).tick();
    assert_eq!(tale.replay().level(RULE), None);
}
