//! A mock attack: its frames go through codec, rules and alert as any others do, in a pipeline of their own that is thrown
//! away. What the real one remembers is not even within reach, so nothing can be learnt, deduped or closed by an exercise.

use super::{Counts, Pipeline};
use crate::alert::Alert;
use crate::arrival::Arrival;
use crate::codec::{self, Codecs};
use crate::domain::{EffectKind, Incident, Timestamp};
use crate::engine::Engine;

/// Judges the frames that a drill carries by the rules in force, and tells what they came to. Reads `engine` and `alert` for
/// their settings only.
pub(super) fn act_out(engine: &Engine, alert: &Alert, arrival: &Arrival, out: &mut Vec<EffectKind>) {
    let Some((drill, mocks)) = codec::drill::read(arrival) else { return };
    let mut stage = Pipeline {
        codecs: Codecs::new(&codec::Settings::default()),
        engine: engine.anew(),
        alert: alert.anew(),
        now: Timestamp::EPOCH,
        counts: Counts::default(),
        events: Vec::new(),
        findings: Vec::new(),
        wanted: Vec::new(),
    };
    let (mut last, mut is_told): (Option<Incident>, bool) = (None, false);
    for mock in &mocks {
        for effect in stage.step(mock) {
            let EffectKind::Incident { incident, message, .. } = effect.kind;
            is_told |= message.is_some();
            // Its end may close what is over; what is told is how it stood when it was loudest.
            if last.as_ref().is_none_or(|last| incident.level >= last.level) {
                last = Some(incident);
            }
        }
    }
    alert.acted_out(&drill, last.as_ref(), is_told, arrival.at, out);
}

#[cfg(test)]
mod tests;
