use std::{sync::Arc, time::Instant};

use session_expire::{
    Change, Ended, Login, Overflow, Policy, Query, Reason, RecordKey, Registry, Room, Target,
};

use crate::NOON;
use session_expire_tests::RedisServer;

/// Commands that arrived over a connection; those that a script runs are counted under their own names.
fn arrived(server: &RedisServer) -> Vec<(&'static str, u64)> {
    ["evalsha", "eval", "script|load", "ping", "multi", "scan"]
        .into_iter()
        .map(|command| (command, server.calls(command)))
        .filter(|(_, calls)| *calls > 0)
        .collect()
}

macro_rules! costs_one_command {
    ($server:expr, $work:expr) => {{
        let _: String = $server.ask(&["CONFIG", "RESETSTAT"]);
        let answer = $work.await.unwrap();
        assert_eq!(arrived($server), [("evalsha", 1)], "{}", stringify!($work));
        answer
    }};
}

#[tokio::test]
async fn every_operation_is_one_command() {
    let server = &RedisServer::start();
    let registry = server.registry().await;
    let policy = Policy::new().max_sessions(2);
    let change = Change { seen: NOON, now: NOON, patch: None };
    let room = Room { max_sessions: 1.into(), overflow: Overflow::Evict };
    let ended = Ended::new(Reason::Evicted, NOON);
    // The server learns the scripts.
    let login = Login::new("alice", NOON, &policy);
    let key = login.key;
    registry.login(login).await.unwrap();
    registry.load(key).await.unwrap();
    registry.touch(key, change.clone()).await.unwrap();
    registry.make_room(key, room, ended.clone()).await.unwrap();
    registry.find(Query::open("alice")).await.unwrap();
    registry.end(Target::Key(RecordKey::random("alice")), ended.clone()).await.unwrap();

    let login = Login::new("alice", NOON, &policy);
    let key = login.key;
    costs_one_command!(server, registry.login(login));
    let loaded = costs_one_command!(server, registry.load(key));
    assert_eq!(loaded.unwrap().open, 2);
    // Nothing else runs on the server for an ordinary request: two reads.
    let inside = ["hget", "zlexcount"].map(|command| server.calls(command));
    assert_eq!(inside, [1, 1]);
    costs_one_command!(server, registry.touch(key, change.clone()));
    costs_one_command!(server, registry.make_room(key, room, ended.clone()));
    costs_one_command!(server, registry.find(Query::open("alice")));
    costs_one_command!(server, registry.end(Target::All("alice".into()), ended.clone()));
    costs_one_command!(server, registry.load(RecordKey::random("nobody")));
}

#[tokio::test]
async fn a_server_that_forgot_the_scripts_learns_them_again() {
    let server = RedisServer::start();
    let registry = server.registry().await;
    let login = Login::new("alice", NOON, &Policy::new());
    let key = login.key;
    registry.login(login).await.unwrap();
    registry.load(key).await.unwrap();
    let _: String = server.ask(&["SCRIPT", "FLUSH"]);
    assert!(registry.load(key).await.unwrap().is_some());
}

/// `cargo test --release --test redis -- --ignored --nocapture speed`
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn speed_of_load_with_a_hundred_thousand_records() {
    let server = RedisServer::start();
    let registry = Arc::new(server.registry().await);
    let mut keys = vec![];
    for chunk in 0..1_000 {
        let mut logins = tokio::task::JoinSet::new();
        for n in 0..100 {
            let login = Login::new(format!("user {}", chunk * 100 + n), NOON, &Policy::new());
            keys.push(login.key);
            let registry = Arc::clone(&registry);
            logins.spawn(async move { registry.login(login).await.map(drop) });
        }
        logins.join_all().await.into_iter().for_each(|login| login.unwrap());
    }
    let mut times: Vec<_> = Vec::with_capacity(20_000);
    for n in 0..20_000 {
        let key = keys[n * 7_919 % keys.len()];
        let began = Instant::now();
        assert!(registry.load(key).await.unwrap().is_some());
        times.push(began.elapsed());
    }
    times.sort_unstable();
    println!("load: p50 {:?}, p99 {:?}", times[times.len() / 2], times[times.len() * 99 / 100]);
    let began = Instant::now();
    let all = registry.find(Query { limit: Some(50), ..Query::default() }).await.unwrap();
    println!("find for all users, first {}: {:?}", all.len(), began.elapsed());
    let memory: String = server.ask(&["INFO", "memory"]);
    println!("{}", memory.lines().find(|line| line.starts_with("used_memory_human")).unwrap());
}
