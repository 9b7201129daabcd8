//! What people answered, and the one-use codes they answer with.
//!
//! An answer is committed here first and handed to the journal afterwards, again if the process died in between; what
//! takes it from the journal takes it once.

use base64::Engine as _;
use compact_str::CompactString;
use rusqlite::{OptionalExtension, Row, TransactionBehavior, params};
use serde::{Deserialize, Serialize};

use super::{Error, Store, column, number};
use crate::domain::{IncidentId, Level, Span, Timestamp};

/// What a person said of an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Somebody looks after it.
    Seen,
    /// The owner did it.
    Mine,
    /// The owner did not do it.
    NotMine,
    /// Ask again after a while.
    Later,
}

/// A person's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its number; 0 before it is kept.
    pub id: u64,
    /// About which incident.
    pub incident: IncidentId,
    /// What was said.
    pub verdict: Verdict,
    /// Who said it, as far as the channel knows.
    pub by: CompactString,
    /// Over which channel.
    pub via: CompactString,
    /// When.
    pub at: Timestamp,
    /// Until when it holds: an exception for `mine`, a pause for `later`.
    pub until: Option<Timestamp>,
    /// What may be given once only: the code or the link it came with.
    pub code: Option<String>,
}

/// What became of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answered {
    /// It was kept, under this number.
    Kept(u64),
    /// The code was used before, by an earlier answer.
    Used(Answer),
    /// There is no such incident.
    Unknown,
}

/// A button's code: short enough for 64 bytes, random, and good for one answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Code {
    /// What the button carries.
    pub code: String,
    /// About which incident.
    pub incident: IncidentId,
    /// On which channel it was shown.
    pub channel: String,
    /// What it does.
    pub deed: String,
    /// The only user who may press it; anybody on the channel's list when absent.
    pub user: Option<i64>,
    /// Until when.
    pub expires: Timestamp,
}

impl Verdict {
    /// All of them.
    pub const ALL: [Verdict; 4] = [Verdict::Seen, Verdict::Mine, Verdict::NotMine, Verdict::Later];

    /// Returns the word used in files and output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Verdict::Seen => "seen",
            Verdict::Mine => "mine",
            Verdict::NotMine => "not_mine",
            Verdict::Later => "later",
        }
    }

    /// Reads the word, with a dash or an underscore.
    pub fn from_word(word: &str) -> Option<Self> {
        let word = word.replace('-', "_");
        Verdict::ALL.into_iter().find(|verdict| verdict.as_str() == word)
    }
}

/// How loud a level is, where it is compared in SQL.
pub(super) const fn rank(level: Level) -> i64 {
    match level {
        Level::Notice => 0,
        Level::Alert => 1,
        Level::Act => 2,
    }
}

const COLUMNS: &str = "id, incident, verdict, by, via, at, until, code";

impl Store {
    /// Keeps an answer, and says whether its code was still good. The answer stands for the incident as loud as it was
    /// then; should it become louder, somebody has to answer again.
    pub fn answer(&mut self, answer: &Answer) -> Result<Answered, Error> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let known: Option<(i64, String)> = transaction
            .prepare_cached("SELECT epoch, level FROM incidents WHERE id = ?1 ORDER BY epoch DESC LIMIT 1")?
            .query_row([answer.incident.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let Some((epoch, level)) = known else { return Ok(Answered::Unknown) };
        if let Some(code) = &answer.code {
            let used = transaction
                .prepare_cached(&format!("SELECT {COLUMNS} FROM answers WHERE code = ?1"))?
                .query_row([code], read_answer)
                .optional()?;
            if let Some(used) = used {
                return Ok(Answered::Used(used));
            }
        }
        let loud = match answer.verdict {
            // Who says that it was not them answers for whatever is still found.
            Verdict::NotMine => rank(Level::Act),
            Verdict::Seen | Verdict::Mine | Verdict::Later => {
                Level::ALL.iter().find(|known| known.as_str() == level).map_or(0, |known| rank(*known))
            }
        };
        transaction
            .prepare_cached(
                "INSERT INTO answers (epoch, incident, verdict, rank, by, via, at, until, code)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?
            .execute(params![
                epoch,
                answer.incident.as_str(),
                answer.verdict.as_str(),
                loud,
                answer.by.as_str(),
                answer.via.as_str(),
                answer.at.nanos(),
                answer.until.map(Timestamp::nanos),
                answer.code,
            ])?;
        let id = number(transaction.last_insert_rowid());
        transaction.commit()?;
        Ok(Answered::Kept(id))
    }

    /// Returns what was answered to an incident, oldest first.
    pub fn answers(&self, incident: &IncidentId) -> Result<Vec<Answer>, Error> {
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM answers WHERE incident = ?1
             AND epoch = (SELECT max(epoch) FROM incidents WHERE id = ?1) ORDER BY id"
        ))?;
        let rows = statement.query_map([incident.as_str()], read_answer)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Returns answers that the journal does not have yet, oldest first.
    pub fn unjournaled_answers(&self) -> Result<Vec<Answer>, Error> {
        let mut statement = self
            .connection
            .prepare_cached(&format!("SELECT {COLUMNS} FROM answers WHERE journaled = 0 ORDER BY id LIMIT 100"))?;
        let rows = statement.query_map([], read_answer)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Writes down that an answer was handed to the journal.
    pub fn mark_journaled(&mut self, id: u64) -> Result<(), Error> {
        self.connection.prepare_cached("UPDATE answers SET journaled = 1 WHERE id = ?1")?.execute([column(id)])?;
        Ok(())
    }

    /// Keeps codes; forgets those that ended long ago.
    pub fn keep_codes(&mut self, codes: &[Code], now: Timestamp) -> Result<(), Error> {
        let transaction = self.connection.transaction()?;
        transaction.execute("DELETE FROM codes WHERE expires < ?1", [(now - Span::from_secs(7 * 86_400)).nanos()])?;
        for code in codes {
            transaction
                .prepare_cached(
                    "INSERT INTO codes (code, incident, channel, deed, user, expires) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                )?
                .execute(params![
                    code.code,
                    code.incident.as_str(),
                    code.channel,
                    code.deed,
                    code.user,
                    code.expires.nanos()
                ])?;
        }
        transaction.commit()?;
        Ok(())
    }

    /// Returns what a code stands for, used or not.
    pub fn code(&self, code: &str) -> Result<Option<Code>, Error> {
        let found = self
            .connection
            .prepare_cached("SELECT code, incident, channel, deed, user, expires FROM codes WHERE code = ?1")?
            .query_row([code], |row| {
                Ok(Code {
                    code: row.get(0)?,
                    incident: IncidentId::known(&row.get::<_, String>(1)?),
                    channel: row.get(2)?,
                    deed: row.get(3)?,
                    user: row.get(4)?,
                    expires: Timestamp::from_nanos(row.get(5)?),
                })
            })
            .optional()?;
        Ok(found)
    }

    /// Uses a code up; false when somebody was faster.
    pub fn use_code(&mut self, code: &str) -> Result<bool, Error> {
        let gone = self.connection.prepare_cached("DELETE FROM codes WHERE code = ?1")?.execute([code])?;
        Ok(gone == 1)
    }

    /// Returns a secret key kept under a name, made at the first call. It lies in the database, which is its owner's only.
    pub fn secret(&mut self, name: &str) -> Result<Vec<u8>, Error> {
        if let Some(known) = self.mark(name)?
            && let Ok(key) = base64::engine::general_purpose::STANDARD.decode(&known)
            && key.len() == 32
        {
            return Ok(key);
        }
        let key: [u8; 32] = rand::random();
        self.set_mark(name, &base64::engine::general_purpose::STANDARD.encode(key))?;
        Ok(key.to_vec())
    }

    /// Returns a value kept under a name, such as how far a bot has listened.
    pub fn mark(&self, name: &str) -> Result<Option<String>, Error> {
        let value = self
            .connection
            .prepare_cached("SELECT value FROM marks WHERE name = ?1")?
            .query_row([name], |row| row.get(0))
            .optional()?;
        Ok(value)
    }

    /// Keeps a value under a name.
    pub fn set_mark(&mut self, name: &str, value: &str) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "INSERT INTO marks VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            )?
            .execute([name, value])?;
        Ok(())
    }
}

fn read_answer(row: &Row<'_>) -> rusqlite::Result<Answer> {
    let verdict: String = row.get(2)?;
    Ok(Answer {
        id: number(row.get(0)?),
        incident: IncidentId::known(&row.get::<_, String>(1)?),
        verdict: Verdict::from_word(&verdict).unwrap_or(Verdict::Seen),
        by: row.get::<_, String>(3)?.into(),
        via: row.get::<_, String>(4)?.into(),
        at: Timestamp::from_nanos(row.get(5)?),
        until: row.get::<_, Option<i64>>(6)?.map(Timestamp::from_nanos),
        code: row.get(7)?,
    })
}
