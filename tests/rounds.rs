//! Numbers of repetitions, which `tests/endure` sets in the environment.

use std::env;

/// Returns `rounds` times the number in the environment variable `ROUNDS`.
#[allow(dead_code, reason = "not every test program uses it")]
pub fn times(rounds: u32) -> u32 {
    rounds * number("ROUNDS", 1)
}

/// Returns the number in an environment variable.
pub fn number(variable: &str, default: u32) -> u32 {
    env::var(variable).map_or(default, |number| number.parse().unwrap())
}
