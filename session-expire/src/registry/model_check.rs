//! Model check of [`MemoryRegistry`]: several threads, in every order that its locks allow.
//!
//! `RUSTFLAGS="--cfg shuttle"` replaces the locks with those of shuttle, which runs the threads in
//! all orders; see `tests/run --all`.

use std::{sync::Arc, time::Duration};

use shuttle::{check_dfs, thread};

use crate::{
    policy::{
        Policy,
        limit::{Limit, Overflow},
    },
    registry::{
        Registry, RegistryFuture,
        end::{EndSessions, EndTarget},
        memory::MemoryRegistry,
        rotation::KeyRotation,
    },
    session::{
        data::DataChanges,
        ended::Ended,
        key::RecordKey,
        limit::SessionLimit,
        login::NewLogin,
        reason::Reason,
        record::{SessionRecord, SessionRef},
        update::SessionUpdate,
    },
    time::{Timestamp, minutes, seconds},
};

const NOON: Timestamp = Timestamp::from_millis(1_767_268_800_000);

fn outcome<T: Send>(future: RegistryFuture<'_, T>) -> T {
    future.try_ready().unwrap().unwrap()
}

fn login(after: Duration, overflow: Overflow) -> NewLogin {
    NewLogin::new("alice", NOON.plus(after), &Policy::new().max_sessions(1).overflow(overflow))
}

fn session(login: &NewLogin) -> SessionRef {
    SessionRecord::new(login).session_ref()
}

fn is_open(registry: &MemoryRegistry, key: RecordKey) -> bool {
    outcome(registry.load(key, false)).is_some_and(|loaded| loaded.record.ended.is_none())
}

fn count_open(registry: &MemoryRegistry, logins: &[NewLogin]) -> usize {
    logins.iter().filter(|login| is_open(registry, login.key)).count()
}

/// Operations of one thread.
type Operation = Arc<dyn Fn(&MemoryRegistry) + Send + Sync>;

/// Commits the logins `first`, then runs each operation in a thread of its own, in every order.
fn check_every_order(
    first: &[NewLogin],
    operations: Vec<Operation>,
    check: impl Fn(&MemoryRegistry) + Send + Sync + 'static,
) {
    let first = first.to_vec();
    let run = move || {
        let registry = Arc::new(MemoryRegistry::new().history_limit(Limit::Off));
        first.iter().for_each(|login| drop(outcome(registry.commit(login.clone()))));
        let each = operations.iter().map(|operation| {
            let (operation, registry) = (Arc::clone(operation), Arc::clone(&registry));
            thread::spawn(move || operation(&registry))
        });
        let threads: Vec<_> = each.collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        check(&registry);
    };
    check_dfs(run, None);
}

fn commit(login: &NewLogin) -> Operation {
    let login = login.clone();
    Arc::new(move |registry| drop(outcome(registry.commit(login.clone()))))
}

fn end(target: EndTarget) -> Operation {
    let ended = Ended::new(Reason::Revoked, NOON.plus(minutes(1)));
    Arc::new(move |registry| {
        outcome(registry.end(EndSessions::new(target.clone(), ended.clone())));
    })
}

#[test]
fn simultaneous_logins_leave_one_session() {
    let all = [0, 1, 2].map(|after| login(seconds(after), Overflow::Evict));
    let operations = vec![commit(&all[1]), commit(&all[2])];
    check_every_order(&[all[0].clone()], operations, move |registry| {
        assert_eq!((count_open(registry, &all), registry.len()), (1, 3));
    });
}

#[test]
fn freed_slot_admits_one_login() {
    let [first, second, third] = [0, 1, 2].map(|after| login(seconds(after), Overflow::Refuse));
    let (old, next) = (first.clone(), second.clone());
    let replace: Operation = Arc::new(move |registry| {
        end(EndTarget::Session(session(&old)))(registry);
        assert!(!is_open(registry, old.key));
        outcome(registry.commit(next.clone()));
    });
    let logins = [second, third.clone()];
    check_every_order(&[first], vec![replace, commit(&third)], move |registry| {
        assert_eq!(count_open(registry, &logins), 1);
    });
}

#[test]
fn reserved_slot_admits_only_its_own_login() {
    let [first, second] = [0, 1].map(|after| login(seconds(after), Overflow::Refuse));
    let reserve_and_commit = |login: &NewLogin| -> Operation {
        let login = login.clone();
        Arc::new(move |registry| {
            outcome(registry.reserve(login.reservation(NOON.plus(minutes(1)))));
            outcome(registry.commit(login.clone()));
        })
    };
    let operations = vec![reserve_and_commit(&first), reserve_and_commit(&second)];
    let logins = [first, second];
    check_every_order(&[], operations, move |registry| {
        assert_eq!(count_open(registry, &logins), 1);
    });
}

#[test]
fn cancelled_login_is_never_open() {
    let first = login(Duration::ZERO, Overflow::Evict);
    let (key, login) = (first.key, first.clone());
    let commit_and_cancel: Operation = Arc::new(move |registry| {
        outcome(registry.commit(login.clone()));
        outcome(registry.cancel(key, Ended::new(Reason::LoggedOut, NOON)));
    });
    // The same login once more, as after a lost response.
    check_every_order(&[], vec![commit_and_cancel, commit(&first)], move |registry| {
        assert!(!is_open(registry, key));
    });
}

#[test]
fn activity_does_not_revive_an_ended_session() {
    let first = login(Duration::ZERO, Overflow::Evict);
    let (key, one) = (first.key, session(&first));
    let act: Operation = Arc::new(move |registry| {
        let now = NOON.plus(minutes(1));
        outcome(registry.update(one.clone(), SessionUpdate::new(now).active(now)));
        let limit = SessionLimit { max_sessions: Limit::At(1), overflow: Overflow::Evict };
        let evicted = Ended::new(Reason::Evicted, now);
        outcome(registry.enforce_limit(one.clone(), limit, evicted));
    });
    let operations = vec![act, end(EndTarget::All("alice".into()))];
    check_every_order(&[first], operations, move |registry| {
        let record = outcome(registry.load(key, false)).unwrap().record;
        assert_eq!(record.ended.as_ref().map(|ended| ended.reason), Some(Reason::Revoked));
    });
}

#[test]
fn sessions_that_end_each_other_leave_one() {
    let both =
        [0, 1].map(|after| NewLogin::new("alice", NOON.plus(seconds(after)), &Policy::new()));
    let operations = both.iter().map(|login| end(EndTarget::Others(session(login)))).collect();
    check_every_order(&both.clone(), operations, move |registry| {
        assert_eq!(count_open(registry, &both), 1);
    });
}

#[test]
fn simultaneous_rotations_store_the_data_of_both() {
    let first = login(Duration::ZERO, Overflow::Evict);
    let (key, one) = (first.key, session(&first));
    let rotate = |name: &'static str| -> Operation {
        let one = one.clone();
        Arc::new(move |registry| {
            let mut data = DataChanges::default();
            data.set(name, serde_json::value::to_raw_value(&1).unwrap());
            let update = SessionUpdate { data, ..SessionUpdate::new(NOON) };
            outcome(registry.rotate(KeyRotation::new(one.clone(), key, update)));
        })
    };
    let operations = vec![rotate("a"), rotate("b")];
    let user = Arc::clone(&first.user);
    check_every_order(&[first], operations, move |registry| {
        assert!(!is_open(registry, key));
        let data = outcome(registry.export(Arc::clone(&user))).data;
        let names: Vec<_> = data[0].1.entries().map(|(name, _)| name.to_owned()).collect();
        assert_eq!((data.len(), names), (1, vec!["a".to_owned(), "b".to_owned()]));
    });
}
