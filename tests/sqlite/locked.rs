//! Another program that holds the write lock of the file, which it must only read.

use std::{
    thread,
    time::{Duration, Instant},
};

use rusqlite::Connection;
use session_expire::{
    Policy, Reason, SqliteRegistry, minutes,
    registry::{
        EndSessions, EndTarget, Ended, LoginOutcome, NewLogin, Query, Registry, RegistryFuture,
        SessionUpdate,
    },
};

use crate::child::{
    Folder, NOON, full_message, log_in, log_out, record_activity, session, store_data, wait,
};

/// Holds the lock until it is dropped.
fn lock(folder: &Folder) -> Connection {
    let other = Connection::open(folder.file()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    other
}

/// Starts a login; its outcome is not awaited.
fn start_login<'a>(registry: &'a SqliteRegistry, user: &str) -> RegistryFuture<'a, LoginOutcome> {
    registry.commit(NewLogin::new(user, NOON, &Policy::new()))
}

#[test]
fn list_does_not_wait_for_a_waiting_login() {
    let folder = Folder::new();
    let registry = folder.open();
    log_out(&registry, &log_in(&registry, "alice").unwrap()).unwrap();
    // On a busy machine the lock may be held for longer than the login waits.
    let overtook = (0..20).any(|_| {
        let other = lock(&folder);
        let login = start_login(&registry, "bob");
        thread::sleep(Duration::from_millis(50));
        assert_eq!(wait(registry.list(Query::history("alice"))).unwrap().len(), 1);
        drop(other);
        // A list that waited for the login would complete only after the login has failed.
        wait(login).is_ok()
    });
    assert!(overtook, "each list waited for the login");
}

#[test]
fn lock_of_another_program_fails_all_writes_at_once() {
    let folder = Folder::new();
    let registry = folder.open().timeout(Duration::from_secs(1));
    let [victim, viewer] = ["victim", "user 1"].map(|user| log_in(&registry, user).unwrap());
    let (other, began) = (lock(&folder), Instant::now());
    // Ten users, and five more operations of one of them, which also wait for each other.
    let users = (0..15).map(|n| format!("user {}", n.min(10)));
    let logins: Vec<_> = users.map(|user| start_login(&registry, &user)).collect();
    let target = EndTarget::Session(session(&victim));
    let end = registry.end(EndSessions::new(target, Ended::new(Reason::Revoked, NOON)));
    for login in logins {
        let error = full_message(&wait(login).unwrap_err());
        let words = ["another program holds a lock on it", "no response within"];
        assert!(words.iter().any(|words| error.contains(words)), "{error}");
    }
    wait(end).unwrap_err();
    assert!(wait(registry.load(victim.key(), false)).unwrap().unwrap().record.ended.is_none());
    println!("all completed after {:?}", began.elapsed());
    // Each of the 16 operations alone would wait half a second, half of the timeout.
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    drop(other);
    let open = Query::new().ended(false);
    assert_eq!(wait(registry.list(open)).unwrap().len(), 2, "no login was committed");
    log_in(&registry, "user 1").unwrap();
    record_activity(&registry, &viewer, NOON.plus(minutes(1)));
    store_data(&registry, &viewer).unwrap();
    assert_eq!(log_out(&registry, &victim).unwrap().len(), 1);
}

/// Like a stalled disk: writes fail in time, and reads continue.
#[test]
fn loads_and_lists_go_on_while_writes_wait() {
    let folder = Folder::new();
    let registry = folder.open().timeout(Duration::from_millis(600));
    let [loaded, other] = ["alice", "bob"].map(|user| log_in(&registry, user).unwrap());
    wait(registry.load(loaded.key(), true)).unwrap();
    let locking = Connection::open(folder.file()).unwrap();
    locking.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let login = start_login(&registry, "carol");
    let activity = SessionUpdate::new(NOON).active(NOON.plus(minutes(1)));
    let activity = registry.update(session(&loaded), activity);
    for _ in 0..3 {
        let cached = registry.load(loaded.key(), true).try_ready();
        assert!(cached.unwrap().unwrap().is_some(), "from the cache");
    }
    assert!(wait(registry.load(other.key(), true)).unwrap().is_some());
    assert_eq!(wait(registry.list(Query::new().ended(false))).unwrap().len(), 2);
    for error in [wait(login).unwrap_err(), wait(activity).unwrap_err()] {
        let error = full_message(&error);
        assert!(error.contains("holds a lock") || error.contains("no response within"), "{error}");
    }
    drop(locking);
    log_in(&registry, "carol").unwrap();
}
