//! Tests of [`SqliteRegistry`] with files.

use std::{
    fs,
    path::PathBuf,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
};

use rusqlite::Connection;
use serde_json::value::RawValue;

use super::{
    SqliteError, SqliteRegistry,
    file::{
        rows::hashed,
        schema::{MIGRATIONS, migrate},
    },
};
use crate::{
    error::RegistryError,
    policy::{
        Policy, PolicyPatch,
        limit::{Limit, Overflow},
    },
    registry::{
        Registry, RegistryFuture, StoredSession,
        end::{EndSessions, EndTarget},
        query::Query,
        rotation::{KeyRotation, RotationOutcome},
    },
    session::{
        client::Client,
        data::{DataChanges, SessionData, StoredMessage},
        ended::Ended,
        key::{PublicId, RecordKey, partition_key},
        login::{LoginOutcome, NewLogin, ReserveOutcome},
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
fn record_and_data_survive_a_restart() {
    let (folder, patch) = (Folder::new(), PolicyPatch::new().idle(Limit::Off).max_sessions(2));
    let policy = Policy::new().absolute(Limit::Off).idle(minutes(7));
    let mut login = NewLogin::new("zoë 'x'", NOON, &policy);
    login.client = Client::new("2001:db8::1".parse().ok(), "Firefox on Linux");
    login.login_policy = Some(Arc::new(PolicyPatch::new().absolute(hours(24))));
    login.user_policy = Some(Arc::new(patch));
    login.uncounted = true;
    login.actor = Some("admin".into());
    login.adopted_until = Some(NOON.plus(hours(48)));
    login.data = data("theme", "\"dark\"");
    let registry = folder.open();
    commit(&registry, &login);
    let now = NOON.plus(minutes(1));
    let mut change = SessionUpdate::new(now).active(now);
    change.client = Some(Client::new(None, "curl"));
    change.signing_key = Some(SigningKey::random());
    change.user_policy = Some(None);
    change.data = set("cart", "[1, 2]");
    change.data.added_messages = vec![StoredMessage { id: 7, content: json("\"hello\"") }];
    assert_eq!(update(&registry, &login, change.clone()), UpdateOutcome::Updated);
    let before = load(&registry, login.key).unwrap();
    assert_eq!(before.record.last_client.as_deref(), change.client.as_ref());
    assert_eq!(before.data.messages().len(), 1);
    drop(registry);
    assert_eq!(load(&folder.open(), login.key), Some(before));
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

#[test]
fn open_and_ended_sessions_survive_a_restart() {
    let folder = Folder::new();
    let registry = folder.open();
    let (open, mut closed) = (log_in(&registry, "alice", NOON), alice(NOON));
    closed.data = data("theme", "1");
    commit(&registry, &closed);
    let ended = Ended {
        by: Some("Firefox".into()),
        ..Ended::new(Reason::Revoked, NOON).with_cause("password_changed")
    };
    let target = EndTarget::Session(session(&closed));
    assert_eq!(end(&registry, target.clone(), ended.clone()).len(), 1);
    assert_eq!(folder.number("SELECT count(*) FROM sessions WHERE data IS NOT NULL"), 0);
    drop(registry);
    let registry = folder.open();
    let loaded = load(&registry, closed.key).unwrap();
    assert_eq!((&loaded.record.ended, loaded.open), (&Some(ended), Some(1)));
    assert!(loaded.data.is_empty());
    assert_eq!(reason(&registry, open.key), None);
    assert_eq!(end(&registry, target, Ended::new(Reason::LoggedOut, NOON)), []);
    assert!(load(&registry, RecordKey::random("alice")).is_none());
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
fn pages_of_a_list_span_memory_and_file() {
    let folder = Folder::new();
    let registry = folder.open();
    let logins: Vec<_> =
        (0..5).map(|n| log_in(&registry, "alice", NOON.plus(seconds(n)))).collect();
    log_in(&registry, "bob", NOON);
    log_out(&registry, &logins[1], NOON.plus(minutes(1)));
    let later = NOON.plus(minutes(2));
    active(&registry, &logins[0], later);
    let all: Vec<_> =
        logins.iter().rev().map(|login| record(&registry, login.key).unwrap()).collect();
    let (mut listed, mut after) = (vec![], None);
    while listed.len() < 5 {
        let query = Query::all("alice").after(after).limit(2);
        listed.extend(list(&registry, query));
        after = listed.last().map(Query::cursor);
    }
    assert_eq!(listed, all);
    assert_eq!(listed[4].last_seen, later);
    assert_eq!(list(&registry, Query::default()).len(), 6);
    assert_eq!(list(&registry, Query::open("alice")).len(), 4);
}

#[test]
fn activity_is_in_the_file_when_it_completes() {
    let folder = Folder::new();
    let registry = folder.open();
    let (login, later) = (log_in(&registry, "alice", NOON), NOON.plus(minutes(3)));
    let mut change = SessionUpdate::new(later).active(later);
    change.client = Some(Client::new("203.0.113.9".parse().ok(), "curl"));
    assert_eq!(update(&registry, &login, change), UpdateOutcome::Updated);
    assert_eq!(folder.number("SELECT last_seen FROM sessions"), later.as_millis());
    let before = record(&registry, login.key);
    drop(registry);
    assert_eq!(record(&folder.open(), login.key), before);
}

#[test]
fn other_updates_are_durable_before_they_complete() {
    let folder = Folder::new();
    let registry = folder.open();
    let (login, before) = (log_in(&registry, "alice", NOON), NOON.minus(hours(1)));
    active(&registry, &login, before);
    assert_eq!(folder.number("SELECT last_seen FROM sessions"), before.as_millis());
    let change = SessionUpdate::new(before);
    let user_policy = Some(Some(Arc::new(PolicyPatch::new().idle(minutes(1)))));
    update(&registry, &login, SessionUpdate { user_policy, ..change.clone() });
    let key = SigningKey::random();
    update(&registry, &login, SessionUpdate { signing_key: Some(key), ..change.clone() });
    update(&registry, &login, SessionUpdate { data: set("theme", "1"), ..change });
    for sql in [
        "SELECT count(*) FROM sessions WHERE user_policy = '{\"idle\":\"1m\"}'",
        &format!("SELECT count(*) FROM sessions WHERE signing_key = '{}'", key.expose()),
        "SELECT count(*) FROM sessions WHERE data = '{\"e\":[[\"theme\",1]]}'",
    ] {
        assert_eq!(folder.number(sql), 1, "{sql}");
    }
}

#[test]
fn too_large_data_changes_nothing() {
    let folder = Folder::new();
    let registry = folder.open();
    let login = log_in(&registry, "alice", NOON);
    let large = format!("\"{}\"", "x".repeat(SessionData::MAX_BYTES));
    let change = SessionUpdate { data: set("large", &large), ..SessionUpdate::new(NOON) };
    assert_eq!(update(&registry, &login, change), UpdateOutcome::TooLarge);
    assert!(load(&registry, login.key).unwrap().data.is_empty());
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
fn simultaneous_logins_leave_one_after_a_restart() {
    let folder = Folder::new();
    let registry = folder.open().history_limit(Limit::Off);
    let policy = Policy::new().max_sessions(1);
    thread::scope(|scope| {
        for _ in 0..50 {
            scope.spawn(|| commit(&registry, &NewLogin::new("alice", NOON, &policy)));
        }
    });
    assert_eq!(list(&registry, Query::open("alice")).len(), 1);
    drop(registry);
    let registry = folder.open().history_limit(Limit::Off);
    let open = list(&registry, Query::open("alice"));
    assert_eq!((open.len(), list(&registry, Query::history("alice")).len()), (1, 49));
    let refusing = Policy::new().max_sessions(1).overflow(Overflow::Refuse);
    let outcome = wait(registry.commit(NewLogin::new("alice", NOON, &refusing))).unwrap();
    assert!(matches!(outcome, LoginOutcome::Refused { active } if active == open));
}

#[test]
fn commit_is_idempotent_after_a_restart() {
    let folder = Folder::new();
    let registry = folder.open();
    let [open, closed] = [(); 2].map(|()| log_in(&registry, "alice", NOON));
    log_out(&registry, &closed, NOON);
    drop(registry);
    let registry = folder.open();
    assert_eq!(commit(&registry, &open).ended, None);
    let reason = commit(&registry, &closed).ended.map(|ended| ended.reason);
    assert_eq!(reason, Some(Reason::LoggedOut));
    assert_eq!(folder.number("SELECT count(*) FROM sessions"), 2);
}

/// Counts the tombstones of rotated keys.
const RENEWED: &str = "SELECT count(*) FROM sessions WHERE ended_reason = 'renewed'";

#[test]
fn rotated_key_is_a_tombstone_after_a_restart() {
    let folder = Folder::new();
    let registry = folder.open();
    let mut login = alice(NOON);
    login.data = data("theme", "1");
    commit(&registry, &login);
    let now = NOON.plus(minutes(1));
    let mut rotation = KeyRotation::new(session(&login), login.key, SessionUpdate::new(now));
    rotation.reauthenticated_as = Some(PublicId::random());
    let outcome = wait(registry.rotate(rotation.clone())).unwrap();
    assert_eq!(outcome, RotationOutcome::Rotated);
    let check = |registry: &SqliteRegistry| {
        let old = load(registry, login.key).unwrap();
        assert_eq!(old.record.ended, Some(Ended::new(Reason::Renewed, now)));
        assert!(old.data.is_empty());
        let new = load(registry, rotation.to).unwrap();
        assert_eq!((&*new.data, new.record.authenticated_at), (&login.data, now));
        assert_eq!((Some(new.record.id), new.open), (rotation.reauthenticated_as, Some(1)));
        assert_eq!(wait(registry.rotate(rotation.clone())).unwrap(), RotationOutcome::Ended);
        let committed = commit(registry, &login).ended.map(|ended| ended.reason);
        assert_eq!(committed, Some(Reason::Renewed), "login committed before");
    };
    check(&registry);
    drop(registry);
    let registry = folder.open();
    check(&registry);
    assert_eq!(folder.number(RENEWED), 1);
    log_in(&registry, "bob", now.plus(hours(24)));
    assert_eq!(folder.number(RENEWED), 0);
}

#[test]
fn reservation_refuses_the_logins_of_other_registries() {
    let folder = Folder::new();
    let registry = folder.open();
    let policy = Policy::new().max_sessions(1).overflow(Overflow::Refuse);
    let [first, second] = [(); 2].map(|()| NewLogin::new("alice", NOON, &policy));
    let reservation = first.reservation(NOON.plus(seconds(30)));
    let outcome = wait(registry.reserve(reservation.clone())).unwrap();
    assert_eq!(outcome, ReserveOutcome::Reserved);
    let other = folder.open();
    let refused = wait(other.commit(second.clone())).unwrap();
    assert!(matches!(refused, LoginOutcome::Refused { active } if active.is_empty()));
    drop(registry);
    let refused = wait(other.commit(second.clone())).unwrap();
    assert!(matches!(refused, LoginOutcome::Refused { .. }), "after a restart");
    wait(other.cancel(first.key, Ended::new(Reason::Revoked, NOON))).unwrap();
    commit(&other, &second);
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
fn closed_adoption_survives_a_restart() {
    let folder = Folder::new();
    let registry = folder.open();
    let until = NOON.plus(hours(48));
    let policy = Policy::new().idle(Limit::Off).absolute(Limit::Off);
    let adopted =
        |user, at| NewLogin { adopted_until: Some(until), ..NewLogin::new(user, at, &policy) };
    let ended = Ended::new(Reason::Revoked, NOON);
    let end = EndSessions {
        close_adoption_until: Some(until),
        ..EndSessions::new(EndTarget::All("alice".into()), ended.clone())
    };
    wait(registry.end(end)).unwrap();
    drop(registry);
    let registry = folder.open();
    let is_closed = |user, at| {
        let outcome = wait(registry.commit(adopted(user, at))).unwrap();
        matches!(outcome, LoginOutcome::AdoptionClosed)
    };
    assert!(is_closed("alice", NOON) && !is_closed("bob", NOON));
    assert!(!is_closed("alice", until));
    assert_eq!(wait(registry.end_everyone(ended)).unwrap(), 2);
    drop(registry);
    let registry = folder.open();
    let outcome = wait(registry.commit(adopted("carol", NOON))).unwrap();
    assert!(matches!(outcome, LoginOutcome::AdoptionClosed));
    log_in(&registry, "carol", NOON);
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
fn end_everyone_ends_all_and_saves_activity() {
    let folder = Folder::new();
    let registry = folder.open();
    let logins: Vec<_> = (0..20).map(|n| log_in(&registry, &format!("user {n}"), NOON)).collect();
    let later = NOON.plus(minutes(2));
    active(&registry, &logins[3], later);
    let ended = Ended::new(Reason::Revoked, later).with_cause("incident");
    assert_eq!(wait(registry.end_everyone(ended.clone())).unwrap(), 20);
    assert_eq!(list(&registry, Query::new().ended(false)), []);
    drop(registry);
    let registry = folder.open();
    for login in &logins {
        assert_eq!(record(&registry, login.key).unwrap().ended, Some(ended.clone()));
    }
    assert_eq!(record(&registry, logins[3].key).unwrap().last_seen, later);
    assert_eq!(wait(registry.end_everyone(ended)).unwrap(), 0);
}

#[test]
fn erased_user_leaves_only_closed_adoption() {
    let folder = Folder::new();
    let registry = folder.open().history_limit(Limit::At(1));
    let until = NOON.plus(hours(48));
    let adopted = NewLogin { adopted_until: Some(until), ..alice(NOON) };
    commit(&registry, &adopted);
    log_out(&registry, &adopted, NOON);
    let logins = [(); 3].map(|()| log_in(&registry, "alice", NOON.plus(minutes(1))));
    log_out(&registry, &logins[0], NOON.plus(minutes(2)));
    let rotation = KeyRotation::new(session(&logins[1]), logins[1].key, SessionUpdate::new(NOON));
    wait(registry.rotate(rotation)).unwrap();
    log_in(&registry, "bob", NOON);
    drop(registry);
    let registry = folder.open();
    assert_eq!(wait(registry.erase("alice".into())).unwrap(), 4);
    assert_eq!(list(&registry, Query::all("alice")), []);
    let left = "SELECT count(*) FROM sessions";
    assert_eq!(folder.number(left), 1);
    drop(registry);
    let outcome = wait(folder.open().commit(adopted)).unwrap();
    assert!(matches!(outcome, LoginOutcome::AdoptionClosed));
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
fn open_session_unused_for_90_days_ends() {
    let folder = Folder::new();
    let registry = folder.open();
    let policy = Policy::new().idle(Limit::Off).absolute(Limit::Off);
    let unused = NewLogin::new("alice", NOON, &policy);
    commit(&registry, &unused);
    log_in(&registry, "alice", NOON.plus(hours(24 * 90)));
    assert_eq!(reason(&registry, unused.key), Some(Reason::Idle));
    assert_eq!(list(&registry, Query::open("alice")).len(), 1);
    drop(registry);
    assert_eq!(list(&folder.open(), Query::history("alice")).len(), 1);
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
            "version 99, but this program supports versions up to 2; update the program",
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
