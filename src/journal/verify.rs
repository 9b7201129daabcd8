//! Checks a file against its seals and says what is wrong with it, and where.

use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::domain::{Span, Timestamp};

use super::header::{Header, Kind};
use super::line::{self, Flaw, Line};
use super::lines::{Lines, Stop};
use super::reader::numbering;

/// At most this many faults of a file are kept: the first ones matter, the rest follows from them.
const FAULTS: usize = 8;

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
    /// How often an arrival is stamped earlier than the one before it (a clock that was set back).
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

/// A report with what the writer needs to go on after it.
pub(super) struct Scan {
    pub report: Report,
    /// The hash of everything read.
    pub hasher: blake3::Hasher,
    /// Bytes up to the end of the last line that is whole and right.
    pub whole: u64,
    /// Bytes up to the end of the last seal that holds.
    pub sealed: u64,
    /// Lines at or after the first fault that look like seals.
    pub seals_after_fault: u64,
    /// The number in the last line that could be read at all.
    pub any_n: u64,
    /// Whether a fault was passed.
    broken: bool,
    /// Whether a seal was found not to hold: then no later one can.
    altered: bool,
    expected: u64,
    /// Line and offset after the last seal.
    since_seal: (u64, u64),
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

    fn fault(&mut self, kind: FaultKind, lines: &Lines, what: String) {
        if self.faults.len() < FAULTS {
            self.faults.push(Fault { kind, line: lines.number(), offset: lines.offset(), what });
        }
    }
}

/// Reads a file through.
pub(super) fn scan(path: &Path) -> io::Result<Scan> {
    let mut lines = Lines::open(path)?;
    let mut scan = Scan::new(path, lines.is_compressed());
    loop {
        match lines.advance() {
            Ok(true) => scan.take(&lines),
            Ok(false) => break,
            Err(Stop::TooLong) => {
                scan.unreadable(&lines, "longer than 64 MiB, so this is no line of a recording".into());
                return Ok(scan);
            }
            Err(Stop::Io(error)) if lines.is_compressed() => {
                scan.unreadable(&lines, format!("the compressed data from here on is damaged ({error})"));
                return Ok(scan);
            }
            Err(Stop::Io(error)) => return Err(error),
        }
    }
    scan.end(&lines);
    Ok(scan)
}

impl Scan {
    fn new(path: &Path, compressed: bool) -> Self {
        Scan {
            report: Report {
                path: path.to_owned(),
                kind: None,
                compressed,
                bytes: 0,
                arrivals: 0,
                first_n: None,
                last_n: None,
                first_at: None,
                last_at: None,
                seals: 0,
                sealed_n: None,
                last_seal: None,
                unsealed: 0,
                prev: None,
                begins_at: 1,
                clock_back: 0,
                clock_back_most: Span::ZERO,
                faults: Vec::new(),
            },
            hasher: blake3::Hasher::new(),
            whole: 0,
            sealed: 0,
            seals_after_fault: 0,
            any_n: 0,
            broken: false,
            altered: false,
            expected: 1,
            since_seal: (1, 0),
        }
    }

    fn take(&mut self, lines: &Lines) {
        let line = lines.line();
        self.report.bytes = lines.offset() + line.len() as u64;
        if lines.number() == 1 {
            return self.header(lines, Header::parse(line));
        }
        if !lines.is_ended() {
            return self.unfinished(lines);
        }
        if lines.is_blank() {
            return self.pass(lines);
        }
        match line::parse(line) {
            Ok(Line::Arrival(arrival)) => {
                self.number(lines, arrival.n);
                self.time(arrival.at);
                self.report.arrivals += 1;
                self.report.unsealed += 1;
                self.report.first_n.get_or_insert(arrival.n);
                self.report.last_n = Some(arrival.n);
                self.any_n = arrival.n;
                self.pass(lines);
            }
            Ok(Line::Seal { hash, n }) => self.seal(lines, &hash, n),
            Err(flaw) => {
                self.unreadable(lines, flaw.to_string());
                if line.starts_with(b"{\"seal\"") {
                    self.seals_after_fault += 1;
                }
                self.pass(lines);
            }
        }
    }

    fn header(&mut self, lines: &Lines, parsed: Result<Header, Flaw>) {
        match parsed {
            Ok(header) if lines.is_ended() => {
                self.expected = header.first_n();
                self.any_n = self.expected.saturating_sub(1);
                self.report.begins_at = self.expected;
                self.report.kind = Some(header.kind);
                self.report.prev = header.prev;
            }
            Ok(_) => self.unreadable(lines, "the header was not written to its end".into()),
            Err(flaw) => self.unreadable(lines, flaw.to_string()),
        }
        self.pass(lines);
        self.since_seal = (2, self.whole);
    }

    /// A last line without its line break: torn, except one that an editor left so in a recording without seals.
    fn unfinished(&mut self, lines: &Lines) {
        let by_hand = self.report.kind == Some(Kind::Recording) && self.report.last_seal.is_none() && !lines.is_cut();
        if by_hand && lines.is_blank() {
            return;
        }
        if by_hand && let Ok(Line::Arrival(arrival)) = line::parse(lines.line()) {
            self.number(lines, arrival.n);
            self.time(arrival.at);
            self.report.arrivals += 1;
            self.report.unsealed += 1;
            self.report.first_n.get_or_insert(arrival.n);
            self.report.last_n = Some(arrival.n);
            return;
        }
        self.torn(lines);
    }

    fn torn(&mut self, lines: &Lines) {
        let n = self.report.last_n.unwrap_or(self.report.begins_at.saturating_sub(1));
        let up_to = match (n + 1 == self.report.begins_at, self.report.sealed_n == Some(n)) {
            (true, _) => "no arrival before it".to_owned(),
            (false, true) => format!("everything up to n={n} is whole and sealed"),
            (false, false) => format!("everything up to n={n} is whole"),
        };
        let what = match (lines.line().len(), lines.is_cut()) {
            (0, _) => format!("the compressed file ends in the middle: what came after this is missing; {up_to}"),
            (bytes, true) => format!(
                "the compressed file ends in the middle: the last {bytes} bytes are an unfinished record; {up_to}"
            ),
            (bytes, false) => format!("the last {bytes} bytes are an unfinished record; {up_to}"),
        };
        self.report.fault(FaultKind::Torn, lines, what);
        self.broken = true;
    }

    /// Counts a line into the hash and, while nothing was wrong, into what is whole.
    fn pass(&mut self, lines: &Lines) {
        self.hasher.update(lines.line());
        if !self.broken {
            self.whole = lines.offset() + lines.line().len() as u64;
        }
    }

    fn number(&mut self, lines: &Lines, n: u64) {
        if n != self.expected {
            let what = format!("arrival {n} stands where {} should be: {}", self.expected, numbering(self.expected, n));
            self.report.fault(FaultKind::Numbering, lines, what);
            self.broken = true;
        }
        self.expected = n.saturating_add(1);
    }

    fn time(&mut self, at: Timestamp) {
        if let Some(before) = self.report.last_at
            && at < before
        {
            self.report.clock_back += 1;
            self.report.clock_back_most = self.report.clock_back_most.max(before.since(at));
        }
        self.report.first_at.get_or_insert(at);
        self.report.last_at = Some(at);
    }

    fn seal(&mut self, lines: &Lines, hash: &str, n: u64) {
        let last_n = self.expected.saturating_sub(1);
        self.any_n = self.any_n.max(n);
        self.report.last_seal = Some(hash.to_owned());
        self.report.unsealed = 0;
        let computed = self.hasher.finalize().to_hex();
        // The last seal is under no other seal, so every byte of its line has to be as it is written.
        let holds = lines.line() == line::seal(&computed, last_n).as_bytes();
        self.pass(lines);
        if holds {
            self.report.seals += 1;
            self.report.sealed_n = self.report.last_n;
            self.since_seal = (lines.number() + 1, lines.offset() + lines.line().len() as u64);
            if !self.broken {
                self.sealed = self.whole;
            }
        } else if !self.altered {
            // No later seal can hold, so only the first failure says something.
            self.altered = true;
            let (line, offset) = self.since_seal;
            let what = match (hash == computed.as_str(), line < lines.number()) {
                (true, _) => format!("this seal was altered (its hash holds for n={last_n})"),
                (false, true) => format!(
                    "this seal does not hold: something from line {line} (byte {offset}) up to here was altered, added or \
                     removed"
                ),
                (false, false) => "this seal does not hold: it was altered or does not belong here".to_owned(),
            };
            self.report.fault(FaultKind::Altered, lines, what);
            self.broken = true;
        }
        if self.broken {
            self.seals_after_fault += 1;
        }
    }

    fn unreadable(&mut self, lines: &Lines, what: String) {
        self.report.fault(FaultKind::Unreadable, lines, what);
        self.broken = true;
    }

    fn end(&mut self, lines: &Lines) {
        let told = self.report.faults.iter().any(|fault| fault.kind == FaultKind::Torn);
        if lines.is_cut() && !told {
            self.torn(lines);
        } else if self.report.bytes == 0 {
            self.unreadable(lines, "the file is empty".into());
        }
        let must = self.report.kind == Some(Kind::Journal) || self.report.last_seal.is_some();
        if must && self.report.unsealed > 0 && self.report.faults.is_empty() {
            let (line, offset) = self.since_seal;
            let what = format!(
                "{} from here on {} not sealed: an alteration could not be found (the daemon seals what it finds \
                 whole when it starts)",
                match self.report.unsealed {
                    1 => "1 arrival".to_owned(),
                    more => format!("{more} arrivals"),
                },
                if self.report.unsealed == 1 { "is" } else { "are" }
            );
            self.report.faults.push(Fault { kind: FaultKind::NotSealed, line, offset, what });
        }
    }
}

/// Returns a file's name without its directory.
fn name(path: &Path) -> std::path::Display<'_> {
    path.file_name().map_or(path, Path::new).display()
}
