//! Promises about simultaneous logins: on threads, which start together.

use std::sync::Arc;

use super::{
    fixtures::{limited, login, now, user},
    operations::{commit, ids, ids_of, open_ids, outcome},
    runner::{Results, Runner, Work, alone, at_once},
};
use crate::{
    policy::limit::Overflow,
    registry::Registry,
    session::{
        login::{LoginOutcome, NewLogin, ReserveOutcome},
        reason::Reason,
        record::{Ended, SessionRecord},
    },
    time::{minutes, seconds},
};

/// So many logins happen at once.
const MANY: usize = 50;

/// Commits many logins of one user at once. Returns the committed records, and all that have ended.
fn commit_at_once(
    registry: &dyn Registry,
    run: Runner,
    user: &Arc<str>,
    overflow: Overflow,
) -> (Vec<SessionRecord>, Vec<SessionRecord>) {
    let (committed, ended, at) = (Results::new(), Results::new(), now());
    let works = (0..MANY).map(|_| -> Work<'_> {
        Box::pin(async {
            let login = limited(login(user, at), 1, overflow);
            match outcome("commit", registry.commit(login)).await {
                LoginOutcome::Committed { record, ended: evicted } => {
                    committed.add([record]);
                    ended.add(evicted);
                }
                LoginOutcome::Refused { active } => {
                    assert_eq!(active.len(), 1, "a refusal returns one session of one slot");
                }
                LoginOutcome::AdoptionClosed => panic!("an ordinary login is no adoption"),
            }
        })
    });
    at_once(run, works.collect());
    (committed.into_vec(), ended.into_vec())
}

/// Of 50 simultaneous logins with one slot, one session remains, and each of the others ended once.
pub fn simultaneous_logins_leave_one_session(registry: &dyn Registry, run: Runner) {
    let alice = user("alice");
    let (committed, ended) = commit_at_once(registry, run, &alice, Overflow::Evict);
    assert_eq!(committed.len(), MANY, "committed");
    let open = alone(run, open_ids(registry, &alice));
    assert_eq!(open.len(), 1, "left open");
    let ended = ids(&ended);
    assert_eq!(ended.len(), MANY - 1, "ended by another login");
    assert!(ended.is_disjoint(&open), "a session was returned as ended that is open");
}

/// Of 50 simultaneous logins with one slot and `refuse`, one is committed.
pub fn simultaneous_logins_commit_one(registry: &dyn Registry, run: Runner) {
    let alice = user("alice");
    let (committed, ended) = commit_at_once(registry, run, &alice, Overflow::Refuse);
    assert_eq!(committed.len(), 1, "committed to one slot");
    assert_eq!(ended, [], "ended by logins that may only be refused");
    assert_eq!(alone(run, open_ids(registry, &alice)), ids(&committed), "left open");
}

/// Of 50 simultaneous reservations of one slot, one is held, and its login is committed.
pub fn simultaneous_reservations_hold_one_slot(registry: &dyn Registry, run: Runner) {
    let (alice, at) = (user("alice"), now());
    let (reserved, committed) = (Results::new(), Results::new());
    let works = (0..MANY).map(|_| -> Work<'_> {
        Box::pin(async {
            let login = limited(login(&alice, at), 1, Overflow::Refuse);
            let reservation = login.reservation(at.plus(seconds(30)));
            if outcome("reserve", registry.reserve(reservation)).await == ReserveOutcome::Reserved {
                reserved.add([login.id]);
                committed.add([commit(registry, &login).await.0]);
            }
        })
    });
    at_once(run, works.collect());
    assert_eq!(reserved.into_vec().len(), 1, "reserved");
    assert_eq!(ids(&committed.into_vec()), alone(run, open_ids(registry, &alice)), "left open");
}

/// One login that is committed many times at once is one session.
pub fn simultaneous_commits_of_a_login_create_one(registry: &dyn Registry, run: Runner) {
    let (alice, at) = (user("alice"), now());
    let old = login(&alice, at);
    alone(run, commit(registry, &old));
    let replaces = Some((old.id, Reason::LoggedOut));
    let new = NewLogin { replaces, ..login(&alice, at.plus(minutes(1))) };
    let new = limited(new, 1, Overflow::Evict);
    let (records, ended) = (Results::new(), Results::new());
    let works = (0..MANY).map(|_| -> Work<'_> {
        Box::pin(async {
            let (record, replaced) = commit(registry, &new).await;
            records.add([record]);
            ended.add(replaced);
        })
    });
    at_once(run, works.collect());
    let expected = SessionRecord::new(&new);
    assert!(records.into_vec().iter().all(|record| *record == expected), "another record");
    assert_eq!(ids(&ended.into_vec()), ids_of([&old]), "ended by the login");
    assert_eq!(alone(run, open_ids(registry, &alice)), ids_of([&new]), "left open");
}

/// A login that is committed and cancelled at once by others is not open in the end, if the cancel
/// came after a commit.
pub fn cancelled_login_stays_ended_in_a_race(registry: &dyn Registry, run: Runner) {
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
    at_once(run, works.collect());
    for login in &logins {
        assert_eq!(alone(run, open_ids(registry, &login.user)), [].into(), "left open");
    }
}
