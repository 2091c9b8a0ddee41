//! Invariant `pads_are_bounded`: what commands of one group cost the others.

use niagara_sequencer::{Padding, next_place};
use proptest::prelude::*;

use crate::cluster::{Cluster, Habits};
use crate::histories::{Step, histories};

/// The groups of a cluster whose leaders, and whose global log, see every command at once.
struct Instant {
    last: Vec<u64>,
    level: u64,
    anchor: usize,
    /// For each group, the level at its last skip, unless it has had commands or has been the anchor since.
    skipped_at: Vec<Option<u64>>,
}

impl Instant {
    fn new(groups: usize) -> Self {
        Self { last: vec![0; groups], level: 0, anchor: 0, skipped_at: vec![None; groups] }
    }

    fn command(&mut self, group: usize) {
        self.last[group] = next_place(self.last[group], self.level);
        self.level = self.last[group];
        self.anchor = group;
        self.skipped_at[group] = None;
    }

    /// Every leader pads until it need not any more. Returns how many skips each proposes.
    fn pad(&mut self) -> Vec<u32> {
        let mut skips = vec![0; self.last.len()];
        for (group, skips) in skips.iter_mut().enumerate() {
            let ahead = group != self.anchor;
            while let Some(target) = (Padding { last: self.last[group], level: self.level, ahead }).skip_to()
            {
                *skips += 1;
                self.last[group] = target;
                if let Some(before) = self.skipped_at[group].replace(self.level) {
                    assert!(self.level > before + 500, "skips at levels {before} and {}", self.level);
                }
            }
        }
        skips
    }
}

proptest! {
    /// Each entry with commands costs any other group at most one skip, and its own none; and an idle group's
    /// skips are more than 500 rounds apart.
    #[test]
    fn commands_cost_each_other_group_at_most_a_skip(
        groups in 1..8usize,
        commands in prop::collection::vec((any::<prop::sample::Index>(), 1..700u32), 0..60),
    ) {
        let mut cluster = Instant::new(groups);
        prop_assert_eq!(cluster.pad(), vec![0; groups], "nothing written, nothing to pad");
        for (group, entries) in commands {
            let group = group.index(groups);
            for _ in 0..entries {
                cluster.command(group);
                let skips = cluster.pad();
                prop_assert_eq!(skips[group], 0);
                prop_assert!(skips.iter().all(|&skips| skips <= 1), "{:?}", skips);
            }
        }
    }

    /// The same where servers hear of commands late, and of the anchor even later: at most two, and still no
    /// skip answers another. Leaders stay, since a new one may lack the skips of the old.
    #[test]
    fn late_news_costs_at_most_a_second_skip((groups, history) in histories(), rest: bool) {
        let mut cluster = Cluster::new(groups, Habits::GOOD);
        for step in history.iter().filter(|step| !matches!(step, Step::Elect { .. })) {
            cluster.take(step);
        }
        if rest {
            cluster.rest(10);
        }
        let all: u32 = cluster.commands.iter().sum();
        for (own, skips) in cluster.commands.iter().zip(&cluster.skips) {
            prop_assert!(*skips <= 2 * (all - own), "{skips} skips for {} commands of other groups", all - own);
        }
    }
}
