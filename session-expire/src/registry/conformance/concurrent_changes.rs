//! Promises about simultaneous changes of sessions, on threads that start at the same time.

use std::sync::Arc;

use super::{
    fixtures::{activity, data_update, limit, limited, login, login_from, now, session, set, user},
    operations::{
        commit, commit_many, count_open, end, ids, list, load, login_ids, open_ids, outcome,
        try_load,
    },
    runner::{Results, Runner, Work, run_one, run_simultaneously},
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
        key::{PublicId, RecordKey},
        login::NewLogin,
        reason::Reason,
        record::SessionRecord,
        update::{SessionUpdate, UpdateOutcome},
    },
    time::minutes,
};

/// Exactly one of many simultaneous ends returns the session, and its end is stored.
pub(super) fn simultaneous_ends_report_one(registry: &dyn Registry, run: Runner) {
    let targets: [fn(&NewLogin) -> EndTarget; 2] = [
        |login| EndTarget::Session(session(login)),
        |login| EndTarget::All(Arc::clone(&login.user)),
    ];
    for target in targets {
        let login = login(&user("alice"), now());
        run_one(run, commit(registry, &login));
        let ended = Results::new();
        let works = (0..16).map(|n| -> Work<'_> {
            let (ended, target) = (&ended, target(&login));
            let given_end = Ended::new(Reason::Revoked, login.at.plus(minutes(n)));
            Box::pin(async move { ended.add(end(registry, target, &given_end).await) })
        });
        run_simultaneously(run, works.collect());
        let ended = ended.into_vec();
        assert_eq!(ended.len(), 1, "ended by {:?}", target(&login));
        let record = run_one(run, load(registry, login.key)).record;
        assert_eq!(*record, ended[0], "the stored end");
    }
}

/// If several sessions end all others at the same time, exactly one remains.
pub(super) fn simultaneous_ends_of_the_others_leave_one(registry: &dyn Registry, run: Runner) {
    for _ in 0..5 {
        let logins = run_one(run, commit_many(registry, &user("alice"), 6, now()));
        let ended = Results::new();
        let works = logins.iter().map(|login| -> Work<'_> {
            let given_end = Ended::new(Reason::Revoked, login.at);
            let ended = &ended;
            Box::pin(async move {
                ended.add(end(registry, EndTarget::Others(session(login)), &given_end).await);
            })
        });
        run_simultaneously(run, works.collect());
        let open = run_one(run, open_ids(registry, &logins[0].user));
        assert_eq!(open.len(), 1, "left open");
        assert_eq!(ids(&ended.into_vec()).len(), 5, "ended once each");
    }
}

/// Activity at the time of the end does not reopen the session.
pub(super) fn activity_does_not_reopen_an_ended_session(registry: &dyn Registry, run: Runner) {
    let logins = run_one(run, commit_many(registry, &user("alice"), 20, now()));
    let works = logins.iter().flat_map(|login| -> [Work<'_>; 2] {
        let given_end = Ended::new(Reason::LoggedOut, login.at.plus(minutes(2)));
        let mut change = activity(login.at.plus(minutes(1)));
        change.data = set([("a", "1")]);
        [
            Box::pin(async move {
                end(registry, EndTarget::Session(session(login)), &given_end).await;
            }),
            Box::pin(async move {
                outcome("update", registry.update(session(login), change)).await;
            }),
        ]
    });
    run_simultaneously(run, works.collect());
    assert_eq!(run_one(run, open_ids(registry, &logins[0].user)), [].into(), "open again");
    for login in &logins {
        let loaded = run_one(run, load(registry, login.key));
        assert_eq!(loaded.open, Some(0), "counted as open");
        assert!(loaded.data.is_empty(), "the data of an ended session");
    }
}

fn entry_name(n: usize) -> String {
    format!("entry {n}")
}

/// Simultaneous updates of different entries lose none.
pub(super) fn simultaneous_updates_are_all_stored(registry: &dyn Registry, run: Runner) {
    let login = login(&user("alice"), now());
    run_one(run, commit(registry, &login));
    let works = (0..20).map(|n| -> Work<'_> {
        let login = &login;
        Box::pin(async move {
            let changes = set([(&*entry_name(n), "1")]);
            let updated = registry.update(session(login), data_update(login.at, changes));
            assert_eq!(outcome("update", updated).await, UpdateOutcome::Updated, "the outcome");
        })
    });
    run_simultaneously(run, works.collect());
    assert_has_entries(registry, run, login.key, 20);
}

fn assert_has_entries(registry: &dyn Registry, run: Runner, key: RecordKey, count: usize) {
    let data = run_one(run, load(registry, key)).data;
    let lost: Vec<_> = (0..count).filter(|n| data.get(&entry_name(*n)).is_none()).collect();
    assert!(lost.is_empty(), "lost entries: {lost:?}");
}

/// Exactly one of several simultaneous rotations of a key succeeds. The data of all is stored, and
/// the new keys of the others are unknown.
pub(super) fn simultaneous_rotations_have_one_winner(registry: &dyn Registry, run: Runner) {
    let login = login(&user("alice"), now());
    run_one(run, commit(registry, &login));
    let (winners, losers) = (Results::new(), Results::new());
    let works = (0..20).map(|n| -> Work<'_> {
        let (login, winners, losers) = (&login, &winners, &losers);
        Box::pin(async move {
            let update = data_update(login.at, set([(&*entry_name(n), "1")]));
            let rotation = KeyRotation::new(session(login), login.key, update);
            match outcome("rotate", registry.rotate(rotation.clone())).await {
                RotationOutcome::Rotated => winners.add([rotation.to]),
                RotationOutcome::Lost => losers.add([rotation.to]),
                other => panic!("a rotation of an open session: {other:?}"),
            }
        })
    });
    run_simultaneously(run, works.collect());
    let (winners, losers) = (winners.into_vec(), losers.into_vec());
    assert_eq!((winners.len(), losers.len()), (1, 19), "winners and losers");
    assert_has_entries(registry, run, winners[0], 20);
    for key in losers {
        assert_eq!(run_one(run, try_load(registry, key)), None, "the key of a lost rotation");
    }
    assert_eq!(run_one(run, count_open(registry, winners[0])), Some(1), "counted");
}

/// The end of all sessions also ends one that is re-authenticated at the same time. The session is
/// returned once, under its old or its new public id.
pub(super) fn end_of_all_reaches_a_reauthenticated_session(registry: &dyn Registry, run: Runner) {
    for _ in 0..5 {
        let login = login(&user("alice"), now());
        run_one(run, commit(registry, &login));
        let mut rotation =
            KeyRotation::new(session(&login), login.key, SessionUpdate::new(login.at));
        rotation.reauthenticated_as = Some(PublicId::random());
        let ended = Results::new();
        let rotate: Work<'_> = Box::pin(async {
            outcome("rotate", registry.rotate(rotation.clone())).await;
        });
        let end: Work<'_> = Box::pin(async {
            let revoked = Ended::new(Reason::Revoked, login.at);
            ended.add(end(registry, EndTarget::All(Arc::clone(&login.user)), &revoked).await);
        });
        run_simultaneously(run, vec![rotate, end]);
        assert_eq!(ended.into_vec().len(), 1, "ended");
        assert_eq!(run_one(run, open_ids(registry, &login.user)), [].into(), "left open");
        let listed = run_one(run, list(registry, Query::all(Arc::clone(&login.user))));
        assert_eq!(listed.len(), 1, "listed: {listed:?}");
        let record = run_one(run, load(registry, login.key)).record;
        assert!(record.ended.is_some(), "the old key is open");
    }
}

/// After simultaneous logins, updates, ends and limits, `load`, `list` and the count of open
/// sessions agree, and no ended record was returned twice.
pub(super) fn mixed_operations_leave_a_consistent_state(registry: &dyn Registry, run: Runner) {
    let (alice, bob, at) = (user("alice"), user("bob"), now());
    let logins: Vec<_> = (0..24)
        .map(|n| login_from("mixed", if n % 4 == 0 { &bob } else { &alice }, at.plus(minutes(n))))
        .collect();
    let ended = Results::new();
    let works = logins.iter().enumerate().map(|(n, login)| -> Work<'_> {
        let ended = &ended;
        Box::pin(async move { ended.add(run_session(registry, n, login).await) })
    });
    run_simultaneously(run, works.collect());
    let ended = ids(&ended.into_vec());
    for user in [&alice, &bob] {
        let own: Vec<_> = logins.iter().filter(|login| login.user == *user).collect();
        let open = run_one(run, open_ids(registry, user));
        assert!(
            open.is_subset(&login_ids(own.iter().copied())),
            "a list contains another user's record"
        );
        for login in own {
            let loaded = run_one(run, load(registry, login.key));
            assert_eq!(loaded.open, u32::try_from(open.len()).ok(), "counted, and listed");
            let is_open = loaded.record.ended.is_none();
            assert_eq!(is_open, open.contains(&login.id), "loaded as open, and listed");
            assert_eq!(!is_open, ended.contains(&login.id), "loaded as ended, and returned");
        }
    }
    let past = run_one(run, list(registry, Query::history(Arc::clone(&bob))));
    assert!(past.iter().all(|record| record.user == bob), "a list contains another user's record");
}

/// Runs several operations of one session. Returns all records that they have ended.
async fn run_session(registry: &dyn Registry, n: usize, login: &NewLogin) -> Vec<SessionRecord> {
    let later = login.at.plus(minutes(1));
    let given_end = Ended::new(Reason::Revoked, later);
    let login = match n.is_multiple_of(3) {
        true => limited(login.clone(), 4, Overflow::Evict),
        false => login.clone(),
    };
    let (_, mut ended) = commit(registry, &login).await;
    outcome("update", registry.update(session(&login), activity(later))).await;
    let one = session(&login);
    let more = match n % 5 {
        0 | 3 => end(registry, EndTarget::Session(one), &given_end).await,
        1 => end(registry, EndTarget::Others(one), &given_end).await,
        2 => {
            let limit = limit(2, Overflow::LeastRecent);
            outcome("enforce_limit", registry.enforce_limit(one, limit, given_end)).await
        }
        _ => {
            let limit = limit(3, Overflow::Evict);
            outcome("enforce_limit", registry.enforce_limit(one, limit, given_end)).await
        }
    };
    ended.extend(more);
    outcome("update", registry.update(session(&login), activity(later))).await;
    ended
}
