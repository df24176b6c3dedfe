//! Longest timeouts of an application and its layers.
//!
//! They determine how long an unused session stays open in the registry. All workers of a process
//! share them, because a handler's policy may be unknown until its first request.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use super::{
    PolicyPatch,
    limit::{Limit, Limits},
};

/// Longest timeouts of the application's policy and of all patches that were added.
#[derive(Debug)]
pub(crate) struct LongestTimeouts {
    idle: LongestTimeout,
    absolute: LongestTimeout,
}

impl LongestTimeouts {
    pub(crate) fn new(app: Limits) -> Self {
        Self { idle: LongestTimeout::new(app.idle), absolute: LongestTimeout::new(app.absolute) }
    }

    /// Adds the timeouts that `patch` sets.
    pub(crate) fn add(&self, patch: &PolicyPatch) {
        patch.idle.into_iter().for_each(|idle| self.idle.add(idle));
        patch.absolute.into_iter().for_each(|absolute| self.absolute.add(absolute));
    }

    pub(crate) fn get(&self) -> Limits {
        Limits { idle: self.idle.get(), absolute: self.absolute.get() }
    }
}

/// Timeout in milliseconds; `u64::MAX` for [`Limit::Off`].
#[derive(Debug)]
struct LongestTimeout(AtomicU64);

impl LongestTimeout {
    fn new(limit: Limit<Duration>) -> Self {
        Self(AtomicU64::new(millis(limit)))
    }

    fn add(&self, limit: Limit<Duration>) {
        self.0.fetch_max(millis(limit), Ordering::Relaxed);
    }

    fn get(&self) -> Limit<Duration> {
        match self.0.load(Ordering::Relaxed) {
            u64::MAX => Limit::Off,
            millis => Limit::At(Duration::from_millis(millis)),
        }
    }
}

fn millis(limit: Limit<Duration>) -> u64 {
    let millis = |limit: Duration| u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
    limit.at().map_or(u64::MAX, millis)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::minutes;

    #[test]
    fn longest_timeouts_only_become_longer() {
        let at = |n| Limit::At(minutes(n));
        let longest = LongestTimeouts::new(Limits { idle: at(10), absolute: at(60) });
        for (patch, idle, absolute) in [
            (PolicyPatch::new().idle(minutes(1)), at(10), at(60)),
            (PolicyPatch::new().idle(minutes(20)).absolute(minutes(30)), at(20), at(60)),
            (PolicyPatch::new().absolute(Limit::Off), at(20), Limit::Off),
            (PolicyPatch::new().absolute(minutes(90)), at(20), Limit::Off),
        ] {
            longest.add(&patch);
            assert_eq!(longest.get(), Limits { idle, absolute }, "{patch:?}");
        }
    }
}
