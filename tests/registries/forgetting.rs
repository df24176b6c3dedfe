//! What the memory registry forgets, and when.

use session_expire::{
    Clock, EndTarget, Ended, Limit, ManualClock, MemoryRegistry, NewLogin, Policy, Reason,
    RecordKey, Registry, conformance::block_on, hours, minutes,
};

/// A registry that keeps one past login of each user in the log.
struct House {
    registry: MemoryRegistry,
    clock: ManualClock,
}

impl House {
    fn new() -> Self {
        let registry = MemoryRegistry::new().log_limit(Limit::At(1));
        Self { registry, clock: ManualClock::default() }
    }

    /// A login of Alice, which sweeps her shard if it is time.
    fn sign_in(&self) -> RecordKey {
        let login = NewLogin::new("alice", self.clock.now(), &Policy::new());
        let key = login.key;
        block_on(Box::pin(async { drop(self.registry.login(login).await.unwrap()) }));
        key
    }

    fn sign_out(&self, key: RecordKey) {
        let over = Ended::new(Reason::LoggedOut, self.clock.now());
        block_on(Box::pin(async {
            self.registry.end(EndTarget::Key(key), over).await.unwrap();
        }));
    }

    fn knows(&self, key: RecordKey) -> bool {
        let mut known = false;
        block_on(Box::pin(async { known = self.registry.load(key).await.unwrap().is_some() }));
        known
    }
}

#[test]
fn what_left_the_log_is_remembered_for_a_day_and_the_log_for_ninety() {
    let house = House::new();
    let (open, unlogged, logged) = (house.sign_in(), house.sign_in(), house.sign_in());
    house.sign_out(unlogged);
    house.clock.advance(minutes(1));
    house.sign_out(logged);
    let known = || [open, unlogged, logged].map(|key| house.knows(key));
    for (after, expected) in [
        (hours(23), [true, true, true]),
        (hours(2), [true, false, true]),
        (hours(24 * 88), [true, false, true]),
        (hours(24 * 2), [false, false, false]),
    ] {
        house.clock.advance(after);
        house.sign_in();
        assert_eq!(known(), expected, "after {after:?} more");
    }
}

#[test]
fn sweeping_goes_on_after_a_clock_was_set_back() {
    let house = House::new();
    house.clock.advance(hours(24 * 365));
    house.sign_in();
    house.clock.step_back(hours(24 * 365));
    let (unlogged, logged) = (house.sign_in(), house.sign_in());
    house.sign_out(unlogged);
    house.clock.advance(minutes(1));
    house.sign_out(logged);
    house.clock.advance(hours(25));
    house.sign_in();
    assert!(!house.knows(unlogged), "nothing is swept until the clock has caught up");
}
