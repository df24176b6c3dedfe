//! Processes of two versions of the crate on one server, as during a rolling deploy.
//!
//! The newer version is this one, plus what only a newer version would write: [`make_newer`] adds
//! it after an operation.

use session_expire::{
    Limit, Overflow, Policy, PolicyPatch, PublicId, Reason, RedisRegistry, hours, minutes,
    registry::{
        EndTarget, Ended, KeyRotation, NewLogin, Query, Registry, ReserveOutcome, RotationOutcome,
        SessionLimit, SessionUpdate, UpdateOutcome,
    },
};
use session_expire_tests::RedisServer;

use crate::{NOON, active, all, committed, end, is_open, login, revoked, session, setting};

/// Fields of a record that this version does not know.
const FIELDS: &str = "colour=red\nx_2=a=b%0A\n";

/// Score of a class of a user index that this version does not know.
const CLASS: u64 = 12 * (1 << 43);

/// A server with a process of each version.
struct Deploy {
    server: RedisServer,
    older: RedisRegistry,
    newer: RedisRegistry,
}

impl Deploy {
    async fn start() -> Self {
        let server = RedisServer::start();
        let (older, newer) = (server.registry().await, server.registry().await);
        Self { server, older, newer }
    }

    /// Commits a login of Alice in the newer version.
    async fn sign_in(&self) -> NewLogin {
        let mut login = login("alice", &Policy::new().max_sessions(3));
        login.login_policy = Some(PolicyPatch::new().idle(hours(2)).into());
        login.user_policy = Some(PolicyPatch::new().absolute(hours(20)).into());
        committed(self.newer.commit(login.clone()).await.unwrap());
        self.newer.update(session(&login), setting("a", "1")).await.unwrap();
        make_newer(&self.server);
        login
    }

    /// Returns the texts of the record with this id: several after a rotation.
    fn texts(&self, id: PublicId) -> Vec<String> {
        let texts = records(&self.server).into_iter().map(|(_, _, text)| text);
        texts.filter(|text| field(text, "id") == id.to_string()).collect()
    }

    fn assert_newer_words_are_kept(&self, id: PublicId) {
        let texts = self.texts(id);
        assert!(!texts.is_empty());
        for text in texts {
            let is_kept = FIELDS.lines().all(|line| text.lines().any(|other| other == line));
            assert!(is_kept && text.matches("_policy={\"colour\":").count() == 2, "{text}");
        }
    }
}

fn field<'a>(text: &'a str, name: &str) -> &'a str {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    value.unwrap_or_default()
}

/// Returns the records with the key of their tag and their name.
fn records(server: &RedisServer) -> Vec<(String, String, String)> {
    let mut records = vec![];
    for key in server.command::<Vec<String>>(&["KEYS", "sx3:{??}"]) {
        for name in server.command::<Vec<String>>(&["HKEYS", &key]) {
            let text: String = server.command(&["HGET", &key, &name]);
            if name.len() == 22 && !field(&text, "id").is_empty() {
                records.push((key.clone(), name, text));
            }
        }
    }
    records
}

/// Changes records and keys into those of a newer version: with fields, reasons, causes, words of
/// policies and classes that this version does not know.
fn make_newer(server: &RedisServer) {
    let set = |key: &str, field: &str, value: &str| {
        let _: u32 = server.command(&["HSET", key, field, value]);
    };
    for (key, name, text) in records(server) {
        set(&key, &name, &newer_text(&text));
        set(&key, &format!("x:{name}"), "1");
        set(&key, "newest", "a=b");
        let index = format!("{key}:{}", field(&text, "hash"));
        let member = format!("Y{}{name}", &field(&text, "id")[..3]);
        let _: u32 = server.command(&["ZADD", &index, &CLASS.to_string(), &member]);
        let ends = format!("{key}:ends");
        for number in server.command::<Vec<String>>(&["HKEYS", &ends]) {
            let text: String = server.command(&["HGET", &ends, &number]);
            if text.contains("reason=") {
                set(&ends, &number, &newer_text(&text));
                set(&ends, "newest", "a=b");
            }
        }
    }
}

fn newer_text(text: &str) -> String {
    let is_known = |line: &&str| !FIELDS.contains(line);
    let text: String = text.lines().filter(is_known).flat_map(|line| [line, "\n"]).collect();
    let text = text.replace("_policy={\"colour\":\"red\",", "_policy={");
    let text = text.replace("_policy={", "_policy={\"colour\":\"red\",");
    text.replace("reason=revoked\n", "cause=moved\nreason=frozen\n") + FIELDS
}

#[tokio::test]
async fn older_version_keeps_the_words_of_a_newer_one() {
    let deploy = Deploy::start().await;
    let Deploy { server, older, newer } = &deploy;
    let login = deploy.sign_in().await;
    let expected = newer.load(login.key(), true).await.unwrap();
    let record = &expected.as_ref().unwrap().record;
    assert_eq!(record.login_policy, login.login_policy);
    assert_eq!(record.user_policy, login.user_policy);
    assert_eq!(older.load(login.key(), true).await.unwrap(), expected);
    for update in [active(NOON.plus(hours(1))), setting("b", "2")] {
        assert_eq!(older.update(session(&login), update).await.unwrap(), UpdateOutcome::Updated);
        deploy.assert_newer_words_are_kept(login.id);
    }
    let rotation = KeyRotation::new(session(&login), login.key(), setting("c", "3"));
    assert_eq!(older.rotate(rotation.clone()).await.unwrap(), RotationOutcome::Rotated);
    deploy.assert_newer_words_are_kept(login.id);
    assert_eq!(deploy.texts(login.id).len(), 2);
    let loaded = older.load(rotation.new_key(), true).await.unwrap().unwrap();
    assert_eq!((loaded.data.entries().len(), loaded.open), (3, Some(1)));
    make_newer(server);
    assert_eq!(end(older, all("alice")).await, 1);
    deploy.assert_newer_words_are_kept(login.id);
}

#[tokio::test]
async fn policy_of_the_user_is_replaced_by_an_older_version() {
    let deploy = Deploy::start().await;
    let login = deploy.sign_in().await;
    let mut update = SessionUpdate::new(NOON);
    let policy = Some(PolicyPatch::new().idle(hours(1)).into());
    update.user_policy = Some(policy.clone());
    deploy.older.update(session(&login), update).await.unwrap();
    let loaded = deploy.newer.load(login.key(), false).await.unwrap().unwrap();
    assert_eq!(loaded.record.user_policy, policy);
    assert!(deploy.texts(login.id)[0].contains(FIELDS.lines().next().unwrap()));
}

/// The classes of a user index that only the newer version knows take no slot.
#[tokio::test]
async fn limit_counts_the_sessions_of_both_versions() {
    let deploy = Deploy::start().await;
    let Deploy { server, older, newer } = &deploy;
    let (first, second) = (deploy.sign_in().await, deploy.sign_in().await);
    let strict = Policy::new().max_sessions(3).overflow(Overflow::Refuse);
    let [third, fourth] = [1, 2].map(|n| NewLogin::new("alice", NOON.plus(minutes(n)), &strict));
    for registry in [older, newer] {
        let outcome = registry.reserve(third.reservation(NOON.plus(hours(1)))).await.unwrap();
        assert_eq!(outcome, ReserveOutcome::Reserved { generation: 0 });
    }
    let outcome = older.reserve(fourth.reservation(NOON.plus(hours(1)))).await.unwrap();
    assert!(matches!(outcome, ReserveOutcome::Refused { active } if active.len() == 2));
    committed(older.commit(third.clone()).await.unwrap());
    make_newer(server);
    assert_eq!(older.load(first.key(), true).await.unwrap().unwrap().open, Some(3));
    let last = NewLogin::new("alice", NOON.plus(minutes(3)), &Policy::new().max_sessions(3));
    let (_, ended) = committed(older.commit(last).await.unwrap());
    assert_eq!(ended.len(), 1);
    let limit = SessionLimit::new(Limit::At(1), Overflow::Evict);
    let ended = older.enforce_limit(session(&third), limit, revoked()).await.unwrap();
    assert_eq!(ended.len(), 2);
    assert_eq!(newer.list(Query::open("alice")).await.unwrap().len(), 1);
    older.cancel(third.key(), revoked()).await.unwrap();
    assert_eq!(newer.list(Query::history("alice")).await.unwrap().len(), 4);
    deploy.assert_newer_words_are_kept(second.id);
}

#[tokio::test]
async fn both_versions_see_the_ends_of_each_other() {
    let deploy = Deploy::start().await;
    let Deploy { server, older, newer } = &deploy;
    let (first, second) = (deploy.sign_in().await, deploy.sign_in().await);
    assert_eq!(end(newer, EndTarget::Session(session(&first))).await, 1);
    make_newer(server);
    let loaded = older.load(first.key(), true).await.unwrap().unwrap();
    let ended = Ended::new(Reason::Unknown, NOON).with_cause("moved");
    assert_eq!((&loaded.record.ended, loaded.open), (&Some(ended), Some(1)));
    assert!(loaded.data.is_empty());
    let moved = Query::history("alice").cause("moved");
    assert_eq!(older.list(moved).await.unwrap(), [(*loaded.record).clone()]);
    assert_eq!(end(older, EndTarget::Session(session(&first))).await, 0);
    let update = older.update(session(&first), active(NOON)).await.unwrap();
    assert_eq!(update, UpdateOutcome::Ended);
    assert_eq!(end(older, EndTarget::Session(session(&second))).await, 1);
    assert!(!is_open(newer, second.key()).await);
    let open = Query::new().ended(false);
    assert_eq!(newer.list(open).await.unwrap(), []);
}

#[tokio::test]
async fn both_versions_see_the_end_of_all_sessions() {
    let deploy = Deploy::start().await;
    let Deploy { server, older, newer } = &deploy;
    let first = deploy.sign_in().await;
    assert_eq!(newer.end_everyone(revoked()).await.unwrap(), 1);
    make_newer(server);
    for with_count in [false, true] {
        let ended =
            older.load(first.key(), with_count).await.unwrap().unwrap().record.ended.clone();
        assert_eq!(ended.map(|ended| ended.reason), Some(Reason::Unknown));
    }
    let second = deploy.sign_in().await;
    assert_eq!(older.list(Query::history("alice")).await.unwrap().len(), 1);
    deploy.assert_newer_words_are_kept(first.id);
    let ended = revoked().with_cause("outage");
    assert_eq!(older.end_everyone(ended.clone()).await.unwrap(), 1);
    let loaded = newer.load(second.key(), true).await.unwrap().unwrap();
    assert_eq!((&loaded.record.ended, loaded.open), (&Some(ended), Some(0)));
}

#[tokio::test]
async fn user_of_both_versions_is_exported_and_erased() {
    let deploy = Deploy::start().await;
    let Deploy { server, older, newer } = &deploy;
    let (first, second) = (deploy.sign_in().await, deploy.sign_in().await);
    end(newer, EndTarget::Session(session(&first))).await;
    make_newer(server);
    let export = older.export("alice".into()).await.unwrap();
    assert_eq!((export.records.len(), export.data.len()), (2, 1));
    assert_eq!(older.erase("alice".into()).await.unwrap(), 2);
    for login in [first, second] {
        assert_eq!(newer.load(login.key(), true).await.unwrap(), None);
    }
    assert_eq!(newer.list(Query::all("alice")).await.unwrap(), []);
    assert_eq!(records(server), []);
    let indexes: Vec<String> = server.command(&["KEYS", "sx3:{??}:??????????????????????"]);
    assert_eq!(indexes, Vec::<String>::new());
}

/// An older process must neither do such a step nor remove it.
#[tokio::test]
async fn due_steps_of_a_newer_version_are_left_to_it() {
    let deploy = Deploy::start().await;
    let Deploy { server, older, .. } = &deploy;
    deploy.sign_in().await;
    let (key, name, text) = records(server).pop().unwrap();
    let (due, steps) = (format!("{key}:due"), [format!("x:{name}"), "y:1".to_owned()]);
    for step in &steps {
        let _: u32 = server.command(&["ZADD", &due, "1", step]);
    }
    committed(older.commit(login("alice", &Policy::new())).await.unwrap());
    for step in &steps {
        let at: Option<String> = server.command(&["ZSCORE", &due, step]);
        assert!(at.is_some(), "{step}");
    }
    assert_eq!(server.command::<String>(&["HGET", &key, &name]), text);
    assert_eq!(server.command::<String>(&["HGET", &key, &steps[0]]), "1");
}

/// Returns all keys of a layout with their contents.
fn dump(server: &RedisServer, layout: &str) -> Vec<(String, Vec<u8>)> {
    let mut keys: Vec<String> = server.command(&["KEYS", &format!("{layout}:*")]);
    keys.sort();
    keys.into_iter().map(|key| (key.clone(), server.command(&["DUMP", &key]))).collect()
}

#[tokio::test]
async fn keys_of_other_layouts_are_neither_read_nor_changed() {
    let server = &RedisServer::start();
    let registry = server.registry().await;
    let policy = Policy::new().max_sessions(2);
    let known = login("alice", &policy);
    committed(registry.commit(known.clone()).await.unwrap());
    committed(registry.commit(login("bob", &policy)).await.unwrap());
    end(&registry, all("bob")).await;
    let others = ["sx2", "sx4", "sx30"];
    for (key, _) in dump(server, "sx3") {
        for layout in others {
            let copy = key.replacen("sx3", layout, 1);
            let _: u32 = server.command(&["COPY", &key, &copy]);
        }
        let _: u32 = server.command(&["DEL", &key]);
    }
    let before = others.map(|layout| dump(server, layout));
    assert_eq!(registry.load(known.key(), true).await.unwrap(), None);
    assert_eq!(registry.list(Query::new()).await.unwrap(), []);
    assert_eq!(registry.erase("alice".into()).await.unwrap(), 0);
    for _ in 0..3 {
        committed(registry.commit(login("alice", &policy)).await.unwrap());
    }
    assert_eq!(registry.list(Query::all("alice")).await.unwrap().len(), 3);
    assert_eq!(registry.end_everyone(revoked()).await.unwrap(), 2);
    assert_eq!(registry.erase("alice".into()).await.unwrap(), 3);
    assert!(others.map(|layout| dump(server, layout)) == before);
}
