//! Checks a file against its seals and says what is wrong with it, and where.

use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::domain::{Span, Timestamp};

use super::header::Kind;
use super::scan::scan;

/// What a check of one file found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The file.
    pub path: PathBuf,
    /// Whether it is a journal's segment; nothing when the header is unreadable.
    pub kind: Option<Kind>,
    /// Whether it is compressed.
    pub compressed: bool,
    /// Bytes of its text, uncompressed.
    pub bytes: u64,
    /// Arrivals that could be read.
    pub arrivals: u64,
    /// Number of the first arrival.
    pub first_n: Option<u64>,
    /// Number of the last arrival.
    pub last_n: Option<u64>,
    /// Time of the first arrival, nanoseconds since 1970.
    pub first_at: Option<Timestamp>,
    /// Time of the last arrival, nanoseconds since 1970.
    pub last_at: Option<Timestamp>,
    /// Seals that hold.
    pub seals: u64,
    /// The last arrival under a seal that holds.
    pub sealed_n: Option<u64>,
    /// The text of the last seal, whether it holds or not.
    pub last_seal: Option<String>,
    /// Whole arrivals after the last seal.
    pub unsealed: u64,
    /// The last seal of the segment before it, as the header names it.
    pub prev: Option<String>,
    /// The number its first arrival has to have.
    pub begins_at: u64,
    /// How often an arrival is stamped earlier than the one before it of the same source (a clock that was set back).
    pub clock_back: u64,
    /// The largest such step, nanoseconds.
    pub clock_back_most: Span,
    /// What is wrong, in the order of the file.
    pub faults: Vec<Fault>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// What kind of thing.
    pub kind: FaultKind,
    /// The line, from 1.
    pub line: u64,
    /// Where the line begins, in bytes of the uncompressed text.
    pub offset: u64,
    /// What it means, for people.
    pub what: String,
}

/// Kinds of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// A seal does not hold.
    Altered,
    /// A line that is neither arrival nor seal.
    Unreadable,
    /// A hole or repeat in the numbers.
    Numbering,
    /// The last record was not written to its end.
    Torn,
    /// Arrivals that no seal covers in a file that has, or must have, seals.
    NotSealed,
    /// A segment that does not continue the one before it.
    Chain,
}

/// Checks one file by itself. An error is one of opening it; everything else is in the report.
pub fn verify(path: &Path) -> io::Result<Report> {
    // A file that grew meanwhile is being written: its unfinished last record is one that is on its way.
    let mut before = std::fs::metadata(path)?.len();
    for _ in 0..3 {
        let report = scan(path)?.report;
        let now = std::fs::metadata(path)?.len();
        if now == before || report.faults.is_empty() {
            return Ok(report);
        }
        before = now;
    }
    scan(path).map(|scan| scan.report)
}

impl Report {
    /// Checks that this segment continues `earlier`, and adds a fault if it does not. Returns whether the seals
    /// prove it.
    pub fn follow(&mut self, earlier: &Report) -> bool {
        let Some(prev) = &self.prev else { return false };
        let end = earlier.last_seal.as_ref().or(earlier.prev.as_ref());
        if end == Some(prev) {
            return true;
        }
        let what = format!(
            "it does not continue {}: a segment between them is missing, or the end of that one was cut off or altered",
            name(&earlier.path)
        );
        self.faults.insert(0, Fault { kind: FaultKind::Chain, line: 1, offset: 0, what });
        false
    }
}

/// Returns a file's name without its directory.
fn name(path: &Path) -> std::path::Display<'_> {
    path.file_name().map_or(path, Path::new).display()
}
