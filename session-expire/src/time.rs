//! Points in time, durations in words, and clocks that can be turned.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use chrono::{DateTime, Utc};

use crate::error::DurationError;

/// A point in time: milliseconds since the Unix epoch.
///
/// Arithmetic saturates, so that no stored value, however wrong, can make it panic or wrap around.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// A point `millis` milliseconds after the Unix epoch.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// The point `duration` later, or the last representable one.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(millis(duration)))
    }

    /// The point `duration` earlier, or the first representable one.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(millis(duration)))
    }

    /// The time from `earlier` to `self`; zero when `earlier` is not earlier.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// As a `chrono` date, for showing; the epoch when it lies outside chrono's 262,000 years.
    #[must_use]
    pub fn to_utc(self) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(self.0).unwrap_or_default()
    }
}

impl From<DateTime<Utc>> for Timestamp {
    fn from(date: DateTime<Utc>) -> Self {
        Self(date.timestamp_millis())
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// `n` seconds.
#[must_use]
pub const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// `n` minutes.
#[must_use]
pub const fn minutes(n: u64) -> Duration {
    Duration::from_secs(n.saturating_mul(60))
}

/// `n` hours.
#[must_use]
pub const fn hours(n: u64) -> Duration {
    Duration::from_secs(n.saturating_mul(3_600))
}

const LONGEST: Duration = hours(24 * 365 * 100);

const UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Reads a duration in the words of the attribute: `"250ms"`, `"90s"`, `"10m"`, `"1h30m"`, `"2d"`.
///
/// Units go from the largest to the smallest, each once. `"never"` is not a duration: see
/// [`Limit`](crate::Limit).
///
/// # Errors
///
/// A [`DurationError`] that says what is wrong, also for zero and for more than a hundred years.
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

/// Writes a duration the way [`parse_duration`] reads it, whole milliseconds; `0s` for zero.
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

/// Tells the time. Everything in this crate that needs to know it asks the one clock of the
/// middleware, so that a test can turn it.
pub trait Clock: Send + Sync + fmt::Debug + 'static {
    /// The time now.
    fn now(&self) -> Timestamp;
}

/// The clock of the machine: its wall clock, held up by its monotonic clock.
///
/// The wall clock alone could be set back under a running process, which would give every session
/// that much more; the monotonic clock alone may stand still while the machine sleeps.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    started: (Instant, Timestamp),
}

impl Default for SystemClock {
    fn default() -> Self {
        Self { started: (Instant::now(), wall_clock()) }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let (instant, wall) = self.started;
        wall.plus(instant.elapsed()).max(wall_clock())
    }
}

/// `Utc::now` would first take the moment apart into a date.
fn wall_clock() -> Timestamp {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => Timestamp(millis(since)),
        Err(before) => Timestamp(-millis(before.duration())),
    }
}

/// A clock that stands still until it is turned: for tests of an application's own timeouts.
///
/// Clones show the same time.
///
/// ```
/// use session_expire::{Clock, ManualClock, minutes};
/// let clock = ManualClock::default();
/// let before = clock.now();
/// clock.advance(minutes(10));
/// assert_eq!(clock.now().since(before), minutes(10));
/// ```
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<AtomicI64>);

impl ManualClock {
    /// A clock that shows `start`.
    #[must_use]
    pub fn new(start: Timestamp) -> Self {
        Self(Arc::new(AtomicI64::new(start.0)))
    }

    /// Turns the clock forward.
    pub fn advance(&self, by: Duration) {
        self.turn(|now| now.plus(by));
    }

    /// Turns the clock back, as a wrong time server would.
    pub fn step_back(&self, by: Duration) {
        self.turn(|now| now.minus(by));
    }

    fn turn(&self, turn: impl Fn(Timestamp) -> Timestamp) {
        let turned = |now| Some(turn(Timestamp(now)).0);
        let _ = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, turned);
    }
}

impl Default for ManualClock {
    /// Noon of 1 January 2026.
    fn default() -> Self {
        Self::new(Timestamp(1_767_268_800_000))
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

/// A clock that never runs backward.
///
/// When the clock below steps back, time goes on from the latest moment that was seen. Without
/// this, an unattended browser would stay signed in for as long as the step was wide.
#[derive(Debug)]
pub(crate) struct SteadyClock {
    below: Arc<dyn Clock>,
    latest: AtomicI64,
    lag: AtomicI64,
}

impl SteadyClock {
    pub(crate) fn new(below: Arc<dyn Clock>) -> Self {
        Self { below, latest: AtomicI64::new(i64::MIN), lag: AtomicI64::new(0) }
    }

    pub(crate) fn now(&self) -> Timestamp {
        let lag = self.lag.load(Ordering::Acquire);
        let shown = self.below.now().0.saturating_add(lag);
        let latest = self.latest.load(Ordering::Acquire);
        if shown >= latest {
            self.latest.fetch_max(shown, Ordering::AcqRel);
            return Timestamp(shown);
        }
        // Threads that race by a millisecond are no step; and of two that see the same step only
        // one may add it, or time would jump ahead by as much as it fell back.
        let behind = latest.saturating_sub(shown);
        if behind > RACE {
            let caught_up = lag.saturating_add(behind);
            let _ = self.lag.compare_exchange(lag, caught_up, Ordering::AcqRel, Ordering::Acquire);
        }
        Timestamp(latest)
    }
}

/// Milliseconds by which two threads may disagree about the time.
const RACE: i64 = 1_000;

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

    #[test]
    fn a_steady_clock_goes_on_where_a_step_back_happened() {
        let hand = ManualClock::default();
        let steady = SteadyClock::new(Arc::new(hand.clone()));
        let start = steady.now();
        hand.step_back(hours(1));
        assert_eq!(steady.now(), start);
        hand.advance(minutes(10));
        assert_eq!(steady.now().since(start), minutes(10));
    }
}
