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
    pub(super) library: Library,
}

/// What a client's library says of itself.
#[derive(Debug, Default)]
pub(crate) struct Library {
    pub(super) name: Vec<u8>,
    pub(super) version: Vec<u8>,
}

/// Whether a text can stand in a line of CLIENT LIST.
pub(super) fn is_printable(text: &[u8]) -> bool {
    text.iter().all(|byte| (b'!'..=b'~').contains(byte))
}
