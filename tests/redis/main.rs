//! `RedisRegistry` against servers of the tests' own.

#![allow(missing_docs)]

mod adoption;
mod cache;
mod commands;
mod conformance;
mod lost_responses;
mod outage;
mod races;
mod rate_limits;
mod same_as_memory;
mod storage;

use session_expire::{
    EndSessions, EndTarget, Ended, LoginOutcome, NewLogin, Policy, Reason, RecordKey,
    RedisRegistry, Registry, SessionRecord, SessionRef, SessionUpdate, Timestamp,
};

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

/// Signs alice in.
pub async fn sign_in(registry: &RedisRegistry) -> NewLogin {
    let login = login("alice", &Policy::new());
    committed(registry.commit(login.clone()).await.unwrap());
    login
}

pub fn session(login: &NewLogin) -> SessionRef {
    SessionRef { user: login.user.clone(), id: login.id }
}

pub fn revoked() -> Ended {
    Ended::new(Reason::Revoked, NOON)
}

pub fn all(user: &str) -> EndTarget {
    EndTarget::All(user.into())
}

/// Ends sessions, and returns how many have ended.
pub async fn end(registry: &RedisRegistry, target: EndTarget) -> usize {
    registry.end(EndSessions::new(target, revoked())).await.unwrap().len()
}

pub async fn is_open(registry: &RedisRegistry, key: RecordKey) -> bool {
    let loaded = registry.load(key, false).await.unwrap();
    loaded.is_some_and(|loaded| loaded.record.ended.is_none())
}

/// An update at `at` that is activity.
pub fn active(at: Timestamp) -> SessionUpdate {
    SessionUpdate::new(at).active(at)
}

/// An update that sets one entry.
pub fn setting(name: &str, json: &str) -> SessionUpdate {
    let mut update = SessionUpdate::new(NOON);
    update.data.set(name, raw(json));
    update
}

pub fn raw(json: &str) -> Box<serde_json::value::RawValue> {
    serde_json::value::RawValue::from_string(json.to_owned()).unwrap()
}
