//! Operations that the promises use, and assertions on their outcomes.
//!
//! Every operation panics if the registry returns an error.

use std::{collections::BTreeSet, sync::Arc};

use super::fixtures::{ABSOLUTE, IDLE, activity, login, login_from, now, session, user};
use crate::{
    registry::{
        Registry, RegistryFuture, StoredSession,
        end::{EndSessions, EndTarget},
        query::Query,
    },
    session::{
        ended::Ended,
        key::{PublicId, RecordKey},
        login::{LoginOutcome, NewLogin},
        reason::Reason,
        record::SessionRecord,
        update::{SessionUpdate, UpdateOutcome},
    },
    time::{Timestamp, minutes},
};

/// Awaits an operation, which must not fail.
pub(super) async fn outcome<T>(operation: &str, future: RegistryFuture<'_, T>) -> T {
    match future.await {
        Ok(outcome) => outcome,
        Err(error) => {
            panic!("`{operation}` failed: {error}: {:?}", std::error::Error::source(&error))
        }
    }
}

/// Commits a login, which must succeed. Returns its record and the records that it has ended.
pub(super) async fn commit(
    registry: &dyn Registry,
    login: &NewLogin,
) -> (SessionRecord, Vec<SessionRecord>) {
    match outcome("commit", registry.commit(login.clone())).await {
        LoginOutcome::Committed { record, ended } => (record, ended),
        other => panic!("a login with a free slot was not committed: {other:#?}"),
    }
}

/// Commits a login, which must be refused. Returns the active sessions.
pub(super) async fn commit_refused(
    registry: &dyn Registry,
    login: &NewLogin,
) -> Vec<SessionRecord> {
    match outcome("commit", registry.commit(login.clone())).await {
        LoginOutcome::Refused { active } => active,
        other => panic!("a login without a free slot was not refused: {other:#?}"),
    }
}

/// Commits `count` logins from `device 0`, `device 1` and so on, a minute apart, the first at `at`.
pub(super) async fn commit_many(
    registry: &dyn Registry,
    user: &Arc<str>,
    count: u32,
    at: Timestamp,
) -> Vec<NewLogin> {
    let mut logins = vec![];
    for n in 0..count {
        let device = format!("device {n}");
        logins.push(login_from(&device, user, at.plus(minutes(u64::from(n)))));
        commit(registry, &logins[logins.len() - 1]).await;
    }
    logins
}

/// Updates a session, which must be open.
pub(super) async fn update(registry: &dyn Registry, login: &NewLogin, update: SessionUpdate) {
    let updated = outcome("update", registry.update(session(login), update)).await;
    assert_eq!(updated, UpdateOutcome::Updated, "outcome of an update of an open session");
}

/// Ends the session of `login`.
pub(super) async fn log_out(registry: &dyn Registry, login: &NewLogin, at: Timestamp) {
    end(registry, EndTarget::Session(session(login)), &Ended::new(Reason::LoggedOut, at)).await;
}

/// Ends sessions. Returns the records that have ended.
pub(super) async fn end(
    registry: &dyn Registry,
    target: EndTarget,
    ended: &Ended,
) -> Vec<SessionRecord> {
    outcome("end", registry.end(EndSessions::new(target, ended.clone()))).await
}

/// Loads the record of `key`, if there is one, without counting open sessions.
pub(super) async fn try_load(registry: &dyn Registry, key: RecordKey) -> Option<StoredSession> {
    outcome("load", registry.load(key, false)).await
}

/// Loads the record of `key`, which must exist, and counts open sessions.
pub(super) async fn load(registry: &dyn Registry, key: RecordKey) -> StoredSession {
    match outcome("load", registry.load(key, true)).await {
        Some(loaded) => loaded,
        None => panic!("no record for the key of a committed login"),
    }
}

/// Returns the number of open counted sessions that `load` returns.
pub(super) async fn count_open(registry: &dyn Registry, key: RecordKey) -> Option<u32> {
    load(registry, key).await.open
}

/// Loads the record of `key`, which must exist, and returns its end.
pub(super) async fn load_end(registry: &dyn Registry, key: RecordKey) -> Option<Ended> {
    load(registry, key).await.record.ended.clone()
}

pub(super) async fn list(registry: &dyn Registry, query: Query) -> Vec<SessionRecord> {
    outcome("list", registry.list(query)).await
}

/// Lists the open records of `user` and returns their ids.
pub(super) async fn open_ids(registry: &dyn Registry, user: &Arc<str>) -> BTreeSet<PublicId> {
    ids(&list(registry, Query::open(Arc::clone(user))).await)
}

pub(super) fn ids(records: &[SessionRecord]) -> BTreeSet<PublicId> {
    let ids: BTreeSet<_> = records.iter().map(|record| record.id).collect();
    assert_eq!(ids.len(), records.len(), "a record is returned twice: {records:#?}");
    ids
}

pub(super) fn login_ids<'a>(logins: impl IntoIterator<Item = &'a NewLogin>) -> BTreeSet<PublicId> {
    logins.into_iter().map(|login| login.id).collect()
}

/// Asserts that exactly the sessions of `logins` were returned as ended. The returned and the
/// loaded records must have the end `given_end`.
pub(super) async fn assert_ended(
    registry: &dyn Registry,
    ended: &[SessionRecord],
    logins: &[NewLogin],
    given_end: &Ended,
) {
    assert_eq!(ids(ended), login_ids(logins), "sessions that ended: {ended:#?}");
    for record in ended {
        assert_eq!(record.ended.as_ref(), Some(given_end), "end of a returned record");
    }
    for login in logins {
        let end = load_end(registry, login.key).await;
        assert_eq!(end.as_ref(), Some(given_end), "end of a loaded record");
    }
}

/// Commits two logins. At the returned time the first is expired for `reason`.
pub(super) async fn one_of_two_expired(
    registry: &dyn Registry,
    reason: Reason,
) -> ([NewLogin; 2], Timestamp) {
    let (alice, at) = (user("alice"), now());
    let later = at.plus(if reason == Reason::Idle { IDLE } else { ABSOLUTE });
    let logins = [login(&alice, at), login(&alice, later.minus(minutes(1)))];
    commit(registry, &logins[0]).await;
    if reason == Reason::Absolute {
        update(registry, &logins[0], activity(later.minus(minutes(2)))).await;
    }
    commit(registry, &logins[1]).await;
    (logins, later)
}
