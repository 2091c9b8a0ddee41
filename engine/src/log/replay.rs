//! Reading what a former life has left: replay it, find its end, refuse what is damaged. `FORMAT.md` has the rules.

use std::num::NonZeroU64;
use std::path::Path;

use super::format::{HEADER_BYTES, Note, Record};
use super::frame::{Frame, decode_frame, find_later};
use super::segment::Segment;
use super::table::{Location, Place, Table};
use super::{EntryId, HardState, LogEntry, LogError};

/// No index, frame or segment has this number or a higher one: a log that counts a billion a second gets there in 292 years.
/// What claims to is damaged, and below it a sum never overflows.
const NUMBERS_END: u64 = 1 << 63;

/// What the segments say, read from the first to the last.
pub(super) struct Replay {
    pub table: Table,
    /// The last entry written.
    pub last: EntryId,
    pub hard_state: HardState,
    /// The number of the frame that is to follow.
    pub sequence: u64,
    /// The segments up to the end of the log.
    pub used: Vec<Used>,
    floor: EntryId,
    /// The last entry that a reset has dropped, or would have: none up to here follows it. 0 if there was no reset.
    reset: u64,
}

/// What a segment of the log was found to hold.
pub(super) struct Used {
    /// Where its last frame starts; where they all end if it has none.
    pub last_frame: u64,
    /// Where its frames end.
    pub end: u64,
    /// Whether something other than zeros stands behind them.
    pub leftovers: bool,
    /// The lowest index of an entry in it that counts; the greatest integer if it holds none.
    pub lowest: u64,
}

/// What a start comes by, in the order in which it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replayed<'a> {
    /// An entry. One with a lower index than the one before replaces everything from there on.
    Entry(&'a LogEntry),
    /// All entries so far are dropped, and the log goes on above this one, whether or not it was there.
    Reset(EntryId),
}

type Visit<'v> = &'v mut dyn FnMut(Replayed<'_>);

impl Replay {
    /// Reads all segments of a log, given in order, and changes nothing.
    pub fn of(dir: &Path, segments: &[Segment], visit: Visit<'_>) -> Result<Replay, LogError> {
        let mut replay = Replay {
            table: Table::default(),
            last: EntryId::default(),
            hard_state: HardState::default(),
            sequence: 1,
            used: Vec::new(),
            floor: EntryId::default(),
            reset: 0,
        };
        for (i, segment) in segments.iter().enumerate() {
            if segment.number >= NUMBERS_END {
                return Err(damaged(segment, 0, "no log has that many segments"));
            }
            if segment.number != segments[0].number + i as u64 {
                return Err(damaged(segment, 0, "the segment before this one is missing"));
            }
            replay.segment(segments, i, visit)?;
        }
        if let Some(first) = segments.first() {
            replay.settle_floor().map_err(|reason| damaged(first, 0, &reason))?;
        }
        let (commit, last) = (replay.hard_state.commit, replay.table.last());
        if commit > last {
            return Err(LogError::Lost { dir: dir.to_owned(), commit, last });
        }
        Ok(replay)
    }

    fn segment(&mut self, segments: &[Segment], i: usize, visit: Visit<'_>) -> Result<(), LogError> {
        let segment = &segments[i];
        let bytes = segment.read_all()?;
        let mut used =
            Used { last_frame: HEADER_BYTES, end: HEADER_BYTES, leftovers: false, lowest: u64::MAX };
        // A segment without a frame ends the log. There is one if it had been prepared, and was not needed yet.
        let ended = self.used.len() < i;
        while !ended && let Some(frame) = decode_frame(segment.seal, &bytes, used.end as usize) {
            let compacted_before = i == 0 && segment.number > 1;
            if compacted_before && used.end == HEADER_BYTES && frame.sequence < NUMBERS_END {
                self.sequence = frame.sequence;
            }
            if frame.sequence != self.sequence {
                break;
            }
            if !starts_where_due(&frame, used.end == HEADER_BYTES) {
                return Err(damaged(
                    segment,
                    used.end,
                    "a segment's first frame opens with a start, and no other",
                ));
            }
            used.last_frame = used.end;
            used.end = frame.end as u64;
            self.sequence += 1;
            self.frame(frame, segment, i == 0, &mut used.lowest, visit)?;
        }
        let known = if ended { self.sequence - 1 } else { self.sequence };
        self.check_behind(segments, i, used.end, &bytes, known)?;
        if i == 0 || used.end > HEADER_BYTES {
            used.leftovers = bytes[used.end as usize..].iter().any(|byte| *byte != 0);
            self.used.push(used);
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
                    // Both fit: longer files than 32 bits can address are refused when they are loaded.
                    let at = Location { segment: number, offset: offset as u32, length: length as u32 };
                    self.entry(entry.id(), at).map(|()| visit(Replayed::Entry(&entry)))
                }
            };
            result.map_err(|reason| damaged(segment, offset as u64, &reason))?;
        }
        Ok(())
    }

    /// A segment begins, and says which entry was written last.
    fn start(&mut self, last: EntryId, is_first: bool) -> Result<(), String> {
        if last.index >= NUMBERS_END {
            return Err(format!("the segment goes on from {last:?}, but no log has that many entries"));
        }
        if is_first {
            self.last = last;
            self.table = Table::new(last);
        } else if self.last != last {
            return Err(format!(
                "the segment goes on from {last:?}, but the one before ends with {:?}",
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

    /// Everything so far counts for nothing.
    fn reset(&mut self, floor: EntryId) -> Result<(), String> {
        if floor.index >= NUMBERS_END {
            return Err(format!("the log is reset to {floor:?}, but no log has that many entries"));
        }
        self.used.iter_mut().for_each(|used| used.lowest = u64::MAX);
        self.table = Table::new(floor);
        (self.last, self.floor, self.reset) = (floor, floor, floor.index);
        Ok(())
    }

    fn entry(&mut self, id: EntryId, at: Location) -> Result<(), String> {
        if id.index <= self.reset || id.index > self.table.last() + 1 {
            return Err(format!("{id:?} cannot follow {:?}", self.last));
        }
        if id.index < self.table.first() {
            // A compacted log may begin in the middle of what was replaced later. Its floor will be known by the end.
            self.table = Table::new(EntryId { index: id.index - 1, term: 0 });
        }
        self.table.put(id.index, Place { term: id.term, at: Some(at) });
        self.last = id;
        Ok(())
    }

    /// Looks at what stands behind the valid frames of a segment: nothing, or the torn tail of the last write, but no
    /// frame with a number above the `known` one.
    fn check_behind(
        &self,
        segments: &[Segment],
        i: usize,
        end: u64,
        bytes: &[u8],
        known: u64,
    ) -> Result<(), LogError> {
        let segment = &segments[i];
        let empty = end == HEADER_BYTES;
        if i == 0 && segment.number > 1 && empty {
            // The segments before it were removed only when a frame in it, or behind it, had been synced.
            return Err(damaged(segment, end, "the first frame of the log is damaged"));
        }
        let Some(later) = find_later(segment.seal, bytes, end as usize, known) else { return Ok(()) };
        let reason = format!(
            "frame {} is damaged, but a later one, at offset {later} of {}, shows that it had been synced",
            self.sequence,
            segment.path.display()
        );
        match self.used.last() {
            Some(before) if empty => Err(damaged(&segments[self.used.len() - 1], before.end, &reason)),
            _ => Err(damaged(segment, end, &reason)),
        }
    }

    /// Drops what is compacted away, and makes sure that nothing else is missing.
    fn settle_floor(&mut self) -> Result<(), String> {
        let (floor, first) = (self.floor, self.table.first());
        if floor.index + 1 < first {
            return Err(format!(
                "the log is compacted to entry {} only, but the first that is there is {first}: segments are missing",
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

/// Whether a frame opens with a start if it is the first of its segment, and has none otherwise. A segment without one could
/// not be read any more once those before it are gone.
fn starts_where_due(frame: &Frame, first: bool) -> bool {
    let is_start = |(_, _, record): &(usize, usize, Record)| matches!(record, Record::Note(Note::Start(_)));
    let (opening, rest) = frame.records.split_at(frame.records.len().min(1));
    opening.iter().any(is_start) == first && !rest.iter().any(is_start)
}

fn damaged(segment: &Segment, offset: u64, reason: &str) -> LogError {
    LogError::Corrupt { path: segment.path.clone(), offset, reason: reason.to_owned() }
}
