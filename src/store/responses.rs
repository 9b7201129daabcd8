//! What the responses remember.

use rusqlite::OptionalExtension;

use super::{Error, Store};

impl Store {
    /// Returns what the responses remember, as it was written; nothing where nothing ever was.
    pub fn response(&self) -> Result<Option<String>, Error> {
        Ok(self.connection.query_row("SELECT memory FROM responses", [], |row| row.get(0)).optional()?)
    }

    /// Keeps what the responses remember; on disk when this returns.
    pub fn save_response(&mut self, memory: &str) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "INSERT INTO responses (one, memory) VALUES (1, ?1) ON CONFLICT (one) DO UPDATE SET memory = excluded.memory",
            )?
            .execute([memory])?;
        Ok(())
    }
}
