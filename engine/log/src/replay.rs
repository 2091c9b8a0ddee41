//! Replays what an earlier process left, finds its end, and refuses damage. `FORMAT.md` has the rules.

use std::num::NonZeroU64;
use std::path::Path;

use bytes::Bytes;

use super::format::{Note, Record};
use super::frame::{Frame, decode_frame, find_later};
use super::segment::Segment;
use super::table::{Location, Table, TableEntry};
use super::{EntryId, HardState, LogError, Replayed};
use crate::planted::{self, Bug};

/// Every index, frame number and segment number is below this: a log that counts a billion a second gets
/// there in 292 years. A higher one is damage, and below it no sum overflows.
const NUMBERS_END: u64 = 1 << 63;

/// What the segments say, read from first to last.
pub(super) struct Replay {
    pub table: Table,
    /// The last entry written.
    pub last: EntryId,
    pub hard_state: HardState,
    /// Sequence number of the next frame.
    pub sequence: u64,
    /// Contents of each segment read.
    pub found: Vec<ReplayedLog>,
    /// Number of segments up to the end of the log. Those after it are not used yet.
    pub in_use: usize,
    /// The floor that the log records.
    pub floor: EntryId,
    /// Index of the floor of the last reset; no entry up to it may follow. 0 if there was no reset.
    reset: u64,
}

pub(super) struct ReplayedLog {
    /// How many frames belong to the log.
    pub frames: u64,
    /// Where its last frame starts; equals `end` if it has none.
    pub last_frame: u64,
    /// Where its frames end.
    pub end: u64,
    /// Whether anything but zeros follows them.
    pub leftovers: bool,
    /// Lowest index of an entry in it that counts; `u64::MAX` if it holds none.
    pub lowest: u64,
}

impl ReplayedLog {
    /// Of a segment without frames.
    fn empty(segment: &Segment) -> Self {
        let start = segment.frames_start();
        ReplayedLog { frames: 0, last_frame: start, end: start, leftovers: false, lowest: u64::MAX }
    }
}

type Visit<'v> = &'v mut dyn FnMut(Replayed<'_>);

impl Replay {
    /// Reads all segments of a log, given in order. Changes nothing.
    pub fn of(dir: &Path, segments: &[Segment], visit: Visit<'_>) -> Result<Replay, LogError> {
        let mut replay = Replay::new();
        for i in 0..segments.len() {
            replay.segment(&segments[..=i], visit)?;
        }
        replay.finish(dir, segments)?;
        Ok(replay)
    }

    pub fn new() -> Replay {
        Replay {
            table: Table::default(),
            last: EntryId::default(),
            hard_state: HardState::default(),
            sequence: 1,
            found: Vec::new(),
            in_use: 0,
            floor: EntryId::default(),
            reset: 0,
        }
    }

    /// Reads the last of these segments; those before it have been read already. After an error, `self` holds
    /// what precedes the damage.
    pub fn segment(&mut self, segments: &[Segment], visit: Visit<'_>) -> Result<(), LogError> {
        let Some((segment, before)) = segments.split_last() else { return Ok(()) };
        if segment.number >= NUMBERS_END {
            return Err(damaged(segment, 0, "no log has that many segments"));
        }
        if before.last().is_some_and(|before| before.number + 1 != segment.number) {
            return Err(damaged(segment, 0, "the segment before this one is missing"));
        }
        let bytes = segment.read_all()?;
        let mut found = ReplayedLog::empty(segment);
        // A segment without a frame ends the log. It exists if it had been prepared and was not needed yet.
        let ended = self.in_use < before.len();
        let mut read =
            if ended { Ok(()) } else { self.frames(segment, before.is_empty(), &bytes, &mut found, visit) };
        if read.is_ok() {
            let known = if ended { self.sequence - 1 } else { self.sequence };
            read = self.check_behind(segments, found.end, &bytes, known);
        }
        found.leftovers = bytes[found.end as usize..].iter().any(|byte| *byte != 0);
        self.in_use += usize::from(before.is_empty() || found.frames > 0);
        self.found.push(found);
        read
    }

    /// Contents of the segment to be written next; `None` if there is no segment.
    pub fn active(&self) -> Option<&ReplayedLog> {
        self.found[..self.in_use].last()
    }

    /// Drops what is compacted away, and checks that nothing is missing, once all segments are read.
    pub fn finish(&mut self, dir: &Path, segments: &[Segment]) -> Result<(), LogError> {
        if let Some(first) = segments.first() {
            self.settle_floor().map_err(|reason| damaged(first, 0, &reason))?;
        }
        let (commit, last) = (self.hard_state.commit, self.table.last());
        if commit > last {
            return Err(LogError::Lost { dir: dir.to_owned(), commit, last });
        }
        Ok(())
    }

    /// Reads the frames of a segment, as long as each has the next number.
    fn frames(
        &mut self,
        segment: &Segment,
        is_first: bool,
        bytes: &Bytes,
        found: &mut ReplayedLog,
        visit: Visit<'_>,
    ) -> Result<(), LogError> {
        while let Some(frame) = decode_frame(segment.seal, segment.block, bytes, found.end as usize) {
            let opening = found.frames == 0;
            let compacted_before = is_first && segment.number > 1;
            if compacted_before && opening && frame.sequence < NUMBERS_END {
                self.sequence = frame.sequence;
            }
            if frame.sequence != self.sequence && !planted::is(Bug::RecycledSegmentTrusted) {
                break;
            }
            if !starts_where_due(&frame, opening) {
                let reason = "a segment's first frame opens with a start, and no other frame does";
                return Err(damaged(segment, found.end, reason));
            }
            let end = frame.end as u64;
            self.frame(frame, segment, is_first, &mut found.lowest, visit)?;
            (found.last_frame, found.end) = (found.end, end);
            found.frames += 1;
            self.sequence += 1;
        }
        Ok(())
    }

    fn frame(
        &mut self,
        frame: Frame,
        segment: &Segment,
        is_first: bool,
        lowest: &mut u64,
        visit: Visit<'_>,
    ) -> Result<(), LogError> {
        let number = NonZeroU64::new(segment.number).expect("segments are numbered from 1");
        for (offset, length, record) in frame.records {
            let result = match record {
                Record::Note(Note::Start(last)) => self.start(last, is_first),
                Record::Note(Note::Floor(floor)) => self.floor(floor),
                Record::Note(Note::HardState(state)) => {
                    self.hard_state = state;
                    Ok(())
                }
                Record::Note(Note::Reset(floor)) => {
                    *lowest = u64::MAX;
                    self.reset(floor).map(|()| visit(Replayed::Reset(floor)))
                }
                Record::Entry(entry) => {
                    *lowest = (*lowest).min(entry.index);
                    // Both fit: files longer than 32 bits can address are refused when they are loaded.
                    let at = Location { segment: number, offset: offset as u32, length: length as u32 };
                    self.entry(entry.id(), at).map(|()| visit(Replayed::Entry(&entry)))
                }
            };
            result.map_err(|reason| damaged(segment, offset as u64, &reason))?;
        }
        Ok(())
    }

    /// A new segment says which entry was written last.
    fn start(&mut self, last: EntryId, is_first: bool) -> Result<(), String> {
        if last.index >= NUMBERS_END {
            return Err(format!("the segment continues from {last:?}, but no log has that many entries"));
        }
        if is_first {
            self.last = last;
            self.table = Table::new(last);
        } else if self.last != last {
            return Err(format!(
                "the segment continues from {last:?}, but the one before ends with {:?}",
                self.last
            ));
        }
        Ok(())
    }

    fn floor(&mut self, floor: EntryId) -> Result<(), String> {
        if floor.index >= NUMBERS_END {
            return Err(format!("the log is compacted to {floor:?}, but no log has that many entries"));
        }
        self.floor = floor;
        Ok(())
    }

    /// Drops everything so far.
    fn reset(&mut self, floor: EntryId) -> Result<(), String> {
        if floor.index >= NUMBERS_END {
            return Err(format!("the log is reset to {floor:?}, but no log has that many entries"));
        }
        self.found.iter_mut().for_each(|found| found.lowest = u64::MAX);
        self.table = Table::new(floor);
        (self.last, self.floor, self.reset) = (floor, floor, floor.index);
        Ok(())
    }

    fn entry(&mut self, id: EntryId, at: Location) -> Result<(), String> {
        if id.index <= self.reset || id.index > self.table.last() + 1 {
            return Err(format!("{id:?} cannot follow {:?}", self.last));
        }
        if id.index < self.table.first() {
            // A compacted log may begin in the middle of entries that were replaced later. The end of the log
            // tells its floor.
            self.table = Table::new(EntryId { index: id.index - 1, term: 0 });
        }
        self.table.put(id.index, TableEntry { term: id.term, at: Some(at) });
        self.last = id;
        Ok(())
    }

    /// Checks what follows the valid frames of a segment: nothing, or the torn tail of the last write, but no
    /// frame with a number above `known`.
    fn check_behind(&self, segments: &[Segment], end: u64, bytes: &[u8], known: u64) -> Result<(), LogError> {
        let (segment, i) = (&segments[segments.len() - 1], segments.len() - 1);
        let empty = end == segment.frames_start();
        if i == 0 && segment.number > 1 && empty {
            // The segments before it were removed only when a frame in it, or after it, had been synced.
            return Err(damaged(segment, end, "the first frame of the log is damaged"));
        }
        let later = find_later(segment.seal, segment.block, bytes, end as usize, known);
        let Some(later) = later else { return Ok(()) };
        let reason = format!(
            "frame {} is damaged, but a later one, at offset {later} of {}, shows that it had been synced",
            self.sequence,
            segment.path.display()
        );
        if empty && self.in_use > 0 {
            let broken = self.in_use - 1;
            return Err(damaged(&segments[broken], self.found[broken].end, &reason));
        }
        Err(damaged(segment, end, &reason))
    }

    /// Drops what is compacted away, and checks that nothing else is missing.
    fn settle_floor(&mut self) -> Result<(), String> {
        let (floor, first) = (self.floor, self.table.first());
        if floor.index + 1 < first {
            return Err(format!(
                "the log is compacted to entry {} only, but begins at entry {first}: segments are missing",
                floor.index
            ));
        }
        if floor.index + 1 == first {
            self.table.restate_floor(floor);
        } else if self.table.term(floor.index) == Some(floor.term) {
            self.table.compact_to(floor);
        } else {
            return Err(format!("the log is compacted to {floor:?}, but does not hold it"));
        }
        Ok(())
    }
}

/// Whether a frame opens with a start if and only if it is the first of its segment. A segment without one
/// could not be read once those before it are gone.
fn starts_where_due(frame: &Frame, first: bool) -> bool {
    let is_start = |(_, _, record): &(usize, usize, Record)| matches!(record, Record::Note(Note::Start(_)));
    let (opening, rest) = frame.records.split_at(frame.records.len().min(1));
    opening.iter().any(is_start) == first && !rest.iter().any(is_start)
}

fn damaged(segment: &Segment, offset: u64, reason: &str) -> LogError {
    LogError::Corrupt { path: segment.path.clone(), offset, reason: reason.to_owned() }
}
