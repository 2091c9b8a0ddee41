//! The shared view of a log: which entries there are, and the payload of those that are hot.
//!
//! One mutex guards it. It is taken once per batch, is never held during input or output, and payloads are freed after
//! it is let go.

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use super::format::entry_bytes;
use super::segment::Segment;
use super::table::{Location, Table, TableEntry};
use super::{EntryId, HardState, Held, LogEntry, LogError};

/// The view of a log that threads share; a clone is another handle to the same log. See [`open`](super::open).
#[derive(Clone, Debug)]
pub struct LogStore(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    recovered: HardState,
}

/// The sizes of a log at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogSize {
    /// Entries that the log holds.
    pub entries: u64,
    /// Bytes of entries in memory, 32 for each head included.
    pub cached_bytes: u64,
    /// Length of all segment files in use, in bytes.
    pub disk_bytes: u64,
    /// Segment files in use.
    pub segments: u64,
}

impl LogSize {
    /// Bytes in memory and on disk.
    pub fn bytes(&self) -> u64 {
        self.disk_bytes + self.cached_bytes
    }
}

/// Where the writer has put an entry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Written {
    pub id: EntryId,
    pub at: Location,
}

#[derive(Debug)]
pub(super) struct State {
    pub table: Table,
    /// The newest entries, without a gap up to the last. Entries that are not written yet are all in here.
    pub cache: VecDeque<LogEntry>,
    /// The segments in use, in order of their numbers, which are contiguous.
    pub segments: VecDeque<Arc<Segment>>,
    cached_bytes: u64,
    /// Bound on `cached_bytes`, as far as entries are written; none if there is no disk to read them from again.
    cache_bytes: Option<u64>,
    /// Up to here nobody who matters needs entries in memory any more.
    released: u64,
    /// Resets that the writer has yet to come to. Without a disk nobody asks.
    resets_due: u64,
}

impl LogStore {
    pub(super) fn new(
        table: Table,
        segments: VecDeque<Arc<Segment>>,
        recovered: HardState,
        cache_bytes: Option<u64>,
    ) -> Self {
        let cache = VecDeque::new();
        let state =
            State { table, cache, segments, cached_bytes: 0, cache_bytes, released: 0, resets_due: 0 };
        LogStore(Arc::new(Shared { state: Mutex::new(state), recovered }))
    }

    /// Adds entries at the end, or from a lower index on, where they replace all that stood there (Raft, section 5.3).
    /// Every reader sees them at once; durable they are when [`LogWriter::write`](super::LogWriter::write) has
    /// returned. Replacing a committed entry would break Raft's promise; that it does not happen is the caller's duty.
    ///
    /// # Panics
    /// When the entries are not contiguous, when they would leave a hole (invariant no_holes), when they would replace
    /// a compacted entry (compaction_floor), or when one exceeds [`ENTRY_BYTES_MAX`](super::ENTRY_BYTES_MAX).
    pub fn append(&self, entries: &[LogEntry]) {
        let Some(first) = entries.first() else { return };
        let mut state = self.lock();
        let replaced = state.uncache_from(first.index);
        for (index, entry) in (first.index..).zip(entries) {
            assert!(entry.index == index, "no_holes: entry {} was given as entry {index}", entry.index);
            state.push(entry);
        }
        drop(state);
        drop(replaced);
    }

    /// The first entry that the log holds, or is going to hold: 1 if it was never compacted.
    pub fn first_index(&self) -> u64 {
        self.lock().table.first()
    }

    /// The last entry; the floor if there is none, so 0 for a new log.
    pub fn last_index(&self) -> u64 {
        self.lock().table.last()
    }

    /// The term of an entry, or of the floor, which is that of index 0 if the log was never compacted. Nothing below
    /// the floor and behind the last entry.
    pub fn term(&self, index: u64) -> Option<u64> {
        self.lock().table.term(index)
    }

    /// Up to where the log is compacted.
    pub fn floor(&self) -> EntryId {
        self.lock().table.floor()
    }

    /// Up to where the log is compacted, and its last entry, which is the same if there is none.
    pub fn ends(&self) -> (EntryId, EntryId) {
        let table = &self.lock().table;
        let index = table.last();
        let term = table.term(index).expect("a log knows the terms of its entries, and of its floor");
        (table.floor(), EntryId { index, term })
    }

    /// The hard state as it was on disk when the log was opened; later ones are the caller's to remember.
    pub fn hard_state(&self) -> HardState {
        self.0.recovered
    }

    /// What the log held when it was opened, and since then has been reset to; its segments are the writer's.
    pub fn held(&self) -> Held {
        let state = self.lock();
        let index = state.table.last();
        let last = EntryId { index, term: state.table.term(index).unwrap_or(0) };
        Held { segment: 0, last, hard_state: self.0.recovered }
    }

    /// Says that the reader for whom entries stay in memory, the merge, is past this index: they leave as soon as they
    /// are written. Others leave when there are more than the configured bytes of them, the oldest first. With
    /// [`Durability::Memory`](super::Durability::Memory) nothing leaves.
    pub fn release(&self, through: u64) {
        let mut state = self.lock();
        state.released = state.released.max(through);
        let evicted = state.evict();
        drop(state);
        drop(evicted);
    }

    /// Compacts: drops the entries up to an index from the view, at once. Their files go when the returned floor has
    /// been given to [`LogWriter::compact`](super::LogWriter::compact). An index that is compacted already changes
    /// nothing.
    ///
    /// # Panics
    /// When the log does not reach that index.
    pub fn compact_to(&self, index: u64) -> EntryId {
        let mut state = self.lock();
        if index <= state.table.floor().index {
            return state.table.floor();
        }
        let term = state.table.term(index);
        let term = term.unwrap_or_else(|| panic!("compaction_floor: entry {index} is not in the log"));
        let floor = EntryId { index, term };
        state.table.compact_to(floor);
        let dropped = state.uncache_through(index);
        drop(state);
        drop(dropped);
        floor
    }

    /// Resets: drops all entries from the view, at once, whatever they are. The log is empty, and goes on above the
    /// floor, which is the last entry of a snapshot and need not have been there (Raft, section 7). It is to be given to
    /// [`LogWriter::reset`](super::LogWriter::reset) in its place among the writes.
    ///
    /// Readers of what is gone get [`LogError::Unavailable`].
    ///
    /// # Panics
    /// When the log is compacted further than that (invariant compaction_floor).
    pub fn reset(&self, floor: EntryId) {
        let mut state = self.lock();
        let before = state.table.floor();
        assert!(floor.index >= before.index, "compaction_floor: {floor:?} is below {before:?}");
        let entries = state.uncache_from(0);
        let table = mem::replace(&mut state.table, Table::new(floor));
        state.resets_due += 1;
        drop(state);
        drop((entries, table));
    }

    /// The log's sizes.
    pub fn size(&self) -> LogSize {
        let state = self.lock();
        LogSize {
            entries: state.table.len(),
            cached_bytes: state.cached_bytes,
            disk_bytes: state.segments.iter().map(|segment| segment.bytes).sum(),
            segments: state.segments.len() as u64,
        }
    }

    /// The writer has a new segment.
    pub(super) fn add_segment(&self, segment: Arc<Segment>) {
        let mut state = self.lock();
        assert!(state.segments.back().is_none_or(|last| last.number + 1 == segment.number));
        state.segments.push_back(segment);
    }

    /// The writer has written entries; what stood in for them in memory may go.
    ///
    /// The writer does everything in the order in which the view did it. So as long as a reset is due, it writes what was
    /// dropped. The view may hold such an entry again, and then that has yet to be written, too: where it stands now is
    /// about to go.
    pub(super) fn written(&self, written: &[Written]) {
        let mut state = self.lock();
        if state.resets_due > 0 {
            return;
        }
        for Written { id, at } in written {
            state.table.written(*id, *at);
        }
        let evicted = state.evict();
        drop(state);
        drop(evicted);
    }

    /// The writer has come to a reset.
    pub(super) fn reset_written(&self) {
        let mut state = self.lock();
        assert!(state.resets_due > 0, "a log is reset in the view before it is on disk");
        state.resets_due -= 1;
    }

    /// The oldest segment that readers may be sent to; nothing if they find all in memory.
    pub(super) fn first_segment_read(&self) -> Option<u64> {
        self.lock().table.first_segment()
    }

    /// Takes the segments before a number out of use, and hands them out.
    pub(super) fn remove_segments_before(&self, number: u64) -> Vec<Arc<Segment>> {
        let mut state = self.lock();
        let count = state.segments.iter().take_while(|segment| segment.number < number).count();
        state.segments.drain(..count).collect()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock()
    }
}

impl State {
    /// The first entry that is in memory; one behind the last if there is none.
    pub fn first_cached(&self) -> u64 {
        self.table.last() + 1 - self.cache.len() as u64
    }

    /// An error unless the log holds all entries from `low` to `high`.
    pub fn check_range(&self, low: u64, high: u64) -> Result<(), LogError> {
        let (first, last) = (self.table.first(), self.table.last());
        if low < first {
            return Err(LogError::Unavailable { index: low, first, last });
        }
        if high > last {
            return Err(LogError::Unavailable { index: low.max(last + 1), first, last });
        }
        Ok(())
    }

    /// The open segment that a location names.
    pub fn segment(&self, at: &Location) -> &Arc<Segment> {
        self.segments
            .front()
            .and_then(|first| self.segments.get(at.segment.get().checked_sub(first.number)? as usize))
            .expect("compaction_floor: a segment stays while it holds an entry above the floor")
    }

    fn push(&mut self, entry: &LogEntry) {
        let bytes = entry_bytes(entry);
        assert!(bytes <= super::ENTRY_BYTES_MAX, "an entry of {bytes} bytes is too long for the log");
        self.table.put(entry.index, TableEntry { term: entry.term, at: None });
        self.cache.push_back(entry.clone());
        self.cached_bytes += bytes;
    }

    /// Takes entries from an index on out of memory: they are going to be replaced.
    fn uncache_from(&mut self, index: u64) -> Vec<LogEntry> {
        let keep = index.saturating_sub(self.first_cached()).min(self.cache.len() as u64);
        let replaced = self.cache.split_off(keep as usize);
        self.cached_bytes -= replaced.iter().map(entry_bytes).sum::<u64>();
        replaced.into()
    }

    /// Takes entries up to an index out of memory.
    fn uncache_through(&mut self, index: u64) -> Vec<LogEntry> {
        let count = self.cache.iter().take_while(|entry| entry.index <= index).count();
        let dropped: Vec<LogEntry> = self.cache.drain(..count).collect();
        self.cached_bytes -= dropped.iter().map(entry_bytes).sum::<u64>();
        dropped
    }

    /// Takes out of memory what may leave: from the oldest on, as long as it is written, and released or too much.
    fn evict(&mut self) -> Vec<LogEntry> {
        let Some(bound) = self.cache_bytes else { return Vec::new() };
        let mut left = self.cached_bytes;
        let mut through = 0;
        for entry in &self.cache {
            let written = self.table.get(entry.index).is_some_and(|place| place.at.is_some());
            if !written || (entry.index > self.released && left <= bound) {
                break;
            }
            left -= entry_bytes(entry);
            through = entry.index;
        }
        self.uncache_through(through)
    }
}
