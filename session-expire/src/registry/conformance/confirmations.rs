//! Promises about failed re-authentications, remembered sessions and security stamps.

use super::{
    fixtures::{activity, login, now, session, user},
    operations::{commit, commit_many, load, load_end, log_out, outcome, update},
};
use crate::{
    registry::{
        Registry,
        rotation::{KeyRotation, RotationOutcome},
    },
    session::{
        ended::Ended,
        key::{PublicId, RecordKey},
        login::NewLogin,
        login::stamp::Stamp,
        reason::Reason,
        record::{SessionRecord, SessionRef},
        update::SessionUpdate,
    },
    time::{Timestamp, minutes},
};

/// Number of attempts before the one that ends the session.
const ATTEMPTS: u8 = SessionRecord::MAX_CONFIRMATION_ATTEMPTS;

pub(super) fn too_many(at: Timestamp) -> Ended {
    Ended::new(Reason::Revoked, at).with_cause("too_many_attempts").by("Opera on Amiga")
}

/// Counts an attempt to re-authenticate in `session`.
pub(super) async fn fail(
    registry: &dyn Registry,
    session: SessionRef,
    at: Timestamp,
) -> Option<SessionRecord> {
    let counted = registry.count_confirmation_attempt(session, too_many(at));
    outcome("count_confirmation_attempt", counted).await
}

/// Counts attempts that do not end the session.
async fn fail_repeatedly(registry: &dyn Registry, login: &NewLogin) {
    for number in 1..=ATTEMPTS {
        let counted = fail(registry, session(login), login.at).await;
        let expected = SessionRecord { confirmation_attempts: number, ..SessionRecord::new(login) };
        assert_eq!(counted, Some(expected), "failure {number}");
    }
}

async fn rotate(registry: &dyn Registry, rotation: &KeyRotation) {
    let rotated = outcome("rotate", registry.rotate(rotation.clone())).await;
    assert_eq!(rotated, RotationOutcome::Rotated, "the outcome");
}

async fn load_record(registry: &dyn Registry, key: RecordKey) -> SessionRecord {
    SessionRecord::clone(&load(registry, key).await.record)
}

/// An attempt to re-authenticate is counted in the record, which is returned. The session stays open.
pub(super) async fn failed_confirmation_is_counted(registry: &dyn Registry) {
    let login = login(&user("alice"), now());
    commit(registry, &login).await;
    fail_repeatedly(registry, &login).await;
    let record = load_record(registry, login.key).await;
    assert_eq!((record.confirmation_attempts, record.ended), (ATTEMPTS, None), "the loaded record");
}

/// The attempt after the fifth in a row ends the session once, with the given end.
pub(super) async fn sixth_confirmation_attempt_ends_the_session(registry: &dyn Registry) {
    let login = login(&user("alice"), now());
    commit(registry, &login).await;
    fail_repeatedly(registry, &login).await;
    let later = login.at.plus(minutes(1));
    let expected = SessionRecord {
        confirmation_attempts: ATTEMPTS + 1,
        ended: Some(too_many(later)),
        ..SessionRecord::new(&login)
    };
    let counted = fail(registry, session(&login), later).await;
    assert_eq!(counted.as_ref(), Some(&expected), "the returned record");
    assert_eq!(load_record(registry, login.key).await, expected, "the loaded record");
    let again = fail(registry, session(&login), later.plus(minutes(1))).await;
    assert_eq!(again, None, "a failure after the end");
    assert_eq!(load_record(registry, login.key).await, expected, "the first end");
}

/// A failure counts for one session only.
pub(super) async fn failed_confirmation_counts_for_one_session(registry: &dyn Registry) {
    let logins = commit_many(registry, &user("alice"), 2, now()).await;
    fail_repeatedly(registry, &logins[0]).await;
    fail(registry, session(&logins[0]), logins[0].at).await;
    let other = load_record(registry, logins[1].key).await;
    assert_eq!(other, SessionRecord::new(&logins[1]), "the other session");
}

/// A failure in an ended session, an unknown session or a session of another user is not counted.
pub(super) async fn failed_confirmation_needs_an_open_session(registry: &dyn Registry) {
    let logins = commit_many(registry, &user("alice"), 2, now()).await;
    log_out(registry, &logins[0], logins[0].at).await;
    let unknown = SessionRef { id: PublicId::random(), ..session(&logins[1]) };
    let of_another_user = SessionRef { user: user("bob"), ..session(&logins[1]) };
    for session in [session(&logins[0]), unknown, of_another_user] {
        let name = format!("{session:?}");
        assert_eq!(fail(registry, session, logins[1].at).await, None, "{name}");
    }
    let ended = load_record(registry, logins[0].key).await;
    assert_eq!(ended.confirmation_attempts, 0, "the ended session");
    let open = load_record(registry, logins[1].key).await;
    assert_eq!(open, SessionRecord::new(&logins[1]), "the open session");
}

/// An update with `remembered` sets it. Other updates do not clear it.
pub(super) async fn remembered_session_stays_remembered(registry: &dyn Registry) {
    let login = login(&user("alice"), now());
    commit(registry, &login).await;
    let later = login.at.plus(minutes(1));
    for (remembered, expected) in [(false, false), (true, true), (false, true)] {
        update(registry, &login, SessionUpdate { remembered, ..activity(later) }).await;
        let record = load_record(registry, login.key).await;
        assert_eq!(record.remembered, expected, "after {remembered}");
    }
}

/// A stamp with any bits is stored and loaded unchanged.
pub(super) async fn stamp_round_trips(registry: &dyn Registry) {
    for number in [1, u64::MAX, 1 << 63, 12_345_678_901_234_567_891] {
        let stamp = Stamp::from_number(number);
        let login = NewLogin { stamp, ..login(&user("alice"), now()) };
        commit(registry, &login).await;
        let record = load_record(registry, login.key).await;
        assert_eq!(record, SessionRecord::new(&login), "the stamp {number}");
    }
}

/// An update replaces the stamp. Other updates do not change it.
pub(super) async fn update_replaces_the_stamp(registry: &dyn Registry) {
    let login = login(&user("alice"), now());
    commit(registry, &login).await;
    let (first, second) = (Stamp::from_number(u64::MAX), Stamp::from_number(7));
    for (stamp, expected) in [(first, first), (None, first), (second, second), (None, second)] {
        update(registry, &login, SessionUpdate { stamp, ..activity(login.at) }).await;
        let record = load_record(registry, login.key).await;
        let number = expected.map(Stamp::to_number);
        assert_eq!(record.stamp.map(Stamp::to_number), number, "the stamp");
    }
}

/// Returns a login with a stamp, whose session is remembered and has failed re-authentications.
async fn commit_remembered(registry: &dyn Registry) -> NewLogin {
    let login = NewLogin { stamp: Stamp::from_number(7), ..login(&user("alice"), now()) };
    commit(registry, &login).await;
    fail_repeatedly(registry, &login).await;
    update(registry, &login, SessionUpdate { remembered: true, ..activity(login.at) }).await;
    login
}

/// A renewal keeps the failures, `remembered` and the stamp.
pub(super) async fn renewal_keeps_confirmation_attempts(registry: &dyn Registry) {
    let login = commit_remembered(registry).await;
    let before = load_record(registry, login.key).await;
    let update = SessionUpdate::new(login.at);
    let rotation = KeyRotation::new(session(&login), login.key, update);
    rotate(registry, &rotation).await;
    assert_eq!(load_record(registry, rotation.to).await, before, "the record");
    fail(registry, session(&login), login.at).await;
    assert_eq!(load_end(registry, rotation.to).await, Some(too_many(login.at)), "the last failure");
}

/// A re-authentication deletes the failures and `remembered`, and keeps the stamp.
pub(super) async fn reauthentication_deletes_confirmation_attempts(registry: &dyn Registry) {
    let login = commit_remembered(registry).await;
    let id = PublicId::random();
    let update = SessionUpdate::new(login.at);
    let rotation = KeyRotation::new(session(&login), login.key, update);
    let rotation = KeyRotation { reauthenticated_as: Some(id), ..rotation };
    rotate(registry, &rotation).await;
    let record = load_record(registry, rotation.to).await;
    assert_eq!((record.confirmation_attempts, record.remembered), (0, false), "the record");
    assert_eq!(record.stamp, login.stamp, "the stamp");
    let counted = fail(registry, SessionRef { id, ..session(&login) }, login.at).await;
    let counted = counted.map(|record| (record.confirmation_attempts, record.ended));
    assert_eq!(counted, Some((1, None)), "the next failure");
}
