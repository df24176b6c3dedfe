//! Promises about the number of sessions: who yields, who is refused, who is never counted.

use std::sync::Arc;

use super::stage::{
    ABSOLUTE, IDLE, activity, answered, assert_ended, end_of, ids, ids_of, limited, load, login,
    login_from, now, open_ids, sign_in, sign_in_in_vain, sign_in_often, somebody,
};
use crate::{
    facts::Reason,
    limit::{Limit, Overflow},
    registry::{
        EndTarget, Registry,
        key::RecordKey,
        login::NewLogin,
        record::{Ended, SessionRecord},
    },
    time::{Timestamp, minutes},
};

/// Signs in three times; then once more where only three may be.
async fn one_too_many(
    registry: &dyn Registry,
    overflow: Overflow,
) -> (Vec<NewLogin>, NewLogin, Vec<SessionRecord>) {
    let at = now();
    let logins = sign_in_often(registry, &somebody("alice"), 3, at).await;
    // In order of use: the second, the third, the first.
    for (login, minute) in [(&logins[1], 4), (&logins[2], 5), (&logins[0], 6)] {
        let change = activity(at.plus(minutes(minute)));
        answered("touch", registry.touch(login.key, change)).await;
    }
    let new = login_from("Firefox on Linux", &logins[0].user, at.plus(minutes(7)));
    let new = limited(new, 3, overflow);
    let (_, ended) = sign_in(registry, &new).await;
    (logins, new, ended)
}

/// The oldest login yields, however busy, in the same step, and learns which device took its place.
pub async fn the_oldest_login_yields(registry: &dyn Registry) {
    let (logins, new, ended) = one_too_many(registry, Overflow::Evict).await;
    assert_ended(registry, &ended, &logins[..1], &new.evicts()).await;
    let rest = [logins[1].clone(), logins[2].clone(), new.clone()];
    assert_eq!(open_ids(registry, &new.user).await, ids_of(&rest), "left open");
    assert_eq!(load(registry, new.key).await.open, 3, "counted as open");
}

/// With `least_recent` the one yields that was used longest ago.
pub async fn the_least_recently_used_yields(registry: &dyn Registry) {
    let (logins, new, ended) = one_too_many(registry, Overflow::LeastRecent).await;
    assert_ended(registry, &ended, &logins[1..2], &new.evicts()).await;
}

/// The one that yields learns which device took its place.
pub async fn whoever_yields_learns_the_device(registry: &dyn Registry) {
    let (logins, _, _) = one_too_many(registry, Overflow::Evict).await;
    let by = end_of(registry, logins[0].key).await.and_then(|ended| ended.by);
    assert_eq!(by.as_deref(), Some("Firefox on Linux"), "`by` is not the device of the new login");
}

/// With `refuse` a login without a place is turned away, learns who holds the places, the oldest
/// login first, and nothing has changed.
pub async fn a_login_without_a_place_is_refused_and_nothing_changes(registry: &dyn Registry) {
    let (alice, at) = (somebody("alice"), now());
    // Out of order, as from machines whose clocks differ.
    let ages = [2, 0, 1];
    let logins = ages.map(|age| login(&alice, at.plus(minutes(age))));
    for login in &logins {
        sign_in(registry, login).await;
    }
    let new = limited(login(&alice, at.plus(minutes(3))), 3, Overflow::Refuse);
    let holders = sign_in_in_vain(registry, &new).await;
    let oldest_first = [&logins[1], &logins[2], &logins[0]].map(SessionRecord::new);
    assert_eq!(holders, oldest_first, "not the holders, the oldest login first");
    assert_eq!(
        answered("load", registry.load(new.key)).await,
        None,
        "it was recorded all the same"
    );
    assert_eq!(open_ids(registry, &alice).await, ids_of(&logins), "the refusal ended somebody");
}

/// Also the one that the refused login would have replaced lives on: the person is still signed in.
pub async fn a_refused_login_replaces_nothing(registry: &dyn Registry) {
    let logins = sign_in_often(registry, &somebody("alice"), 3, now()).await;
    let new = login(&logins[0].user, logins[2].at.plus(minutes(1)));
    let replaces = Some((logins[0].key, Reason::LoggedOut));
    let new = limited(NewLogin { replaces, ..new }, 2, Overflow::Refuse);
    let holders = sign_in_in_vain(registry, &new).await;
    assert_eq!(ids(&holders), ids_of(&logins[1..]), "the replaced one holds no place");
    assert_eq!(end_of(registry, logins[0].key).await, None, "a refused login ended the old one");
}

/// Refused is only whoever has no place: up to the limit everyone is admitted, and nobody ends.
pub async fn there_is_room_up_to_the_limit(registry: &dyn Registry) {
    for overflow in [Overflow::Evict, Overflow::LeastRecent, Overflow::Refuse] {
        let (alice, at) = (somebody("alice"), now());
        for n in 0..3 {
            let new = limited(login(&alice, at.plus(minutes(n))), 3, overflow);
            let (_, ended) = sign_in(registry, &new).await;
            assert_eq!(ended, [], "ended by login {n} of 3 with {overflow:?}");
        }
    }
}

/// The number is each user's own.
pub async fn another_users_sessions_take_no_place(registry: &dyn Registry) {
    let at = now();
    let bobs = sign_in_often(registry, &somebody("bob"), 3, at).await;
    for overflow in [Overflow::Evict, Overflow::Refuse] {
        let new = limited(login(&somebody("alice"), at.plus(minutes(5))), 1, overflow);
        let (_, ended) = sign_in(registry, &new).await;
        assert_eq!(ended, [], "Alice's login ended somebody with {overflow:?}");
    }
    assert_eq!(open_ids(registry, &bobs[0].user).await, ids_of(&bobs), "of the other user");
}

/// What has ended holds no place.
pub async fn ended_sessions_take_no_place(registry: &dyn Registry) {
    for overflow in [Overflow::Evict, Overflow::LeastRecent, Overflow::Refuse] {
        let logins = sign_in_often(registry, &somebody("alice"), 3, now()).await;
        let later = logins[2].at.plus(minutes(1));
        let over = Ended::new(Reason::LoggedOut, later);
        answered("end", registry.end(EndTarget::Key(logins[1].key), over.clone())).await;
        let (_, ended) =
            sign_in(registry, &limited(login(&logins[0].user, later), 3, overflow)).await;
        assert_eq!(ended, [], "an ended session still held a place with {overflow:?}");
        assert_eq!(end_of(registry, logins[1].key).await, Some(over), "with {overflow:?}");
    }
}

/// Signs in two sessions of which the first has run out by the time that is answered.
pub(super) async fn one_of_two_has_run_out(
    registry: &dyn Registry,
    reason: Reason,
) -> ([NewLogin; 2], Timestamp) {
    let (alice, at) = (somebody("alice"), now());
    let rests = if reason == Reason::Idle { IDLE } else { ABSOLUTE };
    let later = at.plus(rests);
    let logins = [login(&alice, at), login(&alice, later.minus(minutes(1)))];
    sign_in(registry, &logins[0]).await;
    let busy = activity(later.minus(minutes(2)));
    if reason == Reason::Absolute {
        answered("touch", registry.touch(logins[0].key, busy)).await;
    }
    sign_in(registry, &logins[1]).await;
    (logins, later)
}

/// Whoever has run out, unnoticed so far, refuses nobody, and ends for the reason why it ran out.
pub async fn whoever_ran_out_refuses_nobody(registry: &dyn Registry) {
    for reason in [Reason::Idle, Reason::Absolute] {
        let (logins, later) = one_of_two_has_run_out(registry, reason).await;
        let new = limited(login(&logins[0].user, later), 2, Overflow::Refuse);
        let (_, ended) = sign_in(registry, &new).await;
        assert_ended(registry, &ended, &logins[..1], &Ended::new(reason, later)).await;
        let one_more = limited(login(&new.user, later), 2, Overflow::Refuse);
        let holders = sign_in_in_vain(registry, &one_more).await;
        assert_eq!(ids(&holders), ids_of(&[logins[1].clone(), new]), "holders, {reason}");
    }
}

/// Among the holders that a refused login is told there is none that has run out.
pub async fn whoever_ran_out_is_no_holder(registry: &dyn Registry) {
    let (logins, later) = one_of_two_has_run_out(registry, Reason::Idle).await;
    let new = limited(login(&logins[0].user, later), 1, Overflow::Refuse);
    let holders = sign_in_in_vain(registry, &new).await;
    assert_eq!(ids(&holders), ids_of(&logins[1..]), "holders");
    assert_eq!(end_of(registry, logins[0].key).await, None, "a refusal changed something");
}

/// Whoever has run out yields before anyone alive, for its own reason, as nobody took its place.
pub async fn whoever_ran_out_yields_first(registry: &dyn Registry) {
    for overflow in [Overflow::Evict, Overflow::LeastRecent] {
        for reason in [Reason::Idle, Reason::Absolute] {
            let (logins, later) = one_of_two_has_run_out(registry, reason).await;
            let new = limited(login_from("new", &logins[0].user, later), 2, overflow);
            let (_, ended) = sign_in(registry, &new).await;
            assert_ended(registry, &ended, &logins[..1], &Ended::new(reason, later)).await;
        }
    }
}

/// It yields first also when it is the younger login, under limits of its own.
pub async fn a_younger_one_that_ran_out_yields_before_an_older_one(registry: &dyn Registry) {
    let (alice, at) = (somebody("alice"), now());
    let old = login(&alice, at);
    let mut young = login(&alice, at.plus(minutes(1)));
    young.limits.idle = Limit::At(minutes(2));
    sign_in(registry, &old).await;
    sign_in(registry, &young).await;
    let later = at.plus(minutes(3));
    let (_, ended) = sign_in(registry, &limited(login(&alice, later), 2, Overflow::Evict)).await;
    assert_ended(registry, &ended, &[young], &Ended::new(Reason::Idle, later)).await;
}

/// Over at exactly the limit, alive a millisecond before.
pub async fn a_session_holds_its_place_until_exactly_its_limit(registry: &dyn Registry) {
    let at = now();
    let login_at = |user: &Arc<str>, at| limited(login(user, at), 1, Overflow::Refuse);
    let first = login(&somebody("alice"), at);
    sign_in(registry, &first).await;
    let ends = at.plus(IDLE);
    let too_soon = ends.minus(std::time::Duration::from_millis(1));
    let holders = sign_in_in_vain(registry, &login_at(&first.user, too_soon)).await;
    assert_eq!(
        ids(&holders),
        ids_of(std::slice::from_ref(&first)),
        "a millisecond before the limit"
    );
    let (_, ended) = sign_in(registry, &login_at(&first.user, ends)).await;
    assert_ended(registry, &ended, &[first], &Ended::new(Reason::Idle, ends)).await;
}

/// The same browser that signs in again takes its own place: nobody else yields, nobody is refused.
pub async fn a_replaced_login_holds_no_place(registry: &dyn Registry) {
    for overflow in [Overflow::Evict, Overflow::LeastRecent, Overflow::Refuse] {
        let logins = sign_in_often(registry, &somebody("alice"), 3, now()).await;
        let later = logins[2].at.plus(minutes(1));
        let replaces = Some((logins[1].key, Reason::LoggedOut));
        let new = NewLogin { replaces, ..login_from("new", &logins[0].user, later) };
        let new = limited(new, 3, overflow);
        let (_, ended) = sign_in(registry, &new).await;
        let over = Ended::new(Reason::LoggedOut, later);
        assert_ended(registry, &ended, &logins[1..2], &over).await;
        let rest = [logins[0].clone(), logins[2].clone(), new.clone()];
        assert_eq!(open_ids(registry, &new.user).await, ids_of(&rest), "{overflow:?}");
    }
}

/// The reason with which a login replaces another is the one that stays, whatever it is.
pub async fn a_replaced_login_ends_for_the_given_reason(registry: &dyn Registry) {
    for reason in [Reason::Idle, Reason::Absolute, Reason::LoggedOut] {
        let old = login(&somebody("alice"), now());
        sign_in(registry, &old).await;
        let later = old.at.plus(minutes(1));
        let new = NewLogin { replaces: Some((old.key, reason)), ..login(&old.user, later) };
        let (_, ended) = sign_in(registry, &new).await;
        assert_ended(registry, &ended, &[old], &Ended::new(reason, later)).await;
    }
}

/// To replace what has ended, or was never there, is nothing; the first reason stays.
pub async fn an_ended_login_is_not_replaced_again(registry: &dyn Registry) {
    let old = login(&somebody("alice"), now());
    sign_in(registry, &old).await;
    let first = Ended::new(Reason::Revoked, old.at.plus(minutes(1)));
    answered("end", registry.end(EndTarget::Key(old.key), first.clone())).await;
    for key in [old.key, RecordKey::random(&old.user)] {
        let replaces = Some((key, Reason::LoggedOut));
        let new = NewLogin { replaces, ..login(&old.user, old.at.plus(minutes(2))) };
        assert_eq!(sign_in(registry, &new).await.1, [], "ended by the login");
    }
    assert_eq!(end_of(registry, old.key).await, Some(first), "the first end was lost");
}

/// A login replaces only a login of its own user.
pub async fn another_users_login_is_not_replaced(registry: &dyn Registry) {
    let bobs = login(&somebody("bob"), now());
    sign_in(registry, &bobs).await;
    let later = bobs.at.plus(minutes(1));
    let replaces = Some((bobs.key, Reason::LoggedOut));
    let new = NewLogin { replaces, ..login(&somebody("alice"), later) };
    assert_eq!(sign_in(registry, &new).await.1, [], "Alice's login ended somebody");
    assert_eq!(end_of(registry, bobs.key).await, None, "Alice's login ended Bob's session");
}
