//! Promises about simultaneous logins, on threads that start at the same time.

use std::sync::Arc;

use super::{
    fixtures::{limited, login, now, user},
    operations::{commit, ids, login_ids, open_ids, outcome},
    runner::{Results, Runner, Work, run_one, run_simultaneously},
};
use crate::{
    policy::limit::Overflow,
    registry::Registry,
    session::{
        ended::Ended,
        login::{LoginOutcome, NewLogin, ReserveOutcome},
        reason::Reason,
        record::SessionRecord,
    },
    time::{minutes, seconds},
};

/// Number of simultaneous logins.
const LOGINS: usize = 50;

/// Commits many logins of one user at the same time. Returns the committed and the ended records.
fn commit_simultaneously(
    registry: &dyn Registry,
    run: Runner,
    user: &Arc<str>,
    overflow: Overflow,
) -> (Vec<SessionRecord>, Vec<SessionRecord>) {
    let (committed, ended, at) = (Results::new(), Results::new(), now());
    let works = (0..LOGINS).map(|_| -> Work<'_> {
        Box::pin(async {
            let login = limited(login(user, at), 1, overflow);
            match outcome("commit", registry.commit(login)).await {
                LoginOutcome::Committed { record, ended: evicted } => {
                    committed.add([record]);
                    ended.add(evicted);
                }
                LoginOutcome::Refused { active } => {
                    assert_eq!(active.len(), 1, "active sessions of a refused login");
                }
                LoginOutcome::TicketInvalid => panic!("ticket of a login without one"),
                LoginOutcome::AdoptionClosed => panic!("adoption closed for an ordinary login"),
                LoginOutcome::Voided => panic!("an ordinary login was voided"),
            }
        })
    });
    run_simultaneously(run, works.collect());
    (committed.into_vec(), ended.into_vec())
}

/// After 50 simultaneous logins with `max_sessions = 1`, one session remains. Each of the others
/// ends once.
pub(super) fn simultaneous_logins_leave_one_session(registry: &dyn Registry, run: Runner) {
    let alice = user("alice");
    let (committed, ended) = commit_simultaneously(registry, run, &alice, Overflow::Evict);
    assert_eq!(committed.len(), LOGINS, "committed");
    let open = run_one(run, open_ids(registry, &alice));
    assert_eq!(open.len(), 1, "left open");
    let ended = ids(&ended);
    assert_eq!(ended.len(), LOGINS - 1, "ended by another login");
    assert!(ended.is_disjoint(&open), "an open session was returned as ended");
}

/// One of 50 simultaneous logins with `max_sessions = 1` and `refuse` is committed.
pub(super) fn simultaneous_logins_commit_one(registry: &dyn Registry, run: Runner) {
    let alice = user("alice");
    let (committed, ended) = commit_simultaneously(registry, run, &alice, Overflow::Refuse);
    assert_eq!(committed.len(), 1, "committed");
    assert_eq!(ended, [], "ended by a login");
    assert_eq!(run_one(run, open_ids(registry, &alice)), ids(&committed), "left open");
}

/// One of 50 simultaneous reservations of a slot succeeds, and its login is committed.
pub(super) fn simultaneous_reservations_reserve_one_slot(registry: &dyn Registry, run: Runner) {
    let (alice, at) = (user("alice"), now());
    let (reserved, committed) = (Results::new(), Results::new());
    let works = (0..LOGINS).map(|_| -> Work<'_> {
        Box::pin(async {
            let login = limited(login(&alice, at), 1, Overflow::Refuse);
            let reservation = login.reservation(at.plus(seconds(30)));
            let outcome = outcome("reserve", registry.reserve(reservation)).await;
            if matches!(outcome, ReserveOutcome::Reserved { .. }) {
                reserved.add([login.id]);
                committed.add([commit(registry, &login).await.0]);
            }
        })
    });
    run_simultaneously(run, works.collect());
    assert_eq!(reserved.into_vec().len(), 1, "reserved");
    assert_eq!(ids(&committed.into_vec()), run_one(run, open_ids(registry, &alice)), "left open");
}

/// Simultaneous commits of the same login create one session.
pub(super) fn simultaneous_commits_of_a_login_create_one(registry: &dyn Registry, run: Runner) {
    let (alice, at) = (user("alice"), now());
    let old = login(&alice, at);
    run_one(run, commit(registry, &old));
    let replaces = Some((old.id, Reason::LoggedOut));
    let new = NewLogin { replaces, ..login(&alice, at.plus(minutes(1))) };
    let new = limited(new, 1, Overflow::Evict);
    let (records, ended) = (Results::new(), Results::new());
    let works = (0..LOGINS).map(|_| -> Work<'_> {
        Box::pin(async {
            let (record, replaced) = commit(registry, &new).await;
            records.add([record]);
            ended.add(replaced);
        })
    });
    run_simultaneously(run, works.collect());
    let expected = SessionRecord::new(&new);
    assert!(records.into_vec().iter().all(|record| *record == expected), "another record");
    assert_eq!(ids(&ended.into_vec()), login_ids([&old]), "ended by the login");
    assert_eq!(run_one(run, open_ids(registry, &alice)), login_ids([&new]), "left open");
}

/// A login that is cancelled after its commit stays ended, even if it is committed again at the
/// same time.
pub(super) fn cancelled_login_stays_ended_in_a_race(registry: &dyn Registry, run: Runner) {
    let logins: Vec<_> = (0..20).map(|_| login(&user("alice"), now())).collect();
    let works = logins.iter().flat_map(|login| -> [Work<'_>; 2] {
        [
            Box::pin(async {
                commit(registry, login).await;
                let ended = Ended::new(Reason::LoggedOut, login.at);
                outcome("cancel", registry.cancel(login.key, ended)).await;
            }),
            Box::pin(async { drop(commit(registry, login).await) }),
        ]
    });
    run_simultaneously(run, works.collect());
    for login in &logins {
        assert_eq!(run_one(run, open_ids(registry, &login.user)), [].into(), "left open");
    }
}
