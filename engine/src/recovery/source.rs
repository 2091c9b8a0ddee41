//! One data directory to recover from: its snapshots and logs, which are read and never changed.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use niagara_group::batch::decode_commands;
use niagara_group::epoch_end::{decode_end, is_end};
use niagara_log::{EntryId, Files, Inspection, LogEntry, Replayed, inspect};
use niagara_sequencer::epoch::{Chain, Epoch, EpochEnd, Marks, Terms};

use super::choice::Copy;
use super::error::{RecoveryError, io};
use crate::identity::{self, DirectoryLock, Owner, Testimony};
use crate::progress::channel_of;
use crate::server::log_directory;
use crate::snapshot::{SNAPSHOT, SnapshotError, SnapshotReader};

/// A data directory that no server uses meanwhile.
pub(super) struct Source {
    pub dir: PathBuf,
    pub files: Arc<dyn Files>,
    pub testimony: Testimony,
    _lock: Option<DirectoryLock>,
}

/// A group's log in it.
pub(super) struct FoundLog {
    pub copy: Copy,
    /// Raft index up to which this server knew entries to be committed.
    pub committed: u64,
    /// The latest term that this server has seen.
    pub term: u64,
    /// Why the log may lack something that the server acknowledged.
    pub flaw: Option<String>,
    /// Entries above the snapshot's floor, and how many commands each has.
    commands: Vec<(u64, u64)>,
    /// Entries above the snapshot's floor that ask for the end of the epoch.
    ends: Vec<(u64, EpochEnd)>,
}

impl Source {
    pub fn open(dir: &Path, files: Arc<dyn Files>) -> Result<Source, RecoveryError> {
        if files.are_of_the_system() && !dir.is_dir() {
            return Err(RecoveryError::Missing(dir.to_owned()));
        }
        let has_no_logs = |whose| Err(RecoveryError::HasNoLogs { dir: dir.to_owned(), whose });
        let look = || match identity::look(dir, &*files)? {
            Owner::Nobody => Err(RecoveryError::NotADataDirectory(dir.to_owned())),
            Owner::Follower => has_no_logs("a follower"),
            Owner::Newcomer => has_no_logs("a server that was to join the cluster"),
            Owner::Member(testimony) => Ok(*testimony),
        };
        // A directory that is no server's gets no lock.
        look()?;
        let lock = files.are_of_the_system().then(|| DirectoryLock::take(dir)).transpose()?;
        let testimony = look()?;
        Ok(Source { dir: dir.to_owned(), files, testimony, _lock: lock })
    }

    /// Its snapshots.
    pub fn snapshots(&self) -> Result<Vec<PathBuf>, RecoveryError> {
        let dir = self.dir.join("snapshots");
        let mut paths = self.list(&dir)?.unwrap_or_default();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == SNAPSHOT));
        Ok(paths)
    }

    /// Files in a directory; `None` if it does not exist.
    fn list(&self, dir: &Path) -> Result<Option<Vec<PathBuf>>, RecoveryError> {
        match self.files.list(dir) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            listed => listed.map(Some).map_err(io("list", dir)),
        }
    }

    /// The epochs that the server knew.
    pub fn chain(&self) -> Result<Chain, RecoveryError> {
        let Testimony { groups, members, epochs, first_level: level, .. } = &self.testimony;
        let first = Terms { groups: *groups, members: members.clone(), level: *level, ..Terms::default() };
        let chain = epochs.as_ref().map_or_else(|| Chain::genesis(first), |(chain, _)| Ok(chain.clone()));
        chain.map_err(|why| RecoveryError::Unfit(format!("{}: {why}", self.dir.display())))
    }

    /// Whether the server took part in an epoch. If not, it has acknowledged nothing there.
    pub fn has_started(&self, epoch: Epoch) -> bool {
        let marks = self.testimony.epochs.as_ref().map_or_else(Marks::founder, |(_, marks)| marks.clone());
        marks.newest_started().is_some_and(|newest| newest >= epoch)
    }

    /// The entry of a group that ended its epoch, if the server went on from there by its logs.
    pub fn sealed(&self, epoch: Epoch, group: u16) -> Option<u64> {
        let (_, marks) = self.testimony.epochs.as_ref()?;
        sealed_at(marks, epoch, group)
    }

    /// Whether the server was a member in an epoch, as far as it knew.
    fn is_member_in(&self, epoch: Epoch) -> bool {
        let Some((chain, _)) = &self.testimony.epochs else { return true };
        chain.get(epoch).is_none_or(|link| link.record.is_member(self.testimony.server))
    }

    pub fn log_dir(&self, channel: u32) -> PathBuf {
        self.dir.join(log_directory(channel))
    }

    /// Reads the log of a group, given by its epoch and number. `base` is the last of its entries that the snapshot holds.
    pub fn log(&self, (epoch, group): (Epoch, u16), base: EntryId) -> Result<FoundLog, RecoveryError> {
        let channel = channel_of(epoch, usize::from(group) - 1);
        let dir = self.log_dir(channel);
        if !self.is_member_in(epoch) {
            return Ok(FoundLog::not_begun());
        }
        if self.list(&dir)?.is_none() {
            return Ok(if self.has_started(epoch) { FoundLog::missing() } else { FoundLog::not_begun() });
        }
        let mut seen = Seen::above(base);
        let found = inspect(&dir, &*self.files, &mut |replayed| seen.note(replayed));
        let found = found.map_err(|source| RecoveryError::Log { group, source })?;
        let held = self.testimony.logs.get(&channel).copied().unwrap_or_default();
        let last = found.last.unwrap_or(found.floor);
        let flaw = found.damage.clone().or_else(|| {
            let is_short = (last.term, last.index) < (held.last.term, held.last.index)
                || last.index < held.hard_state.commit;
            is_short
                .then(|| format!("it ends at entry {}, but once held entry {}", last.index, held.last.index))
        });
        Ok(seen.into_log(&found, last, flaw))
    }
}

impl FoundLog {
    fn missing() -> FoundLog {
        FoundLog { flaw: Some("it is missing".to_owned()), ..FoundLog::not_begun() }
    }

    /// That of an epoch in which the server did not take part yet.
    fn not_begun() -> FoundLog {
        let (commands, ends) = (Vec::new(), Vec::new());
        FoundLog { copy: Copy::default(), committed: 0, term: 0, flaw: None, commands, ends }
    }

    /// Number of commands in entries above this index.
    pub fn commands_above(&self, index: u64) -> u64 {
        self.commands.iter().filter(|(at, _)| *at > index).map(|(_, commands)| commands).sum()
    }

    /// What asks for the end of the epoch, if the log is continued.
    pub fn ends(&self) -> impl Iterator<Item = &EpochEnd> {
        self.ends.iter().map(|(_, end)| end)
    }
}

fn sealed_at(marks: &Marks, epoch: Epoch, group: u16) -> Option<u64> {
    let sealed = marks.sealed().iter().find(|sealed| sealed.epoch == epoch)?;
    sealed.committed.get(usize::from(group) - 1).copied()
}

/// What a log turns out to hold as it is read.
struct Seen {
    base: EntryId,
    term_at_base: Option<u64>,
    commands: Vec<(u64, u64)>,
    ends: Vec<(u64, EpochEnd)>,
}

impl Seen {
    fn above(base: EntryId) -> Seen {
        Seen { base, term_at_base: None, commands: Vec::new(), ends: Vec::new() }
    }

    fn note(&mut self, replayed: Replayed<'_>) {
        match replayed {
            Replayed::Reset(floor) => self.replace_from(0, floor),
            Replayed::Entry(entry) => {
                self.replace_from(entry.index, entry.id());
                if entry.index > self.base.index {
                    self.commands.push((entry.index, commands_in(entry)));
                    self.ends.extend(end_in(entry).map(|end| (entry.index, end)));
                }
            }
        }
    }

    /// An entry stands now where all from `index` on were.
    fn replace_from(&mut self, index: u64, entry: EntryId) {
        while self.commands.pop_if(|(at, _)| *at >= index).is_some() {}
        while self.ends.pop_if(|(at, _)| *at >= index).is_some() {}
        if index <= self.base.index {
            self.term_at_base = (entry.index == self.base.index).then_some(entry.term);
        }
    }

    fn into_log(self, found: &Inspection, last: EntryId, flaw: Option<String>) -> FoundLog {
        let Seen { base, term_at_base, commands, ends } = self;
        let at_floor = (found.floor.index == base.index).then_some(found.floor.term);
        let copy = Copy { floor: found.floor, last, term_at_base: term_at_base.or(at_floor) };
        let (committed, term) = (found.hard_state.commit.max(found.floor.index), found.hard_state.term);
        FoundLog { copy, committed, term: term.max(last.term), flaw, commands, ends }
    }
}

/// Number of commands in an entry. One that cannot be decoded is found out when it is executed.
fn commands_in(entry: &LogEntry) -> u64 {
    let batches = decode_commands(&entry.context, &entry.data).unwrap_or_default();
    batches.iter().map(|batch| u64::from(batch.span.count)).sum()
}

/// What an entry asks for, if that is the end of its epoch.
fn end_in(entry: &LogEntry) -> Option<EpochEnd> {
    if is_end(&entry.context) { decode_end(&entry.data) } else { None }
}

/// Opens a snapshot, and reads all of it.
pub(super) fn read_whole(path: &Path, files: &dyn Files) -> Result<SnapshotReader, SnapshotError> {
    let mut reader = SnapshotReader::open(files, path)?;
    while reader.next_chunk()?.is_some() {}
    Ok(reader)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use niagara_sequencer::epoch::Sealed;

    use super::*;

    fn entry(index: u64, term: u64) -> LogEntry {
        LogEntry { index, term, kind: 0, context: Bytes::new(), data: Bytes::new() }
    }

    #[derive(Clone, Copy)]
    enum Step {
        Entry(u64, u64),
        Reset(u64, u64),
    }

    use Step::{Entry, Reset};

    /// The term at the snapshot's floor, and the entries above it, after the log has been read.
    fn seen(base: EntryId, steps: &[Step]) -> (Option<u64>, Vec<u64>) {
        let mut seen = Seen::above(base);
        for step in steps {
            match *step {
                Entry(index, term) => seen.note(Replayed::Entry(&entry(index, term))),
                Reset(index, term) => seen.note(Replayed::Reset(EntryId { index, term })),
            }
        }
        (seen.term_at_base, seen.commands.iter().map(|(index, _)| *index).collect())
    }

    #[test]
    fn what_was_replaced_does_not_count() {
        let base = EntryId { index: 2, term: 1 };
        assert_eq!(seen(base, &[Entry(1, 1), Entry(2, 1), Entry(3, 1), Entry(4, 1)]), (Some(1), vec![3, 4]));
        assert_eq!(seen(base, &[Entry(2, 1), Entry(3, 1), Entry(4, 1), Entry(3, 2)]), (Some(1), vec![3]));
        assert_eq!(seen(base, &[Entry(2, 1), Entry(3, 1), Entry(1, 2)]), (None, vec![]));
        assert_eq!(seen(base, &[Entry(1, 1), Entry(2, 1), Entry(3, 1), Reset(2, 4)]), (Some(4), vec![]));
        assert_eq!(seen(base, &[Entry(1, 1), Reset(9, 4), Entry(10, 4)]), (None, vec![10]));
    }

    #[test]
    fn only_logs_that_a_server_went_on_from_lead_to_the_end_of_an_epoch() {
        let second = Epoch::new(2);
        let sealed = Sealed { epoch: second, last_round: 9, committed: vec![8, 7] };
        let marks = Marks::read(3, 3, 1, vec![sealed]).unwrap();
        assert_eq!([1, 2, 3].map(|group| sealed_at(&marks, second, group)), [Some(8), Some(7), None]);
        let leapt = Marks::read(3, 3, 1, Vec::new()).unwrap();
        assert_eq!(sealed_at(&leapt, second, 1), None);
    }
}
