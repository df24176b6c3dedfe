//! Tombstones of adopted sessions: their number, and the work for them in one script.

use crate::{
    NOON, active, end, login, revoked,
    servers::{Servers, tests_on_all_servers},
};
use session_expire::{
    Limit, Policy, PublicId,
    clock::Timestamp,
    hours,
    registry::{KeyRotation, Registry, SessionRef},
};

tests_on_all_servers! {
    rotated_keys_of_an_adopted_session_are_limited
    surplus_tombstones_of_adopted_sessions_are_moved_in_small_steps
}

fn adopted_until() -> Option<Timestamp> {
    Some(NOON.plus(hours(24 * 90)))
}

/// Only the tombstone of the first key is kept until the end of adoption.
async fn rotated_keys_of_an_adopted_session_are_limited(servers: &Servers) {
    let registry = servers.registry().await;
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
    let tag = servers.hash_key();
    let fields: usize = servers.command(&tag, &["HLEN", &tag]);
    assert!(fields <= 1_010, "{fields}");
}

/// The tombstones of adopted sessions stay, even if there are many. A script must not read all
/// surplus tombstones.
async fn surplus_tombstones_of_adopted_sessions_are_moved_in_small_steps(servers: &Servers) {
    let registry = servers.registry().await.history_limit(Limit::At(0));
    let mut keys = vec![];
    for _ in 0..1_200 {
        let mut adopted = login("alice", &Policy::new());
        adopted.adopted_until = adopted_until();
        keys.push(adopted.key());
        registry.commit(adopted.clone()).await.unwrap();
        registry.cancel(adopted.key(), revoked()).await.unwrap();
    }
    let tag = servers.hash_key();
    let counter = || servers.command::<u64>(&tag, &["HGET", &tag, "counter"]);
    let before = counter();
    let last = login("alice", &Policy::new());
    registry.commit(last.clone()).await.unwrap();
    end(&registry, crate::all("alice")).await;
    assert!(counter() - before <= 60, "{} numbers", counter() - before);
    for key in keys.into_iter().chain([last.key()]) {
        assert!(registry.load(key, false).await.unwrap().is_some());
    }
}
