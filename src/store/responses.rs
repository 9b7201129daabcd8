//! What the responses remember.

use rusqlite::{OptionalExtension, params};

use super::take::queue;
use super::{Asked, Cause, Error, Store};
use crate::domain::{Message, Timestamp};

impl Store {
    /// Returns what the responses remember, as it was written; nothing where nothing ever was.
    pub fn response(&self) -> Result<Option<String>, Error> {
        Ok(self.connection.query_row("SELECT memory FROM responses", [], |row| row.get(0)).optional()?)
    }

    /// Keeps what the responses remember, which of them wait for people, and what people are told of it over which
    /// channels: all of it or nothing, and on disk when this returns.
    pub fn save_response(
        &mut self,
        memory: &str,
        asked: &[Asked],
        told: &[(Message, Vec<String>)],
        at: Timestamp,
    ) -> Result<(), Error> {
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
        for (message, channels) in told {
            for channel in channels {
                queue(&transaction, channel, message, at, Cause::News)?;
            }
        }
        transaction.commit()?;
        Ok(())
    }
}
