//! What can go wrong with the database.

use std::path::{Path, PathBuf};

/// Why the store refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file or its folder could not be made or read.
    #[error("cannot use {path}: {source}; the folder must exist or be creatable and belong to the user who runs this")]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Others may write to the folder, so they could replace the database.
    #[error("others may write to {path}; run chmod go-w on it or choose another folder")]
    Shared {
        /// The folder.
        path: PathBuf,
    },
    /// Another process is writing the database.
    #[error("{path} is in use by another fillguard; stop that one first")]
    InUse {
        /// The database.
        path: PathBuf,
    },
    /// There is no database to look at.
    #[error("there is no database at {path}; it appears when the daemon first runs")]
    Absent {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The database could not be opened.
    #[error("cannot open the database {path}: {source}")]
    Open {
        /// The database.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// The file is a database of another program.
    #[error("this database belongs to another program; choose another path")]
    Foreign,
    /// The database was written by a newer version.
    #[error("the database has form {found}, this version knows {known}; use the newer fillguard or another path")]
    Newer {
        /// The form found.
        found: i64,
        /// The newest form this version knows.
        known: i64,
    },
    /// A row could not be read back.
    #[error("{what} in the database cannot be read back: {source}")]
    Unreadable {
        /// Which row.
        what: String,
        /// Why.
        source: serde_json::Error,
    },
    /// A value could not be written as JSON.
    #[error("{what} cannot be written: {source}")]
    Unwritable {
        /// Which value.
        what: String,
        /// Why.
        source: serde_json::Error,
    },
    /// A snapshot could not be compressed.
    #[error("the snapshot cannot be compressed: {0}")]
    Compress(std::io::Error),
    /// SQLite refused.
    #[error("the database refused: {0}; see that its disk is neither full nor read-only")]
    Sqlite(#[from] rusqlite::Error),
    /// A database call was cut short by a fault in it.
    #[error("a database call ended early; restart the daemon and report this")]
    CutShort,
}

impl Error {
    pub(super) fn file(path: &Path, source: std::io::Error) -> Self {
        Error::File { path: path.to_owned(), source }
    }

    pub(super) fn open(path: &Path, source: rusqlite::Error) -> Self {
        Error::Open { path: path.to_owned(), source }
    }

    /// Says whether the same call may succeed a moment later, as when the disk was full or another process held a lock.
    pub fn is_passing(&self) -> bool {
        match self {
            Error::Sqlite(source) | Error::Open { source, .. } => matches!(
                source.sqlite_error_code(),
                Some(
                    rusqlite::ErrorCode::DatabaseBusy
                        | rusqlite::ErrorCode::DatabaseLocked
                        | rusqlite::ErrorCode::DiskFull
                )
            ),
            Error::InUse { .. } => true,
            Error::File { .. }
            | Error::Shared { .. }
            | Error::Absent { .. }
            | Error::Foreign
            | Error::Newer { .. }
            | Error::Unreadable { .. }
            | Error::Unwritable { .. }
            | Error::Compress(_)
            | Error::CutShort => false,
        }
    }
}
