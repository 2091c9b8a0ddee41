//! The sequencer: pulls committed entries out of the local logs, merges them, and hands the global log on. The thread
//! around it (`sequencer_thread.rs`) has the clock and the channel to execution.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use niagara_sequencer::{Emitted, Fill, GlobalPosition, GroupId, Layout, Merge, Slot};

use super::board::{Board, Mail};
use crate::batch::EntryFill;
use crate::log::{LogEntry, LogStore};
use crate::metrics::Metrics;
use crate::read_gate::ReadGate;

/// A part of the global log: the paper's global-log channel carries these.
pub(crate) type Stretch = Vec<Emitted<LogEntry>>;

/// Stretches that may wait for execution. With their size it bounds the memory between merge and execution.
pub(crate) const STRETCHES_WAITING: usize = 8;
/// A stretch ends when it holds about this many bytes: large enough to share the cost of a hand-over, small enough to
/// keep execution and its acknowledgements flowing.
const STRETCH_BYTES: usize = 1 << 20;
/// Or this many emissions.
const STRETCH_ITEMS: usize = 512;
/// Entries of a group that wait in the merge; what lags stays in its log.
const PULL_ENTRIES: u64 = 64;

/// The merge with all that it reads and writes of the rest of the server.
pub(crate) struct Sequencer {
    layout: Layout,
    logs: Vec<Pulled>,
    merge: Merge<LogEntry>,
    board: Arc<Board>,
    reads: Arc<ReadGate>,
    metrics: Arc<Metrics>,
    tick: Duration,
    /// The slot that the merge awaited at the last tick.
    stalled: Option<Slot>,
}

/// A local log, as far as it has been pulled.
struct Pulled {
    store: LogStore,
    group: GroupId,
    index: u64,
    place: u64,
    /// Entries pulled and not known to be merged: their index, and the last place filled at or below it.
    ahead: VecDeque<(u64, u64)>,
    read: Vec<LogEntry>,
}

impl Sequencer {
    /// The sequencer of a server whose logs are these, in order of the groups. `tick` is how often it is told the time.
    pub fn new(
        layout: Layout,
        stores: Vec<LogStore>,
        board: Arc<Board>,
        reads: Arc<ReadGate>,
        metrics: Arc<Metrics>,
        tick: Duration,
    ) -> Self {
        let logs = layout.group_ids().zip(stores).map(|(group, store)| Pulled::new(group, store)).collect();
        Sequencer { layout, logs, merge: Merge::new(layout), board, reads, metrics, tick, stalled: None }
    }

    /// Pulls what is committed, and merges up to a stretch of it; empty if there is nothing to merge.
    pub fn merge_some(&mut self) -> Stretch {
        for log in &mut self.logs {
            log.pull(&self.board, &mut self.merge);
        }
        let mut stretch = Stretch::new();
        let mut bytes = 0;
        while bytes < STRETCH_BYTES && stretch.len() < STRETCH_ITEMS {
            let Some(emitted) = self.merge.next() else { break };
            if let Emitted::Commands { item, .. } = &emitted {
                bytes += item.data.len();
            }
            stretch.push(emitted);
        }
        self.publish();
        stretch
    }

    /// Whether something is committed that could be pulled: the last look before sleeping.
    pub fn has_news(&self) -> bool {
        self.logs.iter().any(|log| log.commit(&self.board) > log.index && !log.is_full())
    }

    /// Says how far the merge is, and lets go what it has passed.
    fn publish(&mut self) {
        let emitted = self.merge.emitted();
        self.board.awaited.store(self.merge.awaited().group.index() as u32, SeqCst);
        self.board.anchor.store(self.merge.anchor().index() as u32, SeqCst);
        for log in &mut self.logs {
            if let Some(index) = log.pass(self.layout, emitted) {
                let group = &self.board.groups[log.group.index()];
                group.merged.store(index, SeqCst);
                log.store.release(index);
                group.wake_if_held();
            }
        }
    }

    /// A step of the clock.
    pub fn tick(&mut self, now: Instant) {
        let awaited = self.merge.awaited();
        let halted = self.stalled == Some(awaited);
        if halted && let Some(level) = self.merge.held_level() {
            // Local knowledge did not help within a tick: ask the group's leader to pad, wherever it is.
            let group = awaited.group.index();
            self.board.groups[group].send(Mail::Pad(level));
            self.metrics.pad_requests.inc();
            self.metrics.stalls[group].inc_by(self.tick.as_secs_f64());
        }
        self.stalled = Some(awaited);
        self.reads.tick(now, halted);
    }
}

impl Pulled {
    fn new(group: GroupId, store: LogStore) -> Self {
        Pulled { store, group, index: 0, place: 0, ahead: VecDeque::new(), read: Vec::new() }
    }

    fn commit(&self, board: &Board) -> u64 {
        board.groups[self.group.index()].commit.load(SeqCst)
    }

    fn is_full(&self) -> bool {
        self.ahead.len() as u64 >= PULL_ENTRIES
    }

    /// Moves committed entries from the log into the merge, up to a bound.
    fn pull(&mut self, board: &Board, merge: &mut Merge<LogEntry>) {
        let commit = self.commit(board);
        if commit <= self.index || self.is_full() {
            return;
        }
        let high = commit.min(self.index + PULL_ENTRIES - self.ahead.len() as u64);
        if let Err(error) = self.store.read(self.index + 1, high, STRETCH_BYTES, &mut self.read) {
            panic!("group {}: cannot read the log back: {error}", self.group);
        }
        for entry in self.read.drain(..) {
            assert_eq!(entry.index, self.index + 1, "log_matching: entries are pulled in order");
            self.index = entry.index;
            match EntryFill::of(&entry.context).expect("entries are checked before they enter a log") {
                EntryFill::Nothing => {}
                EntryFill::Skip { place } => {
                    self.place = place;
                    merge.push(self.group, place, Fill::Skip);
                }
                EntryFill::Commands { place } => {
                    self.place = place;
                    merge.push(self.group, place, Fill::Commands(entry));
                }
            }
            self.ahead.push_back((self.index, self.place));
        }
    }

    /// The last entry whose slots all stand at or before `emitted`, if there is a new one.
    fn pass(&mut self, layout: Layout, emitted: GlobalPosition) -> Option<u64> {
        let mut passed = None;
        let group = self.group;
        while let Some((index, _)) = self.ahead.pop_front_if(|(_, place)| {
            *place == 0 || layout.position_of(Slot { place: *place, group }) <= emitted
        }) {
            passed = Some(index);
        }
        passed
    }
}
