//! Conformance tests of simultaneous operations, repeated on the memory registry.

use session_expire::{
    MemoryRegistry,
    registry::conformance::{
        activity_does_not_reopen_an_ended_session, block_on,
        mixed_operations_leave_a_consistent_state, simultaneous_ends_of_the_others_leave_one,
        simultaneous_logins_commit_one, simultaneous_logins_leave_one_session,
        simultaneous_reservations_reserve_one_slot, simultaneous_rotations_have_one_winner,
    },
};

use crate::rounds;

#[test]
fn simultaneous_logins_respect_the_limit_in_every_round() {
    for _ in 0..rounds::times(10) {
        let registry = MemoryRegistry::new();
        simultaneous_logins_leave_one_session(&registry, block_on);
        simultaneous_logins_commit_one(&registry, block_on);
        simultaneous_reservations_reserve_one_slot(&registry, block_on);
    }
}

#[test]
fn simultaneous_changes_are_consistent_in_every_round() {
    let registry = MemoryRegistry::new();
    for _ in 0..rounds::times(10) {
        mixed_operations_leave_a_consistent_state(&registry, block_on);
        activity_does_not_reopen_an_ended_session(&registry, block_on);
        simultaneous_ends_of_the_others_leave_one(&registry, block_on);
        simultaneous_rotations_have_one_winner(&registry, block_on);
    }
}
