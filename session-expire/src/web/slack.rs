//! How finely activity must be noted.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::policy::{Policy, PolicyPatch};

/// The policy that results when `patch` lies over `below`.
pub(crate) fn lay(patch: &PolicyPatch, below: &Policy) -> Arc<Policy> {
    let policy = patch.over(below);
    note_slack(&policy);
    Arc::new(policy)
}

/// The smallest slack of all policies that this process has met, in milliseconds. Activity must be
/// noted finely enough for the strictest of them, whichever page it happens on.
static TIGHTEST_SLACK: AtomicU64 = AtomicU64::new(u64::MAX);

pub(crate) fn note_slack(policy: &Policy) {
    let slack = u64::try_from(policy.slack().as_millis()).unwrap_or(u64::MAX);
    if slack < TIGHTEST_SLACK.load(Ordering::Relaxed) {
        TIGHTEST_SLACK.fetch_min(slack, Ordering::Relaxed);
    }
}

pub(crate) fn tightest_slack() -> Duration {
    Duration::from_millis(TIGHTEST_SLACK.load(Ordering::Relaxed))
}
