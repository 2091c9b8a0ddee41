//! The faults that there are, and the choice of the next one.

use std::fmt;
use std::time::Duration;

use crate::network::{Host, Subnet};

use niagara_testing::parts::chance::Chance;

/// What is done to a cluster, and undone some time later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// SIGKILL; later a restart.
    Kill(u64),
    /// SIGKILL to all servers at once; later a restart of all.
    KillAll,
    /// SIGSTOP; later SIGCONT.
    Pause(u64),
    /// A server's links of all groups to all other servers are broken.
    Isolate(u64, Direction),
    /// One group's link between two servers is broken, the links of all other groups are not.
    Link { group: u16, a: u64, b: u64, direction: Direction },
    /// A server and its clients do not reach each other.
    Clients(u64, Direction),
    /// A server can send little on one group's link.
    Throttle { server: u64, group: u16, kilobits: u32 },
}

/// Which way a broken link loses messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Both,
    /// What the (first) server sends is lost.
    Out,
    /// What is sent to it is lost.
    In,
}

/// What a fault is called in the table, whomever it hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Kill,
    KillAll,
    Pause,
    Isolate,
    IsolateOneWay,
    Link,
    LinkOneWay,
    Clients,
    Throttle,
}

impl Kind {
    pub(super) const ALL: [Kind; 9] = [
        Kind::Kill,
        Kind::KillAll,
        Kind::Pause,
        Kind::Isolate,
        Kind::IsolateOneWay,
        Kind::Link,
        Kind::LinkOneWay,
        Kind::Clients,
        Kind::Throttle,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Kill => "SIGKILL and restart",
            Kind::KillAll => "SIGKILL of all servers, and restart",
            Kind::Pause => "SIGSTOP and SIGCONT",
            Kind::Isolate => "partition: one server from all others",
            Kind::IsolateOneWay => "partition, one-way",
            Kind::Link => "one group's link between two servers",
            Kind::LinkOneWay => "one group's link, one-way",
            Kind::Clients => "a server's link to the clients",
            Kind::Throttle => "throttled link of one group",
        }
    }

    /// Whether it can be done to processes on loopback too.
    pub(super) fn needs_network(self) -> bool {
        !matches!(self, Kind::Kill | Kind::KillAll | Kind::Pause)
    }

    /// How often it is chosen, in proportion. The death of all servers leaves nothing else to look at, so it is rare.
    fn weight(self) -> u64 {
        match self {
            Kind::KillAll => 1,
            Kind::Kill | Kind::Pause | Kind::Link | Kind::LinkOneWay => 6,
            _ => 4,
        }
    }
}

/// How long faults last, in milliseconds: from less than a heartbeat to several election time-outs.
const DURATIONS: [(u64, u64); 4] = [(20, 150), (150, 800), (800, 2500), (2500, 6000)];
/// Links are throttled to between a trickle and what a load of small commands just fills, in kilobits per second.
const KILOBITS: [u32; 4] = [32, 128, 512, 2000];

impl Fault {
    /// The next fault of a cluster, and how long it lasts.
    pub(super) fn choose(
        kinds: &[Kind],
        servers: u64,
        groups: u16,
        random: &mut Chance,
    ) -> (Fault, Duration) {
        let kind = choose_kind(kinds, random);
        let server = random.between(1, servers);
        let other = (server + random.between(1, servers - 1) - 1) % servers + 1;
        let group = random.between(1, groups.into()) as u16;
        let one_way = *random.pick(&[Direction::Out, Direction::In]);
        let fault = match kind {
            Kind::Kill => Fault::Kill(server),
            Kind::KillAll => Fault::KillAll,
            Kind::Pause => Fault::Pause(server),
            Kind::Isolate => Fault::Isolate(server, Direction::Both),
            Kind::IsolateOneWay => Fault::Isolate(server, one_way),
            Kind::Link => Fault::Link { group, a: server, b: other, direction: Direction::Both },
            Kind::LinkOneWay => Fault::Link { group, a: server, b: other, direction: one_way },
            Kind::Clients => {
                Fault::Clients(server, *random.pick(&[Direction::Both, Direction::Out, Direction::In]))
            }
            Kind::Throttle => Fault::Throttle { server, group, kilobits: *random.pick(&KILOBITS) },
        };
        let (least, most) = *random.pick(&DURATIONS);
        (fault, Duration::from_millis(random.between(least, most)))
    }

    pub(super) fn kind(self) -> Kind {
        match self {
            Fault::Kill(_) => Kind::Kill,
            Fault::KillAll => Kind::KillAll,
            Fault::Pause(_) => Kind::Pause,
            Fault::Isolate(_, Direction::Both) => Kind::Isolate,
            Fault::Isolate(..) => Kind::IsolateOneWay,
            Fault::Link { direction: Direction::Both, .. } => Kind::Link,
            Fault::Link { .. } => Kind::LinkOneWay,
            Fault::Clients(..) => Kind::Clients,
            Fault::Throttle { .. } => Kind::Throttle,
        }
    }

    /// The one-way cuts that make up the fault: subnet, from and to.
    pub(super) fn cuts(self, servers: u64, groups: u16) -> Vec<(Subnet, Host, Host)> {
        let host = Host::Server;
        match self {
            Fault::Isolate(server, direction) => {
                let others = (1..=servers).filter(|other| *other != server);
                let pairs = others.flat_map(|other| (1..=groups).map(move |group| (group, other)));
                pairs
                    .flat_map(|(group, other)| direction.of(Subnet::Link(group), host(server), host(other)))
                    .collect()
            }
            Fault::Link { group, a, b, direction } => direction.of(Subnet::Link(group), host(a), host(b)),
            Fault::Clients(server, direction) => direction.of(Subnet::Clients, host(server), Host::Clients),
            Fault::Kill(_) | Fault::KillAll | Fault::Pause(_) | Fault::Throttle { .. } => Vec::new(),
        }
    }
}

impl Direction {
    fn of(self, subnet: Subnet, a: Host, b: Host) -> Vec<(Subnet, Host, Host)> {
        match self {
            Direction::Both => vec![(subnet, a, b), (subnet, b, a)],
            Direction::Out => vec![(subnet, a, b)],
            Direction::In => vec![(subnet, b, a)],
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Kill(server) => write!(f, "SIGKILL of server {server}"),
            Fault::KillAll => write!(f, "SIGKILL of all servers"),
            Fault::Pause(server) => write!(f, "SIGSTOP of server {server}"),
            Fault::Isolate(server, direction) => {
                write!(f, "partition of server {server} from all others, {direction}")
            }
            Fault::Link { group, a, b, direction } => {
                write!(f, "link of group {group} between servers {a} and {b} broken, {direction}")
            }
            Fault::Clients(server, direction) => {
                write!(f, "link between the clients and server {server} broken, {direction}")
            }
            Fault::Throttle { server, group, kilobits } => {
                write!(f, "server {server} sends at most {kilobits} kbit/s for group {group}")
            }
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Direction::Both => "both ways",
            Direction::Out => "what it sends is lost",
            Direction::In => "what it is sent is lost",
        })
    }
}

fn choose_kind(kinds: &[Kind], random: &mut Chance) -> Kind {
    let mut left = random.below(kinds.iter().map(|kind| kind.weight()).sum());
    for kind in kinds {
        match left.checked_sub(kind.weight()) {
            Some(rest) => left = rest,
            None => return *kind,
        }
    }
    unreachable!("the number is below the sum of the weights")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_chosen_and_hits_whom_it_may() {
        let mut random = Chance::new(1);
        let chosen: Vec<Fault> = (0..2000).map(|_| Fault::choose(&Kind::ALL, 3, 4, &mut random).0).collect();
        for kind in Kind::ALL {
            assert!(chosen.iter().any(|fault| fault.kind() == kind), "{kind:?}");
        }
        for fault in chosen {
            let cuts = fault.cuts(3, 4);
            assert!(cuts.iter().all(|(_, from, to)| from != to), "{fault}");
            let expected = match fault {
                Fault::Isolate(_, Direction::Both) => 16,
                Fault::Isolate(..) => 8,
                Fault::Link { direction: Direction::Both, .. } | Fault::Clients(_, Direction::Both) => 2,
                Fault::Link { .. } | Fault::Clients(..) => 1,
                _ => 0,
            };
            assert_eq!(cuts.len(), expected, "{fault}");
        }
    }

    #[test]
    fn a_seed_decides() {
        let choose = |seed| {
            let mut random = Chance::new(seed);
            (0..50).map(|_| Fault::choose(&Kind::ALL, 5, 3, &mut random)).collect::<Vec<_>>()
        };
        assert_eq!(choose(7), choose(7));
        assert_ne!(choose(7), choose(8));
    }
}
