//! Promises about `reserve` and `cancel`: a reservation takes a slot until its deadline.

use std::sync::Arc;

use super::{
    fixtures::{MILLISECOND, data, limited, login, now, user},
    operations::{
        commit, commit_many, commit_refused, end, ids, load, load_end, log_out, login_ids,
        one_of_two_expired, open_ids, outcome, try_load,
    },
};
use crate::{
    policy::limit::Overflow,
    registry::{Registry, end::EndTarget},
    session::{
        data::SessionData,
        ended::Ended,
        key::RecordKey,
        login::{NewLogin, ReserveOutcome},
        reason::Reason,
    },
    time::{Timestamp, minutes, seconds},
};

/// Returns a login that is refused if the user has `max` sessions.
fn refusing(user: &Arc<str>, max: u32, at: Timestamp) -> NewLogin {
    limited(login(user, at), max, Overflow::Refuse)
}

/// Reserves a slot for `login` for 30 seconds, which must not be refused.
async fn reserve(registry: &dyn Registry, login: &NewLogin) -> Timestamp {
    let until = login.at.plus(seconds(30));
    let reserved = outcome("reserve", registry.reserve(login.reservation(until))).await;
    assert!(matches!(reserved, ReserveOutcome::Reserved { .. }), "a slot was free: {reserved:?}");
    until
}

async fn cancel(registry: &dyn Registry, key: RecordKey, at: Timestamp) {
    outcome("cancel", registry.cancel(key, Ended::new(Reason::LoggedOut, at))).await;
}

/// A reservation ends no session and creates no record, even if its login evicts a session.
pub(super) async fn reservation_ends_no_session(registry: &dyn Registry) {
    for overflow in [Overflow::Evict, Overflow::LeastRecent] {
        let logins = commit_many(registry, &user("alice"), 2, now()).await;
        let new = limited(login(&logins[0].user, logins[1].at), 1, overflow);
        reserve(registry, &new).await;
        assert_eq!(open_ids(registry, &new.user).await, login_ids(&logins), "{overflow:?}");
        assert_eq!(try_load(registry, new.key).await, None, "a record was created");
        let (_, ended) = commit(registry, &new).await;
        assert_eq!(ids(&ended), login_ids(&logins), "ended by the commit, {overflow:?}");
    }
}

/// A reservation without a free slot is refused with the active sessions, oldest login first.
pub(super) async fn reservation_without_a_slot_is_refused(registry: &dyn Registry) {
    let logins = commit_many(registry, &user("alice"), 2, now()).await;
    let new = refusing(&logins[0].user, 2, logins[1].at.plus(minutes(1)));
    let reserved = registry.reserve(new.reservation(new.at.plus(seconds(30))));
    match outcome("reserve", reserved).await {
        ReserveOutcome::Refused { active } => {
            let order: Vec<_> = active.iter().map(|record| record.id).collect();
            assert_eq!(order, [logins[0].id, logins[1].id], "the active sessions");
        }
        ReserveOutcome::Reserved { .. } => panic!("reserved without a free slot"),
    }
    log_out(registry, &logins[0], new.at).await;
    commit(registry, &refusing(&new.user, 2, new.at)).await;
}

/// Until exactly its deadline, no other login takes a reserved slot.
pub(super) async fn reservation_takes_a_slot_until_its_deadline(registry: &dyn Registry) {
    let first = refusing(&user("alice"), 1, now());
    let until = reserve(registry, &first).await;
    let early = refusing(&first.user, 1, until.minus(MILLISECOND));
    assert_eq!(commit_refused(registry, &early).await, [], "no session is active");
    let reserved = registry.reserve(early.reservation(until));
    let reserved = outcome("reserve", reserved).await;
    assert_eq!(reserved, ReserveOutcome::Refused { active: vec![] }, "a second reservation");
    commit(registry, &refusing(&first.user, 1, until)).await;
}

/// The login of an active reservation is not refused, even if another login has taken the last slot
/// since.
pub(super) async fn reserved_login_is_not_refused(registry: &dyn Registry) {
    let first = refusing(&user("alice"), 1, now());
    reserve(registry, &first).await;
    let second = limited(login(&first.user, first.at), 1, Overflow::Evict);
    assert_eq!(commit(registry, &second).await.1, [], "a reservation is no session to evict");
    commit(registry, &first).await;
    assert_eq!(open_ids(registry, &first.user).await, [first.id].into(), "the limit is one");
}

/// After its deadline a reservation has no effect, and its login can be refused.
pub(super) async fn reserved_login_is_refused_after_its_deadline(registry: &dyn Registry) {
    let first = refusing(&user("alice"), 1, now());
    let until = reserve(registry, &first).await;
    let second = refusing(&first.user, 1, until);
    commit(registry, &second).await;
    let late = NewLogin { at: until, ..first };
    assert_eq!(ids(&commit_refused(registry, &late).await), [second.id].into(), "active");
}

/// A committed login takes one slot: its reservation is released.
pub(super) async fn commit_releases_its_reservation(registry: &dyn Registry) {
    let first = refusing(&user("alice"), 2, now());
    reserve(registry, &first).await;
    commit(registry, &first).await;
    commit(registry, &refusing(&first.user, 2, first.at)).await;
    let third = refusing(&first.user, 2, first.at);
    assert_eq!(commit_refused(registry, &third).await.len(), 2, "active sessions");
}

/// A repeated reservation of the same login takes one slot, until the later deadline.
pub(super) async fn repeated_reservation_replaces_the_first(registry: &dyn Registry) {
    let first = refusing(&user("alice"), 2, now());
    let until = reserve(registry, &first).await;
    let again = NewLogin { at: first.at.plus(seconds(20)), ..first.clone() };
    reserve(registry, &again).await;
    commit(registry, &refusing(&first.user, 2, again.at)).await;
    let at_first_deadline = refusing(&first.user, 2, until);
    assert_eq!(commit_refused(registry, &at_first_deadline).await.len(), 1, "active sessions");
}

/// A reservation takes a slot of its own user only.
pub(super) async fn reservation_of_another_user_takes_no_slot(registry: &dyn Registry) {
    let bobs = refusing(&user("bob"), 1, now());
    reserve(registry, &bobs).await;
    commit(registry, &refusing(&user("alice"), 1, bobs.at)).await;
}

/// A reservation that replaces a session takes its slot, and the session stays open until the
/// commit.
pub(super) async fn reservation_takes_the_slot_that_it_replaces(registry: &dyn Registry) {
    let old = refusing(&user("alice"), 1, now());
    commit(registry, &old).await;
    let replaces = Some((old.id, Reason::LoggedOut));
    let new = NewLogin { replaces, ..refusing(&old.user, 1, old.at.plus(minutes(1))) };
    reserve(registry, &new).await;
    assert_eq!(open_ids(registry, &old.user).await, [old.id].into(), "before the commit");
    let (_, ended) = commit(registry, &new).await;
    assert_eq!(ids(&ended), [old.id].into(), "ended by the commit");
}

/// An expired session takes no slot from a reservation, and the reservation does not end it.
pub(super) async fn expired_session_does_not_block_a_reservation(registry: &dyn Registry) {
    let (logins, later) = one_of_two_expired(registry, Reason::Idle).await;
    let new = refusing(&logins[0].user, 2, later);
    reserve(registry, &new).await;
    assert_eq!(load_end(registry, logins[0].key).await, None, "the reservation ended a session");
}

/// A cancelled reservation takes no slot.
pub(super) async fn cancelled_reservation_is_released(registry: &dyn Registry) {
    let first = refusing(&user("alice"), 1, now());
    reserve(registry, &first).await;
    cancel(registry, first.key, first.at).await;
    assert_eq!(try_load(registry, first.key).await, None, "a record was created");
    commit(registry, &refusing(&first.user, 1, first.at)).await;
}

/// A login that is cancelled after its commit ends, and its data is deleted. A repeated commit does
/// not reopen it.
pub(super) async fn cancelled_login_ends(registry: &dyn Registry) {
    let entries = data([("a", "1")]);
    let login = NewLogin { data: entries, ..refusing(&user("alice"), 1, now()) };
    reserve(registry, &login).await;
    commit(registry, &login).await;
    let later = login.at.plus(seconds(1));
    cancel(registry, login.key, later).await;
    let loaded = load(registry, login.key).await;
    assert_eq!(loaded.record.ended, Some(Ended::new(Reason::LoggedOut, later)), "the end");
    assert_eq!((&*loaded.data, loaded.open), (&SessionData::default(), Some(0)), "what is left");
    let (record, _) = commit(registry, &login).await;
    assert!(record.ended.is_some(), "open again after a repeated commit");
    commit(registry, &refusing(&login.user, 1, later)).await;
}

/// The cancellation of an unknown login has no effect, and that of an ended login does not replace
/// its end.
pub(super) async fn cancel_without_an_open_login_changes_nothing(registry: &dyn Registry) {
    let login = login(&user("alice"), now());
    cancel(registry, RecordKey::random(&login.user), login.at).await;
    commit(registry, &login).await;
    let first = Ended::new(Reason::Revoked, login.at.plus(minutes(1)));
    let target = EndTarget::All(Arc::clone(&login.user));
    end(registry, target, &first).await;
    cancel(registry, login.key, login.at.plus(minutes(2))).await;
    assert_eq!(load_end(registry, login.key).await, Some(first), "the first end");
}
