//! What the responses remember, and what people said about them.

use rusqlite::{OptionalExtension, params};

use super::{Error, Store, column, number};
use crate::domain::{IncidentId, Timestamp};

/// Answers handed over at once.
const MOST: u32 = 100;

/// Something a person said about a response: `approve`, `deny`, `undo` or `reset`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseAnswer {
    /// The row's number, never given twice.
    pub id: u64,
    /// Which response.
    pub incident: IncidentId,
    /// Who, as the channel vouches for them; two answers of one person count once.
    pub who: String,
    /// What.
    pub verdict: String,
    /// When.
    pub at: Timestamp,
}

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

    /// Takes what a person said about a response. Channels call this for people they know: whoever is named here
    /// counts as having said so.
    pub fn answer_response(
        &mut self,
        incident: &IncidentId,
        who: &str,
        verdict: &str,
        at: Timestamp,
    ) -> Result<(), Error> {
        self.connection
            .prepare_cached("INSERT INTO response_answers (incident, who, verdict, at) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![incident.as_str(), who, verdict, at.nanos()])?;
        Ok(())
    }

    /// Returns what was said and not dealt with yet, oldest first.
    pub fn response_answers(&self) -> Result<Vec<ResponseAnswer>, Error> {
        let mut statement = self.connection.prepare_cached(
            "SELECT id, incident, who, verdict, at FROM response_answers WHERE taken = 0 ORDER BY id LIMIT ?1",
        )?;
        let rows = statement.query_map([MOST], |row| {
            let incident: String = row.get(1)?;
            Ok(ResponseAnswer {
                id: number(row.get(0)?),
                incident: IncidentId::known(&incident),
                who: row.get(2)?,
                verdict: row.get(3)?,
                at: Timestamp::from_nanos(row.get(4)?),
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Notes that an answer was dealt with.
    pub fn response_answered(&mut self, id: u64) -> Result<(), Error> {
        self.connection.prepare_cached("UPDATE response_answers SET taken = 1 WHERE id = ?1")?.execute([column(id)])?;
        Ok(())
    }
}
