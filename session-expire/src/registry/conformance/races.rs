//! Promises about what happens at the same time: on threads, which start together.

use std::{
    sync::{Arc, Barrier, Mutex, PoisonError},
    thread,
};

use super::stage::{
    Runner, Work, activity, answered, ids, ids_of, limited, load, login, login_from, now, open_ids,
    room, sign_in, sign_in_often, somebody,
};
use crate::{
    facts::Reason,
    limit::Overflow,
    registry::{
        EndTarget, LoginOutcome, Query, Registry,
        login::NewLogin,
        record::{Ended, SessionRecord},
    },
    time::minutes,
};

/// As many as sign in at once.
const CROWD: usize = 50;

/// Does all of the works at once, each on a thread of its own. A registry may act when it is asked
/// instead of when its answer is awaited: so the asking belongs into the work.
fn at_once<'a>(run: Runner, works: Vec<Work<'a>>) {
    let start = Barrier::new(works.len());
    thread::scope(|scope| {
        for work in works {
            let start = &start;
            scope.spawn(move || {
                start.wait();
                run(work);
            });
        }
    });
}

/// Does one work, and answers its result.
fn alone<T: Send>(run: Runner, work: impl Future<Output = T> + Send) -> T {
    let mut answer = None;
    run(Box::pin(async { answer = Some(work.await) }));
    match answer {
        Some(answer) => answer,
        None => panic!("the runner came back before the work was done"),
    }
}

/// A list that many threads write to.
struct Notes<T>(Mutex<Vec<T>>);

impl<T> Notes<T> {
    fn new() -> Self {
        Self(Mutex::default())
    }

    fn add(&self, notes: impl IntoIterator<Item = T>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(notes);
    }

    fn read(self) -> Vec<T> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Signs in a crowd of one user at once: the admitted logins, and all records that were ended.
fn crowd(
    registry: &dyn Registry,
    run: Runner,
    user: &Arc<str>,
    overflow: Overflow,
) -> (Vec<SessionRecord>, Vec<SessionRecord>) {
    let (admitted, ended, at) = (Notes::new(), Notes::new(), now());
    let works = (0..CROWD).map(|_| -> Work<'_> {
        Box::pin(async {
            let login = limited(login(user, at), 1, overflow);
            match answered("login", registry.login(login)).await {
                LoginOutcome::Committed { record, ended: over } => {
                    admitted.add([record]);
                    ended.add(over);
                }
                LoginOutcome::Refused { holders } => {
                    assert_eq!(holders.len(), 1, "a refusal names one holder of one place");
                }
            }
        })
    });
    at_once(run, works.collect());
    (admitted.read(), ended.read())
}

/// Of 50 logins at once with one place, one session is left, and each of the others was ended once.
pub fn of_simultaneous_logins_one_is_left(registry: &dyn Registry, run: Runner) {
    let alice = somebody("alice");
    let (admitted, ended) = crowd(registry, run, &alice, Overflow::Evict);
    assert_eq!(admitted.len(), CROWD, "admitted");
    let open = alone(run, open_ids(registry, &alice));
    assert_eq!(open.len(), 1, "left open");
    let over = ids(&ended);
    assert_eq!(over.len(), CROWD - 1, "ended by another");
    assert!(over.is_disjoint(&open), "a login was answered as ended that is open");
}

/// Of 50 logins at once with one place and `refuse`, one is admitted.
pub fn of_simultaneous_logins_one_is_admitted(registry: &dyn Registry, run: Runner) {
    let alice = somebody("alice");
    let (admitted, ended) = crowd(registry, run, &alice, Overflow::Refuse);
    assert_eq!(admitted.len(), 1, "admitted to one place");
    assert_eq!(ended, [], "ended by logins that may only be refused");
    assert_eq!(alone(run, open_ids(registry, &alice)), ids(&admitted), "left open");
}

/// Of many ends at once only one has ended the session, and its reason is the one that stays.
pub fn of_simultaneous_ends_one_has_done_it(registry: &dyn Registry, run: Runner) {
    let targets: [fn(&NewLogin) -> EndTarget; 3] = [
        |login| EndTarget::Key(login.key),
        |login| EndTarget::Id(Arc::clone(&login.user), login.id),
        |login| EndTarget::All(Arc::clone(&login.user)),
    ];
    for target in targets {
        let alice = login(&somebody("alice"), now());
        alone(run, sign_in(registry, &alice));
        let ended = Notes::new();
        let works = (0..16).map(|n| -> Work<'_> {
            let (ended, target) = (&ended, target(&alice));
            let over = Ended::new(Reason::Revoked, alice.at.plus(minutes(n)));
            Box::pin(async move { ended.add(answered("end", registry.end(target, over)).await) })
        });
        at_once(run, works.collect());
        let ended = ended.read();
        assert_eq!(ended.len(), 1, "said to have ended {:?}", target(&alice));
        assert_eq!(
            *alone(run, load(registry, alice.key)).record,
            ended[0],
            "the reason that stayed"
        );
    }
}

/// Activity that arrives together with the end doesn't bring the session back.
pub fn activity_cannot_outrun_the_end(registry: &dyn Registry, run: Runner) {
    let logins = alone(run, sign_in_often(registry, &somebody("alice"), 20, now()));
    let works = logins.iter().flat_map(|login| -> [Work<'_>; 2] {
        let over = Ended::new(Reason::LoggedOut, login.at.plus(minutes(2)));
        let change = activity(login.at.plus(minutes(1)));
        [
            Box::pin(async move {
                answered("end", registry.end(EndTarget::Key(login.key), over)).await;
            }),
            Box::pin(async move { answered("touch", registry.touch(login.key, change)).await }),
        ]
    });
    at_once(run, works.collect());
    assert_eq!(alone(run, open_ids(registry, &logins[0].user)), [].into(), "revived by activity");
    for login in &logins {
        assert_eq!(alone(run, load(registry, login.key)).open, 0, "still counted as open");
    }
}

/// After logins, activity, ends and lowered limits at once: every session has one end or none, the
/// count is right, the list agrees with the records, and no end was answered twice.
pub fn a_storm_leaves_order_behind(registry: &dyn Registry, run: Runner) {
    let (alice, bob, at) = (somebody("alice"), somebody("bob"), now());
    let logins: Vec<_> = (0..24)
        .map(|n| login_from("storm", if n % 4 == 0 { &bob } else { &alice }, at.plus(minutes(n))))
        .collect();
    let ended = Notes::new();
    let works = logins.iter().enumerate().map(|(n, login)| -> Work<'_> {
        let ended = &ended;
        Box::pin(async move { ended.add(live(registry, n, login).await) })
    });
    at_once(run, works.collect());
    let over = ids(&ended.read());
    for user in [&alice, &bob] {
        let own: Vec<_> = logins.iter().filter(|login| login.user == *user).cloned().collect();
        let open = alone(run, open_ids(registry, user));
        assert!(open.is_subset(&ids_of(&own)), "a list holds another user's record");
        for login in &own {
            let loaded = alone(run, load(registry, login.key));
            assert_eq!(loaded.open as usize, open.len(), "counted as open, and listed");
            let alive = loaded.record.ended.is_none();
            assert_eq!(alive, open.contains(&login.id), "listed as open, and open");
            assert_eq!(!alive, over.contains(&login.id), "ended, and answered as ended");
        }
    }
    let past = alone(run, answered("find", registry.find(Query::past(Arc::clone(&bob)))));
    assert!(past.iter().all(|record| record.user == bob), "a log holds another user's record");
}

/// A short life in a storm; answers all that it has ended.
async fn live(registry: &dyn Registry, n: usize, login: &NewLogin) -> Vec<SessionRecord> {
    let later = login.at.plus(minutes(1));
    let over = Ended::new(Reason::Revoked, later);
    let login = if n.is_multiple_of(3) {
        limited(login.clone(), 4, Overflow::Evict)
    } else {
        login.clone()
    };
    let (_, mut ended) = sign_in(registry, &login).await;
    answered("touch", registry.touch(login.key, activity(later))).await;
    let more = match n % 5 {
        0 => registry.end(EndTarget::Key(login.key), over),
        1 => registry.end(EndTarget::Others(Arc::clone(&login.user), login.id), over),
        2 => registry.make_room(login.key, room(2, Overflow::LeastRecent), over),
        3 => registry.end(EndTarget::Id(Arc::clone(&login.user), login.id), over),
        _ => registry.make_room(login.key, room(3, Overflow::Evict), over),
    };
    ended.extend(answered("end or make_room", more).await);
    answered("touch", registry.touch(login.key, activity(later))).await;
    ended
}
