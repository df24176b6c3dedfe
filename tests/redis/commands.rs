//! Number of commands per operation.

use std::time::Duration;

use session_expire::{
    Overflow, Policy, PublicId,
    registry::{
        EndSessions, EndTarget, KeyRotation, Query, RecordKey, Registry, SessionLimit, SessionRef,
    },
};
use session_expire_tests::RedisServer;

use crate::{NOON, active, all, login, revoked, session, sign_in};

/// Returns the commands that clients sent. The server counts the commands of a script under their
/// own names: `hmget`, which scripts use, is not among them.
fn sent_commands(server: &RedisServer) -> Vec<(&'static str, u64)> {
    ["evalsha", "eval", "script|load", "ping", "multi", "scan", "get"]
        .into_iter()
        .map(|command| (command, server.calls(command)))
        .filter(|(_, calls)| *calls > 0)
        .collect()
}

macro_rules! costs_one_script {
    ($server:expr, $work:expr) => {{
        // Loads the script.
        $work.await.unwrap();
        let _: String = $server.command(&["CONFIG", "RESETSTAT"]);
        let outcome = $work.await.unwrap();
        assert_eq!(sent_commands($server), [("evalsha", 1)], "{}", stringify!($work));
        outcome
    }};
}

#[tokio::test]
async fn ordinary_request_is_one_plain_command() {
    let server = &RedisServer::start();
    let registry = server.registry().await;
    let login = sign_in(&registry).await;
    let _: String = server.command(&["CONFIG", "RESETSTAT"]);
    registry.load(login.key(), false).await.unwrap().unwrap();
    assert_eq!((sent_commands(server), server.calls("hmget")), (vec![], 1));
    let loaded = costs_one_script!(server, registry.load(login.key(), true));
    assert_eq!(loaded.unwrap().open, Some(1));
    // The script itself reads twice.
    assert_eq!(["hmget", "zcount"].map(|command| server.calls(command)), [1, 1]);
}

#[tokio::test]
async fn every_operation_is_one_script() {
    let server = &RedisServer::start();
    let registry = server.registry().await;
    let policy = Policy::new().max_sessions(2).overflow(Overflow::Refuse);
    let limit = SessionLimit::new(1, Overflow::Evict);
    let login = login("alice", &policy);
    let unknown = SessionRef::new("alice", PublicId::random());
    let until = NOON.plus(Duration::from_secs(30));
    let rotation = KeyRotation::new(session(&login), login.key(), active(NOON));
    let ends = |target| EndSessions::new(target, revoked());
    costs_one_script!(server, registry.reserve(login.reservation(until)));
    costs_one_script!(server, registry.commit(login.clone()));
    costs_one_script!(server, registry.update(session(&login), active(NOON)));
    costs_one_script!(server, registry.rotate(rotation.clone()));
    costs_one_script!(server, registry.enforce_limit(session(&login), limit, revoked()));
    costs_one_script!(server, registry.list(Query::open("alice")));
    costs_one_script!(server, registry.export("alice".into()));
    costs_one_script!(server, registry.end(ends(EndTarget::Session(unknown.clone()))));
    costs_one_script!(server, registry.end(ends(all("alice"))));
    costs_one_script!(server, registry.cancel(login.key(), revoked()));
    costs_one_script!(server, registry.erase("alice".into()));
    costs_one_script!(server, registry.load(RecordKey::random("bob"), true));
}

#[tokio::test]
async fn scripts_are_loaded_again_after_a_flush() {
    let server = RedisServer::start();
    let registry = server.registry().await;
    let login = sign_in(&registry).await;
    registry.load(login.key(), true).await.unwrap();
    let _: String = server.command(&["SCRIPT", "FLUSH"]);
    assert!(registry.load(login.key(), true).await.unwrap().is_some());
}
