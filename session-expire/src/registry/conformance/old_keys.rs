//! Promises about the old keys of rotated sessions.

use std::sync::Arc;

use super::{
    fixtures::{login, now, session, user},
    operations::{commit, count_open, end, ids, list, load, outcome},
    rotate::{commit_with_data, renewal, rotate},
};
use crate::{
    registry::{
        Registry,
        end::EndTarget,
        query::Query,
        rotation::{KeyRotation, RotationOutcome},
    },
    session::{
        ended::Ended, key::PublicId, login::NewLogin, reason::Reason, record::SessionRef,
        update::SessionUpdate,
    },
    time::hours,
};

/// The old key loads a record that has ended as renewed, without data.
pub(super) async fn rotated_key_loads_as_renewed(registry: &dyn Registry) {
    let (login, later) = commit_with_data(registry).await;
    rotate(registry, &renewal(&login, SessionUpdate::new(later))).await;
    let loaded = load(registry, login.key).await;
    assert_eq!(loaded.record.ended, Some(Ended::new(Reason::Renewed, later)), "the end");
    assert_eq!((&loaded.record.user, loaded.record.id), (&login.user, login.id), "the session");
    assert!(loaded.data.is_empty(), "the old key still loads the data");
}

/// The old key of a re-authenticated session loads the public id that the session has after this
/// re-authentication. Lists contain the session once.
pub(super) async fn old_key_of_reauthenticated_session_names_the_new_id(registry: &dyn Registry) {
    let (login, later) = commit_with_data(registry).await;
    let (mut key, mut id) = (login.key, login.id);
    for _ in 0..2 {
        let current = SessionRef { id, ..session(&login) };
        let mut rotation = KeyRotation::new(current, key, SessionUpdate::new(later));
        let next = PublicId::random();
        rotation.reauthenticated_as = Some(next);
        assert_eq!(rotate(registry, &rotation).await, RotationOutcome::Rotated, "the outcome");
        let old = load(registry, key).await;
        assert_eq!(old.record.ended, Some(Ended::new(Reason::Renewed, later)), "the end");
        assert_eq!((&old.record.user, old.record.id), (&login.user, next), "the session");
        assert!(old.data.is_empty(), "the old key still loads the data");
        (key, id) = (rotation.to, next);
    }
    let all = Query::all(Arc::clone(&login.user));
    let listed = list(registry, all).await;
    assert_eq!(listed.iter().map(|record| record.id).collect::<Vec<_>>(), [id], "listed");
    assert_eq!(count_open(registry, key).await, Some(1), "counted");
    let revoked = Ended::new(Reason::Revoked, later);
    let ended = end(registry, EndTarget::All(Arc::clone(&login.user)), &revoked).await;
    assert_eq!(ids(&ended), [id].into(), "ended");
    assert_eq!(outcome("erase", registry.erase(Arc::clone(&login.user))).await, 1, "erased");
}

/// A key rotation moves the end of adoption from the session to the tombstone of the first key.
pub(super) async fn rotation_leaves_the_end_of_adoption_at_the_first_key(registry: &dyn Registry) {
    let at = now();
    let adopted_until = Some(at.plus(hours(24 * 30)));
    let login = NewLogin { adopted_until, ..login(&user("alice"), at) };
    commit(registry, &login).await;
    let mut key = login.key;
    for expected in [adopted_until, None] {
        let rotation = KeyRotation::new(session(&login), key, SessionUpdate::new(at));
        outcome("rotate", registry.rotate(rotation.clone())).await;
        assert_eq!(load(registry, key).await.record.tombstone_until, expected, "the old key");
        key = rotation.to;
        assert_eq!(load(registry, key).await.record.tombstone_until, None, "the new key");
    }
}
