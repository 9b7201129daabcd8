//! Closed segments: compressed, and dropped when they are too old or too many. Works beside the writer on a thread of its
//! own; whatever it leaves undone is found again at the next segment.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use crate::domain::{Span, Timestamp};

use super::reader::Reader;
use super::segment::{Segment, segments, sync_dir};
use super::writer::Settings;

/// zstd's level: 3 makes about a ninth of frames, at 400 MB/s.
const LEVEL: i32 = 3;

/// The thread that looks after closed segments; dropping this waits until it has finished the one it is at.
#[derive(Debug)]
pub(super) struct Keeper {
    orders: Option<SyncSender<Order>>,
    /// The last order that found no room.
    missed: Option<Order>,
    thread: Option<JoinHandle<()>>,
}

/// A segment was begun: what is before it is closed.
#[derive(Debug)]
struct Order {
    first: u64,
    now: Timestamp,
}

struct Closed {
    dir: PathBuf,
    keep_for: Option<Span>,
    keep_bytes: Option<u64>,
}

impl Keeper {
    /// Starts the thread.
    pub(super) fn start(settings: &Settings) -> io::Result<Self> {
        let closed = Closed { dir: settings.dir.clone(), keep_for: settings.keep_for, keep_bytes: settings.keep_bytes };
        let (orders, inbox) = sync_channel(1);
        let thread = std::thread::Builder::new().name("journal-keeper".into()).spawn(move || closed.serve(&inbox))?;
        Ok(Keeper { orders: Some(orders), missed: None, thread: Some(thread) })
    }

    /// Tells that a segment was begun. Never waits: an order that finds no room is one that the next makes good.
    pub(super) fn wake(&mut self, first: u64, now: Timestamp) {
        let Some(orders) = &self.orders else { return };
        self.missed = match orders.try_send(Order { first, now }) {
            Ok(()) => None,
            Err(TrySendError::Full(order) | TrySendError::Disconnected(order)) => Some(order),
        };
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        if let (Some(orders), Some(order)) = (self.orders.take(), self.missed.take()) {
            // It fails when the thread panicked, which is told below.
            let _ = orders.send(order);
        }
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that compresses the journal panicked");
        }
    }
}

impl Closed {
    fn serve(&self, inbox: &Receiver<Order>) {
        for order in inbox {
            if let Err(error) = self.compress(order.first).and_then(|()| self.drop_old(&order)) {
                tracing::warn!(%error, dir = %self.dir.display(), "the journal's closed segments could not be tidied");
            }
        }
    }

    /// Compresses every plain segment that begins before `open`.
    fn compress(&self, open: u64) -> io::Result<()> {
        for segment in segments(&self.dir)? {
            if segment.compressed || segment.first >= open {
                continue;
            }
            let to = Segment::new(&self.dir, segment.first, true).path;
            let part = to.with_extension("zst.part");
            let packed = pack(&segment.path, &part);
            if packed.is_err() {
                fs::remove_file(&part).or_else(absent_is_fine)?;
            }
            packed?;
            fs::rename(&part, &to)?;
            sync_dir(&self.dir)?;
            // A crash before this leaves both: the plain one counts, and is compressed again.
            fs::remove_file(&segment.path)?;
            sync_dir(&self.dir)?;
        }
        Ok(())
    }

    /// Drops the oldest closed segments. The open one and the one before it always stay.
    fn drop_old(&self, order: &Order) -> io::Result<()> {
        let found = segments(&self.dir)?;
        let mut total = 0;
        for segment in &found {
            total += fs::metadata(&segment.path)?.len();
        }
        let mut dropped = false;
        for pair in found.windows(2).take(found.len().saturating_sub(2)) {
            let [segment, next] = pair else { continue };
            // Everything in a segment is older than the segment after it.
            let too_old = match (self.keep_for, Reader::open(&next.path)) {
                (Some(keep), Ok(next)) => next.header().created < order.now - keep,
                (None, _) | (_, Err(_)) => false,
            };
            let too_many = self.keep_bytes.is_some_and(|keep| total > keep);
            if !too_old && !too_many {
                break;
            }
            total = total.saturating_sub(fs::metadata(&segment.path)?.len());
            fs::remove_file(&segment.path)?;
            let torn = Segment::new(&self.dir, segment.first, false).path.with_extension("ndjson.torn");
            fs::remove_file(torn).or_else(absent_is_fine)?;
            tracing::info!(segment = %segment.path.display(), "dropped a journal segment");
            dropped = true;
        }
        if dropped { sync_dir(&self.dir) } else { Ok(()) }
    }
}

/// Compresses a file into another of mode 0600, makes that durable, and reads it back: only a copy that holds the same
/// bytes may take the place of the original.
fn pack(from: &Path, to: &Path) -> io::Result<()> {
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(to)?;
    let mut encoder = zstd::stream::write::Encoder::new(file, LEVEL)?;
    encoder.include_checksum(true)?;
    let mut source = File::open(from)?;
    let original = copy(&mut source, &mut encoder)?;
    encoder.finish()?.sync_all()?;
    let mut decoder = zstd::stream::read::Decoder::with_buffer(BufReader::new(File::open(to)?))?;
    match copy(&mut decoder, &mut io::sink())? == original {
        true => Ok(()),
        false => Err(io::Error::other(format!("{} did not read back as it was written", to.display()))),
    }
}

/// Copies everything and returns its hash.
fn copy(from: &mut impl Read, to: &mut impl Write) -> io::Result<blake3::Hash> {
    let mut hasher = blake3::Hasher::new();
    let mut piece = vec![0; 256 << 10];
    loop {
        match from.read(&mut piece) {
            Ok(0) => return Ok(hasher.finalize()),
            Ok(read) => {
                let bytes = piece.get(..read).unwrap_or_default();
                hasher.update(bytes);
                to.write_all(bytes)?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn absent_is_fine(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}
