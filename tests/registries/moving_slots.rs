//! A Cluster has the outcomes of the reference registry while slots move and replicas take over.

use proptest::{
    collection::vec,
    test_runner::{Config, TestRunner},
};
use session_expire::registry::Registry;
use session_expire_tests::{Moves, RedisCluster};

use crate::{
    backends::{moving, tokio},
    equivalence::{
        compare,
        steps::{USERS, steps},
    },
    linearizability::assert_atomic,
    rounds,
};

/// Runs `work` while the slots of all users of a new Cluster move.
fn while_slots_move(work: impl Fn(&RedisCluster)) {
    let cluster = RedisCluster::with_options(&["--cluster-node-timeout", "4000"]);
    let moves = cluster.while_slots_move(&USERS, || work(&cluster));
    println!("{moves:?}");
    assert_ne!(moves, Moves::default(), "the test was too short");
}

fn connect(cluster: &RedisCluster) -> Box<dyn Registry> {
    let mut opened: Option<Box<dyn Registry>> = None;
    tokio(Box::pin(async { opened = Some(Box::new(moving(cluster).await)) }));
    opened.unwrap()
}

#[test]
#[ignore = "run by `tests/run --all`"]
fn moving_slots_do_not_change_outcomes() {
    while_slots_move(|cluster| {
        let mut runner = TestRunner::new(Config {
            failure_persistence: None,
            // The moves differ between runs.
            max_shrink_iters: 0,
            ..Config::with_cases(rounds::times(20))
        });
        let check = |steps: Vec<_>| {
            compare(&*connect(cluster), tokio, &steps);
            Ok(())
        };
        runner.run(&vec(steps(), 1..60), check).unwrap();
    });
}

#[test]
#[ignore = "run by `tests/run --all`"]
fn operations_are_atomic_while_slots_move() {
    while_slots_move(|cluster| {
        assert_atomic(rounds::times(20), tokio, || connect(cluster));
    });
}
