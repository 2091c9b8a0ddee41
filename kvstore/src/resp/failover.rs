//! What a server tells clients of Redis about the servers of its cluster, and where they are.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use niagara_engine::ServerId;

/// How clients of Redis find another server when theirs is gone: by Sentinel or Cluster.
///
/// ```
/// use niagara_kvstore::Failover;
///
/// let failover = Failover {
///     cluster: true,
///     members: vec![(1, "10.0.0.1:7001".parse()?), (2, "[2001:db8::2]:7001".parse()?)],
///     ..Failover::default()
/// };
/// assert_eq!(failover.members[1].1.host, "2001:db8::2");
/// assert!(failover.weak_readonly && failover.master_name == "mymaster");
/// # Ok::<(), niagara_kvstore::NotAnAddress>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failover {
    /// Where clients find the members' Redis ports, this server's included. A server without an address here is
    /// not named to clients, except this one: they are told the address that they have connected to.
    pub members: Vec<(ServerId, RedisAddress)>,
    /// Whether CLUSTER is answered, as by Redis with `cluster-enabled yes`.
    pub cluster: bool,
    /// Whether the reads of a connection are weak after READONLY. Clients of a cluster send it by themselves.
    pub weak_readonly: bool,
    /// The name of the only master in lists; a question about one master may use any name.
    pub master_name: String,
}

impl Default for Failover {
    /// No addresses, no cluster, weak reads after READONLY, and the name that the manual of Redis uses.
    fn default() -> Failover {
        Failover {
            members: Vec::new(),
            cluster: false,
            weak_readonly: true,
            master_name: "mymaster".to_owned(),
        }
    }
}

/// A host and a port, as Redis gives them to clients: apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisAddress {
    /// An IP address, without brackets, or a name.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// A text is not `HOST:PORT`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a host:port that clients can connect to")]
pub struct NotAnAddress(String);

impl FromStr for RedisAddress {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> Result<RedisAddress, NotAnAddress> {
        let parsed = text.rsplit_once(':').and_then(|(host, port)| {
            let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
            let host = bare.unwrap_or(host);
            let is_printable = host.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',');
            let is_host = !host.is_empty() && is_printable && (bare.is_some() || !host.contains(':'));
            let port = port.parse().ok().filter(|port| *port != 0 && is_host)?;
            Some(RedisAddress { host: host.to_owned(), port })
        });
        parsed.ok_or_else(|| NotAnAddress(text.to_owned()))
    }
}

impl From<SocketAddr> for RedisAddress {
    fn from(address: SocketAddr) -> RedisAddress {
        RedisAddress { host: address.ip().to_canonical().to_string(), port: address.port() }
    }
}

impl RedisAddress {
    /// Whether it stands for all of a machine's addresses, so that nobody can reach it by that.
    pub(crate) fn is_wildcard(&self) -> bool {
        self.host.parse().is_ok_and(|ip: IpAddr| ip.is_unspecified())
    }
}

impl fmt::Display for RedisAddress {
    /// As in CLUSTER NODES: IPv6 addresses have no brackets there.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_told_without_brackets() {
        let parse =
            |text: &str| text.parse::<RedisAddress>().map(|address| (address.host, address.port)).ok();
        assert_eq!(parse("10.0.0.1:7001"), Some(("10.0.0.1".into(), 7001)));
        assert_eq!(parse("db-1.example.org:7001"), Some(("db-1.example.org".into(), 7001)));
        assert_eq!(parse("[::1]:7001"), Some(("::1".into(), 7001)));
        for wrong in ["", "10.0.0.1", ":7001", "10.0.0.1:0", "h:70000", "::1:7001", "a b:1", "a,b:1", "[]:1"]
        {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
        let mapped: SocketAddr = "[::ffff:10.0.0.1]:7001".parse().unwrap();
        assert_eq!(RedisAddress::from(mapped).to_string(), "10.0.0.1:7001");
        assert!(parse("0.0.0.0:1").is_some() && "[::]:1".parse::<RedisAddress>().unwrap().is_wildcard());
        assert!(!"db:1".parse::<RedisAddress>().unwrap().is_wildcard());
    }
}
