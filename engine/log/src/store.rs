//! The shared view of a log: which entries it has, and the payload of hot ones.
//!
//! One mutex guards it. It is taken once per batch and never held during input or output, and payloads are
//! freed after it is released.

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use parking_lot::{Mutex, MutexGuard};

use super::format::entry_bytes;
use super::segment::Segment;
use super::table::{Location, Table, TableEntry};
use super::{EntryId, HardState, Held, LogEntry, LogError};

/// The view of a log that threads share; a clone is another handle to the same log. See
/// [`open`](super::open).
#[derive(Clone, Debug)]
pub struct LogStore(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    recovered: HardState,
    written_bytes: AtomicU64,
}

/// Sizes of a log at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogSize {
    /// Number of entries in the log.
    pub entries: u64,
    /// Bytes of entries in memory, 32 for each head included.
    pub cached_bytes: u64,
    /// Length of all segment files in use, in bytes.
    pub disk_bytes: u64,
    /// Number of segment files in use.
    pub segments: u64,
}

impl LogSize {
    /// Bytes in memory and on disk.
    pub fn bytes(&self) -> u64 {
        self.disk_bytes + self.cached_bytes
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Written {
    pub id: EntryId,
    pub at: Location,
}

#[derive(Debug)]
pub(super) struct State {
    pub table: Table,
    /// The newest entries, without a gap up to the last. It holds all entries that are not written yet.
    pub cache: VecDeque<LogEntry>,
    /// The segments in use. Their numbers are contiguous and rise.
    pub segments: VecDeque<Arc<Segment>>,
    cached_bytes: u64,
    /// Bound on `cached_bytes` as far as entries are written; `None` if there is no disk to read them back
    /// from.
    cache_bytes: Option<u64>,
    /// Up to this index, no reader that matters needs entries in memory.
    released: u64,
    /// Resets that the writer has yet to make. Unused without a disk.
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
        let written_bytes = AtomicU64::new(0);
        LogStore(Arc::new(Shared { state: Mutex::new(state), recovered, written_bytes }))
    }

    /// Adds entries at the end, or from a lower index on, where they replace everything from there (Raft,
    /// section 5.3). Every reader sees them at once; they are durable when
    /// [`LogWriter::write`](super::LogWriter::write) has returned. The caller must not replace a committed
    /// entry, which would break Raft's promise.
    ///
    /// # Panics
    /// If the entries are not contiguous, would leave a hole (invariant no_holes) or replace a compacted
    /// entry (compaction_floor), or if one exceeds [`ENTRY_BYTES_MAX`](super::ENTRY_BYTES_MAX).
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

    /// Index of the first entry that the log holds or will hold; 1 if it was never compacted.
    pub fn first_index(&self) -> u64 {
        self.lock().table.first()
    }

    /// Index of the last entry; the floor's if there is none, so 0 for a new log.
    pub fn last_index(&self) -> u64 {
        self.lock().table.last()
    }

    /// The term of an entry, or of the floor, which is that of index 0 if the log was never compacted. `None`
    /// below the floor and after the last entry.
    pub fn term(&self, index: u64) -> Option<u64> {
        self.lock().table.term(index)
    }

    /// Last entry that is compacted away.
    pub fn floor(&self) -> EntryId {
        self.lock().table.floor()
    }

    /// The floor and the last entry, which are the same if the log is empty.
    pub fn ends(&self) -> (EntryId, EntryId) {
        let table = &self.lock().table;
        let index = table.last();
        let term = table.term(index).expect("a log knows the terms of its entries, and of its floor");
        (table.floor(), EntryId { index, term })
    }

    /// The hard state on disk when the log was opened; the caller remembers later ones.
    pub fn hard_state(&self) -> HardState {
        self.0.recovered
    }

    /// What the log held when it was opened, or was reset to since. The writer knows its segments.
    pub fn held(&self) -> Held {
        let state = self.lock();
        let index = state.table.last();
        let last = EntryId { index, term: state.table.term(index).unwrap_or(0) };
        Held { segment: 0, last, hard_state: self.0.recovered }
    }

    /// Reports that the merge, the reader for whom entries stay in memory, has passed this index: these leave
    /// memory as soon as they are written. Others leave when they exceed the configured bytes, the oldest
    /// first. With [`Durability::Memory`](super::Durability::Memory) nothing leaves.
    pub fn release(&self, through: u64) {
        let mut state = self.lock();
        state.released = state.released.max(through);
        let evicted = state.evict();
        drop(state);
        drop(evicted);
    }

    /// Compacts: drops the entries up to an index from the view, at once. Their files are removed when the
    /// returned floor is passed to [`LogWriter::compact`](super::LogWriter::compact). An index that is
    /// compacted already changes nothing.
    ///
    /// # Panics
    /// If the log ends before that index.
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

    /// Resets: drops all entries from the view, at once. The log is then empty and continues above the floor,
    /// which is the last entry of a snapshot and need not have been in the log (Raft, section 7). Pass the
    /// floor to [`LogWriter::reset`](super::LogWriter::reset) in its place among the writes.
    ///
    /// Readers of dropped entries get [`LogError::Unavailable`].
    ///
    /// # Panics
    /// If the log is compacted further than that (invariant compaction_floor).
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

    /// Current sizes of the log.
    pub fn size(&self) -> LogSize {
        let state = self.lock();
        LogSize {
            entries: state.table.len(),
            cached_bytes: state.cached_bytes,
            disk_bytes: state.segments.iter().map(|segment| segment.bytes).sum(),
            segments: state.segments.len() as u64,
        }
    }

    /// Bytes written to disk since the log was opened: entries, what surrounds them, and the padding up to
    /// whole blocks. It only grows.
    pub fn written_bytes(&self) -> u64 {
        self.0.written_bytes.load(Relaxed)
    }

    /// The writer has started a segment.
    pub(super) fn add_segment(&self, segment: Arc<Segment>) {
        let mut state = self.lock();
        assert!(state.segments.back().is_none_or(|last| last.number + 1 == segment.number));
        state.segments.push_back(segment);
    }

    /// The writer has written entries, in so many bytes on disk, so their copies in memory may go.
    ///
    /// The writer does everything in the same order as the view. So as long as a reset is due, it writes
    /// entries that were dropped. The view may hold such an entry again, and that one has yet to be written,
    /// too: the place where it is now is about to go.
    pub(super) fn written(&self, written: &[Written], bytes: u64) {
        self.0.written_bytes.fetch_add(bytes, Relaxed);
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

    /// The writer has made a reset.
    pub(super) fn reset_written(&self) {
        let mut state = self.lock();
        assert!(state.resets_due > 0, "a log is reset in the view before it is on disk");
        state.resets_due -= 1;
    }

    /// Number of the oldest segment that readers may need; `None` if they find everything in memory.
    pub(super) fn first_segment_read(&self) -> Option<u64> {
        self.lock().table.first_segment()
    }

    /// Removes the segments before `number` from the view and returns them.
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
    /// Index of the first entry in memory; one above the last entry if there is none.
    pub fn first_cached(&self) -> u64 {
        self.table.last() + 1 - self.cache.len() as u64
    }

    /// Fails unless the log holds all entries from `low` to `high`.
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

    /// The open segment that holds a location.
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

    /// Takes entries from an index on out of memory: they are about to be replaced.
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

    /// Takes out of memory, oldest first, entries that are written and either released or over the bound.
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
