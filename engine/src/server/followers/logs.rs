//! A follower's part of the members' logs: what it has received of the groups of one epoch, and not merged yet. It is in
//! memory. The sequencer drops what it has merged, and a start begins from a snapshot.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use niagara_log::{Durability, EntryId, LogConfig, LogEntry, LogStore};
use niagara_sequencer::epoch::Epoch;

use super::wire::{Entries, Follow, GroupWish};
use crate::progress::EpochProgress;
use crate::snapshot::Header;

/// The logs of the groups of an epoch.
pub(crate) struct FedLogs {
    progress: Arc<EpochProgress>,
    stores: Vec<LogStore>,
    /// Bytes of entries of a group that may wait for the merge. The group that the merge awaits has none waiting, so it
    /// always gets at least one entry.
    share: u64,
}

/// Entries that no correct member sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("group {group}: entry {index} contradicts what was committed before it")]
pub(crate) struct Contradiction {
    group: usize,
    index: u64,
}

impl FedLogs {
    /// Logs of the newest epoch of a chain. They begin above what a snapshot of that epoch replaces, if there is one. All groups
    /// together hold about `bytes` of what is not merged.
    pub fn new(progress: &Arc<EpochProgress>, snapshot: Option<&Header>, bytes: usize) -> FedLogs {
        let stores: Vec<LogStore> = progress.groups.iter().map(|_| empty_log()).collect();
        let share = (bytes / stores.len()) as u64;
        let logs = FedLogs { progress: Arc::clone(progress), stores, share };
        if let Some(header) = snapshot {
            logs.go_on_from(header);
        }
        logs
    }

    /// The logs, for the sequencer.
    pub fn stores(&self) -> Vec<LogStore> {
        self.stores.clone()
    }

    pub fn epoch(&self) -> Epoch {
        self.progress.number
    }

    /// Goes on above what a snapshot of this epoch replaces. Logs that are there already stay.
    pub fn go_on_from(&self, header: &Header) {
        assert_eq!(
            header.cut().epoch,
            self.epoch(),
            "compaction_floor: the logs are of the snapshot's epoch"
        );
        for (at, (store, floor)) in self.stores.iter().zip(&header.floors).enumerate() {
            let EntryId { index, .. } = floor.entry;
            if store.last_index() < index {
                store.reset(floor.entry);
                self.publish(at, store, floor.entry);
            }
        }
    }

    /// Whether any group takes more.
    pub fn has_room(&self) -> bool {
        self.stores.iter().any(|store| self.room(store) > 0)
    }

    /// What to ask a member for.
    pub fn wish(&self, at_once: bool) -> Follow {
        let group = |store: &LogStore| GroupWish { last: store.last_index(), room: self.room(store) };
        let epoch = Some((self.progress.number, self.progress.hash));
        Follow { epoch, at_once, groups: self.stores.iter().map(group).collect() }
    }

    fn room(&self, store: &LogStore) -> u32 {
        let left = self.share.saturating_sub(store.size().cached_bytes);
        u32::try_from(left).unwrap_or(u32::MAX)
    }

    /// Takes what follows what is there; the rest was received before, or is of another epoch. Returns whether there was any.
    ///
    /// # Errors
    /// If a member says that something else was committed.
    pub fn take(&self, received: Entries) -> Result<bool, Contradiction> {
        let Entries { epoch, entries, .. } = received;
        if epoch != self.epoch() {
            return Ok(false);
        }
        let mut has_more = false;
        for (at, entry) in entries {
            let at = usize::from(at);
            let Some(store) = self.stores.get(at) else {
                return Err(Contradiction { group: at + 1, index: entry.index });
            };
            has_more |= self.take_one(at, store, entry)?;
        }
        Ok(has_more)
    }

    fn take_one(&self, at: usize, store: &LogStore, entry: LogEntry) -> Result<bool, Contradiction> {
        let (_, last) = store.ends();
        if entry.index != last.index + 1 {
            return Ok(false);
        }
        if entry.term < last.term {
            return Err(Contradiction { group: at + 1, index: entry.index });
        }
        let id = entry.id();
        store.append(&[entry]);
        self.publish(at, store, id);
        Ok(true)
    }

    /// All that is here is committed, and as durable as it gets.
    fn publish(&self, at: usize, store: &LogStore, EntryId { index, term }: EntryId) {
        let group = &self.progress.groups[at];
        group.term.store(term, SeqCst);
        group.first.store(store.first_index(), SeqCst);
        group.last.store(index, SeqCst);
        group.persisted.store(index, SeqCst);
        group.commit.store(index, SeqCst);
    }

    /// Drops what other threads say to groups: nobody leads here, and nobody compacts.
    pub fn drop_mail(&self) {
        let mut mail = Vec::new();
        for group in self.progress.groups.iter().filter(|group| group.has_mail()) {
            group.take_mail(&mut mail);
            mail.clear();
        }
    }
}

fn empty_log() -> LogStore {
    let config = LogConfig::new("in memory", Durability::Memory, 0);
    let opened = niagara_log::open(&config, &mut |_| {});
    let (store, _) = opened.expect("a log in memory touches no disk");
    store
}

#[cfg(test)]
mod tests;
