//! What nobody answered: told again where it was told, and to those who are asked next.

use std::cell::LazyCell;

use rusqlite::{TransactionBehavior, params};

use super::answers::rank;
use super::incidents::read;
use super::outbox::Cause;
use super::take::queue;
use super::{ChannelRoute, Error, Store, silences};
use crate::domain::{Incident, Level, Message, Span, Timestamp};

/// What one look came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attention {
    /// Messages queued for channels that are asked when nobody answers.
    pub escalated: usize,
    /// Messages queued again for channels that were told before.
    pub repeated: usize,
}

/// How an incident is told as it stands now: why it is told now, and how long nobody answered.
pub type Again = fn(&Incident, Cause, Span) -> Message;

/// Incidents older than this are history, whoever left them unanswered.
const LOOKED_AT: Span = Span::from_secs(3 * 86_400);

/// An incident that waits for an answer.
struct Unanswered {
    id: String,
    account: String,
    level: String,
    opened: i64,
    is_open: bool,
    /// When an answer that only put it off ended.
    resumed: Option<i64>,
    state: String,
}

impl Store {
    /// Queues incidents that nobody answered: for the channels that are to be asked after a while, and again where they
    /// were told, each `repeat`, while they are open. Somebody who asked to be asked later is asked when that time is over.
    ///
    /// An answer holds for the level the incident had then. `act` is asked about although the incident is over; below it
    /// nobody is asked about an account while it is silenced. It is told with what is lost by now, which may be more than
    /// the last message said.
    pub fn attend(
        &mut self,
        routes: &[ChannelRoute],
        now: Timestamp,
        repeat: Option<Span>,
        again: Again,
    ) -> Result<Attention, Error> {
        let mut attention = Attention::default();
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut unanswered = Vec::new();
        {
            let mut statement = transaction.prepare_cached(
                "SELECT id, account, level, opened, closed IS NULL,
                     (SELECT max(until) FROM answers WHERE epoch = incidents.epoch AND incident = incidents.id
                      AND verdict = 'later' AND until <= ?3), state
                 FROM incidents WHERE epoch = ?1 AND opened >= ?2 AND level IN ('alert', 'act')
                 AND (closed IS NULL OR level = 'act')
                 AND NOT EXISTS (SELECT 1 FROM answers WHERE epoch = incidents.epoch AND incident = incidents.id
                     AND rank >= CASE incidents.level WHEN 'act' THEN ?4 ELSE ?5 END
                     AND (verdict <> 'later' OR until > ?3))
                 AND EXISTS (SELECT 1 FROM history WHERE epoch = incidents.epoch AND incident = incidents.id
                     AND message IS NOT NULL)
                 ORDER BY opened",
            )?;
            let parameters =
                params![self.epoch, (now - LOOKED_AT).nanos(), now.nanos(), rank(Level::Act), rank(Level::Alert)];
            let rows = statement.query_map(parameters, |row| {
                Ok(Unanswered {
                    id: row.get(0)?,
                    account: row.get(1)?,
                    level: row.get(2)?,
                    opened: row.get(3)?,
                    is_open: row.get(4)?,
                    resumed: row.get(5)?,
                    state: row.get(6)?,
                })
            })?;
            for row in rows {
                unanswered.push(row?);
            }
        }
        for one in &unanswered {
            let Ok(account) = one.account.parse() else { continue };
            let level: Level = read(&format!("\"{}\"", one.level), || format!("incident {}", one.id))?;
            if level < Level::Act && silences::holds(&transaction, &account, now)? {
                continue;
            }
            // One that another version wrote must not keep the others from being told; the list of incidents warns of it.
            let incident = LazyCell::new(|| serde_json::from_str::<Incident>(&one.state).ok());
            let opened = Timestamp::from_nanos(one.opened);
            for route in routes.iter().filter(|route| route.accepts(level, &account)) {
                let (told, waiting): (Option<i64>, bool) = transaction
                    .prepare_cached(
                        "SELECT max(coalesce(done_at, at)), coalesce(max(state IN ('waiting', 'sending')), 0)
                         FROM outbox WHERE channel = ?1 AND incident = ?2 AND at >= ?3",
                    )?
                    .query_row(params![route.name, one.id, one.opened], |row| Ok((row.get(0)?, row.get(1)?)))?;
                if waiting {
                    continue;
                }
                let cause = match told {
                    None if route.is_later() && now.since(opened) >= route.after => Cause::Escalation,
                    Some(told) if one.resumed.is_some_and(|resumed| resumed > told) => Cause::Repeat,
                    Some(told) if one.is_open && repeat.is_some_and(|repeat| told + repeat.nanos() <= now.nanos()) => {
                        Cause::Repeat
                    }
                    Some(_) | None => continue,
                };
                let Some(incident) = incident.as_ref() else { break };
                let message = again(incident, cause, now.since(opened));
                queue(&transaction, &route.name, &message, now, cause)?;
                match cause {
                    Cause::Escalation => attention.escalated += 1,
                    Cause::News | Cause::Repeat | Cause::Report | Cause::Digest | Cause::Test => {
                        attention.repeated += 1;
                    }
                }
            }
        }
        transaction.commit()?;
        Ok(attention)
    }
}
