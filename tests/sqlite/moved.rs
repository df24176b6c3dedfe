//! File that is moved or replaced while a registry has it open.

use std::{fs, sync::mpsc};

use rusqlite::Connection;
use session_expire::registry::{Change, ChangeListener, Registry};

use crate::child::{Folder, full_message, log_in, log_out, store_data, wait};

const FILES: [&str; 3] = ["sessions.db", "sessions.db-wal", "sessions.db-shm"];

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
    let faults: [(&str, Fault); 3] = [
        ("sessions.db: moved", |folder| {
            FILES.iter().for_each(|name| rename(folder, name, &format!("old {name}")))
        }),
        ("sessions.db: moved", |folder| fs::remove_file(folder.file()).unwrap()),
        ("sessions.db: moved", replace),
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

/// The registry cannot report changes to another file at its path.
#[test]
fn moved_file_fails_the_check_of_the_reports() {
    let folder = Folder::new();
    let registry = folder.open();
    let (sender, receiver) = mpsc::channel();
    let listener = ChangeListener::new(move |change| sender.send(change).unwrap());
    let subscription = registry.subscribe(listener);
    assert!(wait(subscription.check()).unwrap());
    FILES.iter().for_each(|name| rename(&folder, name, &format!("old {name}")));
    let error = full_message(&wait(subscription.check()).unwrap_err());
    assert!(error.contains("sessions.db: moved"), "{error}");
    FILES.iter().for_each(|name| rename(&folder, &format!("old {name}"), name));
    log_in(&registry, "alice").unwrap();
    assert!(wait(subscription.check()).unwrap());
    let reports: Vec<_> = receiver.try_iter().collect();
    assert_eq!(reports, [Change::Any, Change::user("alice")]);
}
