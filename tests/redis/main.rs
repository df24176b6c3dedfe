//! `RedisRegistry` with servers that the tests start, fill, delay and stop.

#![allow(missing_docs)]

mod cache;
mod commands;
mod example_site;
mod failover;
mod failovers;
mod generations;
mod io_thread;
mod lists;
mod lost_reports;
mod lost_responses;
mod outage;
mod permissions;
mod races;
mod rate_limits;
mod replicas;
mod replicated;
mod reports;
#[path = "../rounds.rs"]
mod rounds;
mod same_as_memory;
mod servers;
mod storage;
mod tls;
mod tombstones;
mod versions;

use session_expire::{
    Policy, RedisRegistry,
    clock::Timestamp,
    registry::{EndSessions, EndTarget, NewLogin, RecordKey, Registry, SessionUpdate},
};
use session_expire_tests::{NOON, committed, load_when_available, login, revoked, session};

/// Commits a login of Alice.
pub async fn sign_in(registry: &RedisRegistry) -> NewLogin {
    let login = login("alice", &Policy::new());
    committed(registry.commit(login.clone()).await.unwrap());
    login
}

pub fn all(user: &str) -> EndTarget {
    EndTarget::All(user.into())
}

/// Ends sessions. Returns the number of those that were open.
pub async fn end(registry: &RedisRegistry, target: EndTarget) -> usize {
    registry.end(EndSessions::new(target, revoked())).await.unwrap().len()
}

pub async fn is_open(registry: &RedisRegistry, key: RecordKey) -> bool {
    let loaded = registry.load(key, false).await.unwrap();
    loaded.is_some_and(|loaded| loaded.record.ended.is_none())
}

/// Returns an update that records activity at `at`.
pub fn active(at: Timestamp) -> SessionUpdate {
    SessionUpdate::new(at).active(at)
}

/// Returns an update that sets one entry.
pub fn setting(name: &str, json: &str) -> SessionUpdate {
    let mut update = SessionUpdate::new(NOON);
    update.data.set(name, raw(json));
    update
}

pub fn raw(json: &str) -> Box<serde_json::value::RawValue> {
    serde_json::value::RawValue::from_string(json.to_owned()).unwrap()
}
