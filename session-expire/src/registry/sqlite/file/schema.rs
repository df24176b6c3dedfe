//! Tables of the file, and the migrations that lead to them.

use rusqlite::{Connection, TransactionBehavior};

/// Marks the file as one of this crate: `Sess` in ASCII.
const APPLICATION_ID: i64 = 0x5365_7373;

/// Steps from each version to the next. `PRAGMA user_version` counts the steps that were done. A
/// published step never changes: add another.
pub(crate) const MIGRATIONS: &[&str] = &["
    CREATE TABLE sessions (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,  -- in the order of the logins
        key_hash TEXT NOT NULL UNIQUE,          -- derived from the secret key by SHA-256
        id TEXT NOT NULL,                       -- public id
        signing_key TEXT NOT NULL,              -- signs the page tokens of this session
        user TEXT NOT NULL,
        logged_in_at INTEGER NOT NULL,          -- milliseconds since 1970, as all times
        authenticated_at INTEGER NOT NULL,      -- login, or re-authentication since
        last_seen INTEGER NOT NULL,
        ip TEXT,                                -- client of the login
        device TEXT NOT NULL,
        last_ip TEXT,                           -- client of the last activity,
        last_device TEXT,                       -- NULL: that of the login
        idle_ms INTEGER,                        -- NULL: never
        absolute_ms INTEGER,                    -- NULL: never
        login_policy TEXT,                      -- JSON, or NULL
        user_policy TEXT,                       -- JSON, or NULL
        uncounted INTEGER NOT NULL DEFAULT 0,   -- 1: takes no slot of the session limit
        actor TEXT,                             -- user who impersonates this one
        generation INTEGER NOT NULL DEFAULT 0,
        tombstone_until INTEGER,                -- NULL: a day after the end
        ended_at INTEGER,                       -- NULL: open
        ended_reason TEXT,
        ended_cause TEXT,                       -- word of the application
        ended_by TEXT,                          -- device whose login evicted the session
        in_history INTEGER NOT NULL DEFAULT 1,  -- 0: a tombstone only, deleted when it is due
        -- Session data, JSON; NULL: none. The last column: those behind a long one are slow to read.
        data TEXT,
        CHECK ((ended_at IS NULL) = (ended_reason IS NULL)),
        CHECK (ended_at IS NULL OR data IS NULL),
        CHECK (in_history = 1 OR ended_at IS NOT NULL)
    ) STRICT;
    CREATE INDEX sessions_open ON sessions (seq) WHERE ended_at IS NULL;
    CREATE INDEX sessions_of_user ON sessions (user, logged_in_at, id) WHERE in_history = 1;
    CREATE INDEX sessions_by_time ON sessions (logged_in_at, id) WHERE in_history = 1;
    CREATE INDEX history_by_end ON sessions (ended_at)
        WHERE in_history = 1 AND ended_at IS NOT NULL;
    CREATE INDEX tombstones_of_user ON sessions (user) WHERE in_history = 0;
    CREATE INDEX tombstones_by_time
        ON sessions (max(ended_at + 86400000, coalesce(tombstone_until, 0))) WHERE in_history = 0;
    CREATE TABLE renewed_keys (                 -- tombstones of keys that were rotated
        key_hash TEXT PRIMARY KEY,
        session INTEGER NOT NULL,               -- sessions.seq
        renewed_at INTEGER NOT NULL,
        tombstone_until INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX renewed_keys_of_session ON renewed_keys (session);
    CREATE INDEX renewed_keys_by_time ON renewed_keys (tombstone_until);
    CREATE TABLE closed_adoptions (             -- users whose sessions cannot be adopted
        user TEXT UNIQUE,                       -- NULL: all users,
        until INTEGER,                          -- for good
        CHECK ((user IS NULL) = (until IS NULL))
    ) STRICT;
    CREATE INDEX closed_adoptions_by_time ON closed_adoptions (until);
    CREATE VIEW session_history AS
        SELECT user, id,
            strftime('%Y-%m-%dT%H:%M:%fZ', logged_in_at / 1000.0, 'unixepoch') AS logged_in_at,
            strftime('%Y-%m-%dT%H:%M:%fZ', last_seen / 1000.0, 'unixepoch') AS last_seen,
            strftime('%Y-%m-%dT%H:%M:%fZ', ended_at / 1000.0, 'unixepoch') AS ended_at,
            ended_reason, ended_cause, ended_by, ip, device, actor
        FROM sessions WHERE in_history = 1;
"];

/// Whose a file is.
#[derive(Debug)]
pub(crate) enum Owner {
    /// Of this crate, and of the present version.
    Ours,
    /// Of another program.
    Foreign,
    /// Of a version that is not known yet.
    Newer(i64),
}

/// Brings the file to the present version, each step whole or not at all. A file of another program
/// or of a newer version does not change.
pub(crate) fn migrate(db: &mut Connection, migrations: &[&str]) -> rusqlite::Result<Owner> {
    let number = |db: &Connection, sql| db.query_row(sql, [], |row| row.get::<_, i64>(0));
    let version = number(db, "PRAGMA user_version")?;
    let tables = number(db, "SELECT count(*) FROM sqlite_schema")?;
    if tables > 0 && number(db, "PRAGMA application_id")? != APPLICATION_ID {
        return Ok(Owner::Foreign);
    }
    let Some(steps) = usize::try_from(version).ok().and_then(|done| migrations.get(done..)) else {
        return Ok(Owner::Newer(version));
    };
    for (step, version) in steps.iter().zip(version + 1..) {
        let change = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        change.execute_batch(step)?;
        change.pragma_update(None, "user_version", version)?;
        change.pragma_update(None, "application_id", APPLICATION_ID)?;
        change.commit()?;
    }
    Ok(Owner::Ours)
}

#[cfg(test)]
mod tests {
    use super::*;

    const A_SESSION: &str = "
        INSERT INTO sessions
            (key_hash, id, signing_key, user, logged_in_at, authenticated_at, last_seen, device)
        VALUES ('k', 'i', 's', 'alice', 1, 1, 1, '')";

    fn version(db: &Connection) -> i64 {
        db.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap()
    }

    fn migrated(migrations: &[&str]) -> Connection {
        let mut db = Connection::open_in_memory().unwrap();
        migrate(&mut db, migrations).unwrap();
        db
    }

    #[test]
    fn empty_file_becomes_the_present_version_and_stays_so() {
        let mut db = Connection::open_in_memory().unwrap();
        for _ in 0..2 {
            assert!(matches!(migrate(&mut db, MIGRATIONS).unwrap(), Owner::Ours));
            assert_eq!(version(&db), 1);
        }
        db.query_row("SELECT count(*) FROM session_history", [], |_| Ok(())).unwrap();
    }

    #[test]
    fn older_file_keeps_its_rows_and_a_newer_one_is_left_alone() {
        let mut db = migrated(MIGRATIONS);
        db.execute_batch(A_SESSION).unwrap();
        let next = [MIGRATIONS[0], "ALTER TABLE sessions ADD COLUMN country TEXT DEFAULT '-'"];
        assert!(matches!(migrate(&mut db, &next).unwrap(), Owner::Ours));
        let row: String =
            db.query_row("SELECT user || country FROM sessions", [], |row| row.get(0)).unwrap();
        assert_eq!((row.as_str(), version(&db)), ("alice-", 2));
        assert!(matches!(migrate(&mut db, MIGRATIONS).unwrap(), Owner::Newer(2)));
        assert_eq!(version(&db), 2);
    }

    #[test]
    fn step_that_fails_leaves_the_version_before_it() {
        let mut db = Connection::open_in_memory().unwrap();
        let broken = [MIGRATIONS[0], "CREATE TABLE half (x); CREATE TABLE half (x);"];
        migrate(&mut db, &broken).unwrap_err();
        assert_eq!(version(&db), 1);
        assert!(db.prepare("SELECT x FROM half").is_err());
    }

    #[test]
    fn database_of_another_program_is_not_touched() {
        let mut db = Connection::open_in_memory().unwrap();
        db.execute_batch("CREATE TABLE cookies (x)").unwrap();
        assert!(matches!(migrate(&mut db, MIGRATIONS).unwrap(), Owner::Foreign));
        assert!(db.prepare("SELECT * FROM sessions").is_err());
    }

    #[test]
    fn ended_session_cannot_hold_data() {
        let db = migrated(MIGRATIONS);
        db.execute_batch(A_SESSION).unwrap();
        db.execute_batch("UPDATE sessions SET data = '{}'").unwrap();
        let end = "UPDATE sessions SET ended_at = 2, ended_reason = 'idle'";
        db.execute_batch(end).unwrap_err();
        db.execute_batch(&format!("{end}, data = NULL")).unwrap();
    }
}
