//! What can go wrong with a journal, while it is written and while it is read.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::line::Flaw;

/// Why the journal cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process has it.
    #[error("the journal in {} is being written by another fillguard: stop that one, or give this one another directory",
            dir.display())]
    Locked {
        /// The directory.
        dir: PathBuf,
    },
    /// A system call failed.
    #[error("cannot {doing} ({}): {source}", path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// An earlier commit failed in a way that cannot be made good by trying again.
    #[error("the journal in {} failed before and has to be opened anew", dir.display())]
    Broken {
        /// The directory.
        dir: PathBuf,
    },
    /// The newest segment is of a format this build does not know; nothing was touched.
    #[error(transparent)]
    Newer(ReadError),
    /// An arrival whose source cannot be read back.
    #[error(
        "an arrival from a source that `from` cannot name was refused: account and log names are letters, digits and -_.@+"
    )]
    Source,
    /// The numbers are used up, which only an altered journal can say.
    #[error("the journal in {} ends at a number that nothing can follow: see `fillguard verify`", dir.display())]
    Numbers {
        /// The directory.
        dir: PathBuf,
    },
    /// The pipeline does not take arrivals any more.
    #[error("nobody takes what the journal passes on")]
    Unheard,
    /// The writing task ended without an answer.
    #[error("the journal's writing task ended without an answer")]
    Lost,
}

/// Where in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub path: PathBuf,
    /// The line, from 1.
    pub line: u64,
    /// Where the line begins, in bytes of the uncompressed text.
    pub offset: u64,
}

/// A last record that was not written to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Torn {
    /// The line, from 1.
    pub line: u64,
    /// Where it begins, in bytes of the uncompressed text.
    pub offset: u64,
    /// How many bytes of it there are.
    pub bytes: u64,
    /// The last whole arrival before it; zero when there is none.
    pub last_n: u64,
    /// Whether a compressed file ends in the middle, so that more than one record may be missing.
    pub cut: bool,
}

/// Why a recording cannot be read further.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file cannot be opened.
    #[error("cannot read {}: {source}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The disk failed, or compressed bytes are not what was written.
    #[error("{place}: cannot be read: {source}")]
    Io {
        /// The line being read.
        place: Place,
        /// Why.
        source: io::Error,
    },
    /// A line that is no arrival.
    #[error("{place}: {flaw}")]
    Line {
        /// The line.
        place: Place,
        /// What is wrong with it.
        flaw: Flaw,
    },
    /// A line over the limit.
    #[error("{place}: longer than 64 MiB, so this is no line of a recording")]
    TooLong {
        /// The line.
        place: Place,
    },
    /// A hole in the numbers, or a number that comes twice.
    #[error("{place}: arrival {found} stands where {expected} should be: {}", numbering(*expected, *found))]
    Numbering {
        /// The line.
        place: Place,
        /// The number that should be there.
        expected: u64,
        /// The number that is there.
        found: u64,
    },
    /// A journal's segment that does not continue the one before it.
    #[error("{} does not continue the segment before it, which ends at arrival {last_n}: a segment is missing, or the \
             end of one was altered; see `fillguard verify`", path.display())]
    Chain {
        /// The segment.
        path: PathBuf,
        /// The last arrival read before it.
        last_n: u64,
    },
    /// The journal no longer has what was asked for.
    #[error("{} begins at arrival {oldest}, but arrival {wanted} was asked for: older segments were dropped \
             (keep more of the journal, or take snapshots more often)", dir.display())]
    Dropped {
        /// The journal's directory.
        dir: PathBuf,
        /// The arrival asked for.
        wanted: u64,
        /// The oldest there is.
        oldest: u64,
    },
}

impl Error {
    /// Makes an I/O error say what was being done.
    pub(super) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
        let path = path.to_owned();
        move |source| Error::Io { doing, path, source }
    }

    /// Returns whether waiting for room on the disk can help.
    pub fn is_full_disk(&self) -> bool {
        match self {
            Error::Io { source, .. } => {
                matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
            }
            Error::Locked { .. }
            | Error::Broken { .. }
            | Error::Newer(_)
            | Error::Source
            | Error::Numbers { .. }
            | Error::Unheard
            | Error::Lost => false,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, line {} (byte {})", self.path.display(), self.line, self.offset)
    }
}

/// Says what a wrong number means and what to do.
pub(super) fn numbering(expected: u64, found: u64) -> String {
    match found.checked_sub(expected) {
        None => "a number comes twice or goes back".into(),
        Some(1) => format!("arrival {expected} is missing"),
        Some(_) if expected == 1 => {
            format!("1 to {} are missing (if it shall begin here, put \"first\":{found} into its header)", found - 1)
        }
        Some(_) => format!("{expected} to {} are missing", found - 1),
    }
}
