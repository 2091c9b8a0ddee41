//! Addresses for servers on this machine.

use std::io;
use std::net::TcpListener;

use crate::failure::Failure;

/// Per server, one address for each group, and one for snapshots, all free at the moment.
pub(crate) fn free_addresses(servers: u64, groups: u16) -> Result<Vec<(Vec<String>, String)>, Failure> {
    // All are held until the last one is found, so that no two are the same.
    let mut held = Vec::new();
    let mut free = || -> io::Result<String> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?.to_string();
        held.push(listener);
        Ok(address)
    };
    (0..servers)
        .map(|_| Ok(((0..groups).map(|_| free()).collect::<Result<_, _>>()?, free()?)))
        .collect::<io::Result<_>>()
        .map_err(Failure::io("cannot find free ports on 127.0.0.1"))
}
