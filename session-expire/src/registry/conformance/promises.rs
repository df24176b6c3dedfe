//! List of promises, and the macros that make a table and tests of it.
//!
//! Only the promises in this list are tested.

/// Passes the names of all promises to the macro `$with`: first the promises that are futures, then
/// the promises that need threads.
#[doc(hidden)]
#[macro_export]
macro_rules! __promises {
    ($with:ident $(, $more:expr)*) => {
        $crate::$with! {
            [$($more),*]
            [
                committed_login_loads_as_returned
                unknown_key_loads_none
                load_counts_open_sessions_of_the_user
                load_counts_only_on_request
                user_names_are_arbitrary_text
                empty_user_name_is_a_user
                users_with_one_partition_key_stay_separate
                client_round_trips
                policies_round_trip
                limits_round_trip
                longest_timeouts_round_trip
                distant_times_round_trip
                extreme_times_do_not_break_operations
                login_data_round_trips
                data_of_maximum_size_round_trips
                actor_and_adoption_round_trip
                remembered_login_round_trips
                each_session_has_its_own_data
                repeated_commit_changes_nothing
                repeated_commit_does_not_reopen_the_session
                replaced_session_takes_no_slot
                replaced_session_ends_for_the_given_reason
                ended_session_is_not_replaced_again
                session_of_another_user_is_not_replaced
                refused_login_replaces_nothing
                closed_adoption_refuses_adopted_logins
                adopted_login_is_returned_after_closing
                refused_login_creates_no_record
                reservation_ends_no_session
                reservation_without_a_slot_is_refused
                reservation_takes_a_slot_until_its_deadline
                reserved_login_is_not_refused
                reserved_login_is_refused_after_its_deadline
                commit_releases_its_reservation
                repeated_reservation_replaces_the_first
                reservation_of_another_user_takes_no_slot
                reservation_takes_the_slot_that_it_replaces
                expired_session_does_not_block_a_reservation
                cancelled_reservation_is_released
                cancelled_login_ends
                cancel_without_an_open_login_changes_nothing
                oldest_login_is_evicted
                least_recently_used_session_is_evicted
                evicted_session_names_the_device
                login_without_a_slot_is_refused
                logins_up_to_the_limit_are_committed
                sessions_of_another_user_take_no_slot
                ended_sessions_take_no_slot
                expired_session_does_not_block_a_login
                expired_session_is_not_returned_as_active
                expired_session_is_selected_first
                younger_expired_session_is_selected_first
                session_takes_its_slot_until_it_expires
                lowered_limit_ends_all_surplus_sessions
                off_and_zero_are_no_limit
                hard_cap_applies_without_a_limit
                enforced_limit_keeps_the_requesting_session
                enforced_limit_ends_the_least_recently_used
                enforced_limit_ends_no_session_within_it
                enforced_limit_ends_expired_sessions_first
                enforced_limit_needs_an_open_session
                uncounted_session_takes_no_slot
                uncounted_login_needs_no_slot
                uncounted_session_is_outside_the_limit
                uncounted_session_ends_with_the_others
                uncounted_reservation_takes_no_slot
                uncounted_sessions_are_limited
                chosen_sessions_make_room_for_an_uncounted_login
                expired_uncounted_sessions_end_at_the_limit
                takeover_takes_the_slot_of_the_session
                ticket_is_valid_once
                unknown_ticket_is_invalid
                ticket_of_another_user_is_invalid
                expired_ticket_is_invalid
                refused_takeover_changes_nothing
                repeated_takeover_returns_its_record
                takeover_of_an_ended_session_needs_a_slot
                takeover_ends_no_session_of_another_user
                surplus_ticket_voids_the_first_to_expire
                end_of_all_voids_tickets
                end_of_the_others_voids_tickets
                end_everyone_voids_tickets
                erase_deletes_tickets
                activity_moves_last_seen_forward_only
                passive_update_does_not_move_last_seen
                activity_in_the_future_counts_as_now
                times_in_the_future_become_now
                update_of_an_ended_session_stores_nothing
                update_of_an_unknown_session_stores_nothing
                update_changes_one_session_only
                update_sets_and_clears_the_user_policy
                activity_stores_the_last_client
                update_replaces_the_signing_key
                remembered_session_stays_remembered
                stamp_round_trips
                update_replaces_the_stamp
                updates_of_different_entries_merge
                removed_entries_are_deleted
                consumed_message_is_removed_and_the_others_stay
                surplus_messages_remove_the_oldest
                too_large_data_stores_nothing
                merged_data_does_not_exceed_the_limit
                activity_does_not_change_the_data
                ended_session_has_no_data
                renewed_session_continues_under_the_new_key
                rotated_key_loads_as_renewed
                rotated_session_is_counted_and_listed_once
                rotation_stores_its_update
                lost_rotation_stores_its_update
                update_after_a_renewal_reaches_the_session
                key_can_be_rotated_repeatedly
                rotation_without_an_open_session_changes_nothing
                too_large_rotation_does_not_rotate_the_key
                reauthentication_resets_both_timeouts
                reauthenticated_session_has_its_new_id_only
                old_key_of_reauthenticated_session_names_the_new_id
                lost_reauthentication_resets_nothing
                rotation_changes_one_session_only
                rotation_leaves_the_end_of_adoption_at_the_first_key
                renewal_keeps_confirmation_attempts
                reauthentication_deletes_confirmation_attempts
                failed_confirmation_is_counted
                sixth_confirmation_attempt_ends_the_session
                failed_confirmation_counts_for_one_session
                failed_confirmation_needs_an_open_session
                end_of_a_session_ends_one
                id_of_another_users_session_ends_nothing
                end_of_the_others_leaves_the_given_session
                end_of_the_others_needs_an_open_session
                end_of_all_ends_the_sessions_of_the_user
                only_open_sessions_are_returned_as_ended
                first_end_is_not_replaced
                reasons_and_causes_round_trip
                end_of_unknown_sessions_ends_nothing
                newest_login_is_listed_first
                list_of_a_user_contains_no_others
                list_contains_open_or_ended_records
                pages_contain_each_record_once
                pages_contain_matching_records_only
                page_of_zero_records_is_empty
                filtered_list_contains_matching_records
                list_of_all_users_contains_each_record_once
                erase_deletes_all_records_of_the_user
                erase_deletes_rotated_keys
                export_returns_records_and_data
                end_everyone_ends_the_sessions_of_all_users
                end_everyone_is_final
                end_everyone_frees_all_slots
                end_everyone_voids_reservations_and_adoption
                end_everyone_voids_logins_in_progress
                unused_session_moves_to_the_history
            ]
            [
                simultaneous_logins_leave_one_session
                simultaneous_logins_commit_one
                simultaneous_reservations_reserve_one_slot
                simultaneous_commits_of_a_login_create_one
                cancelled_login_stays_ended_in_a_race
                simultaneous_ends_report_one
                simultaneous_ends_of_the_others_leave_one
                activity_does_not_reopen_an_ended_session
                simultaneous_updates_are_all_stored
                simultaneous_rotations_have_one_winner
                simultaneous_reauthentications_have_one_winner
                end_of_all_reaches_a_reauthenticated_session
                simultaneous_takeovers_spend_a_ticket_once
                simultaneous_takeovers_of_a_session_keep_the_limit
                simultaneous_confirmation_attempts_are_counted
                mixed_operations_leave_a_consistent_state
            ]
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __promise_list {
    ([] [$($future:ident)*] [$($threads:ident)*]) => {
        &[
            $((stringify!($future), |registry, run| run(Box::pin($future(registry)))),)*
            $((stringify!($threads), $threads),)*
        ]
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __promise_tests {
    ([$runner:expr, $fresh:expr, $skip:expr] [$($future:ident)*] [$($threads:ident)*]) => {
        $crate::__promise_tests! { @each $runner, $fresh, $skip, $($future)* $($threads)* }
    };
    (@each $runner:expr, $fresh:expr, $skip:expr, $($promise:ident)*) => {
        $(
            #[test]
            fn $promise() {
                let skipped: &[&str] = $skip;
                if !skipped.contains(&stringify!($promise)) {
                    $crate::registry::conformance::check(stringify!($promise), $fresh, $runner);
                }
            }
        )*
    };
}
