//! By what a file is known again after it was renamed, copied or cut short: its number on the disk, its first bytes, and
//! the bytes before the place where reading stopped.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};

use compact_str::CompactString;

use crate::domain::LogMark;

/// Bytes at a file's begin that count.
const HEAD: usize = 1_024;
/// Bytes before the place that count.
const LAST: usize = 256;

/// What was read of a file, as far as it is needed to know it again.
#[derive(Clone, Debug, Default)]
pub(super) struct Trace {
    inode: u64,
    before: u64,
    position: u64,
    head: Vec<u8>,
    last: Vec<u8>,
}

impl Trace {
    /// Takes a file as if it had been read up to `position`; `before` is the number of the one before it.
    pub(super) fn at(file: &File, position: u64, before: u64) -> io::Result<Self> {
        let inode = file.metadata()?.ino();
        Ok(Trace { inode, before, position, head: head(file, position)?, last: last(file, position)? })
    }

    /// Takes more bytes as read.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.position += bytes.len() as u64;
        let room = HEAD.saturating_sub(self.head.len());
        self.head.extend_from_slice(&bytes[..room.min(bytes.len())]);
        self.last.extend_from_slice(&bytes[bytes.len().saturating_sub(LAST)..]);
        let more = self.last.len().saturating_sub(LAST);
        self.last.drain(..more);
    }

    /// Returns up to where the file was read.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Returns the number of the file before it, or 0.
    pub(super) fn before(&self) -> u64 {
        self.before
    }

    /// Returns the file's number on its disk.
    pub(super) fn inode(&self) -> u64 {
        self.inode
    }

    /// Says whether the file still begins as it did, and holds what was read.
    pub(super) fn holds(&self, file: &File) -> io::Result<bool> {
        if file.metadata()?.len() < self.position {
            return Ok(false);
        }
        Ok(head(file, self.head.len() as u64)? == self.head && last(file, self.position)? == self.last)
    }

    /// Returns the place as an arrival carries it.
    pub(super) fn mark(&self, turn: u64) -> LogMark {
        LogMark {
            turn,
            inode: self.inode,
            before: self.before,
            offset: self.position,
            head_bytes: self.head.len() as u32,
            head: hash(&self.head),
            last: hash(&self.last),
        }
    }
}

/// Says whether a file holds what a mark was set in.
pub(super) fn fits(file: &File, mark: &LogMark) -> io::Result<bool> {
    if file.metadata()?.len() < mark.offset {
        return Ok(false);
    }
    let head = head(file, u64::from(mark.head_bytes).min(mark.offset))?;
    Ok(hash(&head) == mark.head && hash(&last(file, mark.offset)?) == mark.last)
}

fn head(file: &File, position: u64) -> io::Result<Vec<u8>> {
    read(file, 0, usize::try_from(position).map_or(HEAD, |position| position.min(HEAD)))
}

fn last(file: &File, position: u64) -> io::Result<Vec<u8>> {
    let length = usize::try_from(position).map_or(LAST, |position| position.min(LAST));
    read(file, position - length as u64, length)
}

/// Reads so many bytes, or those that are there: the file may be cut short meanwhile.
fn read(file: &File, mut at: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    let mut filled = 0;
    while filled < length {
        match file.read_at(&mut bytes[filled..], at) {
            Ok(0) => break,
            Ok(more) => {
                filled += more;
                at += more as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

fn hash(bytes: &[u8]) -> CompactString {
    CompactString::from(&blake3::hash(bytes).to_hex()[..16])
}
