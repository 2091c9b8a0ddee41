use std::collections::BTreeSet;

use bytes::Bytes;
use niagara_kvstore::command::{self, Command};

use super::{Broken, hold};

/// Each command is executed once. Checked for commands with unique bytes: a simulated client writes and
/// appends no value twice.
#[derive(Debug, Default)]
pub struct AppliedOnce {
    seen: BTreeSet<Bytes>,
}

impl AppliedOnce {
    /// A command was added to the global log.
    pub fn executed(&mut self, position: u64, command: &Bytes) -> Result<(), Broken> {
        let unlike_others = matches!(
            command::decode(command),
            Ok(Command::Set { .. } | Command::MSet { .. } | Command::Append { .. })
        );
        hold(!unlike_others || self.seen.insert(command.clone()), "applied_once", || {
            format!("{command:?} is executed again at position {position}")
        })
    }
}
