//! Changes of sessions that a registry reports to its subscribers.
//!
//! A report says which sessions to load again, and not how they have changed. A lost or repeated
//! report is therefore harmless once the sessions are loaded again. Open streams use the reports.

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

/// Change of sessions, for [`Registry::subscribe`](super::Registry::subscribe).
///
/// A user is given by the [partition key](super::partition_key).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// One session has ended, or its key, its public id or its user policy has changed. After a
    /// re-authentication, `id` is the public id before it.
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
    /// Returns a listener that calls `listen`, which must neither wait nor call the registry.
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
    /// The middleware calls it once a minute while streams are open, and loads their sessions again
    /// if the result is `false` or an error. A registry that reports only the changes of its own
    /// process returns `false`. It should cost at most one command, whatever the number of sessions.
    ///
    /// # Errors
    ///
    /// The future returns [`RegistryError`](crate::error::RegistryError) if the storage fails.
    fn check(&self) -> RegistryFuture<'_, bool>;
}

/// Listeners of a registry that reports the changes of its own process.
#[derive(Clone, Default)]
pub(crate) struct Listeners(Arc<ListenerList>);

#[derive(Default)]
struct ListenerList {
    /// Number of listeners. Without one, an operation pays for one atomic load.
    count: AtomicUsize,
    listeners: Mutex<Vec<(usize, ChangeListener)>>,
    next: AtomicUsize,
}

/// Place of a listener in the list, removed when it is dropped.
struct Listening {
    list: Weak<ListenerList>,
    number: usize,
    is_complete: bool,
}

impl Listeners {
    /// Adds a listener. `is_complete` is the result of the subscription's check: `true` if the
    /// registry has no changes but those of this process.
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

    /// Reports a change, which is calculated only if there is a listener.
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
