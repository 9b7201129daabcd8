//! One line of a recording: an arrival or a seal, written and read.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use compact_str::CompactString;
use serde::Deserialize;
use serde::de::{self, Deserializer, IgnoredAny, Visitor};
use serde_json::value::RawValue;

use crate::arrival::{Arrival, Body};
use crate::domain::Timestamp;

/// The longest line that is read or written, in bytes with its line break.
pub(super) const LONGEST: usize = 64 << 20;

/// What a line after the header says.
#[derive(Debug)]
pub(super) enum Line<'a> {
    /// Something arrived.
    Arrival(Arrival),
    /// Everything before this line was committed.
    Seal {
        /// BLAKE3 of all bytes before this line, in hex.
        hash: Cow<'a, str>,
        /// The last number before this line.
        n: u64,
    },
}

/// What is wrong with a line. It never repeats the line: that could hold a person's data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// The first line is no header.
    #[error("this is no recording: its first line has to be {{\"fillguard\":1,\"kind\":…,\"created\":…}}")]
    NotAHeader,
    /// The header is of another version.
    #[error(
        "this is a recording of format {found}, and this fillguard reads format 1: use the fillguard that wrote it"
    )]
    Version {
        /// The version found.
        found: u64,
    },
    /// The header lacks something.
    #[error(
        "the header needs \"kind\" (\"journal\" or \"recording\") and \"created\" (such as \"2026-11-22T10:00:00Z\")"
    )]
    Header,
    /// A header among the arrivals.
    #[error("this is a second header: recordings that were joined have to be given as separate files")]
    SecondHeader,
    /// Bytes that are no UTF-8.
    #[error("not UTF-8")]
    NotUtf8,
    /// No JSON, or no JSON object.
    #[error("not one JSON object (column {column})")]
    NotJson {
        /// Where reading stopped, from 1.
        column: usize,
    },
    /// A known key holds the wrong kind of value.
    #[error("a key has a value of the wrong kind, or stands there twice (column {column})")]
    WrongType {
        /// Where reading stopped, from 1.
        column: usize,
    },
    /// No `n`, or `n` is zero.
    #[error("`n` is missing (whole numbers from 1)")]
    NoNumber,
    /// No `at`.
    #[error("`at` is missing (nanoseconds since 1970)")]
    NoTime,
    /// No `from`, or one that names nobody.
    #[error(
        "`from` is missing or names nobody (<exchange>/<account>[/rest], <exchange>/market[/rest], access/<log>, clock)"
    )]
    NoSource,
    /// `bytes` is no base64.
    #[error("`bytes` is not base64")]
    NotBase64,
    /// Nothing that arrived.
    #[error("it says nothing that arrived (one of frame, text, bytes, link, call with frame, filled, tick)")]
    NoBody,
    /// More than one thing that arrived.
    #[error("it says more than one thing (only one of frame, text, bytes, link, filled, tick)")]
    TwoBodies,
}

/// A JSON string, borrowed from the line where it has no escapes.
struct Text<'a>(Cow<'a, str>);

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Link {
    Up,
    Down,
}

#[derive(Deserialize)]
struct Gap {
    since: i64,
    until: i64,
    verified: bool,
}

#[derive(Deserialize)]
struct Wire<'a> {
    n: Option<u64>,
    at: Option<i64>,
    #[serde(borrow)]
    from: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "raw")]
    frame: Option<&'a RawValue>,
    text: Option<String>,
    #[serde(borrow)]
    bytes: Option<Text<'a>>,
    link: Option<Link>,
    why: Option<CompactString>,
    call: Option<CompactString>,
    filled: Option<Gap>,
    tick: Option<bool>,
    #[serde(borrow)]
    seal: Option<Text<'a>>,
    fillguard: Option<IgnoredAny>,
}

/// Reads a line after the header.
pub(super) fn parse(line: &[u8]) -> Result<Line<'_>, Flaw> {
    let text = std::str::from_utf8(line).map_err(|_| Flaw::NotUtf8)?;
    let wire: Wire<'_> = serde_json::from_str(text).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => Flaw::WrongType { column: error.column() },
        serde_json::error::Category::Io | serde_json::error::Category::Syntax | serde_json::error::Category::Eof => {
            Flaw::NotJson { column: error.column() }
        }
    })?;
    if wire.fillguard.is_some() {
        return Err(Flaw::SecondHeader);
    }
    let n = wire.n.filter(|n| *n > 0).ok_or(Flaw::NoNumber)?;
    if let Some(hash) = wire.seal {
        return Ok(Line::Seal { hash: hash.0, n });
    }
    let at = Timestamp::from_nanos(wire.at.ok_or(Flaw::NoTime)?);
    let from = wire.from.ok_or(Flaw::NoSource)?.0.parse().map_err(|_| Flaw::NoSource)?;
    let mut bodies = 0;
    let mut body = None;
    let mut take = |found: Body| {
        bodies += 1;
        body = Some(found);
    };
    if let Some(frame) = wire.frame {
        let frame = frame.to_owned();
        take(match wire.call {
            Some(call) => Body::Page { call, frame },
            None => Body::Frame(frame),
        });
    }
    if let Some(text) = wire.text {
        take(Body::Text(text));
    }
    if let Some(text) = wire.bytes {
        take(Body::Bytes(BASE64.decode(text.0.as_bytes()).map_err(|_| Flaw::NotBase64)?));
    }
    match wire.link {
        Some(Link::Up) => take(Body::LinkUp),
        Some(Link::Down) => take(Body::LinkDown { why: wire.why.unwrap_or_default() }),
        None => {}
    }
    if let Some(Gap { since, until, verified }) = wire.filled {
        take(Body::Filled { since: Timestamp::from_nanos(since), until: Timestamp::from_nanos(until), verified });
    }
    if wire.tick == Some(true) {
        take(Body::Tick);
    }
    match body {
        Some(body) if bodies == 1 => Ok(Line::Arrival(Arrival { n, at, from, body })),
        Some(_) => Err(Flaw::TwoBodies),
        None => Err(Flaw::NoBody),
    }
}

/// Appends the line of an arrival. A frame's JSON is written byte for byte, so it must not hold a line break.
pub(super) fn write(out: &mut Vec<u8>, arrival: &Arrival) -> io::Result<()> {
    write!(out, "{{\"n\":{},\"at\":{},\"from\":\"{}\",", arrival.n, arrival.at.nanos(), arrival.from)?;
    match &arrival.body {
        Body::Frame(frame) => {
            out.extend_from_slice(b"\"frame\":");
            out.extend_from_slice(frame.get().as_bytes());
        }
        Body::Text(text) => {
            out.extend_from_slice(b"\"text\":");
            serde_json::to_writer(&mut *out, text)?;
        }
        Body::Bytes(bytes) => {
            write!(out, "\"bytes\":\"{}\"", base64::display::Base64Display::new(bytes, &BASE64))?;
        }
        Body::Page { call, frame } => {
            out.extend_from_slice(b"\"call\":");
            serde_json::to_writer(&mut *out, call)?;
            out.extend_from_slice(b",\"frame\":");
            out.extend_from_slice(frame.get().as_bytes());
        }
        Body::LinkUp => out.extend_from_slice(b"\"link\":\"up\""),
        Body::LinkDown { why } => {
            out.extend_from_slice(b"\"link\":\"down\",\"why\":");
            serde_json::to_writer(&mut *out, why)?;
        }
        Body::Filled { since, until, verified } => write!(
            out,
            "\"filled\":{{\"since\":{},\"until\":{},\"verified\":{verified}}}",
            since.nanos(),
            until.nanos()
        )?,
        Body::Tick => out.extend_from_slice(b"\"tick\":true"),
    }
    out.extend_from_slice(b"}\n");
    Ok(())
}

/// Returns the line of a seal, exactly as it is written.
pub(super) fn seal(hash: &str, n: u64) -> String {
    format!("{{\"seal\":\"{hash}\",\"n\":{n}}}\n")
}

/// Keeps `null` as a frame: an exchange may send it, and an `Option` alone would take it for no frame.
fn raw<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Borrowing;
        impl<'de> Visitor<'de> for Borrowing {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }
            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Borrowing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flaw(line: &str) -> Flaw {
        parse(line.as_bytes()).unwrap_err()
    }

    #[test]
    fn a_line_by_hand_may_have_any_order_and_more_keys() {
        let line = br#" { "frame" : {"a": 1.0 }, "why":"not for a frame", "from":"access/gw", "at":5, "label":"attack", "n":7 } "#;
        let Line::Arrival(arrival) = parse(line).unwrap() else { panic!("no arrival") };
        let Body::Frame(frame) = arrival.body else { panic!("no frame") };
        assert_eq!(
            (arrival.n, arrival.at.nanos(), arrival.from.to_string().as_str(), frame.get()),
            (7, 5, "access/gw", "{\"a\": 1.0 }")
        );
    }

    #[test]
    fn a_null_frame_is_a_frame() {
        let Line::Arrival(arrival) = parse(br#"{"n":1,"at":1,"from":"binance/a","frame":null}"#).unwrap() else {
            panic!("no arrival")
        };
        assert!(matches!(arrival.body, Body::Frame(frame) if frame.get() == "null"));
    }

    #[test]
    fn each_flaw_is_told_apart() {
        assert_eq!(flaw(r#"{"at":1,"from":"clock","tick":true}"#), Flaw::NoNumber);
        assert_eq!(flaw(r#"{"n":0,"at":1,"from":"clock","tick":true}"#), Flaw::NoNumber);
        assert_eq!(flaw(r#"{"n":1,"from":"clock","tick":true}"#), Flaw::NoTime);
        assert_eq!(flaw(r#"{"n":1,"at":1,"tick":true}"#), Flaw::NoSource);
        assert_eq!(flaw(r#"{"n":1,"at":1,"from":"moon/a","tick":true}"#), Flaw::NoSource);
        assert_eq!(flaw(r#"{"n":1,"at":1,"from":"clock"}"#), Flaw::NoBody);
        assert_eq!(flaw(r#"{"n":1,"at":1,"from":"clock","call":"klines"}"#), Flaw::NoBody);
        assert_eq!(flaw(r#"{"n":1,"at":1,"from":"clock","tick":true,"text":""}"#), Flaw::TwoBodies);
        assert_eq!(flaw(r#"{"n":1,"at":1,"from":"clock","bytes":"?"}"#), Flaw::NotBase64);
        assert_eq!(flaw(r#"{"fillguard":1,"kind":"journal","created":"x"}"#), Flaw::SecondHeader);
        assert!(matches!(flaw(r#"{"n":"1","at":1}"#), Flaw::WrongType { .. }));
        assert!(matches!(flaw(r#"{"n":1,"at":1"#), Flaw::NotJson { .. }));
        assert!(matches!(flaw("[]x"), Flaw::NotJson { .. } | Flaw::WrongType { .. }));
        assert!(matches!(parse(b"\xff"), Err(Flaw::NotUtf8)));
    }

    #[test]
    fn a_flaw_does_not_repeat_the_line() {
        let text = flaw(r#"{"n":"hunter2","at":1}"#).to_string();
        assert!(!text.contains("hunter2"), "{text}");
    }
}
