//! What a drill tells, and what it leaves as it was.

use super::*;
use crate::alert::{Exception, Language};
use crate::arrival::{Body, Source};
use crate::domain::{AccountId, Attack, Drill, Effect, Level, Message, Venue};
use crate::pipeline::Settings;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(1_772_442_000_000 + seconds * 1_000)
}

fn alice() -> AccountId {
    AccountId::new(Venue::Binance, "alice").unwrap()
}

/// The arrival of a drill.
fn drill(n: u64, attack: Attack) -> Arrival {
    drill_at(n, at(n as i64), attack)
}

fn drill_at(n: u64, at: Timestamp, attack: Attack) -> Arrival {
    let drill = Drill { code: "7f3a".into(), account: alice(), by: "me".into(), attack: Some(attack) };
    let text = codec::drill::write(&drill, &crate::drill::act_out(&drill.account, attack, at));
    Arrival { n, at, from: Source::Operator, body: Body::from_text(text) }
}

/// The frames of an attack, as if they were the account's own.
fn theft(from: u64, attack: Attack) -> Vec<Arrival> {
    let mocks = crate::drill::act_out(&alice(), attack, at(10_000));
    let real = |(n, (at, from, frame))| Arrival { n, at, from, body: Body::Frame(frame) };
    (from..).zip(mocks).map(real).collect()
}

fn parts(effect: &Effect) -> (&Incident, Option<&Message>) {
    let EffectKind::Incident { incident, message, .. } = &effect.kind;
    (incident, message.as_ref())
}

#[test]
fn a_drill_is_told_marked_and_is_over_at_once_without_findings_steps_or_links() {
    for attack in Attack::ALL {
        let mut pipeline = Pipeline::new(Settings::default());
        let effects = pipeline.step(&drill(3, attack));
        assert_eq!(effects.len(), 1);
        let (incident, message) = parts(&effects[0]);
        assert_eq!((incident.id.as_str(), incident.closed), ("drill-7f3a", Some(at(3))));
        assert!(incident.findings.is_empty() && incident.loss.is_empty() && incident.plan.is_empty());
        assert!(incident.level >= Level::Alert, "{attack:?}");
        let message = message.unwrap();
        assert!(message.headline.starts_with("DRILL, nothing happened: binance/alice "), "{}", message.headline);
        assert!(message.facts[0].starts_with("This is a drill, begun by me") && message.facts.len() > 1);
        assert!(message.link.is_empty() && !message.next_step.contains("delete"), "{}", message.next_step);
        assert!(message.table.iter().all(|(label, _)| !label.starts_with("Step")));
        assert_eq!(message.table[0], ("Drill".to_owned(), format!("7f3a ({})", attack.as_str())));
    }
}

#[test]
fn a_drill_is_marked_in_the_readers_language() {
    let settings = Settings {
        alert: crate::alert::Settings { language: Language::German, ..Default::default() },
        ..Default::default()
    };
    let effects = Pipeline::new(settings).step(&drill(3, Attack::Pump));
    let message = parts(&effects[0]).1.unwrap();
    assert!(message.headline.starts_with("ÜBUNG, nichts ist geschehen: "), "{}", message.headline);
}

#[test]
fn drills_change_no_byte_of_what_is_remembered_and_no_verdict_that_follows() {
    let told = |drills: bool| {
        let mut pipeline = Pipeline::new(Settings::default());
        let (mut effects, mut drilled) = (Vec::new(), 0);
        for (place, mut arrival) in theft(1, Attack::Pump).into_iter().enumerate() {
            arrival.n += arrival.n / 50;
            if (place + 1) % 50 == 0 {
                // Where the drill stands, time passes without it.
                let mut between = Arrival { n: arrival.n - 1, at: arrival.at, from: Source::Clock, body: Body::Tick };
                if drills {
                    between.from = Source::Operator;
                    between.body = drill_at(between.n, between.at, Attack::Churn).body;
                }
                for effect in pipeline.step(&between) {
                    drilled += usize::from(parts(&effect).0.id.is_drill());
                }
            }
            effects.extend(pipeline.step(&arrival));
        }
        assert_eq!(drilled > 3, drills, "{drilled} drills");
        (effects, pipeline.snapshot().unwrap())
    };
    let ((with, memory_with), (without, memory_without)) = (told(true), told(false));
    assert!(with.iter().any(|effect| parts(effect).1.is_some()), "a real theft is told");
    assert!(with.iter().all(|effect| !parts(effect).0.id.is_drill()));
    assert_eq!(with, without);
    assert!(memory_with == memory_without, "the memory differs");
}

#[test]
fn a_theft_of_the_very_orders_that_were_drilled_is_told_as_real() {
    let mut pipeline = Pipeline::new(Settings::default());
    assert_eq!(pipeline.step(&drill(1, Attack::Pump)).len(), 1);
    let effects: Vec<Effect> = theft(2, Attack::Pump).iter().flat_map(|arrival| pipeline.step(arrival)).collect();
    let loud = effects.iter().filter_map(|effect| parts(effect).1).max_by_key(|message| message.level).unwrap();
    assert_eq!(loud.level, Level::Act);
    assert!(
        !loud.headline.contains("DRILL,") && loud.incident.as_str().starts_with("binance-alice-"),
        "{}",
        loud.headline
    );
}

#[test]
fn what_an_exception_would_hide_is_hidden_in_a_drill_too_and_counted_nowhere() {
    let exception = Exception {
        name: "quiet".into(),
        rules: vec!["liquidation".into()],
        account: alice(),
        symbol: None,
        address: None,
        owner: "me".into(),
        reason: "moving".into(),
        expires: at(1_000_000),
    };
    let settings = Settings {
        alert: crate::alert::Settings { exceptions: vec![exception], ..Default::default() },
        ..Default::default()
    };
    let mut pipeline = Pipeline::new(settings);
    let effects = pipeline.step(&drill(3, Attack::Liquidation));
    assert!(parts(&effects[0]).1.is_none(), "nobody would have been told");
    assert!(pipeline.hidden().iter().all(|hidden| hidden.count == 0));
}
