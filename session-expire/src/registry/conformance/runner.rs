//! Runners of promises: on the runtime of the registry, or on several threads at the same time.
//!
//! The promises use the functions here and never name a runtime.

use std::{
    pin::Pin,
    sync::{Arc, Barrier, Mutex, PoisonError},
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
};

use crate::registry::Registry;

/// Future that a [`Runner`] runs.
///
/// ```
/// use session_expire::registry::conformance::{Work, block_on};
/// let mut is_done = false;
/// let work: Work<'_> = Box::pin(async { is_done = true });
/// block_on(work);
/// assert!(is_done);
/// ```
pub type Work<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Function that runs a future to completion. It is called from many threads at the same time.
///
/// ```
/// use session_expire::registry::conformance::{Runner, Work, block_on};
/// fn run_in_runtime(work: Work<'_>) {
///     // Enter a runtime here, and leave it when the work is complete.
///     block_on(work);
/// }
/// let run: Runner = run_in_runtime;
/// run(Box::pin(async {}));
/// ```
pub type Runner = fn(Work<'_>);

/// Promise in the list [`PROMISES`](super::PROMISES).
///
/// ```
/// use session_expire::{MemoryRegistry, registry::conformance::{PROMISES, Promise, block_on}};
/// let (_, promise): (&str, Promise) = PROMISES[0];
/// promise(&MemoryRegistry::new(), block_on);
/// ```
pub type Promise = fn(&dyn Registry, Runner);

/// Runner for registries that need no runtime. It polls the future and parks the thread while the
/// future is pending.
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

/// Runs all `works` at the same time, each in a thread of its own.
///
/// Each work must contain the call of the registry, which may do its work before its future is
/// polled.
pub(super) fn run_simultaneously<'a>(run: Runner, works: Vec<Work<'a>>) {
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

/// Runs one future and returns its output.
pub(super) fn run_one<T: Send>(run: Runner, work: impl Future<Output = T> + Send) -> T {
    let mut output = None;
    run(Box::pin(async { output = Some(work.await) }));
    match output {
        Some(output) => output,
        None => panic!("the runner returned before the future was complete"),
    }
}

/// List to which many threads append.
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
