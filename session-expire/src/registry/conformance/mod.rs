//! The promises of [`Registry`](crate::registry::Registry) as tests, for a registry of your own.
//!
//! Each promise is a function that panics if the registry breaks it, and says how.
//! [`conformance_tests!`](crate::registry::conformance_tests) makes one `#[test]` of each:
//!
//! ```
//! # use session_expire::MemoryRegistry;
//! session_expire::registry::conformance_tests!(async { MemoryRegistry::new() });
//! # fn main() {}
//! ```
//!
//! A registry that needs a runtime brings a [`Runner`]. It is called from many threads at once, and
//! what the registry leaves running must outlast each call. For Tokio, use one runtime with threads
//! of its own for all tests.
//!
//! ```
//! use session_expire::MemoryRegistry;
//! use session_expire::registry::conformance::{Work, block_on};
//!
//! // With Tokio: `RUNTIME.block_on(work)`.
//! fn run(work: Work<'_>) {
//!     block_on(work);
//! }
//!
//! session_expire::registry::conformance_tests!(runner = |work| run(work), fresh = async {
//!     MemoryRegistry::new()
//! });
//! # fn main() {}
//! ```
//!
//! Each registry needs a storage of its own, which need not be empty: another file, database or key
//! prefix. All times lie around the machine's time, except in the promises about wrong clocks. A
//! registry with a history limit must keep seven ended sessions of a user, or more, and has
//! [`history_keeps_the_last_sessions`] besides.

// A test has no better way to fail, and an index out of bounds is a failure as well.
#![allow(clippy::panic, clippy::missing_panics_doc)]

mod commit;
mod concurrent_changes;
mod concurrent_logins;
mod data;
mod end;
mod enforce_limit;
mod fixtures;
mod list;
mod operations;
mod promises;
mod records;
mod reserve;
mod rotate;
mod runner;
mod session_limit;
mod uncounted;
mod update;
mod user_names;
mod users;

pub use commit::*;
pub use concurrent_changes::*;
pub use concurrent_logins::*;
pub use data::*;
pub use end::*;
pub use enforce_limit::*;
pub use list::*;
pub use records::*;
pub use reserve::*;
pub use rotate::*;
pub use runner::{Promise, Runner, Work, block_on};
pub use session_limit::*;
pub use uncounted::*;
pub use update::*;
pub use user_names::*;
pub use users::*;

use super::Registry;

/// All promises with their names, for a test harness of your own.
///
/// ```
/// use session_expire::{MemoryRegistry, registry::conformance::{PROMISES, block_on}};
/// let (name, promise) = PROMISES[0];
/// println!("{name}");
/// promise(&MemoryRegistry::new(), block_on);
/// ```
pub const PROMISES: &[(&str, Promise)] = crate::__promises!(__promise_list);

/// Opens a registry and checks the promise `name`: what each test of
/// [`conformance_tests!`](crate::registry::conformance_tests) does.
///
/// ```
/// use session_expire::{MemoryRegistry, registry::conformance::{block_on, check}};
/// check("oldest_login_is_evicted", async { MemoryRegistry::new() }, block_on);
/// ```
pub fn check<R: Registry>(name: &str, fresh: impl Future<Output = R> + Send, run: Runner) {
    let Some((_, promise)) = PROMISES.iter().find(|(known, _)| *known == name) else {
        panic!("there is no promise `{name}`");
    };
    let mut opened = None;
    run(Box::pin(async { opened = Some(fresh.await) }));
    match opened {
        Some(registry) => promise(&registry, run),
        None => panic!("the runner returned before the registry was open"),
    }
}

/// Makes one `#[test]` of every promise of [`Registry`](crate::registry::Registry); see
/// [this module](self).
///
/// `fresh` is a future of a registry, made anew for each test. `runner` is a
/// [`Runner`](conformance::Runner), for a registry that needs a runtime. `skip` names promises
/// that the registry does not keep; their tests pass without a check.
///
/// ```
/// use session_expire::MemoryRegistry;
/// session_expire::registry::conformance_tests!(async { MemoryRegistry::new() });
/// # fn main() {}
/// ```
#[doc(inline)]
pub use crate::__conformance_tests as conformance_tests;

#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_tests {
    (runner = $runner:expr, fresh = $fresh:expr, skip = [$($skip:ident),* $(,)?] $(,)?) => {
        $crate::__promises!(__promise_tests, $runner, $fresh, &[$(stringify!($skip)),*]);
    };
    (runner = $runner:expr, fresh = $fresh:expr $(,)?) => {
        $crate::registry::conformance_tests!(runner = $runner, fresh = $fresh, skip = []);
    };
    ($fresh:expr $(,)?) => {
        $crate::registry::conformance_tests!(runner = $crate::registry::conformance::block_on, fresh = $fresh);
    };
}

#[cfg(not(shuttle))]
#[cfg(test)]
mod tests {
    crate::registry::conformance_tests!(async { crate::MemoryRegistry::new() });
}
