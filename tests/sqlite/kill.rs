//! `kill -9` in the middle of writes.

use std::{
    collections::HashMap,
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
    thread,
};

use rusqlite::Connection;
use session_expire::{
    Reason, SqliteRegistry,
    registry::{RecordKey, Registry},
};

use crate::child::{Folder, child, file, lines, log_in, log_out, send, store_data, wait};

const THREADS: u32 = 8;
const LOGINS: u32 = 3_000;

/// What the parent knows of a session.
#[derive(Debug, Clone, Copy, Default)]
struct Known {
    has_data: bool,
    /// An end was started; it may or may not be in the file.
    ending: bool,
    ended: bool,
}

/// Commits logins, stores data, ends two of three sessions, and reports each step once it
/// completed.
#[test]
#[ignore = "run by `acknowledged_writes_survive_a_kill`"]
fn busy() {
    let Some(file) = file() else { return };
    let registry = SqliteRegistry::open(file).unwrap();
    let left = AtomicU32::new(LOGINS);
    let next = || left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).ok();
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (registry, next) = (&registry, &next);
            scope.spawn(move || {
                while let Some(number) = next() {
                    run_session(registry, &format!("user {thread}.{number}"), number % 3 > 0);
                }
            });
        }
    });
    send("done");
}

fn run_session(registry: &SqliteRegistry, user: &str, ends: bool) {
    let login = log_in(registry, user).unwrap();
    let report = |word: &str| send(&format!("{word} {}", login.key().expose()));
    report("open");
    store_data(registry, &login).unwrap();
    report("data");
    if ends {
        report("ending");
        assert_eq!(log_out(registry, &login).unwrap().len(), 1);
        report("ended");
    }
}

/// Runs the busy child and kills it after so many completed operations.
fn kill_after(operations: usize, file: &Path, known: &mut HashMap<RecordKey, Known>) {
    let mut child = child("kill::busy", file, &[]).spawn().unwrap();
    let (mut count, mut done) = (0, false);
    // All output that the child wrote before it was killed is read.
    for line in lines(&mut child) {
        done |= line == "done";
        // The last line may be torn: then it was never sent.
        let Some((word, key)) = line.split_once(' ') else { continue };
        let Some(key) = RecordKey::parse(key) else { continue };
        let session = known.entry(key).or_default();
        match word {
            "data" => session.has_data = true,
            "ending" => session.ending = true,
            "ended" => session.ended = true,
            _ => {}
        }
        count += usize::from(word != "ending");
        if count == operations {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    assert!(count >= operations && !done, "killed too late to prove anything, after {count}");
}

fn check(file: &Path, known: &HashMap<RecordKey, Known>) {
    let db = Connection::open(file).unwrap();
    let verdict: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(verdict, "ok");
    drop(db);
    let registry = SqliteRegistry::open(file).unwrap();
    for (key, known) in known {
        let loaded = wait(registry.load(*key, false)).unwrap();
        let loaded = loaded.expect("an acknowledged login is there");
        match loaded.record.ended.as_ref().map(|ended| ended.reason) {
            None => {
                assert!(!known.ended, "an acknowledged end is there");
                assert!(!known.has_data || loaded.data.get("stored").is_some(), "{known:?}");
            }
            Some(Reason::LoggedOut) => assert!(known.ending && loaded.data.is_empty(), "{known:?}"),
            Some(reason) => panic!("{known:?}, but {reason}"),
        }
    }
}

#[test]
fn acknowledged_writes_survive_a_kill() {
    let (folder, mut known) = (Folder::new(), HashMap::new());
    for operations in [1, 700, 2_500, 5_000] {
        kill_after(operations, &folder.file(), &mut known);
        check(&folder.file(), &known);
    }
    let open = known.values().filter(|known| !known.ending).count();
    assert!(open > 700 && known.len() - open > 1_000, "{open} of {}", known.len());
}
