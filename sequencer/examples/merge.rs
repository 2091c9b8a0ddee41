//! Merges the local logs of two groups into one global log. Group 2 lags behind, and a skip pads its log.
//!
//! `cargo run -p niagara-sequencer --example merge`

use niagara_sequencer::{Emitted, Fill, GlobalPosition, GroupId, Layout, Merge, Padding, next_place};

/// Prints every slot whose turn has come.
fn emit(layout: Layout, merge: &mut Merge<&'static str>) {
    while let Some(emitted) = merge.next() {
        let (first, count, what) = match emitted {
            Emitted::Commands { position, item } => (position, 1, item),
            Emitted::Noops { first, count } => (first, count, "no-op"),
        };
        for position in (first.get()..).take(count as usize).map(GlobalPosition::new) {
            println!("  position {position}: slot {}, {what}", layout.slot_at(position));
        }
    }
}

fn main() {
    let layout = Layout::new(2);
    let (busy, laggard) = (GroupId::new(1), GroupId::new(2));
    let mut merge = Merge::new(layout);

    // Both groups commit a command at place 1; group 1 alone commits three more.
    println!("group 1 commits a1 to a4, group 2 commits b1; the global log:");
    let mut level = 0;
    for command in ["a1", "a2", "a3", "a4"] {
        level = next_place(level, level);
        merge.push(busy, level, Fill::Commands(command));
    }
    let mut last = next_place(0, 0);
    merge.push(laggard, last, Fill::Commands("b1"));
    emit(layout, &mut merge);

    // The merge waits for slot (2, 2). The leader of group 2 has no commands. It learns the level, the highest
    // place of a command, and pads its log up to there with a single entry.
    let padding = Padding { last, level, ahead: false };
    last = padding.skip_to().expect("its log ends below the level");
    println!("the merge waits for group 2, whose leader skips to place {last}:");
    merge.push(laggard, last, Fill::Skip);
    emit(layout, &mut merge);

    // The next command of group 2 goes on top of the skip, at a place that no group has reached.
    last = next_place(last, level);
    println!("group 2 commits b2 at place {last}; the merge waits for group 1:");
    merge.push(laggard, last, Fill::Commands("b2"));
    emit(layout, &mut merge);

    let padding = Padding { last: level, level: last, ahead: false };
    level = padding.skip_to().expect("group 1 lags now");
    println!("group 1 has no commands, and skips to place {level}:");
    merge.push(busy, level, Fill::Skip);
    emit(layout, &mut merge);
}
