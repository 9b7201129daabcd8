//! Reads the arrivals of one recording.

use std::io::Read;
use std::path::{Path, PathBuf};

use crate::arrival::Arrival;

use super::error::{Place, ReadError, Torn};
use super::header::{Header, Kind};
use super::line::{self, Flaw, Line};
use super::lines::{Lines, Stop};

/// The arrivals of a recording, in order; stops after the first error.
pub struct Reader {
    path: PathBuf,
    lines: Lines,
    header: Header,
    expected: u64,
    last_seal: Option<String>,
    torn: Option<Torn>,
    over: bool,
}

impl Reader {
    /// Opens a recording, plain or compressed, and reads its header.
    pub fn open(path: &Path) -> Result<Reader, ReadError> {
        match Lines::open(path) {
            Ok(lines) => Reader::begin(path, lines),
            Err(source) => Err(ReadError::Open { path: path.to_owned(), source }),
        }
    }

    /// Reads a recording from any input; `name` stands for it in errors.
    pub fn new(input: impl Read + Send + 'static, name: &str) -> Result<Reader, ReadError> {
        match Lines::new(input) {
            Ok(lines) => Reader::begin(Path::new(name), lines),
            Err(source) => Err(ReadError::Open { path: name.into(), source }),
        }
    }

    fn begin(path: &Path, mut lines: Lines) -> Result<Reader, ReadError> {
        let place = Place { path: path.to_owned(), line: 1, offset: 0 };
        match lines.advance() {
            Ok(_) => {}
            Err(Stop::Io(source)) => return Err(ReadError::Io { place, source }),
            Err(Stop::TooLong) => return Err(ReadError::Line { place, flaw: Flaw::NotAHeader }),
        }
        let header = Header::parse(lines.line()).map_err(|flaw| ReadError::Line { place, flaw })?;
        let expected = header.first_n();
        Ok(Reader { path: path.to_owned(), lines, header, expected, last_seal: None, torn: None, over: false })
    }

    /// Returns what the first line says.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Returns, after the end, the last record if it was not written to its end.
    pub fn torn(&self) -> Option<Torn> {
        self.torn
    }

    /// Returns the number of the last arrival read; one less than the first before any was.
    pub fn last_n(&self) -> u64 {
        self.expected.saturating_sub(1)
    }

    /// Returns the last seal passed, in hex. It was not checked: `verify` does that.
    pub fn last_seal(&self) -> Option<&str> {
        self.last_seal.as_deref()
    }

    fn place(&self) -> Place {
        Place { path: self.path.clone(), line: self.lines.number(), offset: self.lines.offset() }
    }

    fn read(&mut self) -> Result<Option<Arrival>, ReadError> {
        loop {
            match self.lines.advance() {
                Ok(true) => {}
                Ok(false) => {
                    self.torn = self.lines.is_cut().then(|| self.tear());
                    return Ok(None);
                }
                Err(Stop::Io(source)) => return Err(ReadError::Io { place: self.place(), source }),
                Err(Stop::TooLong) => return Err(ReadError::TooLong { place: self.place() }),
            }
            if self.lines.is_blank() && self.lines.is_ended() {
                continue;
            }
            let parsed = line::parse(self.lines.line());
            if !self.lines.is_ended() {
                // An editor may leave out the last line break; a journal never does.
                let by_hand = self.header.kind == Kind::Recording && !self.lines.is_cut();
                let whole = by_hand && (matches!(parsed, Ok(Line::Arrival(_))) || self.lines.is_blank());
                if !whole {
                    self.torn = Some(self.tear());
                    return Ok(None);
                }
                if self.lines.is_blank() {
                    return Ok(None);
                }
            }
            match parsed {
                Ok(Line::Arrival(arrival)) if arrival.n == self.expected => {
                    self.expected = self.expected.saturating_add(1);
                    return Ok(Some(arrival));
                }
                Ok(Line::Arrival(arrival)) => {
                    let (expected, found) = (self.expected, arrival.n);
                    return Err(ReadError::Numbering { place: self.place(), expected, found });
                }
                Ok(Line::Seal { hash, .. }) => {
                    let kept = self.last_seal.get_or_insert_default();
                    kept.clear();
                    kept.push_str(&hash);
                }
                Err(flaw) => return Err(ReadError::Line { place: self.place(), flaw }),
            }
        }
    }

    fn tear(&self) -> Torn {
        Torn {
            line: self.lines.number(),
            offset: self.lines.offset(),
            bytes: self.lines.line().len() as u64,
            last_n: self.last_n(),
            cut: self.lines.is_cut(),
        }
    }
}

impl Iterator for Reader {
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

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    const HEADER: &str = "{\"fillguard\":1,\"kind\":\"recording\",\"created\":\"2026-11-22T10:00:00Z\"}\n";

    fn tick(n: u64) -> String {
        format!("{{\"n\":{n},\"at\":{n},\"from\":\"clock\",\"tick\":true}}\n")
    }

    fn reader(text: String) -> Reader {
        Reader::new(io::Cursor::new(text.into_bytes()), "test").unwrap()
    }

    #[test]
    fn a_hole_and_a_repeat_stop_the_reader_and_name_the_line() {
        for (numbers, said) in [
            (&[1, 2, 4][..], "line 4 (byte 152): arrival 4 stands where 3 should be: arrival 3 is missing"),
            (&[1, 1], "arrival 1 stands where 2 should be: a number comes twice or goes back"),
            (&[9], "put \"first\":9 into its header"),
        ] {
            let mut reader = reader(HEADER.to_owned() + &numbers.iter().map(|n| tick(*n)).collect::<String>());
            let error = reader.find_map(Result::err).unwrap();
            assert!(matches!(error, ReadError::Numbering { .. }));
            assert!(error.to_string().contains(said), "{error}");
            assert!(reader.next().is_none(), "it went on after an error");
        }
    }

    #[test]
    fn a_recording_by_hand_may_end_without_a_line_break_and_have_blank_lines() {
        for end in ["", "\n", "\n\n", "\n  "] {
            let mut reader = reader(HEADER.to_owned() + &tick(1) + "\n" + tick(2).trim_end() + end);
            assert_eq!(reader.by_ref().map(|arrival| arrival.unwrap().n).collect::<Vec<_>>(), [1, 2]);
            assert_eq!(reader.torn(), None);
        }
    }

    #[test]
    fn a_clock_that_jumps_back_is_passed_on() {
        let back = "{\"n\":2,\"at\":-5,\"from\":\"clock\",\"tick\":true}\n";
        let times: Vec<i64> =
            reader(HEADER.to_owned() + &tick(1) + back).map(|arrival| arrival.unwrap().at.nanos()).collect();
        assert_eq!(times, [1, -5]);
    }

    #[test]
    fn something_else_is_refused_with_what_was_expected() {
        for text in ["", "hello\n", "{\"n\":1}\n"] {
            let error = Reader::new(text.as_bytes(), "notes.txt").err().unwrap().to_string();
            assert!(error.starts_with("notes.txt, line 1 (byte 0): this is no recording"), "{error}");
        }
        let error = Reader::open(Path::new("/nonexistent/x")).err().unwrap().to_string();
        assert!(error.starts_with("cannot read /nonexistent/x: "), "{error}");
    }
}
