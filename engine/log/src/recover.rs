//! Starts a log: replays what is on disk, repairs it for further writes, and returns the halves of the log.

use std::collections::VecDeque;
use std::sync::Arc;

use super::directory::Directory;
use super::preparer::{Next, Preparer};
use super::replay::Replay;
use super::segment::Segment;
use super::store::LogStore;
use super::table::Table;
use super::tail::{HeldSegment, Tail};
use super::writer::LogWriter;
use super::{Durability, HardState, Held, LogConfig, LogError, Replayed};
use crate::planted::{self, Bug};

/// Opens a log, and creates it if it does not exist.
///
/// `visit` sees each entry on disk once, in the order in which they were written, and resets in their places
/// among them: see [`Replayed`]. It may also see entries that are compacted away, that is, below
/// [`LogStore::first_index`]. An entry's parts are slices of the segment's buffer: copy what you keep.
///
/// The caller must not open a directory twice at the same time.
///
/// ```
/// use bytes::Bytes;
/// use niagara_log::{Durability, HardState, LogConfig, LogEntry, Replayed};
///
/// let dir = tempfile::tempdir()?;
/// let config = LogConfig::new(dir.path().join("group-1"), Durability::Os, 1);
/// let entry = LogEntry { index: 1, term: 1, kind: 0, context: Bytes::new(), data: Bytes::from("hello") };
/// {
///     let (store, mut writer) = niagara_log::open(&config, &mut |_| unreachable!("it is new"))?;
///     store.append(&[entry.clone()]);
///     writer.write(&[entry.clone()], Some(HardState { term: 1, vote: 2, commit: 0 }))?;
/// }
/// let mut seen = Vec::new();
/// let (store, _writer) = niagara_log::open(&config, &mut |replayed| match replayed {
///     Replayed::Entry(entry) => seen.push(entry.clone()),
///     Replayed::Reset(_) => seen.clear(),
/// })?;
/// assert_eq!(seen, [entry]);
/// assert_eq!((store.last_index(), store.hard_state().vote), (1, 2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`LogError::Corrupt`], [`LogError::Lost`] and [`LogError::Vanished`] if acknowledged data is damaged or
/// missing, [`LogError::Foreign`] and [`LogError::Version`] if the files are not for this log or program,
/// [`LogError::Io`], and [`LogError::SegmentBytes`].
pub fn open(
    config: &LogConfig,
    visit: &mut dyn FnMut(Replayed<'_>),
) -> Result<(LogStore, LogWriter), LogError> {
    config.check()?;
    if config.durability == Durability::Memory {
        let store = LogStore::new(Table::default(), VecDeque::new(), HardState::default(), None);
        return Ok((store.clone(), LogWriter::in_memory(store)));
    }
    let durable = config.durability == Durability::Fsync;
    let mut directory = Directory::open(config, durable)?;
    let mut segments = directory.load()?;
    let replay = Replay::of(directory.path(), &segments, visit)?;
    let found = Held {
        segment: segments.last().map_or(0, |segment| segment.number),
        last: replay.last,
        hard_state: replay.hard_state,
    };
    let known = config.marks.held();
    let missing = known.missing_from(&found).or_else(|| known.cut_off(&segments));
    if let Some(what) = missing
        && !planted::is(Bug::MarkIgnored)
    {
        return Err(LogError::Vanished { dir: config.dir.clone(), what });
    }

    // Nothing changes on disk until all of it has been checked.
    directory.remove_unfinished()?;
    directory.find_sync_method(config.direct)?;
    let directory = Arc::new(directory);
    segments.truncate(replay.in_use);
    repair(config, &directory, &mut segments, &replay)?;

    let lowest = replay.found.iter().map(|found| found.lowest).chain([u64::MAX]);
    let held = segments.into_iter().zip(lowest);
    let segments: VecDeque<HeldSegment> =
        held.map(|(segment, lowest)| HeldSegment { segment: Arc::new(segment), lowest }).collect();
    let number = segments.back().map_or(1, |held| held.segment.number) + 1;
    let next = Next { number, held: segments.iter().map(|held| held.segment.bytes).sum() };
    let preparer = Preparer::start(Arc::clone(&directory), next, config.prepare_beside)?;

    let in_use = segments.iter().map(|held| Arc::clone(&held.segment)).collect();
    let start = segments.back().map_or(0, |held| held.segment.frames_start());
    let tail = Tail {
        segments,
        position: replay.active().map_or(start, |active| active.end),
        sequence: replay.sequence,
        last: replay.last,
        floor: replay.table.floor(),
        hard_state: replay.hard_state,
    };
    let store = LogStore::new(replay.table, in_use, tail.hard_state, Some(config.cache_bytes as u64));
    let writer = LogWriter::on_disk(store.clone(), directory, preparer, tail, config.data_sum)?;
    Ok((store, writer))
}

/// Prepares the segments for further writes: creates a first one, erases leftovers after the last frame, and
/// makes all of it durable where writes are.
fn repair(
    config: &LogConfig,
    directory: &Directory,
    segments: &mut Vec<Segment>,
    replay: &Replay,
) -> Result<(), LogError> {
    if segments.is_empty() {
        segments.push(directory.create(1, 0, None)?);
    }
    if let Some(active) = segments.last() {
        active.keep_open()?;
    }
    if !planted::is(Bug::LastFrameTrusted) {
        write_again(config, segments, replay)?;
    }
    if let (Some(active), Some(found)) = (segments.last(), replay.active()) {
        if found.leftovers {
            tracing::info!(path = %active.path.display(), end = found.end, "erasing what follows the last frame of the log");
        }
        if found.leftovers || directory.is_durable() {
            active.erase(found.end)?;
        }
    }
    // The former process may have died between a write and its sync, and Raft is about to count all of it as
    // durable.
    for segment in segments.iter().filter(|_| directory.is_durable()) {
        segment.sync_all()?;
    }
    directory.sync()
}

/// After a failed sync, Linux returns what was written as if it were on the disk, and lets a second sync
/// succeed. So this rewrites the frames that a sync may have failed for: the last one if each was synced
/// before the next was written, else all.
fn write_again(config: &LogConfig, segments: &[Segment], replay: &Replay) -> Result<(), LogError> {
    let is_last = |at: usize| at + 1 == replay.in_use;
    for (at, (segment, found)) in segments.iter().zip(&replay.found).enumerate() {
        let from = if config.was_synced { found.last_frame } else { segment.frames_start() };
        if is_last(at) || !config.was_synced && !planted::is(Bug::EarlierFramesTrusted) {
            segment.rewrite(from, found.end)?;
        }
    }
    Ok(())
}
