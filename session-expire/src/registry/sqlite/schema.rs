//! The tables, and how older ones become the present ones.

use rusqlite::{Connection, TransactionBehavior};

/// Marks the file as ours: `Sess` in ASCII.
const APPLICATION_ID: i64 = 0x5365_7373;

/// What leads from each version to the next; `PRAGMA user_version` is the number of those that were
/// done. A published one never changes: add another.
pub(super) const MIGRATIONS: &[&str] = &["
    CREATE TABLE logins (
        seq INTEGER PRIMARY KEY,                -- in the order of the logins
        key_hash TEXT NOT NULL UNIQUE,          -- derived from the secret key by SHA-256
        id TEXT NOT NULL,                       -- the public id
        seal TEXT NOT NULL,                     -- signs the claims of this login's pages
        user TEXT NOT NULL,                    -- the user
        logged_in_at INTEGER NOT NULL,          -- milliseconds since 1970, as all times
        last_seen INTEGER NOT NULL,
        ip TEXT,
        device TEXT NOT NULL,
        idle_ms INTEGER,                        -- NULL: never
        absolute_ms INTEGER,                    -- NULL: never
        choice TEXT,                            -- what was chosen at this login, as JSON, or NULL
        patch TEXT,                             -- what the user has of their own, as JSON, or NULL
        ended_at INTEGER,                       -- NULL: open
        ended_reason TEXT,
        ended_by TEXT,                          -- the device that took the place
        in_log INTEGER NOT NULL DEFAULT 1,      -- 0: trimmed, deleted a day after the end
        CHECK ((ended_at IS NULL) = (ended_reason IS NULL)),
        CHECK (in_log = 1 OR ended_at IS NOT NULL)
    ) STRICT;
    CREATE INDEX logins_open ON logins (seq) WHERE ended_at IS NULL;
    CREATE INDEX logins_of_user ON logins (user, logged_in_at, id) WHERE in_log = 1;
    CREATE INDEX logins_by_time ON logins (logged_in_at, id) WHERE in_log = 1;
    CREATE INDEX logins_trimmed ON logins (ended_at) WHERE in_log = 0;
    CREATE VIEW login_history AS
        SELECT user, id,
            strftime('%Y-%m-%dT%H:%M:%fZ', logged_in_at / 1000.0, 'unixepoch') AS logged_in_at,
            strftime('%Y-%m-%dT%H:%M:%fZ', last_seen / 1000.0, 'unixepoch') AS last_seen,
            strftime('%Y-%m-%dT%H:%M:%fZ', ended_at / 1000.0, 'unixepoch') AS ended_at,
            ended_reason, ended_by, ip, device
        FROM logins WHERE in_log = 1;
"];

/// What a file is to us.
#[derive(Debug)]
pub(super) enum Kind {
    /// Brought to the present version.
    Ours,
    /// Of another program.
    Foreign,
    /// Of a version that is not known yet.
    Newer(i64),
}

/// Brings the file to the present version, each step whole or not at all, unless it is not ours to
/// change.
pub(super) fn migrate(db: &mut Connection, migrations: &[&str]) -> rusqlite::Result<Kind> {
    let number = |db: &Connection, sql| db.query_row(sql, [], |row| row.get::<_, i64>(0));
    let version = number(db, "PRAGMA user_version")?;
    let tables = number(db, "SELECT count(*) FROM sqlite_schema")?;
    if tables > 0 && number(db, "PRAGMA application_id")? != APPLICATION_ID {
        return Ok(Kind::Foreign);
    }
    let Some(steps) = usize::try_from(version).ok().and_then(|done| migrations.get(done..)) else {
        return Ok(Kind::Newer(version));
    };
    for (step, version) in steps.iter().zip(version + 1..) {
        let change = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        change.execute_batch(step)?;
        change.pragma_update(None, "user_version", version)?;
        change.pragma_update(None, "application_id", APPLICATION_ID)?;
        change.commit()?;
    }
    Ok(Kind::Ours)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(db: &Connection) -> i64 {
        db.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn an_empty_file_becomes_the_present_version_and_stays_so() {
        let mut db = Connection::open_in_memory().unwrap();
        for _ in 0..2 {
            assert!(matches!(migrate(&mut db, MIGRATIONS).unwrap(), Kind::Ours));
            assert_eq!(version(&db), 1);
        }
        db.query_row("SELECT count(*) FROM login_history", [], |_| Ok(())).unwrap();
    }

    #[test]
    fn an_older_file_keeps_its_rows_and_a_newer_one_is_left_alone() {
        let mut db = Connection::open_in_memory().unwrap();
        migrate(&mut db, MIGRATIONS).unwrap();
        db.execute_batch(
            "INSERT INTO logins (key_hash, id, seal, user, logged_in_at, last_seen, device)
             VALUES ('k', 'i', 's', 'alice', 1, 1, '')",
        )
        .unwrap();
        let next = [MIGRATIONS[0], "ALTER TABLE logins ADD COLUMN country TEXT DEFAULT '-'"];
        assert!(matches!(migrate(&mut db, &next).unwrap(), Kind::Ours));
        let row: String =
            db.query_row("SELECT user || country FROM logins", [], |row| row.get(0)).unwrap();
        assert_eq!((row.as_str(), version(&db)), ("alice-", 2));
        assert!(matches!(migrate(&mut db, MIGRATIONS).unwrap(), Kind::Newer(2)));
        assert_eq!(version(&db), 2);
    }

    #[test]
    fn a_step_that_fails_leaves_the_version_before_it() {
        let mut db = Connection::open_in_memory().unwrap();
        let broken = [MIGRATIONS[0], "CREATE TABLE half (x); CREATE TABLE half (x);"];
        migrate(&mut db, &broken).unwrap_err();
        assert_eq!(version(&db), 1);
        assert!(db.prepare("SELECT x FROM half").is_err());
    }

    #[test]
    fn the_database_of_another_program_is_not_touched() {
        let mut db = Connection::open_in_memory().unwrap();
        db.execute_batch("CREATE TABLE cookies (x)").unwrap();
        assert!(matches!(migrate(&mut db, MIGRATIONS).unwrap(), Kind::Foreign));
        assert!(db.prepare("SELECT * FROM logins").is_err());
    }
}
