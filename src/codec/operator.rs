//! What the operator switched: `{"leak_mode":[{"tag":"3commas","why":"...","until":1747385641636000000}]}`.
//!
//! The frame names all modes that are on, so one that was lost or told twice does no harm.

use compact_str::CompactString;
use serde::Deserialize;

use super::shape::{Heard, unread};
use super::unread::Unread;
use crate::arrival::{Arrival, Body};
use crate::domain::{AccountId, Event, EventKind, LeakMode, Timestamp, Venue};

#[derive(Deserialize)]
struct Frame {
    leak_mode: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    tag: Option<CompactString>,
    venue: Option<String>,
    account: Option<String>,
    #[serde(default)]
    why: CompactString,
    until: i64,
}

/// Reads which leak modes are on; one row that cannot be read makes the frame unreadable and changes nothing.
pub(super) fn decode(arrival: &Arrival, out: &mut Vec<Event>) -> Result<(), Unread> {
    let Body::Frame(frame) = &arrival.body else { return Err(unread("an operator's switch that is no JSON")) };
    let modes = read(frame.get()).ok_or_else(|| unread("an operator's switch that is not understood"))?;
    Heard::new(arrival, out).push(EventKind::Leaks(modes));
    Ok(())
}

/// Reads the modes out of a frame's text.
pub fn read(text: &str) -> Option<Vec<LeakMode>> {
    let frame: Frame = serde_json::from_str(text).ok()?;
    let mode = |row: Row| {
        Some(LeakMode {
            tag: row.tag,
            venue: row.venue.map(|venue| venue.parse::<Venue>()).transpose().ok()?,
            account: row.account.map(|account| account.parse::<AccountId>()).transpose().ok()?,
            why: row.why,
            until: Timestamp::from_nanos(row.until),
        })
    };
    frame.leak_mode.into_iter().map(mode).collect()
}
