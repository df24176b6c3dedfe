//! `RedisRegistry` on a Redis Cluster and behind Sentinels that the tests start, fill and break.

#![allow(missing_docs)]

mod access;
mod across_users;
mod coverage;
mod end_everyone;
mod endurance;
mod example_site;
mod failovers;
mod handshakes;
mod live;
mod load;
mod lost_responses;
mod many_requests;
mod migration;
mod permissions;
mod replaced_nodes;
mod reports;
mod resharding;
mod sentinel;
mod servers;
mod silent_nodes;
mod simultaneous;
mod start;
mod subscriptions;
mod user;
mod watch;

use std::time::{Duration, Instant};

use session_expire::{
    Policy, Reason, RedisRegistry,
    clock::Timestamp,
    registry::{
        Ended, LoginOutcome, NewLogin, RecordKey, Registry, SessionRecord, SessionRef,
        StoredSession,
    },
};
use session_expire_tests::RedisCluster;

pub const NOON: Timestamp = Timestamp::from_millis(1_767_268_800_000);

pub fn committed(outcome: LoginOutcome) -> (SessionRecord, Vec<SessionRecord>) {
    match outcome {
        LoginOutcome::Committed { record, ended } => (record, ended),
        other => panic!("{other:?}"),
    }
}

pub fn login(user: &str, policy: &Policy) -> NewLogin {
    NewLogin::new(user, NOON, policy)
}

pub fn session(login: &NewLogin) -> SessionRef {
    SessionRef::new(login.user.clone(), login.id)
}

pub fn revoked() -> Ended {
    Ended::new(Reason::Revoked, NOON)
}

/// Returns the key of the hash with the records of a user.
pub fn hash_key(user: &str) -> String {
    format!("sx3:{{{}}}", &RecordKey::random(user).partition_key()[..2])
}

/// Returns a user whose records a node has.
pub fn user_of(cluster: &RedisCluster, node: usize) -> String {
    let is_owned = |user: &String| cluster.owner_of(cluster.slot_of(&hash_key(user))) == node;
    (0..).map(|n| format!("user {n}")).find(is_owned).unwrap()
}

/// Loads a record, and waits while the servers are unavailable.
pub async fn load_when_available(
    registry: &RedisRegistry,
    key: RecordKey,
) -> Option<StoredSession> {
    let start = Instant::now();
    loop {
        match registry.load(key, false).await {
            Ok(loaded) => return loaded,
            Err(error) => {
                let is_late = start.elapsed() > Duration::from_secs(60);
                assert!(!is_late, "the servers are not available: {error}");
            }
        }
    }
}
