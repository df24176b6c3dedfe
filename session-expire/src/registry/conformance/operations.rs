//! Operations of the promises, which must succeed, and what is expected of their outcome.

use std::{collections::BTreeSet, sync::Arc};

use super::fixtures::{ABSOLUTE, IDLE, activity, login, login_from, now, session, user};
use crate::{
    registry::{
        Registry, RegistryFuture, StoredSession,
        end::{EndSessions, EndTarget},
        query::Query,
    },
    session::{
        key::{PublicId, RecordKey},
        login::{LoginOutcome, NewLogin},
        reason::Reason,
        record::{Ended, SessionRecord},
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

/// Commits a login, which must succeed. Returns its record and those that it has ended.
pub(super) async fn commit(
    registry: &dyn Registry,
    login: &NewLogin,
) -> (SessionRecord, Vec<SessionRecord>) {
    match outcome("commit", registry.commit(login.clone())).await {
        LoginOutcome::Committed { record, ended } => (record, ended),
        other => panic!("a login was not committed that had a slot: {other:#?}"),
    }
}

/// Commits a login, which must be refused. Returns the active sessions.
pub(super) async fn commit_refused(
    registry: &dyn Registry,
    login: &NewLogin,
) -> Vec<SessionRecord> {
    match outcome("commit", registry.commit(login.clone())).await {
        LoginOutcome::Refused { active } => active,
        other => panic!("a login was not refused that had no slot: {other:#?}"),
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
    assert_eq!(updated, UpdateOutcome::Updated, "an update of an open session");
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

/// Loads the record of `key`, if there is one, without a count.
pub(super) async fn find(registry: &dyn Registry, key: RecordKey) -> Option<StoredSession> {
    outcome("load", registry.load(key, false)).await
}

/// Loads the record of `key`, which must be there, and counts open sessions.
pub(super) async fn load(registry: &dyn Registry, key: RecordKey) -> StoredSession {
    match outcome("load", registry.load(key, true)).await {
        Some(loaded) => loaded,
        None => panic!("a record is unknown that must be kept"),
    }
}

/// Returns how many counted sessions are open, as `load` counts them.
pub(super) async fn count_open(registry: &dyn Registry, key: RecordKey) -> Option<u32> {
    load(registry, key).await.open
}

/// Returns the end of the record of `key`.
pub(super) async fn end_of(registry: &dyn Registry, key: RecordKey) -> Option<Ended> {
    load(registry, key).await.record.ended.clone()
}

pub(super) async fn list(registry: &dyn Registry, query: Query) -> Vec<SessionRecord> {
    outcome("list", registry.list(query)).await
}

/// Returns the ids of the open records of `user`, as they are listed.
pub(super) async fn open_ids(registry: &dyn Registry, user: &Arc<str>) -> BTreeSet<PublicId> {
    ids(&list(registry, Query::open(Arc::clone(user))).await)
}

pub(super) fn ids(records: &[SessionRecord]) -> BTreeSet<PublicId> {
    let ids: BTreeSet<_> = records.iter().map(|record| record.id).collect();
    assert_eq!(ids.len(), records.len(), "a record is returned twice: {records:#?}");
    ids
}

pub(super) fn ids_of<'a>(logins: impl IntoIterator<Item = &'a NewLogin>) -> BTreeSet<PublicId> {
    logins.into_iter().map(|login| login.id).collect()
}

/// Asserts that `ended` are exactly the sessions of `logins`, each with the end `how`, and that they
/// load with it.
pub(super) async fn assert_ended(
    registry: &dyn Registry,
    ended: &[SessionRecord],
    logins: &[NewLogin],
    how: &Ended,
) {
    assert_eq!(ids(ended), ids_of(logins), "not exactly these sessions have ended: {ended:#?}");
    for record in ended {
        assert_eq!(record.ended.as_ref(), Some(how), "a returned record has another end");
    }
    for login in logins {
        let end = end_of(registry, login.key).await;
        assert_eq!(end.as_ref(), Some(how), "a record loads with another end than was returned");
    }
}

/// Commits two logins, of which the first is expired for `reason` at the time that is returned.
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
