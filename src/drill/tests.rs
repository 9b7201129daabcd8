//! Every attack at every exchange is found by the shipped rules, and reads like that exchange.

use super::*;
use crate::arrival::Arrival;
use crate::codec::drill as frame;
use crate::domain::{Drill, EffectKind, EventKind, FeedKind, Kind, Level, Venue};
use crate::pipeline::{Pipeline, Settings};

fn at() -> Timestamp {
    Timestamp::from_millis(1_772_442_000_000)
}

#[test]
fn each_attack_becomes_an_incident_of_its_kind_at_every_exchange() {
    for venue in Venue::ALL {
        let account = AccountId::new(venue, "alice").unwrap();
        for attack in Attack::ALL {
            let mocks = act_out(&account, attack, at());
            assert!(mocks.len() > 40 && mocks.len() < 600, "{} frames", mocks.len());
            let mut pipeline = Pipeline::new(Settings::default());
            let mut told = Vec::new();
            for (at, from, frame) in mocks {
                let arrival = Arrival { n: 7, at, from, body: Body::Frame(frame) };
                let effects = pipeline.step(&arrival);
                for event in pipeline.events() {
                    let EventKind::Feed(change) = &event.kind else { continue };
                    assert!(
                        !matches!(change.kind, FeedKind::Unreadable(_) | FeedKind::Unknown(_)),
                        "{venue} {change:?}"
                    );
                }
                told.extend(effects.into_iter().map(|effect| {
                    let EffectKind::Incident { incident, .. } = effect.kind;
                    incident
                }));
            }
            let last = told.last().unwrap_or_else(|| panic!("{venue} {}: nothing was told", attack.as_str()));
            let kinds: Vec<(Kind, Level)> = last.findings.iter().map(|one| (one.kind, one.level)).collect();
            let meant = kinds.iter().filter(|(kind, _)| kind.as_str() == attack.as_str());
            let level = meant.map(|(_, level)| *level).max();
            assert!(level >= Some(Level::Alert), "{venue} {}: {kinds:?}", attack.as_str());
        }
    }
}

#[test]
fn the_frame_of_a_drill_is_small_and_whole() {
    for venue in Venue::ALL {
        let account = AccountId::new(venue, "alice").unwrap();
        for attack in Attack::ALL {
            let mocks = act_out(&account, attack, at());
            let drill = Drill { code: "1".into(), account: account.clone(), by: "me".into(), attack: Some(attack) };
            let text = frame::write(&drill, &mocks);
            assert!(text.len() < 400_000, "{venue} {}: {} bytes", attack.as_str(), text.len());
            let arrival = Arrival { n: 7, at: at(), from: Source::Operator, body: Body::from_text(text) };
            let (_, read) = frame::read(&arrival).unwrap();
            assert_eq!(read.len(), mocks.len());
        }
    }
}
