//! Whether this server gives its leaderships away.

use std::sync::atomic::{AtomicU8, Ordering::SeqCst};

/// It leads what it is wanted for.
const LEADS: u8 = 0;
/// It hands over what it leads, and claims nothing.
const DRAINS: u8 = 1;
/// It does so because it is about to stop, and accepts nothing more.
const RETIRES: u8 = 2;

/// What a server has been told to do with its leaderships.
#[derive(Default)]
pub(crate) struct Drain(AtomicU8);

impl Drain {
    /// Gives all leaderships away from now on.
    pub fn begin(&self) {
        self.0.fetch_max(DRAINS, SeqCst);
    }

    /// Keeps and claims leaderships again, unless the server retires.
    pub fn end(&self) {
        let _ = self.0.compare_exchange(DRAINS, LEADS, SeqCst, SeqCst);
    }

    /// Gives all leaderships away, and accepts nothing more, until the server stops.
    pub fn retire(&self) {
        self.0.store(RETIRES, SeqCst);
    }

    /// Whether leaderships are given away.
    pub fn is_on(&self) -> bool {
        self.0.load(SeqCst) != LEADS
    }

    /// Whether the server is about to stop.
    pub fn is_retiring(&self) -> bool {
        self.0.load(SeqCst) == RETIRES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_retires_does_so_for_good() {
        let drain = Drain::default();
        assert!(!drain.is_on());
        drain.begin();
        assert!(drain.is_on() && !drain.is_retiring());
        drain.end();
        assert!(!drain.is_on());
        drain.retire();
        drain.begin();
        drain.end();
        assert!(drain.is_on() && drain.is_retiring());
    }
}
