//! Clocks: the machine's, one for tests, and one that never runs backward.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use crate::time::Timestamp;

/// Clock of the middleware. All times in this crate come from it, so that a test can set them.
///
/// ```
/// use session_expire::{clock::{Clock, SystemClock, Timestamp}, hours};
///
/// /// Runs a site one day ahead.
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
    /// Returns the time now.
    fn now(&self) -> Timestamp;
}

/// Clock of the machine: its wall clock, which its monotonic clock keeps from running backward.
///
/// The wall clock alone could be set back, which would lengthen each session. The monotonic clock
/// alone may stand still while the machine sleeps.
///
/// ```
/// use session_expire::clock::{Clock, SystemClock};
/// let clock = SystemClock::default();
/// let before = clock.now();
/// assert!(clock.now() >= before);
/// println!("It is {}.", clock.now().to_utc().format("%H:%M"));
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

/// `Utc::now` would first take the moment apart into a date.
fn wall_clock() -> Timestamp {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => EPOCH.plus(since),
        Err(before) => EPOCH.minus(before.duration()),
    }
}

/// Clock that stands still until it is advanced, for tests.
///
/// Clones show the same time.
///
/// ```
/// use session_expire::{clock::{Clock, ManualClock}, minutes};
/// let clock = ManualClock::default();
/// let before = clock.now();
/// clock.advance(minutes(10));
/// assert_eq!(clock.now().since(before), minutes(10));
/// ```
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<AtomicI64>);

impl ManualClock {
    /// Returns a clock that shows `start`.
    ///
    /// ```
    /// use session_expire::{clock::{Clock, ManualClock, Timestamp}, minutes};
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
        self.turn(|now| now.plus(by));
    }

    /// Moves the clock back.
    pub fn step_back(&self, by: Duration) {
        self.turn(|now| now.minus(by));
    }

    fn turn(&self, turn: impl Fn(Timestamp) -> Timestamp) {
        let turned = |now| Some(turn(Timestamp::from_millis(now)).as_millis());
        let _ = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, turned);
    }
}

impl Default for ManualClock {
    /// Noon of 1 January 2026.
    fn default() -> Self {
        Self::new(Timestamp::from_millis(1_767_268_800_000))
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

/// Clock that never runs backward.
///
/// When the clock below steps back, time continues from the latest time that was seen. Without this,
/// an unattended browser would stay signed in for as long as the step was wide.
///
/// A process that shares its records with others follows the clock below instead. The machine's clock
/// steps back only if it was wrong before, and keeping the wrong time would sign all users out.
#[derive(Debug)]
pub(crate) struct SteadyClock {
    below: Arc<dyn Clock>,
    shares: bool,
    latest: AtomicI64,
    lag: AtomicI64,
}

impl SteadyClock {
    pub(crate) fn new(below: Arc<dyn Clock>, shares: bool) -> Self {
        Self { below, shares, latest: AtomicI64::new(i64::MIN), lag: AtomicI64::new(0) }
    }

    pub(crate) fn now(&self) -> Timestamp {
        if self.shares {
            return self.below.now();
        }
        let lag = self.lag.load(Ordering::Acquire);
        let shown = self.below.now().as_millis().saturating_add(lag);
        let latest = self.latest.load(Ordering::Acquire);
        if shown >= latest {
            // A write would take the cache line from all other workers, even if nothing changes.
            if shown > latest {
                self.latest.fetch_max(shown, Ordering::AcqRel);
            }
            return Timestamp::from_millis(shown);
        }
        // Threads that race by a millisecond are no step; and of two that see the same step only
        // one may add it, or time would jump ahead by as much as it fell back.
        let behind = latest.saturating_sub(shown);
        if behind > RACE {
            let caught_up = lag.saturating_add(behind);
            let _ = self.lag.compare_exchange(lag, caught_up, Ordering::AcqRel, Ordering::Acquire);
        }
        Timestamp::from_millis(latest)
    }
}

/// Milliseconds by which two threads may disagree about the time.
const RACE: i64 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{hours, minutes};

    #[test]
    fn a_steady_clock_goes_on_where_a_step_back_happened() {
        let hand = ManualClock::default();
        let steady = SteadyClock::new(Arc::new(hand.clone()), false);
        let start = steady.now();
        hand.step_back(hours(1));
        assert_eq!(steady.now(), start);
        hand.advance(minutes(10));
        assert_eq!(steady.now().since(start), minutes(10));
    }
}
