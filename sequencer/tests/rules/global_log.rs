//! There is one global log, whatever the order in which entries arrive, and whoever leads.

use niagara_sequencer::{Emitted, Fill, GlobalPosition, GroupId, Layout, Merge, Slot};
use proptest::prelude::*;

use crate::cluster::{Cluster, Habits};
use crate::histories::histories;

/// An entry: the place that it fills, and whether with commands or a skip.
type Entry = (u64, bool);

/// Contents of a slot of the global log: commands, named by their own slot, or a no-op.
type Cell = Option<Slot>;

fn local_log() -> impl Strategy<Value = Vec<Entry>> {
    prop::collection::vec((prop_oneof![4 => 1..=1u64, 1 => 2..40u64], prop::bool::weighted(0.7)), 0..30)
        .prop_map(|entries| {
            let rise = |place: &mut u64, (gap, commands)| {
                *place += gap;
                Some((*place, commands))
            };
            entries.into_iter().scan(0, rise).collect()
        })
}

/// Local logs, and an order in which their entries arrive: which group is next, and whether the merge is
/// drained then.
fn arrivals() -> impl Strategy<Value = (Vec<Vec<Entry>>, Vec<(prop::sample::Index, bool)>)> {
    (
        prop::collection::vec(local_log(), 1..7),
        prop::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 0..200),
    )
}

/// The definition of the global log: slot by slot, until one is not known.
fn naive_merge(logs: &[Vec<Entry>]) -> Vec<Cell> {
    let mut global = Vec::new();
    for place in 1.. {
        for (r, log) in (1..).zip(logs) {
            if log.last().is_none_or(|last| last.0 < place) {
                return global;
            }
            let slot = Slot { place, group: GroupId::new(r) };
            global.push(log.contains(&(place, true)).then_some(slot));
        }
    }
    unreachable!("a finite log ends")
}

/// A merge under test, with all its input and output.
struct Observed {
    layout: Layout,
    merge: Merge<Slot>,
    start: u64,
    held: Vec<Slot>,
    global: Vec<Cell>,
}

impl Observed {
    fn resume(groups: usize, rounds_done: u64) -> Self {
        let layout = Layout::new(u16::try_from(groups).expect("few groups"));
        let start = layout.round_end(rounds_done).get();
        Self {
            layout,
            merge: Merge::resume(layout, rounds_done, GroupId::new(1)),
            start,
            held: Vec::new(),
            global: Vec::new(),
        }
    }

    fn push(&mut self, group: GroupId, (place, commands): Entry) {
        let slot = Slot { place, group };
        self.merge.push(group, place, if commands { Fill::Commands(slot) } else { Fill::Skip });
        if commands && self.layout.position_of(slot).get() > self.start {
            self.held.push(slot);
        }
    }

    fn drain(&mut self) {
        let mut after_noops = false;
        while let Some(emitted) = self.merge.next() {
            let next = GlobalPosition::new(self.start + self.global.len() as u64 + 1);
            match emitted {
                Emitted::Commands { position, item } => {
                    assert_eq!(position, next);
                    assert_eq!(
                        position,
                        self.layout.position_of(item),
                        "commands come out at their own slot"
                    );
                    self.held.retain(|&held| held != item);
                    self.global.push(Some(item));
                    after_noops = false;
                }
                Emitted::Noops { first, count } => {
                    assert_eq!(first, next);
                    assert!(count > 0);
                    assert!(!after_noops, "a run of no-ops is maximal");
                    self.global.resize(self.global.len() + count as usize, None);
                    after_noops = true;
                }
            }
        }
        let emitted = self.merge.emitted();
        assert_eq!(emitted.get(), self.start + self.global.len() as u64);
        assert_eq!(self.merge.awaited(), self.layout.slot_at(GlobalPosition::new(emitted.get() + 1)));
        assert_eq!(self.merge.held_level(), self.held.iter().map(|slot| slot.place).max());
        for group in self.layout.group_ids() {
            assert_eq!(self.merge.queued(group), self.held.iter().filter(|slot| slot.group == group).count());
        }
        let latest = self.global.iter().rev().flatten().next();
        assert_eq!(self.merge.anchor(), latest.map_or(GroupId::new(1), |slot| slot.group));
    }
}

proptest! {
    /// Invariant `global_prefix`, for one server: the global log is a function of the local logs.
    #[test]
    fn the_order_of_arrival_does_not_matter((logs, order) in arrivals()) {
        let mut observed = Observed::resume(logs.len(), 0);
        let mut arrived = vec![0; logs.len()];
        for (choice, drain) in order {
            let r = choice.index(logs.len());
            if let Some(&entry) = logs[r].get(arrived[r]) {
                observed.push(GroupId::new(r as u16 + 1), entry);
                arrived[r] += 1;
            }
            if drain {
                observed.drain();
                let so_far: Vec<_> = logs.iter().zip(&arrived).map(|(log, &n)| log[..n].to_vec()).collect();
                prop_assert_eq!(&observed.global, &naive_merge(&so_far));
            }
        }
        for (r, log) in logs.iter().enumerate() {
            log[arrived[r]..].iter().for_each(|&entry| observed.push(GroupId::new(r as u16 + 1), entry));
        }
        observed.drain();
        prop_assert_eq!(observed.global, naive_merge(&logs));
    }

    /// A server that starts from a snapshot continues exactly as the others do.
    #[test]
    fn a_resumed_merge_is_the_rest_of_the_whole((logs, _) in arrivals(), rounds_done in 0..60u64) {
        let whole = naive_merge(&logs);
        let mut resumed = Observed::resume(logs.len(), rounds_done);
        for (r, log) in (1..).zip(&logs) {
            log.iter().for_each(|&entry| resumed.push(GroupId::new(r), entry));
        }
        resumed.drain();
        let rest = whole.get(resumed.start as usize..).unwrap_or_default();
        prop_assert!(resumed.global.starts_with(rest), "a group that ends below the snapshot is known up to there");
        if logs.iter().all(|log| log.last().is_some_and(|last| last.0 >= rounds_done)) {
            prop_assert_eq!(&resumed.global, rest);
        }
    }

    /// Invariants `slots_rise`, which every merge asserts, and `global_prefix`, while leaders change at any
    /// moment, lose what was not committed, and know little of the level.
    #[test]
    fn leaders_may_change((groups, history) in histories()) {
        let mut cluster = Cluster::new(groups, Habits::GOOD);
        for step in &history {
            cluster.take(step);
            cluster.check_global_prefix();
        }
    }
}
