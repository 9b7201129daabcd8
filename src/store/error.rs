//! What can go wrong with the database.

use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

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
    #[error("cannot open the database {path}: {source}; {advice}", advice = advice(source))]
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
    #[error("the database refused: {said}; {advice}", said = .0, advice = advice(.0))]
    Sqlite(#[from] rusqlite::Error),
    /// A database call was cut short by a fault in it.
    #[error("a database call ended early; restart the daemon and report this")]
    CutShort,
}

/// Says what to do about what SQLite said.
fn advice(said: &rusqlite::Error) -> &'static str {
    match said.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            "its file is damaged: stop fillguard and move fillguard.db, fillguard.db-wal and fillguard.db-shm out of the state \
             folder; at the next start incidents and habits are made anew from the journal"
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "another program holds it; see that none keeps it open"
        }
        Some(_) | None => {
            "see that its disk is neither full nor read-only, and that its files belong to fillguard's user"
        }
    }
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
                Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::DiskFull)
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

#[cfg(test)]
mod tests {
    use crate::store::Store;

    #[test]
    fn whose_database_is_damaged_is_told_what_to_move_away() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fillguard.db");
        drop(Store::open(&path).unwrap());
        let whole = std::fs::read(&path).unwrap();
        // No database any more, and one of which a table's first page is gone.
        for (from, to) in [(0, 40), (4_096, whole.len())] {
            let mut bytes = whole.clone();
            bytes[from..to].fill(0x5a);
            std::fs::write(&path, bytes).unwrap();
            let told = match Store::open(&path) {
                Err(error) => error.to_string(),
                Ok(store) => store.latest_snapshot().unwrap_err().to_string(),
            };
            assert!(
                told.contains("move fillguard.db, fillguard.db-wal and fillguard.db-shm out of the state"),
                "{told}"
            );
        }
    }
}
