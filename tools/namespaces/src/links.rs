//! Cuts, joins and throttles links.

use std::collections::BTreeMap;
use std::sync::MutexGuard;

use crate::layout::{Host, Subnet};
use crate::link::Link;
use crate::{Namespaces, NetworkError, tool};

impl Namespaces {
    /// Loses all that `from` sends to `to` in a subnet, without a word to either, until as many [`join`](Self::join) follow.
    /// Cut both directions for a cable that is broken.
    pub fn cut(&self, subnet: Subnet, from: Host, to: Host) -> Result<(), NetworkError> {
        self.cut_all(&[(subnet, from, to)])
    }

    /// Makes several [cuts](Self::cut), as close to each other in time as possible.
    pub fn cut_all(&self, links: &[(Subnet, Host, Host)]) -> Result<(), NetworkError> {
        let mut cuts = self.cuts();
        let mut new = Vec::new();
        for &(subnet, from, to) in links {
            let link = Link { subnet, from, to };
            let count = cuts.entry(link).or_default();
            *count += 1;
            if *count == 1 {
                new.push(link);
            }
        }
        self.tell(&new, true)
    }

    /// Takes one cut back.
    ///
    /// # Panics
    /// When there is none.
    pub fn join(&self, subnet: Subnet, from: Host, to: Host) -> Result<(), NetworkError> {
        self.join_all(&[(subnet, from, to)])
    }

    /// Takes several cuts back.
    ///
    /// # Panics
    /// When one of them is not there.
    pub fn join_all(&self, links: &[(Subnet, Host, Host)]) -> Result<(), NetworkError> {
        let mut cuts = self.cuts();
        let mut whole = Vec::new();
        for &(subnet, from, to) in links {
            let link = Link { subnet, from, to };
            let count = cuts.get_mut(&link).expect("a link that is joined was cut");
            *count -= 1;
            if *count == 0 {
                cuts.remove(&link);
                whole.push(link);
            }
        }
        self.tell(&whole, false)
    }

    /// Whether this machine can throttle: its kernel has the token bucket filter, and there is the program `tc`.
    ///
    /// # Errors
    /// What is missing.
    pub fn can_throttle(&self) -> Result<(), NetworkError> {
        self.throttle(Subnet::Clients, Host::Clients, 1_000_000)?;
        self.unthrottle(Subnet::Clients, Host::Clients)
    }

    /// Lets a host send no more than so many kilobits per second in a subnet; what exceeds that for long is lost.
    pub fn throttle(&self, subnet: Subnet, from: Host, kilobits: u32) -> Result<(), NetworkError> {
        let device = subnet.device();
        // A bucket that holds a few full packets, and a queue of a fifth of a second.
        let line =
            format!("qdisc replace dev {device} root tbf rate {kilobits}kbit burst 16kb latency 200ms");
        tool::batch("tc", &self.namespace(from), &[line])
    }

    /// Ends a throttling.
    pub fn unthrottle(&self, subnet: Subnet, from: Host) -> Result<(), NetworkError> {
        tool::batch("tc", &self.namespace(from), &[format!("qdisc del dev {} root", subnet.device())])
    }

    /// Takes all cuts back.
    pub fn heal(&self) -> Result<(), NetworkError> {
        let links: Vec<Link> = std::mem::take(&mut *self.cuts()).into_keys().collect();
        self.tell(&links, false)
    }

    /// Tells the senders, each in one go: a busy machine may take long to start a process.
    fn tell(&self, links: &[Link], is_cut: bool) -> Result<(), NetworkError> {
        let mut lines: BTreeMap<Host, Vec<String>> = BTreeMap::new();
        for link in links {
            lines.entry(link.from).or_default().push(link.line(is_cut));
        }
        lines.iter().try_for_each(|(from, lines)| tool::batch("ip", &self.namespace(*from), lines))
    }

    fn cuts(&self) -> MutexGuard<'_, BTreeMap<Link, usize>> {
        self.cuts.lock().expect("no thread panics while it holds this")
    }
}
