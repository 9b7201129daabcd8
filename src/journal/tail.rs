//! The arrivals of a whole journal from one of them on: what a restart reads after its snapshot.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};

use crate::arrival::Arrival;

use super::error::ReadError;
use super::reader::Reader;
use super::segment::{Segment, segments};

/// Arrivals across segments, in order; stops after the first error.
pub struct Tail {
    dir: PathBuf,
    from: u64,
    waiting: VecDeque<Segment>,
    reader: Option<Reader>,
    /// The last arrival and seal of the segments read so far.
    end: Option<(u64, Option<String>)>,
    over: bool,
}

/// Reads a journal from arrival `n` on. Nothing comes when `n` is past its end; it is an error when the segment that
/// held `n` was dropped.
pub fn read_from(dir: &Path, n: u64) -> Result<Tail, ReadError> {
    let found = segments(dir).map_err(|source| ReadError::Open { path: dir.to_owned(), source })?;
    let n = n.max(1);
    let begin = found.partition_point(|segment| segment.first <= n);
    if let (0, Some(oldest)) = (begin, found.first()) {
        return Err(ReadError::Dropped { dir: dir.to_owned(), wanted: n, oldest: oldest.first });
    }
    let waiting = found.into_iter().skip(begin.saturating_sub(1)).collect();
    Ok(Tail { dir: dir.to_owned(), from: n, waiting, reader: None, end: None, over: false })
}

impl Tail {
    fn read(&mut self) -> Result<Option<Arrival>, ReadError> {
        loop {
            let Some(reader) = &mut self.reader else {
                let Some(segment) = self.waiting.pop_front() else { return Ok(None) };
                self.reader = Some(self.open(&segment)?);
                continue;
            };
            match reader.next() {
                Some(Ok(arrival)) if arrival.n < self.from => {}
                Some(Ok(arrival)) => return Ok(Some(arrival)),
                Some(Err(error)) => return Err(error),
                None => {
                    let seal = reader.last_seal().or(reader.header().prev.as_deref());
                    self.end = Some((reader.last_n(), seal.map(str::to_owned)));
                    self.reader = None;
                }
            }
        }
    }

    fn open(&self, segment: &Segment) -> Result<Reader, ReadError> {
        // A segment may have been compressed since the directory was read.
        let reader = match Reader::open(&segment.path) {
            Err(ReadError::Open { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Reader::open(&Segment::new(&self.dir, segment.first, true).path)?
            }
            opened => opened?,
        };
        if let Some((last_n, seal)) = &self.end {
            // Numbers may jump between segments only where the seals say that nothing is missing.
            let header = reader.header();
            let follows = header.first_n() == last_n + 1 || header.first_n() > *last_n && seal.is_some();
            if !follows || header.prev != *seal {
                return Err(ReadError::Chain { path: segment.path.clone(), last_n: *last_n });
            }
        }
        Ok(reader)
    }
}

impl Iterator for Tail {
    type Item = Result<Arrival, ReadError>;
    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let read = self.read().transpose();
        self.over = !matches!(read, Some(Ok(_)));
        read
    }
}
