//! Schema of the file, and its migrations.
//!
//! A published migration never changes. Opening a file applies the migrations that it lacks. A
//! process that has the file open continues to run its statements. A migration therefore keeps the
//! columns that the statements of the previous version use.

use rusqlite::{Connection, TransactionBehavior};
use sha2::{Digest, Sha256};

use crate::session::key::partition_key;

/// Application id in the header of the file: `Sess` in ASCII.
const APPLICATION_ID: i64 = 0x5365_7373;

/// Changes of the schema from one version to the next.
pub(crate) type Migration = fn(&Connection) -> rusqlite::Result<()>;

/// Migrations from each version to the next. `PRAGMA user_version` is the number of migrations that
/// the file has. Do not change a published migration; add another.
pub(crate) const MIGRATIONS: &[Migration] = &[
    |db| db.execute_batch(VERSION_1),
    |db| {
        db.execute_batch(VERSION_2)?;
        lengthen_key_hashes(db)?;
        hash_closed_adoptions(db)
    },
];

/// Schema version whose file only one process uses at a time, under a lock file.
pub(crate) const EXCLUSIVE_VERSION: i64 = 1;

const VERSION_1: &str = "
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
";

/// The sessions are copied, because an added column would be stored after the session data.
const VERSION_2: &str = "
    DROP VIEW session_history;
    DROP TABLE renewed_keys;
    ALTER TABLE sessions RENAME TO sessions_1;
    ALTER TABLE closed_adoptions RENAME TO closed_adoptions_1;
    DROP INDEX sessions_open;
    DROP INDEX sessions_of_user;
    DROP INDEX sessions_by_time;
    DROP INDEX history_by_end;
    DROP INDEX tombstones_of_user;
    DROP INDEX tombstones_by_time;
    DROP INDEX closed_adoptions_by_time;
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
        longest_idle_ms INTEGER,                -- of all policies; NULL: never
        longest_absolute_ms INTEGER,            -- of all policies; NULL: never
        check_at INTEGER NOT NULL DEFAULT 0,    -- when an open session may be due to end
        login_policy TEXT,                      -- JSON, or NULL
        user_policy TEXT,                       -- JSON, or NULL
        uncounted INTEGER NOT NULL DEFAULT 0,   -- 1: takes no slot of the session limit
        actor TEXT,                             -- user who impersonates this one
        generation INTEGER NOT NULL DEFAULT 0,  -- lower than that of the registry: ended
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
    INSERT INTO sessions (seq, key_hash, id, signing_key, user, logged_in_at, authenticated_at,
            last_seen, ip, device, last_ip, last_device, idle_ms, absolute_ms, login_policy,
            user_policy, uncounted, actor, tombstone_until, ended_at, ended_reason, ended_cause,
            ended_by, in_history, data)
        SELECT seq, key_hash, id, signing_key, user, logged_in_at, authenticated_at,
            last_seen, ip, device, last_ip, last_device, idle_ms, absolute_ms, login_policy,
            user_policy, uncounted, actor, tombstone_until, ended_at, ended_reason, ended_cause,
            ended_by, in_history, data
        FROM sessions_1 ORDER BY seq;
    DROP TABLE sessions_1;
    CREATE INDEX open_of_user ON sessions (user, logged_in_at, id, uncounted, generation)
        WHERE ended_at IS NULL;
    CREATE INDEX open_by_time ON sessions (logged_in_at, id) WHERE ended_at IS NULL;
    CREATE INDEX open_by_check ON sessions (generation, check_at) WHERE ended_at IS NULL;
    CREATE INDEX history_of_user ON sessions (user, logged_in_at, id)
        WHERE in_history = 1 AND ended_at IS NOT NULL;
    CREATE INDEX history_by_time ON sessions (logged_in_at, id)
        WHERE in_history = 1 AND ended_at IS NOT NULL;
    CREATE INDEX history_by_end ON sessions (ended_at)
        WHERE in_history = 1 AND ended_at IS NOT NULL;
    CREATE INDEX tombstones_of_user ON sessions (user, ended_at) WHERE in_history = 0;
    CREATE INDEX tombstones_by_time
        ON sessions (max(ended_at + 86400000, coalesce(tombstone_until, 0))) WHERE in_history = 0;
    CREATE TABLE reservations (                 -- slots of logins that are not committed yet
        key_hash TEXT PRIMARY KEY,
        user_hash TEXT NOT NULL,                -- SHA-256 of the user id
        until INTEGER NOT NULL,
        generation INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX reservations_of_user ON reservations (user_hash, until);
    CREATE INDEX reservations_by_time ON reservations (until);
    CREATE TABLE closed_adoptions (             -- users whose sessions cannot be adopted
        user_hash TEXT PRIMARY KEY,             -- SHA-256 of the user id
        until INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX closed_adoptions_by_time ON closed_adoptions (until);
    CREATE TABLE ends_of_everyone (             -- each call that ended all sessions of all users
        generation INTEGER PRIMARY KEY,         -- the sessions of this generation and of earlier ones
        ended_at INTEGER NOT NULL,
        ended_reason TEXT NOT NULL,
        ended_cause TEXT,
        ended_by TEXT
    ) STRICT;
    CREATE TABLE registry (                     -- one row
        one INTEGER PRIMARY KEY CHECK (one = 1),
        commits INTEGER NOT NULL,               -- number of transactions
        writer INTEGER NOT NULL,                -- random number of the registry that wrote last
        current_generation INTEGER NOT NULL,    -- number of calls that ended all sessions
        last_at INTEGER NOT NULL,               -- time of the last operation
        latest_at INTEGER NOT NULL,             -- latest time since the clock was set back
        correct_to INTEGER,                     -- time to which later ones are to be set back
        history_limit INTEGER                   -- maximum that all users comply with; NULL: none
    ) STRICT;
    -- An earlier version closed adoption for all users without a generation.
    INSERT INTO registry
        SELECT 1, 0, 0, (SELECT count(*) FROM closed_adoptions_1 WHERE user IS NULL),
            coalesce(max(last_seen), 0), coalesce(max(last_seen), 0), NULL, NULL
        FROM sessions;
    INSERT INTO ends_of_everyone (generation, ended_at, ended_reason)
        SELECT 0, 0, 'revoked' FROM registry WHERE current_generation > 0;
    UPDATE sessions SET generation = (SELECT current_generation FROM registry);
    CREATE VIEW session_history AS
        SELECT user, id,
            strftime('%Y-%m-%dT%H:%M:%fZ', logged_in_at / 1000.0, 'unixepoch') AS logged_in_at,
            strftime('%Y-%m-%dT%H:%M:%fZ', last_seen / 1000.0, 'unixepoch') AS last_seen,
            strftime('%Y-%m-%dT%H:%M:%fZ', ended_at / 1000.0, 'unixepoch') AS ended_at,
            ended_reason, ended_cause, ended_by, ip, device, actor
        FROM sessions WHERE in_history = 1;
";

/// Replaces the partition keys of the key hashes, which became longer.
fn lengthen_key_hashes(db: &Connection) -> rusqlite::Result<()> {
    let mut select = db.prepare("SELECT seq, user FROM sessions")?;
    let mut update = db.prepare(
        "UPDATE sessions SET key_hash = ?2 || substr(key_hash, -22)
         WHERE seq = ?1 AND length(key_hash) = 26",
    )?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let (seq, user): (i64, String) = (row.get(0)?, row.get(1)?);
        update.execute((seq, partition_key(&user)))?;
    }
    Ok(())
}

/// Copies the closed adoptions with hashed user ids: they outlast the erasure of the user.
fn hash_closed_adoptions(db: &Connection) -> rusqlite::Result<()> {
    let mut select =
        db.prepare("SELECT user, until FROM closed_adoptions_1 WHERE user IS NOT NULL")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let (user, until): (String, i64) = (row.get(0)?, row.get(1)?);
        db.execute("INSERT INTO closed_adoptions VALUES (?1, ?2)", (user_hash(&user), until))?;
    }
    db.execute_batch("DROP TABLE closed_adoptions_1")
}

/// Returns the hash under which a user is named in rows that outlast the user's records.
pub(crate) fn user_hash(user: &str) -> String {
    hex::encode(Sha256::digest(user))
}

/// Schema of a file after [`migrate`].
#[derive(Debug)]
pub(crate) enum SchemaStatus {
    /// Schema of this version of the crate.
    Current,
    /// Schema of an older version of the crate, with the number of the next migration.
    Lacks(usize),
    /// Schema of another program.
    Foreign,
    /// Schema of a newer version of the crate, with its number.
    Newer(i64),
}

/// Migrates the file to the current version; each migration is one transaction. A file of another
/// program or of a newer version does not change.
///
/// Two processes may migrate at the same time: each migration is applied once.
pub(crate) fn migrate(
    db: &mut Connection,
    migrations: &[Migration],
) -> rusqlite::Result<SchemaStatus> {
    loop {
        let status = status(db, migrations)?;
        let SchemaStatus::Lacks(migration) = status else { return Ok(status) };
        let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let version = version(&transaction)?;
        if usize::try_from(version) == Ok(migration) {
            migrations[migration](&transaction)?;
            transaction.pragma_update(None, "user_version", version + 1)?;
            transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
            transaction.commit()?;
        }
    }
}

/// Returns the schema version of the file; 0 for an empty file.
pub(crate) fn version(db: &Connection) -> rusqlite::Result<i64> {
    number(db, "PRAGMA user_version")
}

fn status(db: &Connection, migrations: &[Migration]) -> rusqlite::Result<SchemaStatus> {
    let tables = number(db, "SELECT count(*) FROM sqlite_schema")?;
    if tables > 0 && number(db, "PRAGMA application_id")? != APPLICATION_ID {
        return Ok(SchemaStatus::Foreign);
    }
    let version = version(db)?;
    Ok(match usize::try_from(version) {
        Ok(done) if done < migrations.len() => SchemaStatus::Lacks(done),
        Ok(done) if done == migrations.len() => SchemaStatus::Current,
        _ => SchemaStatus::Newer(version),
    })
}

fn number(db: &Connection, sql: &str) -> rusqlite::Result<i64> {
    db.query_row(sql, [], |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const INSERT_SESSION: &str = "
        INSERT INTO sessions
            (key_hash, id, signing_key, user, logged_in_at, authenticated_at, last_seen, device)
        VALUES ('k', 'i', 's', 'alice', 1, 1, 1, '')";

    fn migrated(migrations: &[Migration]) -> Connection {
        let mut db = Connection::open_in_memory().unwrap();
        migrate(&mut db, migrations).unwrap();
        db
    }

    #[test]
    fn empty_file_is_migrated_once() {
        let mut db = Connection::open_in_memory().unwrap();
        for _ in 0..2 {
            assert!(matches!(migrate(&mut db, MIGRATIONS).unwrap(), SchemaStatus::Current));
            assert_eq!(version(&db).unwrap(), 2);
        }
        db.query_row("SELECT count(*) FROM session_history", [], |_| Ok(())).unwrap();
    }

    #[test]
    fn older_file_keeps_its_rows_and_newer_file_does_not_change() {
        let mut db = migrated(MIGRATIONS);
        db.execute_batch(INSERT_SESSION).unwrap();
        let next: [Migration; 3] = [MIGRATIONS[0], MIGRATIONS[1], |db| {
            db.execute_batch("ALTER TABLE sessions ADD COLUMN country TEXT DEFAULT '-'")
        }];
        assert!(matches!(migrate(&mut db, &next).unwrap(), SchemaStatus::Current));
        let row: String =
            db.query_row("SELECT user || country FROM sessions", [], |row| row.get(0)).unwrap();
        assert_eq!((row.as_str(), version(&db).unwrap()), ("alice-", 3));
        assert!(matches!(migrate(&mut db, MIGRATIONS).unwrap(), SchemaStatus::Newer(3)));
        assert_eq!(version(&db).unwrap(), 3);
    }

    #[test]
    fn failed_migration_leaves_the_previous_version() {
        let mut db = Connection::open_in_memory().unwrap();
        let broken: [Migration; 2] =
            [MIGRATIONS[0], |db| db.execute_batch("CREATE TABLE half (x); CREATE TABLE half (x);")];
        migrate(&mut db, &broken).unwrap_err();
        assert_eq!(version(&db).unwrap(), 1);
        assert!(db.prepare("SELECT x FROM half").is_err());
    }

    #[test]
    fn database_of_another_program_does_not_change() {
        let mut db = Connection::open_in_memory().unwrap();
        db.execute_batch("CREATE TABLE cookies (x)").unwrap();
        assert!(matches!(migrate(&mut db, MIGRATIONS).unwrap(), SchemaStatus::Foreign));
        assert!(db.prepare("SELECT * FROM sessions").is_err());
    }

    /// A statement that reads a whole table would be slow in a large file.
    #[test]
    fn frequent_statements_use_an_index() {
        use crate::registry::sqlite::{file::lists, write::retention};
        let db = migrated(MIGRATIONS);
        db.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).unwrap();
        let statements = retention::STATEMENTS.iter().copied().map(str::to_owned);
        for sql in statements.chain(lists::statements()) {
            let mut explain = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let mut rows = explain.raw_query();
            while let Some(row) = rows.next().unwrap() {
                let step: String = row.get(3).unwrap();
                let is_scan = step.starts_with("SCAN") && step != "SCAN CONSTANT ROW";
                assert!(!is_scan && !step.contains("TEMP B-TREE"), "{step} in {sql}");
            }
        }
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
