//! A log file's lines, each once, whatever happens to the file: renamed, copied and cut short, deleted and made anew.
//!
//! It touches files and nothing else: no clock, no task. Called again and again, it says what is new since.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::flaw::Flaw;
use super::folder::{self, Rotated};
use super::trace::{self, Trace};
use crate::domain::{LogMark, Timestamp};

/// What a look at a log brought, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Got {
    /// A file is read from here on.
    Began {
        /// Which.
        file: PathBuf,
        /// The place.
        mark: LogMark,
    },
    /// A whole line.
    Line {
        /// Its text, without its end.
        text: String,
        /// Where it begins.
        begins: u64,
        /// The place behind it.
        mark: LogMark,
    },
    /// Bytes that are no line that could be read.
    Flawed {
        /// Why.
        flaw: Flaw,
        /// Where they begin.
        begins: u64,
    },
    /// A file was read to its end and another follows.
    Left,
    /// Something may be missing.
    Missed(String),
}

/// How a log is followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Manner {
    /// The log.
    pub(super) path: PathBuf,
    /// Whether a log that was never read is read from its first line.
    pub(super) from_start: bool,
    /// The longest line, in bytes.
    pub(super) longest: usize,
    /// How many looks a rotated file must have been quiet before it is left for its successor.
    pub(super) quiet: u32,
}

/// A log that is followed.
#[derive(Debug)]
pub(super) struct Tail {
    manner: Manner,
    turn: u64,
    open: Option<Open>,
    /// Where it was left before this process, and when.
    resume: Option<(LogMark, Timestamp)>,
    /// Whether the log was looked for and was not there: what appears later is all new.
    awaited: bool,
}

#[derive(Debug)]
struct Open {
    file: File,
    trace: Trace,
    /// The begin of a line whose end is not there yet.
    pending: Vec<u8>,
    /// Whether what comes up to the next line's begin belongs to a line that is too long.
    skipping: bool,
    /// Looks without anything new since a successor was seen, and all looks since.
    quiet: u32,
    looks: u32,
}

/// The file that comes after another.
#[derive(Debug)]
struct Next {
    path: PathBuf,
    inode: u64,
    empty: bool,
}

/// Bytes read in one look; more are left to the next, which then follows at once.
const LOOK: usize = 256 << 10;
const CHUNK: usize = 64 << 10;
/// How far the clock that dates files may be behind ours, in nanoseconds.
const COARSE: i64 = 50_000_000;
/// Looks after which a rotated file that is still written to is left.
const PATIENCE: u32 = 240;

impl Tail {
    /// Goes on where a log was left, or begins.
    pub(super) fn new(manner: Manner, resume: Option<(LogMark, Timestamp)>) -> Self {
        let turn = resume.as_ref().map_or(0, |(mark, _)| mark.turn);
        Tail { manner, turn, open: None, resume, awaited: false }
    }

    /// Appends what is new; returns whether there is more to read at once. Fails while the log cannot be read.
    pub(super) fn look(&mut self, got: &mut Vec<Got>) -> io::Result<bool> {
        let Some(mut open) = self.open.take() else {
            return match self.begin(got) {
                Ok(begun) => {
                    self.open = Some(begun);
                    Ok(true)
                }
                Err(error) => {
                    self.awaited |= error.kind() == io::ErrorKind::NotFound;
                    Err(error)
                }
            };
        };
        let more = self.read(&mut open, got);
        // Whatever went wrong, the place is not forgotten.
        self.open.get_or_insert(open);
        more
    }

    /// Reads on, and goes over to the next file where this one is at its end.
    fn read(&mut self, open: &mut Open, got: &mut Vec<Got>) -> io::Result<bool> {
        if !open.trace.holds(&open.file)? {
            self.open = Some(self.cut_short(open, got)?);
            return Ok(true);
        }
        if let Some(copy) = self.copied_unseen(open)? {
            let file = folder::open(&copy)?;
            self.open = Some(self.start(file, copy, 0, got)?);
            return Ok(true);
        }
        let read = open.read(self.turn, self.manner.longest, got)?;
        if read >= LOOK {
            return Ok(true);
        }
        let Some(next) = self.successor(open)? else { return Ok(false) };
        open.quiet = if read == 0 { open.quiet.saturating_add(1) } else { 0 };
        open.looks = open.looks.saturating_add(1);
        // While the new file is empty its writer still has this one.
        if next.empty || open.quiet < self.manner.quiet && open.looks < PATIENCE {
            return Ok(false);
        }
        let next_file = folder::open(&next.path)?;
        if next_file.metadata()?.ino() != next.inode {
            return Ok(true);
        }
        if open.quiet < self.manner.quiet {
            got.push(Got::Missed("the rotated file is still written to; it is left for the new one".to_owned()));
        }
        if !open.pending.is_empty() {
            got.push(Got::Flawed { flaw: Flaw::Torn, begins: open.trace.position() });
        }
        self.tell_compressed(folder::modified(&open.file.metadata()?), got);
        got.push(Got::Left);
        self.open = Some(self.start(next_file, next.path, 0, got)?);
        Ok(true)
    }

    /// Opens the log where it was left, or where it begins.
    fn begin(&mut self, got: &mut Vec<Got>) -> io::Result<Open> {
        let Some((mark, at)) = self.resume.clone() else {
            let file = folder::open(&self.manner.path)?;
            let from = if self.manner.from_start || self.awaited { 0 } else { last_line_end(&file)? };
            return self.start(file, self.manner.path.clone(), from, got);
        };
        let rotated = folder::rotated(&self.manner.path)?;
        let since = at.nanos().saturating_sub(COARSE);
        let newest_first = rotated.iter().rev().filter(|one| !one.compressed).map(|one| one.path.as_path());
        let candidates: Vec<(&Path, File)> = std::iter::once(self.manner.path.as_path())
            .chain(newest_first)
            .filter_map(|path| Some((path, folder::open(path).ok()?)))
            .collect();
        let mut copy = None;
        for (path, file) in &candidates {
            if !trace::fits(file, &mark)? {
                continue;
            }
            if file.metadata()?.ino() == mark.inode {
                let unseen = unread(&rotated, mark.before, since).filter(|one| one.inode != mark.inode);
                if mark.offset == 0 && *path == self.manner.path && unseen.is_some() {
                    // Nothing of it was read, so it cannot be known again: it may have been copied and cut short.
                    break;
                }
                self.resume = None;
                // The same turn: the journal has the lines before this place, and none after it.
                self.turn = mark.turn.saturating_sub(1);
                return self.start(file.try_clone()?, path.to_path_buf(), mark.offset, got);
            }
            if mark.offset > 0 && copy.is_none() {
                copy = Some((path.to_path_buf(), file.try_clone()?));
            }
        }
        if let Some((path, file)) = copy {
            self.resume = None;
            return self.start(file, path, mark.offset, got);
        }
        let newer = unread(&rotated, mark.before, since);
        let path = newer.map_or(self.manner.path.clone(), |one| one.path.clone());
        let file = folder::open(&path)?;
        if mark.offset > 0 {
            got.push(Got::Missed(
                "the file that was being read is gone, compressed or rewritten: what was written to it after fillguard \
                 stopped was not read"
                    .to_owned(),
            ));
        }
        self.tell_compressed(since, got);
        self.resume = None;
        self.start(file, path, 0, got)
    }

    /// Goes on after the file was cut short: first with the copy that was made of it, if there is one.
    fn cut_short(&mut self, open: &Open, got: &mut Vec<Got>) -> io::Result<Open> {
        let mark = open.trace.mark(self.turn);
        let copy = folder::rotated(&self.manner.path)?.into_iter().rev().find_map(|one| {
            let file = (!one.compressed && one.inode != mark.inode).then(|| folder::open(&one.path).ok()).flatten()?;
            (mark.offset > 0 && trace::fits(&file, &mark).ok()?).then_some((one.path, file))
        });
        if let Some((path, file)) = copy {
            return self.start(file, path, mark.offset, got);
        }
        if !open.pending.is_empty() {
            got.push(Got::Flawed { flaw: Flaw::Torn, begins: open.trace.position() });
        }
        got.push(Got::Missed("the file was cut short; lines between the last look and that were not read".to_owned()));
        got.push(Got::Left);
        self.start(open.file.try_clone()?, self.manner.path.clone(), 0, got)
    }

    fn start(&mut self, file: File, path: PathBuf, offset: u64, got: &mut Vec<Got>) -> io::Result<Open> {
        let rotated = folder::rotated(&self.manner.path)?;
        let place = rotated.iter().position(|one| one.path == path).unwrap_or(rotated.len());
        let before = rotated[..place].last().map_or(0, |one| one.inode);
        let trace = Trace::at(&file, offset, before)?;
        self.turn += 1;
        got.push(Got::Began { file: path, mark: trace.mark(self.turn) });
        Ok(Open { file, trace, pending: Vec::new(), skipping: false, quiet: 0, looks: 0 })
    }

    /// Returns the copy that was made of the log before anything of it was read, if there is one.
    fn copied_unseen(&self, open: &Open) -> io::Result<Option<PathBuf>> {
        let ours = open.trace.inode();
        if open.trace.position() > 0 || fs::metadata(&self.manner.path).map_or(0, |about| about.ino()) != ours {
            return Ok(None);
        }
        let rotated = folder::rotated(&self.manner.path)?;
        let copy = unread(&rotated, open.trace.before(), i64::MAX).filter(|one| one.inode != ours);
        Ok(copy.map(|one| one.path.clone()))
    }

    /// Returns the file that comes after the open one; nothing while the log itself is open.
    fn successor(&self, open: &Open) -> io::Result<Option<Next>> {
        let ours = open.trace.inode();
        let about = match fs::metadata(&self.manner.path) {
            Ok(about) if about.ino() == ours => return Ok(None),
            Ok(about) => Some(about),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let rotated = folder::rotated(&self.manner.path)?;
        let after: Vec<&Rotated> = match rotated.iter().position(|one| one.inode == ours) {
            Some(place) => rotated[place + 1..].iter().collect(),
            None => {
                let modified = folder::modified(&open.file.metadata()?);
                rotated.iter().filter(|one| one.modified > modified).collect()
            }
        };
        let between = after.into_iter().find(|one| !one.compressed);
        let between = between.map(|one| Next { path: one.path.clone(), inode: one.inode, empty: false });
        let log =
            |about: Metadata| Next { path: self.manner.path.clone(), inode: about.ino(), empty: about.len() == 0 };
        Ok(between.or_else(|| about.map(log)))
    }

    /// Says which files were compressed before anybody read them.
    fn tell_compressed(&self, since: i64, got: &mut Vec<Got>) {
        let rotated = folder::rotated(&self.manner.path).unwrap_or_default();
        let unread = rotated.iter().filter(|one| one.compressed && one.modified > since);
        got.extend(unread.map(|one| {
            Got::Missed(format!(
                "{} was compressed before it was read; let logrotate wait with `delaycompress`",
                one.path.display()
            ))
        }));
    }
}

impl Open {
    /// Reads up to [`LOOK`] bytes; returns how many.
    fn read(&mut self, turn: u64, longest: usize, got: &mut Vec<Got>) -> io::Result<usize> {
        let mut chunk = vec![0; CHUNK];
        // A line whose end was missing is read again from its begin: it may have been written anew.
        let before = std::mem::take(&mut self.pending).len();
        let mut all = 0;
        while all < LOOK {
            let at = self.trace.position() + self.pending.len() as u64;
            match self.file.read_at(&mut chunk, at) {
                Ok(0) => break,
                Ok(read) => {
                    self.take(&chunk[..read], turn, longest, got);
                    all += read;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(all.saturating_sub(before))
    }

    fn take(&mut self, mut bytes: &[u8], turn: u64, longest: usize, got: &mut Vec<Got>) {
        while !bytes.is_empty() {
            if self.pending.is_empty() && !self.skipping {
                // A writer that does not append leaves a hole of zeros where the file was cut short.
                let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
                self.trace.feed(&bytes[..zeros]);
                bytes = &bytes[zeros..];
            }
            let end = bytes.iter().position(|byte| *byte == b'\n');
            let (piece, rest) = bytes.split_at(end.map_or(bytes.len(), |end| end + 1));
            bytes = rest;
            if self.skipping {
                self.trace.feed(piece);
                self.skipping = end.is_none();
                continue;
            }
            self.pending.extend_from_slice(piece);
            let (begins, length) = (self.trace.position(), self.pending.len() - usize::from(end.is_some()));
            if length > longest {
                got.push(Got::Flawed { flaw: Flaw::TooLong, begins });
                self.skipping = end.is_none();
            } else if end.is_none() {
                continue;
            }
            self.trace.feed(&self.pending);
            if length <= longest {
                let text = String::from_utf8_lossy(&self.pending);
                let text = text.trim_end_matches(['\n', '\r']);
                if !text.is_empty() {
                    got.push(Got::Line { text: text.to_owned(), begins, mark: self.trace.mark(turn) });
                }
            }
            self.pending.clear();
        }
    }
}

/// Returns the oldest file that a log was rotated into since the one called `before`; where that is gone, one that was
/// written after `since`.
fn unread(rotated: &[Rotated], before: u64, since: i64) -> Option<&Rotated> {
    let known = rotated.iter().position(|one| one.inode == before);
    let later = match known {
        Some(place) => &rotated[place + 1..],
        None => rotated,
    };
    later.iter().find(|one| !one.compressed && (known.is_some() || before == 0 || one.modified > since))
}

/// Returns where the last whole line of a file ends.
fn last_line_end(file: &File) -> io::Result<u64> {
    let mut end = file.metadata()?.len();
    let mut chunk = vec![0; CHUNK];
    while end > 0 {
        let begin = end.saturating_sub(CHUNK as u64);
        let part = &mut chunk[..usize::try_from(end - begin).unwrap_or(CHUNK)];
        file.read_exact_at(part, begin)?;
        if let Some(at) = part.iter().rposition(|byte| *byte == b'\n') {
            return Ok(begin + at as u64 + 1);
        }
        end = begin;
    }
    Ok(0)
}

#[cfg(test)]
#[path = "tail_tests.rs"]
mod tests;
