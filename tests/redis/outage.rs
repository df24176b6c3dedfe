//! Server that is stopped, slow, full or read-only, or that holds unreadable records.

use std::{
    error::Error,
    thread,
    time::{Duration, Instant},
};

use session_expire::{
    Policy, PolicyPatch, Reason, RedisRegistry,
    error::RegistryError,
    minutes,
    registry::{
        EndTarget, KeyRotation, NewLogin, Query, RecordKey, RedisConnectError, Registry,
        SessionUpdate, UpdateOutcome,
    },
};
use session_expire_tests::RedisServer;
use tokio::runtime::Runtime;

use crate::{
    NOON, active, all, end, is_open, load_when_available, login, revoked, session, setting, sign_in,
};

const LIMIT: Duration = Duration::from_millis(300);

/// How long a server loads its file.
const SOON: Duration = Duration::from_millis(700);

/// How much longer than the timeout an operation may take on a busy machine.
const MARGIN: Duration = Duration::from_secs(5);

async fn registry(server: &RedisServer) -> RedisRegistry {
    server.registry().await.timeout(LIMIT)
}

fn ends(target: EndTarget) -> session_expire::registry::EndSessions {
    session_expire::registry::EndSessions::new(target, revoked())
}

fn full_message(error: &RegistryError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Asserts that every operation fails soon after its timeout.
async fn assert_all_fail(registry: &RedisRegistry, known: &NewLogin) {
    let began = Instant::now();
    let new = login("bob", &Policy::new());
    let rotation = KeyRotation::new(session(known), known.key(), active(NOON));
    let failed = [
        registry.load(known.key(), false).await.is_err(),
        registry.load(known.key(), true).await.is_err(),
        registry.reserve(new.reservation(NOON)).await.is_err(),
        registry.commit(new.clone()).await.is_err(),
        registry.cancel(new.key(), revoked()).await.is_err(),
        registry.update(session(known), active(NOON)).await.is_err(),
        registry.rotate(rotation).await.is_err(),
        registry.end(ends(all("alice"))).await.is_err(),
        registry.list(Query::open("alice")).await.is_err(),
        registry.list(Query::default()).await.is_err(),
        registry.end_everyone(revoked()).await.is_err(),
    ];
    assert_eq!(failed, [true; 11]);
    assert!(began.elapsed() < LIMIT * 11 + MARGIN, "took {:?}", began.elapsed());
}

#[tokio::test]
async fn stopped_server_is_an_error_until_it_returns() {
    let mut server = RedisServer::start();
    let registry = registry(&server).await;
    let login = sign_in(&server.registry().await).await;
    server.stop();
    assert_all_fail(&registry, &login).await;
    server.restart();
    // The server has lost its sessions: that is not an error.
    assert_eq!(load_when_available(&registry, login.key()).await, None);
}

#[tokio::test]
async fn server_restarted_between_two_requests_is_no_error() {
    let mut server = RedisServer::with_options(&["--appendonly", "yes", "--appendfsync", "always"]);
    let registry = server.registry().await;
    let key = sign_in(&registry).await.key();
    for _ in 0..3 {
        server.stop();
        server.restart_and_load();
        assert!(is_open(&registry, key).await);
    }
}

/// Returns a server that loads its file for 5 seconds after a restart, and responds in between.
fn slowly_loading_server() -> RedisServer {
    // It responds after every 1,024 commands.
    let slow = ["--appendonly", "yes", "--appendfsync", "always", "--key-load-delay", "100"];
    let server = RedisServer::with_options(&slow);
    let long = "for _ = 1, 50000 do redis.call('RPUSH', 'long', 'a') end";
    let _: () = server.command(&["EVAL", long, "0"]);
    server
}

/// Restarts a server. Does `work` while it loads its file for this time.
fn while_loading<T>(
    server: &mut RedisServer,
    time: Duration,
    work: impl FnOnce(&RedisServer) -> T,
) -> T {
    server.stop();
    server.restart();
    let state: String = server.command(&["INFO", "persistence"]);
    assert!(state.contains("\nloading:1"), "{state}");
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(time);
            let _: String = server.command(&["CONFIG", "SET", "key-load-delay", "0"]);
        });
        work(server)
    })
}

#[test]
fn connect_waits_for_a_server_that_loads_its_file() {
    let (mut server, runtime) = (slowly_loading_server(), Runtime::new().unwrap());
    runtime.block_on(async { sign_in(&server.registry().await).await });
    let registry = while_loading(&mut server, SOON, |server| runtime.block_on(server.registry()));
    let open = runtime.block_on(registry.list(Query::open("alice")));
    assert_eq!(open.unwrap().len(), 1);
}

#[test]
fn operations_wait_for_a_server_that_loads_its_file() {
    let (mut server, runtime) = (slowly_loading_server(), Runtime::new().unwrap());
    let registry = runtime.block_on(server.registry());
    let key = runtime.block_on(sign_in(&registry)).key();
    while_loading(&mut server, SOON, |_| assert!(runtime.block_on(is_open(&registry, key))));
    while_loading(&mut server, SOON, |_| runtime.block_on(sign_in(&registry)));
    let short = runtime.block_on(registry.list(Query::open("alice")));
    assert_eq!(short.unwrap().len(), 2);
}

#[test]
fn operation_fails_if_loading_takes_longer_than_the_timeout() {
    let (mut server, runtime) = (slowly_loading_server(), Runtime::new().unwrap());
    let registry = runtime.block_on(server.registry()).timeout(Duration::from_secs(2));
    while_loading(&mut server, Duration::from_secs(3), |_| {
        let loaded = runtime.block_on(registry.load(RecordKey::random("alice"), false));
        let error = full_message(&loaded.unwrap_err());
        assert!(error.contains("loading"), "{error}");
    });
}

#[tokio::test]
async fn server_in_cluster_mode_is_refused() {
    let mut server = RedisServer::start();
    server.stop();
    server.restart_in_cluster_mode();
    let connected = [
        RedisRegistry::connect(&server.url()).await,
        RedisRegistry::connect_caching(&server.url()).await,
    ];
    for error in connected.map(Result::unwrap_err) {
        assert!(matches!(error, RedisConnectError::Cluster { .. }), "{error:?}");
        assert!(error.to_string().contains("in cluster mode"), "{error}");
    }
}

#[tokio::test]
async fn server_that_joins_a_cluster_is_a_clear_error() {
    let mut server = RedisServer::start();
    let registry = server.registry().await;
    server.stop();
    server.restart_in_cluster_mode();
    let errors = [
        registry.commit(login("alice", &Policy::new())).await.unwrap_err(),
        registry.load(RecordKey::random("alice"), false).await.unwrap_err(),
    ];
    for error in errors {
        assert!(full_message(&error).contains("in cluster mode"), "{}", full_message(&error));
    }
}

#[tokio::test]
async fn server_that_cannot_save_loads_and_refuses_to_write() {
    let server = RedisServer::start();
    let registry = server.registry().await;
    let known = sign_in(&registry).await;
    let _: String = server.command(&["CONFIG", "SET", "save", "3600 1"]);
    let directory: Vec<String> = server.command(&["CONFIG", "GET", "dir"]);
    std::fs::remove_dir_all(&directory[1]).unwrap();
    let _: String = server.command(&["BGSAVE"]);
    let has_failed =
        |info: String| info.contains("bgsave_status:err") && info.contains("bgsave_in_progress:0");
    while !has_failed(server.command(&["INFO", "persistence"])) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let errors = [
        registry.commit(login("alice", &Policy::new())).await.unwrap_err(),
        registry.end(ends(all("alice"))).await.unwrap_err(),
    ];
    for error in errors {
        assert!(full_message(&error).contains("MISCONF"), "{}", full_message(&error));
    }
    assert!(is_open(&registry, known.key()).await);
    let _: String = server.command(&["CONFIG", "SET", "stop-writes-on-bgsave-error", "no"]);
    assert_eq!(end(&registry, all("alice")).await, 1);
}

#[tokio::test]
async fn slow_server_is_an_error_after_the_timeout() {
    let server = RedisServer::start();
    let registry = registry(&server).await;
    let key = sign_in(&server.registry().await).await.key();
    let _: String = server.command(&["CLIENT", "PAUSE", "4000", "ALL"]);
    for _ in 0..3 {
        let began = Instant::now();
        let error = registry.load(key, false).await.unwrap_err();
        let took = began.elapsed();
        assert!(took < LIMIT + MARGIN, "took {took:?}");
        assert!(full_message(&error).contains("300ms"), "{}", full_message(&error));
    }
    assert!(load_when_available(&registry, key).await.is_some());
}

#[tokio::test]
async fn halted_server_is_an_error_until_it_continues() {
    let server = RedisServer::start();
    let registry = registry(&server).await;
    let login = sign_in(&server.registry().await).await;
    server.signal("STOP");
    assert_all_fail(&registry, &login).await;
    server.signal("CONT");
    assert!(load_when_available(&registry, login.key()).await.is_some());
}

#[tokio::test]
async fn full_server_refuses_whole_logins_and_allows_sign_out() {
    let server = RedisServer::start();
    let registry = server.registry().await;
    let login = sign_in(&registry).await;
    let _: String = server.command(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    let _: String = server.command(&["CONFIG", "SET", "maxmemory", "1"]);
    let mut next = crate::login("alice", &Policy::new().max_sessions(1));
    next.replaces = Some((login.id, Reason::LoggedOut));
    let before = registry.load(login.key(), true).await.unwrap();
    let rotation = KeyRotation::new(session(&login), login.key(), active(NOON));
    let errors = [
        registry.commit(next.clone()).await.unwrap_err(),
        registry.reserve(next.reservation(NOON.plus(minutes(1)))).await.unwrap_err(),
        registry.update(session(&login), setting("a", "1")).await.unwrap_err(),
        registry.rotate(rotation.clone()).await.unwrap_err(),
    ];
    for error in errors {
        assert!(full_message(&error).contains("maxmemory"), "{}", full_message(&error));
    }
    assert_eq!(registry.load(login.key(), true).await.unwrap(), before);
    for new in [next.key(), rotation.new_key()] {
        assert_eq!(registry.load(new, false).await.unwrap(), None);
    }
    let later = NOON.plus(minutes(1));
    registry.update(session(&login), active(later)).await.unwrap();
    let loaded = registry.load(login.key(), false).await.unwrap().unwrap();
    assert_eq!(loaded.record.last_seen, later);
    let counted = registry.count_confirmation_attempt(session(&login), revoked()).await.unwrap();
    assert_eq!(counted.map(|record| record.confirmation_attempts), Some(1));
    assert_eq!(end(&registry, EndTarget::Session(session(&login))).await, 1);
    let loaded = registry.load(login.key(), true).await.unwrap().unwrap();
    assert_eq!((loaded.record.ended.clone(), loaded.open), (Some(revoked()), Some(0)));
    assert_eq!(registry.list(Query::history("alice")).await.unwrap().len(), 1);
}

#[tokio::test]
async fn replica_loads_and_refuses_to_write() {
    let primary = RedisServer::start();
    let known = sign_in(&primary.registry().await).await;
    let replica = primary.start_replica();
    let registry = registry(&replica).await;
    let loaded = registry.load(known.key(), true).await.unwrap().unwrap();
    assert_eq!((loaded.record.ended.clone(), loaded.open), (None, Some(1)));
    let errors = [
        registry.commit(login("alice", &Policy::new())).await.unwrap_err(),
        registry.update(session(&known), active(NOON)).await.unwrap_err(),
        registry.end(ends(all("alice"))).await.unwrap_err(),
    ];
    for error in errors {
        assert!(full_message(&error).to_lowercase().contains("read"), "{}", full_message(&error));
    }
    assert!(is_open(&registry, known.key()).await);
    // A promoted replica accepts writes.
    replica.promote();
    registry.commit(login("alice", &Policy::new())).await.unwrap();
}

/// Returns the hash of Alice's partition, and the field of the first record.
fn stored_record(server: &RedisServer) -> (String, String) {
    let names: Vec<String> = server.command(&["KEYS", "*}"]);
    let fields: Vec<String> = server.command(&["HKEYS", &names[0]]);
    let field = fields.into_iter().find(|field| field.len() == 22);
    (names[0].clone(), field.unwrap())
}

#[tokio::test]
async fn unreadable_record_is_an_error_and_not_a_sign_out() {
    let server = RedisServer::start();
    let registry = server.registry().await;
    let key = sign_in(&registry).await.key();
    let (name, field) = stored_record(&server);
    for garbage in ["", "{", "=", "3\n", "hash=a\n", "id=\u{1}\nkey=secret\n"] {
        let _: u32 = server.command(&["HSET", &name, &field, garbage]);
        for count_open in [false, true] {
            let error = registry.load(key, count_open).await.unwrap_err();
            assert!(!full_message(&error).contains("secret"), "{}", full_message(&error));
        }
        // The user can sign in again.
        let policy = Policy::new().max_sessions(1);
        registry.commit(NewLogin::new("alice", NOON, &policy)).await.unwrap();
    }
}

#[tokio::test]
async fn unreadable_data_is_an_error_and_is_not_overwritten() {
    let server = RedisServer::start();
    let registry = server.registry().await;
    let login = sign_in(&registry).await;
    registry.update(session(&login), setting("a", "1")).await.unwrap();
    let (name, field) = stored_record(&server);
    for garbage in ["x", "e1", "e1:1:", "e9:1:a1"] {
        let _: u32 = server.command(&["HSET", &name, &format!("d:{field}"), garbage]);
        assert!(registry.load(login.key(), false).await.is_err(), "{garbage}");
        assert!(registry.update(session(&login), setting("b", "2")).await.is_err(), "{garbage}");
        let data: String = server.command(&["HGET", &name, &format!("d:{field}")]);
        assert_eq!(data, garbage);
    }
    // An item of a newer version is left alone.
    let _: u32 = server.command(&["HSET", &name, &format!("d:{field}"), "x1:2:abce1:1:a1"]);
    registry.update(session(&login), setting("b", "2")).await.unwrap();
    let data: String = server.command(&["HGET", &name, &format!("d:{field}")]);
    assert_eq!(data, "x1:2:abce1:1:a1e1:1:b2");
    assert_eq!(end(&registry, all("alice")).await, 1);
}

#[tokio::test]
async fn unreadable_record_does_not_hide_the_others() {
    let server = RedisServer::start();
    let registry = server.registry().await;
    let key = sign_in(&registry).await.key();
    let (name, field) = stored_record(&server);
    sign_in(&registry).await;
    let text: String = server.command(&["HGET", &name, &field]);
    // A policy of a newer version: the record is listed, so it can be ended with all others.
    let newer = text.clone() + "user_policy={\"colour\":\"red\",\"idle\":[]}\n";
    let _: u32 = server.command(&["HSET", &name, &field, &newer]);
    assert_eq!(registry.list(Query::default()).await.unwrap().len(), 2);
    // A record without a user.
    let without_user = text.replace("user=", "who=");
    let _: u32 = server.command(&["HSET", &name, &field, &without_user]);
    assert_eq!(registry.list(Query::open("alice")).await.unwrap().len(), 1);
    assert_eq!(registry.list(Query::default()).await.unwrap().len(), 1);
    let policy = Policy::new().max_sessions(1);
    registry.commit(NewLogin::new("alice", NOON, &policy)).await.unwrap();
    assert_eq!(registry.list(Query::open("alice")).await.unwrap().len(), 1);
    let unreadable = registry.load(key, false).await;
    assert!(unreadable.is_err() || unreadable.unwrap().unwrap().record.ended.is_some());
}

#[tokio::test]
async fn contradictory_policy_is_refused_before_anything_changes() {
    let server = RedisServer::start();
    let registry = server.registry().await;
    let known = sign_in(&registry).await;
    let contradiction = PolicyPatch::new().idle(minutes(2)).warn(minutes(2));
    let mut second = login("alice", &Policy::new().max_sessions(1));
    second.login_policy = Some(contradiction.clone().into());
    assert!(registry.commit(second).await.is_err());
    let mut update = SessionUpdate::new(NOON);
    update.user_policy = Some(Some(contradiction.into()));
    assert!(registry.update(session(&known), update).await.is_err());
    assert!(is_open(&registry, known.key()).await);
    assert_eq!(registry.list(Query::open("alice")).await.unwrap().len(), 1);
    let outcome = registry.update(session(&known), active(NOON)).await.unwrap();
    assert_eq!(outcome, UpdateOutcome::Updated);
}

#[tokio::test]
async fn connect_error_does_not_show_the_password() {
    let server = RedisServer::with_options(&["--requirepass", "right-password"]);
    let url = |password: &str| format!("redis://:{password}@127.0.0.1:{}/", server.port);
    let registry = RedisRegistry::connect(&url("right-password")).await.unwrap();
    assert!(!format!("{registry:?}").contains("right-password"), "{registry:?}");
    let refused = [
        RedisRegistry::connect(&url("wrong-password")).await.unwrap_err(),
        RedisRegistry::connect(&server.url()).await.unwrap_err(),
        RedisRegistry::connect("redis://:wrong-password@127.0.0.1:1/").await.unwrap_err(),
    ];
    for error in refused {
        assert!(matches!(error, RedisConnectError::Server { .. }), "{error:?}");
        assert!(error.to_string().contains("redis://127.0.0.1:"), "{error}");
        assert!(!format!("{error:?} {error}").contains("password@"), "{error:?}");
        assert!(!format!("{error:?}").contains("wrong-password"), "{error:?}");
    }
    for url in ["", "localhost", "http://:wrong-password@x/", "redis://:wrong-password@[/"] {
        let error = RedisRegistry::connect(url).await.unwrap_err();
        assert!(matches!(error, RedisConnectError::Url(_)), "{url}: {error:?}");
        assert!(!format!("{error:?} {error}").contains("wrong-password"), "{error:?}");
    }
}
