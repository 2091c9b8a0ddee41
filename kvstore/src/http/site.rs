//! What all HTTP connections of a thread share.

use std::net::SocketAddr;
use std::sync::Arc;

use niagara_engine::ServerId;

use super::date::Clock;
use crate::Life;
use crate::access::Names;
use crate::changes::Lookout;
use crate::handover::Handover;

/// Shared by all connections of a thread.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) clock: Clock,
    /// The addresses of this server's front ends.
    pub(crate) http: SocketAddr,
    pub(crate) redis: SocketAddr,
    /// Those at which clients speak TLS.
    pub(crate) tls: Option<(SocketAddr, SocketAddr)>,
    /// The name that this server gives to the life of a state without one.
    pub(crate) life: Life,
    /// The HTTP addresses of the cluster's members, as far as they are known.
    pub(crate) members: Vec<(ServerId, String)>,
    /// Those at which clients speak TLS.
    pub(crate) members_https: Vec<(ServerId, String)>,
    /// What HTTP clients call this server, and which pages may ask it.
    pub(crate) names: Names,
    /// The thread's part in telling watchers of changes.
    pub(crate) lookout: Lookout,
    /// Of all that this server leads.
    pub(crate) handover: Arc<Handover>,
}
