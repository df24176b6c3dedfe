//! Memory of open streams.

use std::{fs, time::Duration};

use actix_web::rt::{System, time::sleep};
use session_expire::{MemoryRegistry, live::SessionEnd};

use crate::{row, streams};

/// Prints the bytes per stream, for 10,000 and 17,000 streams of as many sessions, and for 10,000
/// streams of 100 sessions.
pub(crate) fn measure() {
    println!("open streams, without the records of the registry\n");
    System::new().block_on(async {
        // The streams stay open, because freed memory would be reused.
        let _kept = [
            measure_streams(10_000, 1).await,
            measure_streams(17_000, 1).await,
            measure_streams(100, 100).await,
        ];
    });
}

async fn measure_streams(sessions: usize, times: usize) -> Vec<SessionEnd> {
    let expire = streams::middleware(MemoryRegistry::new());
    let cookies = streams::log_in(&expire, sessions).await;
    // The first stream starts the watch thread, whose memory must not be counted.
    drop(streams::open(&expire, &cookies[..1], 1).await);
    let before = resident();
    let open = streams::open(&expire, &cookies, times).await;
    // The thread loads each session once.
    sleep(Duration::from_secs(2)).await;
    let each = resident().saturating_sub(before) as f64 / open.len() as f64;
    row(&format!("{sessions} sessions, {times} streams each: bytes per stream"), each, 400.0, "B");
    open
}

/// Returns the resident memory in bytes.
fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").expect("reads /proc, which needs Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let kilobytes: usize = line.trim().trim_end_matches(" kB").parse().unwrap();
    kilobytes * 1_024
}
