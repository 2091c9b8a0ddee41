use std::collections::BTreeMap;

use niagara_group::batch::{EntryFill, data_sum};
use niagara_log::{EntryId, LogEntry, LogStore};

use super::{Broken, hold};

/// The parts of a committed entry that must be the same everywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The entry's term.
    pub term: u64,
    /// Checksum of its content.
    pub checksum: u32,
    /// What it fills.
    pub fill: EntryFill,
}

/// What one server knows to be committed at an index is what every server ever knows to be committed there
/// (Raft, figure 3: Log Matching and State Machine Safety).
#[derive(Debug)]
pub struct LogMatching {
    committed: Vec<Vec<Record>>,
    /// How far each replica's log has been compared, in its current life.
    compared: BTreeMap<(u64, usize), u64>,
    read: Vec<LogEntry>,
}

impl LogMatching {
    /// For so many groups.
    pub fn new(groups: usize) -> LogMatching {
        LogMatching { committed: vec![Vec::new(); groups], compared: BTreeMap::new(), read: Vec::new() }
    }

    /// Committed entries of a group, as far as any server knows; the first has index 1.
    pub fn committed(&self, group: usize) -> &[Record] {
        &self.committed[group]
    }

    /// Whether anything is committed in this group or a later one, as far as any server knows.
    pub fn has_committed_from(&self, group: usize) -> bool {
        self.committed[group..].iter().any(|committed| !committed.is_empty())
    }

    /// Up to where a replica knew its log to be committed when last observed.
    pub fn known_to(&self, server: u64, group: usize) -> u64 {
        self.compared.get(&(server, group)).copied().unwrap_or(0)
    }

    /// A server has restarted, and is compared from the start of its logs.
    pub fn restarted(&mut self, server: u64) {
        self.compared.retain(|(of, _), _| *of != server);
    }

    /// A replica knows its log, which begins above `floor`, to be committed up to `commit`. Returns how many
    /// records no server had known.
    pub fn observe(
        &mut self,
        (server, group): (u64, usize),
        commit: u64,
        floor: EntryId,
        log: &LogStore,
    ) -> Result<usize, Broken> {
        let compared = self.compared.entry((server, group)).or_default();
        hold(commit >= *compared, "log_matching", || {
            format!("server {server} knew group {} committed to {compared}, and now to {commit}", group + 1)
        })?;
        let known = self.committed[group].len();
        if *compared < floor.index {
            // Entries that a snapshot replaces cannot be compared, except for the term of the last one.
            let record = self.committed[group].get(floor.index as usize - 1);
            hold(record.is_some_and(|record| record.term == floor.term), "log_matching", || {
                format!(
                    "server {server}'s log of group {} begins above {floor:?}, but {record:?} is committed",
                    group + 1
                )
            })?;
            *compared = floor.index;
        }
        while *compared < commit {
            self.read.clear();
            log.read(*compared + 1, commit, 1 << 16, &mut self.read).map_err(|error| {
                Broken::new(
                    "log_matching",
                    format!("server {server} cannot read group {}: {error}", group + 1),
                )
            })?;
            for entry in self.read.drain(..) {
                *compared = entry.index;
                compare(&mut self.committed[group], server, group, &entry)?;
            }
        }
        Ok(self.committed[group].len() - known)
    }
}

fn compare(committed: &mut Vec<Record>, server: u64, group: usize, entry: &LogEntry) -> Result<(), Broken> {
    let mut checksum = crc32fast::Hasher::new_with_initial(entry.context.len() as u32);
    checksum.update(&entry.context);
    checksum.update(&entry.data);
    let fill =
        EntryFill::of(&entry.context).map_err(|error| Broken::new("log_matching", error.to_string()))?;
    let sum = data_sum(&entry.context);
    hold(sum.is_none_or(|sum| sum == crc32fast::hash(&entry.data)), "sum_is_true", || {
        format!(
            "server {server}, group {}, entry {}: the sum {sum:?} is not its data's",
            group + 1,
            entry.index
        )
    })?;
    let record = Record { term: entry.term, checksum: checksum.finalize(), fill };
    match committed.get(entry.index as usize - 1) {
        None => committed.push(record),
        Some(known) => hold(*known == record, "log_matching", || {
            let (group, index) = (group + 1, entry.index);
            format!(
                "group {group}, entry {index}: {known:?} is committed, but server {server} has {record:?}"
            )
        })?,
    }
    Ok(())
}
