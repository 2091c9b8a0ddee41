use super::{Broken, hold};

/// A strong read sees every command that was acknowledged anywhere before it began; an at-least read sees
/// everything up to its position.
#[derive(Debug, Default)]
pub struct ReadIsFresh {
    newest: u64,
}

impl ReadIsFresh {
    /// A client was told that its command was executed at this position.
    pub fn acknowledged(&mut self, position: u64) {
        self.newest = self.newest.max(position);
    }

    /// A strong read begins. Returns the least position that its answer may have.
    pub fn begin(&self) -> u64 {
        self.newest
    }

    /// A read that must see at least position `least` is answered by a server that has executed up to
    /// `applied`.
    pub fn answered(&self, server: u64, least: u64, applied: u64) -> Result<(), Broken> {
        hold(applied >= least, "read_is_fresh", || {
            format!("server {server} answers at position {applied} a read that must see position {least}")
        })
    }
}
