//! Names and addresses: what a host and a subnet are called, and where in a subnet a host is.

use std::fmt;
use std::net::Ipv4Addr;

/// Who has an address in a subnet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Host {
    /// A server, by its id from 1.
    Server(u64),
    /// All clients: they share a namespace.
    Clients,
}

/// What a subnet is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subnet {
    /// Clients and servers.
    Clients,
    /// Traffic among the servers, by the link's number from 1: of one group, or of several that share it.
    Link(u16),
}

/// Subnets are 10.78.0.0/24, 10.78.1.0/24 and so on: private, and never seen outside of the namespaces.
const NETWORK: [u8; 2] = [10, 78];
/// The number of the clients within a subnet; servers have their ids.
const CLIENTS: u8 = 200;

/// An Ethernet address that nobody has: what is sent there is lost.
pub(super) const NOWHERE: &str = "02:00:00:00:00:00";

impl Host {
    /// The name of its namespace behind the network's prefix.
    pub(super) fn suffix(self) -> String {
        match self {
            Host::Server(server) => format!("s{server}"),
            Host::Clients => "clients".into(),
        }
    }

    fn number(self) -> u8 {
        match self {
            Host::Server(server) => {
                u8::try_from(server).ok().filter(|id| *id < CLIENTS).expect("a small cluster")
            }
            Host::Clients => CLIENTS,
        }
    }
}

impl Subnet {
    /// The name of a host's device in this subnet, and of the bridge behind it.
    pub fn device(self) -> String {
        match self {
            Subnet::Clients => "clients".into(),
            Subnet::Link(link) => format!("link{link}"),
        }
    }

    /// The name of a host's port at the bridge.
    pub(super) fn port(self, host: Host) -> String {
        format!("p{}-{}", self.number(), host.number())
    }

    /// A host's address.
    pub fn address(self, host: Host) -> Ipv4Addr {
        Ipv4Addr::new(NETWORK[0], NETWORK[1], self.number(), host.number())
    }

    /// A host's Ethernet address: locally administered, and told to all others by hand.
    pub(super) fn ethernet(self, host: Host) -> String {
        format!("02:4e:69:61:{:02x}:{:02x}", self.number(), host.number())
    }

    fn number(self) -> u8 {
        match self {
            Subnet::Clients => 0,
            Subnet::Link(link) => u8::try_from(link).expect("a cluster with less than 256 links"),
        }
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subnet::Clients => write!(f, "the clients' link"),
            Subnet::Link(link) => write!(f, "link {link}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_host_is_somewhere_else() {
        let hosts = [Host::Server(1), Host::Server(2), Host::Clients];
        let subnets = [Subnet::Clients, Subnet::Link(1), Subnet::Link(2)];
        let all: Vec<_> = hosts.iter().flat_map(|host| subnets.map(|subnet| (subnet, *host))).collect();
        let count = |texts: Vec<String>| texts.into_iter().collect::<std::collections::BTreeSet<_>>().len();
        assert_eq!(count(all.iter().map(|(subnet, host)| subnet.address(*host).to_string()).collect()), 9);
        assert_eq!(count(all.iter().map(|(subnet, host)| subnet.ethernet(*host)).collect()), 9);
        assert_eq!(count(all.iter().map(|(subnet, host)| subnet.port(*host)).collect()), 9);
        assert!(all.iter().all(|(subnet, host)| subnet.ethernet(*host) != NOWHERE));
    }
}
