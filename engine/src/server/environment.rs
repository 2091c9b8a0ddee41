//! What a server needs from the world around it.

use std::sync::Arc;

use niagara_log::Files;

use crate::clock::Clock;

/// What a server needs from the world around it, apart from messages.
#[derive(Clone, Debug)]
pub struct Environment {
    /// A number that no other start of any server has; not 0.
    pub boot: u64,
    /// Time, for deadlines.
    pub clock: Clock,
    /// Storage of identity, logs and snapshots.
    pub files: Arc<dyn Files>,
    /// Whether threads prepare log segments concurrently with writes.
    pub prepare_beside: bool,
    /// Seed for election timeouts, one for each replica and term. If `None`, they are drawn at random for
    /// each election.
    pub election_seed: Option<u64>,
}
