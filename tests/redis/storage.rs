//! Names, contents and lifetimes of the keys on the server.

use std::time::Duration;

use session_expire::{
    Limit, Overflow, Policy, Reason, RedisRegistry,
    clock::Timestamp,
    hours, minutes,
    registry::{
        EndSessions, EndTarget, Ended, KeyRotation, LoginOutcome, LoginTicket, NewLogin, Query,
        RecordKey, Registry, SessionData, SessionLimit, SessionRecord, Stamp,
    },
};
use session_expire_tests::RedisServer;

use crate::{NOON, active, all, committed, end, login, revoked, session, setting, sign_in};

#[tokio::test]
async fn users_may_have_any_characters() {
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
        "a:b;c<d",
        "\\u0000\"'",
        "日本 🦀",
        &long,
    ];
    let policy = Policy::new().max_sessions(1);
    for user in users {
        let login = login(user, &policy);
        let (key, id) = (login.key(), login.id);
        let (record, _) = committed(registry.commit(login).await.unwrap());
        let loaded = registry.load(key, true).await.unwrap().unwrap();
        assert_eq!((&*loaded.record, loaded.open, &*record.user), (&record, Some(1), user));
        let listed = registry.list(Query::open(user)).await.unwrap();
        assert_eq!(listed, [record], "{user:?}");
        let second = crate::login(user, &policy);
        let (_, ended) = committed(registry.commit(second).await.unwrap());
        assert_eq!(ended.iter().map(|r| r.id).collect::<Vec<_>>(), [id], "{user:?}");
    }
    let open = Query::new().ended(false);
    assert_eq!(registry.list(open).await.unwrap().len(), users.len());
}

#[tokio::test]
async fn stored_names_show_no_key_and_no_user() {
    let server = RedisServer::start();
    let registry = server.registry().await;
    let login = login("alice in a name", &Policy::new());
    registry.commit(login.clone()).await.unwrap();
    let rotation = KeyRotation::new(session(&login), login.key(), active(NOON));
    registry.rotate(rotation.clone()).await.unwrap();
    let ticket = issue_ticket(&registry, "alice in a name").await;
    for name in server.command::<Vec<String>>(&["KEYS", "*"]) {
        assert!(name.starts_with("sx3:{") && !name.contains("alice"), "{name}");
        let dump: Vec<u8> = server.command(&["DUMP", &name]);
        for key in [login.key(), rotation.new_key(), ticket.key()] {
            let secret = key.secret().as_bytes();
            assert!(!dump.windows(secret.len()).any(|part| part == secret), "{name}");
        }
    }
}

/// Issues a ticket that is valid for five minutes.
async fn issue_ticket(registry: &RedisRegistry, user: &str) -> LoginTicket {
    let ticket = LoginTicket::new(user, NOON, NOON.plus(minutes(5)));
    registry.issue_ticket(ticket.clone()).await.unwrap();
    ticket
}

/// Redis needs eight times the memory for a set with a longer member.
#[tokio::test]
async fn members_of_sets_have_at_most_64_bytes() {
    let server = RedisServer::start();
    let registry = server.registry().await;
    for uncounted in [false, true] {
        let mut login = login("alice", &Policy::new());
        login.uncounted = uncounted;
        registry.commit(login.clone()).await.unwrap();
        let held = crate::login("alice", &Policy::new());
        registry.reserve(held.reservation(NOON.plus(hours(1)))).await.unwrap();
        registry
            .end(EndSessions::new(EndTarget::Others(session(&login)), revoked()))
            .await
            .unwrap();
    }
    issue_ticket(&registry, "alice").await;
    for name in server.command::<Vec<String>>(&["KEYS", "*:*:*"]) {
        let members: Vec<String> = server.command(&["ZRANGE", &name, "0", "-1"]);
        assert!(!members.is_empty() && members.iter().all(|one| one.len() <= 64), "{members:?}");
        assert_eq!(server.command::<String>(&["OBJECT", "ENCODING", &name]), "listpack");
    }
}

#[tokio::test]
async fn applications_with_different_prefixes_share_nothing() {
    let server = RedisServer::start();
    let shop = server.registry().await.prefix("sh*p{");
    let forum = server.registry().await.prefix("shop");
    let login = sign_in(&shop).await;
    assert_eq!(forum.load(login.key(), false).await.unwrap(), None);
    assert_eq!(forum.list(Query::default()).await.unwrap(), []);
    sign_in(&forum).await;
    assert_eq!(shop.end_everyone(revoked()).await.unwrap(), 1);
    assert_eq!(forum.list(Query::open("alice")).await.unwrap().len(), 1);
}

/// A server in cluster mode refuses scripts that touch keys of two slots.
#[tokio::test]
async fn scripts_keep_to_one_slot_of_a_cluster() {
    let mut server = RedisServer::start();
    // A server that is already in cluster mode refuses the registry.
    let registry = server.registry().await;
    server.stop();
    server.restart_in_cluster_mode();
    let _: String = server.command(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    while !server.command::<String>(&["CLUSTER", "INFO"]).contains("cluster_state:ok") {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let limit = SessionLimit::new(Limit::At(1), Overflow::Evict);
    for n in 0..20 {
        let user = format!("user {n}");
        for _ in 0..3 {
            let login = login(&user, &Policy::new().max_sessions(2));
            registry.reserve(login.reservation(NOON.plus(hours(1)))).await.unwrap();
            registry.commit(login.clone()).await.unwrap();
            registry.update(session(&login), setting("a", "1")).await.unwrap();
            let rotation = KeyRotation::new(session(&login), login.key(), active(NOON));
            registry.rotate(rotation.clone()).await.unwrap();
            registry.enforce_limit(session(&login), limit, revoked()).await.unwrap();
            registry.count_confirmation_attempt(session(&login), revoked()).await.unwrap();
            issue_ticket(&registry, &user).await;
            let loaded = registry.load(rotation.new_key(), true).await.unwrap().unwrap();
            assert_eq!((loaded.open, loaded.data.entries().len()), (Some(1), 1));
        }
        assert_eq!(end(&registry, all(&user)).await, 1);
    }
    assert_eq!(registry.list(Query::default()).await.unwrap().len(), 60);
    assert_eq!(registry.end_everyone(revoked()).await.unwrap(), 0);
    assert_eq!(registry.erase("user 0".into()).await.unwrap(), 3);
}

#[tokio::test]
async fn end_of_all_sessions_reaches_every_partition() {
    let server = RedisServer::start();
    let registry = server.registry().await;
    let mut keys = vec![];
    for n in 0..1_000 {
        let login = login(&format!("user {n}"), &Policy::new());
        keys.push(login.key());
        registry.commit(login).await.unwrap();
    }
    assert_eq!(registry.end_everyone(revoked()).await.unwrap(), 1_000);
    for key in keys {
        let record = registry.load(key, false).await.unwrap().unwrap().record;
        assert_eq!(record.ended, Some(revoked()));
    }
    let mut adopted = login("alice", &Policy::new());
    adopted.adopted_until = Some(NOON.plus(hours(24)));
    let outcome = registry.commit(adopted).await.unwrap();
    assert!(matches!(outcome, LoginOutcome::AdoptionClosed), "{outcome:?}");
}

#[tokio::test]
async fn generation_does_not_expire() {
    let server = RedisServer::start();
    let registry = server.registry().await;
    let first = sign_in(&registry).await;
    registry.end_everyone(revoked()).await.unwrap();
    let ends: Vec<String> = server.command(&["KEYS", "*:ends"]);
    assert_eq!(ends.len(), 62 * 62);
    assert_eq!(server.command::<i64>(&["TTL", &ends[0]]), -1);
    // A load still sees it when all records of a tag have expired.
    let tag = server.command::<Vec<String>>(&["KEYS", "*}"]).pop().unwrap();
    let _: u32 = server.command(&["DEL", &tag]);
    let second = sign_in(&registry).await;
    assert_eq!(registry.end_everyone(revoked()).await.unwrap(), 1);
    assert!(!exists(&registry, first.key()).await);
    let record = registry.load(second.key(), true).await.unwrap().unwrap().record;
    assert_eq!((record.generation, &record.ended), (1, &Some(revoked())));
}

#[tokio::test]
async fn ended_generation_moves_to_a_limited_history() {
    let server = RedisServer::start();
    let registry = server.registry().await.history_limit(Limit::At(3));
    let mut logins = vec![];
    for n in 0..30 {
        let mut login = NewLogin::new("alice", NOON.plus(minutes(n)), &Policy::new());
        login.data = SessionData::default();
        login.data.apply(&setting("a", "1").data).unwrap();
        registry.commit(login.clone()).await.unwrap();
        logins.push(login);
    }
    let later = Ended::new(Reason::Revoked, NOON.plus(hours(1)));
    assert_eq!(registry.end_everyone(later.clone()).await.unwrap(), 30);
    let history = registry.list(Query::history("alice")).await.unwrap();
    let ids: Vec<_> = history.iter().map(|record| record.id).collect();
    assert_eq!(ids, [29, 28, 27].map(|n: usize| logins[n].id));
    assert_eq!(registry.list(Query::new()).await.unwrap(), history);
    for login in &logins {
        let loaded = registry.load(login.key(), true).await.unwrap().unwrap();
        assert_eq!((&loaded.record.ended, loaded.open), (&Some(later.clone()), Some(0)));
        assert!(loaded.data.is_empty());
    }
    let tag = server.command::<Vec<String>>(&["KEYS", "*}"]).pop().unwrap();
    let fields: Vec<String> = server.command(&["HKEYS", &tag]);
    assert!(!fields.iter().any(|field| field.starts_with("d:")), "data of ended sessions");
    // A day later the other records are deleted.
    let next = NewLogin::new("alice", NOON.plus(hours(26)), &Policy::new());
    registry.commit(next).await.unwrap();
    assert!(!exists(&registry, logins[0].key()).await && exists(&registry, logins[29].key()).await);
}

/// Gives a user open, ended, rotated and adopted sessions, and a reservation.
async fn fill(registry: &RedisRegistry, user: &str) {
    for adopted_until in [None, Some(NOON.plus(hours(240)))] {
        let mut adopted = login(user, &Policy::new().max_sessions(2));
        adopted.adopted_until = adopted_until;
        registry.reserve(adopted.reservation(NOON.plus(hours(1)))).await.unwrap();
        registry.commit(adopted.clone()).await.unwrap();
        let rotation = KeyRotation::new(session(&adopted), adopted.key(), setting("a", "1"));
        registry.rotate(rotation).await.unwrap();
        end(registry, all(user)).await;
        let mut uncounted = login(user, &Policy::new());
        (uncounted.uncounted, uncounted.stamp) = (true, Stamp::from_number(7));
        registry.commit(uncounted.clone()).await.unwrap();
        registry.count_confirmation_attempt(session(&uncounted), revoked()).await.unwrap();
        registry.commit(login(user, &Policy::new())).await.unwrap();
        issue_ticket(registry, user).await;
    }
    let reserved = login(user, &Policy::new());
    registry.reserve(reserved.reservation(NOON.plus(hours(1)))).await.unwrap();
}

#[tokio::test]
async fn erased_user_leaves_only_a_hash() {
    let server = RedisServer::start();
    let registry = server.registry().await.history_limit(Limit::At(1));
    let user = "alice@example.org";
    for is_unreadable in [true, false] {
        fill(&registry, user).await;
        let tag = server.command::<Vec<String>>(&["KEYS", "*}"]).pop().unwrap();
        let names: Vec<String> = server.command(&["HKEYS", &tag]);
        for name in names.iter().filter(|name| is_unreadable && name.len() == 22) {
            let _: u32 = server.command(&["HSET", &tag, name, user]);
        }
        registry.commit(login(user, &Policy::new().max_sessions(1))).await.unwrap();
        registry.erase(user.into()).await.unwrap();
        let fields: Vec<String> = server.command(&["HKEYS", &tag]);
        let is_expected = |name: &String| name.starts_with("a:") || name == "counter";
        assert!(fields.iter().all(is_expected), "{fields:?}");
        let values: Vec<String> = server.command(&["HVALS", &tag]);
        assert!(!values.iter().any(|value| value.contains("alice")), "{values:?}");
        let keys: Vec<String> = server.command(&["KEYS", "*"]);
        assert!(keys.len() <= 2, "{keys:?}");
        let steps: Vec<String> = server.command(&["ZRANGE", &format!("{tag}:due"), "0", "-1"]);
        assert!(steps.iter().all(|step| step.starts_with("a:")), "{steps:?}");
    }
}

async fn exists(registry: &RedisRegistry, key: RecordKey) -> bool {
    registry.load(key, false).await.unwrap().is_some()
}

#[tokio::test]
async fn every_key_expires() {
    let server = RedisServer::start();
    let registry = server.registry().await;
    for user in ["alice", "bob"] {
        let login = login(user, &Policy::new().idle(Limit::Off).absolute(Limit::Off));
        registry.reserve(login.reservation(NOON.plus(hours(1)))).await.unwrap();
        registry.commit(login.clone()).await.unwrap();
        let rotation = KeyRotation::new(session(&login), login.key(), setting("a", "1"));
        registry.rotate(rotation).await.unwrap();
        let mut ends = EndSessions::new(all(user), revoked());
        ends.close_adoption_until = Some(NOON.plus(hours(24)));
        registry.end(ends).await.unwrap();
    }
    // A ticket, a reservation and a closed adoption without a session.
    issue_ticket(&registry, "erin").await;
    registry
        .reserve(login("carol", &Policy::new()).reservation(NOON.plus(hours(1))))
        .await
        .unwrap();
    let mut ends = EndSessions::new(all("dave"), revoked());
    ends.close_adoption_until = Some(NOON.plus(hours(24)));
    registry.end(ends).await.unwrap();
    let names: Vec<String> = server.command(&["KEYS", "*"]);
    assert!(names.len() >= 10, "{names:?}");
    for name in &names {
        let left: i64 = server.command(&["TTL", name]);
        assert!((1..=(2 * 90 + 1) * 24 * 3_600).contains(&left), "{name} expires after {left} s");
    }
}

#[tokio::test]
async fn expired_tickets_are_deleted() {
    let server = RedisServer::start();
    let registry = server.registry().await;
    for after in [0, 2] {
        let at = NOON.plus(minutes(after));
        registry.issue_ticket(LoginTicket::new("alice", at, at.plus(minutes(5)))).await.unwrap();
    }
    let reserve = async |after| {
        let login = NewLogin::new("alice", NOON.plus(after), &Policy::new());
        registry.reserve(login.reservation(login.at.plus(hours(1)))).await.unwrap();
        let index = server.command::<Vec<String>>(&["KEYS", "*:??????????????????????"]).remove(0);
        let members: Vec<String> = server.command(&["ZRANGE", &index, "0", "-1"]);
        members.iter().filter(|member| member.starts_with('K')).count()
    };
    // The purge is due when the last ticket expires.
    assert_eq!(reserve(minutes(4)).await, 2);
    assert_eq!(reserve(minutes(7)).await, 0);
}

/// Fields with their default value need no memory.
#[tokio::test]
async fn usual_record_has_no_field_for_confirmations() {
    let server = RedisServer::start();
    let registry = server.registry().await;
    let login = sign_in(&registry).await;
    let rotation = KeyRotation::new(session(&login), login.key(), active(NOON));
    registry.rotate(rotation).await.unwrap();
    let tag = server.command::<Vec<String>>(&["KEYS", "*}"]).remove(0);
    for text in server.command::<Vec<String>>(&["HVALS", &tag]) {
        for field in ["auth", "remembered", "failed", "stamp", "uncounted"] {
            assert!(!text.contains(&format!("{field}=")), "{text}");
        }
    }
}

#[tokio::test]
async fn records_are_deleted_after_their_retention() {
    let server = RedisServer::start();
    let registry = server.registry().await.history_limit(Limit::At(2)).history_age(hours(48));
    let endless = Policy::new().idle(Limit::Off).absolute(Limit::Off);
    let long = Policy::new().idle(hours(24 * 5)).absolute(hours(24 * 10));
    let mut keys = vec![];
    for policy in [Policy::new(), endless, long] {
        for user in ["alice", "bob"] {
            for _ in 0..4 {
                let login = login(user, &policy.clone().max_sessions(2));
                registry.commit(login.clone()).await.unwrap();
                let rotation = KeyRotation::new(session(&login), login.key(), setting("a", "1"));
                keys.extend([login.key(), rotation.new_key()]);
                registry.rotate(rotation).await.unwrap();
            }
            end(&registry, all(user)).await;
            let last = login(user, &policy);
            keys.push(last.key());
            registry.commit(last).await.unwrap();
        }
    }
    // Three days later, only the login of each user with an idle timeout of five days is left.
    let later = NOON.plus(hours(72));
    for user in ["alice", "bob"] {
        registry.commit(NewLogin::new(user, later, &Policy::new())).await.unwrap();
    }
    let mut left = 0;
    for key in &keys {
        left += usize::from(exists(&registry, *key).await);
    }
    assert_eq!(left, 2);
    let names: Vec<String> = server.command(&["KEYS", "*}"]);
    // Four records, and a counter for each of the two tags.
    let fields = names.iter().map(|name| server.command::<usize>(&["HLEN", name]));
    assert_eq!(fields.sum::<usize>(), 6);
}

#[tokio::test]
async fn tombstone_of_an_adopted_session_is_kept_until_its_deadline() {
    let server = RedisServer::start();
    let registry = server.registry().await.history_limit(Limit::At(0)).history_age(hours(48));
    let plain = login("alice", &Policy::new());
    let [mut ended, mut rotated, mut unused] = [(); 3].map(|()| login("alice", &Policy::new()));
    for adopted in [&mut ended, &mut rotated, &mut unused] {
        adopted.adopted_until = Some(NOON.plus(hours(240)));
    }
    for login in [&plain, &ended, &rotated] {
        registry.commit(login.clone()).await.unwrap();
    }
    let rotation = KeyRotation::new(session(&rotated), rotated.key(), active(NOON));
    registry.rotate(rotation).await.unwrap();
    end(&registry, all("alice")).await;
    registry.commit(unused.clone()).await.unwrap();
    for (after, plain_is_kept, adopted_is_kept) in [
        (hours(23), true, true),
        (hours(24), false, true),
        (hours(239), false, true),
        (hours(241), false, false),
    ] {
        registry.commit(NewLogin::new("alice", NOON.plus(after), &Policy::new())).await.unwrap();
        assert_eq!(exists(&registry, plain.key()).await, plain_is_kept, "{after:?}");
        for adopted in [&ended, &rotated, &unused] {
            assert_eq!(exists(&registry, adopted.key()).await, adopted_is_kept, "{after:?}");
        }
    }
}

#[tokio::test]
async fn tombstones_are_limited_but_those_of_adopted_sessions() {
    let server = RedisServer::start();
    let registry = server.registry().await.history_limit(Limit::At(1));
    let mut adopted = login("alice", &Policy::new());
    adopted.adopted_until = Some(NOON.plus(hours(240)));
    registry.commit(adopted.clone()).await.unwrap();
    end(&registry, all("alice")).await;
    let last = sign_in(&registry).await;
    let mut key = last.key();
    for _ in 0..1_010 {
        let rotation = KeyRotation::new(session(&last), key, active(NOON));
        registry.rotate(rotation.clone()).await.unwrap();
        key = rotation.new_key();
    }
    end(&registry, all("alice")).await;
    assert!(exists(&registry, key).await && exists(&registry, adopted.key()).await);
    assert!(!exists(&registry, last.key()).await);
    let names: Vec<String> = server.command(&["KEYS", "*}"]);
    let fields: usize = server.command(&["HLEN", &names[0]]);
    assert!((1_000..1_010).contains(&fields), "{fields}");
    assert_eq!(registry.list(Query::default()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn login_committed_twice_is_one_session() {
    let server = RedisServer::start();
    let registry = server.registry().await;
    let policy = Policy::new().max_sessions(1).overflow(Overflow::Refuse);
    let login = login("alice", &policy);
    let (first, _) = committed(registry.commit(login.clone()).await.unwrap());
    let (again, ended) = committed(registry.commit(login).await.unwrap());
    assert_eq!((again, ended), (first, vec![]));
    let other = registry.commit(crate::login("alice", &policy)).await.unwrap();
    assert!(matches!(other, LoginOutcome::Refused { .. }));
}

#[tokio::test]
async fn extreme_times_are_kept_to_the_millisecond() {
    let server = RedisServer::start();
    let registry = server.registry().await;
    for millis in [i64::MIN, -1, 0, 9_007_199_254_740_993, i64::MAX] {
        let at = Timestamp::from_millis(millis);
        let login = NewLogin::new("alice", at, &Policy::new());
        let expected = SessionRecord::new(&login);
        let (record, _) = committed(registry.commit(login).await.unwrap());
        assert_eq!(record, expected);
        let ends = EndSessions::new(all("alice"), Ended::new(Reason::LoggedOut, at));
        let ended = registry.end(ends).await.unwrap();
        assert_eq!(ended[0].ended.as_ref().map(|ended| ended.at), Some(at));
    }
}

/// The text of a record contains names that clients choose.
#[tokio::test]
async fn text_of_a_client_does_not_change_the_count() {
    let server = RedisServer::start();
    let registry = server.registry().await;
    let mut login = login("alice", &Policy::new());
    login.client.device = "x hash=y".into();
    committed(registry.commit(login.clone()).await.unwrap());
    sign_in(&registry).await;
    let loaded = registry.load(login.key(), true).await.unwrap().unwrap();
    assert_eq!(loaded.open, Some(2));
}

#[tokio::test]
async fn activity_under_the_same_timeouts_does_not_enlarge_a_record() {
    let server = RedisServer::start();
    let registry = server.registry().await;
    for policy in [Policy::new(), Policy::new().idle(Limit::Off).absolute(Limit::Off)] {
        let login = login("alice", &policy);
        committed(registry.commit(login.clone()).await.unwrap());
        let before = bytes_of_records(&server);
        let longer = Some((Limit::At(hours(100)), Limit::At(hours(200))));
        for longest in [longer, Some((login.longest_idle, login.longest_absolute))] {
            let mut update = active(NOON.plus(minutes(1)));
            update.longest = longest;
            registry.update(session(&login), update).await.unwrap();
            let record = registry.load(login.key(), false).await.unwrap().unwrap().record;
            assert_eq!(Some((record.longest_idle, record.longest_absolute)), longest);
        }
        assert_eq!(bytes_of_records(&server), before);
    }
}

fn bytes_of_records(server: &RedisServer) -> usize {
    let tag = server.command::<Vec<String>>(&["KEYS", "*}"]).remove(0);
    server.command::<Vec<String>>(&["HVALS", &tag]).iter().map(String::len).sum()
}
