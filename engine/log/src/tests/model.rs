//! The log against a model: two vectors, one for the view and one for the disk.

use std::collections::VecDeque;
use std::sync::Arc;

use proptest::prelude::*;

use super::format::entry_bytes;
use super::*;

/// One event in the life of a log.
#[derive(Clone, Debug)]
enum Step {
    /// Goes back so many entries, then appends entries of these sizes.
    Append { back: u64, sizes: Vec<usize> },
    /// Votes, and commits a part of what can be committed.
    HardState { vote: u64, commit: prop::sample::Index },
    /// The writer takes the next batches, joined where possible.
    Write { batches: usize },
    /// The merge has reached this part of the log.
    Release(prop::sample::Index),
    /// Compacts a part of what is committed.
    Compact(prop::sample::Index),
    /// A snapshot arrives from another server, so many entries beyond the committed ones. The log may hold
    /// its last one.
    Reset { ahead: u64, known: bool },
    /// Reads a part with a limit.
    Read(prop::sample::Index, prop::sample::Index, usize),
    /// The process dies and restarts. What waits to be written is lost.
    Restart { segment_bytes: u64, cache_bytes: usize, block_bytes: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    let size = prop_oneof![8 => 0usize..150, 2 => 150usize..900, 1 => 900usize..5000];
    prop_oneof![
        8 => (prop_oneof![3 => Just(0), 1 => 0u64..12], prop::collection::vec(size, 1..8))
            .prop_map(|(back, sizes)| Step::Append { back, sizes }),
        2 => (any::<u64>(), any::<prop::sample::Index>())
            .prop_map(|(vote, commit)| Step::HardState { vote, commit }),
        8 => (1usize..4).prop_map(|batches| Step::Write { batches }),
        2 => any::<prop::sample::Index>().prop_map(Step::Release),
        1 => any::<prop::sample::Index>().prop_map(Step::Compact),
        1 => (0u64..25, any::<bool>()).prop_map(|(ahead, known)| Step::Reset { ahead, known }),
        3 => (any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0usize..3000)
            .prop_map(|(low, high, max)| Step::Read(low, high, max)),
        1 => (1024u64..3000, 0usize..3000, prop::sample::select(&[8u64, 64, 512]))
            .prop_map(|(segment_bytes, cache_bytes, block_bytes)| {
                Step::Restart { segment_bytes, cache_bytes, block_bytes }
            }),
    ]
}

/// Work queued for the writer.
#[derive(Clone, Debug)]
enum Job {
    Write(Vec<LogEntry>, Option<HardState>),
    Compact(EntryId),
    Reset(EntryId),
}

/// Entries by index, above a floor.
#[derive(Clone, Debug, Default)]
struct Model {
    floor: EntryId,
    entries: Vec<LogEntry>,
}

impl Model {
    fn last(&self) -> u64 {
        self.floor.index + self.entries.len() as u64
    }

    fn append(&mut self, batch: &[LogEntry]) {
        for entry in batch {
            self.entries.truncate((entry.index - self.floor.index - 1) as usize);
            self.entries.push(entry.clone());
        }
    }

    fn compact(&mut self, floor: EntryId) {
        self.entries.drain(..(floor.index - self.floor.index) as usize);
        self.floor = floor;
    }

    fn reset(&mut self, floor: EntryId) {
        *self = Model { floor, entries: Vec::new() };
    }
}

struct World {
    config: LogConfig,
    log: Option<(LogStore, LogWriter)>,
    view: Model,
    disk: Model,
    term: u64,
    commit: u64,
    on_disk: HardState,
    jobs: VecDeque<Job>,
}

impl World {
    fn new(config: LogConfig) -> World {
        let log = Some(reopen(&config).unwrap());
        let (view, disk) = (Model::default(), Model::default());
        let on_disk = HardState::default();
        World { config, log, view, disk, term: 1, commit: 0, on_disk, jobs: VecDeque::new() }
    }

    fn store(&self) -> &LogStore {
        &self.log.as_ref().unwrap().0
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Append { back, sizes } => {
                let first = (self.view.last() + 1).saturating_sub(back).max(self.commit + 1);
                self.term += u64::from(first <= self.view.last());
                let batch: Vec<LogEntry> =
                    (first..).zip(sizes).map(|(index, size)| entry(index, self.term, size)).collect();
                self.store().append(&batch);
                self.view.append(&batch);
                self.jobs.push_back(Job::Write(batch, None));
            }
            Step::HardState { vote, commit } => {
                self.commit += commit.index((self.view.last() - self.commit + 1) as usize) as u64;
                let state = HardState { term: self.term, vote, commit: self.commit };
                self.jobs.push_back(Job::Write(Vec::new(), Some(state)));
            }
            Step::Write { batches } => self.write(batches),
            Step::Release(part) => self.store().release(part.index(self.commit as usize + 1) as u64),
            Step::Compact(part) => {
                let to = self.view.floor.index;
                let to = to + part.index((self.commit.saturating_sub(to) + 1) as usize) as u64;
                let floor = self.store().compact_to(to);
                self.view.compact(floor);
                self.jobs.push_back(Job::Compact(floor));
            }
            Step::Reset { ahead, known } => self.reset(ahead, known),
            Step::Read(low, high, max) => self.read(low, high, max),
            Step::Restart { segment_bytes, cache_bytes, block_bytes } => {
                (self.config.segment_bytes, self.config.cache_bytes) = (segment_bytes, cache_bytes);
                self.config.block_bytes = block_bytes;
                self.restart();
            }
        }
        self.compare();
    }

    /// The entries that follow get another term, as no two of one index and term may differ.
    fn reset(&mut self, ahead: u64, known: bool) {
        let index = self.commit.max(self.view.floor.index) + ahead;
        let term = self.store().term(index).filter(|_| known).unwrap_or(self.term + 1);
        let floor = EntryId { index, term };
        (self.term, self.commit) = (self.term + 2, index);
        self.store().reset(floor);
        self.view.reset(floor);
        self.jobs.push_back(Job::Reset(floor));
    }

    /// Passes batches to the writer, joined, and a compaction or reset that waits behind them.
    fn write(&mut self, batches: usize) {
        let Some((_, writer)) = &mut self.log else { unreachable!() };
        let (mut joined, mut state) = (Vec::<LogEntry>::new(), None);
        for _ in 0..batches {
            match self.jobs.front() {
                Some(Job::Write(batch, hard_state)) => {
                    joined.extend_from_slice(batch);
                    state = hard_state.or(state);
                    self.jobs.pop_front();
                }
                _ => break,
            }
        }
        writer.write(&joined, state).unwrap();
        self.disk.append(&joined);
        self.on_disk = state.unwrap_or(self.on_disk);
        match self.jobs.pop_front() {
            Some(Job::Compact(floor)) => {
                writer.compact(floor).unwrap();
                if floor.index > self.disk.floor.index {
                    self.disk.compact(floor);
                }
            }
            Some(Job::Reset(floor)) => {
                writer.reset(floor, None).unwrap();
                self.disk.reset(floor);
            }
            Some(job @ Job::Write(..)) => self.jobs.push_front(job),
            None => {}
        }
    }

    fn read(&self, low: prop::sample::Index, high: prop::sample::Index, max: usize) {
        let count = self.view.entries.len();
        if count == 0 {
            return;
        }
        let low = low.index(count);
        let high = low + high.index(count - low);
        let mut out = Vec::new();
        let first = self.view.floor.index + 1;
        self.store().read(first + low as u64, first + high as u64, max, &mut out).unwrap();
        assert_eq!(out, self.view.entries[low..low + out.len()]);
        let bytes =
            |entries: &[LogEntry]| entries.iter().map(|entry| entry_bytes(entry) as usize).sum::<usize>();
        assert!(bytes(&out) <= max || out.len() == 1, "within the limit");
        let more = bytes(&self.view.entries[low..=(low + out.len()).min(high)]);
        assert!(low + out.len() > high || more > max, "and no less than it allows");
    }

    /// Inspects the log while the process is down.
    fn inspect(&self) {
        let found = inspect(&self.config.dir, &*self.config.files, &mut |_| {}).unwrap();
        assert_eq!(found.damage, None);
        assert_eq!((found.floor, found.hard_state), (self.disk.floor, self.on_disk));
        let ends = (self.disk.entries.first(), self.disk.entries.last());
        assert_eq!((found.first, found.last), (ends.0.map(LogEntry::id), ends.1.map(LogEntry::id)));
    }

    fn restart(&mut self) {
        self.log = None;
        self.inspect();
        let mut seen: Vec<LogEntry> = Vec::new();
        self.log = Some(
            open(&self.config, &mut |replayed| match replayed {
                Replayed::Entry(entry) => {
                    seen.retain(|old| old.index < entry.index);
                    seen.push(entry.clone());
                }
                Replayed::Reset(_) => seen.clear(),
            })
            .unwrap(),
        );
        seen.retain(|entry| entry.index > self.disk.floor.index);
        assert_eq!(seen, self.disk.entries, "what was visited");
        assert_eq!(self.store().hard_state(), self.on_disk);
        self.view = self.disk.clone();
        self.jobs.clear();
        self.commit = self.on_disk.commit.max(self.view.floor.index);
        self.term += 1;
    }

    fn compare(&self) {
        let store = self.store();
        assert_eq!(store.floor(), self.view.floor);
        assert_eq!((store.first_index(), store.last_index()), (self.view.floor.index + 1, self.view.last()));
        for entry in &self.view.entries {
            assert_eq!(store.term(entry.index), Some(entry.term));
        }
        assert_eq!(all(store), self.view.entries);
        assert_eq!(store.size().entries, self.view.entries.len() as u64);
    }
}

/// Runs a log's life, and starts it at the end.
fn live(config: LogConfig, steps: Vec<Step>) {
    let mut world = World::new(config);
    for step in steps {
        world.step(step);
    }
    world.step(Step::Write { batches: 3 });
    world.step(Step::Restart { segment_bytes: SEGMENT, cache_bytes: 0, block_bytes: 8 });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 100 }))]

    #[test]
    fn the_log_is_what_the_model_says(steps in prop::collection::vec(step(), 1..80), mode in 0..8) {
        let dir = tempfile::tempdir().unwrap();
        let durability = if mode == 0 { Durability::Fsync } else { Durability::Os };
        live(config(dir.path(), durability), steps);
    }

    #[test]
    fn in_memory_it_is_so_too(steps in prop::collection::vec(step(), 1..if cfg!(miri) { 12 } else { 80 })) {
        let files = Arc::new(MemoryFiles::default());
        live(LogConfig { files, ..config(Path::new("log"), Durability::Os) }, steps);
    }

    #[test]
    fn with_direct_writes_it_is_so_too(
        steps in prop::collection::vec(step(), 1..if cfg!(miri) { 12 } else { 80 }),
        block_bytes in prop::sample::select(&[8u64, 64, 512, 4096]),
    ) {
        let files = Arc::new(MemoryFiles::default());
        live(LogConfig { files, block_bytes, ..config(Path::new("log"), Durability::Fsync) }, steps);
    }
}
