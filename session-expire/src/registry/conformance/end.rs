//! Promises about `end`: exactly the targets end, once, and stay ended.

use std::sync::Arc;

use super::{
    fixtures::{now, session, user},
    operations::{
        assert_ended, commit_many, count_open, end, load_end, log_out, login_ids, open_ids,
    },
};
use crate::{
    registry::{Registry, end::EndTarget},
    session::{ended::Ended, key::PublicId, login::NewLogin, reason::Reason, record::SessionRef},
    time::{Timestamp, minutes},
};

/// Commits three logins of Alice and two of Bob. Also returns a time after them.
async fn two_users(registry: &dyn Registry) -> (Vec<NewLogin>, Vec<NewLogin>, Timestamp) {
    let at = now();
    let alices = commit_many(registry, &user("alice"), 3, at).await;
    let bobs = commit_many(registry, &user("bob"), 2, at).await;
    (alices, bobs, at.plus(minutes(5)))
}

/// Returns an end whose optional fields are set.
fn revoked(at: Timestamp) -> Ended {
    let by = Some("Opera on Amiga".into());
    Ended { by, ..Ended::new(Reason::Revoked, at).with_cause("password_changed") }
}

fn unknown(user: &Arc<str>) -> SessionRef {
    SessionRef { user: Arc::clone(user), id: PublicId::random() }
}

/// A target of one session ends only that session.
pub(super) async fn end_of_a_session_ends_one(registry: &dyn Registry) {
    let (alices, bobs, later) = two_users(registry).await;
    let given_end = revoked(later);
    let ended = end(registry, EndTarget::Session(session(&alices[1])), &given_end).await;
    assert_ended(registry, &ended, &alices[1..2], &given_end).await;
    let rest = login_ids([&alices[0], &alices[2]]);
    assert_eq!(open_ids(registry, &alices[0].user).await, rest, "of the same user");
    assert_eq!(open_ids(registry, &bobs[0].user).await, login_ids(&bobs), "of another user");
}

/// A public id of another user's session ends no session.
pub(super) async fn id_of_another_users_session_ends_nothing(registry: &dyn Registry) {
    let (alices, bobs, later) = two_users(registry).await;
    let target = SessionRef { user: Arc::clone(&bobs[0].user), id: alices[0].id };
    let ended = end(registry, EndTarget::Session(target), &revoked(later)).await;
    assert_eq!(ended, [], "returned as ended");
    assert_eq!(load_end(registry, alices[0].key).await, None, "the other user's session");
}

/// The other sessions of the user end. The given session and the sessions of other users stay.
pub(super) async fn end_of_the_others_leaves_the_given_session(registry: &dyn Registry) {
    let (alices, bobs, later) = two_users(registry).await;
    let given_end = revoked(later);
    let ended = end(registry, EndTarget::Others(session(&alices[0])), &given_end).await;
    assert_ended(registry, &ended, &alices[1..], &given_end).await;
    assert_eq!(
        open_ids(registry, &alices[0].user).await,
        login_ids(&alices[..1]),
        "of the same user"
    );
    assert_eq!(open_ids(registry, &bobs[0].user).await, login_ids(&bobs), "of another user");
}

/// The other sessions end only if the given session is open.
pub(super) async fn end_of_the_others_needs_an_open_session(registry: &dyn Registry) {
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
    assert_eq!(open_ids(registry, alice).await, login_ids(&alices[1..]), "left open");
}

/// All sessions of the user end. The sessions of other users stay.
pub(super) async fn end_of_all_ends_the_sessions_of_the_user(registry: &dyn Registry) {
    let (alices, bobs, later) = two_users(registry).await;
    let given_end = revoked(later);
    let ended = end(registry, EndTarget::All(Arc::clone(&alices[0].user)), &given_end).await;
    assert_ended(registry, &ended, &alices, &given_end).await;
    assert_eq!(open_ids(registry, &bobs[0].user).await, login_ids(&bobs), "of another user");
    assert_eq!(count_open(registry, alices[0].key).await, Some(0), "counted as open");
}

/// A session that has ended before is not returned.
pub(super) async fn only_open_sessions_are_returned_as_ended(registry: &dyn Registry) {
    let (alices, _, later) = two_users(registry).await;
    log_out(registry, &alices[1], later).await;
    let given_end = revoked(later.plus(minutes(1)));
    let ended = end(registry, EndTarget::All(Arc::clone(&alices[0].user)), &given_end).await;
    let open = [alices[0].clone(), alices[2].clone()];
    assert_ended(registry, &ended, &open, &given_end).await;
}

/// A second end does not replace the first, for every kind of target.
pub(super) async fn first_end_is_not_replaced(registry: &dyn Registry) {
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
        assert!(again.iter().all(|record| record.id != alices[0].id), "session ended twice");
        let end = load_end(registry, alices[0].key).await;
        assert_eq!(end.as_ref(), Some(&first), "the first end");
    }
}

/// Every reason round-trips, with and without a device and a cause.
pub(super) async fn reasons_and_causes_round_trip(registry: &dyn Registry) {
    use Reason::{Absolute, Evicted, Idle, LoggedOut, Renewed, Revoked, Unknown};
    let at = now();
    let reasons = [Absolute, Evicted, Idle, LoggedOut, Revoked, Renewed, Unknown];
    let texts = [None, Some("Firefox on Linux"), Some(""), Some("é\0\"🦀"), None, Some("x"), None];
    let logins = commit_many(registry, &user("alice"), 7, at).await;
    for (n, (reason, login)) in reasons.into_iter().zip(&logins).enumerate() {
        let (by, cause) = (texts[n].map(Arc::from), texts[6 - n].map(Arc::from));
        let given_end = Ended { at: login.at, reason, cause, by };
        let ended = end(registry, EndTarget::Session(session(login)), &given_end).await;
        assert_ended(registry, &ended, std::slice::from_ref(login), &given_end).await;
    }
}

/// The end of an unknown session, or of a user without sessions, is not an error.
pub(super) async fn end_of_unknown_sessions_ends_nothing(registry: &dyn Registry) {
    let (alice, given_end) = (user("alice"), revoked(now()));
    for target in [
        EndTarget::Session(unknown(&alice)),
        EndTarget::Others(unknown(&alice)),
        EndTarget::All(Arc::clone(&alice)),
    ] {
        let name = format!("{target:?}");
        assert_eq!(end(registry, target, &given_end).await, [], "{name}");
    }
}
