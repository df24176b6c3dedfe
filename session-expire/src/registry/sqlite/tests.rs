//! Tests of [`SqliteRegistry`] with files.

mod confirmations;
mod reports;

use std::{
    fs,
    path::PathBuf,
    pin::{Pin, pin},
    sync::{
        Arc, Barrier, Mutex,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
};

use rusqlite::Connection;
use serde_json::value::RawValue;

use super::{
    SqliteError, SqliteRegistry,
    deadlines::Deadlines,
    file::{
        prepare,
        rows::hashed,
        schema::{MIGRATIONS, migrate},
    },
    queue::Priority,
    task::{Task, TaskOptions},
    unpoisoned,
    write::{Tx, changes::is_activity},
};
use crate::{
    error::RegistryError,
    policy::{Policy, PolicyPatch, limit::Limit},
    registry::{
        Registry, RegistryFuture, StoredSession,
        end::{EndSessions, EndTarget},
        query::Query,
        rotation::KeyRotation,
    },
    session::{
        client::Client,
        data::{DataChanges, SessionData},
        ended::Ended,
        key::{PublicId, RecordKey, partition_key},
        login::ticket::LoginTicket,
        login::{LoginOutcome, NewLogin},
        reason::Reason,
        record::{SessionRecord, SessionRef},
        signing_key::SigningKey,
        update::{SessionUpdate, UpdateOutcome},
    },
    time::{Timestamp, hours, minutes, seconds},
};

const NOON: Timestamp = Timestamp::from_millis(1_767_268_800_000);

/// A folder that is deleted when the test ends.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("session-expire-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("sessions.db")
    }

    fn open(&self) -> SqliteRegistry {
        SqliteRegistry::open(self.file()).unwrap()
    }

    /// Returns the result of a query that another program sends now.
    fn number(&self, sql: &str) -> i64 {
        let db = Connection::open(self.file()).unwrap();
        db.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    fn text(&self, sql: &str) -> String {
        let db = Connection::open(self.file()).unwrap();
        db.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    fn execute(&self, sql: &str) {
        Connection::open(self.file()).unwrap().execute_batch(sql).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

struct UnparkThread(Thread);

impl Wake for UnparkThread {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn wait<T>(outcome: RegistryFuture<'_, T>) -> Result<T, RegistryError> {
    let waker = Waker::from(Arc::new(UnparkThread(thread::current())));
    let mut outcome = pin!(outcome);
    loop {
        match outcome.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(outcome) => return outcome,
            Poll::Pending => thread::park(),
        }
    }
}

fn alice(at: Timestamp) -> NewLogin {
    NewLogin::new("alice", at, &Policy::new())
}

fn commit(registry: &SqliteRegistry, login: &NewLogin) -> SessionRecord {
    match wait(registry.commit(login.clone())).unwrap() {
        LoginOutcome::Committed { record, .. } => record,
        outcome => panic!("{outcome:?}"),
    }
}

fn log_in(registry: &SqliteRegistry, user: &str, at: Timestamp) -> NewLogin {
    let login = NewLogin::new(user, at, &Policy::new());
    commit(registry, &login);
    login
}

fn session(login: &NewLogin) -> SessionRef {
    SessionRecord::new(login).session_ref()
}

fn end(registry: &SqliteRegistry, target: EndTarget, ended: Ended) -> Vec<SessionRecord> {
    wait(registry.end(EndSessions::new(target, ended))).unwrap()
}

fn log_out(registry: &SqliteRegistry, login: &NewLogin, at: Timestamp) -> Vec<SessionRecord> {
    end(registry, EndTarget::Session(session(login)), Ended::new(Reason::LoggedOut, at))
}

fn update(registry: &SqliteRegistry, login: &NewLogin, update: SessionUpdate) -> UpdateOutcome {
    wait(registry.update(session(login), update)).unwrap()
}

fn active(registry: &SqliteRegistry, login: &NewLogin, at: Timestamp) {
    assert_eq!(update(registry, login, SessionUpdate::new(at).active(at)), UpdateOutcome::Updated);
}

fn load(registry: &SqliteRegistry, key: RecordKey) -> Option<StoredSession> {
    wait(registry.load(key, true)).unwrap()
}

fn record(registry: &SqliteRegistry, key: RecordKey) -> Option<SessionRecord> {
    load(registry, key).map(|loaded| SessionRecord::clone(&loaded.record))
}

fn reason(registry: &SqliteRegistry, key: RecordKey) -> Option<Reason> {
    record(registry, key)?.ended.map(|ended| ended.reason)
}

fn list(registry: &SqliteRegistry, query: Query) -> Vec<SessionRecord> {
    wait(registry.list(query)).unwrap()
}

fn json(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).unwrap()
}

fn set(name: &str, value: &str) -> DataChanges {
    let mut changes = DataChanges::default();
    changes.set(name, json(value));
    changes
}

fn data(name: &str, value: &str) -> SessionData {
    let mut data = SessionData::default();
    data.apply(&set(name, value)).unwrap();
    data
}

/// Returns the messages of an error and of all its sources.
fn full_message(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", full_message(source)),
        None => error.to_string(),
    }
}

#[cfg(feature = "conformance")]
#[test]
fn registry_passes_the_conformance_tests() {
    use crate::registry::conformance::{PROMISES, block_on};
    for (name, promise) in PROMISES {
        println!("{name}");
        let folder = Folder::new();
        promise(&folder.open(), block_on);
    }
}

#[test]
fn cached_session_loads_at_once_until_it_changes() {
    let folder = Folder::new();
    let registry = folder.open();
    let [login, other] = ["alice", "bob"].map(|user| log_in(&registry, user, NOON));
    let is_cached = |login: &NewLogin| registry.load(login.key, true).try_ready().is_ok();
    for change in [
        |_: &_, _: &_| {},
        |registry: &_, login: &_| active(registry, login, NOON.plus(minutes(1))),
    ] {
        change(&registry, &login);
        assert!(!is_cached(&login));
        let loaded = [load(&registry, login.key), load(&registry, other.key)];
        assert!(is_cached(&login) && is_cached(&other));
        assert_eq!([load(&registry, login.key), load(&registry, other.key)], loaded);
    }
    log_in(&registry, "alice", NOON);
    assert!(!is_cached(&login) && is_cached(&other), "the number of open sessions changed");
}

#[test]
fn change_by_another_registry_is_loaded_at_once() {
    let folder = Folder::new();
    let registries = [folder.open(), folder.open()];
    let login = log_in(&registries[0], "alice", NOON);
    for n in 1..20 {
        let (even, odd) = (&registries[0], &registries[1]);
        let (writer, reader) = if n % 2 == 0 { (even, odd) } else { (odd, even) };
        let later = NOON.plus(seconds(n));
        load(reader, login.key);
        active(writer, &login, later);
        assert_eq!(record(reader, login.key).unwrap().last_seen, later);
    }
    load(&registries[1], login.key);
    wait(registries[0].end_everyone(Ended::new(Reason::Revoked, NOON))).unwrap();
    assert_eq!(reason(&registries[1], login.key), Some(Reason::Revoked));
}

/// A transaction that changes nothing sees the commit of another registry. The next own commit must
/// not count as the first one after it.
#[test]
fn end_by_another_registry_is_loaded_after_a_transaction_without_changes() {
    let folder = Folder::new();
    let registries = [folder.open(), folder.open()];
    let login = log_in(&registries[0], "alice", NOON);
    assert_eq!(reason(&registries[1], login.key), None);
    log_out(&registries[0], &login, NOON);
    let unknown = log_out(&registries[1], &alice(NOON), NOON);
    assert_eq!(unknown, []);
    log_in(&registries[1], "bob", NOON);
    assert_eq!(reason(&registries[1], login.key), Some(Reason::LoggedOut));
}

#[test]
fn change_by_another_program_is_loaded_at_once() {
    let folder = Folder::new();
    let registry = folder.open();
    let login = log_in(&registry, "alice", NOON);
    load(&registry, login.key);
    load(&registry, login.key);
    folder.execute("UPDATE sessions SET device = 'changed'");
    assert_eq!(&*record(&registry, login.key).unwrap().client.device, "changed");
}

/// A plain copy of the file is a backup then. Two connections that close at the same moment would
/// each leave the log to the other.
#[test]
fn dropped_registry_leaves_no_write_ahead_log() {
    let folder = Folder::new();
    for round in 0..100 {
        let registry = folder.open();
        log_in(&registry, "alice", NOON.plus(seconds(round)));
        drop(registry);
        assert!(!folder.0.join("sessions.db-wal").exists(), "round {round}");
    }
}

#[test]
fn file_contains_hashed_keys_only() {
    let folder = Folder::new();
    let registry = folder.open();
    let key = log_in(&registry, "alice", NOON).key;
    drop(registry);
    // Everything is in the file: see `dropped_registry_leaves_no_write_ahead_log`.
    let bytes = fs::read(folder.file()).unwrap();
    let contains = |text: &str| bytes.windows(text.len()).any(|part| part == text.as_bytes());
    assert!(contains(hashed(key).expose()) && !contains(key.expose()) && !contains(key.secret()));
    assert!(load(&folder.open(), hashed(key)).is_none(), "the stored hash is no key");
}

#[test]
fn pruned_history_leaves_tombstones_for_a_day() {
    for (limit, expected) in [(Limit::Off, 4), (Limit::At(2), 2), (Limit::At(0), 0)] {
        let folder = Folder::new();
        let registry = folder.open();
        let other = log_in(&registry, "bob", NOON);
        log_out(&registry, &other, NOON);
        let registry = registry.history_limit(limit);
        let logins: Vec<_> =
            (0..4).map(|n| log_in(&registry, "alice", NOON.plus(seconds(n)))).collect();
        logins.iter().for_each(|login| drop(log_out(&registry, login, NOON.plus(minutes(1)))));
        let newest = logins.iter().rev().take(expected);
        let newest: Vec<_> = newest.filter_map(|login| record(&registry, login.key)).collect();
        assert_eq!(list(&registry, Query::history("alice")), newest, "{limit:?}");
        // The login applied the limit to the other users, too.
        let of_bob = expected.min(1);
        assert_eq!(list(&registry, Query::history("bob")).len(), of_bob, "{limit:?}");
        drop(registry);
        let registry = folder.open().history_limit(limit);
        assert_eq!(list(&registry, Query::history("alice")).len(), expected, "{limit:?}");
        assert_eq!(reason(&registry, logins[0].key), Some(Reason::LoggedOut), "{limit:?}");
        assert_eq!(folder.number("SELECT count(*) FROM sessions"), 5);
        log_in(&registry, "carol", NOON.plus(hours(25)));
        let left = i64::try_from(expected + of_bob + 1).unwrap();
        assert_eq!(folder.number("SELECT count(*) FROM sessions"), left, "{limit:?}");
    }
}

#[test]
fn history_is_deleted_by_age() {
    for (age, left) in [(Limit::At(hours(48)), 0), (Limit::Off, 1)] {
        let folder = Folder::new();
        let registry = folder.open().history_age(age);
        let login = log_in(&registry, "alice", NOON);
        log_out(&registry, &login, NOON);
        log_in(&registry, "bob", NOON.plus(hours(48)).minus(seconds(1)));
        assert_eq!(list(&registry, Query::history("alice")).len(), 1);
        log_in(&registry, "bob", NOON.plus(hours(48)));
        let sql = "SELECT count(*) FROM sessions WHERE user = 'alice'";
        assert_eq!(folder.number(sql), left, "{age:?}");
    }
}

#[test]
fn records_ahead_of_now_are_corrected_on_start() {
    let folder = Folder::new();
    let key = log_in(&folder.open(), "alice", NOON).key;
    let earlier = NOON.minus(hours(1));
    folder.open().on_start(earlier);
    let corrected = record(&folder.open(), key).unwrap();
    let times = (corrected.logged_in_at, corrected.authenticated_at, corrected.last_seen);
    assert_eq!(times, (earlier, earlier, earlier));
    folder.open().on_start(NOON);
    assert_eq!(record(&folder.open(), key).unwrap().last_seen, earlier);
}

#[test]
fn cancelled_login_leaves_no_open_session() {
    let folder = Folder::new();
    let registry = folder.open();
    let login = alice(NOON);
    // The future is dropped before it completes, as with a dropped request.
    drop(registry.commit(login.clone()));
    wait(registry.cancel(login.key, Ended::new(Reason::Revoked, NOON))).unwrap();
    assert_eq!(list(&registry, Query::open("alice")), []);
    assert_eq!(reason(&registry, login.key), Some(Reason::Revoked));
}

#[test]
fn tombstone_of_adopted_session_stays_until_its_time() {
    let folder = Folder::new();
    let registry = folder.open().history_limit(Limit::At(0));
    let until = NOON.plus(hours(24 * 10));
    let login = NewLogin { adopted_until: Some(until), ..alice(NOON) };
    commit(&registry, &login);
    log_out(&registry, &login, NOON);
    drop(registry);
    for (at, count) in [(until.minus(seconds(1)), 1), (until, 0)] {
        let registry = folder.open().history_limit(Limit::At(0));
        log_in(&registry, "bob", at);
        let sql = "SELECT count(*) FROM sessions WHERE user = 'alice'";
        assert_eq!(folder.number(sql), count, "{at:?}");
        let outcome = record(&registry, login.key);
        assert_eq!(outcome.is_some(), count == 1);
    }
}

#[test]
fn export_has_all_records_and_the_data_of_open_ones() {
    let folder = Folder::new();
    let registry = folder.open().history_limit(Limit::At(1));
    let mut login = alice(NOON.plus(minutes(1)));
    login.data = data("theme", "1");
    commit(&registry, &login);
    let ended = [0, 1].map(|n| log_in(&registry, "alice", NOON.plus(seconds(n))));
    ended.iter().for_each(|login| drop(log_out(&registry, login, NOON.plus(minutes(2)))));
    let later = NOON.plus(minutes(3));
    active(&registry, &login, later);
    let export = wait(registry.export("alice".into())).unwrap();
    let ids: Vec<_> = export.records.iter().map(|record| record.id).collect();
    assert_eq!(ids, [login.id, ended[1].id, ended[0].id]);
    assert_eq!(export.records[0].last_seen, later);
    assert_eq!(export.data, [(session(&login), login.data)]);
}

/// Returns `true` if a file in the folder contains `text`.
fn contains(folder: &Folder, text: &str) -> bool {
    let mut files = fs::read_dir(&folder.0).unwrap().map(|entry| entry.unwrap().path());
    files.any(|file| {
        let bytes = fs::read(file).unwrap();
        bytes.windows(text.len()).any(|part| part == text.as_bytes())
    })
}

#[test]
fn no_file_contains_an_erased_user() {
    const ERASED: &str = "erased-person@example.org";
    let folder = Folder::new();
    let registries = [folder.open(), folder.open()];
    let until = NOON.plus(hours(48));
    for n in 0..200_u64 {
        let registry = &registries[usize::try_from(n % 2).unwrap()];
        let at = NOON.plus(seconds(n));
        log_in(registry, &format!("user {n} with a name of some length"), at);
        let mut login =
            NewLogin { adopted_until: Some(until), ..NewLogin::new(ERASED, at, &Policy::new()) };
        login.data = data("name", &format!("\"{ERASED}\""));
        commit(registry, &login);
        let reservation =
            NewLogin::new(ERASED, at, &Policy::new()).reservation(at.plus(seconds(30)));
        wait(registry.reserve(reservation)).unwrap();
        wait(registry.issue_ticket(LoginTicket::new(ERASED, at, at.plus(minutes(5))))).unwrap();
        let rotation = KeyRotation::new(session(&login), login.key, SessionUpdate::new(at));
        wait(registry.rotate(rotation)).unwrap();
        load(registry, login.key);
        if n % 3 > 0 {
            log_out(registry, &login, at);
        }
    }
    assert!(contains(&folder, ERASED));
    assert_eq!(wait(registries[0].erase(ERASED.into())).unwrap(), 200);
    assert!(!contains(&folder, ERASED));
    let adopted =
        NewLogin { adopted_until: Some(until), ..NewLogin::new(ERASED, NOON, &Policy::new()) };
    let outcome = wait(registries[1].commit(adopted)).unwrap();
    assert!(matches!(outcome, LoginOutcome::AdoptionClosed));
    assert!(!contains(&folder, ERASED));
    assert_eq!(list(&registries[1], Query::new()).len(), 200);
}

#[test]
fn failed_write_changes_nothing_and_fails_alone() {
    let folder = Folder::new();
    let registry = folder.open();
    let victim = log_in(&registry, "mallory", NOON);
    folder.execute(
        "CREATE TRIGGER no_login BEFORE INSERT ON sessions WHEN NEW.user = 'mallory'
             BEGIN SELECT RAISE(ABORT, 'refused'); END;
         CREATE TRIGGER no_end BEFORE UPDATE ON sessions WHEN OLD.user = 'mallory'
             BEGIN SELECT RAISE(ABORT, 'refused'); END;",
    );
    let policy = Policy::new().max_sessions(1);
    let failing = NewLogin::new("mallory", NOON, &policy);
    let key = failing.key;
    let commit = |n| registry.commit(NewLogin::new(format!("user {n}"), NOON, &policy));
    let logins: Vec<_> = (0..20).map(commit).collect();
    let message = full_message(&wait(registry.commit(failing)).unwrap_err());
    assert!(message.contains("could not commit a login"), "{message}");
    assert!(message.contains("sessions.db"), "{message}");
    logins.into_iter().for_each(|login| drop(wait(login).unwrap()));
    assert_eq!((load(&registry, key), reason(&registry, victim.key)), (None, None));
    let change = SessionUpdate { data: set("theme", "1"), ..SessionUpdate::new(NOON) };
    wait(registry.update(session(&victim), change)).unwrap_err();
    let ended = Ended::new(Reason::Revoked, NOON);
    let all = EndSessions::new(EndTarget::All("mallory".into()), ended.clone());
    wait(registry.end(all)).unwrap_err();
    wait(registry.end_everyone(ended)).unwrap_err();
    let loaded = load(&registry, victim.key).unwrap();
    assert!(loaded.record.ended.is_none() && loaded.data.is_empty());
    assert_eq!(list(&registry, Query::open("mallory")).len(), 1);
    folder.execute("DROP TRIGGER no_end");
    assert_eq!(log_out(&registry, &victim, NOON).len(), 1);
}

#[test]
fn unreadable_policy_is_not_stored() {
    let folder = Folder::new();
    let registry = folder.open();
    let mut login = alice(NOON);
    login.user_policy = Some(Arc::new(PolicyPatch::new().login_url("https://elsewhere.example/")));
    let message = full_message(&wait(registry.commit(login)).unwrap_err());
    assert!(message.contains("login_url"), "{message}");
    assert_eq!(folder.number("SELECT count(*) FROM sessions"), 0);
}

#[test]
fn unused_sessions_end_in_a_list_before_their_rows_change() {
    let folder = Folder::new();
    let registry = folder.open();
    let logins: Vec<_> = (0..250).map(|n| log_in(&registry, &format!("user {n}"), NOON)).collect();
    let later = SessionRecord::new(&logins[0]).leaves_at().plus(hours(1));
    log_in(&registry, "carol", later);
    let ended = list(&registry, Query::new().ended(true));
    assert_eq!(ended.len(), 250);
    let expected = SessionRecord::new(&logins[0]).final_end();
    assert!(ended.iter().all(|record| record.ended.as_ref() == Some(&expected)));
    assert_eq!(list(&registry, Query::new().ended(false)).len(), 1);
    assert_eq!(list(&registry, Query::new()).len(), 251);
    (0..3).for_each(|_| drop(log_in(&registry, "carol", later)));
    let open = "SELECT count(*) FROM sessions WHERE ended_at IS NULL AND user <> 'carol'";
    assert_eq!(folder.number(open), 0, "each login ends up to 100");
}

#[test]
fn activity_postpones_the_end_of_an_open_session() {
    let folder = Folder::new();
    let registry = folder.open();
    let policy = Policy::new().absolute(Limit::Off);
    let login = NewLogin::new("alice", NOON, &policy);
    commit(&registry, &login);
    let first_check = SessionRecord::new(&login).leaves_at();
    active(&registry, &login, first_check.minus(hours(1)));
    log_in(&registry, "bob", first_check);
    assert_eq!(reason(&registry, login.key), None);
    let leaves_at = record(&registry, login.key).unwrap().leaves_at();
    assert_eq!(
        folder.number("SELECT max(check_at) FROM sessions WHERE user = 'alice'"),
        leaves_at.as_millis()
    );
    log_in(&registry, "bob", leaves_at);
    assert_eq!(reason(&registry, login.key), Some(Reason::Idle));
}

#[test]
fn ends_of_everyone_reach_the_rows_and_delete_the_data() {
    let folder = Folder::new();
    let registry = folder.open().history_limit(Limit::At(1));
    for n in 0..300_u64 {
        let mut login =
            NewLogin::new(format!("user {}", n % 100), NOON.plus(seconds(n)), &Policy::new());
        login.data = data("theme", "1");
        commit(&registry, &login);
    }
    let ended = Ended::new(Reason::Revoked, NOON.plus(minutes(9))).with_cause("incident");
    assert_eq!(wait(registry.end_everyone(ended.clone())).unwrap(), 300);
    let listed = list(&registry, Query::new().ended(false));
    assert_eq!(listed, []);
    drop(registry);
    let registry = folder.open().history_limit(Limit::At(1));
    (0..3).for_each(|_| drop(log_in(&registry, "carol", NOON.plus(minutes(10)))));
    assert_eq!(folder.number("SELECT count(*) FROM sessions WHERE data IS NOT NULL"), 0);
    assert_eq!(list(&registry, Query::history("user 7")).len(), 1);
}

#[test]
fn tombstones_of_a_user_are_limited() {
    let folder = Folder::new();
    let registry = folder.open().history_limit(Limit::At(0));
    let adopted = NewLogin { adopted_until: Some(NOON.plus(hours(48))), ..alice(NOON) };
    commit(&registry, &adopted);
    log_out(&registry, &adopted, NOON);
    let mut login = log_in(&registry, "alice", NOON);
    for n in 1..=1_010_u64 {
        let at = NOON.plus(seconds(n));
        let rotation = KeyRotation::new(session(&login), login.key, SessionUpdate::new(at));
        wait(registry.rotate(rotation.clone())).unwrap();
        login.key = rotation.to;
    }
    assert_eq!(folder.number("SELECT count(*) FROM sessions WHERE in_history = 0"), 1_001);
    assert_eq!(reason(&registry, adopted.key), Some(Reason::LoggedOut));
}

#[test]
fn rotated_keys_of_an_adopted_session_are_limited() {
    let folder = Folder::new();
    let registry = folder.open();
    let login = NewLogin { adopted_until: Some(NOON.plus(hours(48))), ..alice(NOON) };
    commit(&registry, &login);
    let mut key = login.key;
    for n in 1..=1_010_u64 {
        let update = SessionUpdate::new(NOON.plus(seconds(n)));
        let rotation = KeyRotation::new(session(&login), key, update);
        wait(registry.rotate(rotation.clone())).unwrap();
        key = rotation.to;
    }
    assert_eq!(folder.number("SELECT count(*) FROM sessions WHERE in_history = 0"), 1_001);
    assert_eq!(reason(&registry, login.key), Some(Reason::Renewed));
}

#[test]
fn list_shows_unknown_reasons_and_skips_unreadable_rows() {
    let folder = Folder::new();
    let registry = folder.open();
    let [newer, broken, known] =
        [1, 2, 3].map(|n| log_in(&registry, "alice", NOON.plus(seconds(n))));
    for login in [&newer, &broken, &known] {
        log_out(&registry, login, NOON.plus(minutes(1)));
    }
    drop(registry);
    let change = |login: &NewLogin, change: &str| {
        folder.execute(&format!("UPDATE sessions SET {change} WHERE id = '{}'", login.id));
    };
    change(&newer, "ended_reason = 'a_later_word'");
    change(&broken, "signing_key = 'x'");
    let registry = folder.open();
    let listed = list(&registry, Query::history("alice"));
    let ids: Vec<_> = listed.iter().map(|record| record.id).collect();
    assert_eq!(ids, [known.id, newer.id]);
    assert_eq!(reason(&registry, newer.key), Some(Reason::Unknown));
    assert_eq!(wait(registry.export("alice".into())).unwrap().records.len(), 2);
    assert!(load(&registry, broken.key).is_none());
}

#[test]
fn file_that_is_no_registry_is_refused_with_a_fix() {
    type Prepare = fn(&Folder);
    let cases: [(Prepare, &str); 4] = [
        (
            |folder| {
                fs::write(folder.file(), "not a database, but long enough".repeat(99)).unwrap();
            },
            "backup",
        ),
        (|folder| folder.execute("CREATE TABLE cookies (x)"), "a file of its own"),
        (
            |folder| {
                drop(folder.open());
                folder.execute("PRAGMA user_version = 99");
            },
            "version 99, but this program supports versions up to 3; update the program",
        ),
        (|folder| fs::create_dir(folder.file()).unwrap(), "cannot be opened"),
    ];
    for (prepare, words) in cases {
        let folder = Folder::new();
        prepare(&folder);
        let message = full_message(&SqliteRegistry::open(folder.file()).unwrap_err());
        assert!(message.contains(words) && message.contains("sessions.db"), "{message}");
    }
    let message = full_message(&SqliteRegistry::open("/nowhere/at/all.db").unwrap_err());
    assert!(message.contains("check that its folder exists"), "{message}");
}

#[test]
fn session_limit_holds_for_registries_on_other_paths_of_the_file() {
    let folder = Folder::new();
    let detour = folder.0.join("..").join(folder.0.file_name().unwrap()).join("sessions.db");
    let mut paths = vec![folder.file(), detour];
    #[cfg(unix)]
    {
        let link = folder.0.join("link.db");
        std::os::unix::fs::symlink("sessions.db", &link).unwrap();
        paths.insert(0, link); // At first, the link points to no file.
    }
    let registries: Vec<_> = paths.iter().map(|path| SqliteRegistry::open(path).unwrap()).collect();
    let policy = Policy::new().max_sessions(1);
    thread::scope(|scope| {
        for registry in &registries {
            let login = || commit(registry, &NewLogin::new("alice", NOON, &policy));
            scope.spawn(move || (0..20).for_each(|_| drop(login())));
        }
    });
    for registry in &registries {
        assert_eq!(list(registry, Query::open("alice")).len(), 1);
    }
    assert!(fs::symlink_metadata(folder.file()).unwrap().is_file());
}

/// Creates a file of version 1 with a session of each user.
fn create_version_1(folder: &Folder, users: &[&str]) {
    let mut db = Connection::open(folder.file()).unwrap();
    migrate(&mut db, &MIGRATIONS[..1]).unwrap();
    for user in users {
        let (key, id, now) =
            (&hashed(RecordKey::random(user)), PublicId::random(), NOON.as_millis());
        let sql = "INSERT INTO sessions (key_hash, id, signing_key, user, logged_in_at,
                       authenticated_at, last_seen, device, data)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?5, 'Firefox', ?6)";
        let signing_key = SigningKey::random();
        let data = r#"{"e":[["theme",1]]}"#;
        let row = (&key.expose()[4..], id.as_str(), signing_key.expose(), user, now, data);
        db.execute(sql, row).unwrap();
    }
    let closed = "INSERT INTO closed_adoptions VALUES ('alice', 2000000000000)";
    db.execute(closed, []).unwrap();
}

#[test]
fn file_of_version_1_keeps_its_sessions() {
    let folder = Folder::new();
    create_version_1(&folder, &["alice", "bob"]);
    let registry = folder.open();
    let listed = list(&registry, Query::new());
    assert_eq!(listed.iter().filter(|record| record.ended.is_none()).count(), 2, "{listed:?}");
    let export = wait(registry.export("alice".into())).unwrap();
    assert_eq!(export.data[0].1, data("theme", "1"));
    let later = NOON.plus(minutes(1));
    for record in listed {
        let update = registry.update(record.session_ref(), SessionUpdate::new(later).active(later));
        assert_eq!(wait(update).unwrap(), UpdateOutcome::Updated);
        let key = folder.text(&format!("SELECT key_hash FROM sessions WHERE id = '{}'", record.id));
        assert!(RecordKey::parse(&key).unwrap().partition_key() == partition_key(&record.user));
    }
    let until = Some(NOON.plus(hours(48)));
    for (user, is_closed) in [("alice", true), ("bob", false)] {
        let adopted =
            NewLogin { adopted_until: until, ..NewLogin::new(user, NOON, &Policy::new()) };
        let outcome = wait(registry.commit(adopted)).unwrap();
        assert_eq!(matches!(outcome, LoginOutcome::AdoptionClosed), is_closed, "{user}");
    }
    wait(registry.erase("alice".into())).unwrap();
    assert!(!contains(&folder, "alice"), "also not in pages that the migration has freed");
    drop(registry);
    assert_eq!(folder.text("PRAGMA integrity_check"), "ok");
}

#[test]
fn file_of_version_1_in_use_is_not_migrated() {
    let folder = Folder::new();
    create_version_1(&folder, &[]);
    let lock = fs::File::create(folder.0.join("sessions.db.lock")).unwrap();
    lock.try_lock().unwrap();
    let error = SqliteRegistry::open(folder.file()).unwrap_err();
    assert!(matches!(error, SqliteError::InUse { .. }), "{error:?}");
    assert_eq!(folder.number("PRAGMA user_version"), 1);
    drop(lock);
    folder.open();
    assert!(!folder.0.join("sessions.db.lock").exists());
}

/// Each thread opens the file as a process does.
#[test]
fn file_of_version_1_is_migrated_while_others_open_it() {
    let folder = Folder::new();
    let users: Vec<_> = (0..1_000).map(|n| format!("user {n}")).collect();
    create_version_1(&folder, &users.iter().map(String::as_str).collect::<Vec<_>>());
    fs::write(folder.0.join("sessions.db.lock"), "").unwrap();
    let (file, start) = (folder.file(), Barrier::new(4));
    thread::scope(|scope| {
        let open = || {
            start.wait();
            prepare(&file).map(drop)
        };
        let opened: Vec<_> = (0..4).map(|_| scope.spawn(open)).collect();
        opened.into_iter().for_each(|opened| opened.join().unwrap().unwrap());
    });
    let mut names: Vec<_> =
        fs::read_dir(&folder.0).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.retain(|name| !name.to_string_lossy().starts_with("sessions.db-"));
    assert_eq!(names, ["sessions.db"]);
}

#[test]
#[cfg(unix)]
fn file_with_several_names_is_refused() {
    let folder = Folder::new();
    drop(folder.open());
    let other = folder.0.join("other.db");
    fs::hard_link(folder.file(), &other).unwrap();
    for path in [&folder.file(), &other] {
        let error = SqliteRegistry::open(path).unwrap_err();
        assert!(matches!(error, SqliteError::HardLinked { .. }), "{error:?}");
    }
    fs::remove_file(other).unwrap();
    folder.open();
}

#[test]
#[cfg(unix)]
fn files_are_private() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    let registry = folder.open();
    log_in(&registry, "alice", NOON);
    for entry in fs::read_dir(&folder.0).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{:?}", entry.file_name());
    }
}

#[test]
fn history_is_readable_while_the_registry_runs() {
    let folder = Folder::new();
    let registry = folder.open();
    log_in(&registry, "alice", NOON);
    let sql = "SELECT count(*) FROM session_history WHERE user = 'alice'
                   AND logged_in_at = '2026-01-01T12:00:00.000Z' AND ended_at IS NULL";
    assert_eq!(folder.number(sql), 1);
}

#[test]
fn activity_that_makes_timeouts_longer_is_volatile() {
    let mut update = SessionUpdate::new(NOON).active(NOON);
    update.client = Some(Client::new(None, "Firefox"));
    update.longest = Some((Limit::At(minutes(15)), Limit::At(hours(8))));
    assert!(is_activity(&update));
    assert!(!is_activity(&SessionUpdate { data: set("theme", "1"), ..update }));
}

#[test]
fn login_does_not_wait_for_an_erasure() {
    let folder = Folder::new();
    let registry = folder.open().timeout(seconds(60));
    let erased = log_in(&registry, "bob", NOON);
    let reader = Connection::open(folder.file()).unwrap();
    reader.execute_batch("BEGIN").unwrap();
    reader.query_row("SELECT count(*) FROM sessions", [], |_| Ok(())).unwrap();
    let mut erasure = registry.erase("bob".into());
    while load(&registry, erased.key).is_some() {}
    log_in(&registry, "carol", NOON);
    let mut context = Context::from_waker(Waker::noop());
    assert!(Pin::new(&mut erasure).poll(&mut context).is_pending(), "the reader has the data");
    drop(reader);
    assert_eq!(wait(erasure).unwrap(), 1);
    assert!(!contains(&folder, "bob"));
}

/// Writes of `action` fail after their transaction was executed.
#[cfg(unix)]
fn while_moved(folder: &Folder, action: impl FnOnce()) {
    let moved = folder.0.join("moved.db");
    fs::rename(folder.file(), &moved).unwrap();
    action();
    fs::rename(&moved, folder.file()).unwrap();
}

#[test]
#[cfg(unix)]
fn failed_correction_of_times_is_repeated() {
    let folder = Folder::new();
    let registry = folder.open();
    let ahead = log_in(&registry, "alice", NOON.plus(hours(5)));
    while_moved(&folder, || registry.on_start(NOON));
    registry.on_start(NOON);
    assert_eq!(load(&registry, ahead.key).unwrap().record.last_seen, NOON);
}

#[test]
#[cfg(unix)]
fn failed_step_of_a_history_limit_is_repeated() {
    let folder = Folder::new();
    let registry = folder.open();
    for n in 0..202 {
        let login = log_in(&registry, &format!("user {:03}", n / 2), NOON);
        log_out(&registry, &login, NOON);
    }
    let registry = registry.history_limit(Limit::At(1));
    while_moved(&folder, || {
        wait(registry.commit(alice(NOON))).unwrap_err();
    });
    (0..2).for_each(|_| drop(log_in(&registry, "alice", NOON)));
    let sql = "SELECT count(*) FROM sessions WHERE in_history = 1 AND ended_at IS NOT NULL";
    assert_eq!(folder.number(sql), 101);
}

/// Stops the writer in an operation until the sender is dropped.
fn stop_writer(registry: &SqliteRegistry) -> mpsc::Sender<()> {
    let (stopped, is_stopped) = mpsc::channel();
    let (sender, is_dropped) = mpsc::channel::<()>();
    let is_dropped = Mutex::new(is_dropped);
    let operation = move |_: &mut Tx<'_>| {
        stopped.send(()).unwrap();
        let _ = unpoisoned(&is_dropped).recv();
        Ok(())
    };
    // No thread fails these operations at their deadlines.
    let (responder, _) = Deadlines::default().responder(hours(1));
    let task = Task { operation, outcome: None, responder, options: TaskOptions::default() };
    assert!(registry.writes.push(Box::new(task), Priority::High).is_ok());
    is_stopped.recv().unwrap();
    sender
}

#[test]
fn operation_that_timed_out_has_no_effect_unless_it_ends() {
    let folder = Folder::new();
    let registry = folder.open().timeout(hours(1));
    let [alice, bob, dave] = ["alice", "bob", "dave"].map(|user| log_in(&registry, user, NOON));
    let carol = NewLogin::new("carol", NOON, &Policy::new());
    let rotation = KeyRotation::new(session(&alice), alice.key, SessionUpdate::new(NOON));
    let changed = SessionUpdate { data: set("theme", "1"), ..SessionUpdate::new(NOON) };
    let sender = stop_writer(&registry);
    registry.shared.set(|options| options.timeout = seconds(0));
    wait(registry.commit(carol.clone())).unwrap_err();
    wait(registry.rotate(rotation.clone())).unwrap_err();
    wait(registry.update(session(&alice), changed)).unwrap_err();
    wait(registry.erase("bob".into())).unwrap_err();
    let ended = Ended::new(Reason::Revoked, NOON);
    wait(registry.end(EndSessions::new(EndTarget::All("dave".into()), ended))).unwrap_err();
    registry.shared.set(|options| options.timeout = hours(1));
    drop(sender);
    log_in(&registry, "erin", NOON);
    assert_eq!(reason(&registry, dave.key), Some(Reason::Revoked));
    assert!(load(&registry, alice.key).is_some_and(|alice| alice.data.is_empty()));
    assert_eq!(reason(&registry, alice.key), None);
    assert_eq!((load(&registry, rotation.to), load(&registry, carol.key)), (None, None));
    assert!(load(&registry, bob.key).is_some());
}
