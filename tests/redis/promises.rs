use std::{sync::Arc, time::Duration};

use session_expire::{
    ActivityUpdate, Client, EndTarget, Ended, Limit, LoginOutcome, MemoryRegistry, NewLogin,
    Overflow, Policy, PolicyPatch, Query, Reason, RecordKey, Registry, SessionLimit, SessionRecord,
    hours, minutes,
};

use crate::{NOON, admitted, login};
use session_expire_tests::RedisServer;

/// A generator that is the same everywhere.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// What a call answered, as text: the two registries must agree on every word.
fn told<T: std::fmt::Debug>(answer: Result<T, session_expire::RegistryError>) -> String {
    format!("{:?}", answer.unwrap())
}

fn random_login(dice: &mut Dice, keys: &[RecordKey], now: session_expire::Timestamp) -> NewLogin {
    let user = ["alice", "bob"][dice.roll(2) as usize];
    let overflow =
        [Overflow::Evict, Overflow::LeastRecent, Overflow::Refuse][dice.roll(3) as usize];
    let idle = [Limit::Off, Limit::At(minutes(10))][dice.roll(2) as usize];
    let absolute = [Limit::Off, Limit::At(minutes(30))][dice.roll(2) as usize];
    let limit = [0, 1, 3, 5][dice.roll(4) as usize];
    let policy = Policy::new().idle(idle).absolute(absolute).max_sessions(limit).overflow(overflow);
    let mut login = NewLogin::new(user, now, &policy);
    login.client = Client { ip: "2001:db8::1".parse().ok(), device: format!("d{}", dice.0).into() };
    if dice.roll(4) == 0 {
        login.replaces = keys.last().map(|key| (*key, Reason::LoggedOut));
    }
    if dice.roll(4) == 0 {
        login.patch = Some(Arc::new(PolicyPatch::new().message("a \"b\"\n/ c").idle(Limit::Off)));
    }
    login
}

/// Scripts and Rust are two writings of one rule: a thousand random steps must not tell them apart.
#[tokio::test]
async fn it_does_what_the_memory_does() {
    let server = RedisServer::start();
    for seed in 0..8 {
        let redis = server.registry().await.prefix(&format!("run{seed}")).log_limit(Limit::At(3));
        let memory = MemoryRegistry::new().log_limit(Limit::At(3));
        let (mut dice, mut now, mut keys) = (Dice(seed), NOON, vec![]);
        for step in 0..250 {
            now = now.plus(Duration::from_secs(dice.roll(300)));
            let key = match keys.len() as u64 {
                0 => RecordKey::random("alice"),
                many => keys[dice.roll(many.min(8)) as usize + keys.len() - many.min(8) as usize],
            };
            let user: Arc<str> = ["alice", "bob"][dice.roll(2) as usize].into();
            let id = memory.load(key).await.unwrap().map(|loaded| loaded.record.id);
            let what = format!("seed {seed}, step {step}");
            match dice.roll(8) {
                0..=2 => {
                    let login = random_login(&mut dice, &keys, now);
                    keys.push(login.key);
                    let expected = told(memory.login(login.clone()).await);
                    assert_eq!(told(redis.login(login).await), expected, "login, {what}");
                }
                3 | 4 => {
                    let seen = now.minus(Duration::from_secs(dice.roll(300)));
                    let patch = [None, Some(None), Some(Some(Arc::new(PolicyPatch::new())))]
                        [dice.roll(3) as usize]
                        .clone();
                    let now = now.minus(Duration::from_secs(dice.roll(2) * 1_000));
                    let change = ActivityUpdate { seen, now, patch };
                    memory.touch(key, change.clone()).await.unwrap();
                    redis.touch(key, change).await.unwrap();
                }
                5 => {
                    let target = match (dice.roll(8), id) {
                        (0, _) => EndTarget::All(user),
                        (1, Some(id)) => EndTarget::Others(user, id),
                        (2 | 3, Some(id)) => EndTarget::Id(user, id),
                        _ => EndTarget::Key(key),
                    };
                    let ended = Ended { by: Some("x".into()), ..Ended::new(Reason::Revoked, now) };
                    let expected = told(memory.end(target.clone(), ended.clone()).await);
                    assert_eq!(told(redis.end(target, ended).await), expected, "end, {what}");
                }
                6 => {
                    let overflow = [Overflow::Evict, Overflow::LeastRecent][dice.roll(2) as usize];
                    let room =
                        SessionLimit { max_sessions: (dice.roll(4) as u32).into(), overflow };
                    let ended = Ended::new(Reason::Evicted, now);
                    let expected = told(memory.make_room(key, room, ended.clone()).await);
                    let made = told(redis.make_room(key, room, ended).await);
                    assert_eq!(made, expected, "make_room {room:?}, {what}");
                }
                _ => {
                    let user = (dice.roll(2) == 0).then_some(user);
                    let ended = [None, Some(true), Some(false)][dice.roll(3) as usize];
                    let limit = (dice.roll(2) == 0).then_some(2);
                    let query = Query { user, ended, limit, after: None };
                    let expected = told(memory.find(query.clone()).await);
                    assert_eq!(told(redis.find(query).await), expected, "find, {what}");
                }
            }
            for key in keys.iter().rev().take(8) {
                let expected = told(memory.load(*key).await);
                assert_eq!(told(redis.load(*key).await), expected, "load, {what}");
            }
        }
    }
}

#[tokio::test]
async fn owners_may_have_any_characters() {
    let server = RedisServer::start();
    let registry = server.registry().await;
    let long = "ü".repeat(5_000);
    let users = [
        "",
        " ",
        "a b",
        "{a}",
        "}{",
        "a\nb\r\n",
        "a\0b",
        "*",
        "a:b;c",
        "\\u0000\"'",
        "日本 🦀",
        &long,
    ];
    let policy = Policy::new().max_sessions(1);
    for user in users {
        let login = login(user, &policy);
        let (key, id) = (login.key, login.id);
        let (record, _) = admitted(registry.login(login).await.unwrap());
        let loaded = registry.load(key).await.unwrap().unwrap();
        assert_eq!((&*loaded.record, loaded.open, &*record.user), (&record, 1, user));
        let found = registry.find(Query::open(user)).await.unwrap();
        assert_eq!(found, [record], "{user:?}");
        let second = crate::login(user, &policy);
        let (_, ended) = admitted(registry.login(second).await.unwrap());
        assert_eq!(ended.iter().map(|r| r.id).collect::<Vec<_>>(), [id], "{user:?}");
    }
    let all = Query { ended: Some(false), ..Query::default() };
    assert_eq!(registry.find(all).await.unwrap().len(), users.len());
}

#[tokio::test]
async fn a_look_at_the_server_shows_no_key_and_no_owner_in_a_name() {
    let server = RedisServer::start();
    let registry = server.registry().await;
    let login = login("alice in a name", &Policy::new());
    let key = login.key;
    registry.login(login).await.unwrap();
    for name in server.ask::<Vec<String>>(&["KEYS", "*"]) {
        assert!(!name.contains("alice"), "{name}");
        let dump: Vec<u8> = server.ask(&["DUMP", &name]);
        let secret = &key.expose().as_bytes()[4..];
        assert!(!dump.windows(secret.len()).any(|part| part == secret), "{name}");
    }
}

/// A server in cluster mode refuses scripts that touch keys of two slots.
#[tokio::test]
async fn it_keeps_to_the_rules_of_a_cluster() {
    let server = RedisServer::with(&["--cluster-enabled", "yes"]);
    let _: String = server.ask(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    while !server.ask::<String>(&["CLUSTER", "INFO"]).contains("cluster_state:ok") {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let registry = server.registry().await;
    for n in 0..20 {
        let user = format!("user {n}");
        for _ in 0..3 {
            let login = login(&user, &Policy::new().max_sessions(2));
            let key = login.key;
            registry.login(login).await.unwrap();
            registry
                .touch(key, ActivityUpdate { seen: NOON, now: NOON, patch: None })
                .await
                .unwrap();
            let room = SessionLimit { max_sessions: Limit::At(1), overflow: Overflow::Evict };
            registry.make_room(key, room, Ended::new(Reason::Evicted, NOON)).await.unwrap();
            assert_eq!(registry.load(key).await.unwrap().unwrap().open, 1);
        }
        let ended = Ended::new(Reason::Revoked, NOON);
        let over = registry.end(EndTarget::All(user.into()), ended).await.unwrap();
        assert_eq!(over.len(), 1);
    }
    assert_eq!(registry.find(Query::default()).await.unwrap().len(), 60);
}

#[tokio::test]
async fn nothing_stays_for_ever() {
    let server = RedisServer::start();
    let registry = server.registry().await.log_limit(Limit::At(2)).forget_after(hours(48));
    let endless = Policy::new().idle(Limit::Off).absolute(Limit::Off);
    let long = Policy::new().idle(hours(1)).absolute(hours(24 * 10));
    let mut kept = vec![];
    for policy in [Policy::new(), endless, long] {
        for user in ["alice", "bob"] {
            for _ in 0..4 {
                let login = login(user, &policy.clone().max_sessions(2));
                kept.push(login.key);
                registry.login(login).await.unwrap();
            }
            registry
                .end(EndTarget::All(user.into()), Ended::new(Reason::Revoked, NOON))
                .await
                .unwrap();
            let last = login(user, &policy);
            kept.push(last.key);
            registry.login(last).await.unwrap();
        }
    }
    let names: Vec<String> = server.ask(&["KEYS", "*"]);
    assert!(names.len() >= 6, "{names:?}");
    for name in &names {
        let left: i64 = server.ask(&["TTL", name]);
        assert!((1..=90 * 24 * 3_600).contains(&left), "{name} stays for {left} s");
    }
    // Three days on, only what may still live is left: the last login of each, which has ten days.
    let later = NOON.plus(hours(72));
    for user in ["alice", "bob"] {
        registry.login(NewLogin::new(user, later, &Policy::new())).await.unwrap();
    }
    let mut left = 0;
    for key in &kept {
        left += usize::from(registry.load(*key).await.unwrap().is_some());
    }
    assert_eq!(left, 2);
    let hashes = names.iter().filter(|name| name.ends_with('}'));
    // Those two, the two new ones, and the counter of logins of each user.
    assert_eq!(hashes.map(|name| server.ask::<usize>(&["HLEN", name])).sum::<usize>(), 6);
}

#[tokio::test]
async fn a_login_that_is_asked_again_is_one_login() {
    let server = RedisServer::start();
    let registry = server.registry().await;
    let login = login("alice", &Policy::new().max_sessions(1).overflow(Overflow::Refuse));
    let (first, _) = admitted(registry.login(login.clone()).await.unwrap());
    let (again, ended) = admitted(registry.login(login).await.unwrap());
    assert_eq!((again, ended), (first, vec![]));
    let other = crate::login("alice", &Policy::new().max_sessions(1).overflow(Overflow::Refuse));
    assert!(matches!(registry.login(other).await.unwrap(), LoginOutcome::Refused { .. }));
}

#[tokio::test]
async fn extreme_times_are_kept_to_the_millisecond() {
    let server = RedisServer::start();
    let registry = server.registry().await;
    for millis in [i64::MIN, -1, 0, 9_007_199_254_740_993, i64::MAX] {
        let at = session_expire::Timestamp::from_millis(millis);
        let login = NewLogin::new("alice", at, &Policy::new());
        let expected = SessionRecord::new(&login);
        let (record, _) = admitted(registry.login(login).await.unwrap());
        assert_eq!(record, expected);
    }
}
