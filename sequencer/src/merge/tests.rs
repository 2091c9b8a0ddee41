//! Runs of no-ops, resumption and the anchor, case by case. Properties of all logs are in `tests/rules`.

use super::*;

fn group(r: u16) -> GroupId {
    GroupId::new(r)
}

fn noops(first: u64, count: u64) -> Emitted<char> {
    Emitted::Noops { first: GlobalPosition::new(first), count }
}

fn commands(position: u64, item: char) -> Emitted<char> {
    Emitted::Commands { position: GlobalPosition::new(position), item }
}

#[test]
fn a_run_of_noops_is_one_value_over_any_number_of_rounds() {
    let mut merge = Merge::new(Layout::new(4));
    for r in 1..=4 {
        merge.push(group(r), 1_000_000_000, Fill::Skip);
    }
    merge.push(group(3), 1_000_000_001, Fill::Commands('c'));
    assert_eq!(merge.next(), Some(noops(1, 4_000_000_000)));
    assert_eq!(merge.next(), None, "group 3's commands wait for groups 1 and 2");
    assert_eq!(merge.held_level(), Some(1_000_000_001));
    merge.push(group(1), 1_000_000_007, Fill::Skip);
    merge.push(group(2), 1_000_000_007, Fill::Skip);
    assert_eq!(merge.next(), Some(noops(4_000_000_001, 2)));
    assert_eq!(merge.next(), Some(commands(4_000_000_003, 'c')));
    assert_eq!(merge.next(), None);
    assert_eq!(merge.held_level(), None);
}

#[test]
fn places_left_out_are_noops_once_a_later_one_is_known() {
    let mut merge = Merge::new(Layout::new(1));
    merge.push(group(1), 3, Fill::Commands('c'));
    merge.push(group(1), 5, Fill::Skip);
    merge.push(group(1), 7, Fill::Commands('g'));
    assert_eq!(merge.queued(group(1)), 2);
    assert_eq!(merge.next(), Some(noops(1, 2)));
    assert_eq!(merge.next(), Some(commands(3, 'c')));
    assert_eq!(merge.next(), Some(noops(4, 3)));
    assert_eq!(merge.next(), Some(commands(7, 'g')));
    assert_eq!(merge.next(), None);
    assert_eq!(merge.emitted(), GlobalPosition::new(7));
    assert_eq!(merge.queued(group(1)), 0);
}

#[test]
fn a_resumed_merge_ignores_what_its_snapshot_holds() {
    let mut merge = Merge::resume(Layout::new(2), 5, GroupId::new(2));
    assert_eq!(merge.emitted(), GlobalPosition::new(10));
    merge.push(group(1), 4, Fill::Commands('x'));
    merge.push(group(1), 5, Fill::Commands('y'));
    merge.push(group(2), 3, Fill::Skip);
    assert_eq!(merge.next(), None, "everything up to round 5 is in the snapshot, nothing above it is known");
    assert_eq!(merge.held_level(), None);
    merge.push(group(1), 6, Fill::Commands('z'));
    assert_eq!(merge.next(), Some(commands(11, 'z')));
    assert_eq!(merge.next(), None);
    assert_eq!(merge.awaited(), Slot { place: 6, group: group(2) });
}

#[test]
fn the_anchor_is_the_group_of_the_latest_commands() {
    let mut merge = Merge::new(Layout::new(2));
    assert_eq!(merge.anchor(), group(1));
    merge.push(group(2), 1, Fill::Commands('b'));
    assert_eq!((merge.next(), merge.anchor()), (None, group(1)), "pushed is not yet in the global log");
    merge.push(group(1), 2, Fill::Skip);
    assert_eq!((merge.next(), merge.anchor()), (Some(noops(1, 1)), group(1)));
    assert_eq!((merge.next(), merge.anchor()), (Some(commands(2, 'b')), group(2)));
    assert_eq!((merge.next(), merge.anchor()), (Some(noops(3, 1)), group(2)), "no-ops leave it");
}

#[test]
#[should_panic(expected = "slots_rise: group 1 fills place 2 after place 2")]
fn slots_rise() {
    let mut merge = Merge::new(Layout::new(1));
    merge.push(group(1), 2, Fill::Skip);
    merge.push(group(1), 2, Fill::Commands('x'));
}

#[test]
#[should_panic(expected = "slots_rise")]
fn slots_rise_below_a_snapshot_too() {
    let mut merge = Merge::<char>::resume(Layout::new(1), 9, GroupId::new(1));
    merge.push(group(1), 4, Fill::Skip);
    merge.push(group(1), 3, Fill::Skip);
}

#[test]
fn a_log_that_ends_is_merged_to_the_end_of_its_last_round_and_no_further() {
    let base = GlobalPosition::new(100);
    let mut merge = Merge::new(Layout::above(base, 3));
    merge.push(group(1), 4, Fill::Commands('e'));
    merge.push(group(2), 900, Fill::Skip);
    merge.push(group(3), 3, Fill::Skip);
    assert_eq!(merge.next(), Some(noops(101, 9)));
    assert_eq!(merge.next(), Some(commands(110, 'e')));
    merge.end_after(4);
    assert_eq!(merge.next(), Some(noops(111, 1)), "group 2's skip reaches beyond the end");
    assert_eq!(merge.next(), None);
    assert!(!merge.has_ended(), "slot (4, 3) may still hold commands");
    assert_eq!(merge.held_level(), Some(4), "its leader is asked to fill it");
    merge.push(group(3), 4, Fill::Commands('l'));
    merge.push(group(1), 5, Fill::Commands('v'));
    assert_eq!(merge.next(), Some(commands(112, 'l')));
    assert!(merge.has_ended());
    assert_eq!(merge.next(), None, "slots of round 5 are void");
    assert_eq!(merge.emitted(), Layout::above(base, 3).round_end(4));
}

#[test]
#[should_panic(expected = "global_prefix")]
fn a_log_cannot_end_before_what_was_emitted() {
    let mut merge = Merge::<char>::new(Layout::new(1));
    merge.push(group(1), 5, Fill::Skip);
    merge.next();
    merge.end_after(4);
}
