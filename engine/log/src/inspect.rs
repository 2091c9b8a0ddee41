//! Inspects a log without changing it: what a start would find, segment by segment, and what it would refuse.

use std::path::Path;

use super::directory::{segment_numbers, segment_path};
use super::files::Files;
use super::replay::{Replay, ReplayedLog};
use super::segment::Segment;
use super::{EntryId, HardState, LogError, Replayed};

/// Contents of a log's directory; of a damaged log, the part before the damage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inspection {
    /// Log id in the header of the first segment; `None` if there is no segment or its header cannot be read.
    pub log_id: Option<u64>,
    /// The segments that were read, in order.
    pub segments: Vec<SegmentReport>,
    /// Names of the segment files from the first one on that could not be opened or that follows the damage.
    pub unread: Vec<String>,
    /// Last entry that is compacted away.
    pub floor: EntryId,
    /// Last hard state in the log.
    pub hard_state: HardState,
    /// First entry above the floor.
    pub first: Option<EntryId>,
    /// Last entry above the floor.
    pub last: Option<EntryId>,
    /// Why a start would refuse the log; `None` if it would not. A torn tail is not damage: it counts as
    /// leftovers.
    pub damage: Option<String>,
}

/// Contents of one segment file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentReport {
    /// File name.
    pub file: String,
    /// Segment number, from 1.
    pub number: u64,
    /// Length of the file, in bytes.
    pub bytes: u64,
    /// Number of frames that count; 0 if the segment has only been prepared.
    pub frames: u64,
    /// Frames start and end at multiples of this, in bytes.
    pub block_bytes: u64,
    /// Where the first frame starts, in bytes.
    pub frames_start: u64,
    /// Length of these frames, in bytes, with the padding at their ends.
    pub frame_bytes: u64,
    /// Number of entries in it, including those that were replaced, compacted away or dropped later.
    pub entries: u64,
    /// Lowest index among these entries.
    pub first: Option<u64>,
    /// Highest index among these entries.
    pub last: Option<u64>,
    /// How often the log was reset in it.
    pub resets: u64,
    /// Whether anything but zeros follows the frames: a torn write, or the file's former life.
    pub leftovers: bool,
}

/// Inspects the log in a directory while no server runs on it. Nothing on disk changes.
///
/// `visit` sees what a start would see, as in [`open`](super::open), up to where the log is damaged.
///
/// ```
/// use niagara_log::{Durability, LogConfig, Replayed, SystemFiles};
///
/// let dir = tempfile::tempdir()?;
/// drop(niagara_log::open(&LogConfig::new(dir.path(), Durability::Os, 7), &mut |_| {})?);
///
/// let found = niagara_log::inspect(dir.path(), &SystemFiles, &mut |replayed| match replayed {
///     Replayed::Entry(entry) => println!("{} {}", entry.index, entry.term),
///     Replayed::Reset(floor) => println!("reset to {}", floor.index),
/// })?;
/// assert_eq!((found.log_id, found.damage), (Some(7), None));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`LogError::Io`] if the directory cannot be listed. Whatever is wrong with the files in it is
/// [`Inspection::damage`].
pub fn inspect(
    dir: &Path,
    files: &dyn Files,
    visit: &mut dyn FnMut(Replayed<'_>),
) -> Result<Inspection, LogError> {
    let numbers = segment_numbers(files, dir)?;
    let mut replay = Replay::new();
    let mut look = Look { segments: Vec::new(), reports: Vec::new() };
    let read = numbers.iter().try_for_each(|number| look.at(dir, files, *number, &mut replay, visit));
    let finished = replay.finish(dir, &look.segments);
    let damage = read.and(finished).err().map(|error| error.to_string());

    let unread = numbers.iter().skip(look.reports.len());
    let unread = unread.map(|number| name(&segment_path(dir, *number))).collect();
    let table = &replay.table;
    let entry = |index| table.get(index).map(|place| EntryId { index, term: place.term });
    Ok(Inspection {
        log_id: look.segments.first().map(|first| first.log_id),
        segments: look.reports,
        unread,
        floor: replay.floor,
        hard_state: replay.hard_state,
        first: entry(table.first()),
        last: entry(table.last()),
        damage,
    })
}

/// Progress of an inspection.
struct Look {
    segments: Vec<Segment>,
    /// One for each segment that could be read, at least in part.
    reports: Vec<SegmentReport>,
}

impl Look {
    /// Reads the next segment. The first one decides which log the others must belong to.
    fn at(
        &mut self,
        dir: &Path,
        files: &dyn Files,
        number: u64,
        replay: &mut Replay,
        visit: &mut dyn FnMut(Replayed<'_>),
    ) -> Result<(), LogError> {
        let log_id = self.segments.first().map(|first| first.log_id);
        let segment = Segment::load(files, &segment_path(dir, number), log_id, number)?;
        self.segments.push(segment);
        let mut seen = Seen::default();
        let read = replay.segment(&self.segments, &mut |replayed| {
            seen.note(replayed);
            visit(replayed);
        });
        if let (Some(segment), Some(found)) = (self.segments.last(), replay.found.get(self.reports.len())) {
            self.reports.push(seen.report(segment, found));
        }
        read
    }
}

#[derive(Default)]
struct Seen {
    entries: u64,
    first: Option<u64>,
    last: Option<u64>,
    resets: u64,
}

impl Seen {
    fn note(&mut self, replayed: Replayed<'_>) {
        match replayed {
            Replayed::Entry(entry) => {
                self.entries += 1;
                self.first = Some(self.first.map_or(entry.index, |first| first.min(entry.index)));
                self.last = self.last.max(Some(entry.index));
            }
            Replayed::Reset(_) => self.resets += 1,
        }
    }

    fn report(self, segment: &Segment, found: &ReplayedLog) -> SegmentReport {
        let Seen { entries, first, last, resets } = self;
        SegmentReport {
            file: name(&segment.path),
            number: segment.number,
            bytes: segment.bytes,
            frames: found.frames,
            block_bytes: segment.block,
            frames_start: segment.frames_start(),
            frame_bytes: found.end - segment.frames_start(),
            entries,
            first,
            last,
            resets,
            leftovers: found.leftovers,
        }
    }
}

fn name(path: &Path) -> String {
    path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}
