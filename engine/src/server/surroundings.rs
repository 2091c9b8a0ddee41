//! What an engine with threads is started on.

use std::sync::Arc;

use niagara_log::Files;
use niagara_net::{OpenError, Transport};

use crate::clock::Clock;

/// Makes the transport of a thread.
pub(super) type MakeTransport = Arc<dyn Fn() -> Result<Box<dyn Transport>, OpenError> + Send + Sync>;

/// What an engine with threads is started on: the system's, or the embedding program's own.
pub(super) struct Surroundings {
    pub clock: Clock,
    pub files: Arc<dyn Files>,
    /// Whether the data directory is the system's, and admits one server.
    pub locks: bool,
    pub transport: MakeTransport,
}
