//! Operations on the records of a registry.

use std::time::{Duration, Instant};

use session_expire::{
    Policy, Reason, RedisRegistry,
    clock::Timestamp,
    registry::{
        Ended, LoginOutcome, NewLogin, RecordKey, Registry, SessionRecord, SessionRef,
        StoredSession,
    },
};

/// Time of the logins.
pub const NOON: Timestamp = Timestamp::from_millis(1_767_268_800_000);

/// Returns the record of a committed login and the sessions that it ended.
pub fn committed(outcome: LoginOutcome) -> (SessionRecord, Vec<SessionRecord>) {
    match outcome {
        LoginOutcome::Committed { record, ended } => (record, ended),
        other => panic!("{other:?}"),
    }
}

/// Returns a login at [`NOON`].
pub fn login(user: &str, policy: &Policy) -> NewLogin {
    NewLogin::new(user, NOON, policy)
}

/// Returns the session of a login.
pub fn session(login: &NewLogin) -> SessionRef {
    SessionRef::new(login.user.clone(), login.id)
}

/// Returns a revocation at [`NOON`].
pub fn revoked() -> Ended {
    Ended::new(Reason::Revoked, NOON)
}

/// Commits a login of Alice.
pub async fn sign_in(registry: &RedisRegistry) -> NewLogin {
    let login = login("alice", &Policy::new());
    committed(registry.commit(login.clone()).await.unwrap());
    login
}

/// Returns `true` if the session of this key has not ended.
pub async fn is_open(registry: &RedisRegistry, key: RecordKey) -> bool {
    let loaded = registry.load(key, false).await.unwrap();
    loaded.is_some_and(|loaded| loaded.record.ended.is_none())
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
