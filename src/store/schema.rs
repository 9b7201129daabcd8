//! The tables, and how an older database becomes one of today.

use rusqlite::{Connection, TransactionBehavior};

use super::Error;

/// `FGRD`: tells our database from another program's (SQLite's `application_id`).
const APPLICATION: i64 = 0x4647_5244;

/// One step a version; a database's `user_version` is how many of them it has been through.
const STEPS: &[&str] = &[
    "
    -- How far the journal was followed. Effects of arrivals below `floor` were all taken.
    CREATE TABLE progress (
        one     INTEGER PRIMARY KEY CHECK (one = 1),
        epoch   INTEGER NOT NULL,
        journal TEXT,
        floor   INTEGER NOT NULL,
        highest INTEGER NOT NULL
    );
    INSERT INTO progress VALUES (1, 1, NULL, 0, 0);

    -- Names of effects, each taken once.
    CREATE TABLE taken (
        n    INTEGER NOT NULL,
        name TEXT NOT NULL,
        PRIMARY KEY (n, name)
    ) WITHOUT ROWID;

    -- Times are nanoseconds since 1970 throughout.
    CREATE TABLE incidents (
        epoch   INTEGER NOT NULL,
        id      TEXT NOT NULL,
        account TEXT NOT NULL,
        story   TEXT NOT NULL,
        level   TEXT NOT NULL,
        opened  INTEGER NOT NULL,
        last    INTEGER NOT NULL,
        closed  INTEGER,
        state   TEXT NOT NULL,
        PRIMARY KEY (epoch, id)
    ) WITHOUT ROWID;
    CREATE INDEX incidents_opened ON incidents (opened);
    CREATE INDEX incidents_account ON incidents (account, opened);

    CREATE TABLE history (
        step       INTEGER PRIMARY KEY,
        epoch      INTEGER NOT NULL,
        incident   TEXT NOT NULL,
        n          INTEGER NOT NULL,
        name       TEXT NOT NULL,
        at         INTEGER NOT NULL,
        transition TEXT NOT NULL,
        level      TEXT NOT NULL,
        finding    TEXT,
        message    TEXT,
        FOREIGN KEY (epoch, incident) REFERENCES incidents (epoch, id) ON DELETE CASCADE
    );
    CREATE INDEX history_incident ON history (epoch, incident, step);

    -- AUTOINCREMENT: a number is never given twice, because Message-IDs are made of it.
    CREATE TABLE outbox (
        id        INTEGER PRIMARY KEY AUTOINCREMENT,
        channel   TEXT NOT NULL,
        incident  TEXT NOT NULL,
        level     TEXT NOT NULL,
        message   TEXT NOT NULL,
        state     TEXT NOT NULL CHECK (state IN ('waiting', 'sending', 'sent', 'given_up', 'superseded')),
        at        INTEGER NOT NULL,
        first_at  INTEGER NOT NULL,
        merged    INTEGER NOT NULL DEFAULT 0,
        attempts  INTEGER NOT NULL DEFAULT 0,
        uncertain INTEGER NOT NULL DEFAULT 0,
        tried_at  INTEGER,
        retry_at  INTEGER NOT NULL DEFAULT 0,
        done_at   INTEGER,
        receipt   TEXT,
        why       TEXT
    );
    CREATE INDEX outbox_open ON outbox (channel, state) WHERE state IN ('waiting', 'sending');
    CREATE INDEX outbox_incident ON outbox (channel, incident, id);
    CREATE INDEX outbox_done ON outbox (done_at) WHERE done_at IS NOT NULL;

    CREATE TABLE snapshots (
        n          INTEGER PRIMARY KEY,
        rules_hash TEXT NOT NULL,
        version    INTEGER NOT NULL,
        length     INTEGER NOT NULL,
        seal       BLOB NOT NULL,
        bytes      BLOB NOT NULL
    );
",
    "
    -- What was done about keys: one text, on disk before anything leaves.
    CREATE TABLE responses (
        one    INTEGER PRIMARY KEY CHECK (one = 1),
        memory TEXT NOT NULL
    );
",
    "
    -- Why a row is there, and which row says what it says together with others.
    ALTER TABLE outbox ADD COLUMN cause TEXT NOT NULL DEFAULT 'news';
    ALTER TABLE outbox ADD COLUMN digest INTEGER;
    CREATE INDEX outbox_digest ON outbox (digest) WHERE digest IS NOT NULL;
    CREATE INDEX outbox_recent ON outbox (channel, done_at);

    CREATE TABLE answers (
        id        INTEGER PRIMARY KEY AUTOINCREMENT,
        epoch     INTEGER NOT NULL,
        incident  TEXT NOT NULL,
        verdict   TEXT NOT NULL CHECK (verdict IN ('seen', 'mine', 'not_mine', 'later')),
        rank      INTEGER NOT NULL,
        by        TEXT NOT NULL,
        via       TEXT NOT NULL,
        at        INTEGER NOT NULL,
        until     INTEGER,
        code      TEXT UNIQUE,
        journaled INTEGER NOT NULL DEFAULT 0
    );
    CREATE INDEX answers_incident ON answers (epoch, incident, id);
    CREATE INDEX answers_unjournaled ON answers (id) WHERE journaled = 0;

    -- What buttons carry; a row goes when its code is used.
    CREATE TABLE codes (
        code     TEXT PRIMARY KEY,
        incident TEXT NOT NULL,
        channel  TEXT NOT NULL,
        deed     TEXT NOT NULL,
        user     INTEGER,
        expires  INTEGER NOT NULL
    ) WITHOUT ROWID;

    CREATE TABLE silences (
        id        INTEGER PRIMARY KEY AUTOINCREMENT,
        account   TEXT NOT NULL,
        by        TEXT NOT NULL,
        why       TEXT NOT NULL,
        at        INTEGER NOT NULL,
        until     INTEGER NOT NULL,
        swallowed INTEGER NOT NULL DEFAULT 0
    );
    CREATE INDEX silences_account ON silences (account, until);

    CREATE TABLE marks (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
",
    "
    -- Responses that wait for a person's yes, and what was said of them.
    CREATE TABLE asked (
        incident TEXT PRIMARY KEY,
        until    INTEGER NOT NULL,
        needs    INTEGER NOT NULL,
        given    INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE approvals (
        id       INTEGER PRIMARY KEY AUTOINCREMENT,
        incident TEXT NOT NULL,
        yes      INTEGER NOT NULL,
        by       TEXT NOT NULL,
        via      TEXT NOT NULL,
        at       INTEGER NOT NULL,
        code     TEXT NOT NULL UNIQUE,
        taken    INTEGER NOT NULL DEFAULT 0
    );
    CREATE INDEX approvals_waiting ON approvals (id) WHERE taken = 0;
 ",
    "
    -- How much exceptions and owners' answers kept from people, as the pipeline's memory has it.
    CREATE TABLE hidden (
        excuse  TEXT NOT NULL,
        name    TEXT NOT NULL,
        account TEXT NOT NULL,
        owner   TEXT NOT NULL,
        what    TEXT NOT NULL,
        until   INTEGER NOT NULL,
        count   INTEGER NOT NULL,
        last    INTEGER,
        PRIMARY KEY (excuse, name)
    ) WITHOUT ROWID;
",
    "
    -- Stages that rules were given without a person.
    CREATE TABLE stages (
        rule  TEXT NOT NULL,
        at    INTEGER NOT NULL,
        was   TEXT NOT NULL,
        stage TEXT NOT NULL,
        why   TEXT NOT NULL,
        PRIMARY KEY (rule, at)
    ) WITHOUT ROWID;
",
    "
    -- Who of a channel's people has a message already that others were put off with, as JSON.
    ALTER TABLE outbox ADD COLUMN reached TEXT;
",
];

/// Sets what holds for a connection rather than for the file.
pub(super) fn settle(connection: &Connection) -> Result<(), Error> {
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    connection.set_prepared_statement_cache_capacity(64);
    connection.execute_batch("PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF;")?;
    Ok(())
}

/// Refuses a database of another program or a newer version; returns the form it has.
pub(super) fn verify(connection: &Connection) -> Result<i64, Error> {
    let application: i64 = connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    let form: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0))?;
    let known = STEPS.len() as i64;
    match application {
        APPLICATION if form > known => Err(Error::Newer { found: form, known }),
        APPLICATION => Ok(form),
        0 if form == 0 && tables == 0 => Ok(0),
        _ => Err(Error::Foreign),
    }
}

/// Brings the file to today's form, each step in its own transaction.
///
/// `synchronous = FULL` makes every commit of the write-ahead log durable, which the promise to lose no effect needs.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), Error> {
    let form = verify(connection)?;
    connection
        .execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 67108864;")?;
    for (place, step) in STEPS.iter().enumerate().skip(usize::try_from(form).unwrap_or(0)) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", place as i64 + 1)?;
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.commit()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fresh_database_is_durable_and_of_todays_form() {
        let home = tempfile::tempdir().unwrap();
        let mut connection = Connection::open(home.path().join("a.db")).unwrap();
        settle(&connection).unwrap();
        migrate(&mut connection).unwrap();
        migrate(&mut connection).unwrap();
        let ask = |name: &str| -> String {
            let query = format!("SELECT CAST({name} AS TEXT) FROM pragma_{name}");
            connection.query_row(&query, [], |row| row.get(0)).unwrap()
        };
        assert_eq!(ask("journal_mode"), "wal");
        assert_eq!(ask("synchronous"), "2");
        assert_eq!(ask("foreign_keys"), "1");
        assert_eq!(ask("user_version"), STEPS.len().to_string());
    }

    #[test]
    fn a_newer_database_and_another_programs_are_refused_untouched() {
        let mut newer = Connection::open_in_memory().unwrap();
        migrate(&mut newer).unwrap();
        newer.pragma_update(None, "user_version", 99).unwrap();
        assert!(matches!(migrate(&mut newer), Err(Error::Newer { found: 99, .. })));

        let mut other = Connection::open_in_memory().unwrap();
        other.execute_batch("CREATE TABLE theirs (a)").unwrap();
        assert!(matches!(migrate(&mut other), Err(Error::Foreign)));
        let tables: i64 = other.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0)).unwrap();
        assert_eq!(tables, 1);
    }
}
