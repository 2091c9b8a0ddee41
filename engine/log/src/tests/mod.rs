//! Tests of the log, from bytes to threads. This file has what they share, and tests of the basics.

mod ahead;
mod bytes_on_disk;
mod cache;
mod compaction;
mod crash;
mod direct;
mod inspect;
mod model;
mod open_files;
mod recycling;
mod refusal;
mod reset;
mod reset_crash;
mod segments;
mod speed;
mod threads;
mod unsteady;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use bytes::Bytes;

use super::format::SegmentHeader;
use super::frame::decode_frame;
use super::*;

/// The least segment, so that its end is soon reached, and frames are packed.
const SEGMENT: u64 = SEGMENT_BYTES_MIN;

fn config(dir: &Path, durability: Durability) -> LogConfig {
    LogConfig { segment_bytes: SEGMENT, cache_bytes: 0, block_bytes: 8, ..LogConfig::new(dir, durability, 7) }
}

/// With a first segment so long that it does not fill up.
fn one_segment(bytes: u64, config: LogConfig) -> LogConfig {
    LogConfig { segment_bytes: bytes, first_segment_bytes: bytes, ..config }
}

/// An entry whose payload distinguishes its index and term from all others.
fn entry(index: u64, term: u64, bytes: usize) -> LogEntry {
    let data: Vec<u8> = (0..bytes as u64).map(|i| (i * 31 + index * 7 + term) as u8).collect();
    LogEntry {
        index,
        term,
        kind: (index % 3) as u8,
        context: Bytes::from(format!("c{term}")),
        data: data.into(),
    }
}

fn entries(indexes: impl IntoIterator<Item = u64>, term: u64, bytes: usize) -> Vec<LogEntry> {
    indexes.into_iter().map(|index| entry(index, term, bytes)).collect()
}

/// Appends to the view and writes, as a caller without a second thread does.
fn put(store: &LogStore, writer: &mut LogWriter, batch: &[LogEntry], hard_state: Option<HardState>) {
    store.append(batch);
    writer.write(batch, hard_state).unwrap();
}

/// A log of entries 1 to `last`, written one by one, six to a segment.
fn log_of(config: &LogConfig, last: u64) -> (LogStore, LogWriter) {
    let (store, mut writer) = reopen(config).unwrap();
    for index in 1..=last {
        put(&store, &mut writer, &entries(index..=index, 1 + index / 10, 66), None);
    }
    (store, writer)
}

fn numbered(indexes: impl IntoIterator<Item = u64>) -> Vec<LogEntry> {
    indexes.into_iter().map(|index| entry(index, 1 + index / 10, 66)).collect()
}

/// Everything in the view, read in pieces.
fn all(store: &LogStore) -> Vec<LogEntry> {
    let mut out = Vec::new();
    let (mut next, last) = (store.first_index(), store.last_index());
    while next <= last {
        store.read(next, last, 700, &mut out).unwrap();
        next = out.last().unwrap().index + 1;
    }
    out
}

/// Opens a log, ignoring what is visited.
fn reopen(config: &LogConfig) -> Result<(LogStore, LogWriter), LogError> {
    open(config, &mut |_| {})
}

/// The entry that a start reads, where there is no reset.
fn visited(replayed: Replayed<'_>) -> LogEntry {
    match replayed {
        Replayed::Entry(entry) => entry.clone(),
        Replayed::Reset(floor) => panic!("nobody has reset the log to {floor:?}"),
    }
}

/// Files of a log, to be damaged and written elsewhere.
#[derive(Clone, Debug)]
struct Image(BTreeMap<String, Vec<u8>>);

impl Image {
    /// The files on disk. The log must be closed, so that no segment is being prepared.
    fn of(dir: &Path) -> Image {
        let files = fs::read_dir(dir).unwrap().map(|file| file.unwrap().path());
        Image(files.map(|path| (name(&path), fs::read(&path).unwrap())).collect())
    }

    fn put_down(&self) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, bytes) in &self.0 {
            fs::write(dir.path().join(name), bytes).unwrap();
        }
        dir
    }

    /// What a start reads from it: the entries and the hard state.
    fn start(&self) -> Result<(Vec<LogEntry>, HardState), LogError> {
        let dir = self.put_down();
        let (store, _writer) = reopen(&config(dir.path(), Durability::Os))?;
        Ok((all(&store), store.hard_state()))
    }

    fn segment(&mut self, number: u64) -> &mut Vec<u8> {
        self.0.get_mut(&format!("{number:016x}.log")).unwrap()
    }

    /// Where each frame of a segment starts and ends.
    fn frames(&mut self, number: u64) -> Vec<std::ops::Range<usize>> {
        let bytes = Bytes::from(self.segment(number).clone());
        let header = SegmentHeader::decode(bytes[..64].try_into().unwrap()).unwrap();
        let mut frames = Vec::new();
        let mut at = header.frames_start() as usize;
        while let Some(frame) = decode_frame(header.seal(), header.block, &bytes, at) {
            frames.push(at..frame.end);
            at = frame.end;
        }
        frames
    }
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

#[test]
fn a_new_log_is_empty_in_every_mode() {
    for durability in [Durability::Fsync, Durability::Os, Durability::Memory] {
        let dir = tempfile::tempdir().unwrap();
        let (store, _writer) = reopen(&config(&dir.path().join("a/b"), durability)).unwrap();
        assert_eq!((store.first_index(), store.last_index()), (1, 0));
        assert_eq!((store.term(0), store.term(1)), (Some(0), None));
        assert_eq!(store.hard_state(), HardState::default());
        assert_eq!(all(&store), []);
        assert_eq!(dir.path().join("a").exists(), durability != Durability::Memory);
    }
}

#[test]
fn what_was_written_is_there_after_a_restart() {
    for durability in [Durability::Fsync, Durability::Os] {
        let dir = tempfile::tempdir().unwrap();
        let config = config(dir.path(), durability);
        let state = HardState { term: 3, vote: 2, commit: 9 };
        {
            let (store, mut writer) = reopen(&config).unwrap();
            put(&store, &mut writer, &entries(1..=8, 1, 100), None);
            put(&store, &mut writer, &entries(9..=10, 3, 0), Some(state));
            store.append(&entries(11..=12, 3, 10));
            writer.sync().unwrap();
        }
        let mut seen = Vec::new();
        let (store, _writer) = open(&config, &mut |replayed| seen.push(visited(replayed))).unwrap();
        let written = [entries(1..=8, 1, 100), entries(9..=10, 3, 0)].concat();
        assert_eq!(seen, written, "appended entries are not on disk until they are written");
        assert_eq!(all(&store), written);
        assert_eq!(store.hard_state(), state);
        assert_eq!([8, 9, 10, 11].map(|index| store.term(index)), [Some(1), Some(3), Some(3), None]);
    }
}

#[test]
fn a_hard_state_alone_is_kept_and_an_empty_write_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), Durability::Fsync);
    let state = HardState { term: 8, vote: 1, commit: 0 };
    {
        let (_, mut writer) = reopen(&config).unwrap();
        writer.write(&[], None).unwrap();
        writer.write(&[], Some(state)).unwrap();
    }
    assert_eq!(Image::of(dir.path()).frames(1).len(), 1);
    assert_eq!(reopen(&config).unwrap().0.hard_state(), state);
}

#[test]
fn a_read_gives_at_least_one_entry_and_stops_before_the_limit_is_passed() {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut writer) = reopen(&config(dir.path(), Durability::Os)).unwrap();
    put(&store, &mut writer, &entries(1..=3, 1, 98), None);
    // Each entry counts 32 bytes of head, 2 of context, 98 of data. The first three are on disk, the others in memory.
    store.append(&entries(4..=6, 1, 98));
    for (low, max_bytes, got) in
        [(1, 0, 1), (1, 263, 1), (1, 264, 2), (1, 600, 4), (4, 0, 1), (4, 264, 2), (5, 999, 2)]
    {
        let mut out = Vec::new();
        store.read(low, 6, max_bytes, &mut out).unwrap();
        assert_eq!(out, entries(low..low + got, 1, 98), "from {low}, at most {max_bytes} bytes");
    }
    let mut none = Vec::new();
    store.read(4, 3, 100, &mut none).unwrap();
    assert_eq!(none, []);
}

#[test]
fn words_for_durability() {
    for durability in [Durability::Fsync, Durability::Os, Durability::Memory] {
        assert_eq!(durability.to_string().parse(), Ok(durability));
    }
    let error = "disk".parse::<Durability>().unwrap_err();
    assert_eq!(error.to_string(), "unknown durability \"disk\": choose fsync, os or memory");
}

#[test]
fn the_view_is_shared_and_the_writer_moves_to_its_thread() {
    fn shared<T: Clone + Send + Sync>() {}
    fn moved<T: Send>() {}
    shared::<LogStore>();
    moved::<LogWriter>();
}
