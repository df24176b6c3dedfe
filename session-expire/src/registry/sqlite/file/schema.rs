//! Schema of the file, and its migrations.
//!
//! A published migration never changes. Opening a file applies the migrations that it lacks.

use rusqlite::{Connection, TransactionBehavior};

/// Application id in the header of the file: `Sess` in ASCII.
const APPLICATION_ID: i64 = 0x5365_7373;

/// Migrations from each version to the next. `PRAGMA user_version` is the number of migrations that
/// the file has. Do not change a published migration; add another.
pub(crate) const MIGRATIONS: &[&str] = &["
    CREATE TABLE sessions (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,  -- in the order of the logins
        key_hash TEXT NOT NULL UNIQUE,          -- derived from the secret key by SHA-256
        id TEXT NOT NULL,                       -- public id
        signing_key TEXT NOT NULL,              -- signs the page tokens of this session
        user TEXT NOT NULL,
        logged_in_at INTEGER NOT NULL,          -- all times: milliseconds since 1970
        authenticated_at INTEGER NOT NULL,      -- login or last re-authentication
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
        ended_cause TEXT,                       -- the application's own word
        ended_by TEXT,                          -- device whose login evicted the session
        in_history INTEGER NOT NULL DEFAULT 1,  -- 0: a tombstone
        -- Session data as JSON; NULL: none. Columns behind a long value would be slow to read.
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
        user TEXT UNIQUE,                       -- NULL: all users
        until INTEGER,                          -- NULL: forever
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

/// Schema of a file after [`migrate`].
#[derive(Debug)]
pub(crate) enum SchemaStatus {
    /// Schema of this version of the crate.
    Current,
    /// Schema of another program.
    Foreign,
    /// Schema of a newer version of the crate, with its number.
    Newer(i64),
}

/// Migrates the file to the current version; each migration is one transaction. A file of another
/// program or of a newer version does not change.
pub(crate) fn migrate(db: &mut Connection, migrations: &[&str]) -> rusqlite::Result<SchemaStatus> {
    let number = |db: &Connection, sql| db.query_row(sql, [], |row| row.get::<_, i64>(0));
    let version = number(db, "PRAGMA user_version")?;
    let tables = number(db, "SELECT count(*) FROM sqlite_schema")?;
    if tables > 0 && number(db, "PRAGMA application_id")? != APPLICATION_ID {
        return Ok(SchemaStatus::Foreign);
    }
    let done = usize::try_from(version).ok();
    let Some(missing) = done.and_then(|done| migrations.get(done..)) else {
        return Ok(SchemaStatus::Newer(version));
    };
    for (migration, version) in missing.iter().zip(version + 1..) {
        let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(migration)?;
        transaction.pragma_update(None, "user_version", version)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.commit()?;
    }
    Ok(SchemaStatus::Current)
}

#[cfg(test)]
mod tests {
    use super::*;

    const INSERT_SESSION: &str = "
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
    fn empty_file_is_migrated_once() {
        let mut db = Connection::open_in_memory().unwrap();
        for _ in 0..2 {
            assert!(matches!(migrate(&mut db, MIGRATIONS).unwrap(), SchemaStatus::Current));
            assert_eq!(version(&db), 1);
        }
        db.query_row("SELECT count(*) FROM session_history", [], |_| Ok(())).unwrap();
    }

    #[test]
    fn older_file_keeps_its_rows_and_newer_file_does_not_change() {
        let mut db = migrated(MIGRATIONS);
        db.execute_batch(INSERT_SESSION).unwrap();
        let next = [MIGRATIONS[0], "ALTER TABLE sessions ADD COLUMN country TEXT DEFAULT '-'"];
        assert!(matches!(migrate(&mut db, &next).unwrap(), SchemaStatus::Current));
        let row: String =
            db.query_row("SELECT user || country FROM sessions", [], |row| row.get(0)).unwrap();
        assert_eq!((row.as_str(), version(&db)), ("alice-", 2));
        assert!(matches!(migrate(&mut db, MIGRATIONS).unwrap(), SchemaStatus::Newer(2)));
        assert_eq!(version(&db), 2);
    }

    #[test]
    fn failed_migration_leaves_the_previous_version() {
        let mut db = Connection::open_in_memory().unwrap();
        let broken = [MIGRATIONS[0], "CREATE TABLE half (x); CREATE TABLE half (x);"];
        migrate(&mut db, &broken).unwrap_err();
        assert_eq!(version(&db), 1);
        assert!(db.prepare("SELECT x FROM half").is_err());
    }

    #[test]
    fn database_of_another_program_does_not_change() {
        let mut db = Connection::open_in_memory().unwrap();
        db.execute_batch("CREATE TABLE cookies (x)").unwrap();
        assert!(matches!(migrate(&mut db, MIGRATIONS).unwrap(), SchemaStatus::Foreign));
        assert!(db.prepare("SELECT * FROM sessions").is_err());
    }

    #[test]
    fn ended_session_with_data_violates_the_schema() {
        let db = migrated(MIGRATIONS);
        db.execute_batch(INSERT_SESSION).unwrap();
        db.execute_batch("UPDATE sessions SET data = '{}'").unwrap();
        let end = "UPDATE sessions SET ended_at = 2, ended_reason = 'idle'";
        db.execute_batch(end).unwrap_err();
        db.execute_batch(&format!("{end}, data = NULL")).unwrap();
    }
}
