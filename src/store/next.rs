//! What a channel sends next: the loudest that may go now, or all that waits as one when too much was sent lately.

use rusqlite::{TransactionBehavior, params};

use super::incidents::read;
use super::take::json;
use super::{Burst, Cause, ChannelRoute, Error, Queued, Store, column, number};
use crate::domain::{IncidentId, Level, Message, Span, Timestamp};

/// What a channel should do.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// Send this.
    Send(Box<Queued>),
    /// Wait until then, or until something is queued.
    Wait(Option<Timestamp>),
}

/// What waits, told as one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gathered {
    /// The name of the message that tells it.
    pub name: IncidentId,
    /// How many incidents, by level, the loudest first.
    pub levels: Vec<(Level, u64)>,
    /// Headlines of the loudest and oldest.
    pub headlines: Vec<String>,
    /// When the first of them came.
    pub since: Timestamp,
    /// When the last of them came.
    pub until: Timestamp,
}

/// Headlines that a message about many incidents quotes.
const QUOTED: u32 = 8;
/// Rows looked through for messages that can be edited in place.
const LOOKED_AT: u32 = 50;
/// Starts the names of messages that tell many incidents.
pub const DIGEST: &str = "digest/";
/// Messages that ask for a yes. A line among many would bury the question, so they are told one by one, and at once.
pub(super) const QUESTION: &str = "incident IN (SELECT incident || '-response' FROM asked)";
/// Messages that are never told together with others: questions, and drills, which are no incidents.
const APART: &str = "(incident IN (SELECT incident || '-response' FROM asked) OR incident LIKE 'drill-%')";

impl Gathered {
    /// Returns how many incidents it tells.
    pub fn count(&self) -> u64 {
        self.levels.iter().map(|(_, count)| count).sum()
    }
}

impl Store {
    /// Returns what `route` should send at `now`. When as many as its burst allows went out lately, the last place in
    /// it tells all that is due as one message, which `word` puts into words; after it the channel waits.
    ///
    /// An edit makes no sound and is not counted; `act` is never held back by quiet hours. A message that asks for a yes is
    /// never held back and never told together with others.
    pub fn next(
        &mut self,
        route: &ChannelRoute,
        now: Timestamp,
        word: fn(&Gathered) -> Message,
    ) -> Result<Next, Error> {
        let quiet = route.quiet.as_ref().and_then(|quiet| quiet.end(now));
        let wanted = |queued: &Queued| quiet.is_none() || queued.message.level >= Level::Act;
        let Some(burst) = route.burst else {
            return match self.due(&route.name, now, 1)?.pop().filter(wanted) {
                Some(queued) => Ok(Next::Send(Box::new(queued))),
                None => self.rest(route, now, quiet),
            };
        };
        if let Some(question) = self.questions(&route.name, now, 1)?.pop().filter(wanted) {
            return Ok(Next::Send(Box::new(question)));
        }
        let mut due: Vec<Queued> = self.due(&route.name, now, LOOKED_AT)?.into_iter().filter(wanted).collect();
        if route.edits
            && let Some(place) = due.iter().position(Queued::is_edit)
        {
            return Ok(Next::Send(Box::new(due.swap_remove(place))));
        }
        let Some(first) = due.into_iter().next() else { return self.rest(route, now, quiet) };
        let (recent, oldest) = self.recent(&route.name, now - burst.window, now)?;
        if recent >= u64::from(burst.most) {
            return Ok(Next::Wait(oldest.map(|oldest| oldest + burst.window)));
        }
        let waiting = self.waiting(&route.name, now, quiet.is_some())?;
        if recent + 1 < u64::from(burst.most) || waiting < 2 {
            return Ok(Next::Send(Box::new(first)));
        }
        self.gather(route, now, quiet.is_some(), word)?;
        // A drill that waits beside it is no louder, and older.
        let digest = self.due(&route.name, now, LOOKED_AT)?.into_iter().find(|queued| queued.cause == Cause::Digest);
        Ok(digest.map_or(Next::Wait(None), |queued| Next::Send(Box::new(queued))))
    }

    fn rest(&self, route: &ChannelRoute, now: Timestamp, quiet: Option<Timestamp>) -> Result<Next, Error> {
        let due = self.next_due(&route.name)?;
        // What is due and not sent waits for the quiet hours' end.
        Ok(Next::Wait(match (due, quiet) {
            (Some(due), Some(end)) if due <= now => Some(end),
            (due, _) => due,
        }))
    }

    /// Counts messages that reached the channel since `since`, without edits; and says when the first of them did. What
    /// was sent later than now was sent by a clock that has been set back.
    fn recent(&self, channel: &str, since: Timestamp, now: Timestamp) -> Result<(u64, Option<Timestamp>), Error> {
        let (count, oldest): (i64, Option<i64>) = self
            .connection
            .prepare_cached(
                "SELECT count(*), min(done_at) FROM outbox AS sent
                 WHERE channel = ?1 AND done_at > ?2 AND done_at <= ?3 AND state = 'sent' AND NOT (receipt <> '' AND EXISTS (
                     SELECT 1 FROM outbox AS older WHERE older.channel = ?1 AND older.incident = sent.incident
                     AND older.receipt = sent.receipt AND older.id < sent.id))",
            )?
            .query_row(params![channel, since.nanos(), now.nanos()], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok((number(count), oldest.map(Timestamp::from_nanos)))
    }

    fn waiting(&self, channel: &str, now: Timestamp, loud_only: bool) -> Result<u64, Error> {
        let count: i64 = self
            .connection
            .prepare_cached(&format!(
                "SELECT count(*) FROM outbox WHERE channel = ?1 AND state = 'waiting' AND (retry_at <= ?2 OR tried_at > ?2)
                 AND (level = 'act' OR NOT ?3) AND NOT {APART}"
            ))?
            .query_row(params![channel, now.nanos(), loud_only], |row| row.get(0))?;
        Ok(number(count))
    }

    /// Replaces all that is due by one message.
    fn gather(
        &mut self,
        route: &ChannelRoute,
        now: Timestamp,
        loud_only: bool,
        word: fn(&Gathered) -> Message,
    ) -> Result<(), Error> {
        let channel = &route.name;
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction
            .prepare_cached(
                "INSERT INTO outbox (channel, incident, level, message, state, at, first_at, cause)
                 VALUES (?1, '', 'act', '', 'sending', ?2, ?2, 'digest')",
            )?
            .execute(params![channel, now.nanos()])?;
        let row = transaction.last_insert_rowid();
        // Those that waited inside an older digest are told by this one; the older digest itself says nothing any more.
        transaction
            .prepare_cached(
                "UPDATE outbox SET digest = ?3 WHERE digest IN (SELECT id FROM outbox WHERE channel = ?1
                     AND state = 'waiting' AND cause = 'digest' AND (retry_at <= ?2 OR tried_at > ?2))",
            )?
            .execute(params![channel, now.nanos(), row])?;
        transaction
            .prepare_cached(&format!(
                "UPDATE outbox SET state = 'superseded', done_at = ?2, digest = ?3
                 WHERE channel = ?1 AND state = 'waiting' AND id <> ?3 AND (retry_at <= ?2 OR tried_at > ?2)
                 AND (level = 'act' OR NOT ?4) AND NOT {APART}"
            ))?
            .execute(params![channel, now.nanos(), row, loud_only])?;
        let told = "digest = ?1 AND cause <> 'digest'";
        let mut levels = Vec::new();
        {
            let mut statement = transaction.prepare_cached(&format!(
                "SELECT level, count(DISTINCT incident) FROM outbox WHERE {told} GROUP BY level
                 ORDER BY CASE level WHEN 'act' THEN 0 WHEN 'alert' THEN 1 ELSE 2 END"
            ))?;
            let mut rows = statement.query([row])?;
            while let Some(found) = rows.next()? {
                let level: String = found.get(0)?;
                let level: Level = read(&format!("\"{level}\""), || "a level".to_owned())?;
                levels.push((level, number(found.get(1)?)));
            }
        }
        let mut headlines = Vec::new();
        {
            let mut statement = transaction.prepare_cached(&format!(
                "SELECT message FROM outbox WHERE {told}
                 ORDER BY CASE level WHEN 'act' THEN 0 WHEN 'alert' THEN 1 ELSE 2 END, id LIMIT ?2"
            ))?;
            let mut rows = statement.query(params![row, QUOTED])?;
            while let Some(found) = rows.next()? {
                let text: String = found.get(0)?;
                let message: Message = read(&text, || format!("a message of digest {row}"))?;
                headlines.push(message.headline);
            }
        }
        let (since, until, uncertain): (i64, i64, bool) = transaction
            .prepare_cached(&format!(
                "SELECT coalesce(min(first_at), ?2), coalesce(max(at), ?2), coalesce(max(uncertain), 0)
                 FROM outbox WHERE {told}"
            ))?
            .query_row(params![row, now.nanos()], |found| Ok((found.get(0)?, found.get(1)?, found.get(2)?)))?;
        let gathered = Gathered {
            name: IncidentId::known(&format!("{DIGEST}{channel}-{row}")),
            levels,
            headlines,
            since: Timestamp::from_nanos(since),
            until: Timestamp::from_nanos(until),
        };
        let message = word(&gathered);
        transaction
            .prepare_cached(
                "UPDATE outbox SET incident = ?2, level = ?3, message = ?4, state = 'waiting', at = ?5, first_at = ?6,
                     uncertain = ?7 WHERE id = ?1",
            )?
            .execute(params![
                row,
                gathered.name.as_str(),
                message.level.as_str(),
                json(&message, || format!("digest {row}"))?,
                until,
                since,
                uncertain,
            ])?;
        transaction.commit()?;
        Ok(())
    }

    /// Returns the incidents that a digest tells.
    pub fn digested(&self, digest: u64) -> Result<Vec<IncidentId>, Error> {
        let mut statement = self.connection.prepare_cached(
            "SELECT DISTINCT incident FROM outbox WHERE digest = ?1 AND cause <> 'digest' ORDER BY id",
        )?;
        let rows = statement.query_map([column(digest)], |row| row.get::<_, String>(0))?;
        rows.map(|row| Ok(IncidentId::known(&row?))).collect()
    }
}

impl Queued {
    /// Says whether the message is about something that can be answered: an incident, not a digest, a channel or a test.
    pub fn is_answerable(&self) -> bool {
        self.message.level >= Level::Alert && !self.incident.as_str().contains('/')
    }

    /// Says whether the channel may change an earlier message instead of sending one: nothing became louder.
    pub fn is_edit(&self) -> bool {
        self.cause == Cause::News
            && self.previous.as_ref().is_some_and(|sent| !sent.receipt.is_empty() && self.message.level <= sent.level)
    }
}

impl Default for Burst {
    /// Three within a minute.
    fn default() -> Self {
        Burst { most: 3, window: Span::from_secs(60) }
    }
}
