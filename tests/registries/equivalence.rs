//! Random sequences of operations have the outcomes of the reference registry.

use std::sync::Arc;

use proptest::{collection::vec, prelude::*};
use session_expire::{
    Limit, MemoryRegistry,
    registry::{
        Registry, SessionRecord,
        conformance::{Runner, block_on},
    },
};

use crate::{backends, reference::Reference, rounds};

pub mod operation;
pub mod steps;

use operation::{Operation, Outcome, call};
use steps::{Scenario, Step, steps};

/// Applies `steps` to both registries, and compares each outcome, and every record at the end.
/// `registry` is empty and has an unlimited history.
pub fn compare(registry: &dyn Registry, run: Runner, steps: &[Step]) {
    run(Box::pin(async {
        let (reference, mut scenario) = (Reference::default(), Scenario::default());
        for (number, step) in steps.iter().enumerate() {
            let Some(operation) = scenario.operation(step) else { continue };
            let expected = call(&reference, &operation).await;
            let outcome = call(registry, &operation).await;
            assert_eq!(outcome, expected, "step {number}, {step:?}");
        }
        for key in &scenario.keys {
            let operation = Operation::Load(*key, true);
            let expected = call(&reference, &operation).await;
            let outcome = call(registry, &operation).await;
            assert_eq!(outcome, expected, "at the end");
        }
    }));
}

/// One test for each registry.
macro_rules! equivalence_tests {
    ($($(#[$attribute:meta])* $name:ident: $count:expr, $runner:expr, $fresh:expr;)*) => { $(
            proptest! {
                #![proptest_config(ProptestConfig {
                    failure_persistence: None,
                    ..ProptestConfig::with_cases(rounds::times($count))
                })]
                #[test]
                $(#[$attribute])*
                fn $name(steps in vec(steps(), 1..60)) {
                    let mut opened = None;
                    let run: Runner = $runner;
                    run(Box::pin(async { opened = Some($fresh.await) }));
                    compare(&opened.unwrap(), run, &steps);
                }
            }
    )* };
}

equivalence_tests! {
    memory_matches_the_reference: 200, block_on, async {
        MemoryRegistry::new().history_limit(Limit::Off)
    };
    sqlite_matches_the_reference: 40, block_on, async { backends::sqlite() };
    redis_matches_the_reference: 40, backends::tokio, async {
        backends::emptied(&backends::REDIS_OF_EQUIVALENCE).await
    };
    caching_redis_matches_the_reference: 40, backends::tokio, async {
        backends::emptied_caching(&backends::REDIS_OF_CACHED_EQUIVALENCE).await
    };
    #[ignore = "run by `tests/run --all`"]
    cluster_matches_the_reference: 10, backends::tokio, async {
        backends::cluster().await.history_limit(Limit::Off)
    };
    #[ignore = "run by `tests/run --all`"]
    sentinel_matches_the_reference: 10, backends::tokio, async {
        backends::sentinel().await.history_limit(Limit::Off)
    };
}

/// Otherwise the comparison would miss a kind of outcome.
#[test]
fn random_steps_reach_every_kind_of_outcome() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let mut kinds = std::collections::BTreeSet::new();
    for _ in 0..300 {
        let steps = vec(steps(), 60).new_tree(&mut runner).unwrap().current();
        let (reference, mut scenario) = (Arc::new(Reference::default()), Scenario::default());
        for step in &steps {
            let Some(operation) = scenario.operation(step) else { continue };
            block_on(Box::pin(async {
                kinds.extend(kind(&call(&*reference, &operation).await));
            }));
        }
    }
    let expected = [
        "adoption closed",
        "committed",
        "confirmation failed",
        "ended",
        "evicted",
        "lost",
        "no session",
        "refused",
        "renewed",
        "reserved",
        "rotated",
        "taken over",
        "ticket invalid",
        "too large",
        "too many attempts",
        "updated",
        "voided",
    ];
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), expected);
}

fn is_taken_over(record: &SessionRecord) -> bool {
    record.ended.as_ref().is_some_and(|ended| ended.cause.is_some())
}

fn kind(outcome: &Outcome) -> Option<&'static str> {
    use session_expire::{
        Reason,
        registry::{RotationOutcome as Rotation, UpdateOutcome as Update},
    };
    Some(match outcome {
        Outcome::Committed(_, ended) if ended.is_empty() => "committed",
        Outcome::Committed(_, ended) if ended.iter().any(is_taken_over) => "taken over",
        Outcome::Committed(..) => "evicted",
        Outcome::Refused(_) => "refused",
        Outcome::Reserved => "reserved",
        Outcome::AdoptionClosed => "adoption closed",
        Outcome::Voided => "voided",
        Outcome::TicketInvalid => "ticket invalid",
        Outcome::Counted(Some(record)) if record.ended.is_none() => "confirmation failed",
        Outcome::Counted(Some(_)) => "too many attempts",
        Outcome::Updated(Update::Updated) => "updated",
        Outcome::Updated(Update::Ended) => "no session",
        Outcome::Updated(Update::TooLarge) => "too large",
        Outcome::Rotated(Rotation::Rotated) => "rotated",
        Outcome::Rotated(Rotation::Lost) => "lost",
        Outcome::Ended(ended) if !ended.is_empty() => "ended",
        Outcome::Loaded(Some(loaded)) => match loaded.record.ended.as_ref()?.reason {
            Reason::Renewed => "renewed",
            _ => return None,
        },
        _ => return None,
    })
}
