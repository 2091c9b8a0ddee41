//! What a recovery has found, for whoever decides whether to go ahead.

use std::path::PathBuf;

use niagara_log::{Durability, EntryId};
use niagara_sequencer::GlobalPosition;

use crate::config::ServerId;

/// What data directories hold of a cluster, and what they cannot hold.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Found {
    /// Id of the cluster.
    pub cluster: u128,
    /// Ids of its servers.
    pub members: Vec<ServerId>,
    /// The directories, in the order given.
    pub directories: Vec<FoundDirectory>,
    /// The newest whole snapshot in them.
    pub snapshot: Option<FoundSnapshot>,
    /// Snapshots that were damaged, and why.
    pub damaged_snapshots: Vec<String>,
    /// What each group is continued from, in order of the epochs and of their groups. Epochs that the snapshot is beyond are not
    /// among them.
    pub groups: Vec<FoundGroup>,
}

/// A data directory.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FoundDirectory {
    /// Where it is.
    pub dir: PathBuf,
    /// The server that it belongs to.
    pub server: ServerId,
    /// What a write survived on that server.
    pub durability: Durability,
    /// Whether the server was stopped cleanly.
    pub clean: bool,
    /// Why something that the server acknowledged may be missing from all of its logs: it wrote with durability `os` and its machine
    /// went down, or the directory is an old copy.
    pub doubt: Option<String>,
}

/// A snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FoundSnapshot {
    /// Its file.
    pub path: PathBuf,
    /// It holds the result of everything up to this position.
    pub position: GlobalPosition,
}

/// The copies of a group's log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FoundGroup {
    /// Number of its epoch.
    pub epoch: u32,
    /// Its number in that epoch, from 1.
    pub group: u16,
    /// Ids of the members of its epoch.
    pub members: Vec<ServerId>,
    /// Index of the directory whose log is continued, among [`Found::directories`]; `None` if no log holds more than the snapshot.
    pub from: Option<usize>,
    /// Last entry that this log has compacted away; that of the snapshot, if no log is continued.
    pub floor: EntryId,
    /// Last entry that is kept.
    pub last: EntryId,
    /// Raft index up to which entries are known to be committed: all of them are kept.
    pub committed: u64,
    /// Commands in entries above that, which are kept. The cluster may have acknowledged them, or not.
    pub uncertain: u64,
    /// Whether its epoch has ended, and a directory whose log is whole is of a server that had gone on: then it held all of it.
    pub is_held: bool,
    /// Number of directories whose log of this group is whole.
    pub whole: usize,
    /// What is wrong with the logs that are not whole.
    pub flaws: Vec<String>,
}

impl Found {
    /// Ids of the servers whose directories are missing.
    pub fn missing(&self) -> Vec<ServerId> {
        let is_there = |server: &&ServerId| !self.directories.iter().any(|found| found.server == **server);
        self.members.iter().filter(is_there).copied().collect()
    }

    /// Whether nothing that the cluster acknowledged can be missing: of each group, so many logs are whole that any majority of
    /// the servers has one of them.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let mut config = niagara_engine::Config::local(1, 1)?.remove(0);
    /// # config.durability = niagara_engine::Durability::Fsync;
    /// # config.data_dir = dir.path().join("data-1");
    /// # let engine = niagara_engine::Engine::start(config.clone(), niagara_engine::internals::example::Counter::default())?;
    /// # engine.stop();
    /// let recovery = niagara_engine::Recovery::open(&[config.data_dir])?;
    /// assert!(recovery.found().is_complete());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_complete(&self) -> bool {
        self.groups.iter().all(|group| group.is_held || is_enough(group.members.len(), group.whole))
    }
}

/// Whether any majority of the members includes one of so many.
fn is_enough(members: usize, servers: usize) -> bool {
    members - servers < members / 2 + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_majority_has_one_of_them() {
        for (members, least) in [(1, 1), (2, 1), (3, 2), (4, 2), (5, 3)] {
            assert!(is_enough(members, least) && !is_enough(members, least - 1), "{least} of {members}");
        }
        let found = Found {
            cluster: 1,
            members: vec![1, 2],
            directories: Vec::new(),
            snapshot: None,
            damaged_snapshots: Vec::new(),
            groups: Vec::new(),
        };
        assert_eq!(found.missing(), [1, 2]);
    }
}
