//! Commands, time and traffic of each operation on a Cluster.

use std::{sync::Arc, time::Instant};

use session_expire::{
    Overflow, Reason, RedisRegistry,
    registry::{
        EndSessions, EndTarget, Ended, KeyRotation, NewLogin, Query, Registry, SessionLimit,
        SessionRef, SessionUpdate,
    },
};
use session_expire_tests::RedisCluster;

use super::{browser_login, number, row};
use crate::redis::{at, commit_logins};

const USERS: usize = 20_000;
const SAMPLES: usize = 2_000;

/// Commands that are not counted: those of this program and of replicas.
const OTHERS: [&str; 4] = ["info", "config|resetstat", "replconf", "client|setinfo"];
/// Commands that an operation sends if it also runs scripts. The scripts run all others.
const BESIDE_SCRIPTS: [&str; 7] =
    ["evalsha", "eval", "ping", "cluster|slots", "cluster|info", "set", "wait"];

/// Counters of all primaries.
#[derive(Default)]
struct Counters {
    cpu: f64,
    input: f64,
    output: f64,
    replicated: f64,
}

pub(super) async fn measure() {
    let cluster = RedisCluster::start();
    let registry = Arc::new(cluster.registry().await);
    let logins: Vec<_> = (0..USERS).map(|n| browser_login(&user(n), at(n), 1_000)).collect();
    commit_logins(&registry, logins.clone()).await;
    println!(
        "Operations on a Cluster (3 + 3) with {USERS} sessions, each with 1,000 bytes of data\n"
    );
    print!("{:<30}{:>9}{:>12}{:>9}", "", "commands", "µs in them", "CPU µs");
    println!("{:>10}{:>10}{:>12}", "bytes in", "out", "replicated");
    let registry = &*registry;
    let bench = Bench { cluster: &cluster, registry, logins: &logins };
    bench.measure_requests().await;
    bench.measure_logins().await;
    bench.measure_acknowledged(&cluster.registry().await.wait_for_replicas(1)).await;
    bench.measure_lists().await;
    println!();
    for (what, replicas) in [("", 0), (", acknowledged by a replica", 1)] {
        let registry = Arc::new(cluster.registry().await.wait_for_replicas(replicas));
        let new = |n| browser_login(&format!("{replicas} {n}"), at(4 * USERS + n), 0);
        let began = Instant::now();
        commit_logins(&registry, (0..SAMPLES).map(new).collect()).await;
        let rate = SAMPLES as f64 / began.elapsed().as_secs_f64();
        row(&format!("logins of one process{what}"), rate, "per second");
    }
    println!();
}

struct Bench<'a> {
    cluster: &'a RedisCluster,
    registry: &'a RedisRegistry,
    logins: &'a [NewLogin],
}

impl Bench<'_> {
    async fn measure_requests(&self) {
        let Self { registry, logins, .. } = self;
        let load = async |n: usize| drop(registry.load(logins[n].key(), false).await.unwrap());
        self.row("request (load)", SAMPLES, load).await;
        let load = async |n: usize| drop(registry.load(logins[n].key(), true).await.unwrap());
        self.row("load with a count", SAMPLES, load).await;
        let update = async |n: usize| {
            let update = SessionUpdate::new(at(USERS)).active(at(USERS));
            registry.update(session(&logins[n]), update).await.unwrap();
        };
        self.row("activity write", SAMPLES, update).await;
        let rotate = async |n: usize| {
            let update = SessionUpdate::new(at(USERS)).active(at(USERS));
            let rotation = KeyRotation::new(session(&logins[n]), logins[n].key(), update);
            registry.rotate(rotation).await.unwrap();
        };
        self.row("key rotation", SAMPLES, rotate).await;
        let list = async |n: usize| drop(registry.list(Query::open(user(n))).await.unwrap());
        self.row("list of a user", SAMPLES, list).await;
    }

    async fn measure_logins(&self) {
        let registry = self.registry;
        let new = |n: usize, max| {
            let mut login = browser_login(&user(n), at(USERS + n), 1_000);
            login.limit = SessionLimit::new(max, Overflow::Evict);
            login
        };
        let reserve = async |n: usize| {
            let reservation = new(n, 3).reservation(at(USERS + n + 30_000));
            registry.reserve(reservation).await.unwrap();
        };
        self.row("reservation", SAMPLES, reserve).await;
        let login = async |n: usize| drop(registry.commit(new(SAMPLES + n, 3)).await.unwrap());
        self.row("login", SAMPLES, login).await;
        let login = async |n: usize| drop(registry.commit(new(2 * SAMPLES + n, 1)).await.unwrap());
        self.row("login that evicts a session", SAMPLES, login).await;
        let end = async |n: usize| {
            let target = EndTarget::Session(session(&self.logins[3 * SAMPLES + n]));
            let ended = Ended::new(Reason::LoggedOut, at(2 * USERS));
            registry.end(EndSessions::new(target, ended)).await.unwrap();
        };
        self.row("sign-out (end)", SAMPLES, end).await;
    }

    async fn measure_acknowledged(&self, registry: &RedisRegistry) {
        let login = async |n: usize| {
            let login = browser_login(&user(4 * SAMPLES + n), at(2 * USERS + n), 1_000);
            registry.commit(login).await.unwrap();
        };
        self.row("login, acknowledged", SAMPLES, login).await;
    }

    async fn measure_lists(&self) {
        let registry = self.registry;
        let newest = Query::new().limit(50);
        let page = async |_| drop(registry.list(newest.clone()).await.unwrap());
        self.row("newest 50 of all users", 10, page).await;
        let first = registry.list(newest.clone()).await.unwrap();
        let second = newest.after(Query::cursor(first.last().unwrap()));
        let page = async |_| drop(registry.list(second.clone()).await.unwrap());
        self.row("next page", 10, page).await;
        let end = async |n: usize| {
            let ended = Ended::new(Reason::Revoked, at(3 * USERS + n));
            registry.end_everyone(ended).await.unwrap();
        };
        self.row("end of all sessions", 3, end).await;
    }

    async fn row(&self, what: &str, samples: usize, run: impl AsyncFn(usize)) {
        self.for_each_primary(|n| {
            let _: String = self.cluster.command_on(n, &["CONFIG", "RESETSTAT"]);
        });
        let before = self.counters();
        for n in 0..samples {
            run(n).await;
        }
        let after = self.counters();
        let (calls, micros) = self.commands();
        let each = |value: f64| value / samples as f64;
        print!("{what:<30}{:>9.1}{:>12.1}", each(calls), each(micros));
        print!("{:>9.1}", each(after.cpu - before.cpu) * 1e6);
        let (input, output) =
            (each(after.input - before.input), each(after.output - before.output));
        println!("{input:>10.0}{output:>10.0}{:>12.0}", each(after.replicated - before.replicated));
    }

    fn for_each_primary(&self, run: impl FnMut(usize)) {
        (0..3).for_each(run);
    }

    fn counters(&self) -> Counters {
        let mut sum = Counters::default();
        self.for_each_primary(|n| {
            let info: String = self.cluster.command_on(n, &["INFO", "everything"]);
            let of = |name| number(&info, name);
            sum.cpu += of("used_cpu_sys") + of("used_cpu_user");
            sum.input += of("total_net_input_bytes") - of("total_net_repl_input_bytes");
            sum.output += of("total_net_output_bytes") - of("total_net_repl_output_bytes");
            sum.replicated += of("master_repl_offset");
        });
        sum
    }

    /// Returns the number of commands of the registry, and the microseconds in them.
    fn commands(&self) -> (f64, f64) {
        let mut stats = vec![];
        self.for_each_primary(|n| {
            let info: String = self.cluster.command_on(n, &["INFO", "commandstats"]);
            stats.extend(info.lines().filter_map(read_stat));
        });
        let has_scripts = stats.iter().any(|(name, ..)| name == "evalsha");
        let is_sent = |name: &str| match has_scripts {
            true => BESIDE_SCRIPTS.contains(&name),
            false => !OTHERS.contains(&name),
        };
        let sent = stats.iter().filter(|(name, ..)| is_sent(name));
        sent.fold((0.0, 0.0), |sum, (_, calls, micros)| (sum.0 + calls, sum.1 + micros))
    }
}

/// Reads a line of `INFO commandstats`: the name of a command, its calls and its microseconds.
fn read_stat(line: &str) -> Option<(String, f64, f64)> {
    let (name, numbers) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
    let (calls, rest) = numbers.split_once(",usec=")?;
    let micros = rest.split(',').next()?;
    Some((name.to_owned(), calls.parse().ok()?, micros.parse().ok()?))
}

fn user(n: usize) -> String {
    format!("user-{n}@example.org")
}

fn session(login: &NewLogin) -> SessionRef {
    SessionRef::new(login.user.clone(), login.id)
}
