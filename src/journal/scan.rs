//! Reads a file through, hashes it, and notes where it is not what it should be.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use crate::arrival::{Arrival, Source};
use crate::domain::{Span, Timestamp};

use super::error::numbering;
use super::header::{Header, Kind};
use super::line::{self, Flaw, Line};
use super::lines::{Lines, Stop};
use super::verify::{Fault, FaultKind, Report};

/// At most this many faults of a file are kept: the first ones matter, the rest follows from them.
const FAULTS: usize = 8;

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
    /// The highest number in any line that could be read, also after a fault.
    pub any_n: u64,
    /// Whether a fault was passed.
    broken: bool,
    /// Whether a seal was found not to hold: then no later one can.
    altered: bool,
    expected: u64,
    /// When each source was last heard of.
    latest: BTreeMap<Source, Timestamp>,
    /// Line and offset after the last seal.
    since_seal: (u64, u64),
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
            latest: BTreeMap::new(),
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
                self.time(&arrival);
                self.report.arrivals += 1;
                self.report.unsealed += 1;
                self.report.first_n.get_or_insert(arrival.n);
                self.report.last_n = Some(arrival.n);
                self.used(arrival.n);
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
            self.time(&arrival);
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
        self.fault(FaultKind::Torn, lines, what);
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
            self.fault(FaultKind::Numbering, lines, what);
            self.broken = true;
        }
        self.expected = n.saturating_add(1);
    }

    /// Notes a number, unless it is so far ahead that only an alteration can have made it.
    fn used(&mut self, n: u64) {
        if n.saturating_sub(self.any_n) < 1 << 32 {
            self.any_n = self.any_n.max(n);
        }
    }

    /// Notes a time, and whether its own source had come later already: an answer of REST is timed when it comes and
    /// numbered when it was read, so it stands behind later arrivals of others without any clock being set back.
    fn time(&mut self, arrival: &Arrival) {
        let at = arrival.at;
        let before = match self.latest.get_mut(&arrival.from) {
            Some(before) => std::mem::replace(before, at),
            None => self.latest.insert(arrival.from.clone(), at).unwrap_or(at),
        };
        if at < before {
            self.report.clock_back += 1;
            self.report.clock_back_most = self.report.clock_back_most.max(before.since(at));
        }
        self.report.first_at.get_or_insert(at);
        self.report.last_at = Some(at);
    }

    fn seal(&mut self, lines: &Lines, hash: &str, n: u64) {
        let last_n = self.expected.saturating_sub(1);
        self.used(n);
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
            self.fault(FaultKind::Altered, lines, what);
            self.broken = true;
        }
        if self.broken {
            self.seals_after_fault += 1;
        }
    }

    fn unreadable(&mut self, lines: &Lines, what: String) {
        self.fault(FaultKind::Unreadable, lines, what);
        self.broken = true;
    }

    fn fault(&mut self, kind: FaultKind, lines: &Lines, what: String) {
        if self.report.faults.len() < FAULTS {
            self.report.faults.push(Fault { kind, line: lines.number(), offset: lines.offset(), what });
        }
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
