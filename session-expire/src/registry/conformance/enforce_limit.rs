//! Promises about `enforce_limit`: which sessions end, and that the requesting session stays.

use std::sync::Arc;

use super::{
    fixtures::{OVERFLOWS, activity, limit, login, now, session, user},
    operations::{
        assert_ended, commit, commit_many, log_out, login_ids, one_of_two_expired, open_ids,
        outcome, update,
    },
};
use crate::{
    policy::limit::Overflow,
    registry::Registry,
    session::{
        ended::Ended,
        key::PublicId,
        limit::SessionLimit,
        login::NewLogin,
        reason::Reason,
        record::{SessionRecord, SessionRef},
    },
    time::minutes,
};

/// Enforces a limit for `session` a minute after the last of `logins`.
pub(super) async fn enforce(
    registry: &dyn Registry,
    logins: &[NewLogin],
    session: SessionRef,
    limit: SessionLimit,
) -> (Vec<SessionRecord>, Ended) {
    let at = logins[logins.len() - 1].at.plus(minutes(1));
    let by = Some("Firefox on Linux".into());
    let given_end = Ended { by, ..Ended::new(Reason::Evicted, at) };
    let enforced = registry.enforce_limit(session, limit, given_end.clone());
    (outcome("enforce_limit", enforced).await, given_end)
}

/// `enforce_limit` ends the oldest of the other sessions; the session of the request stays,
/// although it is the oldest of all.
pub(super) async fn enforced_limit_keeps_the_requesting_session(registry: &dyn Registry) {
    for overflow in OVERFLOWS {
        let logins = commit_many(registry, &user("alice"), 4, now()).await;
        let (ended, given_end) =
            enforce(registry, &logins, session(&logins[0]), limit(2, overflow)).await;
        assert_ended(registry, &ended, &logins[1..3], &given_end).await;
        let rest = login_ids([&logins[0], &logins[3]]);
        assert_eq!(open_ids(registry, &logins[0].user).await, rest, "{overflow:?}");
    }
}

/// With `least_recent`, `enforce_limit` ends the least recently used session.
pub(super) async fn enforced_limit_ends_the_least_recently_used(registry: &dyn Registry) {
    let logins = commit_many(registry, &user("alice"), 3, now()).await;
    update(registry, &logins[0], activity(logins[2].at.plus(minutes(1)))).await;
    let limit = limit(2, Overflow::LeastRecent);
    let (ended, given_end) = enforce(registry, &logins, session(&logins[2]), limit).await;
    assert_ended(registry, &ended, &logins[1..2], &given_end).await;
}

/// Within the limit, `enforce_limit` ends no session.
pub(super) async fn enforced_limit_ends_no_session_within_it(registry: &dyn Registry) {
    let logins = commit_many(registry, &user("alice"), 3, now()).await;
    let limit = limit(3, Overflow::Evict);
    let (ended, _) = enforce(registry, &logins, session(&logins[0]), limit).await;
    assert_eq!(ended, [], "ended within the limit");
}

/// `enforce_limit` ends expired sessions first, for their own reason.
pub(super) async fn enforced_limit_ends_expired_sessions_first(registry: &dyn Registry) {
    let (logins, later) = one_of_two_expired(registry, Reason::Idle).await;
    let new = login(&logins[0].user, later);
    commit(registry, &new).await;
    let given_end = Ended::new(Reason::Evicted, later);
    let enforced = registry.enforce_limit(session(&new), limit(2, Overflow::Evict), given_end);
    let ended = outcome("enforce_limit", enforced).await;
    assert_ended(registry, &ended, &logins[..1], &Ended::new(Reason::Idle, later)).await;
}

/// `enforce_limit` for an ended, an unknown or another user's session ends no session.
pub(super) async fn enforced_limit_needs_an_open_session(registry: &dyn Registry) {
    let logins = commit_many(registry, &user("alice"), 4, now()).await;
    let (limit, later) = (limit(1, Overflow::Evict), logins[3].at.plus(minutes(1)));
    log_out(registry, &logins[0], later).await;
    let bobs = login(&user("bob"), later);
    commit(registry, &bobs).await;
    let alice = &logins[0].user;
    for not_open in [
        session(&logins[0]),
        SessionRef { user: Arc::clone(alice), id: PublicId::random() },
        SessionRef { user: Arc::clone(alice), id: bobs.id },
        session(&bobs),
    ] {
        let name = format!("{not_open:?}");
        assert_eq!(enforce(registry, &logins, not_open, limit).await.0, [], "for {name}");
    }
    assert_eq!(open_ids(registry, alice).await, login_ids(&logins[1..]), "left open");
}
