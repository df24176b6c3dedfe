//! A file that an earlier version of this crate has created.
//!
//! `version_2.sql` is the schema as that version wrote it. It must not change with the migrations.

use std::time::Duration;

use rusqlite::Connection;
use session_expire::{
    Policy, PublicId, Reason, minutes,
    registry::{
        Ended, LoginOutcome, LoginTicket, NewLogin, Query, Registry, SessionRecord, SessionUpdate,
        Takeover, UpdateOutcome,
    },
};

use crate::child::{Folder, NOON, wait};

const SESSION: &str = "
    INSERT INTO sessions (key_hash, id, signing_key, user, logged_in_at, authenticated_at,
            last_seen, device, longest_idle_ms, longest_absolute_ms, check_at, tombstone_until,
            data)
        VALUES (:key, :id, :signing_key, 'bob', :noon, :noon, :noon, 'Firefox', 600000, NULL,
            :noon, :noon + 1, '{\"e\":[[\"theme\",1]]}')";

/// Creates a file of version 2 with a session of Bob, and returns its public id.
fn create_version_2(folder: &Folder) -> PublicId {
    let db = Connection::open(folder.file()).unwrap();
    db.execute_batch(include_str!("version_2.sql")).unwrap();
    let login = NewLogin::new("bob", NOON, &Policy::new());
    let (key, record) = (login.key(), SessionRecord::new(&login));
    let row = rusqlite::named_params! {
        ":key": key.expose(),
        ":id": record.id.as_str(),
        ":signing_key": record.signing_key().expose(),
        ":noon": NOON.as_millis(),
    };
    db.execute(SESSION, row).unwrap();
    record.id
}

/// Returns the names and the statements of the schema.
fn schema(folder: &Folder) -> Vec<(String, Option<String>)> {
    let db = Connection::open(folder.file()).unwrap();
    let mut select = db.prepare("SELECT name, sql FROM sqlite_schema ORDER BY name").unwrap();
    select
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect()
}

#[test]
fn file_of_version_2_gets_the_schema_of_a_new_file() {
    let [old, new] = [(); 2].map(|()| Folder::new());
    create_version_2(&old);
    for folder in [&old, &new] {
        drop(folder.open());
    }
    assert_eq!(schema(&old), schema(&new));
}

#[test]
fn file_of_version_2_keeps_its_sessions_and_accepts_logins() {
    let folder = Folder::new();
    let id = create_version_2(&folder);
    let registry = folder.open();
    let listed = wait(registry.list(Query::open("bob"))).unwrap();
    let [record] = &listed[..] else { panic!("{listed:?}") };
    assert_eq!((record.id, record.remembered, record.confirmation_attempts), (id, false, 0));
    assert_eq!(
        (&record.stamp, record.tombstone_until),
        (&None, Some(NOON.plus(Duration::from_millis(1))))
    );
    assert_eq!(wait(registry.export("bob".into())).unwrap().data[0].1.entries().count(), 1);
    let later = NOON.plus(minutes(1));
    let active = registry.update(record.session_ref(), SessionUpdate::new(later).active(later));
    assert_eq!(wait(active).unwrap(), UpdateOutcome::Updated);
    let ticket = LoginTicket::new("bob", NOON, NOON.plus(minutes(5)));
    let mut login = NewLogin::new("bob", NOON, &Policy::new());
    login.takeover = Some(Takeover::new(ticket.key(), id, Ended::new(Reason::Revoked, NOON)));
    wait(registry.issue_ticket(ticket)).unwrap();
    let outcome = wait(registry.commit(login)).unwrap();
    assert!(matches!(outcome, LoginOutcome::Committed { ended, .. } if ended.len() == 1));
}
