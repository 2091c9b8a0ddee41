//! The epoch that a server is in, and requests for another one: another number of groups.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use niagara_sequencer::MAX_GROUPS;
use niagara_sequencer::epoch::{EpochEnd, Record, Terms};

use super::handle::Client;
use crate::identity::random;
use crate::members::{EpochView, MemberView};
use crate::progress::{EpochProgress, GroupProgress, Mail};
use crate::state_machine::StateMachine;

/// Why no other epoch was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotChanged {
    /// There cannot be so many groups.
    #[error("{groups} groups are not possible: choose 1 to {MAX_GROUPS}")]
    Groups {
        /// The number that was asked for.
        groups: u16,
    },
    /// A server that is to leave, or whose addresses are to change, is no member.
    #[error("server {server} is no member of the cluster")]
    NotAMember {
        /// Its id.
        server: u64,
    },
    /// A server that is to come has an id that was used before.
    #[error("server {server} was a member before, and was removed: choose an id that was never used")]
    WasMember {
        /// The id.
        server: u64,
    },
    /// There would be no member left, or too many.
    #[error("a cluster has 1 to {most} members, not {members}")]
    Members {
        /// The number of members that there would be.
        members: usize,
        /// The most that there can be.
        most: usize,
    },
    /// Nobody would stay.
    #[error("no member stays: at least one has to, since those that come receive the state from it")]
    NobodyStays,
    /// A member would have no address, or one that is too long, or the id 0.
    #[error(
        "server {server} needs an id, at least one address, and one for snapshots, none longer than 1 KiB"
    )]
    Address {
        /// Its id.
        server: u64,
    },
    /// So few of the members that stay are up that the next epoch could not go on.
    #[error(
        "{up} of the members that stay are up, but the next epoch needs {needed} to go on: start the others, or let \
         fewer servers come or leave at a time"
    )]
    TooFewUp {
        /// How many are up.
        up: usize,
        /// How many are needed.
        needed: usize,
    },
    /// The cluster is at a higher level.
    #[error("the cluster is at level {now}, and cannot go back to level {level}")]
    LowerLevel {
        /// The level that it is at.
        now: u32,
        /// The one that was asked for.
        level: u32,
    },
    /// A member does not know the level.
    #[error(
        "server {server} runs a release that knows levels up to {known}, not level {level}: install a newer release there, and \
         start it"
    )]
    UnknownLevel {
        /// The member.
        server: u64,
        /// The highest level that it knows.
        known: u32,
        /// The one that was asked for.
        level: u32,
    },
    /// Nobody knows which levels a member knows.
    #[error(
        "server {server} is not connected, so nobody can say which levels it knows: start it, or remove it from the cluster"
    )]
    Away {
        /// The member.
        server: u64,
    },
    /// Nothing would change.
    #[error("the cluster is so already")]
    Same,
    /// Only a server that leads a group can ask.
    #[error("this server leads no group: {}", ask(*leader))]
    LeadsNothing {
        /// A server that leads one; 0 if none is known.
        leader: u64,
    },
    /// The epoch is about to end already.
    #[error("another change is under way: try again in a moment")]
    UnderWay,
    /// This server is a follower.
    #[error("this server is a follower, and cannot ask for that: ask a member")]
    Follower,
    /// This server stops.
    #[error("this server is being stopped")]
    Stopping,
}

fn ask(leader: u64) -> String {
    match leader {
        0 => "no group has a leader at the moment; try again later, or, if a majority of the members is lost for good, see \
              docs/recovery.md"
            .to_owned(),
        leader => format!("ask server {leader}, which does"),
    }
}

impl<S: StateMachine> Client<S> {
    /// The epoch that this server's global log is in.
    pub fn epoch(&self) -> EpochView {
        let epoch = self.shared.progress.epoch();
        EpochView {
            number: epoch.number.get(),
            level: epoch.record.terms.level,
            groups: epoch.layout.groups(),
            members: epoch.members().to_vec(),
            former: epoch.former.iter().copied().collect(),
            members_since: epoch.since.get(),
            contacts: self.contacts(&epoch.record),
            refused: self.shared.progress.change.refused(),
        }
    }

    fn contacts(&self, record: &Record) -> Vec<MemberView> {
        let contacts = record.terms.members.iter().filter_map(|server| self.shared.contact(record, *server));
        contacts.map(MemberView::from).collect()
    }

    /// Asks for another number of groups. The epoch ends, at the same position on every server, and the next one, with so many
    /// groups, goes on. What is in flight goes on, too. [`epoch`](Self::epoch) shows when this server is there. The request may
    /// be lost with a leader, or come after another one: then the epoch that follows is another.
    ///
    /// # Errors
    /// If the request cannot be made here and now. Nothing has changed then.
    pub fn ask_for_groups(&self, groups: u16) -> Result<(), NotChanged> {
        if !(1..=MAX_GROUPS).contains(&groups) {
            return Err(NotChanged::Groups { groups });
        }
        let epoch = self.running_epoch()?;
        let next = Terms { groups, ..epoch.record.terms.clone() };
        self.ask_for(epoch, next)
    }

    /// The epoch, if another one may be asked for.
    pub(super) fn running_epoch(&self) -> Result<&Arc<EpochProgress>, NotChanged> {
        let progress = &self.shared.progress;
        if progress.is_stopping.load(SeqCst) {
            return Err(NotChanged::Stopping);
        }
        if progress.follows.is_some() {
            return Err(NotChanged::Follower);
        }
        let epoch = progress.epoch();
        if epoch.has_ended() { Err(NotChanged::UnderWay) } else { Ok(epoch) }
    }

    /// Asks for other terms, by a group that this server leads.
    pub(super) fn ask_for(&self, epoch: &EpochProgress, next: Terms) -> Result<(), NotChanged> {
        let group = asks(epoch)?;
        group.send(Mail::End(Arc::new(EpochEnd { epoch: epoch.number, next, request: random() })));
        Ok(())
    }
}

/// A group that this server leads: that of the latest command, if it is one, since the merge waits for none then.
pub(super) fn asks(epoch: &EpochProgress) -> Result<&GroupProgress, NotChanged> {
    let anchor = epoch.anchor.load(SeqCst) as usize;
    let anchor_first = [anchor].into_iter().chain(0..epoch.groups.len()).map(|group| &epoch.groups[group]);
    anchor_first.clone().find(|group| group.leads.load(SeqCst)).ok_or_else(|| {
        let mut leaders = anchor_first.map(|group| group.leader.load(SeqCst));
        NotChanged::LeadsNothing { leader: leaders.find(|leader| *leader != 0).unwrap_or(0) }
    })
}
