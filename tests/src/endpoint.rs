//! Where a server listens.

use std::net::SocketAddr;

use crate::network::{Host, Subnet};
use crate::{Http, Resp};

/// Where a server's clients and peers connect.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// The server's id, from 1.
    pub server: u64,
    /// For HTTP clients.
    pub http: SocketAddr,
    /// For Redis clients.
    pub redis: SocketAddr,
    /// For the other servers, in order of the groups.
    pub groups: Vec<SocketAddr>,
    /// For the other servers, which ask for snapshots there.
    pub transfer: SocketAddr,
}

impl Endpoint {
    /// The same server's ports at its addresses in a network.
    pub(crate) fn inside(&self) -> Endpoint {
        let at = |subnet: Subnet, port| SocketAddr::from((subnet.address(Host::Server(self.server)), port));
        let group = |(group, address): (u16, &SocketAddr)| at(Subnet::Link(group), address.port());
        Endpoint {
            server: self.server,
            http: at(Subnet::Clients, self.http.port()),
            redis: at(Subnet::Clients, self.redis.port()),
            groups: (1..).zip(&self.groups).map(group).collect(),
            transfer: at(Subnet::Clients, self.transfer.port()),
        }
    }

    pub(crate) fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        [self.http, self.redis, self.transfer].into_iter().chain(self.groups.iter().copied())
    }

    /// A client over HTTP.
    pub fn http(&self) -> Http {
        Http::new(self.http)
    }

    /// A client over the Redis protocol.
    pub fn redis(&self) -> Resp {
        Resp::new(self.redis)
    }
}
