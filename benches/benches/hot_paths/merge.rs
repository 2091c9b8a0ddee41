//! Slots and commands per second through the merge, on one core, and what a leader's decision to pad costs.
//!
//! The sequencer thread handles every slot of every group, so that its speed bounds that of the whole server: the
//! targets for one core are 20 million slots a second at batch 1, an entry for each command, and 100 million commands a
//! second at batch 64. A leader decides on padding in every turn of its thread, and must not notice it.

use std::collections::VecDeque;
use std::hint::black_box;

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group};
use niagara_group::batch::{EntryFill, Span, SubBatch, encode_commands};
use niagara_log::LogEntry;
use niagara_sequencer::{
    Emitted, Fill, FloorIndex, GlobalPosition, GroupId, Lag, Layout, Merge, Pacing, Padding,
    SKIP_AHEAD_ROUNDS, Slot, next_place,
};

/// How many entries of a group the sequencer has in the merge at most.
const PULL: u64 = 64;

/// How many entries the sequencer merges between two snapshots, by default.
const SNAPSHOT_ENTRIES: u64 = 1 << 20;

/// What stands for an entry with commands: about as large as a reference-counted buffer.
type Item = [u64; 4];

/// Takes all that the merge can emit, and says how many slots that was.
fn drain<T>(merge: &mut Merge<T>) -> u64 {
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
            let mut merge = Merge::<Item>::new(layout);
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
            let mut merge = Merge::<Item>::new(layout);
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
            let mut merge = Merge::<Item>::new(layout);
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

/// A local log as the sequencer pulls it: the work per entry is that of the engine's thread, without the log's lock.
struct Pulled {
    group: GroupId,
    /// What the log holds, again and again; each entry has buffers of its own.
    entries: Vec<LogEntry>,
    floors: FloorIndex,
    ahead: VecDeque<(u64, u64)>,
    last: u64,
}

impl Pulled {
    fn new(group: GroupId, commands: u32) -> Pulled {
        let entries = (1..=PULL).map(|index| entry(index, commands)).collect();
        Pulled { group, entries, floors: FloorIndex::new(), ahead: VecDeque::new(), last: 0 }
    }

    /// Moves entries into the merge. Each says in its context what it is; its place is counted on here, since places rise.
    fn pull(&mut self, merge: &mut Merge<LogEntry>) {
        for entry in &self.entries {
            let entry = black_box(entry).clone();
            self.last += 1;
            let fill = match EntryFill::of(&entry.context) {
                Ok(EntryFill::Commands { .. }) => Fill::Commands(entry),
                other => panic!("an entry of this bench holds commands, not {other:?}"),
            };
            self.floors.push(self.last, self.last);
            merge.push(self.group, self.last, fill);
            self.ahead.push_back((self.last, self.last));
        }
    }

    /// Lets go what the merge has passed; at a snapshot, what led up to it.
    fn pass(&mut self, layout: Layout, emitted: GlobalPosition) {
        let group = self.group;
        let is_passed = |place| layout.position_of(Slot { place, group }) <= emitted;
        while let Some((index, _)) = self.ahead.pop_front_if(|(_, place)| is_passed(*place)) {
            black_box(index);
        }
        if self.last.is_multiple_of(SNAPSHOT_ENTRIES) {
            self.floors.forget_below(self.last);
        }
    }
}

/// An entry with commands of 16 bytes, each behind its length.
fn entry(index: u64, commands: u32) -> LogEntry {
    let span = Span { server: 1, incarnation: 1, lane: 0, attempt: 0, first: 1, count: commands };
    let body = [[16].as_slice(), &[b'c'; 16]].concat().repeat(commands as usize);
    let (context, data) = encode_commands(index, &[SubBatch { span, lone: false, body: Bytes::from(body) }]);
    LogEntry { index, term: 1, kind: 0, context, data }
}

/// The sequencer's whole work per entry, apart from reading the log: the entry is looked at, its floor is noted, it goes
/// through the merge, and is let go. Counts commands, so that batch 1 and batch 64 can be compared.
fn sequencer(c: &mut Criterion) {
    let mut bench = c.benchmark_group("the sequencer's work, per command");
    for (groups, batch) in [(1, 1), (4, 1), (8, 1), (1, 64), (4, 64), (8, 64)] {
        let layout = Layout::new(groups);
        let slots = PULL * u64::from(groups);
        bench.throughput(Throughput::Elements(slots * u64::from(batch)));
        bench.bench_function(BenchmarkId::new(format!("R={groups}"), format!("batch {batch}")), |b| {
            let mut merge = Merge::new(layout);
            let mut logs: Vec<Pulled> = layout.group_ids().map(|group| Pulled::new(group, batch)).collect();
            b.iter(|| {
                logs.iter_mut().for_each(|log| log.pull(&mut merge));
                assert_eq!(drain(&mut merge), slots);
                logs.iter_mut().for_each(|log| log.pass(layout, merge.emitted()));
            });
        });
    }
    bench.finish();
}

/// What a leader asks the rules in a turn: whether it may cut an entry and at which place, whether to pad, and when to be
/// woken for it.
fn decide(pacing: Pacing, outstanding: usize, padding: Padding) -> (u64, Option<u64>, u64) {
    let mut last = padding.last;
    if pacing.may_cut(outstanding) {
        last = next_place(last, padding.level);
    }
    let padding = Padding { last, ..padding };
    (last, padding.skip_to(), padding.wake_at())
}

/// The padding rule in every mixture of states, and the rule about lag, which is asked once per tick.
fn pad(c: &mut Criterion) {
    let mut bench = c.benchmark_group("pad");
    let states: Vec<(usize, Padding)> = (0..4096u64)
        .map(|number| {
            // A multiplicative hash, so that the states come in no order.
            let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16;
            let padding =
                Padding { last: mixed % 3000, level: mixed / 3000 % 3000, ahead: mixed & 1 << 40 == 0 };
            (mixed as usize % 8, padding)
        })
        .collect();
    bench.throughput(Throughput::Elements(states.len() as u64));
    bench.bench_function("per turn of a leader", |b| {
        let pacing = Pacing::default();
        b.iter(|| {
            for &(outstanding, padding) in &states {
                black_box(decide(pacing, outstanding, padding));
            }
        });
    });
    bench.throughput(Throughput::Elements(1));
    bench.bench_function("lag, per tick", |b| {
        let (mut lag, mut committed) = (Lag::new(4, 10), 0);
        b.iter(|| {
            committed += 100;
            lag.observe_tick(black_box(committed), black_box(committed - 90), black_box(false))
        });
    });
    bench.finish();
}

criterion_group! { name = benches; config = crate::measured_for(1); targets = busy, sequencer, skip_ahead, leap, pad }
