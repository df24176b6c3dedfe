//! Promises about uncounted sessions, which the session limit ignores.

use std::sync::Arc;

use super::{
    enforce_limit::enforce,
    fixtures::{OVERFLOWS, limit, limited, login, now, session, user},
    operations::{assert_ended, commit, commit_many, count_open, end, ids, login_ids, open_ids},
};
use crate::{
    policy::limit::Overflow,
    registry::{Registry, end::EndTarget},
    session::{ended::Ended, login::NewLogin, reason::Reason, record::SessionRef},
    time::{Timestamp, minutes},
};

fn uncounted(user: &Arc<str>, at: Timestamp) -> NewLogin {
    NewLogin { uncounted: true, ..limited(login(user, at), 1, Overflow::Refuse) }
}

/// An uncounted session takes no slot and is not counted as open.
pub(super) async fn uncounted_session_takes_no_slot(registry: &dyn Registry) {
    let (alice, at) = (user("alice"), now());
    let special = uncounted(&alice, at);
    commit(registry, &special).await;
    assert_eq!(count_open(registry, special.key).await, Some(0), "counted alone");
    for overflow in [Overflow::Refuse, Overflow::Evict] {
        let alice = user("alice");
        let special = uncounted(&alice, at);
        commit(registry, &special).await;
        let new = limited(login(&alice, at.plus(minutes(1))), 1, overflow);
        assert_eq!(commit(registry, &new).await.1, [], "ended by the login, {overflow:?}");
        assert_eq!(count_open(registry, special.key).await, Some(1), "counted, {overflow:?}");
        assert_eq!(open_ids(registry, &alice).await, login_ids([&special, &new]), "{overflow:?}");
    }
}

/// An uncounted login is not refused, and evicts no session.
pub(super) async fn uncounted_login_needs_no_slot(registry: &dyn Registry) {
    for overflow in OVERFLOWS {
        let logins = commit_many(registry, &user("alice"), 2, now()).await;
        let special = uncounted(&logins[0].user, logins[1].at.plus(minutes(1)));
        let special = limited(special, 1, overflow);
        assert_eq!(commit(registry, &special).await.1, [], "ended by the login, {overflow:?}");
        assert_eq!(count_open(registry, special.key).await, Some(2), "counted, {overflow:?}");
    }
}

/// `enforce_limit` does not end an uncounted session, and does nothing for one.
pub(super) async fn uncounted_session_is_outside_the_limit(registry: &dyn Registry) {
    let (alice, at) = (user("alice"), now());
    let special = uncounted(&alice, at);
    commit(registry, &special).await;
    let logins = commit_many(registry, &alice, 3, at.plus(minutes(1))).await;
    let one = limit(1, Overflow::Evict);
    let (ended, _) = enforce(registry, &logins, session(&special), one).await;
    assert_eq!(ended, [], "enforced for the uncounted session");
    let (ended, given_end) = enforce(registry, &logins, session(&logins[0]), one).await;
    assert_ended(registry, &ended, &logins[1..], &given_end).await;
    assert_eq!(open_ids(registry, &alice).await, login_ids([&special, &logins[0]]), "left open");
}

/// Uncounted sessions end like any other session.
pub(super) async fn uncounted_session_ends_with_the_others(registry: &dyn Registry) {
    for target in [EndTarget::Others as fn(_) -> _, |kept: SessionRef| EndTarget::All(kept.user)] {
        let (alice, at) = (user("alice"), now());
        let (special, kept) = (uncounted(&alice, at), login(&alice, at));
        commit(registry, &special).await;
        commit(registry, &kept).await;
        let ended = end(registry, target(session(&kept)), &Ended::new(Reason::Revoked, at)).await;
        assert!(ids(&ended).contains(&special.id), "not ended by {:?}", target(session(&kept)));
    }
}
