//! What is kept from people besides silences: by exceptions, by "that was me" and by "later".

use compact_str::CompactString;
use rusqlite::params;

use super::{Error, Store, column, number};
use crate::domain::{AccountId, Excuse, Hidden, IncidentId, Span, Timestamp};

/// An incident that somebody put off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snooze {
    /// The incident.
    pub incident: IncidentId,
    /// About which account.
    pub account: AccountId,
    /// Who put it off.
    pub by: CompactString,
    /// Over which channel.
    pub via: CompactString,
    /// When.
    pub at: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// Repeats that channels would have had since.
    pub count: u64,
}

/// How long it is remembered what an excuse hid that is over.
const KEPT: Span = Span::from_secs(400 * 86_400);

impl Store {
    /// Keeps how much was hidden so far, in the place of what was kept before.
    pub fn keep_hidden(&mut self, hidden: &[Hidden], now: Timestamp) -> Result<(), Error> {
        let transaction = self.connection.transaction()?;
        transaction.execute("DELETE FROM hidden WHERE until < ?1", [(now - KEPT).nanos()])?;
        for one in hidden {
            transaction
                .prepare_cached(
                    "INSERT INTO hidden (excuse, name, account, owner, what, until, count, last)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
                     ON CONFLICT (excuse, name) DO UPDATE SET account = excluded.account, owner = excluded.owner,
                         what = excluded.what, until = excluded.until, count = excluded.count, last = excluded.last",
                )?
                .execute(params![
                    one.excuse.as_str(),
                    one.name.as_str(),
                    one.account.to_string(),
                    one.owner.as_str(),
                    one.what,
                    one.until.nanos(),
                    column(one.count),
                    one.last.map(Timestamp::nanos),
                ])?;
        }
        transaction.commit()?;
        Ok(())
    }

    /// Returns how much was hidden on one kind of word, by name.
    pub fn hidden(&self, excuse: Excuse) -> Result<Vec<Hidden>, Error> {
        let mut statement = self.connection.prepare_cached(
            "SELECT name, account, owner, what, until, count, last FROM hidden WHERE excuse = ?1 ORDER BY name",
        )?;
        let mut rows = statement.query([excuse.as_str()])?;
        let mut hidden = Vec::new();
        while let Some(row) = rows.next()? {
            let Ok(account) = row.get::<_, String>(1)?.parse() else { continue };
            hidden.push(Hidden {
                excuse,
                name: row.get::<_, String>(0)?.into(),
                account,
                owner: row.get::<_, String>(2)?.into(),
                what: row.get(3)?,
                until: Timestamp::from_nanos(row.get(4)?),
                count: number(row.get(5)?),
                last: row.get::<_, Option<i64>>(6)?.map(Timestamp::from_nanos),
            });
        }
        Ok(hidden)
    }

    /// Returns the incidents that are put off at `now`; `repeat` is how often one is told again that nobody answered.
    pub fn snoozes(&self, now: Timestamp, repeat: Option<Span>) -> Result<Vec<Snooze>, Error> {
        let mut statement = self.connection.prepare_cached(
            "SELECT answers.incident, incidents.account, answers.by, answers.via, answers.at, answers.until
             FROM answers JOIN incidents ON incidents.epoch = answers.epoch AND incidents.id = answers.incident
             WHERE answers.verdict = 'later' AND answers.until > ?1 AND answers.epoch = ?2
             AND answers.id = (SELECT max(id) FROM answers AS newest
                 WHERE newest.epoch = answers.epoch AND newest.incident = answers.incident)
             ORDER BY answers.id",
        )?;
        let mut rows = statement.query(params![now.nanos(), self.epoch])?;
        let mut snoozes = Vec::new();
        while let Some(row) = rows.next()? {
            let incident: String = row.get(0)?;
            let Ok(account) = row.get::<_, String>(1)?.parse() else { continue };
            let at = Timestamp::from_nanos(row.get(4)?);
            snoozes.push(Snooze {
                count: self.repeats_kept_back(&incident, (at, now), repeat)?,
                incident: IncidentId::known(&incident),
                account,
                by: row.get::<_, String>(2)?.into(),
                via: row.get::<_, String>(3)?.into(),
                at,
                until: Timestamp::from_nanos(row.get(5)?),
            });
        }
        Ok(snoozes)
    }

    /// Counts the repeats that would have been due on the channels that were told of an incident.
    fn repeats_kept_back(
        &self,
        incident: &str,
        (from, until): (Timestamp, Timestamp),
        repeat: Option<Span>,
    ) -> Result<u64, Error> {
        let Some(repeat) = repeat.map(|repeat| repeat.nanos()).filter(|repeat| *repeat > 0) else { return Ok(0) };
        let mut statement = self
            .connection
            .prepare_cached("SELECT max(coalesce(done_at, at)) FROM outbox WHERE incident = ?1 GROUP BY channel")?;
        let mut rows = statement.query([incident])?;
        let mut count = 0;
        while let Some(row) = rows.next()? {
            let told: i64 = row.get(0)?;
            let due = |at: Timestamp| at.nanos().saturating_sub(told).max(0) / repeat;
            count += number(due(until) - due(from));
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_absolute_and_each_kind_is_apart() {
        let mut store = Store::in_memory().unwrap();
        let at = Timestamp::from_millis(1_772_442_000_000);
        let hidden = |excuse, count| Hidden {
            excuse,
            name: "grid".into(),
            account: "binance/alice".parse().unwrap(),
            owner: "alice".into(),
            what: "pump_buy".into(),
            until: at,
            count,
            last: Some(at),
        };
        let of = |store: &Store, excuse| store.hidden(excuse).unwrap().iter().map(|one| one.count).collect::<Vec<_>>();
        store.keep_hidden(&[hidden(Excuse::Exception, 3), hidden(Excuse::Answer, 1)], at).unwrap();
        store.keep_hidden(&[hidden(Excuse::Exception, 5)], at).unwrap();
        assert_eq!((of(&store, Excuse::Exception), of(&store, Excuse::Answer)), (vec![5], vec![1]));
        store.keep_hidden(&[], at + KEPT + Span::from_secs(1)).unwrap();
        assert!(of(&store, Excuse::Exception).is_empty());
    }
}
