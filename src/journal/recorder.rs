//! Writes a recording that is no journal.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::arrival::{Arrival, Body};

use super::header::Header;
use super::line::{self, LONGEST};
use super::redaction::redacted;

/// Arrivals between two seals of a sealed recording.
const SEAL_EVERY: u64 = 1_000;

/// Writes arrivals, one a line, redacted and, if asked for, sealed.
pub struct Recorder<W: Write> {
    out: W,
    line: Vec<u8>,
    seals: Option<blake3::Hasher>,
    last_n: u64,
    unsealed: u64,
}

impl Recorder<Box<dyn Write + Send>> {
    /// Makes a new file of mode 0600; one whose name ends in `.zst` is compressed. Refuses to overwrite.
    pub fn create(path: &Path, header: &Header, sealed: bool) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        let out: Box<dyn Write + Send> = match path.extension() {
            Some(extension) if extension == "zst" => {
                let mut encoder = zstd::stream::write::Encoder::new(file, zstd::DEFAULT_COMPRESSION_LEVEL)?;
                encoder.include_checksum(true)?;
                Box::new(encoder.auto_finish())
            }
            Some(_) | None => Box::new(BufWriter::<File>::new(file)),
        };
        Recorder::new(out, header, sealed)
    }
}

impl<W: Write> Recorder<W> {
    /// Begins a recording with its header.
    pub fn new(out: W, header: &Header, sealed: bool) -> io::Result<Self> {
        let mut recorder = Recorder {
            out,
            line: Vec::new(),
            seals: sealed.then(blake3::Hasher::new),
            last_n: header.first_n().saturating_sub(1),
            unsealed: 0,
        };
        header.write(&mut recorder.line)?;
        recorder.put()?;
        Ok(recorder)
    }

    /// Writes an arrival; its number has to follow the last one's.
    pub fn write(&mut self, arrival: Arrival) -> io::Result<()> {
        if arrival.n != self.last_n + 1 {
            let said = format!("arrival {} cannot follow arrival {} in a recording", arrival.n, self.last_n);
            return Err(io::Error::new(io::ErrorKind::InvalidInput, said));
        }
        line::write(&mut self.line, &writable(arrival))?;
        self.put()?;
        self.last_n += 1;
        self.unsealed += 1;
        if self.unsealed >= SEAL_EVERY { self.seal() } else { Ok(()) }
    }

    /// Seals what is not, hands on what is buffered, and returns the output.
    pub fn finish(mut self) -> io::Result<W> {
        if self.unsealed > 0 {
            self.seal()?;
        }
        self.out.flush()?;
        Ok(self.out)
    }

    fn seal(&mut self) -> io::Result<()> {
        self.unsealed = 0;
        let Some(seals) = &self.seals else { return Ok(()) };
        let seal = line::seal(&seals.finalize().to_hex(), self.last_n);
        self.line.extend_from_slice(seal.as_bytes());
        self.put()
    }

    fn put(&mut self) -> io::Result<()> {
        if let Some(seals) = &mut self.seals {
            seals.update(&self.line);
        }
        self.out.write_all(&self.line)?;
        self.line.clear();
        Ok(())
    }
}

/// Writes a whole recording to `out`.
pub fn write_recording(
    out: impl Write,
    header: &Header,
    arrivals: impl IntoIterator<Item = Arrival>,
    sealed: bool,
) -> io::Result<()> {
    let mut recorder = Recorder::new(out, header, sealed)?;
    for arrival in arrivals {
        recorder.write(arrival)?;
    }
    recorder.finish().map(drop)
}

/// Makes an arrival what may be written down: without secrets, on one line, within the limit. What goes on to the
/// pipeline is the same value, so that a replay sees what the live run saw.
pub(super) fn writable(mut arrival: Arrival) -> Arrival {
    arrival.body = match arrival.body {
        Body::Frame(frame) => match clean(frame.get()) {
            Some(Ok(frame)) => Body::Frame(frame),
            Some(Err(text)) => Body::Text(text),
            None => Body::Frame(frame),
        },
        Body::Page { call, frame } => match clean(frame.get()) {
            Some(Ok(frame)) => Body::Page { call, frame },
            Some(Err(text)) => Body::Text(text),
            None => Body::Page { call, frame },
        },
        Body::Text(text) => Body::Text(redacted(&text).unwrap_or(text)),
        body @ (Body::Bytes(_) | Body::LinkUp | Body::LinkDown { .. } | Body::Filled { .. } | Body::Tick) => body,
    };
    // A line that no reader takes back must not be written; the codec says of this text that it is unreadable.
    if longest_line(&arrival.body) > LONGEST {
        let said = format!("(a frame of {} bytes was not kept: over the limit of a line)", weight(&arrival.body));
        arrival.body = Body::Text(said);
    }
    arrival
}

/// Returns the most bytes the line of a body can have: escaping makes at most six of one, base64 four of three.
fn longest_line(body: &Body) -> usize {
    let body = match body {
        Body::Frame(frame) => frame.get().len(),
        Body::Page { call, frame } => 6 * call.len() + frame.get().len(),
        Body::Text(text) => 6 * text.len(),
        Body::Bytes(bytes) => bytes.len() / 3 * 4,
        Body::LinkDown { why } => 6 * why.len(),
        Body::LinkUp | Body::Filled { .. } | Body::Tick => 0,
    };
    // The other keys and values: two numbers, a source, names.
    body + 1_024
}

/// Returns the bytes of a body that are on the wire, about.
pub(super) fn weight(body: &Body) -> usize {
    match body {
        Body::Frame(frame) => frame.get().len(),
        Body::Page { call, frame } => call.len() + frame.get().len(),
        Body::Text(text) => text.len(),
        Body::Bytes(bytes) => bytes.len(),
        Body::LinkDown { why } => why.len(),
        Body::LinkUp | Body::Filled { .. } | Body::Tick => 0,
    }
}

/// Returns a frame's JSON without secrets and line breaks, or nothing when it had none.
fn clean(json: &str) -> Option<Result<Box<serde_json::value::RawValue>, String>> {
    let text = match redacted(json) {
        Some(text) => text,
        None if json.bytes().any(|byte| matches!(byte, b'\n' | b'\r')) => json.to_owned(),
        None => return None,
    };
    Some(Body::json(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arrival::{Incoming, Source};
    use crate::domain::Timestamp;

    fn arrival(n: u64, body: Body) -> Arrival {
        Incoming { at: Timestamp::EPOCH, from: Source::Clock, body }.numbered(n)
    }

    #[test]
    fn a_recording_refuses_a_hole() {
        let header = Header::recording(Timestamp::EPOCH);
        let error = write_recording(Vec::new(), &header, [arrival(2, Body::Tick)], true).unwrap_err();
        assert_eq!(error.to_string(), "arrival 2 cannot follow arrival 0 in a recording");
    }

    #[test]
    fn a_frame_that_could_not_be_read_again_leaves_a_note() {
        let Body::Text(said) = writable(arrival(1, Body::Bytes(vec![0; LONGEST]))).body else { panic!("kept") };
        assert_eq!(said, "(a frame of 67108864 bytes was not kept: over the limit of a line)");
    }

    #[test]
    fn a_frame_on_several_lines_is_folded() {
        let frame = serde_json::value::RawValue::from_string("{\n\"a\":1}".into()).unwrap();
        let mut out = Vec::new();
        write_recording(&mut out, &Header::recording(Timestamp::EPOCH), [arrival(1, Body::Frame(frame))], false)
            .unwrap();
        assert!(String::from_utf8(out).unwrap().ends_with("\"frame\":{ \"a\":1}}\n"));
    }
}
