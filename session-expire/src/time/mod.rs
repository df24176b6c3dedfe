//! Timestamps, durations and clocks.
//!
//! Timestamps have a precision of milliseconds.

pub(crate) mod clock;
mod duration;

use std::{fmt, ops::Sub, time::Duration};

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Serialize, Serializer};

pub use self::duration::{days, hours, minutes, seconds};
pub(crate) use self::duration::{format_duration, parse_duration};

/// Point in time, in milliseconds since the Unix epoch.
///
/// Arithmetic saturates. It does not panic or wrap around, even for invalid stored values.
///
/// ```
/// use session_expire::{clock::Timestamp, hours, minutes};
///
/// let noon = Timestamp::from_millis(1_767_268_800_000);
/// assert_eq!(noon.to_utc().to_rfc3339(), "2026-01-01T12:00:00+00:00");
/// assert_eq!(noon.to_string(), "2026-01-01 12:00:00 UTC");
/// assert_eq!(noon.plus(hours(1)).minus(minutes(10)).since(noon), minutes(50));
/// assert_eq!(noon.since(noon.plus(hours(1))), minutes(0));
/// assert_eq!(Timestamp::from(noon.to_utc()) - noon, minutes(0));
/// assert_eq!(serde_json::to_string(&noon)?, r#""2026-01-01T12:00:00.000Z""#);
/// # Ok::<(), serde_json::Error>(())
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

    /// Returns a `chrono` date. Returns the epoch if the time is outside of chrono's range of
    /// 262,000 years.
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

impl Sub for Timestamp {
    type Output = Duration;

    /// Returns the time from `earlier` to `self`; zero if `earlier` is not earlier.
    fn sub(self, earlier: Self) -> Duration {
        self.since(earlier)
    }
}

impl Serialize for Timestamp {
    /// Serializes in the format of RFC 3339, such as `2026-01-01T12:00:00.000Z`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.to_utc().to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

fn millis(duration: Duration) -> i64 {
    // `Duration::as_millis` calculates with 128 bits, which is slower.
    let seconds = i64::try_from(duration.as_secs()).ok().and_then(|secs| secs.checked_mul(1_000));
    let millis = seconds.and_then(|millis| millis.checked_add(duration.subsec_millis().into()));
    millis.unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

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
