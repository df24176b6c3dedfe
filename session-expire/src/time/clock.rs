//! Clocks: system clock, manual clock for tests, and a wrapper that never runs backward.
//!
//! The middleware reads the time only from its [`Clock`].

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use crate::time::Timestamp;

/// Clock of the middleware. It is the only source of time in this crate, and tests can replace it.
///
/// ```
/// use session_expire::{clock::{Clock, SystemClock, Timestamp}, hours};
///
/// /// Clock that is one day ahead.
/// #[derive(Debug, Default)]
/// struct Tomorrow(SystemClock);
///
/// impl Clock for Tomorrow {
///     fn now(&self) -> Timestamp {
///         self.0.now().plus(hours(24))
///     }
/// }
///
/// assert!(Tomorrow::default().now() > SystemClock::default().now());
/// ```
pub trait Clock: Send + Sync + fmt::Debug + 'static {
    /// Returns the current time.
    fn now(&self) -> Timestamp;
}

/// System clock that never runs backward.
///
/// It returns the later time of the wall clock and the monotonic clock. The wall clock can be set
/// back, which would lengthen every session. The monotonic clock may stop while the machine sleeps.
///
/// ```
/// use session_expire::clock::{Clock, SystemClock};
///
/// let clock = SystemClock::default();
/// let before = clock.now();
/// assert!(clock.now() >= before);
/// ```
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

const EPOCH: Timestamp = Timestamp::from_millis(0);

/// Returns the wall-clock time. `Utc::now` would also calculate a date.
fn wall_clock() -> Timestamp {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => EPOCH.plus(since),
        Err(before) => EPOCH.minus(before.duration()),
    }
}

/// Clock for tests that only the test moves. Clones share the same time.
///
/// ```
/// use session_expire::{clock::{Clock, ManualClock}, minutes};
///
/// let clock = ManualClock::default();
/// let before = clock.now();
/// clock.advance(minutes(10));
/// assert_eq!(clock.now().since(before), minutes(10));
/// ```
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<AtomicI64>);

impl ManualClock {
    /// Returns a clock with the time `start`.
    ///
    /// ```
    /// use session_expire::{clock::{Clock, ManualClock, Timestamp}, minutes};
    ///
    /// let clock = ManualClock::new(Timestamp::from_millis(0));
    /// clock.step_back(minutes(1));
    /// assert_eq!(clock.now(), Timestamp::from_millis(-60_000));
    /// ```
    #[must_use]
    pub fn new(start: Timestamp) -> Self {
        Self(Arc::new(AtomicI64::new(start.as_millis())))
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        self.shift(|now| now.plus(by));
    }

    /// Moves the clock back.
    pub fn step_back(&self, by: Duration) {
        self.shift(|now| now.minus(by));
    }

    fn shift(&self, shift: impl Fn(Timestamp) -> Timestamp) {
        let shifted = |now| Some(shift(Timestamp::from_millis(now)).as_millis());
        let _ = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, shifted);
    }
}

impl Default for ManualClock {
    /// Returns a clock with the time 2026-01-01 12:00 UTC.
    fn default() -> Self {
        Self::new(Timestamp::from_millis(1_767_268_800_000))
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

/// Wrapper of a clock that never runs backward.
///
/// If the inner clock steps back, time continues from the latest time that was returned. Otherwise
/// a session of an unattended browser would last longer by the size of the step.
///
/// With a shared registry, it returns the time of the inner clock instead. A clock that steps back
/// was wrong before, and a process with a wrong time would end the sessions of other processes.
#[derive(Debug)]
pub(crate) struct MonotonicClock {
    inner: Arc<dyn Clock>,
    is_shared: bool,
    latest: AtomicI64,
    lag: AtomicI64,
}

impl MonotonicClock {
    pub(crate) fn new(inner: Arc<dyn Clock>, is_shared: bool) -> Self {
        Self { inner, is_shared, latest: AtomicI64::new(i64::MIN), lag: AtomicI64::new(0) }
    }

    pub(crate) fn now(&self) -> Timestamp {
        if self.is_shared {
            return self.inner.now();
        }
        let lag = self.lag.load(Ordering::Acquire);
        let shown = self.inner.now().as_millis().saturating_add(lag);
        let latest = self.latest.load(Ordering::Acquire);
        if shown >= latest {
            // Avoid a write if nothing changes: it would contend with all workers for the cache
            // line.
            if shown > latest {
                self.latest.fetch_max(shown, Ordering::AcqRel);
            }
            return Timestamp::from_millis(shown);
        }
        // A small difference is a race between threads and not a step. Only one thread may add the
        // same step to the lag, because otherwise time would jump ahead.
        let behind = latest.saturating_sub(shown);
        if behind > MAX_SKEW_MILLIS {
            let caught_up = lag.saturating_add(behind);
            let _ = self.lag.compare_exchange(lag, caught_up, Ordering::AcqRel, Ordering::Acquire);
        }
        Timestamp::from_millis(latest)
    }
}

/// Largest difference in milliseconds that counts as a race between threads.
const MAX_SKEW_MILLIS: i64 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{hours, minutes};

    #[test]
    fn time_continues_after_step_back() {
        let manual = ManualClock::default();
        let clock = MonotonicClock::new(Arc::new(manual.clone()), false);
        let start = clock.now();
        manual.step_back(hours(1));
        assert_eq!(clock.now(), start);
        manual.advance(minutes(10));
        assert_eq!(clock.now().since(start), minutes(10));
    }
}
