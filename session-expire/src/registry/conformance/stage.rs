//! What the promises are told with: people, logins, and answers that must come.

use std::{
    collections::BTreeSet,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::Duration,
};

use crate::{
    clock::{Clock, SystemClock},
    limit::{Limit, Overflow},
    policy::Policy,
    registry::{
        Loaded, LoginOutcome, Query, Registry, RegistryFuture,
        key::{PublicId, RecordKey},
        login::NewLogin,
        record::{ActivityUpdate, Ended, SessionRecord},
        room::SessionLimit,
    },
    time::{Timestamp, hours, minutes},
};

/// A piece of work for a [`Runner`].
///
/// ```
/// use session_expire::conformance::{Work, block_on};
/// let mut done = false;
/// let work: Work<'_> = Box::pin(async { done = true });
/// block_on(work);
/// assert!(done);
/// ```
pub type Work<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Runs a future to its end. It is called from many threads at once.
///
/// ```
/// use session_expire::conformance::{Runner, Work, block_on};
/// fn with_a_guard(work: Work<'_>) {
///     // enter a runtime here, and leave it when the work is done
///     block_on(work);
/// }
/// let run: Runner = with_a_guard;
/// run(Box::pin(async {}));
/// ```
pub type Runner = fn(Work<'_>);

/// One promise, as [`PROMISES`](crate::conformance::PROMISES) lists it.
///
/// ```
/// use session_expire::{MemoryRegistry, conformance::{PROMISES, Promise, block_on}};
/// let logs: Vec<Promise> =
///     PROMISES.iter().filter(|(name, _)| name.contains("log")).map(|(_, promise)| *promise).collect();
/// for promise in logs {
///     promise(&MemoryRegistry::new(), block_on);
/// }
/// ```
pub type Promise = fn(&dyn Registry, Runner);

/// The runner for registries that need no runtime: polls, and sleeps in between.
///
/// ```
/// use session_expire::conformance::block_on;
/// let mut sum = 0;
/// block_on(Box::pin(async { sum = 1 + 1 }));
/// assert_eq!(sum, 2);
/// ```
pub fn block_on(mut work: Work<'_>) {
    struct Alarm(Thread);
    impl Wake for Alarm {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Alarm(thread::current())));
    while work.as_mut().poll(&mut Context::from_waker(&waker)) == Poll::Pending {
        thread::park();
    }
}

/// The idle limit of all logins here.
pub(super) const IDLE: Duration = minutes(30);

/// The absolute limit of all logins here.
pub(super) const ABSOLUTE: Duration = hours(8);

/// Now, by the machine's clock: a registry may let its storage forget by that.
pub(super) fn now() -> Timestamp {
    SystemClock::default().now()
}

/// A user whom nobody else knows, so that promises can share one storage.
pub(super) fn somebody(name: &str) -> Arc<str> {
    format!("{name}-{}", PublicId::random()).into()
}

/// A login of `user` at `at`, without a limit on their number.
pub(super) fn login(user: &Arc<str>, at: Timestamp) -> NewLogin {
    NewLogin::new(Arc::clone(user), at, &Policy::new().idle(IDLE).absolute(ABSOLUTE))
}

/// A login from a device.
pub(super) fn login_from(device: &str, user: &Arc<str>, at: Timestamp) -> NewLogin {
    let mut login = login(user, at);
    login.client.device = device.into();
    login
}

/// The same login where only so many places are.
pub(super) fn limited(login: NewLogin, places: u32, overflow: Overflow) -> NewLogin {
    NewLogin { room: room(places, overflow), ..login }
}

pub(super) fn room(places: u32, overflow: Overflow) -> SessionLimit {
    SessionLimit { max_sessions: Limit::At(places), overflow }
}

/// Activity at `at`, noted at once.
pub(super) fn activity(at: Timestamp) -> ActivityUpdate {
    ActivityUpdate { seen: at, now: at, patch: None }
}

/// The answer, which must not be an error.
pub(super) async fn answered<T>(operation: &str, answer: RegistryFuture<'_, T>) -> T {
    match answer.await {
        Ok(answer) => answer,
        Err(error) => {
            panic!("`{operation}` failed: {error}: {:?}", std::error::Error::source(&error))
        }
    }
}

/// Signs in, which must not be refused; answers the record and those that it ended.
pub(super) async fn sign_in(
    registry: &dyn Registry,
    login: &NewLogin,
) -> (SessionRecord, Vec<SessionRecord>) {
    match answered("login", registry.login(login.clone())).await {
        LoginOutcome::Committed { record, ended } => (record, ended),
        LoginOutcome::Refused { holders } => {
            panic!("a login was refused for which there is room; holders: {holders:#?}")
        }
    }
}

/// Signs in, which must be refused; answers those that hold the places.
pub(super) async fn sign_in_in_vain(
    registry: &dyn Registry,
    login: &NewLogin,
) -> Vec<SessionRecord> {
    match answered("login", registry.login(login.clone())).await {
        LoginOutcome::Refused { holders } => holders,
        LoginOutcome::Committed { record, .. } => {
            panic!("a login was admitted for which there is no room: {record:#?}")
        }
    }
}

/// Signs in `count` times, a minute apart, the first at `at`.
pub(super) async fn sign_in_often(
    registry: &dyn Registry,
    user: &Arc<str>,
    count: u32,
    at: Timestamp,
) -> Vec<NewLogin> {
    let mut logins = vec![];
    for n in 0..count {
        let device = format!("device {n}");
        logins.push(login_from(&device, user, at.plus(minutes(u64::from(n)))));
        sign_in(registry, &logins[logins.len() - 1]).await;
    }
    logins
}

/// What is loaded under `key`, which must be there.
pub(super) async fn load(registry: &dyn Registry, key: RecordKey) -> Loaded {
    match answered("load", registry.load(key)).await {
        Some(loaded) => loaded,
        None => panic!("a record that was there is not found under its key any more"),
    }
}

/// The end of the record under `key`.
pub(super) async fn end_of(registry: &dyn Registry, key: RecordKey) -> Option<Ended> {
    load(registry, key).await.record.ended.clone()
}

/// The ids of the open records of `user`, as the list tells them.
pub(super) async fn open_ids(registry: &dyn Registry, user: &Arc<str>) -> BTreeSet<PublicId> {
    ids(&answered("find", registry.find(Query::open(Arc::clone(user)))).await)
}

pub(super) fn ids(records: &[SessionRecord]) -> BTreeSet<PublicId> {
    let ids: BTreeSet<_> = records.iter().map(|record| record.id).collect();
    assert_eq!(ids.len(), records.len(), "a record stands twice in one answer: {records:#?}");
    ids
}

pub(super) fn ids_of(logins: &[NewLogin]) -> BTreeSet<PublicId> {
    logins.iter().map(|login| login.id).collect()
}

/// That `ended` are exactly `logins`, each with the end `how`, and that they load so.
pub(super) async fn assert_ended(
    registry: &dyn Registry,
    ended: &[SessionRecord],
    logins: &[NewLogin],
    how: &Ended,
) {
    assert_eq!(ids(ended), ids_of(logins), "not exactly the right ones were ended: {ended:#?}");
    for record in ended {
        assert_eq!(record.ended.as_ref(), Some(how), "an answered record has another end");
    }
    for login in logins {
        let end = end_of(registry, login.key).await;
        assert_eq!(end.as_ref(), Some(how), "what was answered is not what is loaded afterwards");
    }
}
