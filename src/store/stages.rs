//! Which stages rules were given by fillguard itself, and why.

use rusqlite::params;

use super::outbox::Cause;
use super::take::queue;
use super::{Error, Store};
use crate::domain::{Message, Timestamp};

/// A rule that was given another stage without a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restaged {
    /// The rule.
    pub rule: String,
    /// The stage it had.
    pub was: String,
    /// The stage it has.
    pub stage: String,
    /// Why: its noise and its budget.
    pub why: String,
    /// When.
    pub at: Timestamp,
}

impl Store {
    /// Writes it down and queues `message` for `channels`, both once however often it is said; true the first time.
    pub fn restaged(&mut self, one: &Restaged, message: Option<&Message>, channels: &[String]) -> Result<bool, Error> {
        let transaction = self.connection.transaction()?;
        let new = transaction
            .prepare_cached("INSERT OR IGNORE INTO stages (rule, at, was, stage, why) VALUES (?1, ?2, ?3, ?4, ?5)")?
            .execute(params![one.rule, one.at.nanos(), one.was, one.stage, one.why])?
            == 1;
        for (channel, message) in channels.iter().filter_map(|channel| Some((channel, message?))).filter(|_| new) {
            queue(&transaction, channel, message, one.at, Cause::News)?;
        }
        transaction.commit()?;
        Ok(new)
    }

    /// Returns what was written down, oldest first.
    pub fn stages(&self) -> Result<Vec<Restaged>, Error> {
        let mut statement =
            self.connection.prepare_cached("SELECT rule, was, stage, why, at FROM stages ORDER BY at, rule")?;
        let rows = statement.query_map([], |row| {
            let at = Timestamp::from_nanos(row.get(4)?);
            Ok(Restaged { rule: row.get(0)?, was: row.get(1)?, stage: row.get(2)?, why: row.get(3)?, at })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}
