//! Cost of many sessions, in each registry.
//!
//! `cargo bench -p session-expire-tests --bench scale` prints tables: a million sessions in memory,
//! durable logins in an SQLite file, 100,000 sessions on a Redis server, reports of changes over
//! that server, operations on all users of a Cluster, and numbers to size servers with. An argument
//! (`-- memory`, `-- sqlite`, `-- redis`, `-- reports`, `-- cluster`, `-- planning`) selects one.

mod memory;
mod planning;
mod redis;
mod redis_cluster;
mod redis_reports;
mod sqlite;

fn main() {
    let args: Vec<_> = std::env::args().skip(1).collect();
    // `cargo test --benches` only checks that the program starts.
    if !args.iter().any(|arg| arg == "--bench") {
        return;
    }
    let named: Vec<_> = args.iter().filter(|arg| !arg.starts_with("--")).collect();
    let parts: [(&str, fn()); 6] = [
        ("memory", memory::measure),
        ("sqlite", sqlite::measure),
        ("redis", redis::measure),
        ("reports", redis_reports::measure),
        ("cluster", redis_cluster::measure),
        ("planning", planning::measure),
    ];
    for (name, measure) in parts {
        if named.is_empty() || named.iter().any(|wanted| *wanted == name) {
            measure();
            println!();
        }
    }
}

/// Returns the median and the 99th percentile of `times`, in microseconds.
fn quantiles(mut times: Vec<std::time::Duration>) -> (f64, f64) {
    times.sort_unstable();
    let at = |index: usize| times[index.min(times.len() - 1)].as_secs_f64() * 1e6;
    (at(times.len() / 2), at(times.len() * 99 / 100))
}
