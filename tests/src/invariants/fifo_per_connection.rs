use std::collections::BTreeMap;

use bytes::Bytes;
use niagara_kvstore::command::{self, Command};

use super::{Broken, hold};

/// Prefix of the keys to which a single connection writes rising numbers.
pub const FIFO: &[u8] = b"fifo:";

/// The commands of a connection are executed in the order in which they were sent.
#[derive(Debug, Default)]
pub struct FifoPerConnection {
    last: BTreeMap<Vec<u8>, u64>,
}

/// A read that a connection sent between two writes of rising numbers to its own key shows the first of them, or,
/// if that was refused or its outcome is unknown, an earlier one that was not overwritten.
pub fn check_read_is_in_its_place(key: &str, shown: u64, acknowledged: u64, sent: u64) -> Result<(), Broken> {
    hold((acknowledged..=sent).contains(&shown), "fifo_per_connection", || {
        format!(
            "{key}: a read behind write {sent}, of a connection that was told of write {acknowledged}, shows write \
             {shown}"
        )
    })
}

impl FifoPerConnection {
    /// A command was added to the global log.
    pub fn executed(&mut self, position: u64, command: &Bytes) -> Result<(), Broken> {
        let Ok(Command::Set { key, value, .. }) = command::decode(command) else { return Ok(()) };
        if !key.starts_with(FIFO) {
            return Ok(());
        }
        let number: u64 = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()).unwrap_or(0);
        let before = self.last.insert(key.to_vec(), number).unwrap_or(0);
        hold(number > before, "fifo_per_connection", || {
            let key = String::from_utf8_lossy(key);
            format!("{key}: write {number} is executed at position {position}, after write {before}")
        })
    }
}
