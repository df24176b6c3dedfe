//! The example site as a process: its log, and its end.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

mod log;
mod program;
mod stop;
