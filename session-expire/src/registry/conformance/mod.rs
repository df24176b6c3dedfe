//! Conformance tests for implementations of [`Registry`].
//!
//! Each promise of the trait is a function, which panics if the registry breaks the promise.
//! [`conformance_tests!`](crate::registry::conformance_tests) generates a `#[test]` for each
//! promise:
//!
//! ```
//! # use session_expire::MemoryRegistry;
//! session_expire::registry::conformance_tests!(async { MemoryRegistry::new() });
//! # fn main() {}
//! ```
//!
//! A registry that needs a runtime passes a [`Runner`], which is called from many threads at the
//! same time. Tasks that the registry spawns must continue after a call. For Tokio, use one
//! multi-thread runtime for all tests.
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
//! Every registry needs storage of its own: another file, database or key prefix. The storage need
//! not be empty. The promises use times near the current time, except for those about wrong clocks.
//! A history limit must be at least seven sessions per user; test it with
//! [`history_keeps_the_last_sessions`].
//!
//! A registry without reports, whose [`check`](super::Subscription::check) returns `false`, skips
//! the promises about reports:
//!
//! ```
//! # use session_expire::MemoryRegistry;
//! session_expire::registry::conformance_tests!(
//!     runner = session_expire::registry::conformance::block_on,
//!     fresh = async { MemoryRegistry::new() },
//!     skip = [
//!         login_is_reported,
//!         ends_are_reported,
//!         evictions_are_reported,
//!         reports_are_in_order,
//!         rotation_is_reported_under_the_old_id,
//!         policy_change_is_reported,
//!         activity_is_not_reported,
//!         load_after_a_report_sees_the_change,
//!         dropped_subscription_gets_no_reports,
//!         end_everyone_is_reported,
//!         erase_is_reported,
//!         check_returns_true_after_all_reports,
//!         simultaneous_ends_are_all_reported,
//!     ],
//! );
//! # fn main() {}
//! ```

// A promise fails with a panic, such as an index out of bounds.
#![allow(clippy::panic, clippy::missing_panics_doc)]

mod change_reports;
mod changes;
mod commit;
mod concurrent_changes;
mod concurrent_logins;
mod concurrent_takeovers;
mod confirmations;
mod data;
mod end;
mod enforce_limit;
mod fixtures;
mod list;
mod old_keys;
mod operations;
mod promises;
mod records;
mod reserve;
mod rotate;
mod runner;
mod session_limit;
mod tickets;
mod uncounted;
mod update;
mod user_names;
mod users;

use changes::*;
use commit::*;
use concurrent_changes::*;
use concurrent_logins::*;
use concurrent_takeovers::*;
use confirmations::*;
use data::*;
use end::*;
use enforce_limit::*;
pub use list::history_keeps_the_last_sessions;
use list::*;
use old_keys::*;
use records::*;
use reserve::*;
use rotate::*;
pub use runner::{Promise, Runner, Work, block_on};
use session_limit::*;
use tickets::*;
use uncounted::*;
use update::*;
use user_names::*;
use users::*;

use super::Registry;

/// All promises with their names, for another test harness.
///
/// ```
/// use session_expire::{MemoryRegistry, registry::conformance::{PROMISES, block_on}};
/// let (name, promise) = PROMISES[0];
/// println!("{name}");
/// promise(&MemoryRegistry::new(), block_on);
/// ```
pub const PROMISES: &[(&str, Promise)] = crate::__promises!(__promise_list);

/// Opens a registry and checks the promise `name`, as each test of
/// [`conformance_tests!`](crate::registry::conformance_tests) does.
///
/// # Panics
///
/// Panics if the registry breaks the promise, or if there is no promise with this name.
///
/// ```
/// use session_expire::{MemoryRegistry, registry::conformance::{block_on, check}};
/// check("oldest_login_is_evicted", async { MemoryRegistry::new() }, block_on);
/// ```
pub fn check<R: Registry>(name: &str, fresh: impl Future<Output = R> + Send, run: Runner) {
    let Some((_, promise)) = PROMISES.iter().find(|(known, _)| *known == name) else {
        panic!("no promise `{name}`");
    };
    let mut opened = None;
    run(Box::pin(async { opened = Some(fresh.await) }));
    match opened {
        Some(registry) => promise(&registry, run),
        None => panic!("the runner returned before the registry was open"),
    }
}

/// Generates a `#[test]` for every promise of [`Registry`]; see [this module](self).
///
/// - `fresh`: a future that returns a new registry; it is evaluated for each test.
/// - `runner`: a [`Runner`], for a registry that needs a runtime.
/// - `skip`: names of promises to skip. Their tests pass without a check.
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
        $crate::registry::conformance_tests!(
            runner = $crate::registry::conformance::block_on,
            fresh = $fresh
        );
    };
}

#[cfg(not(shuttle))]
#[cfg(test)]
mod tests {
    crate::registry::conformance_tests!(async { crate::MemoryRegistry::new() });
}
