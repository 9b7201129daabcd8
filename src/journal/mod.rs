//! Arrivals numbered, written down in order, sealed, and read back.
//!
//! A recording is lines of JSON: a header, then one arrival a line, with a seal after every commit. The journal is a
//! recording that is being written, cut into segments that name each other's last seal. `replay-data/README.md`
//! documents the format.

mod error;
mod header;
mod line;
mod lines;
mod reader;
mod recorder;
mod recovery;
mod redaction;
mod retention;
mod scan;
mod segment;
mod stage;
mod tail;
mod verify;
mod writer;

pub use error::{Error, Place, ReadError, Torn};
pub use header::{Header, Kind};
pub use line::Flaw;
pub use reader::Reader;
pub use recorder::{Recorder, write_recording};
pub use recovery::{Damage, Recovery};
pub use redaction::redact;
pub use segment::{Segment, segments};
pub use stage::run;
pub use tail::{Tail, read_from};
pub use verify::{Fault, FaultKind, Report, verify};
pub use writer::{Journal, Settings};
