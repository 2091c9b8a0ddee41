//! A local log, as far as the merge has pulled it.

use std::collections::VecDeque;
use std::sync::atomic::Ordering::SeqCst;

use niagara_group::batch::EntryFill;
use niagara_log::{EntryId, LogEntry, LogStore};
use niagara_sequencer::{Fill, FloorIndex, GlobalPosition, GroupId, Layout, Merge, Slot};

use super::STRETCH_BYTES;
use crate::planted::{self, Bug};
use crate::progress::EpochProgress;

/// The most entries of a group that wait in the merge; their bytes are bounded separately. What lags stays in
/// its log.
const PULL_ENTRIES: u64 = 64;

/// A local log, as far as it has been pulled.
pub(super) struct Pulled {
    pub store: LogStore,
    pub group: GroupId,
    pub index: u64,
    pub place: u64,
    /// Entries pulled and not known to be merged.
    ahead: VecDeque<Ahead>,
    /// Bytes of these entries.
    pub bytes: u64,
    read: Vec<LogEntry>,
    floors: FloorIndex,
}

/// An entry that is pulled and not known to be merged.
struct Ahead {
    index: u64,
    /// Last place filled at or below it.
    place: u64,
    bytes: u64,
}

impl Pulled {
    pub fn new(group: GroupId, store: LogStore) -> Self {
        Pulled::above(group, store, 0, 0)
    }

    /// Pulls start above `index`, the last entry that fills a place up to `round`.
    pub fn above(group: GroupId, store: LogStore, index: u64, round: u64) -> Self {
        let floors = FloorIndex::starting_at(index, round);
        let (ahead, read) = (VecDeque::new(), Vec::new());
        Pulled { store, group, index, place: round, ahead, bytes: 0, read, floors }
    }

    /// The last entry that fills a place up to `round`. Earlier ones no longer matter for snapshots.
    pub fn cut(&mut self, round: u64) -> EntryId {
        let index = self.floors.floor(round).expect("compaction_floor: snapshots are taken of rising rounds");
        self.floors.forget_below(index);
        let index = if planted::is(Bug::FloorTooHigh) { self.index.min(index + 1) } else { index };
        let term = self.store.term(index).expect("compaction_floor: the log holds what no snapshot replaces");
        EntryId { index, term }
    }

    /// Drops from a follower's log what no later snapshot needs to know: all before the floor of this round, up to which
    /// everything is merged. Returns whether there was any.
    pub fn forget_up_to(&mut self, round: u64) -> bool {
        let Some(index) = self.floors.floor(round) else { return false };
        let (floor, last) = self.store.ends();
        // After a received snapshot, the log may have yet to be set to its floor.
        if index <= floor.index || index > last.index {
            return false;
        }
        self.floors.forget_below(index);
        self.store.compact_to(index);
        true
    }

    pub fn commit(&self, epoch: &EpochProgress) -> u64 {
        epoch.groups[self.group.index()].commit.load(SeqCst)
    }

    pub fn is_full(&self) -> bool {
        self.ahead.len() as u64 >= PULL_ENTRIES
    }

    /// Index of the first entry that is not known to be merged, if there is one.
    pub fn first_ahead(&self) -> Option<u64> {
        Some(self.ahead.front()?.index)
    }

    /// Moves committed entries from the log into the merge: up to `max_bytes`, but at least one.
    pub fn pull(&mut self, epoch: &EpochProgress, merge: &mut Merge<LogEntry>, max_bytes: usize) {
        let commit = self.commit(epoch);
        if commit <= self.index || self.is_full() {
            return;
        }
        let high = commit.min(self.index + PULL_ENTRIES - self.ahead.len() as u64);
        if let Err(error) = self.store.read(self.index + 1, high, max_bytes, &mut self.read) {
            panic!("group {}: cannot read the log back: {error}", self.group);
        }
        for entry in self.read.drain(..) {
            assert_eq!(entry.index, self.index + 1, "log_matching: entries are pulled in order");
            self.index = entry.index;
            let bytes = entry.memory_bytes();
            match EntryFill::of(&entry.context).expect("entries are checked before they enter a log") {
                EntryFill::Nothing => {}
                EntryFill::Skip { place } => {
                    self.place = place;
                    self.floors.push(self.index, place);
                    merge.push(self.group, place, Fill::Skip);
                }
                EntryFill::Commands { place } => {
                    self.place = place;
                    self.floors.push(self.index, place);
                    merge.push(self.group, place, Fill::Commands(entry));
                }
            }
            self.bytes += bytes;
            self.ahead.push_back(Ahead { index: self.index, place: self.place, bytes });
        }
    }

    /// The last entry whose slots are all at or before `emitted`, if there is a new one.
    pub fn pass(&mut self, layout: Layout, emitted: GlobalPosition) -> Option<u64> {
        let mut passed = None;
        let group = self.group;
        while let Some(Ahead { index, bytes, .. }) = self.ahead.pop_front_if(|ahead| {
            ahead.place == 0 || layout.position_of(Slot { place: ahead.place, group }) <= emitted
        }) {
            self.bytes -= bytes;
            passed = Some(index);
        }
        passed
    }
}

/// Bytes that a group may pull (at least one entry) while `pulled` bytes are in the merge; 0 if it must not
/// pull.
pub(super) fn room_for(pulled: u64, limit: u64, is_awaited: bool) -> usize {
    if planted::is(Bug::MergeUnbounded) {
        return STRETCH_BYTES;
    }
    match limit.saturating_sub(pulled) {
        0 => is_awaited.into(),
        // A log counts about half of the memory that a small entry takes.
        room => (room / 2).clamp(1, STRETCH_BYTES as u64) as usize,
    }
}
