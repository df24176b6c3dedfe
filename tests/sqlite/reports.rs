//! Reports of the changes by other processes.
//!
//! `REPORTS` sets the number of reports whose delay is measured, see `tests/endure`.

use std::{
    io::stdin,
    process::{Child, Command},
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver},
    },
    thread,
    time::{Duration, Instant},
};

use rusqlite::Connection;
use session_expire::{
    Policy, PolicyPatch, PublicId, Reason, SqliteRegistry, hours,
    registry::{
        Change, ChangeListener, Ended, KeyRotation, LoginOutcome, NewLogin, Registry,
        RotationOutcome, SessionRef, SessionUpdate, SigningKey, Subscription, UpdateOutcome,
    },
};

use crate::{
    child::{
        Folder, NOON, child, file, lines, log_in, log_out, record_activity, send, session, wait,
    },
    rounds,
};

const LIMIT: Duration = Duration::from_secs(60);

/// Subscribes, and waits until the subscription has taken effect.
fn subscribe(registry: &SqliteRegistry) -> (Receiver<Change>, Box<dyn Subscription>) {
    let (sender, receiver) = mpsc::channel();
    let listener = ChangeListener::new(move |change| sender.send(change).unwrap_or_default());
    let subscription = registry.subscribe(listener);
    assert_eq!(receiver.recv_timeout(LIMIT), Ok(Change::Any));
    (receiver, subscription)
}

/// Returns a line that is the same for equal changes.
fn line(change: &Change) -> String {
    match change {
        Change::Session { partition, id } => format!("session {partition} {id}"),
        Change::User { partition } => format!("user {partition}"),
        _ => "any".to_owned(),
    }
}

fn send_change(change: &Change) {
    send(&line(change));
}

fn ended(login: &NewLogin) -> Change {
    Change::session(&session(login))
}

const ROUNDS: usize = 40;

/// Changes sessions while four threads record activity, and reports each change to the parent.
#[test]
#[ignore = "run by `changes_by_another_process_are_reported_in_order`"]
fn changer() {
    let Some(file) = file() else { return };
    let registry = SqliteRegistry::open(file).unwrap();
    let is_done = AtomicBool::new(false);
    let active = [(); 4].map(|()| {
        let login = log_in(&registry, "active").unwrap();
        send_change(&Change::user("active"));
        login
    });
    thread::scope(|scope| {
        for login in &active {
            let (registry, is_done) = (&registry, &is_done);
            scope.spawn(move || {
                for n in (1..).take_while(|_| !is_done.load(Ordering::Relaxed)) {
                    record_activity(registry, login, NOON.plus(Duration::from_millis(n)));
                }
            });
        }
        (0..ROUNDS).for_each(|_| change_sessions(&registry));
        is_done.store(true, Ordering::Relaxed);
    });
    send("done");
}

/// Commits two logins, the second of which evicts the first. Then changes the second session:
/// refreshes its policy, replaces its signing key, renews its key, re-authenticates, and ends it.
fn change_sessions(registry: &SqliteRegistry) {
    let policy = Policy::new().max_sessions(1);
    let logins = [(); 2].map(|()| NewLogin::new("alice", NOON, &policy));
    for login in &logins {
        let committed = wait(registry.commit(login.clone())).unwrap();
        let LoginOutcome::Committed { ended, .. } = committed else { panic!("{committed:?}") };
        ended.iter().for_each(|record| send_change(&Change::session(&record.session_ref())));
        send_change(&Change::user("alice"));
    }
    let [_, login] = logins;
    let mut update = SessionUpdate::new(NOON);
    update.user_policy = Some(Some(PolicyPatch::new().idle(hours(1)).into()));
    for update in [update, SessionUpdate::new(NOON).with_signing_key(SigningKey::random())] {
        assert_eq!(wait(registry.update(session(&login), update)).unwrap(), UpdateOutcome::Updated);
        send_change(&ended(&login));
    }
    let (mut key, mut id) = (login.key(), session(&login).id);
    for reauthenticated_as in [None, Some(PublicId::random())] {
        let session = SessionRef::new("alice", id);
        let mut rotation = KeyRotation::new(session.clone(), key, SessionUpdate::new(NOON));
        rotation.reauthenticated_as = reauthenticated_as;
        key = rotation.new_key();
        assert_eq!(wait(registry.rotate(rotation)).unwrap(), RotationOutcome::Rotated);
        send_change(&Change::session(&session));
        id = reauthenticated_as.unwrap_or(id);
    }
    wait(registry.cancel(key, Ended::new(Reason::Revoked, NOON))).unwrap();
    send_change(&Change::session(&SessionRef::new("alice", id)));
}

#[test]
fn changes_by_another_process_are_reported_in_order() {
    let folder = Folder::new();
    let registry = folder.open();
    let (receiver, subscription) = subscribe(&registry);
    let mut child = child("reports::changer", &folder.file(), &[]).spawn().unwrap();
    let mut changes: Vec<_> = lines(&mut child).collect();
    assert!(child.wait().unwrap().success());
    assert_eq!(changes.pop().as_deref(), Some("done"));
    assert!(changes.len() >= ROUNDS * 8, "{}", changes.len());
    assert!(wait(subscription.check()).unwrap());
    let reports: Vec<_> = receiver.try_iter().map(|change| line(&change)).collect();
    assert_eq!(reports, changes);
}

/// Sends each report that it receives to the parent.
#[test]
#[ignore = "run by the tests below"]
fn subscriber() {
    let Some(file) = file() else { return };
    let registry = SqliteRegistry::open(file).unwrap();
    let _subscription = registry.subscribe(ChangeListener::new(|change| send_change(&change)));
    // Waits until the parent closes the pipe.
    stdin().lines().for_each(drop);
}

#[cfg(unix)]
fn signal(child: &Child, name: &str) {
    let pid = child.id().to_string();
    assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
}

/// Stops a process while it does not hold the lock of the file.
#[cfg(unix)]
fn stop(child: &Child, other: &Connection) {
    loop {
        signal(child, "-STOP");
        if other.execute_batch("BEGIN IMMEDIATE; ROLLBACK").is_ok() {
            return;
        }
        signal(child, "-CONT");
    }
}

#[cfg(unix)]
#[test]
fn stopped_process_is_notified_of_lost_reports() {
    let folder = Folder::new();
    let registry = folder.open();
    let mut child = child("reports::subscriber", &folder.file(), &[]).spawn().unwrap();
    let mut lines = lines(&mut child);
    assert_eq!(lines.next().as_deref(), Some("any"));
    let other = Connection::open(folder.file()).unwrap();
    stop(&child, &other);
    let many = "WITH RECURSIVE numbers (n) AS
                    (SELECT 1 UNION ALL SELECT n + 1 FROM numbers LIMIT 10200)
                INSERT INTO changes (partition_key) SELECT 'other' FROM numbers";
    other.execute_batch(many).unwrap();
    let login = log_in(&registry, "alice").unwrap();
    signal(&child, "-CONT");
    assert_eq!(lines.next().as_deref(), Some("any"));
    log_out(&registry, &login).unwrap();
    assert_eq!(lines.next(), Some(line(&ended(&login))));
    stop(&child, &other);
    let login = log_in(&registry, "alice").unwrap();
    log_out(&registry, &login).unwrap();
    signal(&child, "-CONT");
    let lines: Vec<_> = [lines.next(), lines.next()].into_iter().flatten().collect();
    assert_eq!(lines, [line(&Change::user("alice")), line(&ended(&login))]);
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}

/// Returns the time from the start of each end to its report. `next` returns the next report.
fn delays(registry: &SqliteRegistry, mut next: impl FnMut() -> String) -> Vec<Duration> {
    let delays = (0..rounds::number("REPORTS", 20)).map(|_| {
        let login = log_in(registry, "alice").unwrap();
        assert_eq!(next(), line(&Change::user("alice")));
        // Without a random pause, each end would follow a read of the file.
        thread::sleep(Duration::from_millis(fastrand::u64(..100)));
        let began = Instant::now();
        log_out(registry, &login).unwrap();
        assert_eq!(next(), line(&ended(&login)));
        began.elapsed()
    });
    let mut delays: Vec<_> = delays.collect();
    delays.sort_unstable();
    delays
}

fn print(what: &str, delays: &[Duration]) {
    let (median, p99) = (delays[delays.len() / 2], delays[delays.len() * 99 / 100]);
    println!("{what}: {} ends reported, median {median:.1?}, p99 {p99:.1?}", delays.len());
    assert!(p99 < LIMIT);
}

#[test]
fn ends_are_reported_soon() {
    let folder = Folder::new();
    let [registry, other] = [(); 2].map(|()| folder.open());
    let (receiver, subscription) = subscribe(&other);
    let next = || line(&receiver.recv_timeout(LIMIT).unwrap());
    print("another registry", &delays(&registry, next));
    print("the same registry", &delays(&other, next));
    drop(subscription);
    let mut child = child("reports::subscriber", &folder.file(), &[]).spawn().unwrap();
    let mut lines = lines(&mut child);
    assert_eq!(lines.next().as_deref(), Some("any"));
    print("another process", &delays(&registry, || lines.next().unwrap()));
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}
