//! Model of the session rules. The server and the model give the same responses to random steps.

mod rules;
mod run;
mod steps;

use proptest::{collection::vec, prelude::*};
use session_expire::Overflow;

use self::{run::Run, steps::steps};

const IDLE: u64 = 600;
const ABSOLUTE: u64 = 7_200;
const START: u64 = 1_000_000;
/// The longest run, shorter than the day for which a tombstone is kept.
const LONGEST_RUN: u64 = 80_000;
const USERS: [&str; 2] = ["alice", "bob"];

/// The number of random runs, from `MODEL_RUNS`.
fn run_count() -> u32 {
    std::env::var("MODEL_RUNS").map_or(50, |runs| runs.parse().expect("a number of runs"))
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(run_count())
    })]
    #[test]
    fn site_follows_the_model(
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
