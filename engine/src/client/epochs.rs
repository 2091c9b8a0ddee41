//! The epoch that a server is in, and requests for another one: another number of groups.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use niagara_sequencer::MAX_GROUPS;
use niagara_sequencer::epoch::{EpochEnd, Terms};
use serde::{Deserialize, Serialize};

use super::handle::Client;
use crate::config::FIRST_LEVEL;
use crate::identity::random;
use crate::progress::Mail;
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
    /// Only a server that leads a group can ask.
    #[error("this server leads no group: {}", ask(*leader))]
    LeadsNothing {
        /// A server that leads one; 0 if none is known.
        leader: u64,
    },
    /// The epoch is about to end already.
    #[error("another change is under way: try again in a moment")]
    UnderWay,
    /// This server stops.
    #[error("this server is being stopped")]
    Stopping,
}

fn ask(leader: u64) -> String {
    match leader {
        0 => "no group has a leader at the moment; try again later".to_owned(),
        leader => format!("ask server {leader}, which does"),
    }
}

/// The epoch that a server's global log is in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EpochView {
    /// Its number, from 1.
    #[serde(rename = "epoch")]
    pub number: u32,
    /// Number of groups.
    pub groups: u16,
    /// Ids of the servers that have its groups.
    pub members: Vec<u64>,
}

impl<S: StateMachine> Client<S> {
    /// The epoch that this server's global log is in.
    pub fn epoch(&self) -> EpochView {
        let epoch = self.shared.progress.epoch();
        EpochView {
            number: epoch.number.get(),
            groups: epoch.layout.groups(),
            members: epoch.members.clone(),
        }
    }

    /// Asks for another number of groups. The epoch ends, at the same position on every server, and the next one, with so many
    /// groups, goes on. What is in flight goes on, too. [`epoch`](Self::epoch) shows when this server is there. The request may
    /// be lost with a leader, or come after another one: then the epoch that follows is another.
    ///
    /// # Errors
    /// If the request cannot be made here and now. Nothing has changed then.
    pub fn ask_for_groups(&self, groups: u16) -> Result<(), NotChanged> {
        let progress = &self.shared.progress;
        if progress.is_stopping.load(SeqCst) {
            return Err(NotChanged::Stopping);
        }
        if !(1..=MAX_GROUPS).contains(&groups) {
            return Err(NotChanged::Groups { groups });
        }
        let epoch = progress.epoch();
        if epoch.has_ended() {
            return Err(NotChanged::UnderWay);
        }
        let anchor = epoch.anchor.load(SeqCst) as usize;
        let anchor_first =
            [anchor].into_iter().chain(0..epoch.groups.len()).map(|group| &epoch.groups[group]);
        let Some(group) = anchor_first.clone().find(|group| group.leads.load(SeqCst)) else {
            let leaders = anchor_first.map(|group| group.leader.load(SeqCst));
            return Err(NotChanged::LeadsNothing {
                leader: leaders.into_iter().find(|leader| *leader != 0).unwrap_or(0),
            });
        };
        let next = Terms { groups, members: epoch.members.clone(), level: FIRST_LEVEL };
        group.send(Mail::End(Arc::new(EpochEnd { epoch: epoch.number, next, request: random() })));
        Ok(())
    }
}
