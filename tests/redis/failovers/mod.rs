//! Failovers under load: the primary is killed, and its replica becomes the primary.
//!
//! Users sign in, are evicted, load sessions and end them, and compare each response with their
//! [model](user::User). Every second time, the replica is behind when the primary is killed. After
//! each promotion, the new primary gets a new replica.
//!
//! `FAILOVERS` sets the number of failovers: see `tests/endure`.

mod load;
mod user;

use std::{mem, thread, time::Instant};

use session_expire::{Limit, RedisRegistry};
use tokio::runtime::Runtime;

use self::{
    load::{Load, Resumed},
    user::{Counts, User},
};
use crate::{replicated::Replicated, rounds};

/// The users of the first thread only load: a load never waits for a replica.
const THREADS: usize = 5;
const USERS_PER_THREAD: usize = 4;

/// Number of logins and ends before a failover, and after the new replica is complete.
const CHANGES: u64 = 60;

/// A process for each thread, with one server.
struct Site {
    runtime: Runtime,
    servers: Replicated,
    registries: Vec<RedisRegistry>,
    users: Vec<User>,
    waits: bool,
}

impl Site {
    fn start(waits: bool) -> Self {
        let (runtime, servers) = (Runtime::new().unwrap(), Replicated::start());
        let connect = |_| {
            let registry = runtime.block_on(servers.waiting());
            registry.wait_for_replicas(waits.into()).history_limit(Limit::Off)
        };
        let registries: Vec<_> = (0..THREADS).map(connect).collect();
        let new_user = |n| User::new(format!("user {n}"), n < USERS_PER_THREAD, waits);
        let users = (0..THREADS * USERS_PER_THREAD).map(new_user).collect();
        Self { runtime, servers, registries, users, waits }
    }

    /// Fails over under load, and checks all sessions.
    fn fail_over(&mut self, replica_is_behind: bool) -> (Counts, Resumed) {
        let (load, runtime) = (Load::default(), &self.runtime);
        thread::scope(|scope| {
            let users = self.users.chunks_mut(USERS_PER_THREAD);
            for (users, registry) in users.zip(&self.registries) {
                let load = &load;
                scope.spawn(move || runtime.block_on(load.run(users, registry)));
            }
            let _stop = load.stop_on_drop();
            load.wait_for_changes(CHANGES);
            if replica_is_behind {
                self.servers.replication.hold();
                // No change completes without the replica if the registries wait for it.
                if self.waits { load.wait_for_requests(100) } else { load.wait_for_changes(10) }
            }
            self.servers.fail_over();
            load.promoted.set(Instant::now()).unwrap();
            self.servers.attach_replica();
            load.wait_for_changes(CHANGES);
        });
        let mut counts = Counts::default();
        for user in &mut self.users {
            runtime.block_on(user.check(&self.registries[1]));
            counts.add(&mem::take(&mut user.counts));
        }
        (counts, load.resumed())
    }
}

/// Fails over several times, prints the counts, and returns their sum.
fn fail_over_repeatedly(waits: bool) -> Counts {
    let name = if waits { "waiting for the replica" } else { "not waiting" };
    let (mut site, mut total, mut longest) =
        (Site::start(waits), Counts::default(), <_>::default());
    let failovers = rounds::number("FAILOVERS", 3);
    for round in 0..failovers {
        let replica_is_behind = round % 2 == 1;
        let (counts, resumed) = site.fail_over(replica_is_behind);
        let behind = if replica_is_behind { ", replica behind" } else { "" };
        println!("{name}{behind}: {counts}; {resumed}");
        total.add(&counts);
        longest = resumed.max(longest);
    }
    println!("{name}, {failovers} failovers: {total}; at most {longest}");
    total
}

#[test]
fn waiting_registries_lose_nothing_in_failovers() {
    let total = fail_over_repeatedly(true);
    assert_eq!((total.lost_logins, total.revived_ends), (0, 0), "{total}");
    total.assert_exact();
}

#[test]
fn failovers_without_waiting_keep_the_limits() {
    fail_over_repeatedly(false).assert_exact();
}
