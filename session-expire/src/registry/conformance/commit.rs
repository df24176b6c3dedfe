//! Promises about `commit`: idempotency, replaced sessions and closed adoption.

use super::{
    fixtures::{
        MILLISECOND, OVERFLOWS, data_update, limited, login, login_from, now, session, set, user,
    },
    operations::{
        assert_ended, commit, commit_many, commit_refused, end, ids, list, load, load_end, log_out,
        login_ids, open_ids, outcome, try_load, update,
    },
};
use crate::{
    policy::limit::Overflow,
    registry::{
        Registry,
        end::{EndSessions, EndTarget},
        query::Query,
    },
    session::{
        ended::Ended,
        key::PublicId,
        login::{LoginOutcome, NewLogin},
        reason::Reason,
    },
    time::{Timestamp, minutes},
};

/// A login that is committed again returns its record and changes nothing.
pub(super) async fn repeated_commit_changes_nothing(registry: &dyn Registry) {
    let old = login(&user("alice"), now());
    commit(registry, &old).await;
    let replaces = Some((old.id, Reason::LoggedOut));
    let new = NewLogin { replaces, ..login(&old.user, old.at.plus(minutes(1))) };
    let new = limited(new, 1, Overflow::Refuse);
    let (first, _) = commit(registry, &new).await;
    update(registry, &new, data_update(new.at, set([("a", "1")]))).await;
    let before = load(registry, new.key).await;
    let (again, ended) = commit(registry, &new).await;
    assert_eq!((again, ended), (first, vec![]), "the outcome");
    assert_eq!(load(registry, new.key).await, before, "the session");
    assert_eq!(open_ids(registry, &new.user).await, [new.id].into(), "the open sessions");
}

/// A login that is committed again after its session has ended returns the ended record. It ends no
/// other session.
pub(super) async fn repeated_commit_does_not_reopen_the_session(registry: &dyn Registry) {
    let (alice, at) = (user("alice"), now());
    let first = limited(login(&alice, at), 1, Overflow::Evict);
    let second = limited(login(&alice, at.plus(minutes(1))), 1, Overflow::Evict);
    commit(registry, &first).await;
    commit(registry, &second).await;
    let (record, ended) = commit(registry, &first).await;
    assert_eq!(record.ended, Some(second.eviction()), "the returned record");
    assert_eq!(ended, [], "the login ended sessions again");
    assert_eq!(open_ids(registry, &alice).await, [second.id].into(), "the open sessions");
}

/// A login takes the slot of the session that it replaces: no other session is evicted, and the
/// login is not refused.
pub(super) async fn replaced_session_takes_no_slot(registry: &dyn Registry) {
    for overflow in OVERFLOWS {
        let logins = commit_many(registry, &user("alice"), 3, now()).await;
        let later = logins[2].at.plus(minutes(1));
        let replaces = Some((logins[1].id, Reason::LoggedOut));
        let new = NewLogin { replaces, ..login_from("new", &logins[0].user, later) };
        let new = limited(new, 3, overflow);
        let (_, ended) = commit(registry, &new).await;
        let given_end = Ended::new(Reason::LoggedOut, later);
        assert_ended(registry, &ended, &logins[1..2], &given_end).await;
        let rest = login_ids([&logins[0], &logins[2], &new]);
        assert_eq!(open_ids(registry, &new.user).await, rest, "{overflow:?}");
    }
}

/// The reason with which a login replaces a session is stored.
pub(super) async fn replaced_session_ends_for_the_given_reason(registry: &dyn Registry) {
    for reason in [Reason::Idle, Reason::Absolute, Reason::LoggedOut] {
        let old = login(&user("alice"), now());
        commit(registry, &old).await;
        let later = old.at.plus(minutes(1));
        let new = NewLogin { replaces: Some((old.id, reason)), ..login(&old.user, later) };
        let (_, ended) = commit(registry, &new).await;
        assert_ended(registry, &ended, &[old], &Ended::new(reason, later)).await;
    }
}

/// A login that replaces an ended or unknown session does not change that session.
pub(super) async fn ended_session_is_not_replaced_again(registry: &dyn Registry) {
    let old = login(&user("alice"), now());
    commit(registry, &old).await;
    let first = Ended::new(Reason::Revoked, old.at.plus(minutes(1)));
    end(registry, EndTarget::Session(session(&old)), &first).await;
    for id in [old.id, PublicId::random()] {
        let replaces = Some((id, Reason::LoggedOut));
        let new = NewLogin { replaces, ..login(&old.user, old.at.plus(minutes(2))) };
        assert_eq!(commit(registry, &new).await.1, [], "ended by the login");
    }
    assert_eq!(load_end(registry, old.key).await, Some(first), "the first end");
}

/// A login replaces a session of its own user only.
pub(super) async fn session_of_another_user_is_not_replaced(registry: &dyn Registry) {
    let bobs = login(&user("bob"), now());
    commit(registry, &bobs).await;
    let later = bobs.at.plus(minutes(1));
    let replaces = Some((bobs.id, Reason::LoggedOut));
    let new = NewLogin { replaces, ..login(&user("alice"), later) };
    assert_eq!(commit(registry, &new).await.1, [], "ended by the login");
    assert_eq!(load_end(registry, bobs.key).await, None, "the other user's session");
}

/// A refused login does not end the session that it would replace.
pub(super) async fn refused_login_replaces_nothing(registry: &dyn Registry) {
    let logins = commit_many(registry, &user("alice"), 3, now()).await;
    let new = login(&logins[0].user, logins[2].at.plus(minutes(1)));
    let replaces = Some((logins[0].id, Reason::LoggedOut));
    let new = limited(NewLogin { replaces, ..new }, 2, Overflow::Refuse);
    let active = commit_refused(registry, &new).await;
    assert_eq!(ids(&active), login_ids(&logins[1..]), "the replaced session takes no slot");
    assert_eq!(load_end(registry, logins[0].key).await, None, "the replaced session");
}

/// Until the given time, closed adoption refuses adopted logins of this user. Other logins of the
/// user and adopted logins of other users are committed.
pub(super) async fn closed_adoption_refuses_adopted_logins(registry: &dyn Registry) {
    let (alice, bob, at) = (user("alice"), user("bob"), now());
    let until = at.plus(minutes(60));
    let adopted = |user, at| NewLogin { adopted_until: Some(until), ..login(user, at) };
    close_adoption(registry, EndTarget::All(alice.clone()), until).await;
    let late = adopted(&alice, until.minus(MILLISECOND));
    let outcome = outcome("commit", registry.commit(late.clone())).await;
    assert!(matches!(outcome, LoginOutcome::AdoptionClosed), "before the time: {outcome:?}");
    assert_eq!(try_load(registry, late.key).await, None, "a record was created");
    for login in [adopted(&alice, until), login(&alice, at), adopted(&bob, at)] {
        commit(registry, &login).await;
    }
}

async fn close_adoption(registry: &dyn Registry, target: EndTarget, until: Timestamp) {
    let ended = Ended::new(Reason::Revoked, until.minus(minutes(60)));
    let mut end = EndSessions::new(target, ended);
    end.close_adoption_until = Some(until);
    outcome("end", registry.end(end)).await;
}

/// A repeated commit of an adopted login returns its record, even after adoption has closed.
pub(super) async fn adopted_login_is_returned_after_closing(registry: &dyn Registry) {
    let at = now();
    let until = at.plus(minutes(60));
    let adopted = NewLogin { adopted_until: Some(until), ..login(&user("alice"), at) };
    commit(registry, &adopted).await;
    close_adoption(registry, EndTarget::Session(session(&adopted)), until).await;
    let (record, _) = commit(registry, &adopted).await;
    assert_eq!(record.ended.map(|ended| ended.reason), Some(Reason::Revoked), "the record");
    let other = NewLogin { adopted_until: Some(until), ..login(&adopted.user, at) };
    let outcome = outcome("commit", registry.commit(other)).await;
    assert!(matches!(outcome, LoginOutcome::AdoptionClosed), "another one: {outcome:?}");
}

/// A refused login creates no record: neither `load` nor `list` returns one.
pub(super) async fn refused_login_creates_no_record(registry: &dyn Registry) {
    let logins = commit_many(registry, &user("alice"), 1, now()).await;
    let new = login(&logins[0].user, logins[0].at.plus(minutes(1)));
    let new = limited(new, 1, Overflow::Refuse);
    commit_refused(registry, &new).await;
    assert_eq!(try_load(registry, new.key).await, None, "by its key");
    let all = Query::all(new.user);
    assert_eq!(ids(&list(registry, all).await), login_ids(&logins), "in the list");
    log_out(registry, &logins[0], logins[0].at.plus(minutes(2))).await;
}
