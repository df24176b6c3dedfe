//! File that is moved, replaced or loses its lock while a registry has it open.

use std::fs;

use rusqlite::Connection;
use session_expire::{SqliteRegistry, minutes, registry::Registry};

use crate::child::{
    Folder, NOON, full_message, log_in, log_out, record_activity, store_data, wait,
};

const FILES: [&str; 4] = ["sessions.db", "sessions.db-wal", "sessions.db-shm", "sessions.db.lock"];

fn rename(folder: &Folder, from: &str, to: &str) {
    fs::rename(folder.path().join(from), folder.path().join(to)).unwrap();
}

/// Restores a backup over the file that is in use.
fn replace(folder: &Folder) {
    let backup = folder.path().join("backup");
    let other = Connection::open(folder.file()).unwrap();
    other.execute("VACUUM INTO ?1", [backup.to_str().unwrap()]).unwrap();
    fs::rename(backup, folder.file()).unwrap();
}

#[test]
fn moved_file_fails_all_writes() {
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
        let login = log_in(&registry, "alice").unwrap();
        fault(&folder);
        let errors = [
            log_in(&registry, "bob").unwrap_err(),
            log_out(&registry, &login).unwrap_err(),
            store_data(&registry, &login).unwrap_err(),
        ];
        for error in errors.iter().map(|error| full_message(error)) {
            assert!(error.contains(words) && error.contains("restart the process"), "{error}");
        }
        let alice = wait(registry.load(login.key(), true)).unwrap().unwrap();
        assert_eq!((&alice.record.ended, alice.open), (&None, Some(1)), "{words}");
        assert!(alice.data.is_empty());
    }
}

#[test]
fn file_that_is_put_back_is_written_again() {
    let folder = Folder::new();
    let registry = folder.open();
    FILES.iter().for_each(|name| rename(&folder, name, &format!("old {name}")));
    log_in(&registry, "alice").unwrap_err();
    FILES.iter().for_each(|name| rename(&folder, &format!("old {name}"), name));
    let key = log_in(&registry, "alice").unwrap().key();
    drop(registry);
    assert!(wait(folder.open().load(key, false)).unwrap().is_some());
}

#[test]
fn registry_without_its_lock_writes_nothing() {
    let folder = Folder::new();
    let unlocked = folder.open();
    let login = log_in(&unlocked, "alice").unwrap();
    record_activity(&unlocked, &login, NOON.plus(minutes(1)));
    fs::remove_file(folder.path().join(FILES[3])).unwrap();
    let successor = SqliteRegistry::open(folder.file()).unwrap();
    log_out(&unlocked, &login).unwrap_err();
    drop(unlocked); // saves nothing, either
    assert_eq!(log_out(&successor, &login).unwrap()[0].last_seen, NOON);
}
