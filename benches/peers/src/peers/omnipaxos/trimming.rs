//! How much of the log stays in memory.

use anyhow::{Result, bail};
use omnipaxos::CompactionErr;

use super::settings::Node;

/// Rarely enough to cost nothing.
const EVERY: usize = 8_192;

/// The leader's plan of what to trim next.
#[derive(Debug, Default)]
pub struct Trimming {
    /// What was decided one period ago: followers were told so before they are told to trim it.
    next: usize,
}

impl Trimming {
    /// Has all replicas drop what they have all applied, if that is much.
    ///
    /// # Errors
    /// When the crate refuses for a reason that is not expected.
    pub fn trim(&mut self, node: &mut Node) -> Result<()> {
        let decided = node.get_decided_idx();
        if decided < self.next + EVERY {
            return Ok(());
        }
        if self.next > 0 {
            match node.trim(Some(self.next)) {
                Ok(()) => {}
                // A follower is behind; it will come.
                Err(CompactionErr::NotAllDecided(_)) => return Ok(()),
                Err(error) => bail!("cannot trim: {error}"),
            }
        }
        self.next = decided;
        Ok(())
    }
}
