//! What many sessions cost, in each registry.
//!
//! `cargo bench -p session-expire-tests --bench scale` prints tables: a million sessions in memory,
//! durable logins in an SQLite file, and a hundred thousand sessions on a Redis server of its own.
//! Name one (`-- memory`, `-- sqlite`, `-- redis`) to see only that.

mod memory;
mod redis;
mod sqlite;

fn main() {
    let args: Vec<_> = std::env::args().skip(1).collect();
    // `cargo test --benches` only wants to know that it starts.
    if !args.iter().any(|arg| arg == "--bench") {
        return;
    }
    let named: Vec<_> = args.iter().filter(|arg| !arg.starts_with("--")).collect();
    let parts: [(&str, fn()); 3] =
        [("memory", memory::measure), ("sqlite", sqlite::measure), ("redis", redis::measure)];
    for (name, measure) in parts {
        if named.is_empty() || named.iter().any(|wanted| *wanted == name) {
            measure();
            println!();
        }
    }
}

/// The middle of `times`, and what one in a hundred exceeds, in microseconds.
fn quantiles(mut times: Vec<std::time::Duration>) -> (f64, f64) {
    times.sort_unstable();
    let at = |place: usize| times[place.min(times.len() - 1)].as_secs_f64() * 1e6;
    (at(times.len() / 2), at(times.len() * 99 / 100))
}
