//! What the sequencer hands to execution.

use std::sync::Arc;

use niagara_log::{EntryId, LogEntry};
use niagara_sequencer::{Emitted, GroupId};

use crate::snapshot::Header;

/// A part of the global log: the paper's global-log channel carries these.
#[derive(Default)]
pub(crate) struct Stretch {
    pub emitted: Vec<Emitted<LogEntry>>,
    /// What its entries take.
    pub bytes: u64,
    /// What is to be done behind it.
    pub then: Option<Then>,
}

/// What execution is told between two commands.
pub(crate) enum Then {
    /// Hand out a view of the state, for a snapshot.
    Freeze(Cut),
    /// Go on from a received snapshot's state, which waits.
    Restore(Arc<Header>),
    /// Drop that state: this server's own logs have brought it further.
    Discard,
}

/// Where a snapshot cuts the logs: at the end of a round.
pub(crate) struct Cut {
    pub round: u64,
    pub anchor: GroupId,
    /// Per group: the last entry that fills a slot of that round or before it.
    pub floors: Vec<EntryId>,
}

impl Stretch {
    pub fn is_empty(&self) -> bool {
        self.emitted.is_empty() && self.then.is_none()
    }
}
