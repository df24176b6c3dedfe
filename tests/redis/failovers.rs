//! Failovers under load: the primary is killed, and its replica becomes the primary.
//!
//! Every second time, the replica is behind when the primary is killed. After each promotion, the
//! new primary gets a new replica.
//!
//! `FAILOVERS` sets the number of failovers: see `tests/endure`.

use session_expire::Limit;
use session_expire_tests::{Counts, Load, Measured, Recovery};
use tokio::runtime::Runtime;

use crate::{replicated::Replicated, rounds};

const USERS: usize = 20;

/// The users of the first task only load: a load never waits for a replica.
const USERS_PER_TASK: usize = 4;

/// Number of logins and ends before a failover, and after the new replica is complete.
const CHANGES: u64 = 60;

struct Site {
    servers: Replicated,
    load: Load,
    waits: bool,
}

impl Site {
    fn start(waits: bool) -> Self {
        let (runtime, servers) = (Runtime::new().unwrap(), Replicated::start());
        let registries = [(); 2].map(|()| {
            let registry = runtime.block_on(servers.waiting());
            registry.wait_for_replicas(waits.into()).history_limit(Limit::Off)
        });
        let load = Load::new(runtime, registries, USERS, waits);
        let load = load.users_per_task(USERS_PER_TASK).only_loading(USERS_PER_TASK);
        Self { servers, load, waits }
    }

    /// Fails over under load, and checks all sessions.
    fn fail_over(&mut self, name: &str, replica_is_behind: bool) -> Measured {
        let Self { servers, load, waits } = self;
        load.measure(name, |progress| {
            progress.wait_for_changes(CHANGES);
            if replica_is_behind {
                servers.replication.hold();
                // No change completes without the replica if the registries wait for it.
                if *waits { progress.wait_for_requests(100) } else { progress.wait_for_changes(10) }
            }
            servers.fail_over();
            progress.begin_fault(|_| true);
            servers.attach_replica();
            progress.wait_for_changes(CHANGES);
        })
    }
}

/// Fails over several times, prints the counts, and returns their sum.
fn fail_over_repeatedly(waits: bool) -> Counts {
    let name = if waits { "waiting for the replica" } else { "not waiting" };
    let (mut site, mut total) = (Site::start(waits), Counts::default());
    let mut longest = Recovery::default();
    let failovers = rounds::number("FAILOVERS", 3);
    for round in 0..failovers {
        let replica_is_behind = round % 2 == 1;
        let behind = if replica_is_behind { ", replica behind" } else { "" };
        let measured = site.fail_over(&format!("{name}{behind}"), replica_is_behind);
        total.add(&measured.counts);
        longest = measured.recovery.unwrap().max(longest);
    }
    println!("{name}, {failovers} failovers: {total}; at most {longest}");
    total
}

#[test]
fn waiting_registries_lose_nothing_in_failovers() {
    fail_over_repeatedly(true).assert_durable();
}

#[test]
fn failovers_without_waiting_keep_the_limits() {
    fail_over_repeatedly(false).assert_exact();
}
