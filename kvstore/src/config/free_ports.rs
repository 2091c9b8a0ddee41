//! Servers on one machine, at free ports: for demonstrations, experiments and tests.

use std::io;
use std::net::UdpSocket;

use niagara_engine::{Config, Member};
use parking_lot::Mutex;

use super::PlannedServer;

/// Sockets of the same numbers as the ports that were given out.
static CLAIMS: Mutex<Vec<UdpSocket>> = Mutex::new(Vec::new());

impl PlannedServer {
    /// This many servers, with ids from 1, at ports of 127.0.0.1 that are free now. As long as this process lives, they are
    /// claimed: nobody else who looks for ports in this way is given one of them. Any other process may take one before the
    /// servers start; then try again.
    ///
    /// # Errors
    /// If the system has no free port left.
    ///
    /// ```
    /// use niagara_kvstore::config::PlannedServer;
    ///
    /// let servers = PlannedServer::on_free_ports(3, 4)?;
    /// assert_eq!((servers.len(), servers[2].server, servers[2].addresses.len()), (3, 3, 4));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn on_free_ports(servers: u16, groups: u16) -> io::Result<Vec<PlannedServer>> {
        // All are held until the last one is found, so no two are the same.
        let held = Config::local(servers, groups + 2)?;
        let addresses = held.first().into_iter().flat_map(|first| &first.members);
        let addresses = addresses.flat_map(|member| member.addresses.iter().chain([&member.transfer]));
        // Without a claim, it is as likely to be taken as any port.
        CLAIMS.lock().extend(addresses.filter_map(|address| UdpSocket::bind(address).ok()));
        let plan = |Member { server, mut addresses, transfer }| {
            let [http, redis] = [(); 2].map(|()| addresses.pop().expect("two more than there are groups"));
            PlannedServer { server, http, redis, addresses, transfer, tls: None }
        };
        Ok(held.first().map_or_else(Vec::new, |first| first.members.clone().into_iter().map(plan).collect()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ports_are_given_out_once_though_nobody_listens_there_yet() {
        let planned = (0..30).map(|_| PlannedServer::on_free_ports(2, 1).unwrap());
        let addresses: Vec<String> =
            planned.flatten().flat_map(|server| [server.http, server.redis, server.transfer]).collect();
        let different: HashSet<_> = addresses.iter().collect();
        assert_eq!(different.len(), addresses.len());
    }

    #[test]
    fn no_two_ports_are_the_same() {
        let servers = PlannedServer::on_free_ports(3, 4).unwrap();
        let addresses: HashSet<_> = servers
            .iter()
            .flat_map(|server| server.addresses.iter().chain([&server.http, &server.redis, &server.transfer]))
            .collect();
        assert_eq!(addresses.len(), 3 * (4 + 3));
    }
}
