//! A model check of [`MemoryRegistry`]: some threads, in every order that its locks allow.
//!
//! `RUSTFLAGS="--cfg shuttle"` puts locks in the place of the usual ones that can play all orders; see
//! `tests/run`.

use std::{sync::Arc, time::Duration};

use shuttle::{check_dfs, thread};

use crate::{
    facts::Reason,
    limit::{Limit, Overflow},
    policy::Policy,
    registry::{
        EndTarget, Registry, RegistryFuture,
        conformance::block_on,
        key::RecordKey,
        login::NewLogin,
        memory::MemoryRegistry,
        record::{ActivityUpdate, Ended},
        room::SessionLimit,
    },
    time::{Timestamp, minutes, seconds},
};

const NOON: Timestamp = Timestamp::from_millis(1_767_268_800_000);

fn answered<T: Send>(answer: RegistryFuture<'_, T>) -> T {
    let mut said = None;
    block_on(Box::pin(async { said = answer.await.ok() }));
    said.unwrap()
}

fn login(after: Duration, overflow: Overflow) -> NewLogin {
    NewLogin::new("alice", NOON.plus(after), &Policy::new().max_sessions(1).overflow(overflow))
}

fn is_open(registry: &MemoryRegistry, key: RecordKey) -> bool {
    answered(registry.load(key)).is_some_and(|loaded| loaded.record.ended.is_none())
}

/// What one thread does.
type Deed = Arc<dyn Fn(&MemoryRegistry) + Send + Sync>;

/// Does `deeds` at once, in every order that there is, after the login `first`.
fn in_every_order(
    first: &NewLogin,
    deeds: Vec<Deed>,
    then: impl Fn(&MemoryRegistry) + Send + Sync + 'static,
) {
    let first = first.clone();
    let all = move || {
        let registry = Arc::new(MemoryRegistry::new().log_limit(Limit::Off));
        answered(registry.login(first.clone()));
        let each = deeds.iter().map(|deed| {
            let (deed, registry) = (Arc::clone(deed), Arc::clone(&registry));
            thread::spawn(move || deed(&registry))
        });
        let threads: Vec<_> = each.collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        then(&registry);
    };
    check_dfs(all, None);
}

fn signing_in(login: &NewLogin) -> Deed {
    let login = login.clone();
    Arc::new(move |registry| drop(answered(registry.login(login.clone()))))
}

#[test]
fn of_simultaneous_logins_one_session_lives() {
    let all = [0, 1, 2].map(|after| login(seconds(after), Overflow::Evict));
    let keys = all.each_ref().map(|login| login.key);
    let deeds = vec![signing_in(&all[1]), signing_in(&all[2])];
    in_every_order(&all[0], deeds, move |registry| {
        let open = keys.iter().filter(|key| is_open(registry, **key)).count();
        assert_eq!((open, registry.len()), (1, 3));
    });
}

#[test]
fn a_place_that_becomes_free_is_given_once() {
    let [first, second, third] = [0, 1, 2].map(|after| login(seconds(after), Overflow::Refuse));
    let (leaving, next) = (first.key, second.clone());
    let change_over: Deed = Arc::new(move |registry| {
        let over = Ended::new(Reason::LoggedOut, NOON.plus(seconds(3)));
        assert_eq!(answered(registry.end(EndTarget::Key(leaving), over)).len(), 1);
        answered(registry.login(next.clone()));
    });
    let keys = [second.key, third.key];
    in_every_order(&first, vec![change_over, signing_in(&third)], move |registry| {
        assert!(!is_open(registry, leaving));
        let open = keys.iter().filter(|key| is_open(registry, **key)).count();
        assert_eq!(open, 1, "one place");
    });
}

#[test]
fn no_activity_revives_what_was_ended_meanwhile() {
    let first = login(Duration::ZERO, Overflow::Evict);
    let key = first.key;
    let act: Deed = Arc::new(move |registry| {
        let now = NOON.plus(minutes(1));
        answered(registry.touch(key, ActivityUpdate { seen: now, now, patch: None }));
        let room = SessionLimit { max_sessions: Limit::At(1), overflow: Overflow::Evict };
        answered(registry.make_room(key, room, Ended::new(Reason::Evicted, now)));
    });
    let end: Deed = Arc::new(move |registry| {
        let over = Ended::new(Reason::Revoked, NOON.plus(minutes(1)));
        assert_eq!(answered(registry.end(EndTarget::All("alice".into()), over)).len(), 1);
        assert!(!is_open(registry, key));
    });
    in_every_order(&first, vec![act, end], move |registry| {
        let record = answered(registry.load(key)).unwrap().record;
        assert_eq!(record.ended.as_ref().map(|ended| ended.reason), Some(Reason::Revoked));
    });
}
