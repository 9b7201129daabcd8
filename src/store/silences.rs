//! Silences: messages about an account that somebody does not want for a while. `act` is never silenced.

use rusqlite::{Transaction, params};

use super::{Error, Store, number};
use crate::domain::{AccountId, Level, Timestamp};

/// A silence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Silence {
    /// Its number.
    pub id: u64,
    /// About which account.
    pub account: AccountId,
    /// Who asked for it.
    pub by: String,
    /// Why.
    pub why: String,
    /// Since when.
    pub at: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// How many messages it swallowed.
    pub swallowed: u64,
}

impl Store {
    /// Begins a silence; returns its number.
    pub fn silence(
        &mut self,
        account: &AccountId,
        by: &str,
        why: &str,
        at: Timestamp,
        until: Timestamp,
    ) -> Result<u64, Error> {
        self.connection
            .prepare_cached("INSERT INTO silences (account, by, why, at, until) VALUES (?1, ?2, ?3, ?4, ?5)")?
            .execute(params![account.to_string(), by, why, at.nanos(), until.nanos()])?;
        Ok(number(self.connection.last_insert_rowid()))
    }

    /// Ends the silences of an account; returns how many there were.
    pub fn end_silences(&mut self, account: &AccountId, now: Timestamp) -> Result<usize, Error> {
        let ended = self
            .connection
            .prepare_cached("UPDATE silences SET until = ?2 WHERE account = ?1 AND until > ?2")?
            .execute(params![account.to_string(), now.nanos()])?;
        Ok(ended)
    }

    /// Returns the silences that hold now.
    pub fn silences(&self, now: Timestamp) -> Result<Vec<Silence>, Error> {
        let mut statement = self.connection.prepare_cached(
            "SELECT id, account, by, why, at, until, swallowed FROM silences WHERE until > ?1 ORDER BY id",
        )?;
        let mut rows = statement.query([now.nanos()])?;
        let mut silences = Vec::new();
        while let Some(row) = rows.next()? {
            let Ok(account) = row.get::<_, String>(1)?.parse() else { continue };
            silences.push(Silence {
                id: number(row.get(0)?),
                account,
                by: row.get(2)?,
                why: row.get(3)?,
                at: Timestamp::from_nanos(row.get(4)?),
                until: Timestamp::from_nanos(row.get(5)?),
                swallowed: number(row.get(6)?),
            });
        }
        Ok(silences)
    }
}

/// Says whether a message is swallowed, and counts it.
pub(super) fn swallows(
    transaction: &Transaction<'_>,
    account: &AccountId,
    level: Level,
    at: Timestamp,
) -> Result<bool, Error> {
    if level >= Level::Act {
        return Ok(false);
    }
    let counted = transaction
        .prepare_cached(
            "UPDATE silences SET swallowed = swallowed + 1 WHERE id =
             (SELECT min(id) FROM silences WHERE account = ?1 AND at <= ?2 AND until > ?2)",
        )?
        .execute(params![account.to_string(), at.nanos()])?;
    Ok(counted > 0)
}

/// Says whether an account is silenced now, and counts nothing.
pub(super) fn holds(transaction: &Transaction<'_>, account: &AccountId, now: Timestamp) -> Result<bool, Error> {
    let held = transaction
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM silences WHERE account = ?1 AND at <= ?2 AND until > ?2)")?
        .query_row(params![account.to_string(), now.nanos()], |row| row.get(0))?;
    Ok(held)
}
