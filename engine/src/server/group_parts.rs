//! One group of a server, before a thread drives it.

use niagara_log::{LogStore, LogWriter};
use niagara_sequencer::epoch::Record;

use super::replica::Replica;

/// The parts of one group.
pub(crate) struct GroupParts {
    /// Its epoch.
    pub record: Record,
    pub replica: Replica,
    pub store: LogStore,
    pub writer: LogWriter,
}
