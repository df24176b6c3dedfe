//! Cost of guarded streams.
//!
//! `cargo bench -p session-expire-tests --bench live` prints the memory of 10,000 streams and their
//! cost in 60 seconds without a change, on each registry. It also prints the time from an end in
//! another process to the end of the stream. An argument (`-- memory`, `-- quiet`, `-- latency`)
//! selects one benchmark.

mod latency;
mod memory;
mod quiet;
mod streams;

fn main() {
    let args: Vec<_> = std::env::args().skip(1).collect();
    if let [flag, place] = &args[..]
        && flag == latency::FLAG
    {
        return latency::end_sessions(place);
    }
    // `cargo test --benches` must not measure.
    if !args.iter().any(|arg| arg == "--bench") {
        return;
    }
    let named: Vec<_> = args.iter().filter(|arg| !arg.starts_with("--")).collect();
    let parts: [(&str, fn()); 3] =
        [("memory", memory::measure), ("quiet", quiet::measure), ("latency", latency::measure)];
    for (name, measure) in parts {
        if named.is_empty() || named.iter().any(|wanted| *wanted == name) {
            measure();
            println!();
        }
    }
}

/// Prints a figure with its target.
fn row(what: &str, measured: f64, target: f64, unit: &str) {
    let verdict = if measured <= target { "pass" } else { "MISS" };
    println!("{what:<52}{measured:>10.1} {unit:<8}{target:>8.0} {unit:<8}{verdict}");
}
