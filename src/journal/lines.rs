//! The lines of a file, plain or compressed, with their places.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use super::line::LONGEST;

/// Read in pieces of this size.
const PIECE: usize = 256 << 10;

/// Reads lines into one buffer.
pub(super) struct Lines {
    input: Box<dyn BufRead + Send>,
    compressed: bool,
    line: Vec<u8>,
    number: u64,
    offset: u64,
    next_offset: u64,
    cut: bool,
    over: bool,
}

/// Why no more lines come.
#[derive(Debug)]
pub(super) enum Stop {
    /// The disk, or compressed bytes that are not what was written.
    Io(io::Error),
    /// The line is longer than is allowed.
    TooLong,
}

impl Lines {
    /// Opens a file; whether it is compressed is seen from its first bytes, not from its name.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        if file.metadata()?.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        Lines::new(file)
    }

    /// Takes any input.
    pub(super) fn new(input: impl Read + Send + 'static) -> io::Result<Self> {
        let mut input = BufReader::with_capacity(PIECE, input);
        let compressed = is_zstd(input.fill_buf()?);
        let input: Box<dyn BufRead + Send> = if compressed {
            Box::new(BufReader::with_capacity(PIECE, zstd::stream::read::Decoder::with_buffer(input)?))
        } else {
            Box::new(input)
        };
        Ok(Lines { input, compressed, line: Vec::new(), number: 0, offset: 0, next_offset: 0, cut: false, over: false })
    }

    /// Goes to the next line; false at the end.
    pub(super) fn advance(&mut self) -> Result<bool, Stop> {
        self.line.clear();
        if self.over {
            return Ok(false);
        }
        self.offset = self.next_offset;
        self.number += 1;
        let read = (&mut self.input).take(LONGEST as u64 + 1).read_until(b'\n', &mut self.line);
        self.next_offset += self.line.len() as u64;
        match read {
            Ok(_) => {}
            // A compressed file that ends in the middle: what came out of it so far counts.
            Err(error) if self.compressed && error.kind() == io::ErrorKind::UnexpectedEof => self.cut = true,
            Err(error) => {
                self.over = true;
                return Err(Stop::Io(error));
            }
        }
        if self.line.len() > LONGEST {
            self.over = true;
            return Err(Stop::TooLong);
        }
        self.over = !self.is_ended();
        Ok(!self.line.is_empty())
    }

    /// Returns the line, with its line break if it has one.
    pub(super) fn line(&self) -> &[u8] {
        &self.line
    }

    /// Returns whether the line has its line break.
    pub(super) fn is_ended(&self) -> bool {
        self.line.last() == Some(&b'\n')
    }

    /// Returns whether nothing but space is on the line.
    pub(super) fn is_blank(&self) -> bool {
        self.line.trim_ascii().is_empty()
    }

    /// Returns the line's number, from 1.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Returns where the line begins, in bytes of the uncompressed text.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Returns whether the compressed file ended in the middle.
    pub(super) fn is_cut(&self) -> bool {
        self.cut
    }

    /// Returns whether the file is compressed.
    pub(super) fn is_compressed(&self) -> bool {
        self.compressed
    }
}

/// Returns whether bytes begin as zstd does: a frame, or the skippable frame some compressors put first.
fn is_zstd(start: &[u8]) -> bool {
    match start.first_chunk::<4>() {
        Some([0x28, 0xb5, 0x2f, 0xfd]) => true,
        Some([kind, 0x2a, 0x4d, 0x18]) => kind & 0xf0 == 0x50,
        Some(_) | None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endless_line_is_refused_and_not_kept() {
        let mut lines = Lines::new(io::repeat(b'x')).unwrap();
        assert!(matches!(lines.advance(), Err(Stop::TooLong)));
        assert!(matches!(lines.advance(), Ok(false)));
    }

    #[test]
    fn lines_know_their_places() {
        let mut lines = Lines::new(&b"ab\n\ncd"[..]).unwrap();
        let mut seen = Vec::new();
        while lines.advance().unwrap() {
            seen.push((lines.number(), lines.offset(), lines.line().to_vec(), lines.is_ended()));
        }
        assert_eq!(seen, [(1, 0, b"ab\n".to_vec(), true), (2, 3, b"\n".to_vec(), true), (3, 4, b"cd".to_vec(), false)]);
    }
}
