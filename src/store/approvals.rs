//! Plans that wait for a person's yes, and what people said of them over message buttons and the answer page.
//!
//! What was said is committed here with the code it came with, so that a code is good once; the responses take it from
//! here, again if the process died in between, and who said it twice counts once.

use compact_str::CompactString;
use rusqlite::{OptionalExtension, Row, TransactionBehavior, params};

use super::{ChannelRoute, Error, Store, column, number};
use crate::domain::{IncidentId, Timestamp};

/// A plan that waits for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The response to which incident.
    pub incident: IncidentId,
    /// Until when a yes counts.
    pub until: Timestamp,
    /// How many people have to say yes.
    pub needs: u32,
    /// How many did.
    pub given: u32,
}

/// What a person said of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    /// Its number; 0 before it is kept.
    pub id: u64,
    /// The response to which incident.
    pub incident: IncidentId,
    /// Yes or no.
    pub yes: bool,
    /// Who, by the name that the channel vouches for.
    pub by: CompactString,
    /// Over which channel.
    pub via: CompactString,
    /// When.
    pub at: Timestamp,
    /// What it came with, which is good once.
    pub code: String,
}

/// Of more that nobody took, the newest are refused: only a fault of ours or a flood makes so many.
const MOST: i64 = 1_000;

impl Store {
    /// Returns the plan of an incident that waits for a yes now.
    pub fn asked(&self, incident: &IncidentId, now: Timestamp) -> Result<Option<Asked>, Error> {
        let found = self
            .connection
            .prepare_cached("SELECT until, needs, given FROM asked WHERE incident = ?1 AND until >= ?2")?
            .query_row(params![incident.as_str(), now.nanos()], |row| {
                Ok(Asked {
                    incident: incident.clone(),
                    until: Timestamp::from_nanos(row.get(0)?),
                    needs: row.get(1)?,
                    given: row.get(2)?,
                })
            })
            .optional()?;
        Ok(found)
    }

    /// Returns the plan of an incident that waits for a yes now, where a channel is told of its account at all.
    pub fn asked_on(
        &self,
        routes: &[ChannelRoute],
        incident: &IncidentId,
        channel: &str,
        now: Timestamp,
    ) -> Result<Option<Asked>, Error> {
        let Some(known) = self.incident(incident)? else { return Ok(None) };
        let told = routes.iter().find(|route| route.name == channel);
        if !told.is_some_and(|route| route.accepts(known.level, &known.account)) {
            return Ok(None);
        }
        self.asked(incident, now)
    }

    /// Keeps what a person said where its code was shown for that very plan, is still good, and the plan still waits;
    /// the code is used up whatever becomes of it. Returns whether it was kept.
    pub fn approve(&mut self, approval: &Approval) -> Result<bool, Error> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let code: Option<(String, i64)> = transaction
            .prepare_cached("DELETE FROM codes WHERE code = ?1 RETURNING incident, expires")?
            .query_row([&approval.code], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let good =
            code.is_some_and(|(incident, until)| incident == approval.incident.as_str() && until > approval.at.nanos());
        let kept = good && keep(&transaction, approval)?;
        transaction.commit()?;
        Ok(kept)
    }

    /// Makes codes of a deed that were shown to a user useless.
    pub fn withdraw_codes(&mut self, incident: &IncidentId, user: i64, deed: &str) -> Result<(), Error> {
        self.connection
            .prepare_cached("DELETE FROM codes WHERE incident = ?1 AND user = ?2 AND deed = ?3")?
            .execute(params![incident.as_str(), user, deed])?;
        Ok(())
    }

    /// Keeps that a person does not want a plan carried out, as "that was me" says; once for each code.
    pub fn decline(&mut self, approval: &Approval) -> Result<bool, Error> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let kept = keep(&transaction, &Approval { yes: false, ..approval.clone() })?;
        transaction.commit()?;
        Ok(kept)
    }

    /// Returns what people said and the responses have not taken yet, oldest first.
    pub fn approvals(&self) -> Result<Vec<Approval>, Error> {
        let mut statement = self.connection.prepare_cached(
            "SELECT id, incident, yes, by, via, at, code FROM approvals WHERE taken = 0 ORDER BY id LIMIT 100",
        )?;
        let rows = statement.query_map([], read)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Writes down that the responses took it.
    pub fn mark_taken(&mut self, id: u64) -> Result<(), Error> {
        self.connection.prepare_cached("UPDATE approvals SET taken = 1 WHERE id = ?1")?.execute([column(id)])?;
        Ok(())
    }
}

fn keep(transaction: &rusqlite::Transaction<'_>, approval: &Approval) -> Result<bool, Error> {
    let waits: bool = transaction
        .prepare_cached("SELECT count(*) > 0 FROM asked WHERE incident = ?1 AND until >= ?2")?
        .query_row(params![approval.incident.as_str(), approval.at.nanos()], |row| row.get(0))?;
    let waiting: i64 = transaction
        .prepare_cached("SELECT count(*) FROM approvals WHERE taken = 0")?
        .query_row([], |row| row.get(0))?;
    if !waits || waiting >= MOST {
        return Ok(false);
    }
    let kept = transaction
        .prepare_cached(
            "INSERT OR IGNORE INTO approvals (incident, yes, by, via, at, code) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            approval.incident.as_str(),
            approval.yes,
            approval.by.as_str(),
            approval.via.as_str(),
            approval.at.nanos(),
            approval.code
        ])?;
    Ok(kept == 1)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Approval> {
    Ok(Approval {
        id: number(row.get(0)?),
        incident: IncidentId::known(&row.get::<_, String>(1)?),
        yes: row.get(2)?,
        by: row.get::<_, String>(3)?.into(),
        via: row.get::<_, String>(4)?.into(),
        at: Timestamp::from_nanos(row.get(5)?),
        code: row.get(6)?,
    })
}
