//! Subscriber of the promises about reports: receives reports, and waits for them.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use super::{
    fixtures::{login, now, session, user},
    operations::{commit, log_out},
    runner::{Runner, run_one},
};
use crate::{
    registry::{
        Registry,
        change::{Change, ChangeListener, Subscription},
    },
    session::{key::partition_key, login::NewLogin},
};

/// Number of markers that are written before the reports count as missing.
const ATTEMPTS: u32 = 30;
/// Time for which the report of one marker is awaited.
const ATTEMPT: Duration = Duration::from_secs(1);

/// Maximum number of checks of a new subscription, and the pause between two checks.
const CHECKS: u32 = 20;
const CHECK_INTERVAL: Duration = Duration::from_millis(50);

/// Changes that were reported to a subscriber.
#[derive(Default)]
pub(super) struct Received {
    changes: Mutex<Vec<Change>>,
    added: Condvar,
}

impl Received {
    pub(super) fn lock(&self) -> MutexGuard<'_, Vec<Change>> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, change: Change) {
        self.lock().push(change);
        self.added.notify_all();
    }

    /// Waits for a report that satisfies `is_awaited`. Returns `true` if it was received.
    fn wait_for(&self, is_awaited: impl Fn(&Change) -> bool, limit: Duration) -> bool {
        let waited = self
            .added
            .wait_timeout_while(self.lock(), limit, |changes| !changes.iter().any(&is_awaited));
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }
}

/// Subscriber to a registry.
pub(super) struct Subscriber<'a> {
    registry: &'a dyn Registry,
    run: Runner,
    pub(super) received: Arc<Received>,
    pub(super) subscription: Box<dyn Subscription>,
    /// Set if the checks of the registry succeed.
    can_check: bool,
}

impl<'a> Subscriber<'a> {
    /// Subscribes, and waits until reports are received.
    pub(super) fn new(registry: &'a dyn Registry, run: Runner) -> Self {
        let received = Arc::<Received>::default();
        let added = Arc::clone(&received);
        let subscription = registry.subscribe(ChangeListener::new(move |change| added.add(change)));
        let subscriber = Self { registry, run, received, subscription, can_check: false };
        subscriber.wait();
        let can_check = subscriber.succeeds_to_check(CHECKS);
        Self { can_check, ..subscriber }
    }

    /// Repeats the check until it succeeds. Returns `false` if it does not.
    fn succeeds_to_check(&self, checks: u32) -> bool {
        let check = |_| {
            let mut is_complete = false;
            run_one(self.run, async {
                is_complete = self.subscription.check().await.unwrap_or(false);
            });
            if !is_complete {
                thread::sleep(CHECK_INTERVAL);
            }
            is_complete
        };
        (0..checks).any(check)
    }

    /// Waits until all earlier changes have been reported.
    pub(super) fn wait(&self) {
        self.wait_for_marker();
        // Other servers may report the changes of other users.
        if self.can_check {
            self.succeeds_to_check(ATTEMPTS * CHECKS);
        }
    }

    fn wait_for_marker(&self) {
        let mut markers = vec![];
        for _ in 0..ATTEMPTS {
            let marker = login(&user("marker"), now());
            markers.push(partition_key(&marker.user));
            // A faulty registry may report only one of the two changes.
            run_one(self.run, async {
                commit(self.registry, &marker).await;
                log_out(self.registry, &marker, marker.at).await;
            });
            let is_marker = |change: &Change| markers.iter().any(|marker| is_of(change, marker));
            if self.received.wait_for(is_marker, ATTEMPT) {
                return;
            }
        }
        panic!("a login and an end are not reported within {:?}", ATTEMPT * ATTEMPTS);
    }

    /// Waits for a report that satisfies `is_awaited`. Returns `true` if it was received.
    pub(super) fn receives(&self, is_awaited: impl Fn(&Change) -> bool) -> bool {
        self.received.wait_for(is_awaited, ATTEMPT * ATTEMPTS)
    }

    /// Returns the reports of the changes of a user's sessions since the last call.
    pub(super) fn reports_of(&self, user: &str) -> Vec<Change> {
        self.wait();
        let partition = partition_key(user);
        let mut changes = std::mem::take(&mut *self.received.lock());
        changes.retain(|change| *change == Change::Any || is_of(change, &partition));
        changes
    }

    /// Asserts that the changes of the sessions of `user` were reported in this order.
    pub(super) fn assert_reported(&self, user: &str, changes: &[Change], what: &str) {
        let reports = self.reports_of(user);
        let mut rest = reports.iter();
        let are_reported = changes.iter().all(|change| rest.any(|report| report == change));
        let is_covered = reports.contains(&Change::Any);
        assert!(are_reported || is_covered, "{what}: reported {reports:?}, not {changes:?}");
    }

    /// Asserts that the ends of the sessions were reported, in any order.
    pub(super) fn assert_ended(&self, logins: &[NewLogin], what: &str) {
        let reports = self.reports_of(&logins[0].user);
        for login in logins {
            let is_reported = [ended(login), Change::Any].iter().any(|end| reports.contains(end));
            assert!(is_reported, "{what}: reported {reports:?}, not {:?}", ended(login));
        }
    }
}

pub(super) fn is_of(change: &Change, of: &str) -> bool {
    match change {
        Change::Session { partition, .. } | Change::User { partition } => *partition == of,
        Change::Any => false,
    }
}

/// Returns the report of the end of a session.
pub(super) fn ended(login: &NewLogin) -> Change {
    Change::session(&session(login))
}
