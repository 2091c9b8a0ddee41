//! What could be recovered if all servers ended now, and only some of their disks were left.

use std::path::PathBuf;
use std::sync::Arc;

use niagara_engine::Durability;
use niagara_log::Files;

use super::World;
use super::observe::Invariants;
use crate::invariants::{Broken, check_recovery, log_directory};
use crate::sim::disk::{Disk, Trouble};
use crate::sim::draws::MOST_GROUPS;

impl World {
    /// Checks that the disks of just so many servers, this one first, hold everything that is committed, that any majority has one
    /// of them. Done when a server starts for the second time, which is at some moment of a fault.
    pub(crate) fn check_remains(&mut self, first: u64) -> Result<(), Broken> {
        let servers = self.plan.founders();
        if first > servers || !self.members().into_iter().eq(1..=servers) {
            return Ok(());
        }
        if self.plan.durability == Durability::Memory || self.server(first).life != 1 {
            return Ok(());
        }
        let enough = servers.div_ceil(2);
        let left: Vec<u64> = (0..enough).map(|step| (first - 1 + step) % servers + 1).collect();
        let is_whole = |id: &u64| {
            let server = &self.servers[*id as usize - 1];
            server.flipped.is_none() && server.rotten == 0 && server.life > 0 && !server.is_out
        };
        if !left.iter().all(is_whole) {
            return Ok(());
        }
        let disks: Vec<_> = left.iter().map(|id| self.copy_of(*id)).collect();
        let Invariants { log_matching, one_chain, .. } = &self.invariants;
        let places = |epoch, group| one_chain.first_place(epoch).map(|first| first + group);
        let committed = |epoch, group| {
            places(epoch, group).map_or_else(Vec::new, |place| log_matching.committed(place).to_vec())
        };
        let complete = check_recovery(&disks, committed)?;
        self.coverage.count(if complete { "recovery complete" } else { "recovery incomplete" });
        Ok(())
    }

    /// A copy of a server's disk as it would be if the process ended now, and where the data is on it.
    fn copy_of(&self, id: u64) -> (PathBuf, Arc<dyn Files>) {
        let copy = Disk::new(self.chance.clone());
        copy.put_back(self.servers[id as usize - 1].disk.image());
        copy.trouble(|trouble| *trouble = Trouble::default());
        let dir = PathBuf::from(format!("server-{id}"));
        let epochs = 1..=self.invariants.one_chain.newest();
        let groups = epochs.flat_map(|epoch| (1..=MOST_GROUPS).map(move |group| log_directory(epoch, group)));
        let groups: Vec<PathBuf> = groups.map(|log| dir.join(log)).collect();
        // An image has no directories.
        for dir in groups.into_iter().chain([dir.join("snapshots")]) {
            copy.create_dir(&dir).expect("a disk without trouble takes it");
        }
        (dir, Arc::new(copy))
    }
}
