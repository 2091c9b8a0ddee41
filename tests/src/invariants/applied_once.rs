use std::collections::BTreeSet;

use bytes::Bytes;
use niagara_kvstore::command::{self, Command};

use super::{Broken, hold};

/// Each command is executed once. Told by those whose bytes no other command has: a simulated client writes and appends no value twice.
#[derive(Debug, Default)]
pub struct AppliedOnce {
    seen: BTreeSet<Bytes>,
}

impl AppliedOnce {
    /// The global log has gone on by a command.
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
