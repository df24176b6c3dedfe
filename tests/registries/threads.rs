//! Conformance tests of simultaneous operations, repeated on the memory registry.

use session_expire::{
    MemoryRegistry,
    registry::conformance::{PROMISES, block_on},
};

use crate::rounds;

fn check(registry: &MemoryRegistry, names: &[&str]) {
    for name in names {
        let (_, promise) = PROMISES.iter().find(|(known, _)| known == name).unwrap();
        promise(registry, block_on);
    }
}

#[test]
fn simultaneous_logins_respect_the_limit_in_every_round() {
    for _ in 0..rounds::times(10) {
        let names = [
            "simultaneous_logins_leave_one_session",
            "simultaneous_logins_commit_one",
            "simultaneous_reservations_reserve_one_slot",
            "simultaneous_takeovers_spend_a_ticket_once",
            "simultaneous_takeovers_of_a_session_keep_the_limit",
        ];
        check(&MemoryRegistry::new(), &names);
    }
}

#[test]
fn simultaneous_changes_are_consistent_in_every_round() {
    let registry = MemoryRegistry::new();
    for _ in 0..rounds::times(10) {
        let names = [
            "mixed_operations_leave_a_consistent_state",
            "activity_does_not_reopen_an_ended_session",
            "simultaneous_ends_of_the_others_leave_one",
            "simultaneous_rotations_have_one_winner",
            "simultaneous_reauthentications_have_one_winner",
            "simultaneous_confirmation_attempts_are_counted",
        ];
        check(&registry, &names);
    }
}
