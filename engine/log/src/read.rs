//! Reads a range of entries: from memory where possible, the rest from disk in long strides.
//!
//! The lock is held for look-ups, never while the disk works. So between look-up and read, an entry may be
//! compacted away and its file reused. The checksum notices that, since each life of a file has a seal of its
//! own, and the entry is looked up again.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::format::{Record, decode_record};
use super::segment::Segment;
use super::store::{LogStore, State};
use super::table::Location;
use super::{LogEntry, LogError, format};

/// The most entries that are returned under one hold of the lock, so that an append does not wait for long.
const ENTRIES_PER_HOLD: usize = 256;
/// The most bytes that one read takes from disk, unless a single entry is longer. The entries share its
/// buffer, so this is also the most memory that a small one keeps alive.
const RUN_BYTES: u64 = 1 << 20;

impl LogStore {
    /// Pushes the entries from `low` to `high` to `out`, in order, up to `max_bytes` (32 for each entry's
    /// head included), but at least one if `low <= high`.
    ///
    /// ```
    /// use bytes::Bytes;
    /// use niagara_log::{Durability, LogConfig, LogEntry};
    ///
    /// let config = LogConfig::new("unused", Durability::Memory, 1);
    /// let (store, _writer) = niagara_log::open(&config, &mut |_| {})?;
    /// let entry = |index| LogEntry { index, term: 1, kind: 0, context: Bytes::new(), data: Bytes::from("x") };
    /// store.append(&[entry(1), entry(2), entry(3)]);
    ///
    /// let mut entries = Vec::new();
    /// store.read(2, 3, usize::MAX, &mut entries)?;
    /// assert_eq!(entries, [entry(2), entry(3)]);
    /// # Ok::<(), niagara_log::LogError>(())
    /// ```
    ///
    /// # Errors
    /// [`LogError::Unavailable`] if the log does not hold all of the range, [`LogError::Corrupt`] or
    /// [`LogError::Io`] if the disk does not return what was written. `out` may then hold the first part of
    /// the range.
    pub fn read(
        &self,
        low: u64,
        high: u64,
        max_bytes: usize,
        out: &mut Vec<LogEntry>,
    ) -> Result<(), LogError> {
        let mut pull = Pull { next: low, high, left: max_bytes as u64, first: true };
        while pull.next <= pull.high {
            let run = match self.lock().next_run(&mut pull, out)? {
                ControlFlow::Continue(Some(run)) => run,
                ControlFlow::Continue(None) => continue,
                ControlFlow::Break(()) => break,
            };
            if let Some(at) = run.read(&mut pull, out)? {
                self.check_moved(pull.next, at)?;
            }
        }
        Ok(())
    }

    /// An entry was not where the look-up had found it. That is fine if it has moved since, or is gone.
    fn check_moved(&self, index: u64, at: Location) -> Result<(), LogError> {
        let state = self.lock();
        if state.table.get(index).is_none_or(|place| place.at != Some(at)) {
            return Ok(());
        }
        let path = state.segment(&at).path.clone();
        let reason = format!("the record of entry {index} does not match its checksum");
        Err(LogError::Corrupt { path, offset: at.offset.into(), reason })
    }
}

#[derive(Clone, Copy)]
struct Pull {
    next: u64,
    high: u64,
    /// Bytes that may still be returned.
    left: u64,
    /// The first entry is returned whatever its size.
    first: bool,
}

impl Pull {
    /// Whether an entry of that size may still be returned; if so, counts it.
    fn admit(&mut self, bytes: u64) -> bool {
        if bytes > self.left && !self.first {
            return false;
        }
        self.first = false;
        self.left = self.left.saturating_sub(bytes);
        self.next += 1;
        true
    }
}

impl State {
    /// Returns entries that are in memory, or else plans a read from disk. Breaks when the limit is reached.
    fn next_run(
        &self,
        pull: &mut Pull,
        out: &mut Vec<LogEntry>,
    ) -> Result<ControlFlow<(), Option<ContiguousRead>>, LogError> {
        self.check_range(pull.next, pull.high)?;
        if pull.next < self.first_cached() {
            let run = ContiguousRead::plan(self, *pull);
            return Ok(run.map_or(ControlFlow::Break(()), |run| ControlFlow::Continue(Some(run))));
        }
        let from = (pull.next - self.first_cached()) as usize;
        let count = (pull.high - pull.next + 1).min(ENTRIES_PER_HOLD as u64) as usize;
        for entry in self.cache.range(from..from + count) {
            if !pull.admit(format::entry_bytes(entry)) {
                return Ok(ControlFlow::Break(()));
            }
            out.push(entry.clone());
        }
        Ok(ControlFlow::Continue(None))
    }
}

/// Neighbouring records, for one read.
struct ContiguousRead {
    segment: Arc<Segment>,
    /// Where each entry is, starting with the pull's next one, in the order of the file.
    records: Vec<Location>,
}

impl ContiguousRead {
    /// The longest run that starts with the pull's next entry; `None` if the limit admits no more.
    fn plan(state: &State, mut pull: Pull) -> Option<ContiguousRead> {
        let mut records: Vec<Location> = Vec::new();
        while pull.next <= pull.high && pull.next < state.first_cached() {
            let place =
                state.table.get(pull.next).expect("the range was checked under the same hold of the lock");
            let at = place.at.expect("an entry leaves memory only when it is written");
            let neighbours = records.first().zip(records.last()).is_none_or(|(first, last)| {
                // Replaced entries and frame headers may lie between two entries, and are read with them.
                at.segment == last.segment
                    && u64::from(at.offset) >= last.end()
                    && at.end() <= u64::from(first.offset) + RUN_BYTES
            });
            if !neighbours || !pull.admit(at.length.into()) {
                break;
            }
            records.push(at);
        }
        let segment = Arc::clone(state.segment(records.first()?));
        Some(ContiguousRead { segment, records })
    }

    /// Reads the run and returns its entries. Stops at the first one that is not in its place, and returns
    /// that place.
    fn read(self, pull: &mut Pull, out: &mut Vec<LogEntry>) -> Result<Option<Location>, LogError> {
        let (Some(first), Some(last)) = (self.records.first(), self.records.last()) else {
            return Ok(None);
        };
        let start = u64::from(first.offset);
        let Some(bytes) = self.segment.read_if_there(start, (last.end() - start) as usize)? else {
            return Ok(Some(*first));
        };
        for at in self.records {
            let record = bytes.slice((u64::from(at.offset) - start) as usize..(at.end() - start) as usize);
            match decode_record(self.segment.seal, &record) {
                Some((Record::Entry(entry), _)) if entry.index == pull.next => {
                    pull.admit(at.length.into());
                    out.push(entry);
                }
                _ => return Ok(Some(at)),
            }
        }
        Ok(None)
    }
}
