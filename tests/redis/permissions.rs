//! A Redis user with exactly the permissions in the deployment guide.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use session_expire::{
    Limit, Overflow, Policy, RedisRegistry,
    registry::{
        EndTarget, KeyRotation, Query, RedisConnectError, Registry, SessionLimit, UpdateOutcome,
    },
};
use session_expire_tests::RedisServer;

use crate::{
    NOON, active, all, committed, end, is_open, login, reports::Reports, revoked, session, setting,
    sign_in,
};

const GUIDE: &str = include_str!("../../session-expire/docs/deployment.md");

/// Returns the words of `ACL SETUSER` in the guide.
fn rules() -> Vec<&'static str> {
    let (_, block) = GUIDE.split_once("```text\nACL SETUSER ").unwrap();
    block.split_once("```").unwrap().0.split_whitespace().collect()
}

fn set_user(server: &RedisServer, rules: &[&str]) {
    let command = [&["ACL", "SETUSER"], rules].concat();
    let _: String = server.command(&command);
}

/// Returns the URL of another database, with the user of the guide.
fn url(server: &RedisServer) -> String {
    format!("redis://sessions:password@127.0.0.1:{}/1", server.port)
}

async fn use_every_operation(registry: &RedisRegistry) {
    let reports = Reports::connected(registry);
    let policy = Policy::new().max_sessions(2).overflow(Overflow::Refuse);
    let first = login("alice", &policy);
    registry.reserve(first.reservation(NOON.plus(Duration::from_secs(30)))).await.unwrap();
    committed(registry.commit(first.clone()).await.unwrap());
    assert!(is_open(registry, first.key()).await);
    assert_eq!(registry.load(first.key(), true).await.unwrap().unwrap().open, Some(1));
    let updated = registry.update(session(&first), setting("a", "1")).await.unwrap();
    assert_eq!(updated, UpdateOutcome::Updated);
    let rotation = KeyRotation::new(session(&first), first.key(), active(NOON));
    registry.rotate(rotation.clone()).await.unwrap();
    let second = sign_in(registry).await;
    let limit = SessionLimit::new(Limit::At(1), Overflow::Evict);
    let ended = registry.enforce_limit(session(&second), limit, revoked()).await.unwrap();
    assert_eq!(ended.len(), 1);
    for query in [Query::open("alice"), Query::history("alice"), Query::default()] {
        assert!(!registry.list(query).await.unwrap().is_empty());
    }
    assert!(!registry.export("alice".into()).await.unwrap().records.is_empty());
    assert_eq!(end(registry, EndTarget::Session(session(&second))).await, 1);
    let third = sign_in(registry).await;
    registry.cancel(third.key(), revoked()).await.unwrap();
    sign_in(registry).await;
    assert_eq!(end(registry, all("alice")).await, 1);
    let last = sign_in(registry).await;
    assert_eq!(registry.end_everyone(revoked()).await.unwrap(), 1);
    assert!(!is_open(registry, last.key()).await);
    let adopted = {
        let mut adopted = login("bob", &Policy::new());
        adopted.adopted_until = Some(NOON.plus(Duration::from_secs(60)));
        adopted
    };
    registry.commit(adopted).await.unwrap();
    registry.erase("alice".into()).await.unwrap();
    assert_eq!(registry.list(Query::history("alice")).await.unwrap(), []);
    registry.commit(login("carol", &Policy::new())).await.unwrap();
    reports.until_login_of("carol");
    end(registry, all("carol")).await;
    assert!(reports.subscription.check().await.unwrap());
}

#[tokio::test]
async fn documented_permissions_are_sufficient() {
    let server = RedisServer::start();
    let _replica = server.start_replica();
    set_user(&server, &rules());
    let timeout = Duration::from_secs(20);
    let registry = RedisRegistry::connect(&url(&server)).await.unwrap().timeout(timeout);
    use_every_operation(&registry).await;
    let caching = RedisRegistry::connect_caching(&url(&server)).await.unwrap().timeout(timeout);
    use_every_operation(&caching).await;
    let waiting = RedisRegistry::connect(&url(&server)).await.unwrap().timeout(timeout);
    use_every_operation(&waiting.wait_for_replicas(1)).await;
    let denied: Vec<HashMap<String, String>> = server.command(&["ACL", "LOG"]);
    let denied: BTreeSet<_> = denied.iter().map(|entry| entry["object"].as_str()).collect();
    // redis-rs sends its name to the server, and ignores the response.
    assert!(denied.is_subset(&BTreeSet::from(["client", "client|setinfo"])), "{denied:?}");
}

#[tokio::test]
async fn missing_permission_is_named_when_the_registry_connects() {
    let server = RedisServer::start();
    let optional = ["+select", "+wait", "+client|tracking"];
    for rule in rules().into_iter().filter(|rule| rule.starts_with('+') && !optional.contains(rule))
    {
        let command = &rule[1..];
        set_user(&server, &rules());
        set_user(&server, &["sessions", &format!("-{command}")]);
        let error = RedisRegistry::connect(&url(&server)).await.unwrap_err();
        assert!(matches!(error, RedisConnectError::Permissions { .. }), "{command}: {error:?}");
        assert!(error.to_string().contains(&format!(": {command};")), "{command}: {error}");
    }
    let keys: Vec<String> = server.command(&["KEYS", "*"]);
    assert_eq!(keys, [""; 0], "the check has written");
}

/// An ACL of an earlier version of this crate has no channel.
#[tokio::test]
async fn missing_permission_for_the_channel_is_a_clear_error() {
    let server = RedisServer::start();
    set_user(&server, &rules());
    set_user(&server, &["sessions", "resetchannels"]);
    let registry = RedisRegistry::connect(&url(&server)).await.unwrap();
    for _ in 0..2 {
        let error = registry.commit(login("alice", &Policy::new())).await.unwrap_err();
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains("channel") && source.contains("Permissions"), "{source}");
        assert_eq!(registry.list(Query::open("alice")).await.unwrap(), [], "the login was stored");
    }
    set_user(&server, &rules());
    sign_in(&registry).await;
}

#[tokio::test]
async fn key_outside_the_permitted_pattern_is_a_clear_error() {
    let server = RedisServer::start();
    set_user(&server, &rules());
    let registry = RedisRegistry::connect(&url(&server)).await.unwrap().prefix("other");
    let error = registry.commit(login("alice", &Policy::new())).await.unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.to_lowercase().contains("key"), "{source}");
}
