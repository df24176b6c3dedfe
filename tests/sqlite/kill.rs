//! `kill -9` in the middle of the work.

use std::{
    collections::HashMap,
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
    thread,
};

use rusqlite::Connection;
use session_expire::{Reason, RecordKey, Registry, SqliteRegistry};

use crate::child::{Folder, file, lines, log_in, log_out, play, say, wait};

const THREADS: u32 = 8;
const OPERATIONS: u32 = 5_000;

/// What the parent was told of a login.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Told {
    SignedIn,
    /// Asked to end, and no answer.
    Ending,
    Ended,
}

/// Signs people in and two of three out again, and says what is done as soon as it is answered.
#[test]
#[ignore = "a part that `nothing_acknowledged_is_lost` has played"]
fn busy() {
    let Some(file) = file() else { return };
    let registry = SqliteRegistry::open(file).unwrap();
    let left = AtomicU32::new(OPERATIONS);
    let next = || left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).ok();
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (registry, next) = (&registry, &next);
            scope.spawn(move || {
                while let Some(number) = next() {
                    let key = log_in(registry, &format!("user {thread}.{number}")).unwrap();
                    say(&format!("in {}", key.expose()));
                    if number % 3 > 0 && next().is_some() {
                        say(&format!("ending {}", key.expose()));
                        assert_eq!(log_out(registry, key).unwrap().len(), 1);
                        say(&format!("out {}", key.expose()));
                    }
                }
            });
        }
    });
    say("done");
}

/// Runs the busy child and kills it after so many answers.
fn kill_after(answers: usize, file: &Path, told: &mut HashMap<RecordKey, Told>) {
    let mut child = play("kill::busy", file, &[]).spawn().unwrap();
    let (mut count, mut done) = (0, false);
    // What it had said before it died is read to the end.
    for line in lines(&mut child) {
        let (word, key) = line.split_once(' ').unwrap_or((&line, ""));
        let state = match word {
            "in" => Told::SignedIn,
            "ending" => Told::Ending,
            "out" => Told::Ended,
            _ => {
                done = true;
                continue;
            }
        };
        // The last line may be torn: then it was never said.
        let Some(key) = RecordKey::parse(key) else { continue };
        told.insert(key, state);
        count += usize::from(word != "ending");
        if count == answers {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    assert!(count >= answers && !done, "killed too late to prove anything, after {count}");
}

fn check(file: &Path, told: &HashMap<RecordKey, Told>) {
    let db = Connection::open(file).unwrap();
    let verdict: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(verdict, "ok");
    drop(db);
    let registry = SqliteRegistry::open(file).unwrap();
    for (key, told) in told {
        let loaded = wait(registry.load(*key)).unwrap();
        let found = loaded.expect("an acknowledged login is there").record.ended.clone();
        match (told, found.map(|ended| ended.reason)) {
            (Told::SignedIn | Told::Ending, None) => {}
            (Told::Ended | Told::Ending, Some(Reason::LoggedOut)) => {}
            (told, found) => panic!("told {told:?} and found {found:?}"),
        }
    }
}

#[test]
fn nothing_acknowledged_is_lost() {
    let (folder, mut told) = (Folder::new(), HashMap::new());
    for answers in [1, 700, 2_500, 4_000] {
        kill_after(answers, &folder.file(), &mut told);
        check(&folder.file(), &told);
    }
    let open = told.values().filter(|told| **told == Told::SignedIn).count();
    assert!(open > 1_000 && told.len() - open > 1_000, "{open} of {}", told.len());
}
