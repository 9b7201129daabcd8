//! Incidents and their history, read back.

use rusqlite::{OptionalExtension, Row, params};

use super::{Error, Store, number};
use crate::domain::{AccountId, Finding, Incident, IncidentId, Level, Message, Story, Timestamp, Transition};

/// Which incidents are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// Only this account's.
    pub account: Option<AccountId>,
    /// Only this story.
    pub story: Option<Story>,
    /// Only this level and louder.
    pub min_level: Option<Level>,
    /// Only open ones (`true`) or closed ones (`false`).
    pub open: Option<bool>,
    /// Only those opened at or after this.
    pub since: Option<Timestamp>,
    /// Only those opened before this.
    pub until: Option<Timestamp>,
    /// At most so many, the newest.
    pub limit: u32,
}

/// One entry of an incident's history.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The arrival that caused it.
    pub n: u64,
    /// When that arrival came.
    pub at: Timestamp,
    /// What became of the incident.
    pub transition: Transition,
    /// The finding that caused it.
    pub finding: Option<Finding>,
    /// What people were told.
    pub message: Option<Message>,
}

impl Default for Filter {
    /// All incidents, the newest thousand.
    fn default() -> Self {
        Filter { account: None, story: None, min_level: None, open: None, since: None, until: None, limit: 1_000 }
    }
}

impl Store {
    /// Returns the incidents asked for, the last opened first; one that cannot be read back is left out with a warning.
    pub fn incidents(&self, filter: &Filter) -> Result<Vec<Incident>, Error> {
        let levels: String = Level::ALL
            .iter()
            .filter(|level| filter.min_level.is_none_or(|least| **level >= least))
            .map(|level| format!(" {level} "))
            .collect();
        let story = filter.story.and_then(|story| serde_json::to_value(story).ok());
        let mut statement = self.connection.prepare_cached(
            "SELECT id, state FROM incidents
             WHERE (?1 IS NULL OR account = ?1) AND (?2 IS NULL OR story = ?2)
               AND instr(?3, ' ' || level || ' ') > 0
               AND (?4 IS NULL OR (closed IS NULL) = ?4)
               AND opened >= ?5 AND opened < ?6
             ORDER BY opened DESC, epoch DESC, id DESC LIMIT ?7",
        )?;
        let rows = statement.query_map(
            params![
                filter.account.as_ref().map(ToString::to_string),
                story.as_ref().and_then(|value| value.as_str()),
                levels,
                filter.open,
                filter.since.map_or(i64::MIN, Timestamp::nanos),
                filter.until.map_or(i64::MAX, Timestamp::nanos),
                filter.limit,
            ],
            named_text,
        )?;
        let mut incidents = Vec::new();
        for row in rows {
            let (id, state) = row?;
            match serde_json::from_str(&state) {
                Ok(incident) => incidents.push(incident),
                Err(why) => tracing::warn!(incident = %id, %why, "an incident cannot be read back and is left out"),
            }
        }
        Ok(incidents)
    }

    /// Returns an incident by its name; the newest one, should two journals have used the name.
    pub fn incident(&self, id: &IncidentId) -> Result<Option<Incident>, Error> {
        let state: Option<String> = self
            .connection
            .prepare_cached("SELECT state FROM incidents WHERE id = ?1 ORDER BY epoch DESC LIMIT 1")?
            .query_row([id.as_str()], |row| row.get(0))
            .optional()?;
        state.map(|state| read(&state, || format!("incident {id}"))).transpose()
    }

    /// Returns what became of an incident, oldest first.
    pub fn history(&self, id: &IncidentId) -> Result<Vec<Step>, Error> {
        let mut statement = self.connection.prepare_cached(
            "SELECT n, at, transition, finding, message FROM history
             WHERE incident = ?1 AND epoch = (SELECT max(epoch) FROM incidents WHERE id = ?1) ORDER BY step",
        )?;
        let what = || format!("history of {id}");
        let mut rows = statement.query([id.as_str()])?;
        let mut steps = Vec::new();
        while let Some(row) = rows.next()? {
            let transition: String = row.get(2)?;
            let finding: Option<String> = row.get(3)?;
            let message: Option<String> = row.get(4)?;
            steps.push(Step {
                n: number(row.get(0)?),
                at: Timestamp::from_nanos(row.get(1)?),
                transition: read(&format!("\"{transition}\""), what)?,
                finding: finding.map(|text| read(&text, what)).transpose()?,
                message: message.map(|text| read(&text, what)).transpose()?,
            });
        }
        Ok(steps)
    }

    /// Forgets incidents closed before `before`, with their history, and messages that ended before it.
    ///
    /// Returns how many incidents went. What is open, waiting or being sent always stays.
    pub fn forget(&mut self, before: Timestamp) -> Result<usize, Error> {
        let transaction = self.connection.transaction()?;
        transaction.execute("DELETE FROM outbox WHERE done_at IS NOT NULL AND done_at < ?1", [before.nanos()])?;
        transaction.execute("DELETE FROM stages WHERE at < ?1", [before.nanos()])?;
        let gone =
            transaction.execute("DELETE FROM incidents WHERE closed IS NOT NULL AND closed < ?1", [before.nanos()])?;
        transaction.commit()?;
        Ok(gone)
    }
}

fn named_text(row: &Row<'_>) -> rusqlite::Result<(String, String)> {
    Ok((row.get(0)?, row.get(1)?))
}

pub(super) fn read<T: serde::de::DeserializeOwned>(text: &str, what: impl Fn() -> String) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|source| Error::Unreadable { what: what(), source })
}
