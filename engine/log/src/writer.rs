//! The writing side of a log: each batch is one durable write.

use std::num::NonZeroU64;
use std::sync::Arc;

use super::direct::DirectFile;
use super::directory::Directory;
use super::format::{Note, Notes, RECORD_HEAD_BYTES, entry_bytes};
use super::frame::{FRAME_HEAD_BYTES, FrameBuilder, fitting};
use super::preparer::Preparer;
use super::segment::Segment;
use super::store::{LogStore, Written};
use super::sync_method::SyncMethod;
use super::table::Location;
use super::tail::Tail;
use super::{EntryId, HardState, LogEntry, LogError};
use crate::planted::{self, Bug};

/// Number of notes that open a segment's first frame: start, floor, hard state.
const OPENING_NOTES: u64 = 3;

/// The half of a log that makes batches durable. It lives on the thread that writes: the group's log-writer
/// thread with [`Durability::Fsync`](super::Durability::Fsync), the group's own thread otherwise. See
/// [`open`](super::open).
///
/// An error is final: nobody knows what the disk holds until the next start, and later calls fail, too. End
/// the process. Only after [`LogError::NoRoom`] may the same call be retried, when there is room, until it
/// succeeds.
#[derive(Debug)]
pub struct LogWriter {
    store: LogStore,
    /// `None` if the log lives in memory.
    disk: Option<Disk>,
    failed: bool,
}

#[derive(Debug)]
struct Disk {
    directory: Arc<Directory>,
    /// Whether each frame is durable before the next is written.
    durable: bool,
    /// For direct writes to the current segment.
    direct: Option<Arc<dyn DirectFile>>,
    preparer: Preparer,
    store: LogStore,
    tail: Tail,
    /// A segment that could not be extended for lack of room.
    taken: Option<Segment>,
    /// The current frame. It is kept for its buffers, as is the list below.
    frame: FrameBuilder,
    written: Vec<Written>,
    data_sum: fn(&[u8]) -> Option<u32>,
}

impl LogWriter {
    /// The writer of a log that lives in memory.
    pub(super) fn in_memory(store: LogStore) -> Self {
        LogWriter { store, disk: None, failed: false }
    }

    /// The writer of a log on disk, at its tail. The preparer is already preparing the next segment.
    pub(super) fn on_disk(
        store: LogStore,
        directory: Arc<Directory>,
        preparer: Preparer,
        tail: Tail,
        data_sum: fn(&[u8]) -> Option<u32>,
    ) -> Result<Self, LogError> {
        let active = &tail.active().segment;
        let frame = FrameBuilder::new(active.seal, active.block, tail.sequence);
        let durable = directory.is_durable();
        let direct = directory.open_direct(active)?;
        let disk = Disk {
            directory,
            durable,
            direct,
            preparer,
            store: store.clone(),
            tail,
            taken: None,
            frame,
            written: Vec::new(),
            data_sum,
        };
        Ok(LogWriter { store, disk: Some(disk), failed: false })
    }

    /// The shared view of the same log.
    pub fn store(&self) -> &LogStore {
        &self.store
    }

    /// How writes become durable.
    pub fn sync_method(&self) -> &SyncMethod {
        self.disk.as_ref().map_or(&SyncMethod::None, |disk| disk.directory.sync_method())
    }

    /// Writes entries, followed by the hard state. When it returns they survive what the log's durability
    /// promises.
    ///
    /// This takes one durable write, except for the rare batch that meets a segment's end and is split. It
    /// fills whole blocks. So the caller joins what has queued up. It passes entries in the order in which they were appended to
    /// the view, and, as there, one with a lower index than the one before replaces everything from that
    /// index on. The view may have replaced them since.
    ///
    /// ```
    /// use bytes::Bytes;
    /// use niagara_log::{Durability, HardState, LogConfig, LogEntry};
    ///
    /// let dir = tempfile::tempdir()?;
    /// let (store, mut writer) = niagara_log::open(&LogConfig::new(dir.path(), Durability::Os, 1), &mut |_| {})?;
    /// let entry = |index, term| LogEntry { index, term, kind: 0, context: Bytes::new(), data: Bytes::from("x") };
    /// store.append(&[entry(1, 1), entry(2, 1)]);
    /// store.append(&[entry(2, 2)]);
    ///
    /// let state = HardState { term: 2, vote: 3, commit: 1 };
    /// writer.write(&[entry(1, 1), entry(2, 1), entry(2, 2)], Some(state))?;
    /// assert_eq!(store.term(2), Some(2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Panics
    /// If an entry leaves a hole after the one before it, or after those on disk (invariant no_holes), or is
    /// compacted away on disk already (compaction_floor).
    pub fn write(&mut self, entries: &[LogEntry], hard_state: Option<HardState>) -> Result<(), LogError> {
        if entries.is_empty() && hard_state.is_none() {
            return Ok(());
        }
        self.attempt(|disk| disk.write(entries, None, hard_state))
    }

    /// Makes durable that the log is compacted to a floor, which [`LogStore::compact_to`] has returned, and
    /// removes or recycles the segments that hold nothing above it. Entries up to the floor must have been
    /// written before.
    ///
    /// # Panics
    /// If they have not (invariant compaction_floor).
    pub fn compact(&mut self, floor: EntryId) -> Result<(), LogError> {
        self.attempt(|disk| disk.compact(floor))
    }

    /// Makes durable that the log was reset to a floor, as [`LogStore::reset`] has done in the view, and
    /// removes or recycles the segments before the reset. Its place is between the writes of what was
    /// appended before and after it, which therefore cannot be joined. The next entry must be the one after
    /// the floor. `hard_state`, if it changes, becomes durable with the reset, but for what is committed above the floor.
    ///
    /// # Panics
    /// If an entry above the floor is known to be committed (invariant compaction_floor), or if the view was
    /// not reset before.
    pub fn reset(&mut self, floor: EntryId, hard_state: Option<HardState>) -> Result<(), LogError> {
        self.attempt(|disk| disk.reset(floor, hard_state))
    }

    /// Makes everything durable, whatever the mode, if there is a disk. Meant for a clean stop with
    /// [`Durability::Os`](super::Durability::Os).
    pub fn sync(&mut self) -> Result<(), LogError> {
        self.attempt(|disk| disk.sync())
    }

    fn attempt(&mut self, act: impl FnOnce(&mut Disk) -> Result<(), LogError>) -> Result<(), LogError> {
        let Some(disk) = &mut self.disk else { return Ok(()) };
        if self.failed {
            return Err(LogError::Failed);
        }
        let result = act(disk);
        self.failed = result.as_ref().is_err_and(|error| !matches!(error, LogError::NoRoom { .. }));
        result
    }
}

impl Disk {
    /// Writes entries, then the note, then the hard state: in one frame, if they fit into the segment.
    fn write(
        &mut self,
        entries: &[LogEntry],
        note: Option<Note>,
        hard_state: Option<HardState>,
    ) -> Result<(), LogError> {
        let (mut last, floor) = (self.tail.last.index, self.tail.floor.index);
        for entry in entries {
            assert!(entry.index > floor, "compaction_floor: entry {} is compacted away", entry.index);
            assert!(entry.index <= last + 1, "no_holes: entry {} does not follow {last}", entry.index);
            last = entry.index;
        }
        let notes: Notes = [note, hard_state.map(Note::HardState)];
        let count_of_notes = notes.iter().flatten().count() as u64;
        let mut rest = entries;
        loop {
            let (count, bytes) = fitting(rest, self.notes_due() + count_of_notes, self.room());
            let (now, later) = rest.split_at(count);
            if later.is_empty() && bytes <= self.room() {
                return self.put(now, notes);
            }
            if !now.is_empty() {
                let term = hard_state.and_then(|state| self.term_ahead_of(state));
                self.put(now, [None, term.map(Note::HardState)])?;
            }
            rest = later;
            self.roll(rest.first().map_or(0, entry_bytes) + count_of_notes * RECORD_HEAD_BYTES)?;
        }
    }

    /// What the first frame of a write says of the term, if the hard state comes with a later one: entries of a term are never
    /// durable before the term is. Their replacing others would look like a loss.
    fn term_ahead_of(&self, state: HardState) -> Option<HardState> {
        let before = self.tail.hard_state;
        let is_new = (state.term, state.vote) != (before.term, before.vote);
        is_new.then_some(HardState { commit: before.commit, ..state })
    }

    /// Writes one frame. A frame is synced before the next is written, so that at most one can ever be torn.
    fn put(&mut self, entries: &[LogEntry], notes: Notes) -> Result<(), LogError> {
        let opening = self.notes_due() > 0;
        let Disk { durable, direct, store, tail, frame, written, data_sum, .. } = self;
        let segment = &tail.active().segment;
        let number = NonZeroU64::new(segment.number).expect("segments are numbered from 1");

        frame.begin(segment.seal, segment.block, tail.sequence);
        if opening {
            frame.note(Note::Start(tail.last));
            frame.note(Note::Floor(tail.floor));
            frame.note(Note::HardState(tail.hard_state));
        }
        written.clear();
        for entry in entries {
            let start = tail.position + frame.entry(entry, data_sum(&entry.context));
            // Both fit: a segment's length fits 32 bits.
            let (offset, length) = (start as u32, entry_bytes(entry) as u32);
            let at = Location { segment: number, offset, length };
            written.push(Written { id: entry.id(), at });
        }
        notes.into_iter().flatten().for_each(|note| frame.note(note));
        let bytes = frame.finish();
        match direct {
            Some(file) => write_directly(&**file, segment, tail.position, frame)?,
            None => segment.write(tail.position, &mut frame.slices())?,
        }
        if *durable && direct.is_none() && !planted::is(Bug::FallbackNotSynced) {
            let synced = segment.sync_data();
            if !planted::is(Bug::FailedSyncIgnored) {
                synced?;
            }
        }
        // Drop the payloads, which must not outlive their stay in the cache.
        frame.begin(segment.seal, segment.block, tail.sequence);
        tail.wrote(bytes, entries, notes);
        store.written(written, bytes);
        Ok(())
    }

    /// Continues in the next segment, with room for a frame with that many bytes of records besides its
    /// opening.
    fn roll(&mut self, bytes: u64) -> Result<(), LogError> {
        let mut segment = match self.taken.take() {
            Some(segment) => segment,
            None => self.preparer.take(self.tail.bytes())?,
        };
        let opening = FRAME_HEAD_BYTES + OPENING_NOTES * RECORD_HEAD_BYTES;
        let needed = self.directory.whole_blocks(segment.frames_start() + opening + bytes);
        if segment.bytes < needed
            && let Err(error) = segment.grow(needed, self.durable)
        {
            self.taken = Some(segment);
            return Err(error);
        }
        self.direct = self.directory.open_direct(&segment)?;
        let segment = Arc::new(segment);
        self.store.add_segment(Arc::clone(&segment));
        let full = Arc::clone(&self.tail.active().segment);
        self.tail.roll(segment);
        self.directory.close(&full);
        Ok(())
    }

    fn compact(&mut self, floor: EntryId) -> Result<(), LogError> {
        if floor.index <= self.tail.floor.index {
            return Ok(());
        }
        let last = self.tail.last.index;
        assert!(floor.index <= last, "compaction_floor: {floor:?} is above what is written, {last}");
        self.write(&[], Some(Note::Floor(floor)), None)?;
        // The view may differ from the disk while replacements wait to be written, and readers follow the
        // view.
        let needed = self.tail.first_segment_needed(floor);
        let needed = self.store.first_segment_read().map_or(needed, |read| read.min(needed));
        self.retire_before(needed)
    }

    fn reset(&mut self, floor: EntryId, hard_state: Option<HardState>) -> Result<(), LogError> {
        let commit = self.tail.hard_state.commit;
        assert!(
            floor.index >= commit,
            "compaction_floor: {floor:?} is below entry {commit}, which is committed"
        );
        // What is committed above the floor comes with the entries.
        let hard_state = hard_state.map(|state| HardState { commit: state.commit.min(floor.index), ..state });
        self.write(&[], Some(Note::Reset(floor)), hard_state)?;
        if !self.durable {
            // A start resets before it records that it has begun; until then the log counts as cleanly
            // stopped.
            self.sync()?;
        }
        self.store.reset_written();
        self.retire_before(self.tail.active().segment.number)
    }

    fn retire_before(&mut self, number: u64) -> Result<(), LogError> {
        self.tail.segments.retain(|held| held.segment.number >= number);
        self.preparer.retire(self.store.remove_segments_before(number))
    }

    fn sync(&self) -> Result<(), LogError> {
        for held in &self.tail.segments {
            held.segment.sync_all()?;
        }
        self.directory.sync()
    }

    fn notes_due(&self) -> u64 {
        let start = self.tail.active().segment.frames_start();
        if self.tail.position == start { OPENING_NOTES } else { 0 }
    }

    /// Bytes left in the current segment, in whole blocks: a crash may have cut the file anywhere. A segment
    /// that was begun with other blocks counts as full.
    fn room(&self) -> u64 {
        let Segment { bytes, block, .. } = *self.tail.active().segment;
        if block != self.directory.block() {
            return 0;
        }
        (bytes - self.tail.position) / block * block
    }
}

/// Writes a frame, which is durable afterwards.
fn write_directly(
    file: &dyn DirectFile,
    segment: &Segment,
    position: u64,
    frame: &FrameBuilder,
) -> Result<(), LogError> {
    if planted::is(Bug::DirectNotDurable) {
        return segment.write(position, &mut frame.slices());
    }
    match file.write_durably(&mut frame.slices(), position) {
        Err(_) if planted::is(Bug::FailedSyncIgnored) => Ok(()),
        written => written.map_err(LogError::write("write to the log segment", &segment.path)),
    }
}
