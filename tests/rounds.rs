//! Number of repetitions.

/// Returns `rounds` times the number in the environment variable `ROUNDS`, which `tests/endure`
/// sets.
pub fn times(rounds: u32) -> u32 {
    let factor = std::env::var("ROUNDS").map_or(1, |factor| factor.parse().unwrap());
    rounds * factor
}
