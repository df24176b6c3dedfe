//! Timestamps, and durations in words.

use std::{fmt, time::Duration};

use chrono::{DateTime, Utc};

use crate::error::DurationError;

/// Point in time: milliseconds since the Unix epoch.
///
/// Arithmetic saturates: no stored value can make it panic or wrap around.
///
/// ```
/// use session_expire::{Timestamp, hours, minutes};
/// let noon = Timestamp::from_millis(1_767_268_800_000);
/// assert_eq!(noon.to_utc().to_rfc3339(), "2026-01-01T12:00:00+00:00");
/// assert_eq!(noon.to_string(), "2026-01-01 12:00:00 UTC");
/// assert_eq!(noon.plus(hours(1)).minus(minutes(10)).since(noon), minutes(50));
/// assert_eq!(noon.since(noon.plus(hours(1))), minutes(0));
/// assert_eq!(Timestamp::from(noon.to_utc()).as_millis(), noon.as_millis());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Returns the time `millis` milliseconds after the Unix epoch.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Returns the milliseconds since the Unix epoch.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Returns the time `duration` later, or the last representable one.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(millis(duration)))
    }

    /// Returns the time `duration` earlier, or the first representable one.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(millis(duration)))
    }

    /// Returns the time from `earlier` to `self`; zero if `earlier` is not earlier.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Returns a `chrono` date; the epoch if the time lies outside chrono's 262,000 years.
    #[must_use]
    pub fn to_utc(self) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(self.0).unwrap_or_default()
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_utc().format("%F %T UTC").fmt(f)
    }
}

impl From<DateTime<Utc>> for Timestamp {
    fn from(date: DateTime<Utc>) -> Self {
        Self(date.timestamp_millis())
    }
}

fn millis(duration: Duration) -> i64 {
    // `as_millis` would calculate with 128 bits.
    let seconds = i64::try_from(duration.as_secs()).ok().and_then(|secs| secs.checked_mul(1_000));
    let millis = seconds.and_then(|millis| millis.checked_add(duration.subsec_millis().into()));
    millis.unwrap_or(i64::MAX)
}

/// Returns `n` seconds.
///
/// ```
/// use session_expire::{minutes, seconds};
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
/// assert_eq!(minutes(90), hours(1) + minutes(30));
/// ```
#[must_use]
pub const fn minutes(n: u64) -> Duration {
    Duration::from_secs(n.saturating_mul(60))
}

/// Returns `n` days of 24 hours.
///
/// ```
/// use session_expire::{days, hours};
/// assert_eq!(days(2), hours(48));
/// ```
#[must_use]
pub const fn days(n: u64) -> Duration {
    Duration::from_secs(n.saturating_mul(86_400))
}

/// Returns `n` hours.
///
/// ```
/// use session_expire::{hours, parse_duration};
/// assert_eq!(hours(24), parse_duration("1d")?);
/// # Ok::<(), session_expire::DurationError>(())
/// ```
#[must_use]
pub const fn hours(n: u64) -> Duration {
    Duration::from_secs(n.saturating_mul(3_600))
}

const LONGEST: Duration = hours(24 * 365 * 100);

const UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Parses a duration in the words of the attribute: `"250ms"`, `"90s"`, `"10m"`, `"1h30m"`, `"2d"`.
///
/// Units go from the largest to the smallest, each once. `"never"` is not a duration: see
/// [`Limit`](crate::Limit).
///
/// # Errors
///
/// Returns [`DurationError`] for any other text, for zero, and for more than a hundred years.
///
/// ```
/// use session_expire::{minutes, parse_duration};
/// assert_eq!(parse_duration("1h30m"), Ok(minutes(90)));
/// assert!(parse_duration("600").is_err());
/// ```
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    if text.is_empty() {
        return Err(DurationError::Empty);
    }
    let (mut rest, mut total, mut next_unit) = (text, 0_u64, 0);
    while !rest.is_empty() {
        let (number, after) = split_while(rest, |c| c.is_ascii_digit());
        let (unit, after) = split_while(after, |c| !c.is_ascii_digit());
        let (place, size) = find_unit(number, unit)?;
        if place < next_unit {
            return Err(DurationError::Order);
        }
        next_unit = place + 1;
        let part = number.parse::<u64>().ok().and_then(|n| n.checked_mul(size));
        total = part.and_then(|p| total.checked_add(p)).ok_or(DurationError::TooLong)?;
        rest = after;
    }
    match Duration::from_millis(total) {
        Duration::ZERO => Err(DurationError::Zero),
        long if long > LONGEST => Err(DurationError::TooLong),
        fine => Ok(fine),
    }
}

fn split_while(text: &str, keep: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !keep(c)).unwrap_or(text.len()))
}

fn find_unit(number: &str, unit: &str) -> Result<(usize, u64), DurationError> {
    match (number, unit) {
        ("", _) => Err(DurationError::NoNumber),
        (_, "") => Err(DurationError::NoUnit),
        _ => UNITS
            .iter()
            .position(|(name, _)| *name == unit)
            .map(|place| (place, UNITS[place].1))
            .ok_or(DurationError::UnknownUnit),
    }
}

/// Formats a duration as [`parse_duration`] parses it, in whole milliseconds; `0s` for zero.
///
/// ```
/// use session_expire::{format_duration, minutes, seconds};
/// assert_eq!(format_duration(minutes(90)), "1h30m");
/// assert_eq!(format_duration(seconds(0)), "0s");
/// ```
#[must_use]
pub fn format_duration(duration: Duration) -> String {
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
    fn durations_are_read_in_words() {
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
    fn what_is_not_a_duration_says_why() {
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

    #[test]
    fn arithmetic_saturates_at_both_ends() {
        let (first, last) = (Timestamp(i64::MIN), Timestamp(i64::MAX));
        assert_eq!(last.plus(Duration::MAX), last);
        assert_eq!(first.minus(Duration::MAX), first);
        assert_eq!(first.since(last), Duration::ZERO);
        assert_eq!(last.since(first), Duration::from_millis(i64::MAX.unsigned_abs()));
        assert_eq!(last.to_utc(), DateTime::<Utc>::default());
    }
}
