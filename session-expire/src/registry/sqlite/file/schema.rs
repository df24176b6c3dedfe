//! Schema of the file, and its migrations.
//!
//! A published migration never changes. Opening a file applies the migrations that it lacks. A
//! process that has the file open continues to run its statements. A migration therefore keeps the
//! columns that the statements of the previous version use.

use rusqlite::{Connection, TransactionBehavior};

use crate::session::key::{self, partition_key};

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
    |db| db.execute_batch(VERSION_3),
];

/// Schema version whose file only one process uses at a time, under a lock file.
pub(crate) const EXCLUSIVE_VERSION: i64 = 1;

const VERSION_1: &str = include_str!("version_1.sql");
const VERSION_2: &str = include_str!("version_2.sql");
const VERSION_3: &str = include_str!("version_3.sql");

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
    hex::encode(key::user_hash(user))
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
            assert_eq!(version(&db).unwrap(), 3);
        }
        db.query_row("SELECT count(*) FROM session_history", [], |_| Ok(())).unwrap();
    }

    #[test]
    fn older_file_keeps_its_rows_and_newer_file_does_not_change() {
        let mut db = migrated(MIGRATIONS);
        db.execute_batch(INSERT_SESSION).unwrap();
        let next: [Migration; 4] = [MIGRATIONS[0], MIGRATIONS[1], MIGRATIONS[2], |db| {
            db.execute_batch("ALTER TABLE sessions ADD COLUMN country TEXT DEFAULT '-'")
        }];
        assert!(matches!(migrate(&mut db, &next).unwrap(), SchemaStatus::Current));
        let row: String =
            db.query_row("SELECT user || country FROM sessions", [], |row| row.get(0)).unwrap();
        assert_eq!((row.as_str(), version(&db).unwrap()), ("alice-", 4));
        assert!(matches!(migrate(&mut db, MIGRATIONS).unwrap(), SchemaStatus::Newer(4)));
        assert_eq!(version(&db).unwrap(), 4);
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
        use crate::registry::sqlite::{
            file::{changes, lists},
            write::retention,
        };
        let db = migrated(MIGRATIONS);
        db.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).unwrap();
        let statements = retention::STATEMENTS.iter().copied().map(str::to_owned);
        let statements = statements.chain([changes::SELECT.to_owned()]);
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
