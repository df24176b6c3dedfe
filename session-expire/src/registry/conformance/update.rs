//! Promises about `update`: activity, clients, user policies and the signing key.

use std::sync::Arc;

use super::{
    fixtures::{activity, data_update, login, now, session, set, user},
    operations::{commit, commit_many, list, load, log_out, open_ids, outcome, try_load, update},
};
use crate::{
    policy::PolicyPatch,
    registry::{Registry, query::Query},
    session::{
        client::Client,
        key::PublicId,
        record::{SessionRecord, SessionRef},
        signing_key::SigningKey,
        update::{SessionUpdate, UpdateOutcome},
    },
    time::{hours, minutes},
};

/// `last_seen` is the latest activity, even if an earlier one arrives after it.
pub(super) async fn activity_moves_last_seen_forward_only(registry: &dyn Registry) {
    let at = now();
    let login = login(&user("alice"), at);
    commit(registry, &login).await;
    let (earlier, later) = (at.plus(minutes(2)), at.plus(minutes(5)));
    update(registry, &login, activity(later)).await;
    assert_eq!(
        load(registry, login.key).await.record.last_seen,
        later,
        "`last_seen` after activity"
    );
    update(registry, &login, SessionUpdate::new(later).active(earlier)).await;
    let record = load(registry, login.key).await.record;
    assert_eq!(record.last_seen, later, "`last_seen` after an earlier activity");
    assert_eq!(record.logged_in_at, at, "`logged_in_at` after activity");
    assert_eq!(record.authenticated_at, at, "`authenticated_at` after activity");
}

/// An update without activity does not change `last_seen`.
pub(super) async fn passive_update_does_not_move_last_seen(registry: &dyn Registry) {
    let at = now();
    let login = login(&user("alice"), at);
    commit(registry, &login).await;
    update(registry, &login, SessionUpdate::new(at.plus(minutes(5)))).await;
    update(registry, &login, data_update(at.plus(minutes(5)), set([("a", "1")]))).await;
    assert_eq!(load(registry, login.key).await.record.last_seen, at, "`last_seen` has moved");
}

/// Activity in the future counts as now.
pub(super) async fn activity_in_the_future_counts_as_now(registry: &dyn Registry) {
    let at = now();
    let login = login(&user("alice"), at);
    commit(registry, &login).await;
    let later = at.plus(minutes(1));
    update(registry, &login, SessionUpdate::new(later).active(at.plus(hours(1)))).await;
    let last_seen = load(registry, login.key).await.record.last_seen;
    assert_eq!(last_seen, later, "`last_seen` after activity in the future");
}

/// An update sets stored times in the future, for example from a wrong clock, to now.
pub(super) async fn times_in_the_future_become_now(registry: &dyn Registry) {
    let at = now();
    let login = login(&user("alice"), at.plus(hours(5)));
    commit(registry, &login).await;
    update(registry, &login, SessionUpdate::new(at)).await;
    let record = load(registry, login.key).await.record;
    assert_eq!(record.last_seen, at, "`last_seen` is still in the future");
    assert_eq!(record.logged_in_at, at, "`logged_in_at` is still in the future");
    assert_eq!(record.authenticated_at, at, "`authenticated_at` is still in the future");
}

/// An update of an ended session changes nothing and does not reopen it.
pub(super) async fn update_of_an_ended_session_stores_nothing(registry: &dyn Registry) {
    let (alice, at) = (user("alice"), now());
    let login = login(&alice, at);
    commit(registry, &login).await;
    log_out(registry, &login, at.plus(minutes(1))).await;
    let before = load(registry, login.key).await;
    let late = SessionUpdate {
        user_policy: Some(Some(Arc::new(PolicyPatch::new().idle(minutes(1))))),
        signing_key: Some(SigningKey::random()),
        data: set([("a", "1")]),
        ..activity(at.plus(minutes(2)))
    };
    let updated = outcome("update", registry.update(session(&login), late)).await;
    assert_eq!(updated, UpdateOutcome::Ended, "the outcome");
    assert_eq!(load(registry, login.key).await, before, "the ended record has changed");
    assert_eq!(open_ids(registry, &alice).await, [].into(), "the ended session is open again");
}

/// An update of an unknown session, or of a session of another user, changes nothing.
pub(super) async fn update_of_an_unknown_session_stores_nothing(registry: &dyn Registry) {
    let at = now();
    let login = login(&user("alice"), at);
    commit(registry, &login).await;
    let before = load(registry, login.key).await;
    for unknown in [
        SessionRef { id: PublicId::random(), ..session(&login) },
        SessionRef { user: user("bob"), ..session(&login) },
        SessionRef { user: user("bob"), id: PublicId::random() },
    ] {
        let name = format!("{unknown:?}");
        let late = activity(at.plus(minutes(2)));
        let updated = outcome("update", registry.update(unknown.clone(), late)).await;
        assert_eq!(updated, UpdateOutcome::Ended, "the outcome for {name}");
        let own = *unknown.user == *login.user;
        let open = open_ids(registry, &unknown.user).await.len();
        assert_eq!(open, usize::from(own), "a record was created for {name}");
    }
    assert_eq!(load(registry, login.key).await, before, "the record has changed");
    assert_eq!(
        try_load(registry, login.key).await.map(|loaded| loaded.record),
        Some(before.record)
    );
}

/// An update changes one session only.
pub(super) async fn update_changes_one_session_only(registry: &dyn Registry) {
    let at = now();
    let logins = commit_many(registry, &user("alice"), 3, at).await;
    let mut change = activity(at.plus(minutes(9)));
    change.data = set([("a", "1")]);
    update(registry, &logins[1], change).await;
    for other in [&logins[0], &logins[2]] {
        let loaded = load(registry, other.key).await;
        assert_eq!(loaded.record.last_seen, other.at, "`last_seen` of another session");
        assert!(loaded.data.is_empty(), "data of another session");
    }
}

/// An update sets the user policy, removes it, or does not change it.
pub(super) async fn update_sets_and_clears_the_user_policy(registry: &dyn Registry) {
    let at = now();
    let login = login(&user("alice"), at);
    commit(registry, &login).await;
    let policy = Some(Arc::new(PolicyPatch::new().idle(minutes(3)).message("early")));
    for (user_policy, expected) in
        [(Some(policy.clone()), policy.clone()), (None, policy), (Some(None), None), (None, None)]
    {
        let after = format!("after {user_policy:?}");
        update(registry, &login, SessionUpdate { user_policy, ..activity(at) }).await;
        let record = load(registry, login.key).await.record;
        assert_eq!(record.user_policy, expected, "{after}");
    }
}

/// Activity stores its client, and a list shows it. Activity of the client of the login removes the
/// stored one.
pub(super) async fn activity_stores_the_last_client(registry: &dyn Registry) {
    let at = now();
    let login = login(&user("alice"), at);
    commit(registry, &login).await;
    let other = Client::new("192.0.2.7".parse().ok(), "curl");
    let same = Some(other.clone());
    for (client, expected) in
        [(same.clone(), same.clone()), (None, same), (Some(login.client.clone()), None)]
    {
        let after = format!("after {client:?}");
        update(registry, &login, SessionUpdate { client, ..activity(at) }).await;
        let record = load(registry, login.key).await.record;
        assert_eq!(record.last_client.as_deref(), expected.as_ref(), "{after}");
        assert_eq!(record.client, login.client, "{after}");
        let listed = list(registry, Query::open(Arc::clone(&login.user))).await;
        assert_eq!(listed, [SessionRecord::clone(&record)], "{after}, in a list");
    }
    let passive = SessionUpdate { client: Some(other), ..SessionUpdate::new(at) };
    update(registry, &login, passive).await;
    let record = load(registry, login.key).await.record;
    assert_eq!(record.last_client, None, "a passive request stored its client");
}

/// An update replaces the signing key, or does not change it.
pub(super) async fn update_replaces_the_signing_key(registry: &dyn Registry) {
    let at = now();
    let login = login(&user("alice"), at);
    commit(registry, &login).await;
    let signing_key = Some(SigningKey::random());
    for signing_key in [signing_key, None] {
        update(registry, &login, SessionUpdate { signing_key, ..SessionUpdate::new(at) }).await;
    }
    let record = load(registry, login.key).await.record;
    assert_eq!(Some(record.signing_key), signing_key, "the signing key");
}
