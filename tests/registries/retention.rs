//! Retention of the memory registry: the tombstones and the history that it deletes, and when.

use session_expire::{
    Limit, MemoryRegistry, Policy, Reason,
    clock::{Clock, ManualClock},
    hours, minutes,
    registry::{
        EndSessions, EndTarget, Ended, KeyRotation, NewLogin, RecordKey, Registry, SessionRecord,
        SessionRef, SessionUpdate, conformance::block_on,
    },
};

/// Two users in one shard: a login of one purges the records of both.
const ALICE: &str = "user 18849435";
const BOB: &str = "user 21413909";

/// A registry that keeps one ended session of each user in the history.
struct Fixture {
    registry: MemoryRegistry,
    clock: ManualClock,
}

impl Fixture {
    fn new() -> Self {
        let registry = MemoryRegistry::new().history_limit(Limit::At(1));
        Self { registry, clock: ManualClock::default() }
    }

    /// Commits a login, which purges the shard if that is due.
    fn sign_in(&self, user: &str) -> (RecordKey, SessionRef) {
        let login = NewLogin::new(user, self.clock.now(), &Policy::new());
        let session = (login.key(), SessionRecord::new(&login).session_ref());
        block_on(Box::pin(async { drop(self.registry.commit(login).await.unwrap()) }));
        session
    }

    fn sign_out(&self, session: &SessionRef) {
        let ended = Ended::new(Reason::LoggedOut, self.clock.now());
        let end = EndSessions::new(EndTarget::Session(session.clone()), ended);
        block_on(Box::pin(async { drop(self.registry.end(end).await.unwrap()) }));
    }

    fn has(&self, key: RecordKey) -> bool {
        let mut has = false;
        block_on(Box::pin(async { has = self.registry.load(key, false).await.unwrap().is_some() }));
        has
    }
}

/// Only the tombstone of the first key is kept until the end of adoption.
#[test]
fn rotated_keys_of_an_adopted_session_are_limited() {
    let fixture = Fixture::new();
    let mut login = NewLogin::new(ALICE, fixture.clock.now(), &Policy::new());
    login.adopted_until = Some(login.at.plus(hours(24 * 90)));
    let (first, session) = (login.key(), SessionRecord::new(&login).session_ref());
    let mut key = first;
    block_on(Box::pin(async {
        fixture.registry.commit(login).await.unwrap();
        for _ in 0..3_000 {
            fixture.clock.advance(minutes(1));
            let update = SessionUpdate::new(fixture.clock.now());
            let rotation = KeyRotation::new(session.clone(), key, update);
            key = rotation.new_key();
            fixture.registry.rotate(rotation).await.unwrap();
        }
    }));
    assert!(fixture.registry.len() <= 1_010, "{} records", fixture.registry.len());
    assert!(fixture.has(first) && fixture.has(key));
}

#[test]
fn tombstones_stay_a_day_and_the_history_ninety() {
    let fixture = Fixture::new();
    let (open, pruned, kept) = (fixture.sign_in(ALICE), fixture.sign_in(ALICE), {
        fixture.clock.advance(minutes(1));
        fixture.sign_in(ALICE)
    });
    fixture.sign_out(&pruned.1);
    fixture.clock.advance(minutes(1));
    fixture.sign_out(&kept.1);
    let known = || [open.0, pruned.0, kept.0].map(|key| fixture.has(key));
    for (after, expected) in [
        (hours(23), [true, true, true]),
        (hours(2), [false, false, true]),
        (hours(24 * 88), [false, false, true]),
        (hours(24 * 2), [false, false, false]),
    ] {
        fixture.clock.advance(after);
        fixture.sign_in(BOB);
        assert_eq!(known(), expected, "after {after:?} more");
    }
}

#[test]
fn purge_continues_after_the_clock_was_set_back() {
    let fixture = Fixture::new();
    fixture.clock.advance(hours(24 * 365));
    fixture.sign_in(ALICE);
    fixture.clock.step_back(hours(24 * 365));
    let pruned = fixture.sign_in(ALICE);
    fixture.clock.advance(minutes(1));
    let kept = fixture.sign_in(ALICE);
    fixture.sign_out(&pruned.1);
    fixture.sign_out(&kept.1);
    fixture.clock.advance(hours(25));
    fixture.sign_in(ALICE);
    assert!(!fixture.has(pruned.0), "nothing is purged while the clock is behind");
}
