//! The promises of [`Registry`](crate::Registry) as tests, for a registry of your own.
//!
//! Each promise is a function named like a sentence; it panics where the registry breaks it, and says
//! how. [`conformance_tests!`](crate::conformance_tests) makes one `#[test]` of each:
//!
//! ```
//! # use session_expire::MemoryRegistry;
//! session_expire::conformance_tests!(async { MemoryRegistry::new() });
//! # fn main() {}
//! ```
//!
//! A registry that needs a runtime brings a [`Runner`] along. It is called from many threads at once,
//! and all that a registry leaves running must outlast each call: so, for Tokio, one runtime with
//! threads of its own for all tests.
//!
//! ```
//! # use session_expire::MemoryRegistry;
//! # struct Runtime;
//! # impl Runtime {
//! #     fn block_on(&self, work: session_expire::conformance::Work<'_>) {
//! #         session_expire::conformance::block_on(work);
//! #     }
//! # }
//! # static RUNTIME: Runtime = Runtime;
//! # async fn connect() -> MemoryRegistry { MemoryRegistry::new() }
//! // static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());
//! session_expire::conformance_tests!(runner = |work| RUNTIME.block_on(work), fresh = async {
//!     connect().await
//! });
//! # fn main() {}
//! ```
//!
//! The registries may share one storage, which need not be empty: every promise makes up its users. All
//! times lie around the machine's now, but for the promises about wrong ones. A registry with a limited
//! log must keep six ended logins of a user, or more, and is held to
//! [`the_log_keeps_the_last_logins`] besides.

// A test has no better way to fail, and an index out of reach is a failure as well.
#![allow(clippy::panic, clippy::missing_panics_doc)]

mod activity;
mod ends;
mod limits;
mod lists;
mod races;
mod records;
mod rooms;
mod stage;

pub use activity::*;
pub use ends::*;
pub use limits::*;
pub use lists::*;
pub use races::*;
pub use records::*;
pub use rooms::*;
pub use stage::{Promise, Runner, Work, block_on};

use super::Registry;

/// All promises with their names, for a harness of your own.
///
/// ```
/// use session_expire::{MemoryRegistry, conformance::{PROMISES, block_on}};
/// let (name, promise) = PROMISES[0];
/// println!("{name}");
/// promise(&MemoryRegistry::new(), block_on);
/// ```
pub const PROMISES: &[(&str, Promise)] = crate::__promises!(__promise_list);

/// Opens a registry and holds it to the promise of this name: what each test of
/// [`conformance_tests!`](crate::conformance_tests) does.
///
/// ```
/// use session_expire::{MemoryRegistry, conformance::{block_on, hold}};
/// hold("the_oldest_login_yields", async { MemoryRegistry::new() }, block_on);
/// ```
pub fn hold<R: Registry>(name: &str, fresh: impl Future<Output = R> + Send, run: Runner) {
    let Some((_, promise)) = PROMISES.iter().find(|(known, _)| *known == name) else {
        panic!("there is no promise called `{name}`");
    };
    let mut opened = None;
    run(Box::pin(async { opened = Some(fresh.await) }));
    match opened {
        Some(registry) => promise(&registry, run),
        None => panic!("the runner came back before the registry was there"),
    }
}

/// Makes one `#[test]` of every promise of [`Registry`](crate::Registry): see
/// [`conformance`](crate::conformance).
///
/// `fresh` is a future of a registry, made anew for each test; `runner` is a
/// [`Runner`](crate::conformance::Runner), for a registry that needs a runtime.
///
/// ```
/// use session_expire::MemoryRegistry;
/// session_expire::conformance_tests!(async { MemoryRegistry::new() });
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! conformance_tests {
    (runner = $runner:expr, fresh = $fresh:expr $(,)?) => {
        $crate::__promises!(__promise_tests, $runner, $fresh);
    };
    ($fresh:expr $(,)?) => {
        $crate::conformance_tests!(runner = $crate::conformance::block_on, fresh = $fresh);
    };
}

/// The one list of promises, handed to the macro `$with`: those that are futures, then those that need
/// threads.
#[doc(hidden)]
#[macro_export]
macro_rules! __promises {
    ($with:ident $(, $more:expr)*) => {
        $crate::$with! {
            [$($more),*]
            [
                a_login_is_loaded_as_it_was_answered
                an_unknown_key_is_none
                a_load_counts_the_open_ones_of_this_user_only
                owners_may_be_called_anything
                users_who_share_a_tag_are_kept_apart
                an_owner_may_be_called_nothing
                the_client_comes_back_as_it_went_in
                the_patch_comes_back_as_it_went_in
                the_limits_come_back_as_they_went_in
                times_far_away_come_back_as_they_went_in
                no_time_breaks_the_registry
                activity_only_moves_forward
                activity_never_reaches_into_the_future
                a_time_in_the_future_is_pulled_back
                an_ended_record_stays_as_it_ended
                activity_of_an_unknown_key_is_nothing
                activity_is_noted_for_one_session_only
                a_change_sets_and_clears_the_patch
                a_key_ends_one_record
                an_id_ends_one_record
                an_id_of_another_user_ends_nothing
                the_others_end_and_the_asking_one_stays
                all_end_and_only_this_users
                only_open_ones_are_ended_and_answered
                the_first_reason_stays
                every_reason_comes_back
                ending_what_is_not_there_is_nothing
                the_oldest_login_yields
                the_least_recently_used_yields
                whoever_yields_learns_the_device
                a_login_without_a_place_is_refused_and_nothing_changes
                a_refused_login_replaces_nothing
                there_is_room_up_to_the_limit
                another_users_sessions_take_no_place
                ended_sessions_take_no_place
                whoever_ran_out_refuses_nobody
                whoever_ran_out_is_no_holder
                whoever_ran_out_yields_first
                a_younger_one_that_ran_out_yields_before_an_older_one
                a_session_holds_its_place_until_exactly_its_limit
                a_replaced_login_holds_no_place
                a_replaced_login_ends_for_the_given_reason
                an_ended_login_is_not_replaced_again
                another_users_login_is_not_replaced
                a_lowered_limit_ends_all_that_are_too_many
                off_and_zero_mean_no_limit
                without_a_limit_a_thousand_are_the_limit
                whoever_makes_room_stays
                room_is_made_by_the_least_recently_used
                room_that_is_there_is_not_made
                room_is_made_first_by_whoever_ran_out
                no_room_is_made_for_whoever_has_ended
                the_newest_login_is_listed_first
                a_list_of_one_user_holds_no_other
                a_list_holds_open_ones_or_past_ones_or_both
                pages_cover_a_list_exactly_once
                pages_keep_to_the_filter
                a_page_of_none_is_empty
                all_users_are_listed_together
            ]
            [
                of_simultaneous_logins_one_is_left
                of_simultaneous_logins_one_is_admitted
                of_simultaneous_ends_one_has_done_it
                activity_cannot_outrun_the_end
                a_storm_leaves_order_behind
            ]
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __promise_list {
    ([] [$($future:ident)*] [$($race:ident)*]) => {
        &[
            $((stringify!($future), |registry, run| run(Box::pin($future(registry)))),)*
            $((stringify!($race), $race),)*
        ]
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __promise_tests {
    ([$runner:expr, $fresh:expr] [$($future:ident)*] [$($race:ident)*]) => {
        $crate::__promise_tests! { @each $runner, $fresh, $($future)* $($race)* }
    };
    (@each $runner:expr, $fresh:expr, $($promise:ident)*) => {
        $(
            #[test]
            fn $promise() {
                $crate::conformance::hold(stringify!($promise), $fresh, $runner);
            }
        )*
    };
}
