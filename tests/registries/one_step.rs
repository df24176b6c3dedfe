//! Every operation is one step: whatever three threads did at once, there is an order of their
//! operations in which the plain registry gives the same answers, and which contradicts no clock on the
//! wall (an operation that was over before another began comes first).
//!
//! This looks at a registry from outside, so it holds for any; and as it compares answers, it finds
//! more than a look at the locks would: the memory registry takes one lock once in each operation.

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
    Limit, MemoryRegistry, Registry,
    conformance::{Runner, block_on},
};

use crate::{
    broken::{Broken, Fault},
    plain::Plain,
    real,
    sequences::{Question, Said, Step, Story, ask, steps},
};

/// What happens first, and then what each thread does.
type Plan = (Vec<Step>, Vec<Vec<Step>>);

fn plans() -> impl Strategy<Value = Plan> {
    // The list of all users is not promised to be one step.
    let step = || steps().prop_filter("one user", |s| !matches!(s, Step::Find { user: None, .. }));
    (vec(step(), 2..8), vec(vec(step(), 2..5), 3))
}

/// An operation as it went, with the moments between which it happened.
struct Deed {
    question: Question,
    said: Said,
    began: usize,
    over: usize,
}

/// Runs the threads of a plan; what each did, in its order.
fn run_at_once(registry: &dyn Registry, run: Runner, plan: Vec<Vec<Question>>) -> Vec<Vec<Deed>> {
    let (ready, moment, threads) = (AtomicUsize::new(0), AtomicUsize::new(0), plan.len());
    let tick = || moment.fetch_add(1, Ordering::SeqCst);
    let live = |questions: Vec<Question>| {
        let deeds = Mutex::new(vec![]);
        ready.fetch_add(1, Ordering::SeqCst);
        // A barrier wakes its threads one after the other, which is too slow for a close race.
        while ready.load(Ordering::SeqCst) < threads {
            hint::spin_loop();
            thread::yield_now();
        }
        run(Box::pin(async {
            for question in questions {
                let began = tick();
                let said = ask(registry, &question).await;
                deeds.lock().unwrap().push(Deed { question, said, began, over: tick() });
            }
        }));
        deeds.into_inner().unwrap()
    };
    thread::scope(|scope| {
        let live = &live;
        let threads: Vec<_> =
            plan.into_iter().map(|questions| scope.spawn(move || live(questions))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// Whether some order of the deeds from `next` on explains what was said, beginning with `past`.
fn explains(past: &Plain, deeds: &[Vec<Deed>], next: &[usize]) -> bool {
    let open =
        || deeds.iter().zip(next).enumerate().filter_map(|(n, (own, at))| Some((n, own.get(*at)?)));
    let Some(deadline) = open().map(|(_, deed)| deed.over).min() else { return true };
    open().filter(|(_, deed)| deed.began <= deadline).any(|(thread, deed)| {
        let future = past.copy();
        let mut said = None;
        block_on(Box::pin(async { said = Some(ask(&future, &deed.question).await) }));
        let mut next = next.to_vec();
        next[thread] += 1;
        said.as_ref() == Some(&deed.said) && explains(&future, deeds, &next)
    })
}

/// What became of a plan.
struct Outcome {
    explained: bool,
    /// Whether any two operations were under way at once: otherwise there was no race to win.
    raced: bool,
    story: String,
}

fn outcome(registry: &dyn Registry, run: Runner, (before, threads): &Plan) -> Outcome {
    let (plain, mut story) = (Plain::default(), Story::default());
    for step in before {
        let Some(question) = story.question(step) else { continue };
        for registry in [&plain, registry] {
            run(Box::pin(async {
                ask(registry, &question).await;
            }));
        }
    }
    let mut questions =
        |steps: &Vec<Step>| steps.iter().filter_map(|s| story.question(s)).collect();
    let plan: Vec<Vec<_>> = threads.iter().map(&mut questions).collect();
    let deeds = run_at_once(registry, run, plan);
    let all: Vec<_> = deeds.iter().flatten().collect();
    let raced = all.iter().any(|deed| deed.over != deed.began + 1);
    let told =
        all.iter().map(|d| format!("{}–{} {:?}\n  {:?}\n", d.began, d.over, d.question, d.said));
    let explained = explains(&plain, &deeds, &vec![0; deeds.len()]);
    Outcome { explained, raced, story: told.collect() }
}

/// Plays `count` plans, each on a new registry; how many were races, and the first story that no order
/// explains.
fn play(
    count: usize,
    run: Runner,
    fresh: impl Fn() -> Box<dyn Registry>,
) -> (usize, Option<String>) {
    let rng = TestRng::deterministic_rng(Config::default().rng_algorithm);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let mut races = 0;
    for _ in 0..count {
        let plan = plans().new_tree(&mut runner).unwrap().current();
        let outcome = outcome(&*fresh(), run, &plan);
        races += usize::from(outcome.raced);
        if !outcome.explained {
            return (races, Some(outcome.story));
        }
    }
    (races, None)
}

/// One test for each registry, which keeps the whole log and has no other users.
macro_rules! every_operation_is_one_step {
    ($($name:ident: $count:expr, $runner:expr, $fresh:expr;)*) => { $(
        #[test]
        fn $name() {
            let run: Runner = $runner;
            let (races, unexplained) = play($count, run, || {
                let mut opened: Option<Box<dyn Registry>> = None;
                run(Box::pin(async { opened = Some(Box::new($fresh.await)) }));
                opened.unwrap()
            });
            println!("{races} of {} plans were races", $count);
            assert!(unexplained.is_none(), "no order explains:\n{}", unexplained.unwrap());
        }
    )* };
}

every_operation_is_one_step! {
    memory: 3_000, block_on, async { MemoryRegistry::new().log_limit(Limit::Off) };
    sqlite: 300, block_on, async { real::sqlite() };
    redis_that_caches: 300, real::tokio, async { real::emptied_caching(&real::REDIS_OF_OTHER_RACES).await };
    redis: 300, real::tokio, async { real::emptied(&real::REDIS_OF_RACES).await };
}

#[test]
fn an_operation_in_two_steps_is_noticed() {
    for fault in [Fault::PassesTheLimitInARace, Fault::EndsInTwoSteps] {
        let (_, unexplained) = play(500, block_on, || Box::new(Broken::new(fault)));
        assert!(unexplained.is_some(), "{fault:?} went unnoticed");
    }
}
