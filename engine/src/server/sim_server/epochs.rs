//! The groups of a server that is driven by hand, as epochs come and go.

use std::ops::Range;

use niagara_sequencer::epoch::{Chain, Epoch, Record};
use niagara_sequencer::{GlobalPosition, Slot};

use super::{SimGroup, SimServer};
use crate::server::epoch_opener::OpenedEpoch;
use crate::server::group_parts::GroupParts;
use crate::server::log_thread::Pending;
use crate::server::start_error::StartError;
use crate::state_machine::StateMachine;

/// The place of an epoch's first group among those of all epochs.
fn first_place(chain: &Chain, epoch: Epoch) -> usize {
    let records = chain.links().iter().map(|link| &link.record);
    let earlier = records.filter(|record| record.epoch < epoch);
    earlier.map(|record| usize::from(record.terms.groups)).sum()
}

impl<S: StateMachine> SimServer<S> {
    /// Adds groups in their places among those of all epochs.
    pub(super) fn add_groups(&mut self, chain: &Chain, groups: Vec<GroupParts>) {
        for parts in groups {
            let place = first_place(chain, parts.record.epoch) + parts.replica.group;
            self.groups.resize_with(self.groups.len().max(place + 1), || None);
            self.groups[place] = Some(SimGroup { parts, writes: Pending::default() });
            self.new_groups.push(place);
        }
    }

    /// Goes on with the next epoch, if there is one to be made, and lets go of those that are over. The thread of the
    /// snapshots does it.
    ///
    /// # Errors
    /// If the disk fails. The server's process would end then.
    pub fn open_epochs(&mut self) -> Result<(), StartError> {
        if let Some(OpenedEpoch { chain, groups, .. }) = self.opener.step(&self.manager.kept_cuts())? {
            self.followers.add_logs(&groups);
            self.add_groups(&chain, groups);
        }
        Ok(())
    }

    /// Places of the groups that were made since the last call. The caller connects and ticks them.
    pub fn take_new_groups(&mut self) -> Vec<usize> {
        std::mem::take(&mut self.new_groups)
    }

    /// Whether this server has the group at this place among those of all epochs.
    pub fn has_group(&self, group: usize) -> bool {
        self.groups.get(group).is_some_and(Option::is_some)
    }

    /// The epochs up to the one that is executed.
    pub fn chain(&self) -> &Chain {
        &self.application.executor.chain
    }

    /// The places of the groups of the epoch that is executed.
    pub fn running_groups(&self) -> Range<usize> {
        let Record { epoch, terms, .. } = &self.chain().newest().record;
        let first = first_place(self.chain(), *epoch);
        first..first + usize::from(terms.groups)
    }

    /// The slot at a position that has been executed: its place p, and the place of its group among those of all epochs.
    pub fn slot_at(&self, position: GlobalPosition) -> (u64, usize) {
        let records = self.chain().links().iter().map(|link| &link.record);
        let record = records.rev().find(|record| record.base < position);
        let record = record.expect("the first epoch begins below all positions");
        let Slot { place, group } = record.layout().slot_at(position);
        (place, first_place(self.chain(), record.epoch) + group.index())
    }

    /// A group's epoch, and its zero-based index there.
    pub fn epoch_and_group(&self, place: usize) -> (Epoch, usize) {
        let GroupParts { record, replica, .. } = self.parts(place);
        (record.epoch, replica.group)
    }

    /// The epoch from which on the cluster goes on without this server, if it is needed by nobody any more.
    pub fn removed(&self) -> Option<u32> {
        self.shared.progress.removal.since().map(Epoch::get)
    }

    /// The epoch that goes on without this server, as far as it knows. It takes no commands any more.
    pub fn leaves(&self) -> Option<u32> {
        self.shared.progress.removal.next().map(|next| next.epoch.get())
    }
}
