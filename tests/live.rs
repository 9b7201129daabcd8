//! The stages joined: a restart equals no restart, nothing is lost while the store is busy, and what is begun is
//! brought to its end.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail wherever it finds a fault")]

#[path = "support/stream.rs"]
mod stream;

use fillguard::arrival::Arrival;
use fillguard::domain::{Effect, EffectKind, Story, Transition};
use fillguard::pipeline::{Pipeline, Settings};
use fillguard::tune::ordinary::{self, Trader};

/// Returns every effect of a recording, with the memory saved and read back after every `every`-th arrival.
fn play(arrivals: &[Arrival], every: Option<usize>) -> (Vec<Effect>, Vec<u8>) {
    let mut pipeline = Pipeline::new(Settings::default());
    let mut effects = Vec::new();
    for (place, arrival) in arrivals.iter().enumerate() {
        effects.extend(pipeline.step(arrival));
        if every.is_some_and(|every| (place + 1) % every == 0) {
            pipeline = Pipeline::resume(Settings::default(), &pipeline.snapshot().unwrap()).unwrap();
        }
    }
    (effects, pipeline.snapshot().unwrap())
}

#[test]
fn a_restart_equals_no_restart() {
    let arrivals = stream::numbered(&stream::stream(7, 1_500));
    let (effects, memory) = play(&arrivals, None);
    let count = |story, wanted| {
        let is = |effect: &&Effect| {
            let EffectKind::Incident { transition, incident, .. } = &effect.kind;
            incident.story == story && *transition == wanted
        };
        effects.iter().filter(is).count()
    };
    // Otherwise the stream would prove nothing.
    for story in [Story::Takeover, Story::Blind] {
        for transition in [Transition::Opened, Transition::Raised, Transition::Updated, Transition::Closed] {
            println!("{story:?} {transition:?} {}", count(story, transition));
        }
        assert!(count(story, Transition::Opened) > 3 && count(story, Transition::Closed) > 3);
    }
    for every in [3, 100] {
        let (again, same) = play(&arrivals, Some(every));
        assert!(again == effects, "with a restart after every {every} arrivals");
        assert!(same == memory, "with a restart after every {every} arrivals");
    }
}

#[test]
fn a_restart_equals_no_restart_for_ordinary_traders() {
    let traders = [Trader::Grid, Trader::OpenBot, Trader::NewCoins, Trader::SafetyOrders];
    let arrivals = ordinary::recording(5, 1_650_000_000_000, 1, &traders).unwrap().arrivals;
    println!("{} arrivals", arrivals.len());
    let (effects, memory) = play(&arrivals, None);
    let (again, same) = play(&arrivals, Some(arrivals.len() / 40));
    assert!(again == effects && same == memory);
}
