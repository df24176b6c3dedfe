//! Fixtures of the promises: users, logins, updates and session data.
//!
//! Every user is new, so promises can share one registry.

use std::{sync::Arc, time::Duration};

use serde_json::value::RawValue;

use crate::{
    policy::{
        Policy,
        limit::{Limit, Overflow},
    },
    session::{
        data::{DataChanges, SessionData, StoredMessage},
        key::PublicId,
        limit::SessionLimit,
        login::NewLogin,
        record::SessionRef,
        update::SessionUpdate,
    },
    time::{
        Timestamp,
        clock::{Clock, SystemClock},
        hours, minutes,
    },
};

/// Idle timeout of all logins of the promises.
pub(super) const IDLE: Duration = minutes(30);

/// Absolute timeout of all logins of the promises.
pub(super) const ABSOLUTE: Duration = hours(8);

pub(super) const MILLISECOND: Duration = Duration::from_millis(1);

pub(super) const OVERFLOWS: [Overflow; 3] =
    [Overflow::Evict, Overflow::LeastRecent, Overflow::Refuse];

/// Returns the system time. The storage of a registry may expire by it.
pub(super) fn now() -> Timestamp {
    SystemClock::default().now()
}

/// Returns a user that no other promise uses.
pub(super) fn user(name: &str) -> Arc<str> {
    format!("{name}-{}", PublicId::random()).into()
}

/// Returns a login of `user` at `at`, without a session limit.
pub(super) fn login(user: &Arc<str>, at: Timestamp) -> NewLogin {
    NewLogin::new(Arc::clone(user), at, &Policy::new().idle(IDLE).absolute(ABSOLUTE))
}

pub(super) fn login_from(device: &str, user: &Arc<str>, at: Timestamp) -> NewLogin {
    let mut login = login(user, at);
    login.client.device = device.into();
    login
}

/// Returns the same login under a session limit.
pub(super) fn limited(login: NewLogin, max: u32, overflow: Overflow) -> NewLogin {
    NewLogin { limit: limit(max, overflow), ..login }
}

pub(super) fn limit(max: u32, overflow: Overflow) -> SessionLimit {
    SessionLimit { max_sessions: Limit::At(max), overflow }
}

pub(super) fn session(login: &NewLogin) -> SessionRef {
    SessionRef { user: Arc::clone(&login.user), id: login.id }
}

/// Returns activity at `at`.
pub(super) fn activity(at: Timestamp) -> SessionUpdate {
    SessionUpdate::new(at).active(at)
}

/// Returns an update of session data at `at`.
pub(super) fn data_update(at: Timestamp, data: DataChanges) -> SessionUpdate {
    SessionUpdate { data, ..SessionUpdate::new(at) }
}

pub(super) fn json(text: &str) -> Box<RawValue> {
    match RawValue::from_string(text.to_owned()) {
        Ok(json) => json,
        Err(error) => panic!("invalid JSON {text}: {error}"),
    }
}

/// Returns the change that sets entries to JSON values.
pub(super) fn set<'a>(entries: impl IntoIterator<Item = (&'a str, &'a str)>) -> DataChanges {
    let mut changes = DataChanges::default();
    entries.into_iter().for_each(|(name, text)| changes.set(name, json(text)));
    changes
}

/// Returns the change that sets an entry which exceeds the maximum size of session data.
pub(super) fn too_large() -> DataChanges {
    set([("large", &*format!("\"{}\"", "x".repeat(SessionData::MAX_BYTES)))])
}

pub(super) fn message(id: u64) -> StoredMessage {
    StoredMessage { id, content: json(&format!("\"message {id}\"")) }
}

/// Returns session data with these entries.
pub(super) fn data<'a>(entries: impl IntoIterator<Item = (&'a str, &'a str)>) -> SessionData {
    let mut data = SessionData::default();
    match data.apply(&set(entries)) {
        Ok(()) => data,
        Err(error) => panic!("{error}"),
    }
}
