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
    /// Number of the newest epoch that one of the servers had begun, or that the snapshot is of.
    pub epoch: u32,
    /// The epochs that may have followed that one, as far as the logs tell; none if they do not end it.
    pub next: Vec<FoundNext>,
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
    /// The epoch from which on the cluster has gone on without the server, if it was told so.
    pub removed: Option<u32>,
}

/// An epoch in which the cluster may have gone on, and which none of the servers had begun.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FoundNext {
    /// Its number.
    pub epoch: u32,
    /// Ids of its members.
    pub members: Vec<ServerId>,
    /// Number of directories of these members. Each proves that its server had acknowledged nothing there.
    pub not_begun: usize,
    /// Whether any majority of the members has one of these servers, so that nothing can have been acknowledged there.
    pub is_ruled_out: bool,
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
    /// Whether its epoch has ended, and a directory whose log is whole is of a server that had gone on by its logs: then it held all
    /// of it.
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

    /// Whether nothing that the cluster acknowledged can be missing. It takes all of this:
    ///
    /// 1. Of each group, so many logs are whole that any majority of its epoch's members has one of them. Whatever was
    ///    acknowledged in that epoch is in one of them, then. If the epoch has ended, the logs of one server that had gone on by
    ///    them do as well: it held all of it.
    /// 2. The cluster has not gone on in an epoch that none of the servers had begun. If it had, the end of the newest one that
    ///    they had begun would be committed, and in the logs by 1. So either no log ends it; or any majority of the members that
    ///    follow by that end has a server whose directory is here, and which therefore has not begun. A majority acknowledges
    ///    nothing in an epoch, and does not end it either, before all of it has begun.
    /// 3. No server was told that the cluster goes on without it in an epoch that none of the others had begun. By 2, that can be
    ///    so with old copies of their directories only.
    ///
    /// How long ago a directory was used says nothing: that of a server which was removed, or was down for long, is as sound as
    /// any other, and knows nothing of what came later.
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
        self.has_whole_logs() && self.next.iter().all(|next| next.is_ruled_out) && self.told_of().is_none()
    }

    /// Whether nothing can be missing that was acknowledged in the epochs that the servers had begun.
    pub fn has_whole_logs(&self) -> bool {
        self.groups.iter().all(|group| group.is_held || is_enough(group.members.len(), group.whole))
    }

    /// A server that was told that the cluster has gone on without it, in an epoch that none of the servers had begun; and that
    /// epoch.
    pub fn told_of(&self) -> Option<(ServerId, u32)> {
        let told = self.directories.iter().filter_map(|found| Some((found.server, found.removed?)));
        told.max_by_key(|(_, epoch)| *epoch).filter(|(_, epoch)| *epoch > self.epoch)
    }
}

/// Whether any majority of the members includes one of so many.
pub(super) fn is_enough(members: usize, servers: usize) -> bool {
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
    }

    fn found(removed: Option<u32>, next: Vec<FoundNext>) -> Found {
        let directory = FoundDirectory {
            dir: "data-1".into(),
            server: 1,
            durability: Durability::Os,
            clean: true,
            doubt: None,
            removed,
        };
        Found {
            cluster: 1,
            members: vec![1, 2],
            directories: vec![directory],
            snapshot: None,
            damaged_snapshots: Vec::new(),
            epoch: 3,
            next,
            groups: Vec::new(),
        }
    }

    #[test]
    fn an_epoch_that_no_server_had_begun_is_ruled_out_by_a_majority_of_its_members() {
        assert_eq!(found(None, Vec::new()).missing(), [2]);
        let next = |members: &[u64], not_begun| FoundNext {
            epoch: 4,
            members: members.to_vec(),
            not_begun,
            is_ruled_out: is_enough(members.len(), not_begun),
        };
        for (members, not_begun, is_complete) in
            [(&[2][..], 0, false), (&[1, 2], 1, true), (&[1, 2, 4], 1, false), (&[1, 2, 4], 2, true)]
        {
            let found = found(None, vec![next(members, not_begun)]);
            assert_eq!(found.is_complete(), is_complete, "{not_begun} of {members:?}");
            assert!(found.has_whole_logs());
        }
        let either = found(None, vec![next(&[1, 2], 1), next(&[2], 0)]);
        assert!(!either.is_complete(), "nobody knows which of the two has followed");
    }

    #[test]
    fn a_server_that_was_removed_tells_of_an_epoch_that_nobody_had_begun() {
        assert_eq!(found(Some(4), Vec::new()).told_of(), Some((1, 4)));
        assert!(!found(Some(4), Vec::new()).is_complete());
        assert!(found(Some(3), Vec::new()).is_complete(), "another server had begun that one");
    }
}
