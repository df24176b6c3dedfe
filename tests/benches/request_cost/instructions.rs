//! Instructions per request, counted by valgrind.

use std::{env, process::Command, thread};

use crate::{
    Outcome, site,
    ways::{LOGINS, Way},
};

/// Tells this program to be the one that is counted: `--count <way>`.
pub(crate) const FLAG: &str = "--count";

/// Fails, with the cure, where there is no valgrind.
pub(crate) fn find_valgrind() -> Outcome<()> {
    match Command::new("valgrind").arg("--version").output() {
        Ok(found) if found.status.success() => Ok(()),
        _ => Err("instructions are counted by valgrind, which was not found; \
                  install it with: apt-get install valgrind"
            .into()),
    }
}

/// Instructions per request of every way, in the order of [`Way::ALL`].
///
/// A count does not depend on what else the machine does, so every core counts; no more than that,
/// or a slow run would see time pass, and session-expire note activity.
pub(crate) fn count_all() -> Outcome<Vec<f64>> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let mut counts = Vec::new();
    for ways in Way::ALL.chunks(cores) {
        thread::scope(|scope| {
            let counters: Vec<_> = ways.iter().map(|way| scope.spawn(|| count(*way))).collect();
            counts.extend(counters.into_iter().map(thread::ScopedJoinHandle::join));
        });
    }
    let counts =
        counts.into_iter().map(|count| count.map_err(|_| "a counter died")?.map_err(Into::into));
    counts.map(|count: Outcome<f64>| Ok(count? / f64::from(LOGINS))).collect()
}

/// The instructions that a run of this program spends on answering.
fn count(way: Way) -> Result<f64, String> {
    if !way.is_counted() {
        return Ok(f64::NAN);
    }
    let this = env::current_exe().map_err(|error| error.to_string())?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(format!("--toggle-collect=*{}*", site::COUNTED))
        .arg(this)
        .args([FLAG, &way.to_string()])
        .output()
        .map_err(|error| format!("valgrind does not start: {error}"))?;
    let report = String::from_utf8_lossy(&output.stderr);
    match collected(&report) {
        Some(count) if output.status.success() && count > 0.0 => Ok(count),
        _ => Err(format!("valgrind could not count {way}:\n{report}")),
    }
}

/// The number in `==4711== Collected : 123456`.
fn collected(report: &str) -> Option<f64> {
    let line = report.lines().find(|line| line.contains("Collected"))?;
    line.split_whitespace().next_back()?.parse().ok()
}
