//! What could be recovered if all servers ended now, and only some of their disks were left.

use std::path::PathBuf;
use std::sync::Arc;

use niagara_engine::Durability;
use niagara_log::Files;

use super::World;
use super::observe::Invariants;
use crate::invariants::{Broken, Known, Record, check_recovery, log_directory};
use crate::sim::disk::{Disk, Trouble};
use crate::sim::draws::MOST_GROUPS;

impl Known for Invariants {
    fn committed(&self, epoch: u32, group: usize) -> Vec<Record> {
        let Some(first) = self.one_chain.first_place(epoch) else { return Vec::new() };
        let mut committed = self.log_matching.committed(first + group).to_vec();
        // What is above the end is void.
        if let Some(last_round) = self.one_chain.last_round(epoch) {
            let ends = |record: &Record| record.fill.place().is_some_and(|place| place >= last_round);
            let needed = committed.iter().position(ends).map_or(committed.len(), |end| end + 1);
            committed.truncate(needed);
        }
        committed
    }

    fn goes_on_after(&self, epoch: u32) -> bool {
        let first = self.one_chain.first_place(epoch + 1);
        first.is_some_and(|first| self.log_matching.has_committed_from(first))
    }
}

impl World {
    /// Checks what a recovery would make of the disks of just so many members, this one first, that any majority has one of them;
    /// of those that it is a member with now, or was at first, whoever may have come or left since. Done when a server starts for
    /// the second time, which is at some moment of a fault.
    pub(crate) fn check_remains(&mut self, first: u64) -> Result<(), Broken> {
        if self.plan.durability == Durability::Memory || self.server(first).life != 1 {
            return Ok(());
        }
        for members in self.invariants.one_chain.lists_with(first) {
            self.check_remains_of(first, members)?;
        }
        Ok(())
    }

    fn check_remains_of(&mut self, first: u64, mut members: Vec<u64>) -> Result<(), Broken> {
        members.sort_unstable();
        let begin = members.iter().position(|member| *member == first).expect("it is one of them");
        members.rotate_left(begin);
        members.truncate(members.len().div_ceil(2));
        let is_whole = |id: &u64| {
            let server = &self.servers[*id as usize - 1];
            server.flipped.is_none() && server.rotten == 0 && server.life > 0
        };
        if !members.iter().all(is_whole) {
            return Ok(());
        }
        let disks: Vec<_> = members.iter().map(|id| self.copy_of(*id)).collect();
        // A disk that is lost for good is blank.
        if disks.iter().any(|(dir, files)| files.open(&dir.join("identity")).is_err()) {
            return Ok(());
        }
        match check_recovery(&disks, &self.invariants)? {
            Some(true) => self.coverage.count("recovery complete"),
            Some(false) => self.coverage.count("recovery incomplete"),
            None => {}
        }
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
