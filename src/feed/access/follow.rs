//! A followed log as a task: looks at it now and then, hands over its entries, and says what could not be taken.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use compact_str::format_compact;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;

use super::entry::Entry;
use super::flaw::Flaw;
use super::line::Reader;
use super::settings::FileSource;
use super::tail::{Got, Manner, Tail};
use crate::arrival::{Body, Source};
use crate::domain::{LogMark, Timestamp};
use crate::feed::error::Error;
use crate::feed::outlet::Outlet;
use crate::networks::Networks;
use crate::runtime::clock;

/// The place up to which a log was handed over, and when.
pub(super) type Place = Arc<Mutex<Option<(LogMark, Timestamp)>>>;

/// A log that is followed.
pub(super) struct Follow {
    pub(super) source: FileSource,
    pub(super) outlet: Outlet,
    pub(super) place: Place,
    pub(super) watched: super::Watched,
    pub(super) networks: Networks,
}

/// Looks that a rotated file must have been quiet before its successor is read.
const QUIET: u32 = 4;
/// A place is handed over although nothing there concerned us after so many bytes, so that a restart need not read them
/// again.
const SILENT: u64 = 1 << 20;

/// What a look brought, read.
struct Look {
    tail: Tail,
    reader: Reader,
    found: Vec<Found>,
    looked: io::Result<bool>,
}

enum Found {
    Began(PathBuf, LogMark),
    Entry(Entry, LogMark),
    /// A line that was not taken, and the place behind it.
    Passed(LogMark),
    Flawed(Flaw, u64),
    Left,
    Missed(String),
}

/// What a file's lines lacked.
#[derive(Default)]
struct Tally {
    file: PathBuf,
    flaws: BTreeMap<Flaw, u64>,
}

#[derive(Serialize)]
struct Own<'a> {
    mark: &'a LogMark,
}

#[derive(Serialize)]
struct Alone<'a> {
    fillguard: Own<'a>,
}

impl Follow {
    /// Follows the log until `stop`. Fails when the queue to the journal is closed.
    pub(super) async fn run(mut self, stop: CancellationToken) -> Result<(), Error> {
        let FileSource { path, from_start, longest, .. } = &self.source;
        let manner = Manner { path: path.clone(), from_start: *from_start, longest: *longest, quiet: QUIET };
        let mut tail = Tail::new(manner, self.place().clone());
        let mut reader = self.source.reader.clone();
        let mut tally = Tally { file: path.clone(), flaws: BTreeMap::new() };
        // Nothing until the first look: a log that never was there is not lost.
        let mut state: Option<Result<(), String>> = None;
        loop {
            super::refresh(&mut reader.whose, &mut self.watched);
            let look = tokio::task::spawn_blocking(move || look(tail, reader)).await;
            let look = look.map_err(|_| Error::Protocol("a look at an access log was cut short"))?;
            (tail, reader) = (look.tail, look.reader);
            for found in look.found {
                tokio::select! {
                    () = stop.cancelled() => break,
                    taken = self.take(found, &mut tally) => taken?,
                }
            }
            let now = look.looked.as_ref().map(|_| ()).map_err(ToString::to_string);
            if state.as_ref() != Some(&now) {
                tokio::select! {
                    () = stop.cancelled() => {}
                    told = self.tell(&now) => told?,
                }
                state = Some(now);
            }
            if stop.is_cancelled() {
                tally.close(&self.source.name);
                return Ok(());
            }
            if !matches!(look.looked, Ok(true)) {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = tokio::time::sleep(self.source.every) => {}
                }
            }
        }
    }

    async fn take(&self, found: Found, tally: &mut Tally) -> Result<(), Error> {
        let name = &self.source.name;
        match found {
            Found::Began(file, mark) => {
                tally.close(name);
                *tally = Tally { file, flaws: BTreeMap::new() };
                tracing::info!("access/{name}: {} is read from byte {} on", tally.file.display(), mark.offset);
                self.pass(alone(&mark), mark).await
            }
            Found::Entry(entry, mark) => {
                self.pass(entry.located(&self.networks).frame(&Own { mark: &mark }), mark).await
            }
            Found::Passed(mark) => {
                let told = self.place().as_ref().map_or((0, 0), |(told, _)| (told.turn, told.offset));
                let silent = told.0 != mark.turn || mark.offset.saturating_sub(told.1) >= SILENT;
                if silent { self.pass(alone(&mark), mark).await } else { Ok(()) }
            }
            Found::Flawed(flaw, begins) => {
                tally.note(name, flaw, begins);
                Ok(())
            }
            Found::Left => {
                tally.close(name);
                Ok(())
            }
            Found::Missed(what) => {
                tracing::warn!("access/{name}: {}: {what}", tally.file.display());
                Ok(())
            }
        }
    }

    /// Hands over a frame; from then on the log counts as read up to `mark`.
    async fn pass(&self, frame: serde_json::Result<Box<RawValue>>, mark: LogMark) -> Result<(), Error> {
        let frame = frame.map_err(|_| Error::Protocol("an access entry cannot be put into words"))?;
        let at = clock::now();
        self.outlet.pass(at, Source::Access(self.source.name.clone()), Body::Frame(frame)).await?;
        *self.place() = Some((mark, at));
        Ok(())
    }

    /// Says that the log can be read now, or why not.
    async fn tell(&self, now: &Result<(), String>) -> Result<(), Error> {
        let (name, path) = (&self.source.name, self.source.path.display());
        let body = match now {
            Ok(()) => Body::LinkUp,
            Err(why) => {
                tracing::warn!("access/{name}: {path} cannot be read and is waited for: {why}");
                Body::LinkDown { why: format_compact!("the log cannot be read: {why}") }
            }
        };
        self.outlet.note(Source::Access(name.clone()), body).await
    }

    fn place(&self) -> std::sync::MutexGuard<'_, Option<(LogMark, Timestamp)>> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn alone(mark: &LogMark) -> serde_json::Result<Box<RawValue>> {
    serde_json::value::to_raw_value(&Alone { fillguard: Own { mark } })
}

/// Looks at the log and reads its lines, where waiting for the disk holds up nobody.
fn look(mut tail: Tail, reader: Reader) -> Look {
    let mut got = Vec::new();
    let looked = tail.look(&mut got);
    let (mut found, mut amiss) = (Vec::with_capacity(got.len()), Vec::new());
    for one in got {
        match one {
            Got::Began { file, mark } => found.push(Found::Began(file, mark)),
            Got::Flawed { flaw, begins } => found.push(Found::Flawed(flaw, begins)),
            Got::Left => found.push(Found::Left),
            Got::Missed(what) => found.push(Found::Missed(what)),
            Got::Line { text, begins, mark } => {
                let read = reader.read(&text, &mut amiss);
                found.extend(amiss.drain(..).map(|flaw| Found::Flawed(flaw, begins)));
                match read {
                    Ok(entry) => found.push(Found::Entry(entry, mark)),
                    Err(flaw) => found.extend([Found::Flawed(flaw, begins), Found::Passed(mark)]),
                }
            }
        }
    }
    Look { tail, reader, found, looked }
}

impl Tally {
    /// Says the first of its kind in a file; the others are counted.
    fn note(&mut self, name: &str, flaw: Flaw, begins: u64) {
        let count = self.flaws.entry(flaw).or_default();
        *count += 1;
        if *count > 1 {
            return;
        }
        let file = self.file.display();
        if flaw.is_usual() {
            tracing::info!("access/{name}: {file}, the line at byte {begins}: {flaw}; others like it are counted");
        } else {
            tracing::warn!("access/{name}: {file}, the line at byte {begins}: {flaw}; others like it are counted");
        }
    }

    /// Says how many there were.
    fn close(&mut self, name: &str) {
        for (flaw, count) in std::mem::take(&mut self.flaws).into_iter().filter(|(_, count)| *count > 1) {
            tracing::info!("access/{name}: {}: {count} lines: {flaw}", self.file.display());
        }
    }
}
