//! Strong reads: fresh whatever happens, and answered when nothing else happens.

use niagara_sequencer::GroupId;
use proptest::prelude::*;

use crate::cluster::{Cluster, Habits, RETRY_TICKS, SERVERS};
use crate::histories::histories;

/// Bound on the ticks of a read in a cluster at rest. The round that it waits for may have been lost, and is
/// retried after `RETRY_TICKS`. A tick later its answer arrives, but may be beyond the frontier. Another tick
/// shows that the merge has halted, and one more brings the answer of the group that it awaits; a last tick
/// is to spare.
const TICKS_TO_ANSWER: u32 = RETRY_TICKS + 4;

/// Three groups that have all filled place 1, and nothing else: the paper's idle cluster.
fn all_logs_at_length_one(habits: Habits) -> Cluster {
    let mut cluster = Cluster::new(3, habits);
    for r in 1..=3 {
        cluster.command(GroupId::new(r));
    }
    assert!(cluster.settle(1).is_some(), "nobody reads yet");
    assert!(cluster.all_applied());
    cluster
}

proptest! {
    /// Invariants `idle_read_is_answered` and `read_is_fresh` (the model asserts the latter wherever it
    /// answers): after any history, with any messages in flight, a read through each server is answered soon,
    /// and the committed commands are applied everywhere.
    #[test]
    fn an_idle_read_is_answered((groups, history) in histories(), skip_ahead: bool) {
        let mut cluster = Cluster::new(groups, Habits { skip_ahead, ..Habits::GOOD });
        for step in &history {
            cluster.take(step);
        }
        for server in 0..SERVERS {
            cluster.read(server);
        }
        prop_assert!(cluster.settle(TICKS_TO_ANSWER).is_some(), "unanswered: {cluster:#?}");
        cluster.check_global_prefix();
        for server in 0..SERVERS {
            cluster.read(server);
        }
        let again = cluster.settle(TICKS_TO_ANSWER);
        prop_assert!(again.is_some_and(|ticks| ticks <= 1), "at rest, a question and its answer suffice: {again:?}");
        prop_assert!(cluster.all_applied());
    }
}

#[test]
fn planted_the_papers_rule_asks_a_group_that_is_not_awaited_and_never_ends() {
    let without = Habits { skip_ahead: false, ..Habits::GOOD };
    let mut cluster = all_logs_at_length_one(without);
    cluster.read(0);
    assert!(cluster.settle(TICKS_TO_ANSWER).is_some(), "the awaited group, 1, knows that nothing is missing");

    for r in [2, 3] {
        let mut cluster = all_logs_at_length_one(Habits { reads_ask: Some(GroupId::new(r)), ..without });
        cluster.read(0);
        assert_eq!(
            cluster.settle(10_000),
            None,
            "group {r}'s next slot waits for group 1's, which nobody fills"
        );
    }
}

#[test]
fn planted_a_group_that_has_skipped_ahead_cannot_be_asked_either() {
    let mut cluster = all_logs_at_length_one(Habits::GOOD);
    cluster.read(0);
    assert!(cluster.settle(TICKS_TO_ANSWER).is_some(), "group 3 is the anchor, and awaited");

    for r in [1, 2] {
        let mut cluster = all_logs_at_length_one(Habits { reads_ask: Some(GroupId::new(r)), ..Habits::GOOD });
        cluster.read(0);
        assert_eq!(
            cluster.settle(10_000),
            None,
            "group {r} has skipped 1000 rounds ahead, the anchor never follows"
        );
    }
}

#[test]
#[should_panic(expected = "read_is_fresh")]
fn planted_an_answer_one_place_too_low_is_noticed() {
    let mut cluster = all_logs_at_length_one(Habits { stale_answers: 1, ..Habits::GOOD });
    cluster.read(0);
    cluster.settle(TICKS_TO_ANSWER);
}

/// Padding needs the level, and the leader of group 1 (server 0) does not hear of group 2's commands. Its
/// merge is not stuck on a slot of its own that it could fill; another server's merge is, and asks.
#[test]
fn a_leader_behind_a_broken_link_is_asked_to_pad() {
    for (pad_requests, applied) in [(true, 1), (false, 0)] {
        let link = (GroupId::new(2), 0);
        let mut cluster = Cluster::new(2, Habits { pad_requests, broken_link: Some(link), ..Habits::GOOD });
        cluster.command(GroupId::new(2));
        cluster.rest(10);
        assert_eq!(cluster.applied_commands(2), applied, "pad requests: {pad_requests}");
    }
}
