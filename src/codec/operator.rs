//! What the operator switched: `{"leak_mode":[{"tag":"3commas","why":"...","until":1747385641636000000}]}`, or said of an
//! alarm: `{"answer":{"account":"binance/alice","first":4711,"last":4800,"mine":true,"by":"telegram"}}`.
//!
//! A drill is `{"drill":{"code":"7f3a","account":"binance/alice","by":"me"}}`, with the frames of a mock attack where it has
//! one: see [`drill`].
//!
//! A key that stands in a published file is `{"leak":{"account":"binance/alice","part":"secret","spelling":"plain",
//! "file":"dump.csv","byte":4711}}`: it is kept as evidence, and nothing of the key is in it.
//!
//! A frame of leak modes names all that are on, so one that was lost or told twice does no harm. An answer that is told
//! twice finds nothing left to answer.

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::drill;
use super::shape::{Heard, unread};
use super::unread::Unread;
use crate::arrival::{Arrival, Body};
use crate::domain::{AccountId, Answer, Event, EventKind, LeakMode, Timestamp, Venue};

#[derive(Deserialize)]
struct Frame {
    leak_mode: Option<Vec<Row>>,
    answer: Option<Said>,
}

#[derive(Serialize, Deserialize)]
struct Said {
    account: String,
    first: u64,
    last: u64,
    mine: bool,
    #[serde(default)]
    by: CompactString,
    /// Where the daemon keeps answers; absent in those that did not come from there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<u64>,
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

/// Reads which leak modes are on, or an answer; one row that cannot be read makes the frame unreadable and changes
/// nothing.
pub(super) fn decode(arrival: &Arrival, out: &mut Vec<Event>) -> Result<(), Unread> {
    let Body::Frame(frame) = &arrival.body else { return Err(unread("an operator's switch that is no JSON")) };
    if is_leak(frame.get()) {
        return Ok(());
    }
    let kind = read(frame.get()).map(EventKind::Leaks).or_else(|| answer(frame.get()).map(EventKind::Answer));
    let kind = kind.or_else(|| drill::read(arrival).map(|(drill, _)| EventKind::Drill(drill)));
    let kind = kind.ok_or_else(|| unread("an operator's switch that is not understood"))?;
    Heard::new(arrival, out).push(kind);
    Ok(())
}

/// Says whether a frame tells of a key in a published file.
fn is_leak(text: &str) -> bool {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Frame {
        #[expect(dead_code, reason = "that it is there says enough")]
        leak: Place,
    }
    #[derive(Deserialize)]
    #[expect(dead_code, reason = "that they are there says enough")]
    struct Place {
        account: CompactString,
        part: CompactString,
        file: String,
        byte: u64,
    }
    serde_json::from_str::<Frame>(text).is_ok()
}

/// Writes an answer as the frame of an arrival from `operator`, with the number it has where answers are kept.
pub fn write(answer: &Answer, id: Option<u64>) -> String {
    let Answer { account, first, last, mine, by } = answer;
    let said = Said { account: account.to_string(), first: *first, last: *last, mine: *mine, by: by.clone(), id };
    serde_json::json!({ "answer": said }).to_string()
}

/// Returns the number that an answer in a frame of the operator has where answers are kept.
pub fn kept_as(text: &str) -> Option<u64> {
    serde_json::from_str::<Frame>(text).ok()?.answer?.id
}

/// Reads an answer out of a frame's text.
fn answer(text: &str) -> Option<Answer> {
    let Frame { leak_mode: None, answer: Some(said) } = serde_json::from_str(text).ok()? else { return None };
    let account = said.account.parse::<AccountId>().ok()?;
    (said.first >= 1 && said.first <= said.last).then_some(Answer {
        account,
        first: said.first,
        last: said.last,
        mine: said.mine,
        by: said.by,
    })
}

/// Reads the modes out of a frame's text.
pub fn read(text: &str) -> Option<Vec<LeakMode>> {
    let Frame { leak_mode: Some(rows), answer: None } = serde_json::from_str(text).ok()? else { return None };
    let mode = |row: Row| {
        Some(LeakMode {
            tag: row.tag,
            venue: row.venue.map(|venue| venue.parse::<Venue>()).transpose().ok()?,
            account: row.account.map(|account| account.parse::<AccountId>()).transpose().ok()?,
            why: row.why,
            until: Timestamp::from_nanos(row.until),
        })
    };
    rows.into_iter().map(mode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_as_it_was_written_and_half_an_answer_is_none() {
        let account = "binance/alice".parse::<AccountId>().unwrap();
        let said = Answer { account, first: 4711, last: 4800, mine: true, by: "telegram \"bob\"".into() };
        assert_eq!(answer(&write(&said, None)), Some(said.clone()));
        assert_eq!(read(&write(&said, None)), None);
        let kept = write(&said, Some(17));
        assert_eq!((answer(&kept), kept_as(&kept)), (Some(said.clone()), Some(17)));
        assert_eq!(kept_as(&write(&said, None)), None);
        for text in [
            r#"{"answer":{"account":"binance/alice","first":5,"last":4,"mine":true}}"#,
            r#"{"answer":{"account":"nowhere/alice","first":4,"last":4,"mine":true}}"#,
            r#"{"answer":{"account":"binance/alice","first":4,"last":4}}"#,
            r#"{"leak_mode":[],"answer":{"account":"binance/alice","first":4,"last":4,"mine":true}}"#,
            "{}",
        ] {
            assert!(answer(text).is_none() && read(text).is_none(), "{text}");
        }
    }
}
