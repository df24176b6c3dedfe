//! A file that is moved away, replaced or robbed of its lock while a registry has it open.

use std::fs;

use rusqlite::Connection;
use session_expire::{ActivityUpdate, Registry, SqliteRegistry, minutes};

use crate::child::{Folder, NOON, log_in, log_out, wait, whole};

const FILES: [&str; 4] = ["sessions.db", "sessions.db-wal", "sessions.db-shm", "sessions.db.lock"];

fn rename(folder: &Folder, from: &str, to: &str) {
    fs::rename(folder.path().join(from), folder.path().join(to)).unwrap();
}

/// As a backup is taken, and as people should not bring it back.
fn replace(folder: &Folder) {
    let backup = folder.path().join("backup");
    let other = Connection::open(folder.file()).unwrap();
    other.execute("VACUUM INTO ?1", [backup.to_str().unwrap()]).unwrap();
    fs::rename(backup, folder.file()).unwrap();
}

#[test]
fn nothing_is_acknowledged_into_a_file_that_is_no_longer_in_its_place() {
    type Fault = fn(&Folder);
    let faults: [(&str, Fault); 4] = [
        ("sessions.db: moved", |folder| {
            FILES.iter().for_each(|name| rename(folder, name, &format!("old {name}")))
        }),
        ("sessions.db: moved", |folder| fs::remove_file(folder.file()).unwrap()),
        ("sessions.db: moved", replace),
        ("sessions.db.lock: moved", |folder| {
            fs::remove_file(folder.path().join(FILES[3])).unwrap()
        }),
    ];
    for (words, fault) in faults {
        let folder = Folder::new();
        let registry = folder.open();
        let key = log_in(&registry, "alice").unwrap();
        fault(&folder);
        let errors = [log_in(&registry, "bob").unwrap_err(), log_out(&registry, key).unwrap_err()];
        for error in errors.iter().map(|error| whole(error)) {
            assert!(error.contains(words) && error.contains("restart the process"), "{error}");
        }
        let alice = wait(registry.load(key)).unwrap().unwrap();
        assert_eq!((&alice.record.ended, alice.open), (&None, 1), "{words}");
    }
}

#[test]
fn a_file_that_is_put_back_is_written_again() {
    let folder = Folder::new();
    let registry = folder.open();
    FILES.iter().for_each(|name| rename(&folder, name, &format!("old {name}")));
    log_in(&registry, "alice").unwrap_err();
    FILES.iter().for_each(|name| rename(&folder, &format!("old {name}"), name));
    let key = log_in(&registry, "alice").unwrap();
    drop(registry);
    assert!(wait(folder.open().load(key)).unwrap().is_some());
}

#[test]
fn a_registry_without_its_lock_writes_nothing_under_the_one_that_took_its_place() {
    let folder = Folder::new();
    let robbed = folder.open();
    let key = log_in(&robbed, "alice").unwrap();
    let later = NOON.plus(minutes(1));
    wait(robbed.touch(key, ActivityUpdate { seen: later, now: later, patch: None })).unwrap();
    fs::remove_file(folder.path().join(FILES[3])).unwrap();
    let successor = SqliteRegistry::open(folder.file()).unwrap();
    log_out(&robbed, key).unwrap_err();
    drop(robbed); // saves nothing, either
    assert_eq!(log_out(&successor, key).unwrap()[0].last_seen, NOON);
}
