//! The start of a log: replay what is on disk, cut off a torn tail, refuse what is damaged. `FORMAT.md` has the rules.

use std::collections::VecDeque;
use std::num::NonZeroU64;
use std::sync::Arc;

use super::directory::Directory;
use super::format::{HEADER_BYTES, Note, Record};
use super::frame::{ALIGNMENT, decode_frame, find_later};
use super::preparer::Preparer;
use super::segment::Segment;
use super::store::LogStore;
use super::table::{Location, Place, Table};
use super::writer::{Held, LogWriter, Tail};
use super::{Durability, Floor, HardState, LogConfig, LogEntry, LogError};

/// Opens a log, and creates it if there is none.
///
/// `visit` sees each entry on disk once, in the order in which they were written. One with a lower index than the one
/// before replaces what stood from there on. It may also see entries that are compacted away, that is, below
/// [`LogStore::first_index`]. An entry's parts are slices of the segment's buffer: copy what is to be kept.
///
/// The caller sees to it that a directory is opened once at a time.
///
/// ```
/// use bytes::Bytes;
/// use niagara_engine::log::{self, Durability, HardState, LogConfig, LogEntry};
///
/// let dir = tempfile::tempdir()?;
/// let config = LogConfig::new(dir.path().join("group-1"), Durability::Os, 1);
/// let entry = LogEntry { index: 1, term: 1, kind: 0, context: Bytes::new(), data: Bytes::from("hello") };
/// {
///     let (store, mut writer) = log::open(&config, &mut |_| unreachable!("it is new"))?;
///     store.append(&[entry.clone()]);
///     writer.write(&[entry.clone()], Some(HardState { term: 1, vote: 2, commit: 0 }))?;
/// }
/// let mut seen = Vec::new();
/// let (store, _writer) = log::open(&config, &mut |entry| seen.push(entry.clone()))?;
/// assert_eq!(seen, [entry]);
/// assert_eq!((store.last_index(), store.hard_state().vote), (1, 2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`LogError::Corrupt`] and [`LogError::Lost`] if acknowledged data is damaged or missing, [`LogError::Foreign`] and
/// [`LogError::Version`] if the files are not for this log or program, [`LogError::Io`], and
/// [`LogError::SegmentBytes`].
pub fn open(
    config: &LogConfig,
    visit: &mut dyn FnMut(&LogEntry),
) -> Result<(LogStore, LogWriter), LogError> {
    config.check()?;
    if config.durability == Durability::Memory {
        let store = LogStore::new(Table::default(), VecDeque::new(), HardState::default(), None);
        return Ok((store.clone(), LogWriter::in_memory(store)));
    }
    let durable = config.durability == Durability::Fsync;
    let directory = Arc::new(Directory::open(config, durable)?);
    let mut segments = directory.load()?;
    let replay = Replay::of(&directory, &segments, visit)?;

    // Nothing is changed before all that is there has been found to be in order.
    directory.remove_unfinished()?;
    let unused = segments.split_off(replay.used.len());
    repair(&directory, &mut segments, &replay)?;

    let lowest = replay.used.iter().map(|used| used.lowest).chain([u64::MAX]);
    let held = segments.into_iter().zip(lowest);
    let segments: VecDeque<Held> =
        held.map(|(segment, lowest)| Held { segment: Arc::new(segment), lowest }).collect();
    let next = segments.back().map_or(1, |held| held.segment.number) + 1;
    // The newest goes first, so that no crash leaves a gap.
    let unused = unused.into_iter().rev().map(Arc::new).collect();
    let preparer = Preparer::start(Arc::clone(&directory), unused, next)?;

    let in_use = segments.iter().map(|held| Arc::clone(&held.segment)).collect();
    let tail = Tail {
        segments,
        position: replay.position(),
        sequence: replay.sequence,
        last: replay.last,
        floor: replay.table.floor(),
        hard_state: replay.hard_state,
    };
    let store = LogStore::new(replay.table, in_use, tail.hard_state, Some(config.cache_bytes as u64));
    Ok((store.clone(), LogWriter::on_disk(store, directory, preparer, tail)))
}

/// Makes the segments fit to be written on: a first one, no leftovers behind the last frame, and all of it durable.
fn repair(directory: &Directory, segments: &mut Vec<Segment>, replay: &Replay) -> Result<(), LogError> {
    if segments.is_empty() {
        segments.push(directory.create(1, None)?);
    }
    if let Some(active) = segments.last_mut() {
        if replay.used.last().is_some_and(|used| used.leftovers) {
            let (path, offset) = (active.path.display(), replay.position());
            tracing::info!(%path, offset, "erasing what stands behind the last frame of the log");
            active.erase(offset)?;
        }
        let wanted = active.bytes.max(directory.segment_bytes()).next_multiple_of(ALIGNMENT);
        if active.bytes < wanted {
            active.grow(wanted, directory.is_durable())?;
        }
    }
    // The former process may have died between a write and its sync, and Raft is about to count all of it as durable.
    for segment in segments.iter() {
        segment.sync_all()?;
    }
    directory.sync()
}

/// What the segments say, read from the first to the last.
struct Replay {
    table: Table,
    /// The last entry written; `table` may know it as its floor only.
    last: Floor,
    floor: Floor,
    hard_state: HardState,
    /// The number of the frame that is to follow.
    sequence: u64,
    /// The segments up to the end of the log.
    used: Vec<Used>,
}

/// What a segment of the log was found to hold.
struct Used {
    /// Where its frames end.
    end: u64,
    /// Whether something other than zeros stands behind them.
    leftovers: bool,
    /// The lowest index of an entry in it.
    lowest: u64,
}

impl Replay {
    fn of(
        directory: &Directory,
        segments: &[Segment],
        visit: &mut dyn FnMut(&LogEntry),
    ) -> Result<Replay, LogError> {
        let mut replay = Replay {
            table: Table::default(),
            last: Floor::default(),
            floor: Floor::default(),
            hard_state: HardState::default(),
            sequence: 1,
            used: Vec::new(),
        };
        for (i, segment) in segments.iter().enumerate() {
            if segment.number != segments[0].number + i as u64 {
                return Err(damaged(segment, 0, "the segment before this one is missing".into()));
            }
            replay.segment(segments, i, visit)?;
        }
        if let Some(first) = segments.first() {
            replay.settle_floor(first)?;
        }
        let (commit, last) = (replay.hard_state.commit, replay.table.last());
        if commit > last {
            return Err(LogError::Lost { dir: directory.path().to_owned(), commit, last });
        }
        Ok(replay)
    }

    /// Where the next frame goes in the last segment of the log.
    fn position(&self) -> u64 {
        self.used.last().map_or(HEADER_BYTES, |used| used.end)
    }

    fn segment(
        &mut self,
        segments: &[Segment],
        i: usize,
        visit: &mut dyn FnMut(&LogEntry),
    ) -> Result<(), LogError> {
        let segment = &segments[i];
        let bytes = segment.read_all()?;
        let mut used = Used { end: HEADER_BYTES, leftovers: false, lowest: u64::MAX };
        let mut frames = 0;
        while let Some(frame) = decode_frame(segment.seal, &bytes, used.end as usize) {
            // After compaction the log begins with a segment in whose first frame any number may stand.
            let begins = i == 0 && segment.number > 1 && frames == 0;
            if frame.sequence != self.sequence && !begins {
                break;
            }
            if self.used.len() < i {
                return Err(damaged(segment, used.end, "a segment without a frame stands before this one".into()));
            }
            for (at, length, record) in frame.records {
                let opens = frames == 0 && at == first_record(used.end);
                let result = match record {
                    Record::Note(note) => self.note(note, opens, i == 0),
                    Record::Entry(_) if opens => Err("the segment does not begin with a start record".into()),
                    Record::Entry(entry) => {
                        used.lowest = used.lowest.min(entry.index);
                        self.entry(&entry, location(segment, at, length)).map(|()| visit(&entry))
                    }
                };
                result.map_err(|reason| damaged(segment, at as u64, reason))?;
            }
            (self.sequence, used.end, frames) = (frame.sequence + 1, frame.end as u64, frames + 1);
        }
        self.check_end(segments, i, &bytes, used.end, frames)?;
        if frames > 0 || i == 0 {
            used.leftovers = bytes[used.end as usize..].iter().any(|byte| *byte != 0);
            self.used.push(used);
        }
        Ok(())
    }

    /// Looks behind the last valid frame: whatever stands there must be the torn tail of the last write.
    fn check_end(
        &self,
        segments: &[Segment],
        i: usize,
        bytes: &[u8],
        end: u64,
        frames: u64,
    ) -> Result<(), LogError> {
        let segment = &segments[i];
        if i == 0 && segment.number > 1 && frames == 0 {
            // A segment is removed only when a later one holds a synced frame.
            return Err(damaged(segment, end, "the first frame of the log is damaged".into()));
        }
        let Some(later) = find_later(segment.seal, bytes, end as usize, self.sequence) else { return Ok(()) };
        let reason = format!(
            "frame {} is damaged, but a later one, at offset {later} of {}, shows that it had been synced",
            self.sequence,
            segment.path.display()
        );
        match self.used.last() {
            Some(before) if frames == 0 => Err(damaged(&segments[self.used.len() - 1], before.end, reason)),
            _ => Err(damaged(segment, end, reason)),
        }
    }

    fn entry(&mut self, entry: &LogEntry, at: Location) -> Result<(), String> {
        let (index, term) = (entry.index, entry.term);
        if index == 0 || index > self.table.last() + 1 {
            return Err(format!("entry {index} cannot follow entry {}", self.table.last()));
        }
        if index < self.table.first() {
            // A compacted log may begin in the middle of what was replaced later.
            self.table = Table::new(Floor { index: index - 1, term: 0 });
        }
        self.table.put(index, Place { term, at: Some(at) });
        self.last = Floor { index, term };
        Ok(())
    }

    fn note(&mut self, note: Note, opens: bool, first_segment: bool) -> Result<(), String> {
        match note {
            Note::Start { index, term } if opens && first_segment => {
                self.last = Floor { index, term };
                self.table = Table::new(self.last);
            }
            Note::Start { index, term } if opens => {
                if self.last != (Floor { index, term }) {
                    return Err(format!("the segment follows entry {index}, but the last is {}", self.last.index));
                }
            }
            Note::Start { .. } => return Err("a start record stands within a segment".into()),
            _ if opens => return Err("the segment does not begin with a start record".into()),
            Note::Floor(floor) => self.floor = floor,
            Note::HardState(state) => self.hard_state = state,
        }
        Ok(())
    }

    /// Drops what is compacted away, and makes sure that nothing else is missing.
    fn settle_floor(&mut self, first: &Segment) -> Result<(), LogError> {
        let (floor, known) = (self.floor, self.table.floor());
        if floor.index < known.index {
            let reason = format!(
                "the log is compacted to entry {} only, but the first that is there is {}: segments are missing",
                floor.index,
                known.index + 1
            );
            return Err(damaged(first, 0, reason));
        }
        if floor.index == known.index {
            self.table.restate_floor(floor);
        } else if self.table.term(floor.index) == Some(floor.term) {
            self.table.compact_to(floor);
        } else {
            let reason = format!("the log is compacted to {floor:?}, which it does not hold");
            return Err(damaged(first, 0, reason));
        }
        Ok(())
    }
}

fn first_record(frame: u64) -> usize {
    (frame + super::frame::FRAME_HEAD_BYTES) as usize
}

fn location(segment: &Segment, at: usize, length: usize) -> Location {
    // Both fit: longer files than 32 bits can address are refused when they are loaded.
    let number = NonZeroU64::new(segment.number).expect("segments are numbered from 1");
    Location { segment: number, offset: at as u32, length: length as u32 }
}

fn damaged(segment: &Segment, offset: u64, reason: String) -> LogError {
    LogError::Corrupt { path: segment.path.clone(), offset, reason }
}
