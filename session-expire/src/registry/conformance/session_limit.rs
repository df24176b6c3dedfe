//! Promises about the session limit of a login: evicted sessions and refused logins.

use std::sync::Arc;

use super::{
    fixtures::{
        IDLE, MILLISECOND, OVERFLOWS, activity, limited, login, login_from, now, session, user,
    },
    operations::{
        assert_ended, commit, commit_many, commit_refused, count_open, end, ids, load_end,
        login_ids, one_of_two_expired, open_ids, outcome, try_load, update,
    },
};
use crate::{
    policy::limit::{Limit, Overflow},
    registry::{Registry, end::EndTarget},
    session::{
        ended::Ended, limit::SessionLimit, login::NewLogin, reason::Reason, record::SessionRecord,
    },
    time::minutes,
};

/// Commits three logins, then one more under a limit of three sessions.
async fn exceed_limit(
    registry: &dyn Registry,
    overflow: Overflow,
) -> (Vec<NewLogin>, NewLogin, Vec<SessionRecord>) {
    let at = now();
    let logins = commit_many(registry, &user("alice"), 3, at).await;
    // Order of use: second, third, first.
    for (login, minute) in [(&logins[1], 4), (&logins[2], 5), (&logins[0], 6)] {
        update(registry, login, activity(at.plus(minutes(minute)))).await;
    }
    let new = login_from("Firefox on Linux", &logins[0].user, at.plus(minutes(7)));
    let new = limited(new, 3, overflow);
    let (_, ended) = commit(registry, &new).await;
    (logins, new, ended)
}

/// The oldest login is evicted, even if it was active last, in the step that creates the new one.
pub(super) async fn oldest_login_is_evicted(registry: &dyn Registry) {
    let (logins, new, ended) = exceed_limit(registry, Overflow::Evict).await;
    assert_ended(registry, &ended, &logins[..1], &new.eviction()).await;
    let rest = login_ids([&logins[1], &logins[2], &new]);
    assert_eq!(open_ids(registry, &new.user).await, rest, "left open");
    assert_eq!(count_open(registry, new.key).await, Some(3), "counted as open");
}

/// With `least_recent` the least recently used session is evicted.
pub(super) async fn least_recently_used_session_is_evicted(registry: &dyn Registry) {
    let (logins, new, ended) = exceed_limit(registry, Overflow::LeastRecent).await;
    assert_ended(registry, &ended, &logins[1..2], &new.eviction()).await;
}

/// The end of an evicted session contains the device of the login that evicted it.
pub(super) async fn evicted_session_names_the_device(registry: &dyn Registry) {
    let (logins, _, _) = exceed_limit(registry, Overflow::Evict).await;
    let by = load_end(registry, logins[0].key).await.and_then(|ended| ended.by);
    assert_eq!(by.as_deref(), Some("Firefox on Linux"), "the device in the end");
}

/// With `refuse` a login without a free slot changes nothing and returns the active sessions,
/// oldest login first.
pub(super) async fn login_without_a_slot_is_refused(registry: &dyn Registry) {
    let (alice, at) = (user("alice"), now());
    // The logins do not arrive in time order, as if from machines with different clocks.
    let logins = [2, 0, 1].map(|minute| login(&alice, at.plus(minutes(minute))));
    for login in &logins {
        commit(registry, login).await;
    }
    let new = limited(login(&alice, at.plus(minutes(3))), 3, Overflow::Refuse);
    let active = commit_refused(registry, &new).await;
    let oldest_first = [&logins[1], &logins[2], &logins[0]].map(SessionRecord::new);
    assert_eq!(active, oldest_first, "the active sessions, oldest login first");
    assert_eq!(try_load(registry, new.key).await, None, "a record was created");
    assert_eq!(open_ids(registry, &alice).await, login_ids(&logins), "the refusal ended sessions");
}

/// Logins up to the limit are committed and end no session.
pub(super) async fn logins_up_to_the_limit_are_committed(registry: &dyn Registry) {
    for overflow in OVERFLOWS {
        let (alice, at) = (user("alice"), now());
        for n in 0..3 {
            let new = limited(login(&alice, at.plus(minutes(n))), 3, overflow);
            let (_, ended) = commit(registry, &new).await;
            assert_eq!(ended, [], "ended by login {n} of 3 with {overflow:?}");
        }
    }
}

/// Sessions of another user take no slot.
pub(super) async fn sessions_of_another_user_take_no_slot(registry: &dyn Registry) {
    let at = now();
    let bobs = commit_many(registry, &user("bob"), 3, at).await;
    for overflow in [Overflow::Evict, Overflow::Refuse] {
        let new = limited(login(&user("alice"), at.plus(minutes(5))), 1, overflow);
        let (_, ended) = commit(registry, &new).await;
        assert_eq!(ended, [], "ended by the login of another user with {overflow:?}");
    }
    assert_eq!(open_ids(registry, &bobs[0].user).await, login_ids(&bobs), "of the other user");
}

/// Ended sessions take no slot, and their end does not change.
pub(super) async fn ended_sessions_take_no_slot(registry: &dyn Registry) {
    for overflow in OVERFLOWS {
        let logins = commit_many(registry, &user("alice"), 3, now()).await;
        let later = logins[2].at.plus(minutes(1));
        let given_end = Ended::new(Reason::LoggedOut, later);
        end(registry, EndTarget::Session(session(&logins[1])), &given_end).await;
        let new = limited(login(&logins[0].user, later), 3, overflow);
        assert_eq!(commit(registry, &new).await.1, [], "ended by the login with {overflow:?}");
        assert_eq!(load_end(registry, logins[1].key).await, Some(given_end), "with {overflow:?}");
    }
}

/// An expired session takes no slot, and a login ends it with its expiry reason.
pub(super) async fn expired_session_does_not_block_a_login(registry: &dyn Registry) {
    for reason in [Reason::Idle, Reason::Absolute] {
        let (logins, later) = one_of_two_expired(registry, reason).await;
        let new = limited(login(&logins[0].user, later), 2, Overflow::Refuse);
        let (_, ended) = commit(registry, &new).await;
        assert_ended(registry, &ended, &logins[..1], &Ended::new(reason, later)).await;
        let one_more = limited(login(&new.user, later), 2, Overflow::Refuse);
        let active = commit_refused(registry, &one_more).await;
        assert_eq!(ids(&active), login_ids([&logins[1], &new]), "active, {reason}");
    }
}

/// A refused login does not return expired sessions as active, and does not end them.
pub(super) async fn expired_session_is_not_returned_as_active(registry: &dyn Registry) {
    let (logins, later) = one_of_two_expired(registry, Reason::Idle).await;
    let new = limited(login(&logins[0].user, later), 1, Overflow::Refuse);
    let active = commit_refused(registry, &new).await;
    assert_eq!(ids(&active), login_ids(&logins[1..]), "active");
    assert_eq!(load_end(registry, logins[0].key).await, None, "the refusal ended a session");
}

/// An expired session ends before an active one, with its expiry reason.
pub(super) async fn expired_session_is_selected_first(registry: &dyn Registry) {
    for overflow in [Overflow::Evict, Overflow::LeastRecent] {
        for reason in [Reason::Idle, Reason::Absolute] {
            let (logins, later) = one_of_two_expired(registry, reason).await;
            let new = limited(login_from("new", &logins[0].user, later), 2, overflow);
            let (_, ended) = commit(registry, &new).await;
            assert_ended(registry, &ended, &logins[..1], &Ended::new(reason, later)).await;
        }
    }
}

/// An expired session ends before an older active one. Each session expires by its own timeouts.
pub(super) async fn younger_expired_session_is_selected_first(registry: &dyn Registry) {
    let (alice, at) = (user("alice"), now());
    let old = login(&alice, at);
    let mut young = login(&alice, at.plus(minutes(1)));
    young.idle = Limit::At(minutes(2));
    commit(registry, &old).await;
    commit(registry, &young).await;
    let later = at.plus(minutes(3));
    let (_, ended) = commit(registry, &limited(login(&alice, later), 2, Overflow::Evict)).await;
    assert_ended(registry, &ended, &[young], &Ended::new(Reason::Idle, later)).await;
}

/// A session frees its slot at exactly its timeout.
pub(super) async fn session_takes_its_slot_until_it_expires(registry: &dyn Registry) {
    let at = now();
    let login_at = |user: &Arc<str>, at| limited(login(user, at), 1, Overflow::Refuse);
    let first = login(&user("alice"), at);
    commit(registry, &first).await;
    let ends = at.plus(IDLE);
    let early = login_at(&first.user, ends.minus(MILLISECOND));
    let active = commit_refused(registry, &early).await;
    assert_eq!(ids(&active), login_ids([&first]), "a millisecond before the limit");
    let (_, ended) = commit(registry, &login_at(&first.user, ends)).await;
    assert_ended(registry, &ended, &[first], &Ended::new(Reason::Idle, ends)).await;
}

/// A lowered limit applies to the next login, which ends all surplus sessions.
pub(super) async fn lowered_limit_ends_all_surplus_sessions(registry: &dyn Registry) {
    let logins = commit_many(registry, &user("alice"), 5, now()).await;
    let later = logins[4].at.plus(minutes(1));
    let new = limited(login_from("new", &logins[0].user, later), 2, Overflow::Evict);
    let (_, ended) = commit(registry, &new).await;
    assert_ended(registry, &ended, &logins[..4], &new.eviction()).await;
    let rest = login_ids([&logins[4], &new]);
    assert_eq!(open_ids(registry, &new.user).await, rest, "left open");
}

/// `Limit::Off` and `Limit::At(0)` set no limit: no session ends and no login is refused.
pub(super) async fn off_and_zero_are_no_limit(registry: &dyn Registry) {
    for max_sessions in [Limit::Off, Limit::At(0)] {
        for overflow in OVERFLOWS {
            let limit = SessionLimit { max_sessions, overflow };
            let logins = commit_many(registry, &user("alice"), 3, now()).await;
            let later = logins[2].at.plus(minutes(1));
            let new = NewLogin { limit, ..login(&logins[0].user, later) };
            assert_eq!(commit(registry, &new).await.1, [], "ended by a login, {limit:?}");
            let given_end = Ended::new(Reason::Evicted, later);
            let enforced = registry.enforce_limit(session(&new), limit, given_end);
            let ended = outcome("enforce_limit", enforced).await;
            assert_eq!(ended, [], "ended by `enforce_limit`, {limit:?}");
        }
    }
}

/// Without a limit a user has at most [`SessionLimit::WITHOUT_LIMIT`] sessions. The next login
/// evicts the oldest, even with `refuse`.
pub(super) async fn hard_cap_applies_without_a_limit(registry: &dyn Registry) {
    for overflow in [Overflow::Evict, Overflow::Refuse] {
        let limit = SessionLimit { max_sessions: Limit::Off, overflow };
        let (alice, at) = (user("alice"), now());
        for _ in 0..SessionLimit::WITHOUT_LIMIT {
            let (_, ended) = commit(registry, &NewLogin { limit, ..login(&alice, at) }).await;
            assert_eq!(ended, [], "ended by a login, {overflow:?}");
        }
        let (_, ended) = commit(registry, &NewLogin { limit, ..login(&alice, at) }).await;
        assert_eq!(ended.len(), 1, "ended by one more login, {overflow:?}");
    }
}
