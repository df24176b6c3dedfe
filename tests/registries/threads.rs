//! Many threads on one memory registry.

use session_expire::{
    MemoryRegistry,
    conformance::{
        a_storm_leaves_order_behind, activity_cannot_outrun_the_end, block_on,
        of_simultaneous_logins_one_is_admitted, of_simultaneous_logins_one_is_left,
    },
};

#[test]
fn two_hundred_rounds_of_fifty_logins_leave_one_each() {
    for _ in 0..200 {
        let registry = MemoryRegistry::new();
        of_simultaneous_logins_one_is_left(&registry, block_on);
        of_simultaneous_logins_one_is_admitted(&registry, block_on);
    }
}

#[test]
fn two_hundred_storms_leave_order_behind() {
    let registry = MemoryRegistry::new();
    for _ in 0..200 {
        a_storm_leaves_order_behind(&registry, block_on);
        activity_cannot_outrun_the_end(&registry, block_on);
    }
}
