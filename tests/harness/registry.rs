//! Registry that records its operations and fails on demand.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use session_expire::{
    MemoryRegistry,
    clock::Timestamp,
    error::RegistryError,
    registry::{
        ChangeListener, EndSessions, Ended, KeyRotation, LoginOutcome, LoginTicket, NewLogin,
        Query, RecordKey, Registry, RegistryFuture, Reservation, ReserveOutcome, RotationOutcome,
        SessionLimit, SessionRecord, SessionRef, SessionUpdate, StoredSession, Subscription,
        UpdateOutcome, UserExport,
    },
};

/// A registry, in memory by default, that records its operations and fails on demand. Clones share
/// it.
#[derive(Clone)]
pub struct TestRegistry {
    inner: Arc<dyn Registry>,
    /// The same registry, if it is in memory.
    memory: Option<Arc<MemoryRegistry>>,
    is_down: Arc<AtomicBool>,
    operations: Arc<Mutex<Vec<&'static str>>>,
    login_keys: Arc<Mutex<Vec<RecordKey>>>,
    next_failure: Arc<Mutex<Option<&'static str>>>,
    hanging: Arc<Mutex<Option<&'static str>>>,
    is_shared: bool,
    server_time: Arc<Mutex<Option<Timestamp>>>,
    is_silent: Arc<AtomicBool>,
    is_pending: Arc<AtomicBool>,
    subscriptions: Arc<AtomicUsize>,
    after_next: Arc<Mutex<Option<(&'static str, Hook)>>>,
    key_fault: Arc<Mutex<Option<(RecordKey, KeyFault)>>>,
}

/// Fault of the loads of one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyFault {
    /// The loads fail.
    Fails,
    /// The loads never complete.
    Hangs,
    /// The loads panic.
    Panics,
}

/// Function of a test that runs between two operations.
type Hook = Box<dyn FnOnce(&dyn Registry) + Send>;

impl TestRegistry {
    /// Returns a registry that several sites can use at once.
    #[must_use]
    pub fn shared() -> Self {
        Self { is_shared: true, ..Self::default() }
    }

    /// Returns a registry that uses another one, such as one in a file.
    #[must_use]
    pub fn over(inner: impl Registry + 'static) -> Self {
        let is_shared = inner.is_shared();
        Self { inner: Arc::new(inner), memory: None, is_shared, ..Self::default() }
    }

    /// Sets the time of the server that the processes share.
    pub fn set_server_time(&self, time: Timestamp) {
        *lock(&self.server_time) = Some(time);
    }

    /// Starts or ends an outage, in which every operation fails.
    pub fn set_down(&self, is_down: bool) {
        self.is_down.store(is_down, Ordering::SeqCst);
    }

    /// Makes the next operation of this name fail.
    pub fn fail_next(&self, operation: &'static str) {
        *lock(&self.next_failure) = Some(operation);
    }

    /// Makes the futures of this operation hang after it has run. `None` restores them.
    pub fn set_hanging(&self, operation: Option<&'static str>) {
        *lock(&self.hanging) = operation;
    }

    /// Drops all reports of changes, as a registry without reports of other processes does.
    pub fn set_silent(&self, is_silent: bool) {
        self.is_silent.store(is_silent, Ordering::SeqCst);
    }

    /// Makes the future of each operation wait for a task, as the client of a database does.
    pub fn set_pending(&self, is_pending: bool) {
        self.is_pending.store(is_pending, Ordering::SeqCst);
    }

    /// Sets the fault of all loads of this key.
    pub fn set_key_fault(&self, key: RecordKey, fault: KeyFault) {
        *lock(&self.key_fault) = Some((key, fault));
    }

    /// Returns the number of subscriptions to changes.
    #[must_use]
    pub fn subscriptions(&self) -> usize {
        self.subscriptions.load(Ordering::SeqCst)
    }

    /// Calls `hook` after the next operation of this name, before its caller continues.
    pub fn after_next(
        &self,
        operation: &'static str,
        hook: impl FnOnce(&dyn Registry) + Send + 'static,
    ) {
        *lock(&self.after_next) = Some((operation, Box::new(hook)));
    }

    /// Returns the names of the operations since the last call.
    pub fn take_operations(&self) -> Vec<&'static str> {
        std::mem::take(&mut lock(&self.operations))
    }

    /// Returns the secret keys of all logins.
    #[must_use]
    pub fn login_keys(&self) -> Vec<RecordKey> {
        lock(&self.login_keys).clone()
    }

    /// Returns the number of records in memory, including ended ones.
    #[must_use]
    pub fn record_count(&self) -> usize {
        self.memory.as_ref().map_or(0, |memory| memory.len())
    }

    /// Blocks the test until this number of subscriptions is open.
    ///
    /// # Panics
    ///
    /// Panics after 120 seconds.
    pub fn wait_for_subscriptions(&self, n: usize) {
        let start = Instant::now();
        while self.subscriptions.load(Ordering::SeqCst) != n {
            assert!(start.elapsed() < Duration::from_secs(120), "expected {n} subscriptions");
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn run<'a, T: Send + 'a>(
        &self,
        operation: &'static str,
        work: impl FnOnce() -> RegistryFuture<'a, T>,
    ) -> RegistryFuture<'a, T> {
        let fails = lock(&self.next_failure).take_if(|next| *next == operation).is_some();
        let is_failure = fails || self.is_down.load(Ordering::SeqCst);
        let outcome = if is_failure {
            RegistryFuture::ready(Err(RegistryError::new(operation, "the secret cause")))
        } else {
            work()
        };
        // A test that waits for an operation relies on its effect, so the name is added afterwards.
        lock(&self.operations).push(operation);
        let hook = lock(&self.after_next).take_if(|(next, _)| *next == operation);
        if let Some((_, hook)) = hook {
            hook(&*self.inner);
        }
        if self.is_pending.load(Ordering::SeqCst) {
            return RegistryFuture::boxed(async {
                tokio::task::yield_now().await;
                outcome.await
            });
        }
        if !is_failure && *lock(&self.hanging) == Some(operation) {
            return RegistryFuture::boxed(async {
                drop(outcome.await);
                std::future::pending().await
            });
        }
        outcome
    }
}

impl Default for TestRegistry {
    fn default() -> Self {
        let memory = Arc::<MemoryRegistry>::default();
        Self {
            inner: Arc::clone(&memory) as _,
            memory: Some(memory),
            is_down: Arc::default(),
            operations: Arc::default(),
            login_keys: Arc::default(),
            next_failure: Arc::default(),
            hanging: Arc::default(),
            is_shared: false,
            server_time: Arc::default(),
            is_silent: Arc::default(),
            is_pending: Arc::default(),
            subscriptions: Arc::default(),
            after_next: Arc::default(),
            key_fault: Arc::default(),
        }
    }
}

/// Subscription that a [`TestRegistry`] counts.
struct TestSubscription {
    _inner: Box<dyn Subscription>,
    registry: TestRegistry,
}

impl Subscription for TestSubscription {
    fn check(&self) -> RegistryFuture<'_, bool> {
        let is_complete = !self.registry.is_silent.load(Ordering::SeqCst);
        self.registry.run("check", || RegistryFuture::ready(Ok(is_complete)))
    }
}

impl Drop for TestSubscription {
    fn drop(&mut self) {
        self.registry.subscriptions.fetch_sub(1, Ordering::SeqCst);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Registry for TestRegistry {
    fn load(&self, key: RecordKey, count_open: bool) -> RegistryFuture<'_, Option<StoredSession>> {
        let fault = lock(&self.key_fault).filter(|(faulty, _)| *faulty == key);
        match fault.map(|(_, fault)| fault) {
            None => self.run("load", || self.inner.load(key, count_open)),
            Some(KeyFault::Fails) => RegistryFuture::ready(Err(RegistryError::new("load", "key"))),
            Some(KeyFault::Hangs) => RegistryFuture::boxed(std::future::pending()),
            Some(KeyFault::Panics) => panic!("a defect of the registry"),
        }
    }

    fn reserve(&self, reservation: Reservation) -> RegistryFuture<'_, ReserveOutcome> {
        self.run("reserve", || self.inner.reserve(reservation))
    }

    fn commit(&self, login: NewLogin) -> RegistryFuture<'_, LoginOutcome> {
        lock(&self.login_keys).push(login.key());
        self.run("commit", || self.inner.commit(login))
    }

    fn issue_ticket(&self, ticket: LoginTicket) -> RegistryFuture<'_, ()> {
        self.run("issue_ticket", || self.inner.issue_ticket(ticket))
    }

    fn count_confirmation_attempt(
        &self,
        session: SessionRef,
        ended: Ended,
    ) -> RegistryFuture<'_, Option<SessionRecord>> {
        self.run("count_confirmation_attempt", || {
            self.inner.count_confirmation_attempt(session, ended)
        })
    }

    fn cancel(&self, key: RecordKey, ended: Ended) -> RegistryFuture<'_, ()> {
        self.run("cancel", || self.inner.cancel(key, ended))
    }

    fn update(
        &self,
        session: SessionRef,
        update: SessionUpdate,
    ) -> RegistryFuture<'_, UpdateOutcome> {
        self.run("update", || self.inner.update(session, update))
    }

    fn rotate(&self, rotation: KeyRotation) -> RegistryFuture<'_, RotationOutcome> {
        self.run("rotate", || self.inner.rotate(rotation))
    }

    fn end(&self, end: EndSessions) -> RegistryFuture<'_, Vec<SessionRecord>> {
        self.run("end", || self.inner.end(end))
    }

    fn enforce_limit(
        &self,
        session: SessionRef,
        limit: SessionLimit,
        ended: Ended,
    ) -> RegistryFuture<'_, Vec<SessionRecord>> {
        self.run("enforce_limit", || self.inner.enforce_limit(session, limit, ended))
    }

    fn list(&self, query: Query) -> RegistryFuture<'_, Vec<SessionRecord>> {
        self.run("list", || self.inner.list(query))
    }

    fn end_everyone(&self, ended: Ended) -> RegistryFuture<'_, u64> {
        self.run("end_everyone", || self.inner.end_everyone(ended))
    }

    fn erase(&self, user: Arc<str>) -> RegistryFuture<'_, u64> {
        self.run("erase", || self.inner.erase(user))
    }

    fn export(&self, user: Arc<str>) -> RegistryFuture<'_, UserExport> {
        self.run("export", || self.inner.export(user))
    }

    fn subscribe(&self, listener: ChangeListener) -> Box<dyn Subscription> {
        let is_silent = Arc::clone(&self.is_silent);
        let filter = ChangeListener::new(move |change| {
            if !is_silent.load(Ordering::SeqCst) {
                listener.report(change);
            }
        });
        lock(&self.operations).push("subscribe");
        let hook = lock(&self.after_next).take_if(|(next, _)| *next == "subscribe");
        if let Some((_, hook)) = hook {
            hook(&*self.inner);
        }
        self.subscriptions.fetch_add(1, Ordering::SeqCst);
        Box::new(TestSubscription { _inner: self.inner.subscribe(filter), registry: self.clone() })
    }

    fn enforces_limits(&self) -> bool {
        self.inner.enforces_limits()
    }

    fn on_start(&self, now: Timestamp) {
        if !self.is_shared {
            self.inner.on_start(now);
        }
    }

    fn is_shared(&self) -> bool {
        self.is_shared
    }

    fn server_time(&self) -> Option<Timestamp> {
        lock(&self.server_time).or_else(|| self.inner.server_time())
    }
}
