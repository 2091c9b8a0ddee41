//! What a connection knows of its client.

use std::net::SocketAddr;

/// What a connection knows of its client.
#[derive(Debug)]
pub(crate) struct About {
    /// Unique among the connections of this process.
    pub(crate) id: u64,
    pub(crate) peer: Option<SocketAddr>,
    /// Where it has connected to, if that was asked.
    pub(crate) local: Option<SocketAddr>,
    pub(super) name: Vec<u8>,
}
