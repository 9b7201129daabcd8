//! When a drill passed each stage inside the daemon, for the command that waits for it.

use serde::{Deserialize, Serialize};

use crate::arrival::Arrival;
use crate::domain::{Event, EventKind, Timestamp};
use crate::runtime::clock;
use crate::store::{Error, Handle, Store};

/// What the store calls it; there is room for the last drill only.
const MARK: &str = "drill times";

/// When the last drill passed each stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Times {
    /// Which drill.
    pub code: String,
    /// When it was received.
    pub arrived: Timestamp,
    /// When the journal had it on disk and handed it on.
    pub committed: Timestamp,
    /// When the rules had judged it.
    pub judged: Timestamp,
    /// When its incident and messages were on disk.
    pub kept: Timestamp,
}

impl Times {
    /// Returns the times of a drill, where it was the last one.
    pub fn of(store: &Store, code: &str) -> Result<Option<Times>, Error> {
        let times = store.mark(MARK)?.and_then(|text| serde_json::from_str::<Times>(&text).ok());
        Ok(times.filter(|times| times.code == code))
    }
}

/// The drills of one batch.
pub(super) struct Drills {
    committed: Timestamp,
    last: Option<Times>,
}

impl Drills {
    /// A batch comes: the journal has it.
    pub(super) fn begin() -> Self {
        Drills { committed: clock::now(), last: None }
    }

    /// Notes an arrival that was just judged.
    pub(super) fn note(&mut self, arrival: &Arrival, events: &[Event]) {
        for event in events {
            if let EventKind::Drill(drill) = &event.kind {
                let now = clock::now();
                let (code, committed) = (drill.code.to_string(), self.committed);
                self.last = Some(Times { code, arrived: arrival.at, committed, judged: now, kept: now });
            }
        }
    }

    /// Writes it down, once the effects are. Where that fails only the command that waits sees less.
    pub(super) async fn keep(self, store: &Handle) {
        let Some(mut times) = self.last else { return };
        times.kept = clock::now();
        let Ok(text) = serde_json::to_string(&times) else { return };
        if let Err(error) = store.with(move |store| store.set_mark(MARK, &text)).await {
            tracing::warn!(%error, "when the drill passed each stage is not known");
        }
    }
}
