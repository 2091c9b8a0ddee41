//! What a server takes from the world around it.

use std::sync::Arc;

use niagara_log::Files;

use crate::clock::Clock;

/// What a server takes from the world around it, apart from messages.
#[derive(Clone, Debug)]
pub struct Environment {
    /// A number that no other start of any server has; not 0.
    pub boot: u64,
    /// The time, for deadlines.
    pub clock: Clock,
    /// Where identity, logs and snapshots are.
    pub files: Arc<dyn Files>,
    /// Whether threads prepare log segments beside the writes.
    pub prepare_beside: bool,
    /// Election time-outs are drawn at random for each election, or follow from this seed, one for each replica and term.
    pub election_seed: Option<u64>,
}
