//! Simultaneous logins, over one connection, several, and from two processes.

use std::{
    process::{Command, Stdio},
    sync::{Arc, Barrier},
    time::Duration,
};

use session_expire::{LoginOutcome, NewLogin, Overflow, Policy, Query, RedisRegistry, Registry};
use tokio::{runtime::Runtime, task::JoinSet};

use crate::NOON;
use session_expire_tests::RedisServer;

const ROUNDS: u32 = 200;
const LOGINS: u32 = 50;

fn policy(overflow: Overflow) -> Policy {
    Policy::new().max_sessions(1).overflow(overflow)
}

/// Commits many logins of one user at once, and returns how many were not refused.
async fn rush(registry: &Arc<RedisRegistry>, user: &str, overflow: Overflow, logins: u32) -> u32 {
    let mut rush = JoinSet::new();
    for _ in 0..logins {
        let (registry, user) = (Arc::clone(registry), user.to_owned());
        rush.spawn(async move {
            let login = NewLogin::new(user, NOON, &policy(overflow));
            matches!(registry.commit(login).await.unwrap(), LoginOutcome::Committed { .. })
        });
    }
    rush.join_all().await.into_iter().map(u32::from).sum()
}

fn overflow_of(round: u32) -> Overflow {
    [Overflow::Evict, Overflow::Refuse][(round % 2) as usize]
}

async fn assert_one_left(registry: &RedisRegistry, round: u32, committed: u32) {
    let user = format!("user {round}");
    let open = registry.list(Query::open(user)).await.unwrap();
    assert_eq!(open.len(), 1, "round {round}");
    let expected = if overflow_of(round) == Overflow::Refuse { 1 } else { LOGINS };
    assert_eq!(committed, expected, "round {round}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_logins_over_two_connections_leave_one() {
    let server = RedisServer::start();
    let (one, other) = (Arc::new(server.registry().await), Arc::new(server.registry().await));
    for round in 0..ROUNDS {
        let (user, overflow) = (format!("user {round}"), overflow_of(round));
        let (a, b) = tokio::join!(
            rush(&one, &user, overflow, LOGINS / 2),
            rush(&other, &user, overflow, LOGINS / 2)
        );
        assert_one_left(&one, round, a + b).await;
    }
}

#[test]
fn fifty_logins_of_fifty_threads_leave_one() {
    let server = RedisServer::start();
    for round in 0..4 {
        let barrier = Arc::new(Barrier::new(LOGINS as usize));
        let threads: Vec<_> = (0..LOGINS)
            .map(|_| {
                let (url, barrier) = (server.url(), Arc::clone(&barrier));
                std::thread::spawn(move || {
                    Runtime::new().unwrap().block_on(async {
                        let registry = RedisRegistry::connect(&url).await.unwrap();
                        let registry = Arc::new(registry.timeout(Duration::from_secs(5)));
                        barrier.wait();
                        rush(&registry, &format!("user {round}"), overflow_of(round), 1).await
                    })
                })
            })
            .collect();
        let committed = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
        Runtime::new().unwrap().block_on(async {
            assert_one_left(&server.registry().await, round, committed).await;
        });
    }
}

/// A process of the test below: it starts each round when both are ready.
#[tokio::test]
#[ignore = "half of a race between two processes"]
async fn half_of_a_race() {
    let Ok(url) = std::env::var("RACE_AT") else { return };
    let registry = RedisRegistry::connect(&url).await.unwrap().timeout(Duration::from_secs(5));
    let registry = Arc::new(registry);
    let mut server = redis::Client::open(url).unwrap().get_connection().unwrap();
    for round in 0..ROUNDS {
        let ready = format!("ready {round}");
        redis::cmd("INCR").arg(&ready).exec(&mut server).unwrap();
        while redis::cmd("GET").arg(&ready).query::<u32>(&mut server).unwrap() < 2 {}
        let committed =
            rush(&registry, &format!("user {round}"), overflow_of(round), LOGINS / 2).await;
        redis::cmd("INCRBY").arg(format!("in {round}")).arg(committed).exec(&mut server).unwrap();
    }
}

#[tokio::test]
async fn fifty_logins_of_two_processes_leave_one() {
    let server = RedisServer::start();
    let halves: Vec<_> = (0..2)
        .map(|_| {
            Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "races::half_of_a_race", "--ignored"])
                .env("RACE_AT", server.url())
                .stdout(Stdio::null())
                .spawn()
                .unwrap()
        })
        .collect();
    for mut half in halves {
        assert!(half.wait().unwrap().success());
    }
    let registry = server.registry().await;
    for round in 0..ROUNDS {
        let committed: u32 = server.ask(&["GET", &format!("in {round}")]);
        assert_one_left(&registry, round, committed).await;
    }
}
