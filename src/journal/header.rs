//! The first line of a recording.

use serde::{Deserialize, Serialize};

use crate::domain::Timestamp;

use super::line::Flaw;

/// The format this build reads and writes.
const VERSION: u64 = 1;

/// What the first line of a recording says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Whether it is a segment of a journal or a recording made otherwise.
    pub kind: Kind,
    /// When it was begun; milliseconds are kept.
    pub created: Timestamp,
    /// What people should know about it.
    pub note: Option<String>,
    /// The number of its first arrival, where that is not 1.
    pub first: Option<u64>,
    /// The last seal of the segment before it.
    pub prev: Option<String>,
}

/// How a recording came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Written by the daemon while it watched.
    Journal,
    /// Written by a converter, the simulator or a person.
    Recording,
}

#[derive(Deserialize)]
struct Version {
    fillguard: u64,
}

#[derive(Serialize, Deserialize)]
struct Wire {
    fillguard: u64,
    kind: Kind,
    created: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    first: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    prev: Option<String>,
}

impl Header {
    /// Makes the header of a recording begun at `created`.
    pub fn recording(created: Timestamp) -> Self {
        Header { kind: Kind::Recording, created, note: None, first: None, prev: None }
    }

    /// Adds a note for people.
    pub fn with_note(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into());
        self
    }

    /// Returns the number its first arrival has to have.
    pub fn first_n(&self) -> u64 {
        self.first.unwrap_or(1)
    }

    /// Writes it as a line.
    pub(super) fn write(&self, out: &mut Vec<u8>) -> std::io::Result<()> {
        let wire = Wire {
            fillguard: VERSION,
            kind: self.kind,
            created: self.created.to_string(),
            note: self.note.clone(),
            first: self.first,
            prev: self.prev.clone(),
        };
        serde_json::to_writer(&mut *out, &wire)?;
        out.push(b'\n');
        Ok(())
    }

    /// Reads it from a line; a version this build does not know is told apart from a line that is no header.
    pub(super) fn parse(line: &[u8]) -> Result<Self, Flaw> {
        let version: Version = serde_json::from_slice(line).map_err(|_| Flaw::NotAHeader)?;
        if version.fillguard != VERSION {
            return Err(Flaw::Version { found: version.fillguard });
        }
        let wire: Wire = serde_json::from_slice(line).map_err(|_| Flaw::Header)?;
        let created = Timestamp::from_rfc3339(&wire.created).ok_or(Flaw::Header)?;
        Ok(Header { kind: wire.kind, created, note: wire.note, first: wire.first, prev: wire.prev })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_as_it_was_written() {
        let header = Header {
            kind: Kind::Journal,
            created: Timestamp::from_rfc3339("2026-11-22T10:00:00.250Z").unwrap(),
            note: Some("a \"quoted\" note\n".into()),
            first: Some(812),
            prev: Some("ab".repeat(32)),
        };
        let mut line = Vec::new();
        header.write(&mut line).unwrap();
        assert_eq!(Header::parse(&line), Ok(header));
    }

    #[test]
    fn a_header_by_hand_may_have_any_order_and_more_keys() {
        let line = br#"{"x":[1],"created":"2026-11-22T10:00:00Z","kind":"recording","fillguard":1}"#;
        assert_eq!(Header::parse(line).unwrap().kind, Kind::Recording);
    }

    #[test]
    fn a_newer_format_is_refused_by_its_number() {
        assert_eq!(Header::parse(br#"{"fillguard":2,"shape":"new"}"#), Err(Flaw::Version { found: 2 }));
        assert_eq!(Header::parse(br#"{"n":1}"#), Err(Flaw::NotAHeader));
        assert_eq!(Header::parse(br#"{"fillguard":1,"kind":"tape","created":"x"}"#), Err(Flaw::Header));
    }
}
