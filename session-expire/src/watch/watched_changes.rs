//! Subscription of the watch thread to the reports of its registry, and the check for lost reports.

use std::{
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use tokio::{task::JoinHandle, time::timeout};

use super::{
    running_loads::{LOAD_TIMEOUT, WakeThread},
    watcher::Shared,
};
use crate::{
    policy::limit::Limit,
    registry::change::{ChangeListener, Subscription},
    time::Timestamp,
};

/// Time from the end of the last stream to the end of the subscription. A user who opens the next
/// page in this time needs no new subscription.
const SUBSCRIPTION_TIMEOUT: Duration = Duration::from_secs(30);

/// Subscription to the reports of a registry, which is open while there are watches.
pub(super) struct WatchedChanges {
    shared: Arc<Shared>,
    subscription: Option<Arc<dyn Subscription>>,
    /// Time since which there have been no watches.
    unused_since: Option<Timestamp>,
    /// Running check for lost reports. Its result is `true` if no report was lost.
    check: Option<JoinHandle<bool>>,
    checked_at: Instant,
}

impl WatchedChanges {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let checked_at = Instant::now();
        Self { shared, subscription: None, unused_since: None, check: None, checked_at }
    }

    pub(super) fn is_subscribed(&self) -> bool {
        self.subscription.is_some()
    }

    /// Subscribes if there are watches. Unsubscribes if there have been none for
    /// [`SUBSCRIPTION_TIMEOUT`].
    pub(super) fn update_subscription(&mut self) {
        let is_needed = !self.shared.work().table.is_empty();
        match (is_needed, self.is_subscribed()) {
            (true, false) => self.subscribe(),
            (false, true) if self.is_unused() => self.subscription = None,
            _ => {}
        }
        if is_needed {
            self.unused_since = None;
        }
    }

    /// Returns `true` if there have been no watches for [`SUBSCRIPTION_TIMEOUT`].
    fn is_unused(&mut self) -> bool {
        let now = self.shared.clock.now();
        let since = *self.unused_since.get_or_insert(now);
        now < since || now.since(since) >= SUBSCRIPTION_TIMEOUT
    }

    fn subscribe(&mut self) {
        let Some(registry) = self.shared.registry.upgrade() else { return };
        let shared = Arc::downgrade(&self.shared);
        let listener = ChangeListener::new(move |change| {
            if let Some(shared) = Weak::upgrade(&shared) {
                shared.report(&change);
            }
        });
        self.subscription = Some(registry.subscribe(listener).into());
        self.checked_at = Instant::now();
        // Sessions may have changed after their watches opened and before the subscription.
        self.shared.work().add_all(false);
    }

    /// Checks at the configured interval whether reports were lost. If so, loads all sessions
    /// again.
    pub(super) async fn check_reports(&mut self) {
        if let Some(check) = self.check.take_if(|check| check.is_finished())
            && !check.await.unwrap_or(false)
        {
            self.shared.work().add_all(true);
        }
        if let Limit::At(interval) = self.shared.check_interval
            && self.check.is_none()
            && !self.shared.work().table.is_empty()
            && is_due(&mut self.checked_at, interval)
        {
            self.start_check();
        }
    }

    /// Starts a check in a task of its own, so that a slow check does not delay the loads.
    fn start_check(&mut self) {
        let Some(subscription) = self.subscription.clone() else { return };
        let wake = WakeThread(Arc::clone(&self.shared));
        self.check = Some(tokio::spawn(async move {
            let _wake = wake;
            matches!(timeout(LOAD_TIMEOUT, subscription.check()).await, Ok(Ok(true)))
        }));
    }
}

/// Returns `true` if `interval` has passed since `last`. The next interval then starts.
pub(super) fn is_due(last: &mut Instant, interval: Duration) -> bool {
    let is_due = last.elapsed() >= interval;
    if is_due {
        *last = Instant::now();
    }
    is_due
}
