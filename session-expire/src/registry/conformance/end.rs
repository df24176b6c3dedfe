//! Promises about `end`: exactly these sessions, once, for good.

use std::sync::Arc;

use super::{
    fixtures::{now, session, user},
    operations::{assert_ended, commit_many, count_open, end, end_of, ids_of, log_out, open_ids},
};
use crate::{
    registry::{Registry, end::EndTarget},
    session::{
        key::PublicId,
        login::NewLogin,
        reason::Reason,
        record::{Ended, SessionRef},
    },
    time::{Timestamp, minutes},
};

/// Alice with three sessions, Bob with two, and a time after all of them.
async fn two_users(registry: &dyn Registry) -> (Vec<NewLogin>, Vec<NewLogin>, Timestamp) {
    let at = now();
    let alices = commit_many(registry, &user("alice"), 3, at).await;
    let bobs = commit_many(registry, &user("bob"), 2, at).await;
    (alices, bobs, at.plus(minutes(5)))
}

/// Returns an end with all its fields.
fn revoked(at: Timestamp) -> Ended {
    let by = Some("Opera on Amiga".into());
    Ended { by, ..Ended::new(Reason::Revoked, at).because("password_changed") }
}

fn unknown(user: &Arc<str>) -> SessionRef {
    SessionRef { user: Arc::clone(user), id: PublicId::random() }
}

/// One session ends, and no other.
pub async fn end_of_a_session_ends_one(registry: &dyn Registry) {
    let (alices, bobs, later) = two_users(registry).await;
    let how = revoked(later);
    let ended = end(registry, EndTarget::Session(session(&alices[1])), &how).await;
    assert_ended(registry, &ended, &alices[1..2], &how).await;
    let rest = ids_of([&alices[0], &alices[2]]);
    assert_eq!(open_ids(registry, &alices[0].user).await, rest, "of the same user");
    assert_eq!(open_ids(registry, &bobs[0].user).await, ids_of(&bobs), "of another user");
}

/// The public id of another user's session ends nothing.
pub async fn id_of_another_users_session_ends_nothing(registry: &dyn Registry) {
    let (alices, bobs, later) = two_users(registry).await;
    let target = SessionRef { user: Arc::clone(&bobs[0].user), id: alices[0].id };
    let ended = end(registry, EndTarget::Session(target), &revoked(later)).await;
    assert_eq!(ended, [], "returned as ended");
    assert_eq!(end_of(registry, alices[0].key).await, None, "the other user's session");
}

/// The others end, the kept session stays, and other users' sessions stay.
pub async fn end_of_the_others_keeps_one(registry: &dyn Registry) {
    let (alices, bobs, later) = two_users(registry).await;
    let how = revoked(later);
    let ended = end(registry, EndTarget::Others(session(&alices[0])), &how).await;
    assert_ended(registry, &ended, &alices[1..], &how).await;
    assert_eq!(open_ids(registry, &alices[0].user).await, ids_of(&alices[..1]), "of the same user");
    assert_eq!(open_ids(registry, &bobs[0].user).await, ids_of(&bobs), "of another user");
}

/// The others end only if the kept session is open: an ended or unknown one ends none.
pub async fn end_of_the_others_needs_an_open_session(registry: &dyn Registry) {
    let (alices, bobs, later) = two_users(registry).await;
    log_out(registry, &alices[0], later).await;
    let alice = &alices[0].user;
    for kept in [
        session(&alices[0]),
        unknown(alice),
        SessionRef { user: Arc::clone(alice), id: bobs[0].id },
    ] {
        let name = format!("{kept:?}");
        let ended = end(registry, EndTarget::Others(kept), &revoked(later)).await;
        assert_eq!(ended, [], "ended for {name}");
    }
    assert_eq!(open_ids(registry, alice).await, ids_of(&alices[1..]), "left open");
}

/// All sessions of one user end, and other users' sessions stay.
pub async fn end_of_all_ends_those_of_the_user(registry: &dyn Registry) {
    let (alices, bobs, later) = two_users(registry).await;
    let how = revoked(later);
    let ended = end(registry, EndTarget::All(Arc::clone(&alices[0].user)), &how).await;
    assert_ended(registry, &ended, &alices, &how).await;
    assert_eq!(open_ids(registry, &bobs[0].user).await, ids_of(&bobs), "of another user");
    assert_eq!(count_open(registry, alices[0].key).await, Some(0), "counted as open");
}

/// An ended session is not ended again, and not returned again.
pub async fn only_open_sessions_are_returned_as_ended(registry: &dyn Registry) {
    let (alices, _, later) = two_users(registry).await;
    log_out(registry, &alices[1], later).await;
    let how = revoked(later.plus(minutes(1)));
    let ended = end(registry, EndTarget::All(Arc::clone(&alices[0].user)), &how).await;
    let open = [alices[0].clone(), alices[2].clone()];
    assert_ended(registry, &ended, &open, &how).await;
}

/// The first end stays, with its reason and its time, whatever the target of the second.
pub async fn first_end_stays(registry: &dyn Registry) {
    let (alices, _, later) = two_users(registry).await;
    let first = revoked(later);
    end(registry, EndTarget::Session(session(&alices[0])), &first).await;
    let second = Ended::new(Reason::LoggedOut, later.plus(minutes(1)));
    for target in [
        EndTarget::Session(session(&alices[0])),
        EndTarget::Others(session(&alices[1])),
        EndTarget::All(Arc::clone(&alices[0].user)),
    ] {
        let again = end(registry, target, &second).await;
        assert!(again.iter().all(|record| record.id != alices[0].id), "it ended twice");
        let end = end_of(registry, alices[0].key).await;
        assert_eq!(end.as_ref(), Some(&first), "the first end was lost");
    }
}

/// Each reason comes back, with and without a device and a cause.
pub async fn reasons_and_causes_round_trip(registry: &dyn Registry) {
    use Reason::{Absolute, Evicted, Idle, LoggedOut, Renewed, Revoked, Unknown};
    let at = now();
    let reasons = [Absolute, Evicted, Idle, LoggedOut, Revoked, Renewed, Unknown];
    let texts = [None, Some("Firefox on Linux"), Some(""), Some("é\0\"🦀"), None, Some("x"), None];
    let logins = commit_many(registry, &user("alice"), 7, at).await;
    for (n, (reason, login)) in reasons.into_iter().zip(&logins).enumerate() {
        let (by, cause) = (texts[n].map(Arc::from), texts[6 - n].map(Arc::from));
        let how = Ended { at: login.at, reason, cause, by };
        let ended = end(registry, EndTarget::Session(session(login)), &how).await;
        assert_ended(registry, &ended, std::slice::from_ref(login), &how).await;
    }
}

/// To end an unknown session, or those of a user without one, is no error.
pub async fn end_of_unknown_sessions_is_nothing(registry: &dyn Registry) {
    let (alice, how) = (user("alice"), revoked(now()));
    for target in [
        EndTarget::Session(unknown(&alice)),
        EndTarget::Others(unknown(&alice)),
        EndTarget::All(Arc::clone(&alice)),
    ] {
        let name = format!("{target:?}");
        assert_eq!(end(registry, target, &how).await, [], "{name}");
    }
}
