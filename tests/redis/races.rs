//! Simultaneous logins in two processes.

use std::{
    env,
    process::{Command, Stdio},
    sync::Arc,
};

use session_expire::{
    Overflow, Policy, RedisRegistry, minutes,
    registry::{LoginOutcome, LoginTicket, NewLogin, Query, RecordKey, Registry, Takeover},
};
use session_expire_tests::RedisServer;
use tokio::task::JoinSet;

use crate::{
    NOON, committed, login, revoked, rounds,
    servers::{Servers, tests_on_all_servers},
};

tests_on_all_servers! {
    logins_in_two_processes_leave_one_session
    takeovers_in_two_processes_leave_one_session
}

const LOGINS: u32 = 25;

/// Environment variable with the description of the servers.
const SERVERS: &str = "SESSION_EXPIRE_RACE";

/// Environment variable with the URL of the server at which the processes meet.
const MEETING: &str = "SESSION_EXPIRE_RACE_MEETING";

fn overflow_in(round: u32) -> Overflow {
    if round.is_multiple_of(2) { Overflow::Evict } else { Overflow::Refuse }
}

fn user(round: u32) -> String {
    format!("user {round}")
}

/// Commits logins at the same time, and returns the number of committed logins.
async fn commit_at_once(registry: &Arc<RedisRegistry>, logins: Vec<NewLogin>) -> u32 {
    let mut commits = JoinSet::new();
    for login in logins {
        let registry = Arc::clone(registry);
        commits.spawn(async move {
            matches!(registry.commit(login).await.unwrap(), LoginOutcome::Committed { .. })
        });
    }
    commits.join_all().await.into_iter().map(u32::from).sum()
}

/// Commits the logins of each round when both processes are ready. `logins` gets the number of the
/// round and the number of the process, which may differ in each round.
async fn race(logins: impl AsyncFn(&RedisRegistry, u32, usize) -> Vec<NewLogin>) {
    let Ok(servers) = env::var(SERVERS) else { return };
    let registry = Arc::new(Servers::connect(&servers).await);
    let url = env::var(MEETING).unwrap();
    let mut server = redis::Client::open(url).unwrap().get_connection().unwrap();
    for round in 0..rounds::times(20) {
        let (prepared, ready) = (format!("prepared {round}"), format!("ready {round}"));
        let process: usize = redis::cmd("INCR").arg(&prepared).query(&mut server).unwrap();
        let logins = logins(&registry, round, process - 1).await;
        redis::cmd("INCR").arg(&ready).exec(&mut server).unwrap();
        while redis::cmd("GET").arg(&ready).query::<u32>(&mut server).unwrap() < 2 {}
        let committed = commit_at_once(&registry, logins).await;
        let key = format!("committed {round}");
        redis::cmd("INCRBY").arg(key).arg(committed).exec(&mut server).unwrap();
    }
}

/// Runs the ignored test `name` in two processes. Asserts that each round leaves one session.
async fn run_race(servers: &Servers, name: &str, expected: impl Fn(u32) -> u32) {
    let meeting = RedisServer::start();
    let processes = [(); 2].map(|()| {
        Command::new(env::current_exe().unwrap())
            .args(["--exact", name, "--ignored"])
            .env(SERVERS, servers.description())
            .env(MEETING, meeting.url())
            .stdout(Stdio::null())
            .spawn()
            .unwrap()
    });
    for mut process in processes {
        assert!(process.wait().unwrap().success());
    }
    let registry = servers.registry().await;
    for round in 0..rounds::times(20) {
        let open = registry.list(Query::open(user(round))).await.unwrap();
        assert_eq!(open.len(), 1, "round {round}");
        let committed: u32 = meeting.command(&["GET", &format!("committed {round}")]);
        assert_eq!(committed, expected(round), "round {round}");
    }
}

#[tokio::test]
#[ignore = "run by `logins_in_two_processes_leave_one_session`"]
async fn process() {
    race(async |_, round, _| {
        let policy = Policy::new().max_sessions(1).overflow(overflow_in(round));
        (0..LOGINS).map(|_| login(&user(round), &policy)).collect()
    })
    .await;
}

async fn logins_in_two_processes_leave_one_session(servers: &Servers) {
    let expected = |round| if overflow_in(round) == Overflow::Refuse { 1 } else { 2 * LOGINS };
    run_race(servers, "races::process", expected).await;
}

/// Returns the keys of the two tickets of a round.
fn tickets(round: u32) -> [RecordKey; 2] {
    let key = |n| RecordKey::with_secret(&user(round), &format!("{:0>22}", 2 * round + n));
    [0, 1].map(|n| key(n).unwrap())
}

/// In even rounds, both processes use the same ticket; in odd rounds, each uses its own.
#[tokio::test]
#[ignore = "run by `takeovers_in_two_processes_leave_one_session`"]
async fn taking_over() {
    let policy = Policy::new().max_sessions(1).overflow(Overflow::Refuse);
    race(async |registry, round, process| {
        let open = registry.list(Query::open(user(round))).await.unwrap();
        let ticket = tickets(round)[if round.is_multiple_of(2) { 0 } else { process }];
        let new = |_| {
            let mut new = login(&user(round), &policy);
            new.takeover = Some(Takeover::new(ticket, open[0].id, revoked()));
            new
        };
        (0..LOGINS).map(new).collect()
    })
    .await;
}

async fn takeovers_in_two_processes_leave_one_session(servers: &Servers) {
    let registry = servers.registry().await;
    for round in 0..rounds::times(20) {
        committed(registry.commit(login(&user(round), &Policy::new())).await.unwrap());
        for key in tickets(round) {
            let ticket = LoginTicket::new(user(round), NOON, NOON.plus(minutes(5)));
            registry.issue_ticket(ticket.with_key(key)).await.unwrap();
        }
    }
    run_race(servers, "races::taking_over", |_| 1).await;
}
