//! Retention of one user's sessions in the memory registry.

use session_expire::{
    Limit, MemoryRegistry, Policy,
    clock::{Clock, ManualClock},
    minutes,
    registry::{NewLogin, Query, Registry, SessionLimit},
    seconds,
};
use session_expire_tests::block_on;

#[test]
fn logins_of_one_user_are_pruned() {
    let registry = MemoryRegistry::new().history_limit(Limit::At(20));
    let clock = ManualClock::default();
    let policy = Policy::new().max_sessions(3);
    block_on(async {
        for _ in 0..10_000 {
            clock.advance(minutes(30));
            let login = NewLogin::new("alice", clock.now(), &policy);
            drop(registry.commit(login).await.unwrap());
        }
        // Open sessions, history, and the tombstones of two days.
        assert!(registry.len() < 3 + 20 + 2 * 48 + 2, "{}", registry.len());
        let all = Query::all("alice");
        assert_eq!(registry.list(all).await.unwrap().len(), 23);
    });
}

/// The sessions are active, because none has reached its timeout.
#[test]
fn logins_without_a_limit_are_pruned() {
    let (registry, clock) = (MemoryRegistry::new(), ManualClock::default());
    block_on(async {
        for _ in 0..3_000 {
            clock.advance(seconds(1));
            let login = NewLogin::new("alice", clock.now(), &Policy::new());
            drop(registry.commit(login).await.unwrap());
        }
    });
    // Open sessions, history, and tombstones.
    assert_eq!(registry.len(), SessionLimit::WITHOUT_LIMIT + 20 + 1_000);
}
