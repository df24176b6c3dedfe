//! Durable logins per second in an SQLite file.

use std::{
    thread,
    time::{Duration, Instant},
};

use session_expire::{
    Policy, SqliteRegistry,
    clock::{Clock, ManualClock},
    registry::{NewLogin, Registry},
};
use tempfile::TempDir;
use tokio::runtime;

use crate::quantiles;

const TIME: Duration = Duration::from_secs(3);

pub(crate) fn measure() {
    println!(
        "Durable logins in a SqliteRegistry (each is synced to the disk before it completes)\n"
    );
    println!("{:<12}{:>16}{:>14}{:>14}", "at once", "logins/s", "p50 µs", "p99 µs");
    for threads in [1_usize, 8, 32] {
        let folder = TempDir::new().unwrap();
        let registry = SqliteRegistry::open(folder.path().join("db")).unwrap();
        let times = logins(&registry, threads);
        let rate = times.len() as f64 / TIME.as_secs_f64();
        let (p50, p99) = quantiles(times);
        println!("{threads:<12}{rate:>16.0}{p50:>14.0}{p99:>14.0}");
    }
}

/// Returns the duration of each login that `threads` complete in [`TIME`].
fn logins(registry: &SqliteRegistry, threads: usize) -> Vec<Duration> {
    let until = Instant::now() + TIME;
    let clock = ManualClock::default();
    let work = |thread: usize| {
        let runtime = runtime::Builder::new_current_thread().build().unwrap();
        let mut times = vec![];
        for number in 0.. {
            let began = Instant::now();
            if began >= until {
                break;
            }
            let login =
                NewLogin::new(format!("user {thread}.{number}"), clock.now(), &Policy::new());
            runtime.block_on(registry.commit(login)).unwrap();
            times.push(began.elapsed());
        }
        times
    };
    thread::scope(|scope| {
        let work = &work;
        let all: Vec<_> = (0..threads).map(|thread| scope.spawn(move || work(thread))).collect();
        all.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    })
}
