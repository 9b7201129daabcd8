//! The pipeline's memory at an arrival number: compressed, sealed, the last three kept.

use rusqlite::params;

use super::{Error, Store, column, number};

const KEPT: u32 = 3;
/// Fast enough for hundreds of MiB; higher levels cost seconds and save little on decayed floats.
const COMPRESSION: i32 = 1;

/// The pipeline's memory after it stepped through arrival `n`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The last arrival it has seen; the journal's tail after it is to be read again.
    pub n: u64,
    /// Which rules shaped it.
    pub rules_hash: String,
    /// The form of `bytes`.
    pub version: u32,
    /// The memory.
    pub bytes: Vec<u8>,
}

/// A snapshot as it is kept.
#[derive(Debug)]
pub(super) struct Sealed {
    n: u64,
    rules_hash: String,
    version: u32,
    length: u64,
    seal: [u8; 32],
    bytes: Vec<u8>,
}

impl Snapshot {
    /// Compresses and seals; takes a while for a large memory and touches no file.
    pub(super) fn seal(&self) -> Result<Sealed, Error> {
        let bytes = zstd::bulk::compress(&self.bytes, COMPRESSION).map_err(Error::Compress)?;
        let length = self.bytes.len() as u64;
        let seal = seal(self.n, &self.rules_hash, self.version, length, &bytes);
        Ok(Sealed { n: self.n, rules_hash: self.rules_hash.clone(), version: self.version, length, seal, bytes })
    }
}

impl Sealed {
    fn open(self) -> Result<Snapshot, &'static str> {
        if seal(self.n, &self.rules_hash, self.version, self.length, &self.bytes) != self.seal {
            return Err("its seal does not match");
        }
        let length = usize::try_from(self.length).map_err(|_| "it is too long for this machine")?;
        let bytes = zstd::bulk::decompress(&self.bytes, length).map_err(|_| "it does not decompress")?;
        Ok(Snapshot { n: self.n, rules_hash: self.rules_hash, version: self.version, bytes })
    }
}

impl Store {
    /// Keeps a snapshot, drops all but the newest three, and forgets names that can no longer come again.
    ///
    /// The caller has taken every effect of arrivals up to `n` before.
    pub fn save_snapshot(&mut self, n: u64, rules_hash: &str, version: u32, bytes: &[u8]) -> Result<(), Error> {
        let snapshot = Snapshot { n, rules_hash: rules_hash.to_owned(), version, bytes: bytes.to_vec() };
        self.save_sealed(&snapshot.seal()?)
    }

    pub(super) fn save_sealed(&mut self, sealed: &Sealed) -> Result<(), Error> {
        let transaction = self.connection.transaction()?;
        transaction.execute(
            "INSERT OR REPLACE INTO snapshots (n, rules_hash, version, length, seal, bytes)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                column(sealed.n),
                sealed.rules_hash,
                sealed.version,
                column(sealed.length),
                sealed.seal,
                sealed.bytes
            ],
        )?;
        // Who could have gone on from a later one would have; it would hide this one.
        transaction.execute("DELETE FROM snapshots WHERE n > ?1", [column(sealed.n)])?;
        transaction.execute(
            "DELETE FROM snapshots WHERE n NOT IN (SELECT n FROM snapshots ORDER BY n DESC LIMIT ?1)",
            [KEPT],
        )?;
        // The memory is at n, so a restart steps from n + 1 of the oldest at the earliest. Should all of them be
        // damaged, the floor still says that what lies below was taken.
        transaction.execute("UPDATE progress SET floor = max(floor, (SELECT min(n) FROM snapshots))", [])?;
        transaction.execute("DELETE FROM taken WHERE n < (SELECT floor FROM progress)", [])?;
        let floor = transaction.query_row("SELECT floor FROM progress", [], |row| row.get(0))?;
        transaction.commit()?;
        self.floor = number(floor);
        Ok(())
    }

    /// Returns the newest snapshot that is whole; a damaged one is skipped with a warning.
    pub fn latest_snapshot(&self) -> Result<Option<Snapshot>, Error> {
        let numbers = self
            .connection
            .prepare("SELECT n FROM snapshots ORDER BY n DESC")?
            .query_map([], |row| row.get::<_, i64>(0))?
            .collect::<Result<Vec<_>, _>>()?;
        for n in numbers {
            match self.sealed(n) {
                Ok(sealed) => match sealed.open() {
                    Ok(snapshot) => return Ok(Some(snapshot)),
                    Err(why) => tracing::warn!(n, why, "a snapshot is damaged; an older one is used"),
                },
                Err(why) => tracing::warn!(n, %why, "a snapshot cannot be read; an older one is used"),
            }
        }
        Ok(None)
    }

    fn sealed(&self, n: i64) -> rusqlite::Result<Sealed> {
        self.connection.query_row(
            "SELECT n, rules_hash, version, length, seal, bytes FROM snapshots WHERE n = ?1",
            [n],
            |row| {
                Ok(Sealed {
                    n: number(row.get(0)?),
                    rules_hash: row.get(1)?,
                    version: row.get(2)?,
                    length: number(row.get(3)?),
                    seal: row.get(4)?,
                    bytes: row.get(5)?,
                })
            },
        )
    }
}

/// Covers the columns too: a length altered on disk would otherwise decide how much memory is asked for.
fn seal(n: u64, rules_hash: &str, version: u32, length: u64, bytes: &[u8]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&n.to_le_bytes());
    hasher.update(&(rules_hash.len() as u64).to_le_bytes());
    hasher.update(rules_hash.as_bytes());
    hasher.update(&version.to_le_bytes());
    hasher.update(&length.to_le_bytes());
    hasher.update(bytes);
    *hasher.finalize().as_bytes()
}
