//! Changes of sessions that a registry reports to its listeners.
//!
//! A report names the sessions to load again, but not how they have changed. A repeated report is
//! therefore harmless, and a load makes up for a lost one. The middleware uses the reports to end
//! guarded streams.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::{RegistryFuture, partition_key};
use crate::session::{
    key::PublicId,
    record::{SessionRecord, SessionRef},
};

/// Change of one or more sessions, reported by [`Registry::subscribe`](super::Registry::subscribe).
///
/// The [partition key](super::partition_key) identifies the user.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// One session has ended, or its key, public id, user policy or signing key has changed. After
    /// a re-authentication, `id` is the public id that the session had before.
    Session {
        /// Partition key of the user.
        partition: String,
        /// Public id of the session.
        id: PublicId,
    },
    /// A user has signed in, or all sessions of the user may have changed.
    User {
        /// Partition key of the user.
        partition: String,
    },
    /// Any session may have changed, or reports may have been lost.
    Any,
}

impl Change {
    /// Returns the change of one session.
    #[must_use]
    pub fn session(session: &SessionRef) -> Self {
        Self::Session { partition: partition_key(&session.user), id: session.id }
    }

    /// Returns the change of a user's sessions.
    #[must_use]
    pub fn user(user: &str) -> Self {
        Self::User { partition: partition_key(user) }
    }
}

/// Function to which a registry reports changes. Clones share the function.
///
/// ```
/// use std::sync::mpsc;
/// use session_expire::registry::{Change, ChangeListener};
///
/// let (sender, receiver) = mpsc::channel();
/// let listener = ChangeListener::new(move |change| sender.send(change).unwrap());
/// listener.report(Change::user("alice"));
/// assert_eq!(receiver.recv(), Ok(Change::user("alice")));
/// ```
#[derive(Clone)]
pub struct ChangeListener(Arc<dyn Fn(Change) + Send + Sync>);

impl ChangeListener {
    /// Returns a listener that calls `listen`, which must neither block nor call the registry.
    pub fn new(listen: impl Fn(Change) + Send + Sync + 'static) -> Self {
        Self(Arc::new(listen))
    }

    /// Reports a change.
    pub fn report(&self, change: Change) {
        (self.0)(change);
    }
}

impl fmt::Debug for ChangeListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChangeListener(…)")
    }
}

/// Subscription to the changes of a registry. Dropping it ends the reports.
pub trait Subscription: Send + Sync {
    /// Returns `true` if every change that took effect before this call has been reported.
    ///
    /// While streams are open, the middleware calls this method at the interval of
    /// [`live_check`](crate::SessionExpireBuilder::live_check). If the result is `false` or an
    /// error, it loads their sessions again. A registry that misses the changes by other processes
    /// returns `false`. A check should cost at most one command for any number of sessions.
    ///
    /// # Errors
    ///
    /// The future returns [`RegistryError`](crate::error::RegistryError) if the storage fails.
    fn check(&self) -> RegistryFuture<'_, bool>;
}

/// Listeners of a registry.
#[derive(Clone, Default)]
pub(crate) struct Listeners(Arc<ListenerList>);

#[derive(Default)]
struct ListenerList {
    /// Number of listeners. Without listeners, a report costs one atomic load.
    count: AtomicUsize,
    listeners: Mutex<Vec<(usize, ChangeListener)>>,
    next: AtomicUsize,
}

/// Subscription of a listener. Dropping it removes the listener from the list.
struct Listening {
    list: Weak<ListenerList>,
    number: usize,
    is_complete: bool,
}

impl Listeners {
    /// Adds a listener. `is_complete` is the result of the subscription's check: `true` if only
    /// this process changes the registry.
    pub(crate) fn subscribe(
        &self,
        listener: ChangeListener,
        is_complete: bool,
    ) -> Box<dyn Subscription> {
        let number = self.0.next.fetch_add(1, Ordering::Relaxed);
        let mut listeners = self.0.lock();
        listeners.push((number, listener));
        self.0.count.store(listeners.len(), Ordering::SeqCst);
        Box::new(Listening { list: Arc::downgrade(&self.0), number, is_complete })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.count.load(Ordering::SeqCst) == 0
    }

    /// Reports a change. `change` is called only if there is a listener.
    pub(crate) fn report(&self, change: impl FnOnce() -> Change) {
        if !self.is_empty() {
            let change = change();
            let listeners = self.0.lock().clone();
            listeners.iter().for_each(|(_, listener)| listener.report(change.clone()));
        }
    }

    pub(crate) fn report_records(&self, records: &[SessionRecord]) {
        records.iter().for_each(|record| self.report(|| Change::session(&record.session_ref())));
    }
}

impl ListenerList {
    fn lock(&self) -> MutexGuard<'_, Vec<(usize, ChangeListener)>> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Subscription for Listening {
    fn check(&self) -> RegistryFuture<'_, bool> {
        RegistryFuture::ready(Ok(self.is_complete))
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        if let Some(list) = self.list.upgrade() {
            let mut listeners = list.lock();
            listeners.retain(|(number, _)| *number != self.number);
            list.count.store(listeners.len(), Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
#[cfg(not(shuttle))]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn dropped_subscription_gets_no_reports() {
        let (listeners, (sender, receiver)) = (Listeners::default(), channel());
        let listener = ChangeListener::new(move |change| sender.send(change).unwrap());
        let subscription = listeners.subscribe(listener.clone(), true);
        let other = listeners.subscribe(listener, true);
        listeners.report(|| Change::Any);
        assert_eq!(receiver.try_iter().count(), 2);
        drop(subscription);
        listeners.report(|| Change::Any);
        assert_eq!(receiver.try_iter().count(), 1);
        drop(other);
        listeners.report(|| unreachable!("no listener"));
    }
}
