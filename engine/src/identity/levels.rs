//! Which levels the other servers know.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

/// The highest level that each peer knows, as it has said when it was admitted last.
#[derive(Clone, Debug, Default)]
pub(crate) struct PeerLevels(Arc<Mutex<BTreeMap<u64, u32>>>);

impl PeerLevels {
    pub(super) fn note(&self, peer: u64, known: u32) {
        self.0.lock().insert(peer, known);
    }

    /// What a peer knows; `None` for one that this server has not met since it started.
    pub fn of(&self, peer: u64) -> Option<u32> {
        self.0.lock().get(&peer).copied()
    }
}
