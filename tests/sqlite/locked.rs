//! Another program that holds the write lock of the file, which it should only read.

use std::{
    thread,
    time::{Duration, Instant},
};

use rusqlite::Connection;
use session_expire::{
    ActivityUpdate, EndTarget, Ended, LoginOutcome, NewLogin, Policy, Query, Reason, Registry,
    RegistryFuture, SqliteRegistry, minutes,
};

use crate::child::{Folder, NOON, log_in, log_out, wait, whole};

/// Holds the lock until it is dropped.
fn lock(folder: &Folder) -> Connection {
    let other = Connection::open(folder.file()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    other
}

/// A login that is under way.
fn begin_login<'a>(registry: &'a SqliteRegistry, user: &str) -> RegistryFuture<'a, LoginOutcome> {
    registry.login(NewLogin::new(user, NOON, &Policy::new()))
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
fn another_programs_lock_costs_everyone_a_moment_and_not_one_after_the_other() {
    let folder = Folder::new();
    let registry = folder.open();
    let [victim, viewer] = ["victim", "user 1"].map(|user| log_in(&registry, user).unwrap());
    let (other, began) = (lock(&folder), Instant::now());
    // Ten people, and one of them five times more: these wait for each other, too.
    let users = (0..15).map(|n| format!("user {}", n.min(10)));
    let logins: Vec<_> = users.map(|user| begin_login(&registry, &user)).collect();
    let sign_out = registry.end(EndTarget::Key(victim), Ended::new(Reason::Revoked, NOON));
    let seen = NOON.plus(minutes(1));
    wait(registry.touch(viewer, ActivityUpdate { seen, now: seen, patch: None })).unwrap();
    for login in logins {
        let error = whole(&wait(login).unwrap_err());
        assert!(error.contains("another program holds a lock on it"), "{error}");
    }
    wait(sign_out).unwrap_err();
    println!("all had their answers after {:?}", began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    drop(other);
    let open = Query { ended: Some(false), ..Query::default() };
    assert_eq!(wait(registry.find(open)).unwrap().len(), 2, "nobody was let in");
    log_in(&registry, "user 1").unwrap();
    assert_eq!(log_out(&registry, victim).unwrap().len(), 1);
}

#[test]
fn what_is_saved_at_the_end_waits_longer_for_another_program() {
    let folder = Folder::new();
    let registry = folder.open();
    let (key, seen) = (log_in(&registry, "alice").unwrap(), NOON.plus(minutes(1)));
    wait(registry.touch(key, ActivityUpdate { seen, now: seen, patch: None })).unwrap();
    let other = lock(&folder);
    let release = thread::spawn(|| {
        thread::sleep(Duration::from_millis(900));
        drop(other);
    });
    drop(registry);
    release.join().unwrap();
    assert_eq!(wait(folder.open().load(key)).unwrap().unwrap().record.last_seen, seen);
}
