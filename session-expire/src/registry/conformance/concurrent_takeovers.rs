//! Promises about simultaneous takeovers and re-authentications.

use super::{
    confirmations::fail,
    fixtures::{activity, limited, login, now, session, user},
    operations::{commit, commit_many, ids, load, open_ids, outcome},
    runner::{Results, Runner, Work, run_one, run_simultaneously},
    tickets::{issue, taken_over, taking_over},
};
use crate::{
    policy::limit::Overflow,
    registry::{
        Registry,
        rotation::{KeyRotation, RotationOutcome},
    },
    session::{
        key::{PublicId, RecordKey},
        login::{LoginOutcome, NewLogin},
        record::{SessionRecord, SessionRef},
    },
    time::minutes,
};

const LOGINS: usize = 50;

/// Commits logins at the same time. Each takes over the session `taken` with its ticket. Returns
/// the new records, the ended records, and the number of refused logins.
fn take_over_simultaneously(
    registry: &dyn Registry,
    run: Runner,
    taken: &NewLogin,
    tickets: &[RecordKey],
) -> (Vec<SessionRecord>, Vec<SessionRecord>, usize) {
    let (committed, ended, refused) = (Results::new(), Results::new(), Results::new());
    let works = tickets.iter().map(|ticket| -> Work<'_> {
        Box::pin(async {
            let new = limited(login(&taken.user, taken.at), 1, Overflow::Refuse);
            let new = taking_over(new, *ticket, taken.id);
            match outcome("commit", registry.commit(new)).await {
                LoginOutcome::Committed { record, ended: taken } => {
                    committed.add([record]);
                    ended.add(taken);
                }
                LoginOutcome::Refused { .. } => refused.add([*ticket]),
                LoginOutcome::TicketInvalid => {}
                other => panic!("outcome of a takeover: {other:?}"),
            }
        })
    });
    run_simultaneously(run, works.collect());
    (committed.into_vec(), ended.into_vec(), refused.into_vec().len())
}

/// Exactly one of 50 simultaneous logins with one ticket is committed.
pub(super) fn simultaneous_takeovers_spend_a_ticket_once(registry: &dyn Registry, run: Runner) {
    let taken = login(&user("alice"), now());
    run_one(run, commit(registry, &taken));
    let ticket = run_one(run, issue(registry, &taken.user, taken.at));
    let tickets = [ticket; LOGINS];
    let (committed, ended, refused) = take_over_simultaneously(registry, run, &taken, &tickets);
    assert_eq!((committed.len(), refused), (1, 0), "committed, and refused");
    assert_eq!(ids(&ended), [taken.id].into(), "taken over");
    assert_eq!(ended[0].ended, Some(taken_over(taken.at)), "the end");
    assert_eq!(run_one(run, open_ids(registry, &taken.user)), ids(&committed), "left open");
}

/// If simultaneous logins with different tickets choose the same session, exactly one takes its
/// slot. The others are refused.
pub(super) fn simultaneous_takeovers_of_a_session_keep_the_limit(
    registry: &dyn Registry,
    run: Runner,
) {
    for _ in 0..5 {
        let taken = login(&user("alice"), now());
        run_one(run, commit(registry, &taken));
        let issue = |_| run_one(run, issue(registry, &taken.user, taken.at));
        let tickets: Vec<_> = (0..8).map(issue).collect();
        let (committed, ended, refused) = take_over_simultaneously(registry, run, &taken, &tickets);
        assert_eq!((committed.len(), refused), (1, 7), "committed, and refused");
        assert_eq!(ids(&ended), [taken.id].into(), "taken over");
        assert_eq!(run_one(run, open_ids(registry, &taken.user)), ids(&committed), "left open");
    }
}

/// Of simultaneous re-authentications and renewals of one key, exactly one succeeds. The session
/// then has only the new key and the new id.
pub(super) fn simultaneous_reauthentications_have_one_winner(registry: &dyn Registry, run: Runner) {
    for _ in 0..5 {
        let login = login(&user("alice"), now());
        run_one(run, commit(registry, &login));
        let later = login.at.plus(minutes(1));
        let won = Results::new();
        let works = (0..16).map(|n| -> Work<'_> {
            let rotation = KeyRotation::new(session(&login), login.key, activity(later));
            let reauthenticated_as = (n % 4 != 0).then(PublicId::random);
            let rotation = KeyRotation { reauthenticated_as, ..rotation };
            let won = &won;
            Box::pin(async move {
                let rotated = outcome("rotate", registry.rotate(rotation.clone())).await;
                won.add((rotated == RotationOutcome::Rotated).then_some(rotation));
            })
        });
        run_simultaneously(run, works.collect());
        let won = won.into_vec();
        assert_eq!(won.len(), 1, "rotations that succeeded");
        let id = won[0].reauthenticated_as.unwrap_or(login.id);
        let loaded = run_one(run, load(registry, won[0].to));
        assert_eq!((loaded.record.id, &loaded.record.ended), (id, &None), "the session");
        assert_eq!(run_one(run, open_ids(registry, &login.user)), [id].into(), "left open");
    }
}

/// Simultaneous attempts are all counted. The sixth ends the session, and later ones find it ended.
pub(super) fn simultaneous_confirmation_attempts_are_counted(registry: &dyn Registry, run: Runner) {
    let logins = run_one(run, commit_many(registry, &user("alice"), 2, now()));
    let counted = Results::new();
    let works = (0..16).map(|_| -> Work<'_> {
        let session: SessionRef = session(&logins[0]);
        let counted = &counted;
        let at = logins[0].at;
        Box::pin(async move { counted.add(fail(registry, session, at).await) })
    });
    run_simultaneously(run, works.collect());
    let mut counted = counted.into_vec();
    counted.sort_by_key(|record| record.confirmation_attempts);
    let numbers: Vec<_> = counted.iter().map(|record| record.confirmation_attempts).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6], "the counted attempts");
    let ended: Vec<_> = counted.iter().map(|record| record.ended.is_some()).collect();
    assert_eq!(ended, [false, false, false, false, false, true], "the end");
    assert_eq!(run_one(run, open_ids(registry, &logins[0].user)), [logins[1].id].into(), "open");
}
