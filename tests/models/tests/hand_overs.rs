//! The hand-overs between threads hold, and a bug in each would be found.

use niagara_models::check::Weakness::{NoFences, NoTotalOrder};
use niagara_models::check::{finds, holds};
use niagara_models::models::{
    bell, bounds, execution, feed, gate, inbox, lane, lease, mailbox, sleep, ticket, waits,
};
use niagara_models::planted::Bug;

#[test]
fn of_a_sleeper_and_a_giver_one_sees_the_other() {
    holds(sleep::at_least_one_side_sees_the_other);
    holds(sleep::one_giver_wakes);
    finds(NoFences, sleep::at_least_one_side_sees_the_other);
}

#[test]
#[should_panic(expected = "see above what went wrong")]
fn a_look_before_the_announcement_misses_work() {
    holds(sleep::a_look_before_the_announcement);
}

#[test]
fn a_bell_is_heard() {
    holds(bell::all_work_is_heard_of);
    finds(NoFences, bell::all_work_is_heard_of);
}

#[test]
fn all_mail_is_read() {
    holds(mailbox::all_mail_is_read);
    finds(NoFences, mailbox::all_mail_is_read);
    finds(Bug::MailSaidBeforeSent, mailbox::all_mail_is_read);
}

#[test]
fn a_port_hears_of_all_completions() {
    holds(inbox::all_completions_come_in_order);
    finds(NoFences, inbox::all_completions_come_in_order);
    finds(Bug::InboxEmptiedBeforeSaid, inbox::all_completions_come_in_order);
    finds(Bug::InboxLookedAtTooEarly, inbox::all_completions_come_in_order);
}

#[test]
fn a_port_hears_of_two_threads() {
    holds(inbox::completions_of_two_threads_come);
}

#[test]
fn a_ticket_ends_its_callers_waiting() {
    holds(ticket::a_blocked_caller_hears);
    holds(ticket::a_future_is_woken);
    finds(Bug::WakerLeftUnlocked, ticket::a_future_is_woken);
    holds(ticket::tickets_of_a_block_end_one_by_one);
}

#[test]
fn who_waits_for_room_hears_of_it() {
    holds(ticket::a_caller_hears_of_room);
    finds(Bug::RoomAwaitedUnlocked, ticket::a_caller_hears_of_room);
}

#[test]
fn a_read_hears_when_execution_comes_to_it() {
    holds(gate::a_read_hears_of_its_position);
    finds(Bug::WishAfterLook, gate::a_read_hears_of_its_position);
    finds(NoTotalOrder, gate::a_read_hears_of_its_position);
}

#[test]
fn a_strong_read_hears_when_execution_comes_to_its_barrier() {
    holds(gate::a_strong_read_hears_of_its_barrier);
    finds(Bug::WishAfterLook, gate::a_strong_read_hears_of_its_barrier);
}

#[test]
fn who_reads_by_a_lease_sees_what_others_were_told() {
    holds(lease::a_read_by_a_lease_sees_what_others_were_told);
    finds(Bug::LeaseBeforePlace, lease::a_read_by_a_lease_sees_what_others_were_told);
    finds(Bug::PlaceBeforeLease, lease::a_read_by_a_lease_sees_what_others_were_told);
}

#[test]
fn a_lanes_numbers_come_in_order() {
    holds(lane::numbers_come_in_order);
    finds(Bug::NumberedBeforePushed, lane::numbers_come_in_order);
    finds(Bug::CountedAfterwards, lane::numbers_come_in_order);
}

#[test]
fn a_closing_lane_leaves_nobody_waiting() {
    holds(lane::a_closing_lane_leaves_nobody_waiting);
    finds(Bug::ClosedAfterEnding, lane::a_closing_lane_leaves_nobody_waiting);
}

#[test]
fn commands_wake_their_group() {
    holds(lane::commands_wake_the_group);
    finds(NoFences, lane::commands_wake_the_group);
}

#[test]
fn a_full_merge_goes_on() {
    holds(bounds::a_full_merge_goes_on);
    finds(Bug::FullNotSaid, bounds::a_full_merge_goes_on);
}

#[test]
fn who_hears_of_an_outcome_sees_it() {
    holds(execution::an_outcome_comes_after_its_effect);
    finds(Bug::ToldBeforeApplied, execution::an_outcome_comes_after_its_effect);
}

#[test]
fn who_reads_sees_what_is_applied() {
    holds(execution::a_read_sees_what_is_applied);
    finds(Bug::AppliedBeforeExecuted, execution::a_read_sees_what_is_applied);
}

#[test]
fn a_leader_hears_of_a_level_for_which_it_has_to_pad() {
    holds(waits::a_leader_hears_of_each_level);
    finds(NoFences, waits::a_leader_hears_of_each_level);
    finds(NoTotalOrder, waits::a_leader_hears_of_each_level);
    finds(Bug::WokenBeforeRaised, waits::a_leader_hears_of_each_level);
}

#[test]
fn commands_that_wait_hear_of_the_merge() {
    holds(waits::held_commands_hear_of_the_merge);
    holds(waits::held_commands_hear_of_any_progress);
    finds(NoFences, waits::held_commands_hear_of_the_merge);
    finds(NoTotalOrder, waits::held_commands_hear_of_the_merge);
    finds(Bug::MergedAfterLook, waits::held_commands_hear_of_the_merge);
    finds(Bug::MergedAfterLook, waits::held_commands_hear_of_any_progress);
}

#[test]
fn commands_that_wait_hear_of_execution() {
    holds(execution::held_commands_hear_of_execution);
    finds(NoFences, execution::held_commands_hear_of_execution);
    finds(Bug::WokenBeforeExecuted, execution::held_commands_hear_of_execution);
}

#[test]
fn a_subscriber_misses_nothing_from_where_it_begins() {
    holds(feed::a_subscriber_misses_nothing);
    finds(NoTotalOrder, feed::a_subscriber_misses_nothing);
}
