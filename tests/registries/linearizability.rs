//! Every operation is atomic: for all that three threads do at once, some order of their operations
//! has the same outcomes on the reference registry. An operation that was complete before another
//! began comes first in that order.

use std::{
    hint,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use proptest::{
    collection::vec,
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, TestRng, TestRunner},
};
use session_expire::{
    Limit, MemoryRegistry,
    registry::{
        Registry,
        conformance::{Runner, block_on},
    },
};

use crate::{
    backends,
    equivalence::{
        operation::{Operation, Outcome, call},
        steps::{Scenario, Step, steps},
    },
    faulty_registries::{Fault, Faulty},
    reference::Reference,
    rounds,
};

/// The steps before the threads start, and the steps of each thread.
type Plan = (Vec<Step>, Vec<Vec<Step>>);

fn plans() -> impl Strategy<Value = Plan> {
    // Operations on all users need not be atomic.
    let one_user = |step: &Step| !matches!(step, Step::List { user: None, .. } | Step::EndEveryone);
    let step = || steps().prop_filter("one user", one_user);
    (vec(step(), 2..8), vec(vec(step(), 2..5), 3))
}

/// A completed call, with the numbers of its begin and its end.
struct Call {
    operation: Operation,
    outcome: Outcome,
    began: usize,
    completed: usize,
}

/// Runs the threads of a plan. Returns the calls of each, in its order.
fn run_at_once(registry: &dyn Registry, run: Runner, plan: Vec<Vec<Operation>>) -> Vec<Vec<Call>> {
    let (ready, moment, threads) = (AtomicUsize::new(0), AtomicUsize::new(0), plan.len());
    let tick = || moment.fetch_add(1, Ordering::SeqCst);
    let work = |operations: Vec<Operation>| {
        let calls = Mutex::new(vec![]);
        ready.fetch_add(1, Ordering::SeqCst);
        // A barrier wakes its threads one after the other, which causes fewer races.
        while ready.load(Ordering::SeqCst) < threads {
            hint::spin_loop();
            thread::yield_now();
        }
        run(Box::pin(async {
            for operation in operations {
                let began = tick();
                let outcome = call(registry, &operation).await;
                let completed = tick();
                calls.lock().unwrap().push(Call { operation, outcome, began, completed });
            }
        }));
        calls.into_inner().unwrap()
    };
    thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> =
            plan.into_iter().map(|operations| scope.spawn(move || work(operations))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// Returns `true` if some order of the calls from `next` on explains their outcomes after `past`.
fn explains(past: &Reference, calls: &[Vec<Call>], next: &[usize]) -> bool {
    let open =
        || calls.iter().zip(next).enumerate().filter_map(|(n, (own, at))| Some((n, own.get(*at)?)));
    let Some(first) = open().map(|(_, call)| call.completed).min() else { return true };
    open().filter(|(_, call)| call.began <= first).any(|(thread, one)| {
        let future = past.copy();
        let mut outcome = None;
        block_on(Box::pin(async { outcome = Some(call(&future, &one.operation).await) }));
        let mut next = next.to_vec();
        next[thread] += 1;
        outcome.as_ref() == Some(&one.outcome) && explains(&future, calls, &next)
    })
}

/// The result of a plan.
struct PlanResult {
    is_explained: bool,
    /// `true` if two operations ran at once.
    is_race: bool,
    log: String,
}

fn run_plan(registry: &dyn Registry, run: Runner, (before, threads): &Plan) -> PlanResult {
    let (reference, mut scenario) = (Reference::default(), Scenario::default());
    for step in before {
        let Some(operation) = scenario.operation(step) else { continue };
        for registry in [&reference as &dyn Registry, registry] {
            run(Box::pin(async {
                call(registry, &operation).await;
            }));
        }
    }
    let mut operations =
        |steps: &Vec<Step>| steps.iter().filter_map(|step| scenario.operation(step)).collect();
    let plan: Vec<Vec<_>> = threads.iter().map(&mut operations).collect();
    let calls = run_at_once(registry, run, plan);
    let all: Vec<_> = calls.iter().flatten().collect();
    let is_race = all.iter().any(|call| call.completed != call.began + 1);
    let log = all.iter().map(|call| {
        format!("{}–{} {:?}\n  {:?}\n", call.began, call.completed, call.operation, call.outcome)
    });
    let is_explained = explains(&reference, &calls, &vec![0; calls.len()]);
    PlanResult { is_explained, is_race, log: log.collect() }
}

/// Runs `count` plans, each on a new registry. Returns the number of races, and the log of the
/// first plan that no order explains.
fn run_plans(
    count: u32,
    run: Runner,
    fresh: impl Fn() -> Box<dyn Registry>,
) -> (usize, Option<String>) {
    let rng = TestRng::deterministic_rng(Config::default().rng_algorithm);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let mut races = 0;
    for _ in 0..count {
        let plan = plans().new_tree(&mut runner).unwrap().current();
        let result = run_plan(&*fresh(), run, &plan);
        races += usize::from(result.is_race);
        if !result.is_explained {
            return (races, Some(result.log));
        }
    }
    (races, None)
}

/// Fails if no order explains one of `count` plans.
pub fn assert_atomic(count: u32, run: Runner, fresh: impl Fn() -> Box<dyn Registry>) {
    let (races, unexplained) = run_plans(count, run, fresh);
    println!("{races} of {count} plans were races");
    assert!(unexplained.is_none(), "no order explains:\n{}", unexplained.unwrap());
}

/// One test for each registry, which is empty and has an unlimited history.
macro_rules! linearizability_tests {
    ($($(#[$attribute:meta])* $name:ident: $count:expr, $runner:expr, $fresh:expr;)*) => { $(
        #[test]
        $(#[$attribute])*
        fn $name() {
            let run: Runner = $runner;
            assert_atomic(rounds::times($count), run, || {
                let mut opened: Option<Box<dyn Registry>> = None;
                run(Box::pin(async { opened = Some(Box::new($fresh.await)) }));
                opened.unwrap()
            });
        }
    )* };
}

linearizability_tests! {
    operations_on_memory_are_atomic: 500, block_on, async {
        MemoryRegistry::new().history_limit(Limit::Off)
    };
    operations_on_sqlite_are_atomic: 60, block_on, async { backends::sqlite() };
    operations_on_redis_are_atomic: 100, backends::tokio, async {
        backends::emptied(&backends::REDIS_OF_THREADS).await
    };
    operations_on_caching_redis_are_atomic: 100, backends::tokio, async {
        backends::emptied_caching(&backends::REDIS_OF_CACHED_THREADS).await
    };
    #[ignore = "run by `tests/run --all`"]
    operations_on_a_cluster_are_atomic: 20, backends::tokio, async {
        backends::cluster().await.history_limit(Limit::Off)
    };
    #[ignore = "run by `tests/run --all`"]
    operations_with_sentinels_are_atomic: 20, backends::tokio, async {
        backends::sentinel().await.history_limit(Limit::Off)
    };
}

#[test]
fn operation_in_two_steps_is_detected() {
    let faults =
        [Fault::EnforcesTheLimitInTwoSteps, Fault::EndsInTwoSteps, Fault::TakesOverInTwoSteps];
    for fault in faults {
        let (_, unexplained) = run_plans(500, block_on, || Box::new(Faulty::new(fault)));
        assert!(unexplained.is_some(), "{fault:?} was not detected");
    }
}
