//! A server that is a majority by itself executes what is left of its cluster.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use niagara_log::{
    Durability, EntryId, HardState, LogEntry, LogError, LogStore, LogWriter, Replayed, inspect,
};
use niagara_sequencer::GlobalPosition;
use niagara_sequencer::epoch::{Chain, Epoch, Marks, Sealed};

use super::Recovery;
use super::error::{RecoveryError, io};
use super::source::Source;
use crate::config::{Config, Member};
use crate::identity::{self, random};
use crate::outcome::Consistency;
use crate::progress::channel_of;
use crate::server::{Engine, log_config};
use crate::snapshot::{TakenSnapshot, own_files_of};
use crate::state_machine::StateMachine;

/// How long to wait for the server to be ready before looking again, and reporting how far it is.
const LOOK: Duration = Duration::from_millis(200);
/// Bytes of entries to write at a time.
const WRITE_BYTES: u64 = 1 << 20;
/// Where each part of the server would listen, if anybody were to be heard.
const ANYWHERE: &str = "127.0.0.1:0";

/// A run of what was found, in a directory of its own.
pub(super) struct Replay<'a> {
    pub recovery: &'a Recovery,
    pub dir: PathBuf,
}

impl Replay<'_> {
    /// Executes everything, and takes a snapshot of the result, which stays in the directory.
    pub fn run<S: StateMachine>(
        &self,
        state: S,
        progress: &mut dyn FnMut(GlobalPosition),
    ) -> Result<TakenSnapshot, RecoveryError> {
        let config = self.config();
        self.make_directory(&config)?;
        let engine = Engine::start(config, state).map_err(RecoveryError::NotExecuted)?;
        wait_until_executed(&engine, progress);
        let taken = engine.client().snapshot().wait();
        engine.stop();
        let taken = taken.map_err(|failed| RecoveryError::NoSnapshot(failed.to_string()))?;
        if taken.position == GlobalPosition::ZERO { Err(RecoveryError::Empty) } else { Ok(taken) }
    }

    /// The server continues as one of those that are left, since only members have lanes.
    fn config(&self) -> Config {
        let Recovery { sources, found, .. } = self.recovery;
        let is_member = |source: &&Source| found.members.contains(&source.testimony.server);
        let first = &sources.iter().find(is_member).unwrap_or(&sources[0]).testimony;
        let member = |server: &u64| Member {
            server: *server,
            addresses: vec![ANYWHERE.to_owned()],
            transfer: ANYWHERE.to_owned(),
        };
        let mut config = Config::new(first.cluster, first.server, found.members.iter().map(member).collect());
        (config.groups, config.first_level) = (Some(first.groups), first.first_level);
        (config.data_dir, config.durability) = (self.dir.clone(), Durability::Os);
        config.alone = true;
        config
    }

    fn make_directory(&self, config: &Config) -> Result<(), RecoveryError> {
        let Recovery { files, sources, found, .. } = self.recovery;
        // Commands of an earlier start of this server must not be taken for its own.
        let starts = sources.iter().filter_map(|source| source.testimony.starts.get(&config.server));
        let incarnation = starts.max().copied().unwrap_or(0);
        identity::make(config, files, random() as u64, incarnation, None, self.epochs())?;
        if let Some(snapshot) = &found.snapshot {
            copy_snapshot(&snapshot.path, &self.dir.join("snapshots"))?;
        }
        (0..found.groups.len()).try_for_each(|index| self.fill_log(config, index))
    }

    /// What the server is to know of epochs: it has started the newest one, those before it are committed as far as their logs
    /// go, and those that the snapshot is beyond are closed.
    fn epochs(&self) -> Option<(Chain, Marks)> {
        let Recovery { found, chain, first, .. } = self.recovery;
        let newest = chain.newest().record.epoch;
        let sealed = |epoch: Epoch| {
            let groups = found.groups.iter().filter(|group| group.epoch == epoch.get());
            let committed = groups.map(|group| group.last.index).collect();
            Some(Sealed { epoch, last_round: chain.last_round(epoch)?, committed })
        };
        let ended = (first.get()..newest.get()).map(Epoch::new);
        let marks = Marks::read(
            newest.get().into(),
            newest.get().into(),
            (first.get() - 1).into(),
            ended.filter_map(sealed).collect(),
        );
        let marks = marks.expect("it has started the newest one, and not closed it");
        (newest > Epoch::FIRST).then(|| (chain.clone(), marks))
    }

    /// Writes the log that a group is continued from, all of it committed.
    fn fill_log(&self, config: &Config, index: usize) -> Result<(), RecoveryError> {
        let Recovery { sources, found, terms, .. } = self.recovery;
        let found = &found.groups[index];
        let group = found.group;
        let channel = channel_of(Epoch::new(found.epoch), usize::from(group) - 1);
        let failed = |source| RecoveryError::Log { group, source };
        let (store, writer) = niagara_log::open(&log_config(config, channel), &mut |_| {}).map_err(failed)?;
        let floor = found.floor;
        let mut filling = Filling { store, writer, floor, entries: Vec::new(), bytes: 0, failed: None };
        filling.reset();
        if let Some(from) = found.from {
            let dir = sources[from].log_dir(channel);
            inspect(&dir, &*sources[from].files, &mut |replayed| filling.add(replayed)).map_err(failed)?;
        }
        filling.finish(terms[index]).map_err(failed)
    }
}

/// Waits until all that the logs hold has been executed.
fn wait_until_executed<S: StateMachine>(engine: &Engine<S>, progress: &mut dyn FnMut(GlobalPosition)) {
    let client = engine.client().with_deadline(LOOK);
    loop {
        let begun = Instant::now();
        let read = client.read(Consistency::Strong).wait();
        progress(client.applied());
        if read.is_ok() {
            return;
        }
        std::thread::sleep(LOOK.saturating_sub(begun.elapsed()));
    }
}

/// A log that is filled with what another one holds.
struct Filling {
    store: LogStore,
    writer: LogWriter,
    /// Last entry that the other one has compacted away.
    floor: EntryId,
    entries: Vec<LogEntry>,
    bytes: u64,
    failed: Option<LogError>,
}

impl Filling {
    fn add(&mut self, replayed: Replayed<'_>) {
        match replayed {
            Replayed::Reset(_) => self.reset(),
            Replayed::Entry(entry) if entry.index <= self.floor.index => {}
            Replayed::Entry(entry) => {
                // An entry that replaces others begins a write.
                if self.entries.last().is_some_and(|last| last.index + 1 != entry.index) {
                    self.write();
                }
                self.bytes += entry.memory_bytes();
                self.entries.push(entry.clone());
                if self.bytes >= WRITE_BYTES {
                    self.write();
                }
            }
        }
    }

    /// Empties it. It continues above the floor.
    fn reset(&mut self) {
        self.write();
        if self.floor.index > 0 || self.store.last_index() > 0 {
            self.store.reset(self.floor);
            let reset = self.writer.reset(self.floor, None);
            self.note(reset);
        }
    }

    fn write(&mut self) {
        let entries = std::mem::take(&mut self.entries);
        self.bytes = 0;
        if let Some(last) = entries.last() {
            self.store.append(&entries);
            let written = self.writer.write(&entries, None);
            self.note(written);
            self.store.release(last.index);
        }
    }

    fn note(&mut self, done: Result<(), LogError>) {
        self.failed = self.failed.take().or(done.err());
    }

    /// Commits everything, in this term or that of the last entry.
    fn finish(mut self, term: u64) -> Result<(), LogError> {
        self.write();
        let commit = self.store.last_index();
        if commit > 0 {
            let written = self.writer.write(&[], Some(HardState { term, vote: 0, commit }));
            self.note(written);
        }
        let synced = self.writer.sync();
        self.note(synced);
        self.failed.map_or(Ok(()), Err)
    }
}

/// Copies a snapshot, with the state machine's files if they are its content.
fn copy_snapshot(from: &Path, into: &Path) -> Result<(), RecoveryError> {
    fs::create_dir_all(into).map_err(io("create", into))?;
    let own_files = own_files_of(from);
    if own_files.is_dir() {
        copy_directory(&own_files, &into.join(own_files.file_name().unwrap_or_default()))?;
    }
    copy_file(from, &into.join(from.file_name().unwrap_or_default()))
}

fn copy_directory(from: &Path, to: &Path) -> Result<(), RecoveryError> {
    fs::create_dir_all(to).map_err(io("create", to))?;
    for entry in fs::read_dir(from).map_err(io("list", from))? {
        let path = entry.map_err(io("list", from))?.path();
        let to = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() { copy_directory(&path, &to)? } else { copy_file(&path, &to)? }
    }
    Ok(())
}

fn copy_file(from: &Path, to: &Path) -> Result<(), RecoveryError> {
    fs::copy(from, to).map(drop).map_err(io("copy", from))
}
