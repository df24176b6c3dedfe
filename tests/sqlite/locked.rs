//! Another program that holds the write lock of the file, which it should only read.

use std::{thread, time::Duration};

use rusqlite::Connection;
use session_expire::{
    Admission, Answer, Change, Login, Policy, Query, Registry, SqliteRegistry, minutes,
};

use crate::child::{Folder, NOON, log_in, log_out, wait};

/// Holds the lock until it is dropped.
fn lock(folder: &Folder) -> Connection {
    let other = Connection::open(folder.file()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    other
}

/// A login that is under way.
fn begin_login<'a>(registry: &'a SqliteRegistry, owner: &str) -> Answer<'a, Admission> {
    registry.login(Login::new(owner, NOON, &Policy::new()))
}

#[test]
fn a_list_does_not_wait_for_a_login_that_waits_for_another_program() {
    let folder = Folder::new();
    let registry = folder.open();
    log_out(&registry, log_in(&registry, "alice").unwrap()).unwrap();
    let other = lock(&folder);
    let login = begin_login(&registry, "bob");
    thread::sleep(Duration::from_millis(50));
    assert_eq!(wait(registry.find(Query::past("alice"))).unwrap().len(), 1);
    drop(other);
    // Had the list waited, it would have been until this failed.
    wait(login).unwrap();
}

#[test]
fn what_is_saved_at_the_end_waits_longer_for_another_program() {
    let folder = Folder::new();
    let registry = folder.open();
    let (key, seen) = (log_in(&registry, "alice").unwrap(), NOON.plus(minutes(1)));
    wait(registry.touch(key, Change { seen, now: seen, patch: None })).unwrap();
    let other = lock(&folder);
    let release = thread::spawn(|| {
        thread::sleep(Duration::from_millis(900));
        drop(other);
    });
    drop(registry);
    release.join().unwrap();
    assert_eq!(wait(folder.open().load(key)).unwrap().unwrap().record.last_seen, seen);
}
