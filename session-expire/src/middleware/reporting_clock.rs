//! Clock that reports when it is set back.
//!
//! A registry whose processes share the clock of their machine must then correct future times, as
//! it does at startup. Otherwise unused sessions would stay active until the clock reaches those
//! times.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    thread,
};

use crate::{
    registry::Registry,
    time::{Timestamp, clock::Clock},
};

/// Smaller steps back are not reported: a thread may have read the time some seconds ago.
const MIN_STEP_MILLIS: i64 = 10_000;

/// Clock that calls a function when it is set back.
pub(super) struct ReportingClock {
    inner: Arc<dyn Clock>,
    report: Box<dyn Fn(Timestamp) + Send + Sync>,
    latest: AtomicI64,
}

impl ReportingClock {
    /// Returns a clock that calls [`Registry::on_start`] again when it is set back.
    pub(super) fn new(inner: Arc<dyn Clock>, registry: &Arc<dyn Registry>) -> Self {
        let registry = Arc::clone(registry);
        Self::with(inner, move |now| correct(Arc::clone(&registry), now))
    }

    fn with(inner: Arc<dyn Clock>, report: impl Fn(Timestamp) + Send + Sync + 'static) -> Self {
        Self { inner, report: Box::new(report), latest: AtomicI64::new(i64::MIN) }
    }
}

/// Corrects future times on a separate thread, because the registry may wait for a disk.
fn correct(registry: Arc<dyn Registry>, now: Timestamp) {
    let event = "sys_clock_set_back";
    tracing::warn!(event, "clock set back; correcting future times");
    let run = move || registry.on_start(now);
    if let Err(error) = thread::Builder::new().name("session-clock".to_owned()).spawn(run) {
        tracing::error!(event, %error, "cannot start the thread that corrects future times");
    }
}

impl Clock for ReportingClock {
    fn now(&self) -> Timestamp {
        let now = self.inner.now();
        let (shown, latest) = (now.as_millis(), self.latest.load(Ordering::Acquire));
        if shown > latest {
            self.latest.fetch_max(shown, Ordering::AcqRel);
        } else if latest.saturating_sub(shown) > MIN_STEP_MILLIS {
            // Only one thread reports a step.
            let exchange =
                self.latest.compare_exchange(latest, shown, Ordering::AcqRel, Ordering::Acquire);
            if exchange.is_ok() {
                (self.report)(now);
            }
        }
        now
    }
}

impl fmt::Debug for ReportingClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReportingClock")
    }
}

#[cfg(test)]
#[cfg(not(shuttle))]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;
    use crate::time::{clock::ManualClock, hours, seconds};

    #[test]
    fn step_back_is_reported_once() {
        let (reports, reported) = channel();
        let clock = ManualClock::default();
        let reporting = ReportingClock::with(Arc::new(clock.clone()), move |now| {
            reports.send(now).unwrap();
        });
        for (step, is_reported) in [(seconds(5), false), (seconds(11), true), (hours(1), true)] {
            reporting.now();
            clock.step_back(step);
            for _ in 0..3 {
                assert_eq!(reporting.now(), clock.now());
            }
            let expected = is_reported.then(|| clock.now());
            assert_eq!(reported.try_recv().ok(), expected, "{step:?}");
            assert!(reported.try_recv().is_err(), "{step:?}");
            clock.advance(hours(2));
        }
    }
}
