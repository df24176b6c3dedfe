//! Durations, and their text format.
//!
//! Formatting and parsing are inverse. Policies and the builder use them.

use std::time::Duration;

use crate::error::DurationError;

/// Returns `n` seconds.
///
/// ```
/// use session_expire::{minutes, seconds};
///
/// assert_eq!(minutes(1) + seconds(30), seconds(90));
/// ```
#[must_use]
pub const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Returns `n` minutes.
///
/// ```
/// use session_expire::{hours, minutes};
///
/// assert_eq!(minutes(90), hours(1) + minutes(30));
/// ```
#[must_use]
pub const fn minutes(n: u64) -> Duration {
    Duration::from_secs(n.saturating_mul(60))
}

/// Returns `n` hours.
///
/// ```
/// use session_expire::{days, hours};
///
/// assert_eq!(hours(24), days(1));
/// ```
#[must_use]
pub const fn hours(n: u64) -> Duration {
    Duration::from_secs(n.saturating_mul(3_600))
}

/// Returns `n` days of 24 hours.
///
/// ```
/// use session_expire::{days, hours};
///
/// assert_eq!(days(2), hours(48));
/// ```
#[must_use]
pub const fn days(n: u64) -> Duration {
    Duration::from_secs(n.saturating_mul(86_400))
}

const MAX_DURATION: Duration = hours(24 * 365 * 100);

const UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Parses a duration, such as `"250ms"`, `"90s"`, `"10m"`, `"1h30m"` or `"2d"`.
///
/// Units must be listed largest first, each at most once. `"never"` is not a duration but a
/// [`Limit`](crate::Limit).
///
/// # Errors
///
/// Returns [`DurationError`] for any other text, for zero, and for more than a hundred years.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    if text.is_empty() {
        return Err(DurationError::Empty);
    }
    let (mut rest, mut total, mut next_unit) = (text, 0_u64, 0);
    while !rest.is_empty() {
        let (number, after) = split_while(rest, |c| c.is_ascii_digit());
        let (unit, after) = split_while(after, |c| !c.is_ascii_digit());
        let (index, size) = find_unit(number, unit)?;
        if index < next_unit {
            return Err(DurationError::Order);
        }
        next_unit = index + 1;
        let part = number.parse::<u64>().ok().and_then(|n| n.checked_mul(size));
        total = part.and_then(|p| total.checked_add(p)).ok_or(DurationError::TooLong)?;
        rest = after;
    }
    match Duration::from_millis(total) {
        Duration::ZERO => Err(DurationError::Zero),
        long if long > MAX_DURATION => Err(DurationError::TooLong),
        valid => Ok(valid),
    }
}

fn split_while(text: &str, is_part: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !is_part(c)).unwrap_or(text.len()))
}

fn find_unit(number: &str, unit: &str) -> Result<(usize, u64), DurationError> {
    match (number, unit) {
        ("", _) => Err(DurationError::NoNumber),
        (_, "") => Err(DurationError::NoUnit),
        _ => UNITS
            .iter()
            .position(|(name, _)| *name == unit)
            .map(|index| (index, UNITS[index].1))
            .ok_or(DurationError::UnknownUnit),
    }
}

/// Formats a duration in the format of [`parse_duration`], in whole milliseconds. Zero is `0s`.
#[must_use]
pub(crate) fn format_duration(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut text = String::new();
    for (unit, size) in UNITS {
        if rest >= size {
            text.push_str(&format!("{}{unit}", rest / size));
            rest %= size;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duration_is_parsed_and_formatted() {
        for (text, expected) in [
            ("250ms", Duration::from_millis(250)),
            ("90s", seconds(90)),
            ("10m", minutes(10)),
            ("1h30m", minutes(90)),
            ("2d", hours(48)),
            ("1d2h3m4s5ms", hours(26) + minutes(3) + Duration::from_millis(4_005)),
            ("007s", seconds(7)),
        ] {
            assert_eq!(parse_duration(text), Ok(expected), "{text}");
            assert_eq!(parse_duration(&format_duration(expected)), Ok(expected), "{text}");
        }
    }

    #[test]
    fn invalid_duration_error_has_problem() {
        for (text, problem) in [
            ("", DurationError::Empty),
            ("600", DurationError::NoUnit),
            ("1h30", DurationError::NoUnit),
            ("m", DurationError::NoNumber),
            ("-5m", DurationError::NoNumber),
            ("10 m", DurationError::UnknownUnit),
            ("10min", DurationError::UnknownUnit),
            ("1.5h", DurationError::UnknownUnit),
            ("10s1h", DurationError::Order),
            ("1m1m", DurationError::Order),
            ("0s", DurationError::Zero),
            ("36501d", DurationError::TooLong),
            ("99999999999999999999s", DurationError::TooLong),
            ("18446744073709551615d", DurationError::TooLong),
        ] {
            assert_eq!(parse_duration(text), Err(problem), "{text}");
        }
    }
}
