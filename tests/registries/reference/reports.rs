//! Reports of the reference registry to its listeners.

use std::sync::{Arc, Mutex, Weak};

use session_expire::registry::{
    Change, ChangeListener, RegistryFuture, SessionRecord, Subscription,
};

/// Listeners. Each exists as long as its subscription.
#[derive(Default)]
pub(super) struct Listeners(Mutex<Vec<Weak<ChangeListener>>>);

struct Listening {
    _listener: Arc<ChangeListener>,
}

impl Subscription for Listening {
    fn check(&self) -> RegistryFuture<'_, bool> {
        RegistryFuture::ready(Ok(true))
    }
}

impl Listeners {
    pub(super) fn add(&self, listener: ChangeListener) -> Box<dyn Subscription> {
        let listener = Arc::new(listener);
        self.0.lock().unwrap().push(Arc::downgrade(&listener));
        Box::new(Listening { _listener: listener })
    }

    pub(super) fn report(&self, change: &Change) {
        let listeners = self.0.lock().unwrap().clone();
        let listeners = listeners.iter().filter_map(Weak::upgrade);
        listeners.for_each(|listener| listener.report(change.clone()));
    }

    pub(super) fn report_ends<'a>(&self, ended: impl IntoIterator<Item = &'a SessionRecord>) {
        let changes = ended.into_iter().map(|record| Change::session(&record.session_ref()));
        changes.for_each(|change| self.report(&change));
    }
}
