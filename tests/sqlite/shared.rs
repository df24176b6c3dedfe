//! Several processes on one file: a session limit across them, and restarts without downtime.
//!
//! `RESTARTS` sets the number of restarts: see `tests/endure`.

use std::{
    collections::HashMap,
    io::{Write, stdin},
    mem,
    path::Path,
    process::{Child, Command},
    sync::{Arc, Condvar, Mutex},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use session_expire::{
    Policy, Reason, SqliteRegistry,
    registry::{EndSessions, EndTarget, Ended, LoginOutcome, NewLogin, Query, RecordKey, Registry},
};

use crate::{
    child::{Folder, NOON, child, file, lines, log_in, log_out, send, wait},
    rounds,
};

const USERS: usize = 40;
const MAX_SESSIONS: u32 = 2;

/// Commits logins of random users until it is killed, and reports each completed login.
#[test]
#[ignore = "run by `restarts_lose_no_login_and_keep_the_limit`"]
fn worker() {
    let Some(file) = file() else { return };
    let registry = SqliteRegistry::open(file).unwrap();
    let policy = Policy::new().max_sessions(MAX_SESSIONS);
    send("started");
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let user = format!("user {}", fastrand::usize(..USERS));
                    let login = NewLogin::new(&*user, NOON, &policy);
                    let outcome = wait(registry.commit(login.clone())).unwrap();
                    assert!(matches!(outcome, LoginOutcome::Committed { .. }));
                    send(&format!("{} {user}", login.key().expose()));
                }
            });
        }
    });
}

/// A running worker, and the lines that it has sent.
struct Worker {
    child: Child,
    sent: Arc<(Mutex<Vec<String>>, Condvar)>,
    reader: JoinHandle<()>,
}

impl Worker {
    fn start(file: &Path) -> Self {
        let mut command: Command = child("shared::worker", file, &[]);
        let mut child = command.spawn().unwrap();
        let (lines, sent) = (lines(&mut child), Arc::<(Mutex<Vec<_>>, Condvar)>::default());
        let received = Arc::clone(&sent);
        let reader = thread::spawn(move || {
            for line in lines {
                received.0.lock().unwrap().push(line);
                received.1.notify_all();
            }
        });
        Self { child, sent, reader }
    }

    /// Waits until the worker has committed `count` more logins.
    fn wait(&self, count: usize) {
        let sent = self.sent.0.lock().unwrap();
        let count = sent.len() + count;
        drop(self.sent.1.wait_while(sent, |sent| sent.len() < count).unwrap());
    }

    /// Kills the worker. Returns the keys and the users of its logins.
    fn kill(mut self) -> Vec<(RecordKey, String)> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.reader.join().unwrap();
        let sent = self.sent.0.lock().unwrap();
        // The last line may be incomplete.
        let logins = sent.iter().filter_map(|line| {
            let (key, user) = line.split_once(' ')?;
            Some((RecordKey::parse(key)?, user.to_owned()))
        });
        logins.collect()
    }
}

fn check(registry: &SqliteRegistry, logins: &[(RecordKey, String)], known: &HashMap<String, u32>) {
    for (key, _) in logins {
        assert!(wait(registry.load(*key, true)).unwrap().is_some(), "a completed login is lost");
    }
    for (user, logins) in known {
        let open = wait(registry.list(Query::open(user.as_str()))).unwrap().len();
        let expected = usize::try_from(MAX_SESSIONS.min(*logins)).unwrap();
        let is_right = if expected < 2 { open >= expected && open <= 2 } else { open == 2 };
        assert!(is_right, "{user} has {open} sessions after {logins} logins");
    }
}

#[test]
fn restarts_lose_no_login_and_keep_the_limit() {
    let (folder, mut known) = (Folder::new(), HashMap::<_, u32>::new());
    let registry = folder.open();
    let mut blue = Worker::start(&folder.file());
    blue.wait(50);
    let (restarts, mut longest) = (rounds::number("RESTARTS", 5), Duration::ZERO);
    for round in 0..restarts {
        let green = Worker::start(&folder.file());
        green.wait(1 + fastrand::usize(..50));
        blue.wait(1);
        let killed = Instant::now();
        let logins = mem::replace(&mut blue, green).kill();
        blue.wait(1);
        longest = longest.max(killed.elapsed());
        assert!(logins.len() > 1, "round {round}");
        for (_, user) in &logins {
            *known.entry(user.clone()).or_default() += 1;
        }
        check(&registry, &logins, &known);
    }
    blue.kill();
    let logins: u32 = known.values().sum();
    println!(
        "{restarts} kills of one of two processes: {logins} logins, none lost, all limits right; at \
         most {longest:.0?} without a login"
    );
    let db = rusqlite::Connection::open(folder.file()).unwrap();
    let verdict: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(verdict, "ok");
}

/// Commits one login of Alice, who may have one session.
#[test]
#[ignore = "run by `session_limit_holds_across_processes`"]
fn one_login() {
    let Some(file) = file() else { return };
    let registry = SqliteRegistry::open(file).unwrap();
    let policy = Policy::new().max_sessions(1);
    for _ in 0..20 {
        wait(registry.commit(NewLogin::new("alice", NOON, &policy))).unwrap();
    }
}

#[test]
fn session_limit_holds_across_processes() {
    let folder = Folder::new();
    let start = || child("shared::one_login", &folder.file(), &[]).spawn().unwrap();
    let children: Vec<_> = (0..4).map(|_| start()).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(wait(folder.open().list(Query::open("alice"))).unwrap().len(), 1);
}

/// Ends the session of each key that the parent sends, and reports it.
#[test]
#[ignore = "run by `end_by_another_process_is_seen_at_once`"]
fn ender() {
    let Some(file) = file() else { return };
    let registry = SqliteRegistry::open(file).unwrap();
    for line in stdin().lines() {
        let key = RecordKey::parse(&line.unwrap()).unwrap();
        let record = wait(registry.load(key, false)).unwrap().unwrap().record;
        assert!(record.ended.is_none());
        let target = EndTarget::Session(record.session_ref());
        let end = EndSessions::new(target, Ended::new(Reason::Revoked, NOON));
        assert_eq!(wait(registry.end(end)).unwrap().len(), 1);
        send("ended");
    }
}

#[test]
fn end_by_another_process_is_seen_at_once() {
    let folder = Folder::new();
    let registry = folder.open();
    let mut child = child("shared::ender", &folder.file(), &[]).spawn().unwrap();
    let (mut input, mut lines) = (child.stdin.take().unwrap(), lines(&mut child));
    for n in 0..50 {
        let login = log_in(&registry, &format!("user {n}")).unwrap();
        for _ in 0..3 {
            let loaded = registry.load(login.key(), true);
            assert!(wait(loaded).unwrap().unwrap().record.ended.is_none());
        }
        writeln!(input, "{}", login.key().expose()).unwrap();
        assert_eq!(lines.next().as_deref(), Some("ended"));
        assert!(wait(registry.load(login.key(), true)).unwrap().unwrap().record.ended.is_some());
        assert_eq!(log_out(&registry, &login).unwrap(), []);
    }
    drop(input);
    assert!(child.wait().unwrap().success());
}
