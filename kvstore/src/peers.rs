//! Whether servers may speak to each other without TLS: where nobody but them can.

use std::net::ToSocketAddrs;

use niagara_engine::Config;

/// Other machines can reach an address at which servers speak without TLS.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "other machines may reach {address} ({setting}), where servers speak to each other without TLS, so whoever can send \
     packets there could change everything. Give the servers certificates (`[peer_tls]`; `niagara certificates issue \
     --config`); or, in a network of their own, set `insecure = true`"
)]
pub struct PlainPeers {
    /// The address, as configured.
    pub address: String,
    /// Where it is configured.
    pub setting: &'static str,
}

/// Checks that all addresses of this server for others are of the loopback. A name that has no address is left to the
/// engine, which reports it.
pub(crate) fn check_plain(config: &Config) -> Result<(), PlainPeers> {
    let Some(own) = config.members.iter().find(|member| member.server == config.server) else {
        return Ok(());
    };
    let groups = own.addresses.iter().enumerate().map(|(at, address)| {
        let listen = config.links.get(at).and_then(|link| link.listen);
        match listen {
            Some(listen) => (listen.to_string(), "`listen` of `links`"),
            None => (address.clone(), "one of this server's `addresses`"),
        }
    });
    let transfer = [(own.transfer.clone(), "this server's `transfer`")];
    let mut all = groups.chain(transfer);
    match all.find(|(address, _)| is_open(address)) {
        None => Ok(()),
        Some((address, setting)) => Err(PlainPeers { address, setting }),
    }
}

fn is_open(address: &str) -> bool {
    let mut addresses = address.to_socket_addrs().into_iter().flatten();
    addresses.any(|address| !address.ip().to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use niagara_engine::{Link, Member};

    use super::*;

    fn checked(group: &str, transfer: &str, listen: Option<&str>) -> Result<(), &'static str> {
        let member = |server: u64, group: &str| Member {
            server,
            addresses: vec![group.into()],
            transfer: transfer.into(),
        };
        // Where others are does not matter.
        let mut config = Config::new(1, 1, vec![member(1, group), member(2, "192.0.2.7:1")]);
        let mut link = Link::default();
        link.listen = listen.map(|listen| listen.parse().unwrap());
        config.links = vec![link];
        check_plain(&config).map_err(|open| open.setting)
    }

    #[test]
    fn only_the_loopback_needs_no_tls() {
        let here = "127.0.0.1:1";
        assert_eq!(checked(here, "[::1]:2", None), Ok(()));
        assert_eq!(checked("localhost:1", "127.9.9.9:2", None), Ok(()));
        for open in ["0.0.0.0:1", "192.0.2.7:1", "[::]:1", "[2001:db8::1]:1"] {
            assert_eq!(checked(open, here, None), Err("one of this server's `addresses`"), "{open}");
            assert_eq!(checked(here, open, None), Err("this server's `transfer`"), "{open}");
            assert_eq!(checked(here, here, Some(open)), Err("`listen` of `links`"), "{open}");
        }
        assert_eq!(checked("192.0.2.7:1", here, Some(here)), Ok(()), "what counts is where it listens");
    }
}
