//! A model of the rules responds to random steps beside the server: every response is the same.

mod rules;
mod run;
mod steps;

use proptest::{collection::vec, prelude::*};
use session_expire::Overflow;

use self::{run::Run, steps::steps};

const IDLE: u64 = 600;
const ABSOLUTE: u64 = 7_200;
const START: u64 = 1_000_000;
/// A run is shorter than the day for which the reason of an end is known.
const LONGEST_RUN: u64 = 80_000;
const USERS: [&str; 2] = ["alice", "bob"];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(150) })]
    #[test]
    fn site_responds_as_the_rules_say(
        steps in vec(steps(), 1..80),
        limit in 0_u32..4,
        overflow in prop_oneof![Just(Overflow::Evict), Just(Overflow::LeastRecent), Just(Overflow::Refuse)],
        on_disk in any::<bool>(),
    ) {
        let (mut run, _folder) = Run::start(limit, overflow, on_disk);
        for (number, step) in steps.iter().enumerate() {
            run.take(step, &format!("step {number}: {step:?}"));
        }
    }
}
