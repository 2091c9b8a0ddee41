//! Slots per second through the merge, on one core, pushes included.
//!
//! The sequencer thread handles every slot of every group, so that its speed bounds that of the whole server.
//! These are the costs at batch 1, an entry for each command; an entry with more commands costs the merge the
//! same.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use niagara_sequencer::{Emitted, Fill, GroupId, Layout, Merge, Padding, SKIP_AHEAD_ROUNDS};

/// How many entries the sequencer takes from a group's log at a time.
const PULL: u64 = 256;

/// What stands for an entry with commands: about as large as a reference-counted buffer.
type Item = [u64; 4];

/// Takes all that the merge can emit, and says how many slots that was.
fn drain(merge: &mut Merge<Item>) -> u64 {
    let before = merge.emitted();
    while let Some(emitted) = merge.next() {
        match emitted {
            Emitted::Commands { position, item } => drop(black_box((position, item))),
            Emitted::Noops { first, count } => drop(black_box((first, count))),
        }
    }
    merge.emitted().get() - before.get()
}

/// Every group fills every place with commands; the sequencer pulls a range of each log, and merges them.
fn busy(c: &mut Criterion) {
    let mut bench = c.benchmark_group("every slot with commands");
    for groups in [1, 4, 8] {
        let layout = Layout::new(groups);
        let slots = PULL * u64::from(groups);
        bench.throughput(Throughput::Elements(slots));
        bench.bench_function(BenchmarkId::from_parameter(format!("R={groups}")), |b| {
            let mut merge = Merge::new(layout);
            let mut filled = 0;
            b.iter(|| {
                for group in layout.group_ids() {
                    for place in filled + 1..=filled + PULL {
                        merge.push(group, place, Fill::Commands(black_box([place; 4])));
                    }
                }
                filled += PULL;
                assert_eq!(drain(&mut merge), slots);
            });
        });
    }
    bench.finish();
}

/// Group 1 fills every place with commands, one at a time, and all others are idle and skip ahead. Counts the
/// slots with commands only: the no-ops between them should cost next to nothing.
fn skip_ahead(c: &mut Criterion) {
    let mut bench = c.benchmark_group("one busy group, others skip ahead, per command");
    for groups in [1, 4, 8, 64] {
        let layout = Layout::new(groups);
        let busy = GroupId::new(1);
        bench.throughput(Throughput::Elements(SKIP_AHEAD_ROUNDS));
        bench.bench_function(BenchmarkId::from_parameter(format!("R={groups}")), |b| {
            let mut merge = Merge::new(layout);
            let (mut level, mut skipped) = (0, 0);
            b.iter(|| {
                for _ in 0..SKIP_AHEAD_ROUNDS {
                    level += 1;
                    merge.push(busy, level, Fill::Commands(black_box([level; 4])));
                    if let Some(target) = (Padding { last: skipped, level, ahead: true }).skip_to() {
                        layout.group_ids().skip(1).for_each(|idle| merge.push(idle, target, Fill::Skip));
                        skipped = target;
                    }
                    assert!(drain(&mut merge) >= 1);
                }
            });
        });
    }
    bench.finish();
}

/// A group wakes up after it has skipped ahead, and the merge leaps over 1000 rounds of no-ops: per leap.
fn leap(c: &mut Criterion) {
    let mut bench = c.benchmark_group("a leap over 1000 rounds, per leap");
    for groups in [4, 8, 64] {
        let layout = Layout::new(groups);
        bench.throughput(Throughput::Elements(1));
        bench.bench_function(BenchmarkId::from_parameter(format!("R={groups}")), |b| {
            let mut merge = Merge::new(layout);
            let mut level = 0;
            b.iter(|| {
                level += SKIP_AHEAD_ROUNDS;
                merge.push(GroupId::new(1), level, Fill::Commands(black_box([level; 4])));
                layout.group_ids().skip(1).for_each(|idle| merge.push(idle, level, Fill::Skip));
                assert_eq!(drain(&mut merge), SKIP_AHEAD_ROUNDS * u64::from(groups));
            });
        });
    }
    bench.finish();
}

criterion_group!(benches, busy, skip_ahead, leap);
criterion_main!(benches);
