//! Effects taken once by name: the incident, its history and its messages in one transaction.

use rusqlite::{Transaction, TransactionBehavior, params};

use super::outbox::Cause;
use super::silences::swallows;
use super::{ChannelRoute, Error, Store, column};
use crate::domain::{Effect, EffectKind, Finding, Incident, Message, Timestamp, Transition};

/// What became of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Effects that were new.
    pub new: usize,
    /// Effects taken before, and dropped now.
    pub repeated: usize,
    /// Messages queued, counted once a channel.
    pub queued: usize,
}

impl Store {
    /// Takes each effect once by its name, all in one transaction that is on disk when this returns.
    ///
    /// An effect of an arrival below the oldest snapshot was taken for certain, although its name is forgotten:
    /// a snapshot is saved only after all effects up to its number were taken.
    pub fn take(&mut self, effects: &[Effect], channels: &[ChannelRoute]) -> Result<Taken, Error> {
        let mut taken = Taken::default();
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut highest = 0;
        for effect in effects {
            let fresh = effect.n >= self.floor
                && transaction
                    .prepare_cached("INSERT OR IGNORE INTO taken (n, name) VALUES (?1, ?2)")?
                    .execute(params![column(effect.n), effect.name()])?
                    == 1;
            if !fresh {
                taken.repeated += 1;
                continue;
            }
            taken.new += 1;
            highest = highest.max(effect.n);
            match &effect.kind {
                EffectKind::Incident { transition, incident, finding, message } => {
                    write_incident(&transaction, self.epoch, incident)?;
                    let step = HistoryRow {
                        effect,
                        transition: *transition,
                        finding: finding.as_ref(),
                        message: message.as_ref(),
                    };
                    step.write(&transaction, self.epoch, incident)?;
                    if let Some(message) = message {
                        taken.queued += spread(&transaction, channels, incident, message, effect.at)?;
                    }
                }
            }
        }
        if taken.new > 0 {
            transaction.execute("UPDATE progress SET highest = max(highest, ?1)", [column(highest)])?;
        }
        transaction.commit()?;
        Ok(taken)
    }
}

/// Queues a message for the channels that want it now; returns for how many.
fn spread(
    transaction: &Transaction<'_>,
    channels: &[ChannelRoute],
    incident: &Incident,
    message: &Message,
    at: Timestamp,
) -> Result<usize, Error> {
    let mut wanting = channels.iter().filter(|route| route.accepts(message.level, &incident.account)).peekable();
    if wanting.peek().is_none() || swallows(transaction, &incident.account, message.level, at)? {
        return Ok(0);
    }
    let mut queued = 0;
    for route in wanting {
        // Who is told only of what nobody answered hears of its growth once told, and not before.
        if route.is_later() && !was_told(transaction, &route.name, incident)? {
            continue;
        }
        queue(transaction, &route.name, message, at, Cause::News)?;
        queued += 1;
    }
    Ok(queued)
}

fn was_told(transaction: &Transaction<'_>, channel: &str, incident: &Incident) -> Result<bool, Error> {
    let told = transaction
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM outbox WHERE channel = ?1 AND incident = ?2 AND at >= ?3)")?
        .query_row(params![channel, incident.id.as_str(), incident.opened.nanos()], |row| row.get(0))?;
    Ok(told)
}

fn write_incident(transaction: &Transaction<'_>, epoch: i64, incident: &Incident) -> Result<(), Error> {
    let state = json(incident, || format!("incident {}", incident.id))?;
    let story = serde_json::to_value(incident.story).ok();
    transaction
        .prepare_cached(
            "INSERT INTO incidents (epoch, id, account, story, level, opened, last, closed, state)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
             ON CONFLICT (epoch, id) DO UPDATE SET level = excluded.level, opened = excluded.opened,
                 last = excluded.last, closed = excluded.closed, state = excluded.state",
        )?
        .execute(params![
            epoch,
            incident.id.as_str(),
            incident.account.to_string(),
            story.as_ref().and_then(|value| value.as_str()).unwrap_or_default(),
            incident.level.as_str(),
            incident.opened.nanos(),
            incident.last.nanos(),
            incident.closed.map(Timestamp::nanos),
            state,
        ])?;
    Ok(())
}

struct HistoryRow<'a> {
    effect: &'a Effect,
    transition: Transition,
    finding: Option<&'a Finding>,
    message: Option<&'a Message>,
}

impl HistoryRow<'_> {
    fn write(&self, transaction: &Transaction<'_>, epoch: i64, incident: &Incident) -> Result<(), Error> {
        let what = || format!("history of {}", incident.id);
        transaction
            .prepare_cached(
                "INSERT INTO history (epoch, incident, n, name, at, transition, level, finding, message)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?
            .execute(params![
                epoch,
                incident.id.as_str(),
                column(self.effect.n),
                self.effect.name(),
                self.effect.at.nanos(),
                self.transition.as_str(),
                incident.level.as_str(),
                self.finding.map(|finding| json(finding, what)).transpose()?,
                self.message.map(|message| json(message, what)).transpose()?,
            ])?;
        Ok(())
    }
}

/// Queues a message for one channel. An older one of the same incident that still waits is replaced, because the
/// newer says all it said: in a storm a channel holds one message an incident.
pub(super) fn queue(
    transaction: &Transaction<'_>,
    channel: &str,
    message: &Message,
    at: Timestamp,
    cause: Cause,
) -> Result<(), Error> {
    let incident = message.incident.as_str();
    let (merged, first_at): (i64, Option<i64>) = transaction
        .prepare_cached(
            "SELECT coalesce(sum(merged + 1), 0), min(first_at) FROM outbox
             WHERE channel = ?1 AND incident = ?2 AND state = 'waiting'",
        )?
        .query_row(params![channel, incident], |row| Ok((row.get(0)?, row.get(1)?)))?;
    if merged > 0 {
        // A row that was never tried leaves no trace but the count; one that was tried may be in somebody's mailbox.
        transaction
            .prepare_cached(
                "DELETE FROM outbox WHERE channel = ?1 AND incident = ?2 AND state = 'waiting' AND attempts = 0",
            )?
            .execute(params![channel, incident])?;
        transaction
            .prepare_cached(
                "UPDATE outbox SET state = 'superseded', done_at = ?3
                 WHERE channel = ?1 AND incident = ?2 AND state = 'waiting'",
            )?
            .execute(params![channel, incident, at.nanos()])?;
    }
    transaction
        .prepare_cached(
            "INSERT INTO outbox (channel, incident, level, message, state, at, first_at, merged, cause)
             VALUES (?1, ?2, ?3, ?4, 'waiting', ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            channel,
            incident,
            message.level.as_str(),
            json(message, || format!("message about {incident}"))?,
            at.nanos(),
            first_at.unwrap_or(at.nanos()).min(at.nanos()),
            merged,
            cause.as_str(),
        ])?;
    Ok(())
}

pub(super) fn json<T: serde::Serialize>(value: &T, what: impl Fn() -> String) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|source| Error::Unwritable { what: what(), source })
}
