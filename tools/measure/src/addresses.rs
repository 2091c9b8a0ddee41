//! Addresses for servers on this machine.

use std::io;
use std::net::{SocketAddr, TcpListener};

/// So many addresses on the loopback interface that nobody listens on at the moment.
///
/// # Errors
/// When there are too few.
pub fn free_addresses(count: usize) -> io::Result<Vec<SocketAddr>> {
    // All are held until the last one is found, so that no two are the same.
    let held: Vec<TcpListener> =
        (0..count).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<io::Result<_>>()?;
    held.iter().map(TcpListener::local_addr).collect()
}
