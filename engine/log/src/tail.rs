//! Where a log ends on disk, and which of its segments are still needed.

use std::collections::VecDeque;
use std::sync::Arc;

use super::format::{Note, Notes};
use super::segment::Segment;
use super::{EntryId, HardState, LogEntry};

#[derive(Debug)]
pub(super) struct Tail {
    /// The segments in use; the last one is written to.
    pub segments: VecDeque<HeldSegment>,
    /// Where in the last segment the next frame starts, in bytes.
    pub position: u64,
    /// Sequence number of the next frame.
    pub sequence: u64,
    /// The last entry; the floor if there is none.
    pub last: EntryId,
    pub floor: EntryId,
    pub hard_state: HardState,
}

#[derive(Debug)]
pub(super) struct HeldSegment {
    pub segment: Arc<Segment>,
    /// Lowest index of an entry in it; `u64::MAX` if it holds none. Entries that a reset dropped do not
    /// count.
    pub lowest: u64,
}

impl Tail {
    /// The segment that is written to.
    pub fn active(&self) -> &HeldSegment {
        self.segments.back().expect("a log has a segment that is written")
    }

    /// Length of the segments in use, in bytes.
    pub fn bytes(&self) -> u64 {
        self.segments.iter().map(|held| held.segment.bytes).sum()
    }

    /// Continues in another segment.
    pub fn roll(&mut self, segment: Arc<Segment>) {
        self.position = segment.frames_start();
        self.segments.push_back(HeldSegment { segment, lowest: u64::MAX });
    }

    /// A frame of that many bytes, with these entries followed by those notes, was written.
    pub fn wrote(&mut self, bytes: u64, entries: &[LogEntry], notes: Notes) {
        let held = self.segments.back_mut().expect("a log has a segment that is written");
        self.position += bytes;
        self.sequence += 1;
        for entry in entries {
            held.lowest = held.lowest.min(entry.index);
            self.last = entry.id();
        }
        for note in notes.into_iter().flatten() {
            match note {
                Note::HardState(state) => self.hard_state = state,
                Note::Floor(floor) => self.floor = floor,
                Note::Reset(floor) => {
                    (self.last, self.floor) = (floor, floor);
                    held.lowest = u64::MAX;
                }
                Note::Start(_) => {}
            }
        }
    }

    /// The first segment that a start needs to find every entry above the floor: the last one that holds an
    /// entry at or below the first of them, since everything above was written after it.
    pub fn first_segment_needed(&self, floor: EntryId) -> u64 {
        let wanted = floor.index + 1;
        let found = self.segments.iter().rev().find(|held| held.lowest <= wanted);
        found.or(self.segments.front()).map_or(0, |held| held.segment.number)
    }
}
