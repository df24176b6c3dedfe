//! Instructions per request, counted by valgrind.

use std::{env, process::Command, thread};

use crate::{
    Outcome, site,
    variants::{LOGINS, Variant},
};

/// Option under which valgrind runs this program: `--count <variant>`.
pub(crate) const FLAG: &str = "--count";

/// Returns an error with the fix if valgrind is missing.
pub(crate) fn find_valgrind() -> Outcome<()> {
    match Command::new("valgrind").arg("--version").output() {
        Ok(found) if found.status.success() => Ok(()),
        _ => Err("valgrind, which counts instructions, was not found; \
                  install it with: apt-get install valgrind"
            .into()),
    }
}

/// Returns the instructions per request of every variant, in the order of [`Variant::ALL`].
///
/// A count does not depend on the load of the machine: each core counts one variant. More at once
/// would take so long that session-expire records activity.
pub(crate) fn count_all() -> Outcome<Vec<f64>> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let mut counts = Vec::new();
    for variants in Variant::ALL.chunks(cores) {
        thread::scope(|scope| {
            let counters: Vec<_> =
                variants.iter().map(|variant| scope.spawn(|| count(*variant))).collect();
            counts.extend(counters.into_iter().map(thread::ScopedJoinHandle::join));
        });
    }
    let counts = counts
        .into_iter()
        .map(|count| count.map_err(|_| "a counter panicked")?.map_err(Into::into));
    counts.map(|count: Outcome<f64>| Ok(count? / f64::from(LOGINS))).collect()
}

/// Returns the instructions that a run of this program needs for all requests.
fn count(variant: Variant) -> Result<f64, String> {
    if !variant.is_counted() {
        return Ok(f64::NAN);
    }
    let this = env::current_exe().map_err(|error| error.to_string())?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(format!("--toggle-collect=*{}*", site::COUNTED))
        .arg(this)
        .args([FLAG, &variant.to_string()])
        .output()
        .map_err(|error| format!("valgrind does not start: {error}"))?;
    let report = String::from_utf8_lossy(&output.stderr);
    match collected(&report) {
        Some(count) if output.status.success() && count > 0.0 => Ok(count),
        _ => Err(format!("valgrind could not count {variant}:\n{report}")),
    }
}

/// Parses the number in `==4711== Collected : 123456`.
fn collected(report: &str) -> Option<f64> {
    let line = report.lines().find(|line| line.contains("Collected"))?;
    line.split_whitespace().next_back()?.parse().ok()
}
