//! Registries with one fault each: every conformance test fails on one of them.

mod fault;
mod login;
mod many;
mod registry;
mod reports;
mod session;
mod takeover;

use std::{
    collections::BTreeSet,
    panic::{AssertUnwindSafe, catch_unwind},
};

use session_expire::registry::conformance::{PROMISES, block_on};

pub use self::{fault::Fault, registry::Faulty};

/// Each fault, and the conformance tests that detect it.
#[rustfmt::skip]
const FAULTS: &[(Fault, &[&str])] = &[
    // Records.
    (Fault::ReturnsAnotherDevice, &["committed_login_loads_as_returned"]),
    (Fault::InventsRecords, &["unknown_key_loads_none"]),
    (Fault::CountsEndedAsOpen, &["load_counts_open_sessions_of_the_user"]),
    (Fault::AlwaysCounts, &["load_counts_only_on_request"]),
    (Fault::DropsTheAddress, &["client_round_trips"]),
    (Fault::DropsTheUserPolicy, &["policies_round_trip"]),
    (Fault::DropsTheLimits, &["limits_round_trip"]),
    (Fault::DropsTheLongestTimeouts, &["longest_timeouts_round_trip"]),
    (Fault::StartsIn1970, &["distant_times_round_trip"]),
    (Fault::FailsOnExtremeTimes, &["extreme_times_do_not_break_operations"]),
    (Fault::DropsTheData, &["login_data_round_trips"]),
    (Fault::DropsLargeData, &["data_of_maximum_size_round_trips"]),
    (Fault::DropsTheActor, &["actor_and_adoption_round_trip"]),
    (Fault::NeverRemembers, &["remembered_login_round_trips"]),
    (Fault::SharesTheData, &["each_session_has_its_own_data"]),
    (Fault::TrimsUserNames, &["user_names_are_arbitrary_text"]),
    (Fault::RefusesTheEmptyUser, &["empty_user_name_is_a_user"]),
    (Fault::EndsAllOfAPartition, &["users_with_one_partition_key_stay_separate"]),
    // Logins.
    (Fault::CommitsAgain, &["repeated_commit_changes_nothing"]),
    (Fault::ReopensEnded, &["repeated_commit_does_not_reopen_the_session"]),
    (Fault::ReplacedTakesASlot, &["replaced_session_takes_no_slot"]),
    (Fault::ReplacesNone, &["replaced_session_ends_for_the_given_reason"]),
    (Fault::ReplacesEnded, &["ended_session_is_not_replaced_again"]),
    (Fault::ReplacesAnyUser, &["session_of_another_user_is_not_replaced"]),
    (Fault::RefusalReplaces, &["refused_login_replaces_nothing"]),
    (Fault::RefusalCreatesARecord, &["refused_login_creates_no_record", "login_without_a_slot_is_refused"]),
    (Fault::NeverClosesAdoption, &["closed_adoption_refuses_adopted_logins"]),
    (Fault::ForgetsAdoptedLogins, &["adopted_login_is_returned_after_closing"]),
    // Reservations.
    (Fault::ReservationEvicts, &["reservation_ends_no_session"]),
    (Fault::ReservesWithoutASlot, &["reservation_without_a_slot_is_refused"]),
    (Fault::IgnoresReservations, &["reservation_takes_a_slot_until_its_deadline",
        "reserved_login_is_not_refused", "simultaneous_reservations_reserve_one_slot"]),
    (Fault::ReservesForever, &["reserved_login_is_refused_after_its_deadline"]),
    (Fault::CommitKeepsTheReservation, &["commit_releases_its_reservation"]),
    (Fault::AddsUpReservations, &["repeated_reservation_replaces_the_first"]),
    (Fault::ReservesForAllUsers, &["reservation_of_another_user_takes_no_slot"]),
    (Fault::ReservationReplacesNone, &["reservation_takes_the_slot_that_it_replaces"]),
    (Fault::ReservationCountsExpired, &["expired_session_does_not_block_a_reservation"]),
    (Fault::CancelsNothing, &["cancelled_reservation_is_released", "cancelled_login_ends"]),
    (Fault::CancelEndsAgain, &["cancel_without_an_open_login_changes_nothing"]),
    // The session limit.
    (Fault::EvictsTheNewest, &["oldest_login_is_evicted"]),
    (Fault::IgnoresLastSeen, &["least_recently_used_session_is_evicted",
        "enforced_limit_ends_the_least_recently_used"]),
    (Fault::DropsTheEvictingDevice, &["evicted_session_names_the_device"]),
    (Fault::ReturnsActiveInAnyOrder, &["login_without_a_slot_is_refused"]),
    (Fault::AllowsOneLess, &["logins_up_to_the_limit_are_committed", "enforced_limit_ends_no_session_within_it"]),
    (Fault::CountsAllUsers, &["sessions_of_another_user_take_no_slot"]),
    (Fault::CountsEndedSessions, &["ended_sessions_take_no_slot"]),
    (Fault::CountsExpiredSessions, &["expired_session_does_not_block_a_login",
        "expired_session_is_not_returned_as_active", "session_takes_its_slot_until_it_expires"]),
    (Fault::EvictsExpiredLast, &["expired_session_is_selected_first",
        "younger_expired_session_is_selected_first"]),
    (Fault::EvictsOne, &["lowered_limit_ends_all_surplus_sessions"]),
    (Fault::ZeroAllowsNone, &["off_and_zero_are_no_limit"]),
    (Fault::HasNoMaximum, &["hard_cap_applies_without_a_limit"]),
    (Fault::EvictsTheRequester, &["enforced_limit_keeps_the_requesting_session"]),
    (Fault::EnforcesExpiredAsEvicted, &["enforced_limit_ends_expired_sessions_first"]),
    (Fault::EnforcesForEnded, &["enforced_limit_needs_an_open_session"]),
    (Fault::CountsUncounted, &["uncounted_session_takes_no_slot", "uncounted_login_needs_no_slot",
        "uncounted_session_is_outside_the_limit"]),
    (Fault::NeverEndsUncounted, &["uncounted_session_ends_with_the_others"]),
    (Fault::CountsUncountedReservations, &["uncounted_reservation_takes_no_slot"]),
    (Fault::EvictsUncounted, &["uncounted_sessions_are_limited"]),
    (Fault::CountsChosenUncounted, &["chosen_sessions_make_room_for_an_uncounted_login"]),
    (Fault::HidesExpiredUncounted, &["expired_uncounted_sessions_end_at_the_limit"]),
    // Tickets.
    (Fault::TakeoverTakesASlot, &["takeover_takes_the_slot_of_the_session"]),
    (Fault::TicketsAreReusable, &["ticket_is_valid_once"]),
    (Fault::AcceptsAnyTicket, &["unknown_ticket_is_invalid"]),
    (Fault::TicketsAreForAnyUser, &["ticket_of_another_user_is_invalid"]),
    (Fault::TicketsNeverExpire, &["expired_ticket_is_invalid"]),
    (Fault::RefusalSpendsTheTicket, &["refused_takeover_changes_nothing"]),
    (Fault::ChecksTheTicketFirst, &["repeated_takeover_returns_its_record"]),
    (Fault::EveryEndVoidsTickets, &["takeover_of_an_ended_session_needs_a_slot"]),
    (Fault::TakesOverAnyUser, &["takeover_ends_no_session_of_another_user"]),
    (Fault::KeepsSurplusTickets, &["surplus_ticket_voids_the_first_to_expire"]),
    (Fault::EndsKeepTickets, &["end_of_all_voids_tickets", "end_of_the_others_voids_tickets",
        "end_everyone_voids_tickets", "erase_deletes_tickets"]),
    // Updates.
    (Fault::ActivityMovesBack, &["activity_moves_last_seen_forward_only"]),
    (Fault::EveryUpdateIsActivity, &["passive_update_does_not_move_last_seen"]),
    (Fault::TrustsTheFuture, &["activity_in_the_future_counts_as_now"]),
    (Fault::KeepsTheFuture, &["times_in_the_future_become_now"]),
    (Fault::UpdatesEnded, &["update_of_an_ended_session_stores_nothing"]),
    (Fault::UpdatesByIdOfAnyUser, &["update_of_an_unknown_session_stores_nothing"]),
    (Fault::UpdatesAllSessions, &["update_changes_one_session_only"]),
    (Fault::NeverClearsTheUserPolicy, &["update_sets_and_clears_the_user_policy"]),
    (Fault::DropsTheLastClient, &["activity_stores_the_last_client"]),
    (Fault::KeepsTheSigningKey, &["update_replaces_the_signing_key"]),
    (Fault::NeverRemembers, &["remembered_session_stays_remembered"]),
    (Fault::DropsTheStamp, &["stamp_round_trips"]),
    (Fault::KeepsTheStamp, &["update_replaces_the_stamp"]),
    // Failed re-authentications.
    (Fault::ForgetsFailures, &["failed_confirmation_is_counted",
        "simultaneous_confirmation_attempts_are_counted"]),
    (Fault::FailuresEndNoSession, &["sixth_confirmation_attempt_ends_the_session"]),
    (Fault::FailuresCountForAllSessions, &["failed_confirmation_counts_for_one_session"]),
    (Fault::CountsFailuresOfAnyUser, &["failed_confirmation_needs_an_open_session"]),
    (Fault::RenewalReauthenticates, &["renewal_keeps_confirmation_attempts"]),
    (Fault::ReauthenticationKeepsFailures, &["reauthentication_deletes_confirmation_attempts"]),
    // Session data.
    (Fault::ReplacesAllData, &["updates_of_different_entries_merge"]),
    (Fault::RemovesNothing, &["removed_entries_are_deleted"]),
    (Fault::ConsumesAllMessages, &["consumed_message_is_removed_and_the_others_stay"]),
    (Fault::KeepsTheOldestMessages, &["surplus_messages_remove_the_oldest"]),
    (Fault::StoresActivityOfTooLarge, &["too_large_data_stores_nothing"]),
    (Fault::LimitsEachUpdate, &["merged_data_does_not_exceed_the_limit"]),
    (Fault::ActivityDropsTheData, &["activity_does_not_change_the_data"]),
    (Fault::KeepsTheDataOfEnded, &["ended_session_has_no_data"]),
    // Rotations.
    (Fault::RotationDropsTheData, &["renewed_session_continues_under_the_new_key"]),
    (Fault::ForgetsRotatedKeys, &["rotated_key_loads_as_renewed"]),
    (Fault::ListsRotatedKeys, &["rotated_session_is_counted_and_listed_once"]),
    (Fault::RotationIgnoresItsUpdate, &["rotation_stores_its_update"]),
    (Fault::LostRotationStoresNothing, &["lost_rotation_stores_its_update"]),
    (Fault::RenewalChangesTheId, &["update_after_a_renewal_reaches_the_session"]),
    (Fault::RotatesOnce, &["key_can_be_rotated_repeatedly"]),
    (Fault::RotatesEnded, &["rotation_without_an_open_session_changes_nothing"]),
    (Fault::RotatesWithoutTooLargeData, &["too_large_rotation_does_not_rotate_the_key"]),
    (Fault::ReauthenticatesAsRenewal, &["reauthentication_resets_both_timeouts",
        "reauthenticated_session_has_its_new_id_only"]),
    (Fault::RotatedKeysNameTheOldId, &["old_key_of_reauthenticated_session_names_the_new_id"]),
    (Fault::RotationKeepsAdoption, &["rotation_leaves_the_end_of_adoption_at_the_first_key"]),
    (Fault::RotatesAnyKey, &["lost_reauthentication_resets_nothing",
        "rotation_changes_one_session_only", "simultaneous_rotations_have_one_winner",
        "simultaneous_reauthentications_have_one_winner"]),
    // Ends.
    (Fault::EndsAllForOne, &["end_of_a_session_ends_one"]),
    (Fault::EndsByIdOfAnyUser, &["id_of_another_users_session_ends_nothing"]),
    (Fault::EndsTheKeptSession, &["end_of_the_others_leaves_the_given_session"]),
    (Fault::EndsOthersOfEnded, &["end_of_the_others_needs_an_open_session"]),
    (Fault::KeepsOneOfAll, &["end_of_all_ends_the_sessions_of_the_user"]),
    (Fault::ReturnsEndedAgain, &["only_open_sessions_are_returned_as_ended"]),
    (Fault::LastEndStays, &["first_end_is_not_replaced"]),
    (Fault::DropsTheCause, &["reasons_and_causes_round_trip"]),
    (Fault::FailsOnUnknownSessions, &["end_of_unknown_sessions_ends_nothing"]),
    // Lists.
    (Fault::ListsOldestFirst, &["newest_login_is_listed_first"]),
    (Fault::ListsAllUsers, &["list_of_a_user_contains_no_others"]),
    (Fault::IgnoresTheFilter, &["list_contains_open_or_ended_records"]),
    (Fault::IgnoresTheReason, &["filtered_list_contains_matching_records"]),
    (Fault::PagesOverlap, &["pages_contain_each_record_once"]),
    (Fault::FiltersAfterPaging, &["pages_contain_matching_records_only"]),
    (Fault::PageOfNoneHoldsAll, &["page_of_zero_records_is_empty"]),
    (Fault::ListsOneUserForAll, &["list_of_all_users_contains_each_record_once"]),
    // Whole users.
    (Fault::EraseEnds, &["erase_deletes_all_records_of_the_user"]),
    (Fault::EraseKeepsRotatedKeys, &["erase_deletes_rotated_keys"]),
    (Fault::ExportsOpenOnly, &["export_returns_records_and_data"]),
    (Fault::EndsOneUserForAll, &["end_everyone_ends_the_sessions_of_all_users"]),
    (Fault::EndOfEveryoneKeepsThePending, &["end_everyone_voids_reservations_and_adoption",
        "end_everyone_voids_logins_in_progress"]),
    (Fault::EndOfEveryoneIsReplaced, &["end_everyone_is_final"]),
    (Fault::EndOfEveryoneKeepsTheSlots, &["end_everyone_frees_all_slots"]),
    (Fault::LosesExpiredSessions, &["unused_session_moves_to_the_history"]),
    // Simultaneous operations.
    (Fault::EnforcesTheLimitInTwoSteps, &["simultaneous_logins_leave_one_session",
        "simultaneous_logins_commit_one"]),
    (Fault::ReservesInTwoSteps, &["simultaneous_reservations_reserve_one_slot"]),
    (Fault::CommitsInTwoSteps, &["simultaneous_commits_of_a_login_create_one"]),
    (Fault::TakesOverInTwoSteps, &["simultaneous_takeovers_spend_a_ticket_once"]),
    (Fault::TakeoverNeedsNoSlot, &["simultaneous_takeovers_of_a_session_keep_the_limit"]),
    (Fault::CancelForgets, &["cancelled_login_stays_ended_in_a_race"]),
    (Fault::EndsInTwoSteps, &["simultaneous_ends_report_one"]),
    (Fault::EndsOthersInTwoSteps, &["simultaneous_ends_of_the_others_leave_one"]),
    (Fault::EndsAllInTwoSteps, &["end_of_all_reaches_a_reauthenticated_session"]),
    (Fault::UpdateReopens, &["activity_does_not_reopen_an_ended_session"]),
    (Fault::WritesAllData, &["simultaneous_updates_are_all_stored"]),
    (Fault::ReturnsEndedTwice, &["mixed_operations_leave_a_consistent_state"]),
    // Reports.
    (Fault::HidesLogins, &["login_is_reported", "check_returns_true_after_all_reports"]),
    (Fault::HidesEnds, &["ends_are_reported"]),
    (Fault::HidesEvictions, &["evictions_are_reported"]),
    (Fault::SwapsReports, &["reports_are_in_order"]),
    (Fault::ReportsTheNewId, &["rotation_is_reported_under_the_old_id"]),
    (Fault::HidesPolicyChanges, &["policy_change_is_reported"]),
    (Fault::ReportsActivity, &["activity_is_not_reported"]),
    (Fault::ReportsTooEarly, &["load_after_a_report_sees_the_change"]),
    (Fault::IgnoresTheDrop, &["dropped_subscription_gets_no_reports"]),
    (Fault::HidesTheEndOfEveryone, &["end_everyone_is_reported"]),
    (Fault::HidesErasure, &["erase_is_reported"]),
    (Fault::LosesReports, &["simultaneous_ends_are_all_reported"]),
];

fn breaks(fault: Fault, promise: &str) -> bool {
    let Some((_, check)) = PROMISES.iter().find(|(name, _)| *name == promise) else {
        panic!("there is no conformance test `{promise}`");
    };
    let registry = Faulty::new(fault);
    catch_unwind(AssertUnwindSafe(|| check(&registry, block_on))).is_err()
}

/// On a busy machine the threads of an attempt may run one after the other, which hides a race.
fn breaks_in_some_attempt(fault: Fault, promise: &str) -> bool {
    (0..10).any(|_| breaks(fault, promise))
}

#[test]
fn every_fault_is_detected_by_its_tests() {
    let missed: Vec<_> = FAULTS
        .iter()
        .flat_map(|(fault, promises)| promises.iter().map(move |promise| (*fault, *promise)))
        .filter(|(fault, promise)| !breaks_in_some_attempt(*fault, promise))
        .collect();
    assert!(missed.is_empty(), "faults that are not detected: {missed:#?}");
}

#[test]
fn every_conformance_test_detects_a_fault() {
    let broken: BTreeSet<_> = FAULTS.iter().flat_map(|(_, promises)| *promises).collect();
    let unbroken: Vec<_> = PROMISES.iter().filter(|(name, _)| !broken.contains(name)).collect();
    let names: Vec<_> = unbroken.iter().map(|(name, _)| name).collect();
    assert!(names.is_empty(), "tests that detect no fault: {names:#?}");
}

/// A registry that fails most tests shows little about any of them.
#[test]
fn every_fault_passes_most_conformance_tests() {
    // With faults that list the user's sessions, its 1,000 logins take seconds.
    let fast = PROMISES.iter().filter(|(name, _)| *name != "hard_cap_applies_without_a_limit");
    let sample: Vec<_> = fast.step_by(6).map(|(name, _)| *name).collect();
    for (fault, _) in FAULTS {
        let broken = sample.iter().filter(|name| breaks(*fault, name)).count();
        assert!(broken * 2 < sample.len(), "{fault:?} breaks {broken} of {}", sample.len());
    }
}
