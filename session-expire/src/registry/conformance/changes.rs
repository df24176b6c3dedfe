//! Promises about the reports of changes.
//!
//! A registry may report more changes than promised, and may report [`Change::Any`] in place of any
//! other change. A test that a change is not reported waits for the report of a later change.

use std::{sync::Arc, thread};

use super::{
    change_reports::{Subscriber, ended, is_of},
    fixtures::{activity, data_update, limit, limited, login, now, session, set, user},
    operations::{commit, commit_many, end, list, load, log_out, outcome, update},
    rotate::{renewal, rotate},
    runner::{Runner, Work, run_one, run_simultaneously},
    tickets::issue,
};
use crate::{
    policy::{PolicyPatch, limit::Overflow},
    registry::{Registry, change::Change, end::EndTarget, query::Query, rotation::KeyRotation},
    session::{
        ended::Ended,
        key::{PublicId, partition_key},
        login::NewLogin,
        reason::Reason,
        signing_key::SigningKey,
        update::SessionUpdate,
    },
    time::{hours, minutes},
};

fn revoked() -> Ended {
    Ended::new(Reason::Revoked, now())
}

/// A login is reported as a change of its user.
pub(super) fn login_is_reported(registry: &dyn Registry, run: Runner) {
    let (subscriber, alice) = (Subscriber::new(registry, run), user("alice"));
    run_one(run, commit(registry, &login(&alice, now())));
    subscriber.assert_reported(&alice, &[Change::user(&alice)], "a login");
}

/// Each end of a session is reported, including that of a cancelled login.
pub(super) fn ends_are_reported(registry: &dyn Registry, run: Runner) {
    let subscriber = Subscriber::new(registry, run);
    let targets: [fn(&NewLogin) -> EndTarget; 3] = [
        |login| EndTarget::Session(session(login)),
        |login| EndTarget::Others(session(login)),
        |login| EndTarget::All(Arc::clone(&login.user)),
    ];
    for (target, ended) in targets.into_iter().zip([0..1, 1..3, 0..3]) {
        let logins = run_one(run, commit_many(registry, &user("alice"), 3, now()));
        let target = target(&logins[0]);
        run_one(run, end(registry, target.clone(), &revoked()));
        subscriber.assert_ended(&logins[ended], &format!("{target:?}"));
    }
    let cancelled = run_one(run, commit_many(registry, &user("alice"), 1, now()));
    run_one(run, outcome("cancel", registry.cancel(cancelled[0].key, revoked())));
    subscriber.assert_ended(&cancelled, "a cancelled login");
}

/// An end is reported if a login replaces or evicts the session, or if the session limit or the
/// limit of confirmation attempts ends it.
pub(super) fn evictions_are_reported(registry: &dyn Registry, run: Runner) {
    let subscriber = Subscriber::new(registry, run);
    let log_in = || run_one(run, commit_many(registry, &user("alice"), 2, now()));
    let logins = log_in();
    let later = login(&logins[0].user, logins[1].at.plus(minutes(1)));
    run_one(run, commit(registry, &limited(later.clone(), 1, Overflow::Evict)));
    subscriber.assert_ended(&logins, "evicted");
    let replaces = Some((later.id, Reason::LoggedOut));
    run_one(run, commit(registry, &NewLogin { replaces, ..login(&later.user, later.at) }));
    subscriber.assert_ended(&[later], "replaced");
    let logins = log_in();
    let enforced =
        registry.enforce_limit(session(&logins[0]), limit(1, Overflow::Evict), revoked());
    run_one(run, outcome("enforce_limit", enforced));
    subscriber.assert_ended(&logins[1..], "enforced limit");
    for _ in 0..6 {
        let attempt = registry.count_confirmation_attempt(session(&logins[0]), revoked());
        run_one(run, outcome("count_confirmation_attempt", attempt));
    }
    subscriber.assert_ended(&logins[..1], "confirmation attempts");
}

/// Successive changes are reported in their order.
pub(super) fn reports_are_in_order(registry: &dyn Registry, run: Runner) {
    let (subscriber, alice) = (Subscriber::new(registry, run), user("alice"));
    let mut expected = vec![];
    for _ in 0..20 {
        let login = login(&alice, now());
        run_one(run, commit(registry, &login));
        run_one(run, log_out(registry, &login, login.at));
        expected.extend([Change::user(&alice), ended(&login)]);
    }
    subscriber.assert_reported(&alice, &expected, "20 logins, each with its end");
}

/// A rotation is reported under the public id that the session had before.
pub(super) fn rotation_is_reported_under_the_old_id(registry: &dyn Registry, run: Runner) {
    let subscriber = Subscriber::new(registry, run);
    for reauthenticated_as in [None, Some(PublicId::random())] {
        let login = login(&user("alice"), now());
        run_one(run, commit(registry, &login));
        subscriber.reports_of(&login.user);
        let rotation = renewal(&login, SessionUpdate::new(login.at));
        run_one(run, rotate(registry, &KeyRotation { reauthenticated_as, ..rotation }));
        let what = if reauthenticated_as.is_some() { "a re-authentication" } else { "a renewal" };
        subscriber.assert_reported(&login.user, &[ended(&login)], what);
    }
}

/// A new user policy and a new signing key are reported.
pub(super) fn policy_change_is_reported(registry: &dyn Registry, run: Runner) {
    let (subscriber, login) = (Subscriber::new(registry, run), login(&user("alice"), now()));
    run_one(run, commit(registry, &login));
    subscriber.reports_of(&login.user);
    let change = || SessionUpdate::new(login.at);
    let policy = Some(PolicyPatch::new().idle(hours(1)).into());
    for (what, update_with) in [
        ("a user policy", SessionUpdate { user_policy: Some(policy), ..change() }),
        ("a signing key", change().with_signing_key(SigningKey::random())),
        ("no user policy", SessionUpdate { user_policy: Some(None), ..change() }),
    ] {
        run_one(run, update(registry, &login, update_with));
        subscriber.assert_reported(&login.user, &[ended(&login)], what);
    }
}

/// Activity, session data, reads, reservations and tickets are not reported.
pub(super) fn activity_is_not_reported(registry: &dyn Registry, run: Runner) {
    let (subscriber, login) = (Subscriber::new(registry, run), login(&user("alice"), now()));
    run_one(run, commit(registry, &login));
    subscriber.reports_of(&login.user);
    let reports = || {
        run_one(run, change_nothing_reported(registry, &login));
        subscriber.reports_of(&login.user)
    };
    // A registry that has lost its connection reports `Any` once.
    let first = reports();
    assert!(first.is_empty() || reports().is_empty(), "reported: {first:?}");
}

async fn change_nothing_reported(registry: &dyn Registry, login: &NewLogin) {
    let later = login.at.plus(minutes(1));
    update(registry, login, activity(later)).await;
    update(registry, login, data_update(later, set([("a", "1")]))).await;
    load(registry, login.key).await;
    list(registry, Query::open(Arc::clone(&login.user))).await;
    issue(registry, &login.user, later).await;
    let new = super::fixtures::login(&login.user, later);
    outcome("reserve", registry.reserve(new.reservation(later.plus(minutes(1))))).await;
    outcome("cancel", registry.cancel(new.key, revoked())).await;
}

/// A load that starts after the report of an end returns the ended record.
pub(super) fn load_after_a_report_sees_the_change(registry: &dyn Registry, run: Runner) {
    let subscriber = Subscriber::new(registry, run);
    for _ in 0..20 {
        let login = login(&user("alice"), now());
        run_one(run, commit(registry, &login));
        run_one(run, load(registry, login.key));
        subscriber.reports_of(&login.user);
        thread::scope(|scope| {
            scope.spawn(|| run_one(run, log_out(registry, &login, login.at)));
            let is_end = |change: &Change| [ended(&login), Change::Any].contains(change);
            let is_reported = subscriber.receives(is_end);
            assert!(is_reported, "an end is not reported");
            let loaded = run_one(run, load(registry, login.key));
            assert!(loaded.record.ended.is_some(), "loaded as open after the report of the end");
        });
    }
}

/// A dropped subscription gets no reports of later changes.
pub(super) fn dropped_subscription_gets_no_reports(registry: &dyn Registry, run: Runner) {
    let subscribers = [(); 2].map(|()| Subscriber::new(registry, run));
    let [dropped, subscriber] = subscribers;
    let (received, alice) = (Arc::clone(&dropped.received), user("alice"));
    drop(dropped);
    run_one(run, commit(registry, &login(&alice, now())));
    subscriber.assert_reported(&alice, &[Change::user(&alice)], "to the other subscriber");
    let partition = partition_key(&alice);
    let reports = received.lock();
    assert!(!reports.iter().any(|change| is_of(change, &partition)), "reported: {reports:?}");
}

/// The end of all sessions of all users is reported as [`Change::Any`].
pub(super) fn end_everyone_is_reported(registry: &dyn Registry, run: Runner) {
    let (subscriber, alice) = (Subscriber::new(registry, run), user("alice"));
    run_one(run, commit(registry, &login(&alice, now())));
    subscriber.reports_of(&alice);
    run_one(run, outcome("end_everyone", registry.end_everyone(revoked())));
    subscriber.assert_reported(&alice, &[Change::Any], "the end of all sessions");
}

/// The deletion of a user's records is reported as a change of the user.
pub(super) fn erase_is_reported(registry: &dyn Registry, run: Runner) {
    let (subscriber, alice) = (Subscriber::new(registry, run), user("alice"));
    run_one(run, commit(registry, &login(&alice, now())));
    subscriber.reports_of(&alice);
    run_one(run, outcome("erase", registry.erase(Arc::clone(&alice))));
    subscriber.assert_reported(&alice, &[Change::user(&alice)], "erased");
}

/// If a check returns `true`, every earlier change has been reported.
pub(super) fn check_returns_true_after_all_reports(registry: &dyn Registry, run: Runner) {
    let subscriber = Subscriber::new(registry, run);
    for _ in 0..10 {
        let alice = user("alice");
        run_one(run, commit(registry, &login(&alice, now())));
        if run_one(run, outcome("check", subscriber.subscription.check())) {
            let reports = subscriber.received.lock().clone();
            let is_reported = reports.contains(&Change::user(&alice));
            assert!(is_reported || reports.contains(&Change::Any), "reported: {reports:?}");
        }
    }
}

/// All changes by simultaneous operations are reported.
pub(super) fn simultaneous_ends_are_all_reported(registry: &dyn Registry, run: Runner) {
    let (subscriber, alice) = (Subscriber::new(registry, run), user("alice"));
    let logins: Vec<_> = (0..40).map(|_| login(&alice, now())).collect();
    let works = logins.chunks(5).map(|logins| -> Work<'_> {
        Box::pin(async move {
            for login in logins {
                commit(registry, login).await;
                update(registry, login, activity(login.at.plus(minutes(1)))).await;
                log_out(registry, login, login.at).await;
            }
        })
    });
    run_simultaneously(run, works.collect());
    subscriber.assert_ended(&logins, "simultaneous ends");
}
