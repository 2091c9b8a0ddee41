//! What all HTTP connections of a thread share.

use std::net::SocketAddr;

use niagara_engine::ServerId;

use super::date::Clock;
use crate::Life;

/// What all connections of a thread share.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) clock: Clock,
    /// Where this server's front ends listen.
    pub(crate) http: SocketAddr,
    pub(crate) redis: SocketAddr,
    /// What this server names the life of a state that has no name yet.
    pub(crate) life: Life,
    /// Where the cluster's members answer HTTP, as far as it is known.
    pub(crate) members: Vec<(ServerId, String)>,
}
