//! A log in a directory of its own, and what a start says that it holds.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use bytes::Bytes;
use niagara_log::{
    self, Durability, EntryId, HardState, LogConfig, LogEntry, LogError, LogStore, LogWriter, Replayed,
    SEGMENT_BYTES_MIN,
};
use tempfile::TempDir;

pub(super) const LOG_ID: u64 = 7;

/// A throw-away directory, in memory where the machine has a place for that: a target runs thousands of times a second.
pub(super) fn directory() -> TempDir {
    let memory = Path::new("/dev/shm");
    let dir = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() };
    dir.expect("a temporary directory can be made")
}

/// The smallest segments, so that a few entries fill one, and nothing of what is on disk is kept in memory.
pub(super) fn config(dir: &Path) -> LogConfig {
    let config = LogConfig::new(dir, Durability::Os, LOG_ID);
    LogConfig { segment_bytes: SEGMENT_BYTES_MIN, cache_bytes: 0, ..config }
}

/// What a log holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Contents {
    pub(super) floor: EntryId,
    /// The entries above the floor, without a gap.
    pub(super) entries: Vec<LogEntry>,
    pub(super) hard_state: HardState,
}

impl Contents {
    pub(super) fn last(&self) -> EntryId {
        self.entries.last().map_or(self.floor, LogEntry::id)
    }
}

/// Opens the log of a directory and reads all of it.
///
/// # Panics
/// When the log's view, its entries on disk and those shown during the start contradict each other, or when a start that
/// fails has changed anything.
pub(super) fn start(dir: &Path) -> Result<(LogStore, LogWriter, Contents), LogError> {
    let before = files(dir);
    let mut shown: Vec<LogEntry> = Vec::new();
    let opened = niagara_log::open(&config(dir), &mut |replayed| match replayed {
        Replayed::Entry(entry) => {
            shown.truncate(shown.partition_point(|earlier| earlier.index < entry.index));
            shown.push(entry.clone());
        }
        Replayed::Reset(_) => shown.clear(),
    });
    let (store, writer) = opened.inspect_err(|error| {
        assert!(!error.to_string().is_empty());
        assert!(!matches!(error, LogError::Io { .. }), "{error}");
        assert!(files(dir) == before, "a start that fails changes nothing: {error}");
    })?;
    let contents = contents(&store, store.hard_state());
    shown.retain(|entry| entry.index >= store.first_index());
    assert_eq!(contents.entries, shown, "the entries that the start has shown");
    assert!(contents.hard_state.commit <= contents.last().index, "{contents:?}");
    Ok((store, writer, contents))
}

/// All that the view holds, with that hard state.
pub(super) fn contents(store: &LogStore, hard_state: HardState) -> Contents {
    let (floor, first, last) = (store.floor(), store.first_index(), store.last_index());
    assert_eq!(first, floor.index + 1);
    assert_eq!(store.term(floor.index), Some(floor.term));
    let mut entries = Vec::new();
    store.read(first, last, usize::MAX, &mut entries).expect("what a log says that it holds can be read");
    let ids = entries.iter().map(|entry| (entry.index, Some(entry.term)));
    assert!(ids.eq((first..=last).map(|index| (index, store.term(index)))), "{first} to {last}: {entries:?}");
    Contents { floor, entries, hard_state }
}

/// **A log that was opened can be written on:** replaced from the middle of what is not committed, added to beyond a
/// segment's end, and compacted, and the next start finds all of it.
pub(super) fn write_on(dir: &Path, store: &LogStore, mut writer: LogWriter, begun: &Contents) {
    let Contents { floor, hard_state, .. } = *begun;
    let kept = hard_state.commit.max(floor.index);
    let first = kept + (begun.last().index - kept) / 2 + 1;
    let term = begun.last().term.max(hard_state.term);
    let entry =
        |index| LogEntry { index, term, kind: 3, context: Bytes::new(), data: vec![index as u8; 300].into() };
    let added: Vec<LogEntry> = (first..first + 5).map(entry).collect();
    let hard_state = HardState { term, vote: 1, commit: first };
    store.append(&added);
    writer.write(&added, Some(hard_state)).expect("an opened log can be written");
    writer.compact(store.compact_to(first)).expect("an opened log can be compacted");
    let written = contents(store, hard_state);
    assert_eq!(written.entries, added[1..]);
    drop(writer);
    let (.., found) = start(dir).expect("what was written can be opened");
    assert_eq!(found, written, "after a restart");
}

/// The directory's files. Those in preparation do not count.
fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let files =
        fs::read_dir(dir).expect("the directory is there").map(|file| file.expect("it can be listed").path());
    files
        .map(|path| {
            let name =
                path.file_name().and_then(|name| name.to_str()).expect("all names are ours").to_owned();
            (name, fs::read(&path).expect("a file can be read"))
        })
        .collect()
}

/// The name of a segment file.
pub(super) fn segment_name(number: u64) -> String {
    format!("{number:016x}.log")
}
