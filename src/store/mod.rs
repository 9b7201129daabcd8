//! Effects kept: incidents, their history, the outbox and snapshots of the pipeline's memory, in one SQLite file.
//!
//! Every effect has a name and is taken once, in the transaction that also writes its incident and queues its
//! messages. So after a crash the pipeline may say again what it said before; nothing is lost and nothing is doubled.

mod answers;
mod approvals;
mod attend;
mod error;
mod file;
mod handle;
mod hidden;
mod incidents;
mod next;
mod outbox;
mod responses;
mod route;
mod schema;
mod silences;
mod snapshot;
mod staged;
mod stages;
mod take;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension};

pub use answers::{Answer, Answered, Code, Verdict};
pub use approvals::{Approval, Asked};
pub use attend::{Again, Attention};
pub use error::Error;
pub use handle::Handle;
pub use hidden::Snooze;
pub use incidents::{Filter, Step};
pub use next::{DIGEST, Gathered, Next};
pub use outbox::{Backlog, Cause, Delivery, Queued, Sent};
pub use route::{Burst, ChannelRoute, QuietHours};
pub use silences::Silence;
pub use snapshot::Snapshot;
pub use stages::Restaged;
pub use take::Taken;

/// Where the database is and how long it remembers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The database's file; `fillguard.db` in the working folder by default.
    pub path: PathBuf,
    /// How long closed incidents and delivered messages are kept (see [`Store::forget`]); 400 days by default.
    pub keep: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { path: PathBuf::from("fillguard.db"), keep: Duration::from_secs(400 * 86_400) }
    }
}

/// The database of one daemon. One process writes it at a time; others may read it meanwhile.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    /// Counts the journals this store has followed, so that two journals' equal numbers are not taken for one.
    epoch: i64,
    /// Effects of arrivals below this number were all taken, and their names are forgotten.
    floor: u64,
    /// Held while this process writes.
    _lock: Option<File>,
}

impl Store {
    /// Opens the database for writing and brings it to this version's form; makes it (0600, in a 0700 folder) if absent.
    ///
    /// Refuses a folder that others may write to, a database of another program or of a newer version, and a
    /// database that another process is writing.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let lock = file::prepare(path)?;
        let connection = Connection::open(path).map_err(|source| Error::open(path, source))?;
        Store::from(connection, Some(lock))
    }

    /// Opens the database for looking only, which also works beside a daemon that is writing it.
    pub fn read(path: &Path) -> Result<Self, Error> {
        if !path.exists() {
            return Err(Error::Absent { path: path.to_owned() });
        }
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY | rusqlite::OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(|source| Error::open(path, source))?;
        schema::settle(&connection)?;
        schema::verify(&connection)?;
        Store::resume(connection, None)
    }

    /// Opens a database that lives as long as this value.
    pub fn in_memory() -> Result<Self, Error> {
        Store::from(Connection::open_in_memory()?, None)
    }

    fn from(mut connection: Connection, lock: Option<File>) -> Result<Self, Error> {
        schema::settle(&connection)?;
        schema::migrate(&mut connection)?;
        Store::resume(connection, lock)
    }

    fn resume(connection: Connection, lock: Option<File>) -> Result<Self, Error> {
        let (epoch, floor) =
            connection.query_row("SELECT epoch, floor FROM progress", [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(Store { connection, epoch, floor: number(floor), _lock: lock })
    }

    /// Says which journal the effects come from; returns true when it is another one than before.
    ///
    /// A new journal counts from 1 again. Without this call its effects would look like those already taken, so
    /// names and snapshots of the former journal are dropped; its incidents and its outbox stay.
    pub fn follow(&mut self, journal: &str) -> Result<bool, Error> {
        let transaction = self.connection.transaction()?;
        let known: Option<Option<String>> =
            transaction.query_row("SELECT journal FROM progress", [], |row| row.get(0)).optional()?;
        if known.flatten().as_deref() == Some(journal) {
            return Ok(false);
        }
        transaction
            .execute("UPDATE progress SET journal = ?1, epoch = epoch + 1, floor = 0, highest = 0", [journal])?;
        transaction.execute_batch("DELETE FROM taken; DELETE FROM snapshots;")?;
        transaction.commit()?;
        self.epoch += 1;
        self.floor = 0;
        Ok(true)
    }

    /// Returns the highest arrival number this store knows of its journal, by an effect or by a snapshot; 0 when by none.
    ///
    /// A journal that ends below it is not the one this store followed, because an arrival is on disk before a rule
    /// sees it.
    pub fn highest(&self) -> Result<u64, Error> {
        let known = "SELECT max(highest, floor, (SELECT coalesce(max(n), 0) FROM snapshots)) FROM progress";
        Ok(number(self.connection.query_row(known, [], |row| row.get(0))?))
    }
}

/// SQLite's integers are signed; arrival numbers and row ids stay far below the end of either.
fn column(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn number(column: i64) -> u64 {
    u64::try_from(column).unwrap_or(0)
}
