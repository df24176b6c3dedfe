use std::{
    error::Error,
    time::{Duration, Instant},
};

use session_expire::{
    ActivityUpdate, EndTarget, Ended, NewLogin, Policy, PolicyPatch, Query, Reason, RecordKey,
    RedisConnectError, RedisRegistry, Registry, RegistryError, minutes,
};

use crate::{NOON, login};
use session_expire_tests::RedisServer;

const LIMIT: Duration = Duration::from_millis(300);

async fn registry(server: &RedisServer) -> RedisRegistry {
    server.registry().await.timeout(LIMIT)
}

async fn signed_in(registry: &RedisRegistry) -> RecordKey {
    let login = login("alice", &Policy::new());
    let key = login.key;
    registry.login(login).await.unwrap();
    key
}

fn change() -> ActivityUpdate {
    ActivityUpdate { seen: NOON, now: NOON, patch: None }
}

fn ended() -> Ended {
    Ended::new(Reason::LoggedOut, NOON)
}

fn whole(error: &RegistryError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Every operation fails, and none takes much longer than the limit.
async fn assert_all_fail(registry: &RedisRegistry, key: RecordKey) {
    let began = Instant::now();
    let failed = [
        registry.load(key).await.is_err(),
        registry.login(login("bob", &Policy::new())).await.is_err(),
        registry.touch(key, change()).await.is_err(),
        registry.end(EndTarget::Key(key), ended()).await.is_err(),
        registry.find(Query::open("alice")).await.is_err(),
        registry.find(Query::default()).await.is_err(),
    ];
    assert_eq!(failed, [true; 6]);
    let most = (LIMIT + Duration::from_millis(200)) * 6;
    assert!(began.elapsed() < most, "took {:?}", began.elapsed());
}

#[tokio::test]
async fn a_stopped_server_is_an_error_and_its_return_is_noticed_at_once() {
    let mut server = RedisServer::start();
    let registry = registry(&server).await;
    let key = signed_in(&registry).await;
    server.stop();
    assert_all_fail(&registry, key).await;
    server.start_again();
    // It came back empty: that it knows nobody is its answer, not an error.
    assert_eq!(registry.load(key).await.unwrap(), None);
    let key = signed_in(&registry).await;
    assert!(registry.load(key).await.unwrap().is_some());
}

#[tokio::test]
async fn a_server_restarted_between_two_requests_is_no_error() {
    let mut server = RedisServer::with(&["--appendonly", "yes", "--appendfsync", "always"]);
    let registry = server.registry().await;
    let key = signed_in(&registry).await;
    for _ in 0..3 {
        server.stop();
        server.start_again();
        assert!(registry.load(key).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn a_server_that_still_reads_its_file_is_waited_for_at_the_start() {
    // While it reads, it listens after every 1,024 commands only.
    let mut server = RedisServer::with(&["--appendonly", "yes", "--key-load-delay", "100"]);
    let long = "for _ = 1, 10000 do redis.call('RPUSH', 'long', 'a') end";
    let _: () = server.ask(&["EVAL", long, "0"]);
    signed_in(&server.registry().await).await;
    server.stop();
    server.start_again();
    let state: String = server.ask(&["INFO", "persistence"]);
    assert!(state.contains("\nloading:1"), "{state}");
    let registry = server.registry().await;
    assert_eq!(registry.find(Query::open("alice")).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_slow_server_keeps_nobody_waiting() {
    let server = RedisServer::start();
    let registry = registry(&server).await;
    let key = signed_in(&registry).await;
    let _: String = server.ask(&["CLIENT", "PAUSE", "2000", "ALL"]);
    let began = Instant::now();
    let all = (0..20).map(|_| registry.load(key));
    for answer in all.map(|load| async {
        let began = Instant::now();
        (load.await, began.elapsed())
    }) {
        if began.elapsed() > Duration::from_millis(1_500) {
            break;
        }
        let (answer, took) = answer.await;
        let error = answer.unwrap_err();
        assert!(took < LIMIT + Duration::from_millis(200), "took {took:?}");
        assert!(whole(&error).contains("300ms"), "{}", whole(&error));
    }
    tokio::time::sleep(Duration::from_millis(2_200).saturating_sub(began.elapsed())).await;
    assert!(registry.load(key).await.unwrap().is_some());
}

#[tokio::test]
async fn a_server_that_hangs_is_an_error_and_recovers() {
    let server = RedisServer::start();
    let registry = registry(&server).await;
    let key = signed_in(&registry).await;
    server.signal("STOP");
    assert_all_fail(&registry, key).await;
    server.signal("CONT");
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(registry.load(key).await.unwrap().is_some());
}

#[tokio::test]
async fn full_memory_refuses_logins_whole_and_lets_people_out() {
    let server = RedisServer::start();
    let registry = server.registry().await;
    let key = signed_in(&registry).await;
    let _: String = server.ask(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    let _: String = server.ask(&["CONFIG", "SET", "maxmemory", "1"]);
    let mut login = login("alice", &Policy::new().max_sessions(1));
    login.replaces = Some((key, Reason::LoggedOut));
    let (new, before) = (login.key, registry.load(key).await.unwrap());
    let error = registry.login(login).await.unwrap_err();
    assert!(whole(&error).contains("maxmemory"), "{}", whole(&error));
    assert_eq!(registry.load(key).await.unwrap(), before);
    assert_eq!(registry.load(new).await.unwrap(), None);
    let later = NOON.plus(Duration::from_secs(60));
    registry.touch(key, ActivityUpdate { seen: later, now: later, patch: None }).await.unwrap();
    assert_eq!(registry.load(key).await.unwrap().unwrap().record.last_seen, later);
    assert_eq!(registry.end(EndTarget::Key(key), ended()).await.unwrap().len(), 1);
    let loaded = registry.load(key).await.unwrap().unwrap();
    assert_eq!((loaded.record.ended.clone().unwrap().reason, loaded.open), (Reason::LoggedOut, 0));
    assert_eq!(registry.find(Query::past("alice")).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_replica_answers_and_refuses_to_write() {
    let primary = RedisServer::start();
    let key = signed_in(&primary.registry().await).await;
    let replica = RedisServer::with(&["--replicaof", "127.0.0.1", &primary.port.to_string()]);
    while !replica.ask::<String>(&["INFO", "replication"]).contains("master_link_status:up") {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let registry = replica.registry().await;
    let loaded = registry.load(key).await.unwrap().unwrap();
    assert_eq!((loaded.record.ended.clone(), loaded.open), (None, 1));
    let errors = [
        registry.login(login("alice", &Policy::new())).await.unwrap_err(),
        registry.touch(key, change()).await.unwrap_err(),
        registry.end(EndTarget::Key(key), ended()).await.unwrap_err(),
    ];
    for error in errors {
        assert!(whole(&error).to_lowercase().contains("read"), "{}", whole(&error));
    }
    assert!(registry.load(key).await.unwrap().is_some());
    // Promoted, it is a server as any other.
    let _: String = replica.ask(&["REPLICAOF", "NO", "ONE"]);
    registry.login(login("alice", &Policy::new())).await.unwrap();
}

#[tokio::test]
async fn garbage_on_the_server_is_an_error_and_no_sign_out() {
    let server = RedisServer::start();
    let registry = server.registry().await;
    let key = signed_in(&registry).await;
    let names: Vec<String> = server.ask(&["KEYS", "*}"]);
    let fields: Vec<String> = server.ask(&["HKEYS", &names[0]]);
    let field = fields.iter().find(|field| field.len() == 32).unwrap();
    for garbage in ["", "{", "[]", "3", "{\"place\":3}", "\u{1}{\"seal\":\"secret\"}"] {
        let _: u32 = server.ask(&["HSET", &names[0], field, garbage]);
        let error = registry.load(key).await.unwrap_err();
        assert!(!whole(&error).contains("secret"), "{}", whole(&error));
        // Nor does it keep the user from signing in again.
        let policy = Policy::new().max_sessions(1);
        registry.login(NewLogin::new("alice", NOON, &policy)).await.unwrap();
    }
}

#[tokio::test]
async fn one_record_that_nobody_can_read_keeps_nobody_from_the_others() {
    let server = RedisServer::start();
    let registry = server.registry().await;
    let key = signed_in(&registry).await;
    signed_in(&registry).await;
    let names: Vec<String> = server.ask(&["KEYS", "*}"]);
    let fields: Vec<String> = server.ask(&["HKEYS", &names[0]]);
    let field = fields.iter().find(|field| field.len() == 32).unwrap();
    let text: String = server.ask(&["HGET", &names[0], field]);
    // From a newer version, perhaps: it can be listed, and so be ended with all others.
    let newer = text.replace("{", r#"{"patch":"{\"colour\":\"red\"}","#);
    let _: u32 = server.ask(&["HSET", &names[0], field, &newer]);
    assert_eq!(registry.find(Query::default()).await.unwrap().len(), 2);
    // This says of nobody whose it is.
    let nobodys = text.replace("\"user\"", "\"who\"");
    let _: u32 = server.ask(&["HSET", &names[0], field, &nobodys]);
    assert_eq!(registry.find(Query::open("alice")).await.unwrap().len(), 1);
    assert_eq!(registry.find(Query::default()).await.unwrap().len(), 1);
    let policy = Policy::new().max_sessions(1);
    registry.login(NewLogin::new("alice", NOON, &policy)).await.unwrap();
    assert_eq!(registry.find(Query::open("alice")).await.unwrap().len(), 1);
    let unreadable = registry.load(key).await;
    assert!(unreadable.is_err() || unreadable.unwrap().unwrap().record.ended.is_some());
}

#[tokio::test]
async fn a_policy_that_could_not_be_read_back_is_refused_before_anything_changes() {
    let server = RedisServer::start();
    let registry = server.registry().await;
    let key = signed_in(&registry).await;
    let contradiction = PolicyPatch::new().idle(minutes(2)).warn(minutes(2));
    let mut second = login("alice", &Policy::new().max_sessions(1));
    second.patch = Some(contradiction.clone().into());
    assert!(registry.login(second).await.is_err());
    let patch = Some(Some(contradiction.into()));
    assert!(registry.touch(key, ActivityUpdate { patch, ..change() }).await.is_err());
    assert_eq!(registry.load(key).await.unwrap().unwrap().record.ended, None);
    assert_eq!(registry.find(Query::open("alice")).await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_is_wrong_at_the_start_is_said_without_the_password() {
    let server = RedisServer::with(&["--requirepass", "right-password"]);
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
