//! How many connections each address has, so that no machine takes all of them.

use std::collections::HashMap;
use std::net::IpAddr;

use parking_lot::Mutex;

use super::config::FrontEndConfig;
use crate::access::network_of;

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Addresses {
    /// Most connections of an address; `None`: of this machine as many as there are.
    most_here: Option<usize>,
    most: usize,
    open: Mutex<HashMap<IpAddr, usize>>,
}

impl Addresses {
    pub(super) fn new(config: &FrontEndConfig) -> Addresses {
        let most_here = config.max_connections_per_address;
        let most = most_here.unwrap_or(config.max_connections - config.max_connections / 4);
        Addresses { most_here, most, open: Mutex::default() }
    }

    /// Counts a connection, unless its address has too many.
    pub(super) fn arrives(&self, address: IpAddr) -> bool {
        let mut open = self.open.lock();
        let count = open.entry(network_of(address)).or_default();
        let is_one_more = self.most_of(address).is_none_or(|most| *count < most);
        *count += usize::from(is_one_more);
        is_one_more
    }

    /// A connection that was counted is closed.
    pub(super) fn leaves(&self, address: IpAddr) {
        let (mut open, network) = (self.open.lock(), network_of(address));
        let count = open.get_mut(&network).expect("what is closed was open");
        *count -= 1;
        if *count == 0 {
            open.remove(&network);
        }
    }

    /// Most connections of this address, if there is a limit.
    pub(super) fn most_of(&self, address: IpAddr) -> Option<usize> {
        if address.to_canonical().is_loopback() { self.most_here } else { Some(self.most) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_takes_three_quarters_unless_it_is_this_machine() {
        let config = FrontEndConfig { max_connections: 8, ..FrontEndConfig::default() };
        let addresses = Addresses::new(&config);
        let (one, other, here) = (address("192.0.2.1"), address("192.0.2.2"), address("127.0.0.1"));
        assert!((0..6).all(|_| addresses.arrives(one)));
        assert!(!addresses.arrives(one) && !addresses.arrives(address("::ffff:192.0.2.1")));
        assert!(addresses.arrives(other), "others are not concerned");
        assert!((0..100).all(|_| addresses.arrives(here)));
        addresses.leaves(one);
        assert!(addresses.arrives(one) && !addresses.arrives(one));
    }

    #[test]
    fn a_configured_limit_counts_for_all_and_nothing_is_remembered() {
        let limit = Some(2);
        let addresses =
            Addresses::new(&FrontEndConfig { max_connections_per_address: limit, ..Default::default() });
        for (one, neighbour) in [("127.0.0.1", "127.0.0.1"), ("2001:db8::1", "2001:db8::2")] {
            let (one, neighbour) = (address(one), address(neighbour));
            assert!(addresses.arrives(one) && addresses.arrives(neighbour) && !addresses.arrives(one));
            addresses.leaves(one);
            addresses.leaves(neighbour);
        }
        assert!(addresses.open.lock().is_empty());
    }
}
