//! Operations against a Redis server of the tests' own; needs `redis-server` on the path.

use std::{
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::value::RawValue;

use super::RedisRegistry;
use crate::{
    facts::Reason,
    limit::{Limit, Overflow},
    policy::{Policy, PolicyPatch},
    registry::{
        Loaded, Registry,
        data::{DataChanges, SessionData, StoredMessage},
        end::{EndSessions, EndTarget},
        key::{PublicId, RecordKey, SigningKey},
        login::{LoginOutcome, NewLogin, ReserveOutcome},
        query::Query,
        record::{Client, Ended, SessionRecord, SessionRef, SessionUpdate, UpdateOutcome},
        room::SessionLimit,
        rotation::{KeyRotation, RotationOutcome},
    },
    time::{Timestamp, hours, minutes, seconds},
};

const NOON: Timestamp = Timestamp::from_millis(1_767_268_800_000);

struct Server {
    child: Child,
    folder: PathBuf,
    port: u16,
}

impl Server {
    fn start() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("redis-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let child = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--save", "", "--port", &port.to_string(), "--dir"])
            .arg(&folder)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self { child, folder, port };
        let began = Instant::now();
        while server.client().get_connection().is_err() {
            assert!(began.elapsed() < Duration::from_secs(10), "redis-server does not answer");
            thread::sleep(Duration::from_millis(20));
        }
        server
    }

    fn client(&self) -> redis::Client {
        redis::Client::open(format!("redis://127.0.0.1:{}/", self.port)).unwrap()
    }

    fn ask<T: redis::FromRedisValue>(&self, words: &[&str]) -> T {
        let mut command = redis::Cmd::new();
        words.iter().for_each(|word| {
            command.arg(word);
        });
        command.query(&mut self.client().get_connection().unwrap()).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = (self.child.kill(), self.child.wait(), std::fs::remove_dir_all(&self.folder));
    }
}

/// Runs a test with a registry on a new server.
fn with_registry<F: Future<Output = ()>>(test: impl FnOnce(RedisRegistry, Arc<Server>) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let server = Arc::new(Server::start());
    runtime.block_on(async {
        let url = format!("redis://127.0.0.1:{}/", server.port);
        let registry = RedisRegistry::connect(&url).await.unwrap().timeout(seconds(10));
        test(registry, server).await;
    });
}

fn policy() -> Policy {
    Policy::new().idle(minutes(30)).absolute(hours(8))
}

fn login(user: &str, at: Timestamp, places: u32, overflow: Overflow) -> NewLogin {
    NewLogin::new(user, at, &policy().max_sessions(places).overflow(overflow))
}

fn alice() -> NewLogin {
    login("alice", NOON, 0, Overflow::Evict)
}

fn json(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).unwrap()
}

fn message(id: u64, text: &str) -> StoredMessage {
    StoredMessage { id, content: json(text) }
}

async fn commit(registry: &RedisRegistry, login: &NewLogin) -> (SessionRecord, Vec<SessionRecord>) {
    match registry.commit(login.clone()).await.unwrap() {
        LoginOutcome::Committed { record, ended } => (record, ended),
        other => panic!("{other:?}"),
    }
}

async fn load(registry: &RedisRegistry, key: RecordKey) -> Loaded {
    registry.load(key, false).await.unwrap().unwrap()
}

fn session(login: &NewLogin) -> SessionRef {
    SessionRef { user: Arc::clone(&login.user), id: login.id }
}

fn changing(changes: DataChanges) -> SessionUpdate {
    SessionUpdate { data: changes, ..SessionUpdate::new(NOON) }
}

fn revoked(at: Timestamp) -> Ended {
    Ended { by: Some("x".into()), ..Ended::new(Reason::Revoked, at).because("password_changed") }
}

#[test]
fn committed_login_is_loaded_with_its_data() {
    with_registry(async |registry, _| {
        let mut login = alice();
        login.client = Client { ip: "2001:db8::1".parse().ok(), device: "a \"b\"\n/é\0".into() };
        login.login_policy = Some(Arc::new(PolicyPatch::new().absolute(hours(24))));
        login.actor = Some("admin".into());
        let mut changes = DataChanges::default();
        for (name, text) in
            [("z", "[]"), ("a", "{}"), ("number", "12345678901234567890.10"), ("ü", r#""\ud800/""#)]
        {
            changes.set(name, json(text));
        }
        changes.added_messages.push(message(u64::MAX, "\"hi\""));
        login.data.apply(&changes).unwrap();
        let (record, ended) = commit(&registry, &login).await;
        assert_eq!((&record, ended), (&SessionRecord::new(&login), vec![]));
        let loaded = load(&registry, login.key).await;
        assert_eq!((&*loaded.record, &*loaded.data, loaded.open), (&record, &login.data, None));
        let counted = registry.load(login.key, true).await.unwrap().unwrap();
        assert_eq!((counted.data, counted.open), (loaded.data, Some(1)));
        assert_eq!(registry.load(alice().key, true).await.unwrap(), None);
        assert_eq!(registry.load(alice().key, false).await.unwrap(), None);
    });
}

#[test]
fn committed_again_login_changes_nothing() {
    with_registry(async |registry, _| {
        let login = login("alice", NOON, 1, Overflow::Refuse);
        let (first, _) = commit(&registry, &login).await;
        let (again, ended) = commit(&registry, &login).await;
        assert_eq!((&again, ended), (&first, vec![]));
        let ends = EndSessions::new(EndTarget::Session(session(&login)), revoked(NOON));
        registry.end(ends).await.unwrap();
        assert_eq!(commit(&registry, &login).await.0.ended, Some(revoked(NOON)));
        assert_eq!(registry.list(Query::open("alice")).await.unwrap(), []);
    });
}

#[test]
fn merged_data_is_what_rust_makes_of_it() {
    with_registry(async |registry, _| {
        let login = alice();
        commit(&registry, &login).await;
        let (mut expected, mut dice) = (SessionData::default(), 1_u64);
        let mut roll = |sides: u64| {
            dice = dice
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (dice >> 33) % sides
        };
        let texts =
            ["[]", "{}", "1e400", "18446744073709551615", "\"a:b\\n\\u0000\"", "[{\"é\":[]}]"];
        for step in 0..300 {
            let mut changes = DataChanges::default();
            for _ in 0..roll(4) {
                let name = ["", "1", "a", "é:", "e1:1:", "b\0"][roll(6) as usize];
                match roll(3) {
                    0 => changes.removed.push(name.into()),
                    _ => changes.set(name, json(texts[roll(6) as usize])),
                }
            }
            for _ in 0..roll(4) {
                match roll(2) {
                    0 => changes.consumed_messages.push(roll(30)),
                    _ => changes.added_messages.push(message(roll(30), texts[roll(6) as usize])),
                }
            }
            if roll(10) == 0 {
                changes
                    .set("large", json(&format!("\"{}\"", "é".repeat(32_700 + roll(80) as usize))));
            }
            if roll(10) == 0 {
                changes.removed.push("large".into());
            }
            let outcome = match expected.apply(&changes) {
                Ok(()) => UpdateOutcome::Updated,
                Err(_) => UpdateOutcome::TooLarge,
            };
            let update = changing(changes);
            assert_eq!(registry.update(session(&login), update).await.unwrap(), outcome, "{step}");
            let loaded = load(&registry, login.key).await;
            assert_eq!(*loaded.data, expected, "step {step}");
        }
    });
}

#[test]
fn updated_record_is_what_rust_makes_of_it() {
    with_registry(async |registry, _| {
        let login = alice();
        let mut expected = SessionRecord::new(&login);
        commit(&registry, &login).await;
        let client = |device: &str| Client { ip: "192.0.2.1".parse().ok(), device: device.into() };
        let later = NOON.plus(minutes(5));
        for update in [
            SessionUpdate::new(later).active(later),
            SessionUpdate {
                client: Some(client("curl")),
                ..SessionUpdate::new(later).active(NOON)
            },
            SessionUpdate { client: Some(client("none")), ..SessionUpdate::new(later) },
            SessionUpdate::new(later).active(later.plus(hours(1))),
            SessionUpdate {
                user_policy: Some(Some(Arc::new(PolicyPatch::new().idle(minutes(1))))),
                signing_key: Some(SigningKey::random()),
                ..SessionUpdate::new(later)
            },
            SessionUpdate {
                client: Some(login.client.clone()),
                ..SessionUpdate::new(later).active(later)
            },
            SessionUpdate { user_policy: Some(None), ..SessionUpdate::new(later) },
            SessionUpdate::new(NOON.minus(hours(1))),
        ] {
            expected.update(&update);
            let outcome = registry.update(session(&login), update.clone()).await.unwrap();
            assert_eq!(outcome, UpdateOutcome::Updated);
            assert_eq!(*load(&registry, login.key).await.record, expected, "{update:?}");
        }
        let wrong = SessionRef { user: "bob".into(), id: login.id };
        let outcome = registry.update(wrong, SessionUpdate::new(NOON)).await.unwrap();
        assert_eq!(outcome, UpdateOutcome::Ended);
    });
}

#[test]
fn policy_that_cannot_be_read_back_is_refused_before_anything_changes() {
    with_registry(async |registry, _| {
        let contradiction = PolicyPatch::new().idle(minutes(2)).warn(minutes(2));
        let mut second = alice();
        second.login_policy = Some(Arc::new(contradiction));
        assert!(registry.commit(second).await.is_err());
        assert_eq!(registry.list(Query::default()).await.unwrap(), []);
    });
}

#[test]
fn renewed_session_keeps_data_and_clocks() {
    with_registry(async |registry, server| {
        let mut login = alice();
        let mut changes = DataChanges::default();
        changes.set("a", json("1"));
        login.data.apply(&changes).unwrap();
        commit(&registry, &login).await;
        let mut later = DataChanges::default();
        later.set("b", json("2"));
        let at = NOON.plus(minutes(1));
        let update = SessionUpdate { data: later, ..SessionUpdate::new(at).active(at) };
        let rotation = KeyRotation::new(session(&login), login.key, update);
        for _ in 0..2 {
            let outcome = registry.rotate(rotation.clone()).await.unwrap();
            assert_eq!(outcome, RotationOutcome::Rotated);
        }
        let new = registry.load(rotation.to, true).await.unwrap().unwrap();
        assert_eq!((new.record.id, new.record.last_seen, new.open), (login.id, at, Some(1)));
        assert_eq!(new.data.entries().map(|(name, _)| name).collect::<Vec<_>>(), ["a", "b"]);
        let old = registry.load(login.key, true).await.unwrap().unwrap();
        assert_eq!(old.record.ended, Some(Ended::new(Reason::Renewed, at)));
        assert!(old.data.is_empty());

        let mut lost = DataChanges::default();
        lost.set("c", json("3"));
        let loser = KeyRotation::new(session(&login), login.key, changing(lost));
        assert_eq!(registry.rotate(loser.clone()).await.unwrap(), RotationOutcome::Lost);
        assert_eq!(registry.load(loser.to, false).await.unwrap(), None);
        assert_eq!(load(&registry, rotation.to).await.data.entries().len(), 3);
        assert_eq!(registry.list(Query::default()).await.unwrap().len(), 1);
        assert_eq!(commit(&registry, &login).await.0.ended.unwrap().reason, Reason::Renewed);

        let mut large = DataChanges::default();
        large.set("large", json(&format!("\"{}\"", "x".repeat(SessionData::MAX_BYTES))));
        let large = KeyRotation::new(session(&login), rotation.to, changing(large));
        assert_eq!(registry.rotate(large).await.unwrap(), RotationOutcome::TooLarge);
        assert_eq!(load(&registry, rotation.to).await.record.ended, None);

        let ends = EndSessions::new(EndTarget::Session(session(&login)), revoked(at));
        assert_eq!(registry.end(ends).await.unwrap().len(), 1);
        let over = KeyRotation::new(session(&login), rotation.to, SessionUpdate::new(at));
        assert_eq!(registry.rotate(over).await.unwrap(), RotationOutcome::Ended);
        let past = registry.list(Query::past("alice")).await.unwrap();
        assert_eq!(past.len(), 1);
        let fields: Vec<String> = server.ask(&["HKEYS", &format!("sx1:{{{}}}", login.key.tag())]);
        assert!(!fields.iter().any(|field| field.contains(':')), "{fields:?}");
    });
}

#[test]
fn reauthenticated_session_has_a_new_id_and_new_clocks() {
    with_registry(async |registry, _| {
        let login = alice();
        commit(&registry, &login).await;
        let (at, id) = (NOON.plus(minutes(9)), PublicId::random());
        let rotation = KeyRotation {
            reauthenticated_as: Some(id),
            ..KeyRotation::new(session(&login), login.key, SessionUpdate::new(at))
        };
        assert_eq!(registry.rotate(rotation.clone()).await.unwrap(), RotationOutcome::Rotated);
        assert_eq!(registry.rotate(rotation.clone()).await.unwrap(), RotationOutcome::Rotated);
        let record = load(&registry, rotation.to).await.record;
        assert_eq!((record.id, record.authenticated_at, record.last_seen), (id, at, at));
        assert_eq!(record.logged_in_at, NOON);
        let outcome = registry.update(session(&login), SessionUpdate::new(at)).await.unwrap();
        assert_eq!(outcome, UpdateOutcome::Ended);
        let now = SessionRef { id, ..session(&login) };
        let outcome = registry.update(now, SessionUpdate::new(at)).await.unwrap();
        assert_eq!(outcome, UpdateOutcome::Updated);
    });
}

#[test]
fn reservation_holds_a_slot_until_its_deadline() {
    with_registry(async |registry, server| {
        let first = login("alice", NOON, 1, Overflow::Refuse);
        let second = login("alice", NOON, 1, Overflow::Refuse);
        let until = NOON.plus(seconds(30));
        for _ in 0..2 {
            let outcome = registry.reserve(first.reservation(until)).await.unwrap();
            assert_eq!(outcome, ReserveOutcome::Reserved);
        }
        assert!(matches!(
            registry.reserve(second.reservation(until)).await.unwrap(),
            ReserveOutcome::Refused { active } if active.is_empty()
        ));
        let refused = registry.commit(second.clone()).await.unwrap();
        assert!(matches!(refused, LoginOutcome::Refused { active } if active.is_empty()));
        registry.cancel(first.key, revoked(NOON)).await.unwrap();
        assert!(matches!(
            registry.reserve(second.reservation(until)).await.unwrap(),
            ReserveOutcome::Reserved
        ));
        let late = NewLogin { at: until, ..first };
        commit(&registry, &late).await;
        let refused = registry.commit(NewLogin { at: until, ..second.clone() }).await.unwrap();
        assert!(matches!(refused, LoginOutcome::Refused { active } if active.len() == 1));
        // In time it would not have been refused: the slot was its own.
        let refused = registry.commit(NewLogin { at: until.minus(seconds(1)), ..second }).await;
        let members: Vec<String> =
            server.ask(&["ZRANGE", &format!("sx1:{{{}}}:open", late.key.tag()), "0", "-1"]);
        assert!(members.iter().all(|member| member.len() <= 64), "{members:?}");
        drop(refused);
    });
}

#[test]
fn committed_login_is_cancelled() {
    with_registry(async |registry, _| {
        let login = login("alice", NOON, 1, Overflow::Refuse);
        commit(&registry, &login).await;
        registry.cancel(login.key, revoked(NOON)).await.unwrap();
        assert_eq!(load(&registry, login.key).await.record.ended, Some(revoked(NOON)));
        registry.cancel(alice().key, revoked(NOON)).await.unwrap();
    });
}

#[test]
fn limit_ends_the_right_sessions() {
    with_registry(async |registry, _| {
        let at = |n| NOON.plus(minutes(n));
        let logins: Vec<_> = (0..3).map(|n| login("alice", at(n), 0, Overflow::Evict)).collect();
        for login in &logins {
            commit(&registry, login).await;
        }
        let used = SessionUpdate::new(at(10)).active(at(10));
        registry.update(session(&logins[0]), used).await.unwrap();
        let limit = SessionLimit { max_sessions: Limit::At(2), overflow: Overflow::LeastRecent };
        let ended =
            registry.enforce_limit(session(&logins[2]), limit, revoked(at(10))).await.unwrap();
        assert_eq!(ended.iter().map(|record| record.id).collect::<Vec<_>>(), [logins[1].id]);
        assert_eq!(ended[0].ended, Some(revoked(at(10))));
        let late = login("alice", at(35), 2, Overflow::Evict);
        let (_, ended) = commit(&registry, &late).await;
        assert_eq!(ended.iter().map(|record| record.id).collect::<Vec<_>>(), [logins[2].id]);
        assert_eq!(ended[0].ended, Some(Ended::new(Reason::Idle, at(35))));
        let gone =
            registry.enforce_limit(session(&logins[1]), limit, revoked(at(36))).await.unwrap();
        assert_eq!(gone, []);
    });
}

#[test]
fn uncounted_session_takes_no_slot_and_is_reached_by_ends() {
    with_registry(async |registry, _| {
        let counted = login("alice", NOON, 1, Overflow::Refuse);
        let uncounted = NewLogin { uncounted: true, ..login("alice", NOON, 1, Overflow::Refuse) };
        commit(&registry, &uncounted).await;
        commit(&registry, &counted).await;
        let loaded = registry.load(uncounted.key, true).await.unwrap().unwrap();
        assert_eq!((loaded.open, loaded.record.uncounted), (Some(1), true));
        let third = login("alice", NOON, 1, Overflow::Evict);
        let (_, ended) = commit(&registry, &third).await;
        assert_eq!(ended.iter().map(|record| record.id).collect::<Vec<_>>(), [counted.id]);
        assert_eq!(registry.list(Query::open("alice")).await.unwrap().len(), 2);
        let all = EndSessions::new(EndTarget::All("alice".into()), revoked(NOON));
        assert_eq!(registry.end(all).await.unwrap().len(), 2);
    });
}

#[test]
fn ends_reach_their_targets_only() {
    with_registry(async |registry, _| {
        let logins: Vec<_> = (0..3).map(|_| alice()).collect();
        for login in &logins {
            commit(&registry, login).await;
        }
        let bob = login("bob", NOON, 0, Overflow::Evict);
        commit(&registry, &bob).await;
        let end =
            async |target| registry.end(EndSessions::new(target, revoked(NOON))).await.unwrap();
        let foreign = SessionRef { user: "bob".into(), id: logins[0].id };
        assert_eq!(end(EndTarget::Session(foreign.clone())).await, []);
        assert_eq!(end(EndTarget::Others(foreign)).await, []);
        assert_eq!(end(EndTarget::Session(session(&logins[0]))).await.len(), 1);
        assert_eq!(end(EndTarget::Session(session(&logins[0]))).await, []);
        assert_eq!(end(EndTarget::Others(session(&logins[0]))).await, []);
        assert_eq!(end(EndTarget::Others(session(&logins[1]))).await.len(), 1);
        assert_eq!(load(&registry, logins[1].key).await.record.ended, None);
        assert_eq!(end(EndTarget::All("alice".into())).await.len(), 1);
        assert_eq!(load(&registry, bob.key).await.record.ended, None);
    });
}

#[test]
fn adoption_is_closed_until_its_deadline() {
    with_registry(async |registry, _| {
        let adopted = |at: Timestamp| NewLogin {
            adopted_until: Some(NOON.plus(hours(240))),
            ..login("alice", at, 0, Overflow::Evict)
        };
        let first = adopted(NOON);
        commit(&registry, &first).await;
        let until = NOON.plus(hours(24));
        let ends = EndSessions {
            close_adoption_until: Some(until),
            ..EndSessions::new(EndTarget::Session(session(&first)), revoked(NOON))
        };
        registry.end(ends).await.unwrap();
        let closed = registry.commit(adopted(until.minus(seconds(1)))).await.unwrap();
        assert!(matches!(closed, LoginOutcome::AdoptionClosed));
        assert!(commit(&registry, &first).await.0.ended.is_some());
        commit(&registry, &alice()).await;
        commit(&registry, &adopted(until)).await;
    });
}

#[test]
fn ended_everyone_are_out_and_adoption_is_closed() {
    with_registry(async |registry, _| {
        let mut logins = vec![];
        for n in 0..30 {
            let login = login(&format!("user {}", n / 3), NOON, 0, Overflow::Evict);
            commit(&registry, &login).await;
            logins.push(login);
        }
        let held = login("alice", NOON, 1, Overflow::Refuse);
        registry.reserve(held.reservation(NOON.plus(seconds(30)))).await.unwrap();
        assert_eq!(registry.end_everyone(revoked(NOON)).await.unwrap(), 30);
        for login in &logins {
            assert_eq!(load(&registry, login.key).await.record.ended, Some(revoked(NOON)));
        }
        commit(&registry, &login("alice", NOON, 1, Overflow::Refuse)).await;
        let adopted = NewLogin { adopted_until: Some(NOON.plus(hours(24))), ..alice() };
        assert!(matches!(registry.commit(adopted).await.unwrap(), LoginOutcome::AdoptionClosed));
        assert_eq!(registry.end_everyone(revoked(NOON)).await.unwrap(), 1);
    });
}

#[test]
fn user_is_exported_and_erased() {
    with_registry(async |registry, _| {
        let mut first = alice();
        let mut changes = DataChanges::default();
        changes.set("a", json("1"));
        first.data.apply(&changes).unwrap();
        let second = login("alice", NOON.plus(minutes(1)), 0, Overflow::Evict);
        for login in [&first, &second, &login("bob", NOON, 0, Overflow::Evict)] {
            commit(&registry, login).await;
        }
        let ends = EndSessions::new(EndTarget::Session(session(&second)), revoked(NOON));
        registry.end(ends).await.unwrap();
        let rotation = KeyRotation::new(session(&first), first.key, SessionUpdate::new(NOON));
        registry.rotate(rotation).await.unwrap();
        let export = registry.export("alice".into()).await.unwrap();
        let ids: Vec<_> = export.records.iter().map(|record| record.id).collect();
        assert_eq!(ids, [second.id, first.id]);
        assert_eq!(export.data, [(session(&first), first.data.clone())]);
        assert_eq!(registry.erase("alice".into()).await.unwrap(), 2);
        assert_eq!(registry.load(first.key, false).await.unwrap(), None);
        assert_eq!(registry.list(Query::default()).await.unwrap().len(), 1);
    });
}

#[test]
fn tombstone_of_an_adopted_session_is_kept_until_its_deadline() {
    with_registry(async |registry, _| {
        let registry = registry.history_limit(Limit::At(0)).history_age(hours(48));
        let until = NOON.plus(hours(240));
        let adopted = NewLogin { adopted_until: Some(until), ..alice() };
        let plain = alice();
        for login in [&adopted, &plain] {
            commit(&registry, login).await;
        }
        let all = EndSessions::new(EndTarget::All("alice".into()), revoked(NOON));
        registry.end(all).await.unwrap();
        for (at, plain_is_there, adopted_is_there) in [
            (hours(23), true, true),
            (hours(24), false, true),
            (hours(239), false, true),
            (hours(241), false, false),
        ] {
            let other = login("alice", NOON.plus(at), 0, Overflow::Evict);
            commit(&registry, &other).await;
            let is_there = [plain.key, adopted.key].map(|key| registry.load(key, false));
            let [plain, adopted] = is_there;
            assert_eq!(plain.await.unwrap().is_some(), plain_is_there, "{at:?}");
            assert_eq!(adopted.await.unwrap().is_some(), adopted_is_there, "{at:?}");
        }
    });
}

#[test]
fn every_operation_is_one_command() {
    with_registry(async |registry, server| {
        let commands = || {
            let stats: String = server.ask(&["INFO", "commandstats"]);
            let calls = |command: &str| {
                let line = format!("cmdstat_{command}:calls=");
                let line = stats.lines().find_map(|text| text.strip_prefix(&line));
                line.map_or(0, |line| line.split(',').next().unwrap().parse::<u32>().unwrap())
            };
            [calls("evalsha"), calls("eval")]
        };
        macro_rules! costs {
            ($work:expr) => {{
                let _ = $work.await.unwrap();
                let _: String = server.ask(&["CONFIG", "RESETSTAT"]);
                let _ = $work.await.unwrap();
                assert_eq!(commands(), [1, 0], "{}", stringify!($work));
            }};
        }
        let login = login("alice", NOON, 2, Overflow::Refuse);
        costs!(registry.reserve(login.reservation(NOON.plus(seconds(30)))));
        costs!(registry.commit(login.clone()));
        costs!(registry.load(login.key, true));
        costs!(registry.update(session(&login), SessionUpdate::new(NOON)));
        costs!(registry.rotate(KeyRotation::new(
            session(&login),
            login.key,
            SessionUpdate::new(NOON)
        )));
        costs!(registry.enforce_limit(session(&login), login.limit, revoked(NOON)));
        costs!(registry.list(Query::open("alice")));
        costs!(registry.end(EndSessions::new(EndTarget::All("alice".into()), revoked(NOON))));
        costs!(registry.cancel(login.key, revoked(NOON)));
        let _: String = server.ask(&["CONFIG", "RESETSTAT"]);
        registry.load(login.key, false).await.unwrap();
        assert_eq!(commands(), [0, 0]);
        let stats: String = server.ask(&["INFO", "commandstats"]);
        assert!(stats.contains("cmdstat_hmget:calls=1,") && !stats.contains("cmdstat_zlexcount"));
    });
}

#[test]
fn full_server_lets_users_sign_out_and_nobody_in() {
    with_registry(async |registry, server| {
        let login = alice();
        commit(&registry, &login).await;
        let _: String = server.ask(&["CONFIG", "SET", "maxmemory", "1"]);
        let mut next = self::login("alice", NOON, 1, Overflow::Evict);
        next.replaces = Some((login.id, Reason::LoggedOut));
        assert!(registry.commit(next.clone()).await.is_err());
        assert!(registry.reserve(next.reservation(NOON.plus(seconds(30)))).await.is_err());
        let mut changes = DataChanges::default();
        changes.set("a", json("1"));
        assert!(registry.update(session(&login), changing(changes.clone())).await.is_err());
        let rotation = KeyRotation::new(session(&login), login.key, SessionUpdate::new(NOON));
        assert!(registry.rotate(rotation.clone()).await.is_err());
        let before = load(&registry, login.key).await;
        assert!(before.record.ended.is_none() && before.data.is_empty());
        assert_eq!(registry.load(rotation.to, false).await.unwrap(), None);
        let active = SessionUpdate::new(NOON.plus(minutes(1))).active(NOON.plus(minutes(1)));
        registry.update(session(&login), active).await.unwrap();
        let all = EndSessions::new(EndTarget::All("alice".into()), revoked(NOON));
        assert_eq!(registry.end(all).await.unwrap().len(), 1);
    });
}

#[test]
fn every_key_expires() {
    with_registry(async |registry, server| {
        let login = login("alice", NOON, 2, Overflow::Refuse);
        registry.reserve(login.reservation(NOON.plus(seconds(30)))).await.unwrap();
        commit(&registry, &login).await;
        let rotation = KeyRotation::new(session(&login), login.key, SessionUpdate::new(NOON));
        registry.rotate(rotation).await.unwrap();
        let ends = EndSessions {
            close_adoption_until: Some(NOON.plus(hours(24))),
            ..EndSessions::new(EndTarget::All("bob".into()), revoked(NOON))
        };
        registry.end(ends).await.unwrap();
        let names: Vec<String> = server.ask(&["KEYS", "*"]);
        assert!(names.len() >= 5, "{names:?}");
        for name in &names {
            let left: i64 = server.ask(&["TTL", name]);
            assert!((1..=90 * 24 * 3_600).contains(&left), "{name} stays for {left} s");
        }
    });
}
