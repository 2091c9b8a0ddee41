//! What the sequencer hands to execution.

use std::sync::Arc;

use niagara_log::{EntryId, LogEntry};
use niagara_sequencer::epoch::{Chain, Cut};
use niagara_sequencer::{Emitted, GroupId};

use crate::snapshot::Header;

/// A part of the global log. The paper's global-log channel carries these.
#[derive(Default)]
pub(crate) struct Stretch {
    pub emitted: Vec<Emitted<LogEntry>>,
    /// Bytes of its entries.
    pub bytes: u64,
    /// What to do after it.
    pub then: Option<Then>,
}

/// What execution has to do between two commands.
pub(crate) enum Then {
    /// Hand out a view of the state, for a snapshot.
    Freeze(SnapshotPoint),
    /// Go on with the next epoch, the newest one of this chain, whose groups are there.
    EndEpoch(Chain),
    /// Continue from a received snapshot's state, which is waiting.
    Restore(Arc<Header>),
    /// Drop that state: this server's own logs are further.
    Discard,
}

/// Where a snapshot cuts the logs: at the end of a round.
pub(crate) struct SnapshotPoint {
    pub cut: Cut,
    pub anchor: GroupId,
    /// For each group, the last entry that fills a slot of that round or an earlier one.
    pub floors: Vec<EntryId>,
}

impl Stretch {
    pub fn is_empty(&self) -> bool {
        self.emitted.is_empty() && self.then.is_none()
    }
}
