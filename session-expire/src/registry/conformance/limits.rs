//! Promises about limits that change, that are not there, and about room that is made.

use super::rooms::one_of_two_has_run_out;
use super::stage::{
    activity, answered, assert_ended, ids_of, limited, login, login_from, now, open_ids, room,
    sign_in, sign_in_often, somebody,
};
use crate::{
    facts::Reason,
    limit::{Limit, Overflow},
    registry::{
        EndTarget, Registry,
        key::RecordKey,
        login::NewLogin,
        record::{Ended, SessionRecord},
        room::SessionLimit,
    },
    time::{hours, minutes},
};

/// A limit that was lowered since holds from the next login on: all that are too many yield at once.
pub async fn a_lowered_limit_ends_all_that_are_too_many(registry: &dyn Registry) {
    let logins = sign_in_often(registry, &somebody("alice"), 5, now()).await;
    let later = logins[4].at.plus(minutes(1));
    let new = limited(login_from("new", &logins[0].user, later), 2, Overflow::Evict);
    let (_, ended) = sign_in(registry, &new).await;
    assert_ended(registry, &ended, &logins[..4], &new.evicts()).await;
    let rest = [logins[4].clone(), new.clone()];
    assert_eq!(open_ids(registry, &new.user).await, ids_of(&rest), "left open");
}

/// No limit, written as `Off` or as 0, ends and refuses nobody.
pub async fn off_and_zero_mean_no_limit(registry: &dyn Registry) {
    for max_sessions in [Limit::Off, Limit::At(0)] {
        for overflow in [Overflow::Evict, Overflow::LeastRecent, Overflow::Refuse] {
            let (room, told) =
                (SessionLimit { max_sessions, overflow }, format!("{max_sessions:?} {overflow:?}"));
            let logins = sign_in_often(registry, &somebody("alice"), 3, now()).await;
            let later = logins[2].at.plus(minutes(1));
            let new = NewLogin { room, ..login(&logins[0].user, later) };
            assert_eq!(sign_in(registry, &new).await.1, [], "ended by a login, {told}");
            let over = Ended::new(Reason::Evicted, later);
            let ended = answered("make_room", registry.make_room(new.key, room, over)).await;
            assert_eq!(ended, [], "ended by `make_room`, {told}");
        }
    }
}

/// Where nothing limits them, a user may have a thousand sessions; then the oldest yields, also where
/// logins could be refused: no account may fill the memory of all.
pub async fn without_a_limit_a_thousand_are_the_limit(registry: &dyn Registry) {
    for overflow in [Overflow::Evict, Overflow::Refuse] {
        let room = SessionLimit { max_sessions: Limit::Off, overflow };
        let (user, at) = (somebody("alice"), now());
        let logins: Vec<_> = (0..=SessionLimit::WITHOUT_LIMIT)
            .map(|_| NewLogin { room, ..login(&user, at) })
            .collect();
        let (last, allowed) =
            (&logins[SessionLimit::WITHOUT_LIMIT], &logins[..SessionLimit::WITHOUT_LIMIT]);
        for login in allowed {
            assert_eq!(sign_in(registry, login).await.1, [], "ended by a login, {overflow:?}");
        }
        let (_, ended) = sign_in(registry, last).await;
        assert_eq!(ended.len(), 1, "ended by one login more than a thousand, {overflow:?}");
    }
}

/// Calls `make_room` a minute after the last of `logins`.
async fn make_room(
    registry: &dyn Registry,
    logins: &[NewLogin],
    key: RecordKey,
    room: SessionLimit,
) -> (Vec<SessionRecord>, Ended) {
    let at = logins[logins.len() - 1].at.plus(minutes(1));
    let over = Ended { at, reason: Reason::Evicted, by: Some("Firefox on Linux".into()) };
    (answered("make_room", registry.make_room(key, room, over.clone())).await, over)
}

/// `make_room` ends the oldest of the others; whoever asks stays, though it be the oldest of all.
pub async fn whoever_makes_room_stays(registry: &dyn Registry) {
    for overflow in [Overflow::Evict, Overflow::LeastRecent, Overflow::Refuse] {
        let logins = sign_in_often(registry, &somebody("alice"), 4, now()).await;
        let (ended, over) = make_room(registry, &logins, logins[0].key, room(2, overflow)).await;
        assert_ended(registry, &ended, &logins[1..3], &over).await;
        let rest = [logins[0].clone(), logins[3].clone()];
        assert_eq!(open_ids(registry, &logins[0].user).await, ids_of(&rest), "{overflow:?}");
    }
}

/// `make_room` with `least_recent` ends the one that was used longest ago.
pub async fn room_is_made_by_the_least_recently_used(registry: &dyn Registry) {
    let logins = sign_in_often(registry, &somebody("alice"), 3, now()).await;
    let change = activity(logins[2].at.plus(minutes(1)));
    answered("touch", registry.touch(logins[0].key, change)).await;
    let room = room(2, Overflow::LeastRecent);
    let (ended, over) = make_room(registry, &logins, logins[2].key, room).await;
    assert_ended(registry, &ended, &logins[1..2], &over).await;
}

/// Where there is room, `make_room` ends nobody.
pub async fn room_that_is_there_is_not_made(registry: &dyn Registry) {
    let logins = sign_in_often(registry, &somebody("alice"), 3, now()).await;
    let (ended, _) = make_room(registry, &logins, logins[0].key, room(3, Overflow::Evict)).await;
    assert_eq!(ended, [], "three were open, and three may be");
}

/// `make_room` too ends whoever ran out first, for its own reason.
pub async fn room_is_made_first_by_whoever_ran_out(registry: &dyn Registry) {
    let (logins, later) = one_of_two_has_run_out(registry, Reason::Idle).await;
    let asks = login(&logins[0].user, later);
    sign_in(registry, &asks).await;
    let over = Ended::new(Reason::Evicted, later);
    let making = registry.make_room(asks.key, room(2, Overflow::Evict), over);
    let ended = answered("make_room", making).await;
    assert_ended(registry, &ended, &logins[..1], &Ended::new(Reason::Idle, later)).await;
}

/// Whoever has ended, or is unknown, can't end others by asking for room; nor anyone of another user.
pub async fn no_room_is_made_for_whoever_has_ended(registry: &dyn Registry) {
    let logins = sign_in_often(registry, &somebody("alice"), 4, now()).await;
    let (room, later) = (room(1, Overflow::Evict), logins[3].at.plus(hours(1)));
    let over = Ended::new(Reason::LoggedOut, later);
    answered("end", registry.end(EndTarget::Key(logins[0].key), over)).await;
    for key in [logins[0].key, RecordKey::random(&logins[0].user)] {
        let (ended, _) = make_room(registry, &logins, key, room).await;
        assert_eq!(ended, [], "ended for a session that is none");
    }
    let bobs = login(&somebody("bob"), later);
    sign_in(registry, &bobs).await;
    assert_eq!(make_room(registry, &logins, bobs.key, room).await.0, [], "ended for Bob");
    let open = open_ids(registry, &logins[0].user).await;
    assert_eq!(open, ids_of(&logins[1..]), "the user's sessions changed");
}
