//! Promises about all sessions of users: `erase`, `export` and `end_everyone`.

use std::sync::Arc;

use super::{
    fixtures::{activity, data, limited, login, now, session, user},
    operations::{
        assert_ended, commit, commit_many, count_open, end, ids, list, load, load_end, log_out,
        login_ids, open_ids, outcome, try_load,
    },
};
use crate::{
    policy::limit::Overflow,
    registry::{
        Registry,
        end::EndTarget,
        query::Query,
        rotation::{KeyRotation, RotationOutcome},
    },
    session::{
        ended::Ended,
        login::{LoginOutcome, NewLogin, ReserveOutcome},
        reason::Reason,
        update::{SessionUpdate, UpdateOutcome},
    },
    time::{hours, minutes, seconds},
};

/// `erase` deletes the open and the ended records of the user, and no others.
pub(super) async fn erase_deletes_all_records_of_the_user(registry: &dyn Registry) {
    let (alice, bob, at) = (user("alice"), user("bob"), now());
    let alices = commit_many(registry, &alice, 3, at).await;
    let bobs = commit_many(registry, &bob, 1, at).await;
    log_out(registry, &alices[1], at.plus(minutes(5))).await;
    let erased = outcome("erase", registry.erase(Arc::clone(&alice))).await;
    assert_eq!(erased, 3, "the number of records");
    for login in &alices {
        assert_eq!(try_load(registry, login.key).await, None, "an erased record");
    }
    let all = Query::all(Arc::clone(&alice));
    assert_eq!(list(registry, all).await, [], "the list of the user");
    assert_eq!(open_ids(registry, &bob).await, login_ids(&bobs), "the other user");
    assert_eq!(outcome("erase", registry.erase(Arc::clone(&alice))).await, 0, "once more");
    commit(registry, &limited(login(&alice, at), 1, Overflow::Refuse)).await;
}

/// `erase` also deletes the old key of a rotated session.
pub(super) async fn erase_deletes_rotated_keys(registry: &dyn Registry) {
    let login = login(&user("alice"), now());
    commit(registry, &login).await;
    let update = SessionUpdate::new(login.at);
    let rotation = KeyRotation::new(session(&login), login.key, update);
    outcome("rotate", registry.rotate(rotation.clone())).await;
    let erased = outcome("erase", registry.erase(Arc::clone(&login.user))).await;
    assert_eq!(erased, 1, "the number of records");
    for key in [login.key, rotation.to] {
        assert_eq!(try_load(registry, key).await, None, "an erased record");
    }
}

/// `export` returns all records, newest login first, and the data of the open ones.
pub(super) async fn export_returns_records_and_data(registry: &dyn Registry) {
    let (alice, at) = (user("alice"), now());
    let mut logins = vec![];
    for n in 0..3 {
        let mut login = login(&alice, at.plus(minutes(n)));
        login.data = data([("n", &*n.to_string())]);
        commit(registry, &login).await;
        logins.push(login);
    }
    commit_many(registry, &user("bob"), 1, at).await;
    log_out(registry, &logins[1], at.plus(minutes(5))).await;
    let export = outcome("export", registry.export(Arc::clone(&alice))).await;
    let order: Vec<_> = export.records.iter().map(|record| record.id).collect();
    assert_eq!(order, [logins[2].id, logins[1].id, logins[0].id], "the records");
    let ended: Vec<_> = export.records.iter().map(|record| record.ended.is_some()).collect();
    assert_eq!(ended, [false, true, false], "the ended ones");
    let mut exported = export.data;
    exported.sort_by_key(|(session, _)| session.id);
    let mut open = [&logins[0], &logins[2]].map(|login| (session(login), login.data.clone()));
    open.sort_by_key(|(session, _)| session.id);
    assert_eq!(exported, open, "the data");
    let none = outcome("export", registry.export(user("carol"))).await;
    assert_eq!((none.records.len(), none.data.len()), (0, 0), "of a user without a login");
}

/// `end_everyone` ends the sessions of all users, deletes their data, and returns the number of
/// sessions.
pub(super) async fn end_everyone_ends_the_sessions_of_all_users(registry: &dyn Registry) {
    let at = now();
    let mut logins = vec![];
    for name in ["alice", "bob"] {
        logins.extend(commit_many(registry, &user(name), 2, at).await);
    }
    let special =
        NewLogin { uncounted: true, data: data([("a", "1")]), ..login(&user("carol"), at) };
    commit(registry, &special).await;
    log_out(registry, &logins[0], at.plus(minutes(4))).await;
    logins.push(special);
    let given_end = Ended::new(Reason::Revoked, at.plus(minutes(5))).with_cause("incident");
    let count = outcome("end_everyone", registry.end_everyone(given_end.clone())).await;
    assert!(count >= 4, "{count} sessions ended");
    for login in &logins[1..] {
        let loaded = load(registry, login.key).await;
        assert_eq!(loaded.record.ended.as_ref(), Some(&given_end), "the end");
        assert!(loaded.data.is_empty(), "the data");
        assert_eq!(open_ids(registry, &login.user).await, [].into(), "the list");
    }
    let first = load_end(registry, logins[0].key).await.map(|ended| ended.reason);
    assert_eq!(first, Some(Reason::LoggedOut), "the first reason");
    let again = outcome("end_everyone", registry.end_everyone(given_end.clone())).await;
    assert_eq!(again, 0, "sessions ended twice");
}

/// A session that `end_everyone` has ended stays ended, even if clocks differ. Its first end does
/// not change.
pub(super) async fn end_everyone_is_final(registry: &dyn Registry) {
    let (alice, at) = (user("alice"), now());
    let login = NewLogin { data: data([("a", "1")]), ..login(&alice, at) };
    commit(registry, &login).await;
    let earlier = Ended::new(Reason::Revoked, at.minus(minutes(5)));
    outcome("end_everyone", registry.end_everyone(earlier.clone())).await;
    let later = Ended::new(Reason::Revoked, at.plus(minutes(5)));
    outcome("end_everyone", registry.end_everyone(later.clone())).await;
    let updated = outcome("update", registry.update(session(&login), activity(at))).await;
    assert_eq!(updated, UpdateOutcome::Ended, "an update");
    let rotation = KeyRotation::new(session(&login), login.key, SessionUpdate::new(at));
    let rotated = outcome("rotate", registry.rotate(rotation)).await;
    assert_eq!(rotated, RotationOutcome::Ended, "a rotation");
    let ended = end(registry, EndTarget::All(Arc::clone(&alice)), &later).await;
    assert_eq!(ended, [], "ended a second time");
    outcome("cancel", registry.cancel(login.key, later)).await;
    assert_eq!(load_end(registry, login.key).await, Some(earlier.clone()), "the loaded end");
    let history = list(registry, Query::history(Arc::clone(&alice))).await;
    let ends: Vec<_> = history.into_iter().map(|record| record.ended).collect();
    assert_eq!(ends, [Some(earlier)], "the history");
    let export = outcome("export", registry.export(alice)).await;
    assert!(export.data.is_empty(), "the exported data");
}

/// The sessions that `end_everyone` has ended take no slot.
pub(super) async fn end_everyone_frees_all_slots(registry: &dyn Registry) {
    let (alice, at) = (user("alice"), now());
    commit_many(registry, &alice, 3, at).await;
    outcome("end_everyone", registry.end_everyone(Ended::new(Reason::Revoked, at))).await;
    let new = limited(login(&alice, at.plus(minutes(5))), 1, Overflow::Refuse);
    assert_eq!(commit(registry, &new).await.1, [], "ended by the login");
    assert_eq!(count_open(registry, new.key).await, Some(1), "open sessions");
    assert_eq!(open_ids(registry, &alice).await, [new.id].into(), "the list");
}

/// A login that was reserved before `end_everyone` commits nothing. A new login succeeds.
pub(super) async fn end_everyone_voids_logins_in_progress(registry: &dyn Registry) {
    let (alice, at) = (user("alice"), now());
    let mut voided = login(&alice, at);
    let reservation = voided.reservation(at.plus(seconds(30)));
    let ReserveOutcome::Reserved { generation } =
        outcome("reserve", registry.reserve(reservation)).await
    else {
        panic!("refused without a limit");
    };
    voided.reserved_in = Some(generation);
    let ended = Ended::new(Reason::Revoked, at);
    outcome("end_everyone", registry.end_everyone(ended.clone())).await;
    for after in [seconds(1), minutes(60)] {
        let login = NewLogin { at: at.plus(after), ..voided.clone() };
        let committed = outcome("commit", registry.commit(login)).await;
        assert!(matches!(committed, LoginOutcome::Voided), "committed: {committed:?}");
    }
    assert_eq!(try_load(registry, voided.key).await, None, "the record");
    assert_eq!(open_ids(registry, &alice).await, [].into(), "the list");
    outcome("cancel", registry.cancel(voided.key, ended)).await;
    commit(registry, &login(&alice, at)).await;
}

/// A session that no policy accepts any more moves to the history at the next login.
pub(super) async fn unused_session_moves_to_the_history(registry: &dyn Registry) {
    let (alice, at) = (user("alice"), now().minus(hours(24 * 9)));
    let unused = login(&alice, at);
    commit(registry, &unused).await;
    let record = load(registry, unused.key).await.record;
    let new = login(&alice, record.leaves_at().plus(hours(2)));
    commit(registry, &new).await;
    assert_eq!(open_ids(registry, &alice).await, [new.id].into(), "the open sessions");
    let history = list(registry, Query::history(alice)).await;
    let ends: Vec<_> = history.into_iter().map(|record| record.ended).collect();
    assert_eq!(ends, [Some(record.final_end())], "the history");
}

/// After `end_everyone` no session can be adopted, reservations are void, and users can sign in.
pub(super) async fn end_everyone_voids_reservations_and_adoption(registry: &dyn Registry) {
    let (alice, at) = (user("alice"), now());
    let reserved = limited(login(&alice, at), 1, Overflow::Refuse);
    outcome("reserve", registry.reserve(reserved.reservation(at.plus(seconds(30))))).await;
    let given_end = Ended::new(Reason::Revoked, at);
    outcome("end_everyone", registry.end_everyone(given_end)).await;
    let adopted_until = Some(at.plus(minutes(60)));
    for user in [&alice, &user("bob")] {
        let adopted = NewLogin { adopted_until, ..login(user, at) };
        let outcome = outcome("commit", registry.commit(adopted)).await;
        assert!(matches!(outcome, LoginOutcome::AdoptionClosed), "adopted: {outcome:?}");
    }
    let new = limited(login(&alice, at), 1, Overflow::Refuse);
    let (_, ended) = commit(registry, &new).await;
    assert_ended(registry, &ended, &[], &Ended::new(Reason::Evicted, at)).await;
    assert_eq!(ids(&list(registry, Query::open(alice)).await), [new.id].into(), "open");
}
