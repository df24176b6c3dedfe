use session_expire::{
    ActivityUpdate, EndTarget, Ended, NewLogin, Overflow, Policy, Query, Reason, RecordKey,
    Registry, SessionLimit,
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
    let change = ActivityUpdate { seen: NOON, now: NOON, patch: None };
    let room = SessionLimit { max_sessions: 1.into(), overflow: Overflow::Evict };
    let ended = Ended::new(Reason::Evicted, NOON);
    // The server learns the scripts.
    let login = NewLogin::new("alice", NOON, &policy);
    let key = login.key;
    registry.login(login).await.unwrap();
    registry.load(key).await.unwrap();
    registry.touch(key, change.clone()).await.unwrap();
    registry.make_room(key, room, ended.clone()).await.unwrap();
    registry.find(Query::open("alice")).await.unwrap();
    registry.end(EndTarget::Key(RecordKey::random("alice")), ended.clone()).await.unwrap();

    let login = NewLogin::new("alice", NOON, &policy);
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
    costs_one_command!(server, registry.end(EndTarget::All("alice".into()), ended.clone()));
    costs_one_command!(server, registry.load(RecordKey::random("nobody")));
}

#[tokio::test]
async fn a_server_that_forgot_the_scripts_learns_them_again() {
    let server = RedisServer::start();
    let registry = server.registry().await;
    let login = NewLogin::new("alice", NOON, &Policy::new());
    let key = login.key;
    registry.login(login).await.unwrap();
    registry.load(key).await.unwrap();
    let _: String = server.ask(&["SCRIPT", "FLUSH"]);
    assert!(registry.load(key).await.unwrap().is_some());
}
