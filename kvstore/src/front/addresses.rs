//! How many connections each address has, and how much they hold together, so that no machine takes all there is.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use parking_lot::Mutex;

use super::config::FrontEndConfig;
use crate::access::network_of;

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Addresses {
    /// Most connections of an address; `None`: of this machine as many as there are.
    most_here: Option<usize>,
    most: usize,
    known: Mutex<HashMap<IpAddr, Known>>,
    /// How many addresses have connections.
    count: AtomicUsize,
}

/// An address with connections.
#[derive(Debug, Default)]
struct Known {
    open: usize,
    share: Arc<Share>,
}

/// What the connections of an address hold together, in bytes.
#[derive(Debug, Default)]
pub(super) struct Share {
    held: AtomicUsize,
}

impl Share {
    /// A connection that has held `before` bytes holds `now` bytes.
    pub(super) fn settle(&self, before: usize, now: usize) {
        if now > before {
            self.held.fetch_add(now - before, Relaxed);
        } else if now < before {
            self.held.fetch_sub(before - now, Relaxed);
        }
    }

    pub(super) fn held(&self) -> usize {
        self.held.load(Relaxed)
    }
}

impl Addresses {
    pub(super) fn new(config: &FrontEndConfig) -> Addresses {
        let most_here = config.max_connections_per_address;
        let most = most_here.unwrap_or(config.max_connections - config.max_connections / 4);
        Addresses { most_here, most, known: Mutex::default(), count: AtomicUsize::new(0) }
    }

    /// Counts a connection, unless its address has too many. Returns what its address holds.
    pub(super) fn arrives(&self, address: IpAddr) -> Option<Arc<Share>> {
        let mut known = self.known.lock();
        let most = self.most_of(address).unwrap_or(usize::MAX);
        let found = known.entry(network_of(address)).or_default();
        let share = (found.open < most).then(|| Arc::clone(&found.share));
        found.open += usize::from(share.is_some());
        self.count.store(known.len(), Relaxed);
        share
    }

    /// A connection that was counted is closed.
    pub(super) fn leaves(&self, address: IpAddr) {
        let (mut known, network) = (self.known.lock(), network_of(address));
        let found = known.get_mut(&network).expect("what is closed was open");
        found.open -= 1;
        if found.open == 0 {
            known.remove(&network);
        }
        self.count.store(known.len(), Relaxed);
    }

    /// How many addresses have connections.
    pub(super) fn count(&self) -> usize {
        self.count.load(Relaxed)
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
        let arrives = |address| addresses.arrives(address).is_some();
        assert!((0..6).all(|_| arrives(one)));
        assert!(!arrives(one) && !arrives(address("::ffff:192.0.2.1")));
        assert!(arrives(other), "others are not concerned");
        assert!((0..100).all(|_| arrives(here)));
        addresses.leaves(one);
        assert!(arrives(one) && !arrives(one));
        assert_eq!(addresses.count(), 3);
    }

    #[test]
    fn a_configured_limit_counts_for_all_and_nothing_is_remembered() {
        let limit = Some(2);
        let addresses =
            Addresses::new(&FrontEndConfig { max_connections_per_address: limit, ..Default::default() });
        for (one, neighbour) in [("127.0.0.1", "127.0.0.1"), ("2001:db8::1", "2001:db8::2")] {
            let (one, neighbour) = (address(one), address(neighbour));
            let arrives = |address| addresses.arrives(address).is_some();
            assert!(arrives(one) && arrives(neighbour) && !arrives(one));
            addresses.leaves(one);
            addresses.leaves(neighbour);
        }
        assert!(addresses.known.lock().is_empty());
        assert_eq!(addresses.count(), 0);
    }

    #[test]
    fn what_an_address_holds_is_what_its_connections_hold() {
        let addresses = Addresses::new(&FrontEndConfig::default());
        let [one, neighbour, other] = ["2001:db8::1", "2001:db8::2", "192.0.2.1"]
            .map(|text| addresses.arrives(address(text)).expect("there is room"));
        one.settle(0, 10);
        neighbour.settle(0, 5);
        one.settle(10, 3);
        assert_eq!([&one, &neighbour, &other].map(|share| share.held()), [8, 8, 0]);
    }
}
