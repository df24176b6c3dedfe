//! Promises about uncounted sessions, which the session limit ignores.

use std::sync::Arc;

use super::{
    enforce_limit::enforce,
    fixtures::{IDLE, MILLISECOND, OVERFLOWS, limit, limited, login, now, session, user},
    operations::{
        assert_ended, commit, commit_many, commit_refused, count_open, end, ids, log_out,
        login_ids, open_ids, outcome,
    },
    tickets::{issue, taking_over},
};
use crate::{
    policy::limit::Overflow,
    registry::{Registry, end::EndTarget},
    session::{
        ended::Ended,
        limit::SessionLimit,
        login::{NewLogin, ReserveOutcome},
        reason::Reason,
        record::{SessionRecord, SessionRef},
    },
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

/// A reservation of an uncounted login takes no slot and needs none.
pub(super) async fn uncounted_reservation_takes_no_slot(registry: &dyn Registry) {
    let (alice, at) = (user("alice"), now());
    commit(registry, &login(&alice, at)).await;
    let special = uncounted(&alice, at);
    let reserved = outcome("reserve", registry.reserve(special.reservation(at.plus(minutes(1)))));
    assert!(matches!(reserved.await, ReserveOutcome::Reserved { .. }), "reserved");
    let new = limited(login(&alice, at), 2, Overflow::Refuse);
    assert_eq!(commit(registry, &new).await.1, [], "ended by a counted login");
    commit(registry, &special).await;
}

/// Commits the largest number of uncounted logins that may be active.
async fn commit_most(registry: &dyn Registry, at: Timestamp) -> Vec<NewLogin> {
    let alice = user("alice");
    let mut logins = vec![];
    for n in 0..SessionLimit::MAX_UNCOUNTED {
        let at = at.plus(MILLISECOND * u32::try_from(n).unwrap_or(0));
        logins.push(uncounted(&alice, at));
        assert_eq!(commit(registry, &logins[n]).await.1, [], "ended by login {n}");
    }
    logins
}

/// A user has at most 100 active uncounted sessions. A further login or reservation is refused with
/// the active sessions, oldest login first.
pub(super) async fn uncounted_sessions_are_limited(registry: &dyn Registry) {
    let logins = commit_most(registry, now()).await;
    let (alice, later) = (&logins[0].user, logins[0].at.plus(minutes(1)));
    let oldest_first = |records: &[SessionRecord]| {
        let ids: Vec<_> = records.iter().map(|record| record.id).collect();
        ids == logins.iter().map(|login| login.id).collect::<Vec<_>>()
    };
    let special = uncounted(alice, later);
    assert!(oldest_first(&commit_refused(registry, &special).await), "refused by `commit`");
    let reserved = registry.reserve(special.reservation(later.plus(minutes(1))));
    match outcome("reserve", reserved).await {
        ReserveOutcome::Refused { active } => {
            assert!(oldest_first(&active), "refused by `reserve`");
        }
        ReserveOutcome::Reserved { .. } => panic!("reserved beyond the limit"),
    }
    commit(registry, &limited(login(alice, later), 1, Overflow::Refuse)).await;
    log_out(registry, &logins[7], later).await;
    commit(registry, &special).await;
}

/// The replaced session and the chosen session of a takeover do not count towards the 100.
pub(super) async fn chosen_sessions_make_room_for_an_uncounted_login(registry: &dyn Registry) {
    let logins = commit_most(registry, now()).await;
    let (alice, later) = (&logins[0].user, logins[0].at.plus(minutes(1)));
    let replaces = Some((logins[3].id, Reason::LoggedOut));
    let replacing = NewLogin { replaces, ..uncounted(alice, later) };
    let reserved = registry.reserve(replacing.reservation(later.plus(minutes(1))));
    let reserved = outcome("reserve", reserved).await;
    assert!(matches!(reserved, ReserveOutcome::Reserved { .. }), "refused by `reserve`");
    let (_, ended) = commit(registry, &replacing).await;
    assert_eq!(ids(&ended), login_ids(&logins[3..4]), "ended by the replacing login");
    let ticket = issue(registry, alice, later).await;
    let taking = taking_over(uncounted(alice, later), ticket, logins[5].id);
    let (_, ended) = commit(registry, &taking).await;
    assert_eq!(ids(&ended), login_ids(&logins[5..6]), "ended by the takeover");
    let active = commit_refused(registry, &uncounted(alice, later)).await;
    assert_eq!(active.len(), SessionLimit::MAX_UNCOUNTED, "active sessions");
}

/// Expired uncounted sessions do not count towards the 100. A further login ends them.
pub(super) async fn expired_uncounted_sessions_end_at_the_limit(registry: &dyn Registry) {
    let at = now();
    let logins = commit_most(registry, at).await;
    let (alice, later) = (&logins[0].user, at.plus(IDLE));
    let special = uncounted(alice, later);
    let reservation = special.reservation(later.plus(minutes(1)));
    let reserved = outcome("reserve", registry.reserve(reservation)).await;
    assert!(matches!(reserved, ReserveOutcome::Reserved { .. }), "refused by `reserve`");
    let (_, ended) = commit(registry, &special).await;
    assert_ended(registry, &ended, &logins[..1], &Ended::new(Reason::Idle, later)).await;
    let much_later = later.plus(IDLE);
    let last = uncounted(alice, much_later);
    let (_, ended) = commit(registry, &last).await;
    assert_eq!(ids(&ended).len(), SessionLimit::MAX_UNCOUNTED, "ended by the last login");
    assert_eq!(open_ids(registry, alice).await, login_ids([&last]), "left open");
}
