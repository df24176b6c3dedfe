//! Processes of two versions of the crate on one file, as during a deploy.
//!
//! The newer version has the same schema version: it has added a column to each table, and writes
//! words that this version does not know. The older process may have opened the file before.

use std::time::Duration;

use rusqlite::Connection;
use session_expire::{
    Policy, PolicyPatch, Reason, SqliteRegistry, hours,
    registry::{
        EndSessions, EndTarget, Ended, KeyRotation, LoginOutcome, NewLogin, Query, RecordKey,
        Registry, ReserveOutcome, RotationOutcome, SessionLimit, SessionUpdate,
    },
};
use session_expire_tests::revoked;

use crate::child::{Folder, NOON, log_in, log_out, record_activity, session, store_data, wait};

/// Adds a column to each table, and a value to each row.
fn add_columns(db: &Connection) {
    let mut select = db
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'")
        .unwrap();
    let tables: Vec<String> =
        select.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert!(tables.len() >= 5, "{tables:?}");
    for table in tables {
        let add = format!(
            "ALTER TABLE {table} ADD COLUMN colour TEXT;
             ALTER TABLE {table} ADD COLUMN size INTEGER NOT NULL DEFAULT 7;
             UPDATE {table} SET colour = 'red';"
        );
        db.execute_batch(&add).unwrap();
    }
}

/// Calls the test with a registry that has opened the file before the columns were added, and with
/// one that opens it afterwards.
fn with_columns(test: impl Fn(&SqliteRegistry, &Connection)) {
    for opens_first in [true, false] {
        let folder = Folder::new();
        let first = folder.open();
        log_in(&first, "bob").unwrap();
        let db = Connection::open(folder.file()).unwrap();
        db.busy_timeout(Duration::from_secs(60)).unwrap();
        add_columns(&db);
        if opens_first {
            test(&first, &db);
        } else {
            drop(first);
            test(&folder.open(), &db);
        }
    }
}

fn loaded_end(registry: &SqliteRegistry, key: RecordKey) -> Option<Ended> {
    wait(registry.load(key, true)).unwrap().unwrap().record.ended.clone()
}

fn commit(registry: &SqliteRegistry, login: &NewLogin) -> usize {
    match wait(registry.commit(login.clone())).unwrap() {
        LoginOutcome::Committed { ended, .. } => ended.len(),
        other => panic!("{other:?}"),
    }
}

/// Returns the new column of the records of a user, without those of former keys.
fn colours(db: &Connection, user: &str) -> Vec<Option<String>> {
    let sql = "SELECT colour FROM sessions WHERE user = ?1 AND in_history = 1 ORDER BY seq";
    let mut select = db.prepare(sql).unwrap();
    select.query_map([user], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

#[test]
fn columns_of_a_newer_version_are_kept() {
    with_columns(|registry, db| {
        let login = log_in(registry, "alice").unwrap();
        db.execute("UPDATE sessions SET colour = 'red' WHERE user = 'alice'", ()).unwrap();
        record_activity(registry, &login, NOON.plus(hours(1)));
        store_data(registry, &login).unwrap();
        let update = SessionUpdate::new(NOON);
        let rotation = KeyRotation::new(session(&login), login.key(), update);
        let rotated = wait(registry.rotate(rotation.clone())).unwrap();
        assert_eq!(rotated, RotationOutcome::Rotated);
        let loaded = wait(registry.load(rotation.new_key(), true)).unwrap().unwrap();
        assert_eq!((loaded.data.entries().len(), loaded.open), (1, Some(1)));
        assert_eq!(wait(registry.list(Query::open("alice"))).unwrap(), [(*loaded.record).clone()]);
        assert_eq!(log_out(registry, &login).unwrap().len(), 1);
        assert_eq!(wait(registry.list(Query::history("alice"))).unwrap().len(), 1);
        assert_eq!(colours(db, "alice"), [Some("red".to_owned())]);
    });
}

#[test]
fn columns_of_a_newer_version_change_no_limit() {
    with_columns(|registry, _| {
        let policy = Policy::new().max_sessions(2);
        let logins = [(); 3].map(|()| NewLogin::new("alice", NOON, &policy));
        let reserved = wait(registry.reserve(logins[0].reservation(NOON.plus(hours(1)))));
        assert!(matches!(reserved.unwrap(), ReserveOutcome::Reserved { .. }));
        assert_eq!(logins.each_ref().map(|login| commit(registry, login)), [0, 0, 1]);
        let limit = SessionLimit::from(&Policy::new().max_sessions(1));
        let ended = wait(registry.enforce_limit(session(&logins[2]), limit, revoked())).unwrap();
        assert_eq!(ended.len(), 1);
        wait(registry.cancel(logins[2].key(), revoked())).unwrap();
        assert_eq!(wait(registry.list(Query::open("alice"))).unwrap(), []);
    });
}

#[test]
fn columns_of_a_newer_version_survive_the_end_of_all_sessions() {
    with_columns(|registry, db| {
        for _ in 0..2 {
            log_in(registry, "alice").unwrap();
            assert!(wait(registry.end_everyone(revoked())).unwrap() >= 1);
        }
        let login = log_in(registry, "alice").unwrap();
        let mut end = EndSessions::new(EndTarget::All("alice".into()), revoked());
        end.close_adoption_until = Some(NOON.plus(hours(1)));
        assert_eq!(wait(registry.end(end)).unwrap().len(), 1);
        assert_eq!(loaded_end(registry, login.key()), Some(revoked()));
        assert_eq!(wait(registry.list(Query::new())).unwrap().len(), 4);
        assert_eq!(wait(registry.export("alice".into())).unwrap().records.len(), 3);
        assert_eq!(wait(registry.erase("alice".into())).unwrap(), 3);
        assert_eq!(colours(db, "alice"), []);
        assert_eq!(colours(db, "bob"), [Some("red".to_owned())]);
    });
}

/// Ends all sessions as the newer version does, for a reason that this version does not know.
fn end_all_sessions(db: &Connection) {
    let sql = format!(
        "BEGIN IMMEDIATE;
         INSERT INTO ends_of_everyone (generation, ended_at, ended_reason, ended_cause, colour)
             SELECT current_generation, {}, 'frozen', 'moved', 'red' FROM registry;
         UPDATE registry SET current_generation = current_generation + 1, commits = commits + 1,
             writer = 1;
         COMMIT;",
        NOON.as_millis()
    );
    db.execute_batch(&sql).unwrap();
}

#[test]
fn words_of_a_newer_version_are_tolerated() {
    with_columns(|registry, db| {
        let mut login = NewLogin::new("alice", NOON, &Policy::new());
        login.login_policy = Some(PolicyPatch::new().idle(hours(2)).into());
        login.user_policy = Some(PolicyPatch::new().absolute(hours(20)).into());
        let ended = log_in(registry, "alice").unwrap();
        commit(registry, &login);
        log_out(registry, &ended).unwrap();
        let words = "
            UPDATE sessions SET ended_reason = 'frozen', ended_cause = 'moved'
                WHERE ended_at IS NOT NULL;
            UPDATE sessions SET login_policy = json_set(login_policy, '$.colour', 'red'),
                user_policy = json_set(user_policy, '$.colour', json('[1]'));";
        db.execute_batch(words).unwrap();
        let unknown = Ended::new(Reason::Unknown, NOON).with_cause("moved");
        assert_eq!(loaded_end(registry, ended.key()), Some(unknown.clone()));
        let record = wait(registry.load(login.key(), false)).unwrap().unwrap().record.clone();
        assert_eq!(record.login_policy, login.login_policy);
        assert_eq!(record.user_policy, login.user_policy);
        record_activity(registry, &login, NOON.plus(hours(1)));
        end_all_sessions(db);
        assert_eq!(loaded_end(registry, login.key()), Some(unknown.clone()));
        let moved = Query::history("alice").cause("moved");
        let listed = wait(registry.list(moved)).unwrap();
        assert_eq!(
            listed.iter().filter(|record| record.ended.as_ref() == Some(&unknown)).count(),
            2
        );
        let sql = "SELECT login_policy || user_policy FROM sessions WHERE login_policy NOT NULL";
        let policies: String = db.query_row(sql, (), |row| row.get(0)).unwrap();
        assert_eq!(policies.matches("colour").count(), 2, "{policies}");
    });
}
