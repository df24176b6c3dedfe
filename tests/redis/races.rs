//! Simultaneous logins in two processes.

use std::{
    env,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use session_expire::{
    Overflow, Policy, RedisRegistry,
    registry::{LoginOutcome, NewLogin, Query, Registry},
};
use session_expire_tests::RedisServer;
use tokio::task::JoinSet;

use crate::{NOON, rounds};

const LOGINS: u32 = 25;

const URL: &str = "SESSION_EXPIRE_RACE";

fn overflow_in(round: u32) -> Overflow {
    if round.is_multiple_of(2) { Overflow::Evict } else { Overflow::Refuse }
}

/// Commits many logins of one user at once, and returns how many were not refused.
async fn commit_at_once(registry: &Arc<RedisRegistry>, round: u32) -> u32 {
    let policy = Policy::new().max_sessions(1).overflow(overflow_in(round));
    let mut commits = JoinSet::new();
    for _ in 0..LOGINS {
        let registry = Arc::clone(registry);
        let login = NewLogin::new(format!("user {round}"), NOON, &policy);
        commits.spawn(async move {
            matches!(registry.commit(login).await.unwrap(), LoginOutcome::Committed { .. })
        });
    }
    commits.join_all().await.into_iter().map(u32::from).sum()
}

/// Starts each round when both processes are ready.
#[tokio::test]
#[ignore = "run by `logins_in_two_processes_leave_one_session`"]
async fn process() {
    let Ok(url) = env::var(URL) else { return };
    let registry = RedisRegistry::connect(&url).await.unwrap().timeout(Duration::from_secs(30));
    let registry = Arc::new(registry);
    let mut server = redis::Client::open(url).unwrap().get_connection().unwrap();
    for round in 0..rounds::times(20) {
        let ready = format!("ready {round}");
        redis::cmd("INCR").arg(&ready).exec(&mut server).unwrap();
        while redis::cmd("GET").arg(&ready).query::<u32>(&mut server).unwrap() < 2 {}
        let committed = commit_at_once(&registry, round).await;
        let key = format!("committed {round}");
        redis::cmd("INCRBY").arg(key).arg(committed).exec(&mut server).unwrap();
    }
}

#[tokio::test]
async fn logins_in_two_processes_leave_one_session() {
    let server = RedisServer::start();
    let processes = [(); 2].map(|()| {
        Command::new(env::current_exe().unwrap())
            .args(["--exact", "races::process", "--ignored"])
            .env(URL, server.url())
            .stdout(Stdio::null())
            .spawn()
            .unwrap()
    });
    for mut process in processes {
        assert!(process.wait().unwrap().success());
    }
    let registry = server.registry().await;
    for round in 0..rounds::times(20) {
        let open = registry.list(Query::open(format!("user {round}"))).await.unwrap();
        assert_eq!(open.len(), 1, "round {round}");
        let committed: u32 = server.command(&["GET", &format!("committed {round}")]);
        let expected = if overflow_in(round) == Overflow::Refuse { 1 } else { 2 * LOGINS };
        assert_eq!(committed, expected, "round {round}");
    }
}
