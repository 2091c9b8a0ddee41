//! Which answer serves which read, case by case.

use super::*;

const RETRY_TICKS: u32 = 3;

fn group(r: u16) -> GroupId {
    GroupId::new(r)
}

fn position(g: u64) -> GlobalPosition {
    GlobalPosition::new(g)
}

fn barriers() -> ReadBarriers<char> {
    ReadBarriers::new(Layout::new(3), RETRY_TICKS)
}

fn released(reads: &mut ReadBarriers<char>, applied: u64) -> String {
    let mut done = Vec::new();
    reads.release(position(applied), &mut done);
    done.into_iter().collect()
}

#[test]
fn one_round_serves_all_reads_queued_before_it_and_none_queued_after() {
    let mut reads = barriers();
    assert_eq!(reads.begin(group(1)), None, "nothing to read");
    reads.queue('a');
    reads.queue('b');
    assert_eq!(reads.begin(group(1)), Some(Round { id: 1, group: group(1) }));
    reads.queue('c');
    assert_eq!(reads.begin(group(1)), None, "c waits for the round in flight to end");
    reads.answered(1, 0);
    assert_eq!(reads.next_barrier(), Some(position(1)));
    assert_eq!(released(&mut reads, 0), "ab", "an empty global log is read at once");
    assert_eq!(reads.begin(group(2)), Some(Round { id: 2, group: group(2) }));
    assert_eq!(reads.next_barrier(), None);
    reads.answered(2, 1);
    assert_eq!(released(&mut reads, 3), "");
    assert_eq!(released(&mut reads, 4), "c");
    assert!(reads.is_empty());
}

#[test]
fn a_new_round_begins_while_earlier_reads_wait_for_their_barrier() {
    let mut reads = barriers();
    reads.queue('a');
    reads.begin(group(1));
    reads.answered(1, 5);
    reads.queue('b');
    assert_eq!(reads.begin(group(2)), Some(Round { id: 2, group: group(2) }));
    reads.answered(2, 5);
    assert_eq!(reads.next_barrier(), Some(position(16)));
    assert_eq!(released(&mut reads, 15), "a");
    assert_eq!(reads.next_barrier(), Some(position(17)));
    assert_eq!(released(&mut reads, 16), "b");
}

#[test]
fn a_later_answer_lowers_the_barrier_of_earlier_reads_but_never_raises_it() {
    let mut reads = barriers();
    reads.queue('a');
    reads.begin(group(3));
    reads.answered(1, 1000); // group 3 has skipped ahead
    reads.queue('b');
    reads.begin(group(1));
    reads.answered(2, 4);
    assert_eq!(released(&mut reads, 12), "ab");

    reads.queue('c');
    reads.begin(group(1));
    reads.answered(3, 4);
    reads.queue('d');
    reads.begin(group(1));
    reads.answered(4, 6);
    assert_eq!(released(&mut reads, 12), "c");
    assert_eq!(released(&mut reads, 18), "d");
}

#[test]
fn a_lost_round_is_asked_again_and_either_answer_counts() {
    let mut reads = barriers();
    reads.queue('a');
    reads.begin(group(1));
    assert_eq!(reads.tick(group(2), false), None);
    assert_eq!(reads.tick(group(2), true), None, "halted or not, the answer is not overdue yet");
    reads.queue('b');
    assert_eq!(reads.tick(group(2), false), Some(Round { id: 2, group: group(2) }));

    reads.answered(1, 2); // late; b was queued after that round had begun
    assert_eq!(reads.begin(group(2)), None, "b waits for the second round");
    assert_eq!(released(&mut reads, 100), "a");
    assert_eq!(released(&mut reads, 100), "");
    reads.answered(2, 2);
    assert_eq!(released(&mut reads, 100), "b");
    reads.answered(1, 0);
    reads.answered(2, 0);
    reads.answered(77, 0);
    assert!(reads.is_empty());
}

#[test]
fn an_answer_for_earlier_reads_does_not_serve_later_ones() {
    let mut reads = barriers();
    reads.queue('a');
    reads.begin(group(1));
    reads.queue('b');
    for _ in 0..RETRY_TICKS {
        reads.tick(group(1), false);
    }
    reads.answered(2, 9);
    assert_eq!(reads.next_barrier(), Some(position(28)));
    reads.answered(1, 0); // confirmed before b was queued: good for a only
    assert_eq!(released(&mut reads, 26), "a");
    assert_eq!(released(&mut reads, 27), "b");
}

#[test]
fn a_halted_merge_asks_the_group_that_it_awaits_now() {
    let mut reads = barriers();
    reads.queue('a');
    reads.begin(group(2));
    reads.answered(1, 1000);
    assert_eq!(released(&mut reads, 5), "");
    assert_eq!(reads.tick(group(1), false), None, "the merge moves: it may get there");
    reads.queue('b');
    assert_eq!(reads.tick(group(1), true), Some(Round { id: 2, group: group(1) }), "which serves b as well");
    assert_eq!(reads.tick(group(1), true), None, "in flight");
    reads.answered(2, 2);
    assert_eq!(released(&mut reads, 6), "ab");
    assert_eq!(reads.tick(group(1), true), None, "an idle merge is halted too, and nobody waits");
}

/// An idle group skips a thousand rounds ahead. A busy one that fills them one by one would take seconds.
#[test]
fn a_barrier_far_away_is_not_waited_for_while_the_merge_creeps() {
    let mut reads = barriers();
    reads.queue('a');
    reads.begin(group(2));
    reads.answered(1, 1000);
    let ticks = (1..).find(|_| reads.tick(group(1), false).is_some());
    assert_eq!(ticks, Some(3));
    assert_eq!((0..RETRY_TICKS - 1).find_map(|_| reads.tick(group(1), false)), None, "in flight");
    reads.answered(2, 2);
    assert_eq!(released(&mut reads, 6), "a");
    assert_eq!((0..9).find_map(|_| reads.tick(group(1), false)), None, "nobody waits");
}

#[test]
fn a_question_of_a_halted_merge_does_not_hold_up_new_reads() {
    let mut reads = barriers();
    reads.queue('a');
    reads.begin(group(2));
    reads.answered(1, 1000);
    assert_eq!(reads.tick(group(1), true), Some(Round { id: 2, group: group(1) }));
    reads.queue('b');
    assert_eq!(reads.begin(group(1)), Some(Round { id: 3, group: group(1) }));
    reads.queue('c');
    assert_eq!(reads.begin(group(1)), None);
    reads.answered(3, 2);
    assert_eq!(released(&mut reads, 6), "ab");
}

#[test]
fn expired_reads_are_taken_out_wherever_they_wait() {
    let mut reads = barriers();
    let mut gone = Vec::new();
    reads.queue('a');
    reads.queue('b');
    reads.begin(group(1));
    reads.queue('c');
    reads.queue('d');
    reads.extract(|&read| read == 'a' || read == 'c', &mut gone);
    assert_eq!(reads.begin(group(1)), None, "b still depends on round 1");
    reads.extract(|&read| read == 'b', &mut gone);
    assert_eq!(
        reads.begin(group(1)),
        Some(Round { id: 2, group: group(1) }),
        "nobody needs round 1 any more"
    );
    reads.answered(1, 0);
    assert_eq!(reads.next_barrier(), None, "d was queued after round 1 began");
    reads.answered(2, 0);
    assert_eq!(released(&mut reads, 0), "d");
    reads.queue('e');
    reads.extract(|_| true, &mut gone);
    gone.sort_unstable();
    assert_eq!(gone, ['a', 'b', 'c', 'e']);
    assert!(reads.is_empty());
    assert_eq!(reads.tick(group(1), true), None);
}

#[test]
fn reads_that_nobody_began_a_round_for_get_one_at_a_tick() {
    let mut reads = barriers();
    reads.queue('a');
    assert_eq!(reads.tick(group(3), false), Some(Round { id: 1, group: group(3) }));
}

#[test]
fn only_the_latest_unanswered_rounds_are_remembered() {
    let mut reads = barriers();
    reads.queue('a');
    reads.begin(group(1));
    let asked = |reads: &mut ReadBarriers<char>| (0..RETRY_TICKS).find_map(|_| reads.tick(group(1), false));
    for again in 2..=ROUNDS_REMEMBERED as u64 + 1 {
        assert_eq!(asked(&mut reads), Some(Round { id: again, group: group(1) }));
    }
    reads.answered(1, 0);
    assert_eq!(reads.next_barrier(), None, "round 1 is forgotten");
    reads.answered(2, 0);
    assert_eq!(reads.next_barrier(), Some(position(1)));
}

#[test]
fn what_is_known_serves_all_reads_queued_so_far_and_no_later_one() {
    let mut reads = barriers();
    reads.queue('a');
    assert_eq!(reads.begin(group(1)), Some(Round { id: 1, group: group(1) }));
    reads.queue('b');
    reads.known(Slot { place: 2, group: group(2) });
    assert_eq!(reads.next_barrier(), Some(position(8)));
    assert_eq!(released(&mut reads, 6), "");
    reads.answered(1, 1);
    assert_eq!(released(&mut reads, 3), "a", "the round in flight still counts, and has a nearer barrier");
    assert_eq!(released(&mut reads, 7), "b");
    reads.queue('c');
    assert!(reads.begin(group(1)).is_some(), "c was queued later");
}

fn after(last_round: u64, groups: u16) -> Layout {
    Layout::above(Layout::new(2).round_end(last_round), groups)
}

#[test]
fn a_barrier_within_the_epoch_outlives_its_end() {
    let mut reads = ReadBarriers::new(Layout::new(2), 20);
    reads.queue("a");
    let round = reads.begin(GroupId::new(2)).unwrap();
    reads.answered(round.id, 4);
    reads.end_epoch(5, after(5, 3));
    assert_eq!(reads.next_barrier(), Some(GlobalPosition::new(10)), "slot (5, 2), the epoch's last");
    let mut done = Vec::new();
    reads.release(GlobalPosition::new(9), &mut done);
    assert_eq!(done, ["a"]);
}

#[test]
fn void_barriers_and_late_answers_bound_nothing() {
    let mut reads = ReadBarriers::new(Layout::new(2), 20);
    reads.queue("a");
    let void = reads.begin(GroupId::new(1)).unwrap();
    reads.answered(void.id, 5);
    reads.queue("b");
    let late = reads.begin(GroupId::new(1)).unwrap();
    reads.queue("c");
    reads.end_epoch(5, after(5, 1));
    // The answer is about epoch 1, where slot (6, 1) is void; in epoch 2, commands beyond it may have been acknowledged.
    reads.answered(late.id, 5);
    assert_eq!(reads.next_barrier(), None);
    let again = reads.begin(GroupId::new(1)).expect("all three ask again, at once");
    reads.answered(again.id, 7);
    let mut done = Vec::new();
    reads.release(GlobalPosition::new(16), &mut done);
    assert!(done.is_empty());
    reads.release(GlobalPosition::new(17), &mut done);
    assert_eq!(done, ["a", "b", "c"]);
}

#[test]
#[should_panic(expected = "global_prefix")]
fn an_epoch_begins_where_the_one_before_it_ends() {
    ReadBarriers::<()>::new(Layout::new(2), 20).end_epoch(5, after(4, 2));
}
