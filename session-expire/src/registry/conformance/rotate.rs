//! Promises about `rotate`: renewals and re-authentications.

use std::sync::Arc;

use super::{
    fixtures::{activity, data, data_update, login, now, session, set, too_large, user},
    operations::{
        commit, count_open, end, ids, list, load, load_end, log_out, open_ids, outcome, try_load,
        update,
    },
};
use crate::{
    policy::Policy,
    registry::{
        Registry,
        end::EndTarget,
        query::Query,
        rotation::{KeyRotation, RotationOutcome},
    },
    session::{
        data::SessionData,
        ended::Ended,
        key::{PublicId, RecordKey},
        login::NewLogin,
        reason::Reason,
        record::{SessionRecord, SessionRef},
        update::{SessionUpdate, UpdateOutcome},
    },
    time::{Timestamp, minutes},
};

/// Commits a login with data. Also returns a time after it.
pub(super) async fn commit_with_data(registry: &dyn Registry) -> (NewLogin, Timestamp) {
    let login = NewLogin { data: data([("a", "1")]), ..login(&user("alice"), now()) };
    commit(registry, &login).await;
    let later = login.at.plus(minutes(5));
    (login, later)
}

pub(super) fn renewal(login: &NewLogin, update: SessionUpdate) -> KeyRotation {
    KeyRotation::new(session(login), login.key, update)
}

fn reauthentication(login: &NewLogin, update: SessionUpdate) -> KeyRotation {
    let reauthenticated_as = Some(PublicId::random());
    KeyRotation { reauthenticated_as, ..renewal(login, update) }
}

pub(super) async fn rotate(registry: &dyn Registry, rotation: &KeyRotation) -> RotationOutcome {
    outcome("rotate", registry.rotate(rotation.clone())).await
}

/// A renewed session continues under the new key with its id, its timeouts and its data.
pub(super) async fn renewed_session_continues_under_the_new_key(registry: &dyn Registry) {
    let (login, later) = commit_with_data(registry).await;
    let rotation = renewal(&login, SessionUpdate::new(later));
    assert_eq!(rotate(registry, &rotation).await, RotationOutcome::Rotated, "the outcome");
    let loaded = load(registry, rotation.to).await;
    assert_eq!(*loaded.record, SessionRecord::new(&login), "the record under the new key");
    assert_eq!(*loaded.data, login.data, "the data under the new key");
}

/// A rotated session is counted once, and listed once as open.
pub(super) async fn rotated_session_is_counted_and_listed_once(registry: &dyn Registry) {
    let (login, later) = commit_with_data(registry).await;
    let rotation = renewal(&login, SessionUpdate::new(later));
    rotate(registry, &rotation).await;
    assert_eq!(count_open(registry, rotation.to).await, Some(1), "counted");
    let all = Query::all(Arc::clone(&login.user));
    assert_eq!(ids(&list(registry, all).await), [login.id].into(), "listed");
    assert_eq!(open_ids(registry, &login.user).await, [login.id].into(), "listed as open");
}

/// The update of a rotation is stored with it.
pub(super) async fn rotation_stores_its_update(registry: &dyn Registry) {
    let (login, later) = commit_with_data(registry).await;
    let mut change = activity(later);
    change.data = set([("b", "2")]);
    let rotation = renewal(&login, change);
    rotate(registry, &rotation).await;
    let loaded = load(registry, rotation.to).await;
    assert_eq!(loaded.record.last_seen, later, "`last_seen`");
    assert_eq!(*loaded.data, data([("a", "1"), ("b", "2")]), "the data");
}

/// The second of two renewals of one key is lost: its new key is unknown, and its data is stored.
pub(super) async fn lost_rotation_stores_its_update(registry: &dyn Registry) {
    let (login, later) = commit_with_data(registry).await;
    let first = renewal(&login, SessionUpdate::new(later));
    rotate(registry, &first).await;
    let second = renewal(&login, data_update(later, set([("b", "2")])));
    assert_eq!(rotate(registry, &second).await, RotationOutcome::Lost, "the outcome");
    assert_eq!(try_load(registry, second.to).await, None, "the key of the lost rotation");
    let loaded = load(registry, first.to).await;
    assert_eq!(loaded.record.ended, None, "the session");
    assert_eq!(*loaded.data, data([("a", "1"), ("b", "2")]), "the data");
}

/// A late request that loaded the old key still updates and ends the session.
pub(super) async fn update_after_a_renewal_reaches_the_session(registry: &dyn Registry) {
    let (login, later) = commit_with_data(registry).await;
    let rotation = renewal(&login, SessionUpdate::new(later));
    rotate(registry, &rotation).await;
    update(registry, &login, data_update(later, set([("late", "3")]))).await;
    let loaded = load(registry, rotation.to).await;
    assert_eq!(*loaded.data, data([("a", "1"), ("late", "3")]), "the data");
    log_out(registry, &login, later).await;
    let ended = Some(Ended::new(Reason::LoggedOut, later));
    assert_eq!(load_end(registry, rotation.to).await, ended, "the end under the new key");
    let renewed = load_end(registry, login.key).await.map(|ended| ended.reason);
    assert_eq!(renewed, Some(Reason::Renewed), "the reason under the old key");
}

/// A key can be rotated several times.
pub(super) async fn key_can_be_rotated_repeatedly(registry: &dyn Registry) {
    let (login, later) = commit_with_data(registry).await;
    let mut key = login.key;
    for _ in 0..3 {
        let rotation = KeyRotation::new(session(&login), key, SessionUpdate::new(later));
        assert_eq!(rotate(registry, &rotation).await, RotationOutcome::Rotated, "the outcome");
        let old = load_end(registry, key).await.map(|ended| ended.reason);
        assert_eq!(old, Some(Reason::Renewed), "the old key");
        key = rotation.to;
    }
    assert_eq!(*load(registry, key).await.data, login.data, "the data");
}

/// A rotation of an ended, an unknown or another user's session changes nothing.
pub(super) async fn rotation_without_an_open_session_changes_nothing(registry: &dyn Registry) {
    let (login, later) = commit_with_data(registry).await;
    let change = data_update(later, set([("b", "2")]));
    let unknown = SessionRef { id: PublicId::random(), ..session(&login) };
    let other_user = SessionRef { user: user("bob"), ..session(&login) };
    for session in [unknown, other_user] {
        let rotation = KeyRotation { session, ..renewal(&login, change.clone()) };
        assert_eq!(rotate(registry, &rotation).await, RotationOutcome::Ended, "unknown");
        assert_eq!(try_load(registry, rotation.to).await, None, "the key of an unknown session");
    }
    assert_eq!(*load(registry, login.key).await.data, login.data, "the data");
    log_out(registry, &login, later).await;
    let before = load(registry, login.key).await;
    for rotation in [renewal(&login, change.clone()), reauthentication(&login, change)] {
        assert_eq!(rotate(registry, &rotation).await, RotationOutcome::Ended, "ended");
        assert_eq!(try_load(registry, rotation.to).await, None, "the key of an ended session");
    }
    assert_eq!(load(registry, login.key).await, before, "the ended record");
}

/// A rotation whose data would exceed the maximum size changes nothing.
pub(super) async fn too_large_rotation_does_not_rotate_the_key(registry: &dyn Registry) {
    let (login, later) = commit_with_data(registry).await;
    let mut change = activity(later);
    change.data = too_large();
    let before = load(registry, login.key).await;
    for rotation in [renewal(&login, change.clone()), reauthentication(&login, change)] {
        assert_eq!(rotate(registry, &rotation).await, RotationOutcome::TooLarge, "the outcome");
        assert_eq!(try_load(registry, rotation.to).await, None, "the new key");
        assert_eq!(load(registry, login.key).await, before, "the session");
    }
}

/// A re-authentication resets both timeouts and sets the new public id. The login time and the data
/// do not change.
pub(super) async fn reauthentication_resets_both_timeouts(registry: &dyn Registry) {
    let (login, later) = commit_with_data(registry).await;
    let rotation = reauthentication(&login, SessionUpdate::new(later));
    assert_eq!(rotate(registry, &rotation).await, RotationOutcome::Rotated, "the outcome");
    let loaded = load(registry, rotation.to).await;
    let record = &*loaded.record;
    assert_eq!((record.authenticated_at, record.last_seen), (later, later), "the timeouts");
    assert_eq!(record.logged_in_at, login.at, "the time of the login");
    assert_eq!(Some(record.id), rotation.reauthenticated_as, "the id");
    assert_eq!(*loaded.data, login.data, "the data");
    let old = load(registry, login.key).await;
    assert_eq!(old.record.ended, Some(Ended::new(Reason::Renewed, later)), "the old key");
    assert!(old.data.is_empty(), "the old key still loads the data");
}

/// After a re-authentication the session has the new public id, and the old one is unknown.
pub(super) async fn reauthenticated_session_has_its_new_id_only(registry: &dyn Registry) {
    let (login, later) = commit_with_data(registry).await;
    let rotation = reauthentication(&login, SessionUpdate::new(later));
    rotate(registry, &rotation).await;
    let late = data_update(later, set([("late", "3")]));
    let updated = outcome("update", registry.update(session(&login), late)).await;
    assert_eq!(updated, UpdateOutcome::Ended, "an update of the old id");
    let Some(id) = rotation.reauthenticated_as else { return };
    let late = data_update(later, set([("late", "3")]));
    let new = SessionRef { id, ..session(&login) };
    let updated = outcome("update", registry.update(new.clone(), late)).await;
    assert_eq!(updated, UpdateOutcome::Updated, "an update of the new id");
    let ended = Ended::new(Reason::Revoked, later);
    let old = EndTarget::Session(session(&login));
    assert_eq!(end(registry, old, &ended).await, [], "ended by the old id");
    assert_eq!(open_ids(registry, &login.user).await, [id].into(), "listed as open");
    let new = EndTarget::Session(new);
    assert_eq!(ids(&end(registry, new, &ended).await), [id].into(), "ended by the new id");
    assert_eq!(*load(registry, rotation.to).await.data, SessionData::default(), "the data");
}

/// A re-authentication of a key that another request has rotated is lost and resets no timeout.
pub(super) async fn lost_reauthentication_resets_nothing(registry: &dyn Registry) {
    let (login, later) = commit_with_data(registry).await;
    let winner = renewal(&login, SessionUpdate::new(later));
    rotate(registry, &winner).await;
    let loser = reauthentication(&login, data_update(later, set([("b", "2")])));
    assert_eq!(rotate(registry, &loser).await, RotationOutcome::Lost, "the outcome");
    let loaded = load(registry, winner.to).await;
    assert_eq!(*loaded.record, SessionRecord::new(&login), "the record");
    assert_eq!(*loaded.data, data([("a", "1"), ("b", "2")]), "the data");
}

/// A rotation does not change another session of the same user.
pub(super) async fn rotation_changes_one_session_only(registry: &dyn Registry) {
    let (login, later) = commit_with_data(registry).await;
    let other = NewLogin::new(Arc::clone(&login.user), later, &Policy::new());
    commit(registry, &other).await;
    let before = load(registry, other.key).await;
    rotate(registry, &reauthentication(&login, activity(later))).await;
    assert_eq!(load(registry, other.key).await, before, "the other session");
    let wrong_key =
        KeyRotation { from: RecordKey::random(&login.user), ..renewal(&other, activity(later)) };
    assert_eq!(rotate(registry, &wrong_key).await, RotationOutcome::Lost, "with a wrong key");
    assert_eq!(load_end(registry, other.key).await, None, "the other session");
}
