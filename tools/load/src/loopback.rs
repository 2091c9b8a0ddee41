//! Addresses for servers on this machine.

use niagara_kvstore::config::PlannedServer;

use crate::failure::Failure;

/// Per server, one address for each group, and one for snapshots, all free at the moment.
pub(crate) fn free_addresses(servers: u64, groups: u16) -> Result<Vec<(Vec<String>, String)>, Failure> {
    let servers = u16::try_from(servers).expect("a machine runs a few servers");
    let planned = PlannedServer::on_free_ports(servers, groups)
        .map_err(Failure::io("cannot find free ports on 127.0.0.1"))?;
    Ok(planned.into_iter().map(|server| (server.addresses, server.transfer)).collect())
}
