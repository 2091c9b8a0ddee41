use std::collections::BTreeSet;

use bytes::Bytes;

use super::{Broken, hold};

/// An acknowledged command is in the global log, of which every server has a prefix.
#[derive(Debug, Default)]
pub struct AckedIsApplied {
    executed: BTreeSet<Bytes>,
}

impl AckedIsApplied {
    /// A command was added to the global log.
    pub fn executed(&mut self, command: &Bytes) {
        self.executed.insert(command.clone());
    }

    /// A client was told that a command, unlike any other, was executed.
    pub fn acknowledged(&self, command: &Bytes) -> Result<(), Broken> {
        hold(self.executed.contains(command), "acked_is_applied", || {
            format!("{command:?} was acknowledged, but is not in the global log")
        })
    }
}
