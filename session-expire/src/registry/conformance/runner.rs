//! How a promise is run: on a runtime of the registry's choice, or on several threads at once.

use std::{
    pin::Pin,
    sync::{Arc, Barrier, Mutex, PoisonError},
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
};

use crate::registry::Registry;

/// Work for a [`Runner`].
///
/// ```
/// use session_expire::registry::conformance::{Work, block_on};
/// let mut done = false;
/// let work: Work<'_> = Box::pin(async { done = true });
/// block_on(work);
/// assert!(done);
/// ```
pub type Work<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Runs a future to its end. It is called from many threads at once.
///
/// ```
/// use session_expire::registry::conformance::{Runner, Work, block_on};
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
/// use session_expire::{MemoryRegistry, registry::conformance::{PROMISES, Promise, block_on}};
/// let rotations: Vec<Promise> = PROMISES
///     .iter()
///     .filter(|(name, _)| name.contains("rotation"))
///     .map(|(_, promise)| *promise)
///     .collect();
/// for promise in rotations {
///     promise(&MemoryRegistry::new(), block_on);
/// }
/// ```
pub type Promise = fn(&dyn Registry, Runner);

/// Runner for registries that need no runtime: polls, and parks the thread in between.
///
/// ```
/// use session_expire::registry::conformance::block_on;
/// let mut sum = 0;
/// block_on(Box::pin(async { sum = 1 + 1 }));
/// assert_eq!(sum, 2);
/// ```
pub fn block_on(mut work: Work<'_>) {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    while work.as_mut().poll(&mut Context::from_waker(&waker)) == Poll::Pending {
        thread::park();
    }
}

/// Runs all of `works` at once, each on a thread of its own. A registry may act when it is called
/// instead of when its future is awaited: the call belongs into the work.
pub(super) fn at_once<'a>(run: Runner, works: Vec<Work<'a>>) {
    let start = Barrier::new(works.len());
    thread::scope(|scope| {
        for work in works {
            let start = &start;
            scope.spawn(move || {
                start.wait();
                run(work);
            });
        }
    });
}

/// Runs one future, and returns its output.
pub(super) fn alone<T: Send>(run: Runner, work: impl Future<Output = T> + Send) -> T {
    let mut output = None;
    run(Box::pin(async { output = Some(work.await) }));
    match output {
        Some(output) => output,
        None => panic!("the runner returned before the future was complete"),
    }
}

/// A list that many threads append to.
pub(super) struct Results<T>(Mutex<Vec<T>>);

impl<T> Results<T> {
    pub(super) fn new() -> Self {
        Self(Mutex::default())
    }

    pub(super) fn add(&self, results: impl IntoIterator<Item = T>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(results);
    }

    pub(super) fn into_vec(self) -> Vec<T> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}
