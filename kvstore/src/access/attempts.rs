//! How often clients of an address have said a wrong password lately.
//!
//! An address has a few failures at hand, and gets another one each second. Once it has none, what its clients say is not
//! even looked at, so guessing is as slow for somebody with a thousand connections as for somebody with one.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::network::network_of;

/// Failures in a row that are nothing but mistakes.
const AT_HAND: u32 = 10;

/// After so long, another one is.
const PAUSE: Duration = Duration::from_secs(1);

/// Addresses that are remembered. An attacker with more of them makes the server forget those that have failed least
/// lately.
const MOST_ADDRESSES: usize = 4096;

/// The addresses that have failed lately.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    /// When each will have all its failures at hand again.
    recovered: HashMap<IpAddr, Instant>,
}

impl Attempts {
    /// How long an address has to wait before it may try again, if it has to.
    pub(super) fn wait(&self, address: IpAddr, now: Instant) -> Option<Duration> {
        let left = self.recovered.get(&network_of(address))?.saturating_duration_since(now);
        left.checked_sub(PAUSE * (AT_HAND - 1)).filter(|wait| !wait.is_zero())
    }

    /// Records a failure.
    pub(super) fn failed(&mut self, address: IpAddr, now: Instant) {
        let address = network_of(address);
        if self.recovered.len() >= MOST_ADDRESSES && !self.recovered.contains_key(&address) {
            self.forget_one(now);
        }
        let recovered = self.recovered.entry(address).or_insert(now);
        *recovered = now.max(*recovered) + PAUSE;
    }

    /// Makes room for another address.
    fn forget_one(&mut self, now: Instant) {
        self.recovered.retain(|_, recovered| *recovered > now);
        if self.recovered.len() >= MOST_ADDRESSES {
            let least = self.recovered.iter().min_by_key(|(_, recovered)| **recovered);
            if let Some(address) = least.map(|(address, _)| *address) {
                self.recovered.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_that_fails_too_often_waits() {
        let (mut attempts, start) = (Attempts::default(), Instant::now());
        let (here, there) = (address("10.0.0.1"), address("10.0.0.2"));
        for _ in 0..AT_HAND {
            assert_eq!(attempts.wait(here, start), None);
            attempts.failed(here, start);
        }
        assert_eq!(attempts.wait(here, start), Some(PAUSE));
        assert_eq!(attempts.wait(there, start), None, "others do not wait");
        let later = start + PAUSE;
        assert_eq!(attempts.wait(here, later), None);
        attempts.failed(here, later);
        assert_eq!(attempts.wait(here, later), Some(PAUSE), "one failure a second");
        assert_eq!(attempts.wait(here, later + PAUSE * AT_HAND), None);
    }

    #[test]
    fn neighbours_of_version_6_are_one_address() {
        let (mut attempts, now) = (Attempts::default(), Instant::now());
        for last in 0..AT_HAND {
            attempts.failed(address(&format!("2001:db8::{last:x}")), now);
        }
        assert!(attempts.wait(address("2001:db8::ffff"), now).is_some());
        assert!(attempts.wait(address("2001:db8:0:1::1"), now).is_none());
        (0..AT_HAND).for_each(|_| attempts.failed(address("::ffff:10.0.0.1"), now));
        assert!(attempts.wait(address("10.0.0.1"), now).is_some(), "the same machine");
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (mut attempts, now) = (Attempts::default(), Instant::now());
        let guesser = address("10.0.0.1");
        (0..AT_HAND).for_each(|_| attempts.failed(guesser, now));
        for number in 0..2 * MOST_ADDRESSES as u32 {
            attempts.failed(IpAddr::V4((0xc000_0000 + number).into()), now);
            assert!(attempts.recovered.len() <= MOST_ADDRESSES);
        }
        assert!(attempts.wait(guesser, now).is_some(), "who fails most is not forgotten");
        attempts.failed(address("10.0.0.2"), now + PAUSE * 100);
        assert_eq!(attempts.recovered.len(), 1, "who has recovered is");
    }
}
