//! Messages on their way to people: committed with the incident, marked before and after every attempt.
//!
//! A row is `waiting`, then `sending` from before an attempt until its outcome is written, then `sent`, `given_up`,
//! or `waiting` again. A row found `sending` by a channel that starts belonged to a process that died in between:
//! it is sent again and says that it may be a repeat.

use rusqlite::{OptionalExtension, params};
use serde::{Deserialize, Serialize};

use super::incidents::read;
use super::next::QUESTION;
use super::take::queue;
use super::{Error, Store, column, number};
use crate::domain::{IncidentId, Level, Message, Span, Timestamp};

/// A message that a channel should send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queued {
    /// The row's number, never given twice.
    pub id: u64,
    /// The channel.
    pub channel: String,
    /// What it is about.
    pub incident: IncidentId,
    /// What to say.
    pub message: Message,
    /// When the arrival came that caused the message.
    pub at: Timestamp,
    /// The same for the oldest message merged into this one.
    pub first_at: Timestamp,
    /// How many older messages this one replaced before they were sent.
    pub merged: u64,
    /// How many attempts were begun.
    pub attempts: u32,
    /// True when an earlier attempt may have arrived although nobody said so.
    pub uncertain: bool,
    /// How long the last failure made it wait.
    pub waited: Span,
    /// The last message of the same incident that this channel has delivered.
    pub previous: Option<Sent>,
    /// Why it is sent.
    pub cause: Cause,
    /// Who of the channel's people has it already.
    pub reached: Vec<String>,
}

/// Why a message is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cause {
    /// Something happened.
    News,
    /// Nobody answered for long, or somebody asked to be asked again.
    Repeat,
    /// Nobody answered those who were told first.
    Escalation,
    /// Another channel did not deliver.
    Report,
    /// Many incidents told together.
    Digest,
    /// Somebody tries the channel.
    Test,
}

impl Cause {
    const ALL: [Cause; 6] = [Cause::News, Cause::Repeat, Cause::Escalation, Cause::Report, Cause::Digest, Cause::Test];

    /// Returns the word used in output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Cause::News => "news",
            Cause::Repeat => "repeat",
            Cause::Escalation => "escalation",
            Cause::Report => "report",
            Cause::Digest => "digest",
            Cause::Test => "test",
        }
    }

    fn from_word(word: &str) -> Self {
        Cause::ALL.into_iter().find(|cause| cause.as_str() == word).unwrap_or(Cause::News)
    }
}

/// What became of one message on one channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The row's number.
    pub id: u64,
    /// The channel.
    pub channel: String,
    /// `waiting`, `sending`, `sent`, `given_up` or `superseded`.
    pub state: String,
    /// Why it was queued.
    pub cause: Cause,
    /// How loud.
    pub level: String,
    /// When the arrival came that caused it.
    pub at: Timestamp,
    /// When it was last tried.
    pub tried_at: Option<Timestamp>,
    /// When it ended.
    pub done_at: Option<Timestamp>,
    /// How many attempts were begun.
    pub attempts: u32,
    /// What the last failure was.
    pub why: Option<String>,
    /// The row that says this one's news together with others.
    pub digest: Option<u64>,
}

/// A delivered message, as a later one of the same incident needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// What the channel keeps about it: a Message-ID, a chat's message number.
    pub receipt: String,
    /// How loud it was.
    pub level: Level,
}

/// How a channel stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backlog {
    /// The channel.
    pub channel: String,
    /// Messages that wait or are being sent.
    pub waiting: u64,
    /// When the arrival came that caused the oldest of them.
    pub oldest: Option<Timestamp>,
    /// Messages delivered and still remembered.
    pub sent: u64,
    /// Messages refused for good and still remembered.
    pub given_up: u64,
    /// What the last failure was, of those that still wait or were given up.
    pub why: Option<String>,
}

const COLUMNS: &str =
    "id, channel, incident, message, at, first_at, merged, attempts, uncertain, tried_at, retry_at, cause, reached";

impl Store {
    /// Returns what `channel` should send now, the loudest first, then the oldest; at most `limit` rows.
    ///
    /// A row last tried in the future is due, because the clock was set back.
    pub fn due(&self, channel: &str, now: Timestamp, limit: u32) -> Result<Vec<Queued>, Error> {
        self.due_of("TRUE", channel, now, limit)
    }

    /// Returns those of them that ask a person for a yes.
    pub(super) fn questions(&self, channel: &str, now: Timestamp, limit: u32) -> Result<Vec<Queued>, Error> {
        self.due_of(QUESTION, channel, now, limit)
    }

    fn due_of(&self, which: &str, channel: &str, now: Timestamp, limit: u32) -> Result<Vec<Queued>, Error> {
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM outbox
             WHERE channel = ?1 AND state = 'waiting' AND (retry_at <= ?2 OR tried_at > ?2) AND {which}
             ORDER BY CASE level WHEN 'act' THEN 0 WHEN 'alert' THEN 1 ELSE 2 END, id LIMIT ?3"
        ))?;
        let mut rows = statement.query(params![channel, now.nanos(), limit])?;
        let mut queued = Vec::new();
        while let Some(row) = rows.next()? {
            let id: i64 = row.get(0)?;
            let incident: String = row.get(2)?;
            let message: String = row.get(3)?;
            let tried_at: Option<i64> = row.get(9)?;
            let retry_at: i64 = row.get(10)?;
            queued.push(Queued {
                id: number(id),
                channel: row.get(1)?,
                message: read(&message, || format!("message {id}"))?,
                at: Timestamp::from_nanos(row.get(4)?),
                first_at: Timestamp::from_nanos(row.get(5)?),
                merged: number(row.get(6)?),
                attempts: row.get(7)?,
                uncertain: row.get(8)?,
                waited: tried_at.map_or(Span::ZERO, |tried_at| {
                    Timestamp::from_nanos(retry_at).since(Timestamp::from_nanos(tried_at))
                }),
                previous: self.previous(channel, &incident)?,
                incident: IncidentId::known(&incident),
                cause: Cause::from_word(&row.get::<_, String>(11)?),
                reached: match row.get::<_, Option<String>>(12)? {
                    Some(reached) => read(&reached, || format!("whom message {id} reached"))?,
                    None => Vec::new(),
                },
            });
        }
        Ok(queued)
    }

    fn previous(&self, channel: &str, incident: &str) -> Result<Option<Sent>, Error> {
        let row: Option<(String, String)> = self
            .connection
            .prepare_cached(
                "SELECT receipt, level FROM outbox
                 WHERE channel = ?1 AND incident = ?2 AND state = 'sent' AND receipt IS NOT NULL
                 ORDER BY id DESC LIMIT 1",
            )?
            .query_row(params![channel, incident], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        row.map(|(receipt, level)| {
            let level = read(&format!("\"{level}\""), || format!("message about {incident}"))?;
            Ok(Sent { receipt, level })
        })
        .transpose()
    }

    /// Returns when the next waiting row of `channel` is to be tried.
    pub fn next_due(&self, channel: &str) -> Result<Option<Timestamp>, Error> {
        let at: Option<i64> = self
            .connection
            .prepare_cached("SELECT min(retry_at) FROM outbox WHERE channel = ?1 AND state = 'waiting'")?
            .query_row([channel], |row| row.get(0))?;
        Ok(at.map(Timestamp::from_nanos))
    }

    /// Writes down that an attempt begins; false when the row is no longer there to send, as after a merge.
    pub fn mark_sending(&mut self, id: u64, now: Timestamp) -> Result<bool, Error> {
        let rows = self
            .connection
            .prepare_cached(
                "UPDATE outbox SET state = 'sending', attempts = attempts + 1, tried_at = ?2
                 WHERE id = ?1 AND state = 'waiting'",
            )?
            .execute(params![column(id), now.nanos()])?;
        Ok(rows == 1)
    }

    /// Writes down that the channel accepted the message, and what it gave back for it.
    pub fn mark_sent(&mut self, id: u64, now: Timestamp, receipt: &str) -> Result<(), Error> {
        self.connection
            .prepare_cached("UPDATE outbox SET state = 'sent', done_at = ?2, receipt = ?3, why = NULL WHERE id = ?1")?
            .execute(params![column(id), now.nanos(), receipt])?;
        Ok(())
    }

    /// Writes down that an attempt failed and when to try again; `uncertain` when the message may have arrived.
    ///
    /// A newer message of the same incident that came meanwhile takes this one's place.
    pub fn mark_failed(&mut self, id: u64, retry_at: Timestamp, uncertain: bool, why: &str) -> Result<(), Error> {
        let transaction = self.connection.transaction()?;
        transaction
            .prepare_cached(
                "UPDATE outbox SET state = 'waiting', retry_at = ?2, uncertain = uncertain OR ?3, why = ?4
                 WHERE id = ?1 AND state = 'sending'",
            )?
            .execute(params![column(id), retry_at.nanos(), uncertain, why])?;
        transaction
            .prepare_cached(
                "UPDATE outbox AS older SET state = 'superseded', done_at = older.tried_at
                 WHERE older.id = ?1 AND older.state = 'waiting' AND EXISTS (
                     SELECT 1 FROM outbox AS newer WHERE newer.channel = older.channel
                     AND newer.incident = older.incident AND newer.state = 'waiting' AND newer.id > older.id)",
            )?
            .execute([column(id)])?;
        transaction.commit()?;
        Ok(())
    }

    /// Writes down who of the channel's people has a message that is not through with the others; [`Store::mark_failed`]
    /// says when they are tried again.
    pub fn mark_reached(&mut self, id: u64, reached: &[String]) -> Result<(), Error> {
        let reached = super::take::json(&reached, || format!("whom message {id} reached"))?;
        self.connection
            .prepare_cached("UPDATE outbox SET reached = ?2 WHERE id = ?1")?
            .execute(params![column(id), reached])?;
        Ok(())
    }

    /// Writes down that the channel refused the message for good.
    pub fn mark_given_up(&mut self, id: u64, now: Timestamp, why: &str) -> Result<(), Error> {
        self.connection
            .prepare_cached("UPDATE outbox SET state = 'given_up', done_at = ?2, why = ?3 WHERE id = ?1")?
            .execute(params![column(id), now.nanos(), why])?;
        Ok(())
    }

    /// Makes rows of `channel` that were being sent when their process died wait again, marked as possible repeats.
    ///
    /// Returns how many. To be called by the channel's only sender before it sends anything.
    pub fn in_flight_after_crash(&mut self, channel: &str) -> Result<usize, Error> {
        let rows = self.connection.execute(
            "UPDATE outbox SET state = 'waiting', uncertain = 1, retry_at = 0 WHERE channel = ?1 AND state = 'sending'",
            [channel],
        )?;
        Ok(rows)
    }

    /// Makes all waiting rows of `channel` due, because it works again.
    pub fn bring_forward(&mut self, channel: &str) -> Result<(), Error> {
        self.connection
            .prepare_cached("UPDATE outbox SET retry_at = 0 WHERE channel = ?1 AND state = 'waiting'")?
            .execute([channel])?;
        Ok(())
    }

    /// Makes messages that no channel delivered wait again on a channel that refused them for good, about incidents that
    /// are open, and about all of `since` that say `act`: a theft nobody heard of is news for days. Somebody may have
    /// corrected the channel's settings, or the server its mind. Returns how many.
    pub fn revive(&mut self, channel: &str, since: Timestamp) -> Result<usize, Error> {
        let rows = self
            .connection
            .prepare_cached(
                "UPDATE outbox SET state = 'waiting', retry_at = 0, done_at = NULL
                 WHERE channel = ?1 AND state = 'given_up' AND cause <> 'report'
                 AND EXISTS (SELECT 1 FROM incidents WHERE id = outbox.incident
                     AND (closed IS NULL OR level = 'act' AND opened >= ?2))
                 AND NOT EXISTS (SELECT 1 FROM outbox AS told WHERE told.incident = outbox.incident
                     AND told.state IN ('sent', 'waiting', 'sending'))
                 AND id = (SELECT max(id) FROM outbox AS last WHERE last.channel = ?1 AND last.incident = outbox.incident)",
            )?
            .execute(params![channel, since.nanos()])?;
        Ok(rows)
    }

    /// Returns what became of the messages about an incident, oldest first.
    pub fn deliveries(&self, incident: &IncidentId) -> Result<Vec<Delivery>, Error> {
        let mut statement = self.connection.prepare_cached(
            "SELECT id, channel, state, cause, level, at, done_at, attempts, why, digest, tried_at FROM outbox
             WHERE incident = ?1 ORDER BY id",
        )?;
        let rows = statement.query_map([incident.as_str()], |row| {
            Ok(Delivery {
                id: number(row.get(0)?),
                channel: row.get(1)?,
                state: row.get(2)?,
                cause: Cause::from_word(&row.get::<_, String>(3)?),
                level: row.get(4)?,
                at: Timestamp::from_nanos(row.get(5)?),
                done_at: row.get::<_, Option<i64>>(6)?.map(Timestamp::from_nanos),
                attempts: row.get(7)?,
                why: row.get(8)?,
                digest: row.get::<_, Option<i64>>(9)?.map(number),
                tried_at: row.get::<_, Option<i64>>(10)?.map(Timestamp::from_nanos),
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Queues a message that no effect caused, such as one channel's failure told on the others.
    pub fn queue(&mut self, message: &Message, at: Timestamp, channels: &[String], cause: Cause) -> Result<(), Error> {
        let transaction = self.connection.transaction()?;
        for channel in channels {
            queue(&transaction, channel, message, at, cause)?;
        }
        transaction.commit()?;
        Ok(())
    }

    /// Says whether none of `channels` can tell anybody anything: each that had something to send since `lately` (or ever
    /// refused its last message for good) has it waiting from before `late`, or was refused it for good. Channels with
    /// nothing to send say nothing either way.
    pub fn is_mute(&self, channels: &[String], late: Timestamp, lately: Timestamp) -> Result<bool, Error> {
        let mut statement = self.connection.prepare_cached(
            "SELECT (SELECT min(first_at) FROM outbox WHERE channel = ?1 AND state IN ('waiting', 'sending')),
                 state, done_at
             FROM (SELECT 1) LEFT JOIN (SELECT state, done_at FROM outbox
                 WHERE channel = ?1 AND state IN ('sent', 'given_up') ORDER BY done_at DESC, id DESC LIMIT 1)",
        )?;
        let (mut tried, mut failing) = (0, 0);
        for channel in channels {
            let (oldest, state, done): (Option<i64>, Option<String>, Option<i64>) =
                statement.query_row([channel], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
            let refused = state.as_deref() == Some("given_up");
            let heard = done.is_some_and(|done| done >= lately.nanos());
            if oldest.is_some() || refused || heard {
                tried += 1;
                failing += usize::from(refused || oldest.is_some_and(|oldest| oldest < late.nanos()));
            }
        }
        Ok(tried > 0 && tried == failing)
    }

    /// Returns how each channel stands that ever had a message, by name.
    pub fn backlog(&self) -> Result<Vec<Backlog>, Error> {
        let mut statement = self.connection.prepare_cached(
            "SELECT channel,
                 count(*) FILTER (WHERE state IN ('waiting', 'sending')),
                 min(first_at) FILTER (WHERE state IN ('waiting', 'sending')),
                 count(*) FILTER (WHERE state = 'sent'),
                 count(*) FILTER (WHERE state = 'given_up'),
                 (SELECT why FROM outbox AS failed WHERE failed.channel = outbox.channel AND why IS NOT NULL
                  AND state <> 'superseded' ORDER BY id DESC LIMIT 1)
             FROM outbox GROUP BY channel ORDER BY channel",
        )?;
        let rows = statement.query_map([], |row| {
            Ok(Backlog {
                channel: row.get(0)?,
                waiting: number(row.get(1)?),
                oldest: row.get::<_, Option<i64>>(2)?.map(Timestamp::from_nanos),
                sent: number(row.get(3)?),
                given_up: number(row.get(4)?),
                why: row.get(5)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}
