//! What the responses remember.

use rusqlite::{OptionalExtension, params};

use super::{Asked, Error, Store};

impl Store {
    /// Returns what the responses remember, as it was written; nothing where nothing ever was.
    pub fn response(&self) -> Result<Option<String>, Error> {
        Ok(self.connection.query_row("SELECT memory FROM responses", [], |row| row.get(0)).optional()?)
    }

    /// Keeps what the responses remember, and which of them wait for people; on disk when this returns.
    pub fn save_response(&mut self, memory: &str, asked: &[Asked]) -> Result<(), Error> {
        let transaction = self.connection.transaction()?;
        transaction
            .prepare_cached(
                "INSERT INTO responses (one, memory) VALUES (1, ?1) ON CONFLICT (one) DO UPDATE SET memory = excluded.memory",
            )?
            .execute([memory])?;
        transaction.execute("DELETE FROM asked", [])?;
        for one in asked {
            transaction
                .prepare_cached("INSERT INTO asked (incident, until, needs, given) VALUES (?1, ?2, ?3, ?4)")?
                .execute(params![one.incident.as_str(), one.until.nanos(), one.needs, one.given])?;
        }
        transaction.commit()?;
        Ok(())
    }
}
