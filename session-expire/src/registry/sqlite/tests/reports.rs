//! Tests of the reports of changes.

use std::{
    io,
    sync::mpsc::Receiver,
    time::{Duration, Instant},
};

use rusqlite::StatementStatus;

use super::*;
use crate::registry::{
    change::{Change, ChangeListener, Subscription},
    sqlite::{
        error::FileError,
        file::{changes::SELECT, connect_reader},
        report_queue::{Round, subscribe as subscribe_shared},
        reporter::Reporter,
    },
};

const LIMIT: Duration = Duration::from_secs(30);

/// Subscribes, and waits until the subscription has taken effect.
fn subscribe(registry: &SqliteRegistry) -> (Receiver<Change>, Box<dyn Subscription>) {
    let (sender, receiver) = mpsc::channel();
    let listener = ChangeListener::new(move |change| sender.send(change).unwrap_or_default());
    let subscription = registry.subscribe(listener);
    assert_eq!(receiver.recv_timeout(LIMIT), Ok(Change::Any));
    (receiver, subscription)
}

fn next(receiver: &Receiver<Change>) -> Change {
    receiver.recv_timeout(LIMIT).unwrap()
}

fn change(login: &NewLogin) -> Change {
    Change::session(&session(login))
}

/// A reporter whose rounds the test executes. The subscription must outlive it.
struct Manual {
    reporter: Reporter,
    receiver: Receiver<Change>,
    _subscription: Box<dyn Subscription>,
    registry: SqliteRegistry,
}

impl Manual {
    /// Returns a reporter that has reported its start, and a registry on the same file.
    fn new(folder: &Folder) -> (Self, SqliteRegistry) {
        let (other, registry) = (folder.open(), folder.open());
        // The reporter of the test replaces the thread of the registry, which ends.
        registry.shared.report_queue.close();
        let reporter =
            Reporter::new(connect_reader(&folder.file()).unwrap(), Arc::clone(&registry.shared));
        let (sender, receiver) = mpsc::channel();
        let listener = ChangeListener::new(move |change| sender.send(change).unwrap_or_default());
        let _subscription = subscribe_shared(&registry.shared, listener);
        let mut manual = Self { reporter, receiver, _subscription, registry };
        assert_eq!(manual.round(true), [Change::Any]);
        (manual, other)
    }

    /// Returns the changes that a round reports.
    fn round(&mut self, is_first: bool) -> Vec<Change> {
        self.reporter.execute(Round { is_first, checks: vec![] });
        self.receiver.try_iter().collect()
    }

    /// Returns the outcome of a check, which a round completes.
    fn check(&mut self) -> Result<bool, FileError> {
        let shared = &self.registry.shared;
        let (responder, response) = shared.deadlines.responder(seconds(60));
        self.reporter.execute(Round { is_first: false, checks: vec![responder] });
        response.blocking_recv().unwrap()
    }

    /// Returns the number of times that the changes were read.
    fn reads(&self) -> i32 {
        let select = self.reporter.db.prepare_cached(SELECT).unwrap();
        select.get_status(StatementStatus::Run)
    }
}

#[test]
fn quiet_file_is_read_for_its_version_only() {
    let folder = Folder::new();
    let (mut manual, registry) = Manual::new(&folder);
    // As many rounds as in 3 seconds.
    for _ in 0..30 {
        assert_eq!(manual.round(false), []);
    }
    assert_eq!(manual.reads(), 0);
    let login = log_in(&registry, "alice", NOON);
    assert_eq!(manual.round(false), [Change::user("alice")]);
    for n in 0..100 {
        active(&registry, &login, NOON.plus(seconds(n)));
    }
    assert_eq!(manual.round(false), []);
    assert_eq!(manual.reads(), 2, "one read for 100 saves of activity");
}

#[test]
fn repeated_error_of_a_read_or_a_check_is_logged_once() {
    let folder = Folder::new();
    let (mut manual, _other) = Manual::new(&folder);
    let (at, moved) = (folder.file(), folder.file().with_extension("moved"));
    let warnings = Arc::<AtomicU32>::default();
    let counted = Arc::clone(&warnings);
    let subscriber = tracing_subscriber::fmt().with_writer(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        io::sink()
    });
    tracing::subscriber::with_default(subscriber.finish(), || {
        for expected in [1, 2] {
            fs::rename(&at, &moved).unwrap();
            for _ in 0..3 {
                manual.check().unwrap_err();
                manual.round(false);
            }
            assert_eq!(warnings.load(Ordering::Relaxed), expected);
            fs::rename(&moved, &at).unwrap();
            manual.check().unwrap();
        }
        folder.execute("ALTER TABLE changes RENAME TO hidden");
        for _ in 0..3 {
            manual.round(false);
        }
        assert_eq!(warnings.load(Ordering::Relaxed), 3);
    });
}

#[test]
fn deleted_changes_are_reported_as_any() {
    let folder = Folder::new();
    let (mut manual, registry) = Manual::new(&folder);
    let add = |count: u32| {
        folder.execute(&format!(
            "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers LIMIT {count})
             INSERT INTO changes (partition_key) SELECT 'other' FROM numbers"
        ));
    };
    add(9_900);
    assert_eq!(manual.round(false).len(), 9_900);
    add(10_200);
    assert_eq!(manual.round(false), [Change::Any]);
    let count = folder.number("SELECT count(*) FROM changes");
    assert!((10_000..10_100).contains(&count), "{count}");
    let login = log_in(&registry, "alice", NOON);
    assert_eq!(manual.round(false), [Change::user("alice")]);
    folder.execute("DELETE FROM changes");
    log_out(&registry, &login, NOON);
    assert_eq!(manual.round(false), [Change::Any]);
    log_in(&registry, "alice", NOON);
    assert_eq!(manual.round(false), [Change::user("alice")]);
}

#[test]
fn changes_of_two_registries_are_reported_once_in_order() {
    let folder = Folder::new();
    let registries = [folder.open(), folder.open()];
    let (receiver, _subscription) = subscribe(&registries[0]);
    for n in 0..40 {
        let (one, other) = (&registries[n % 2], &registries[(n / 2) % 2]);
        let login = log_in(one, "alice", NOON);
        log_out(other, &login, NOON);
        if n % 4 == 3 {
            let mut expected = vec![];
            expected.extend([Change::user("alice"), change(&login)]);
            let reports: Vec<_> = (0..8).map(|_| next(&receiver)).collect();
            assert_eq!(reports[6..], expected, "{n}");
            assert!(reports.iter().step_by(2).all(|report| *report == expected[0]), "{reports:?}");
        }
    }
    assert_eq!(receiver.try_iter().count(), 0);
}

#[test]
fn rotation_policy_and_ends_are_reported_once() {
    let folder = Folder::new();
    let registry = folder.open();
    let login = log_in(&registry, "alice", NOON);
    let (receiver, _subscription) = subscribe(&registry);
    let new_id = PublicId::random();
    let mut rotation = KeyRotation::new(session(&login), login.key, SessionUpdate::new(NOON));
    rotation.reauthenticated_as = Some(new_id);
    wait(registry.rotate(rotation)).unwrap();
    assert_eq!(next(&receiver), change(&login));
    let session = SessionRef { id: new_id, ..session(&login) };
    let update = SessionUpdate::new(NOON).with_signing_key(SigningKey::random());
    wait(registry.update(session.clone(), update)).unwrap();
    assert_eq!(next(&receiver), Change::session(&session));
    wait(registry.end_everyone(Ended::new(Reason::Revoked, NOON))).unwrap();
    assert_eq!(next(&receiver), Change::Any);
    // Retention then writes the end of each session. These ends are not reported again.
    let bob = log_in(&registry, "bob", NOON);
    assert_eq!(next(&receiver), Change::user("bob"));
    let sql = "SELECT count(*) FROM sessions WHERE user = 'alice' AND ended_at IS NULL";
    while folder.number(sql) > 0 {
        thread::yield_now();
    }
    log_out(&registry, &bob, NOON);
    assert_eq!(next(&receiver), change(&bob));
}

/// An older version of the crate does not use the table of changes.
#[test]
fn changes_by_another_program_are_reported() {
    let folder = Folder::new();
    let registry = folder.open();
    let login = log_in(&registry, "alice", NOON);
    let (receiver, _subscription) = subscribe(&registry);
    folder.execute("UPDATE sessions SET last_seen = last_seen + 1");
    folder.execute("UPDATE sessions SET ended_at = 1, ended_reason = 'revoked'");
    assert_eq!(next(&receiver), change(&login));
    log_in(&registry, "alice", NOON);
    assert_eq!(next(&receiver), Change::user("alice"));
    folder.execute("DELETE FROM sessions");
    assert_eq!(next(&receiver), Change::user("alice"));
}

#[test]
fn erased_user_has_no_public_id_in_the_changes() {
    let folder = Folder::new();
    let registry = folder.open();
    for user in ["alice", "bob"] {
        log_out(&registry, &log_in(&registry, user, NOON), NOON);
    }
    let (receiver, _subscription) = subscribe(&registry);
    wait(registry.erase("alice".into())).unwrap();
    assert_eq!(next(&receiver), Change::user("alice"));
    assert_eq!(folder.number("SELECT count(*) FROM changes WHERE id IS NOT NULL"), 1);
    let users = folder.number("SELECT count(*) FROM changes WHERE partition_key = 'alice'");
    assert_eq!(users, 0);
}

#[test]
fn activity_and_data_write_no_change() {
    let folder = Folder::new();
    let registry = folder.open();
    let login = log_in(&registry, "alice", NOON);
    let count = || folder.number("SELECT max(number) FROM changes");
    let before = count();
    active(&registry, &login, NOON.plus(minutes(1)));
    let entry = SessionUpdate { data: set("a", "1"), ..SessionUpdate::new(NOON) };
    update(&registry, &login, entry);
    wait(registry.reserve(alice(NOON).reservation(NOON.plus(minutes(1))))).unwrap();
    assert_eq!(count(), before);
    log_out(&registry, &login, NOON);
    assert_eq!(count(), before + 1);
}

#[test]
fn failed_read_fails_the_check_and_loses_no_change() {
    let folder = Folder::new();
    let registry = folder.open();
    let (receiver, subscription) = subscribe(&registry);
    assert!(wait(subscription.check()).unwrap());
    folder.execute("ALTER TABLE changes RENAME TO hidden");
    let login = log_in(&registry, "alice", NOON);
    let error = wait(subscription.check()).unwrap_err();
    assert!(full_message(&error).contains("could not check for lost reports"));
    log_out(&registry, &login, NOON);
    folder.execute("ALTER TABLE hidden RENAME TO changes");
    assert!(wait(subscription.check()).unwrap());
    let reports: Vec<_> = receiver.try_iter().collect();
    assert_eq!(reports, [Change::user("alice"), change(&login)]);
}

#[test]
fn check_reports_the_changes_of_other_processes_first() {
    let folder = Folder::new();
    let registries = [folder.open(), folder.open()];
    let (receiver, subscription) = subscribe(&registries[0]);
    for _ in 0..20 {
        log_in(&registries[1], "alice", NOON);
        assert!(wait(subscription.check()).unwrap());
        assert_eq!(receiver.try_recv(), Ok(Change::user("alice")));
    }
}

/// Returns the number of files in the folder that this process has open.
#[cfg(target_os = "linux")]
fn open_files(folder: &Folder) -> usize {
    let open = fs::read_dir("/proc/self/fd").unwrap().filter_map(Result::ok);
    let paths = open.filter_map(|entry| fs::read_link(entry.path()).ok());
    paths.filter(|path| path.starts_with(&folder.0)).count()
}

#[test]
fn dropped_registry_ends_its_subscriptions() {
    let folder = Folder::new();
    for _ in 0..20 {
        let registry = folder.open();
        let (receiver, subscription) = subscribe(&registry);
        let shared = Arc::downgrade(&registry.shared);
        drop(registry);
        assert_eq!(shared.strong_count(), 0);
        #[cfg(target_os = "linux")]
        assert_eq!(open_files(&folder), 0);
        let error = wait(subscription.check()).unwrap_err();
        assert!(full_message(&error).contains("has stopped"), "{}", full_message(&error));
        assert_eq!(receiver.try_iter().count(), 0);
    }
}

#[test]
fn file_is_not_read_without_a_subscription() {
    let folder = Folder::new();
    let registry = folder.open();
    for _ in 0..3 {
        let (receiver, subscription) = subscribe(&registry);
        assert!(!registry.shared.report_queue.is_idle());
        drop(subscription);
        let began = Instant::now();
        while !registry.shared.report_queue.is_idle() {
            assert!(began.elapsed() < LIMIT, "the reporter still reads");
            thread::yield_now();
        }
        log_in(&registry, "alice", NOON);
        assert!(registry.shared.report_queue.is_idle());
        assert_eq!(receiver.try_iter().count(), 0);
    }
}

/// A listener that panics must not stop the registry.
#[test]
fn panic_of_a_listener_fails_the_checks_only() {
    let folder = Folder::new();
    let registry = folder.open();
    let subscription = registry.subscribe(ChangeListener::new(|_| panic!("a listener")));
    let error = wait(subscription.check()).unwrap_err();
    assert!(full_message(&error).contains("has stopped"), "{}", full_message(&error));
    log_in(&registry, "alice", NOON);
}
