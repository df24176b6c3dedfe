//! Tombstones of adopted sessions: their number, and the work for them in one script.

use session_expire::{
    Limit, Policy, PublicId,
    clock::Timestamp,
    hours,
    registry::{KeyRotation, Registry, SessionRef},
};
use session_expire_tests::RedisServer;

use crate::{NOON, active, end, login, revoked};

fn tag(server: &RedisServer) -> String {
    server.command::<Vec<String>>(&["KEYS", "*}"]).pop().unwrap()
}

fn adopted_until() -> Option<Timestamp> {
    Some(NOON.plus(hours(24 * 90)))
}

/// Only the tombstone of the first key is kept until the end of adoption.
#[tokio::test]
async fn rotated_keys_of_an_adopted_session_are_limited() {
    let server = RedisServer::start();
    let registry = server.registry().await;
    let mut login = login("alice", &Policy::new());
    login.adopted_until = adopted_until();
    let (first, mut key, mut id) = (login.key(), login.key(), login.id);
    registry.commit(login).await.unwrap();
    for _ in 0..3_000 {
        let mut rotation = KeyRotation::new(SessionRef::new("alice", id), key, active(NOON));
        id = PublicId::random();
        rotation.reauthenticated_as = Some(id);
        key = rotation.new_key();
        registry.rotate(rotation).await.unwrap();
    }
    for kept in [first, key] {
        assert!(registry.load(kept, false).await.unwrap().is_some());
    }
    let fields: usize = server.command(&["HLEN", &tag(&server)]);
    assert!(fields <= 1_010, "{fields}");
}

/// The tombstones of adopted sessions stay, even if there are many. A script must not read all
/// surplus tombstones.
#[tokio::test]
async fn surplus_tombstones_of_adopted_sessions_are_moved_in_small_steps() {
    let server = RedisServer::start();
    let registry = server.registry().await.history_limit(Limit::At(0));
    let mut keys = vec![];
    for _ in 0..1_200 {
        let mut adopted = login("alice", &Policy::new());
        adopted.adopted_until = adopted_until();
        keys.push(adopted.key());
        registry.commit(adopted.clone()).await.unwrap();
        registry.cancel(adopted.key(), revoked()).await.unwrap();
    }
    let counter = || server.command::<u64>(&["HGET", &tag(&server), "counter"]);
    let before = counter();
    let last = login("alice", &Policy::new());
    registry.commit(last.clone()).await.unwrap();
    end(&registry, crate::all("alice")).await;
    assert!(counter() - before <= 60, "{} numbers", counter() - before);
    for key in keys.into_iter().chain([last.key()]) {
        assert!(registry.load(key, false).await.unwrap().is_some());
    }
}
