//! How many commands are generated, and where.

use serde::{Deserialize, Serialize};

/// The cluster's id.
pub(super) const CLUSTER: u128 = 0x10ad;

/// Servers of the cluster.
pub(super) const SERVERS: u64 = 3;

/// The server that leads this group, from 1 as it is: the engine spreads leaders round robin.
pub(super) fn leader_of(group: u64) -> u64 {
    (group - 1) % SERVERS + 1
}

/// How an origin generates commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Demand {
    /// Open loop, at a constant rate.
    Rate {
        /// Commands per second, of all origins together.
        per_second: u64,
    },
    /// Closed loop.
    InFlight {
        /// Commands in flight, of all origins together.
        commands: u64,
    },
    /// As fast as the engine takes them.
    Unbounded,
}

impl Demand {
    /// What a server, from 1, generates of it, where each server's part is as large as its weight; nothing where its share is
    /// none. Commands that cannot be shared out exactly go to the first servers.
    pub(super) fn share(self, server: u64, weights: &[u64]) -> Option<Demand> {
        let before = |servers: u64| -> u64 { weights.iter().take(servers as usize).sum() };
        let until = |all: u64, servers: u64| {
            (u128::from(all) * u128::from(before(servers))).div_ceil(before(u64::MAX).into())
        };
        let share = |all: u64| (until(all, server) - until(all, server - 1)) as u64;
        let demand = match self {
            Demand::Rate { per_second } => Demand::Rate { per_second: share(per_second) },
            Demand::InFlight { commands } => Demand::InFlight { commands: share(commands) },
            Demand::Unbounded => Demand::Unbounded,
        };
        let none = matches!(demand, Demand::Rate { per_second: 0 } | Demand::InFlight { commands: 0 });
        let weight = before(server) - before(server - 1);
        (weight > 0 && !none).then_some(demand)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up_and_the_first_servers_have_the_rest() {
        let shares = |demand: Demand, weights: &[u64]| [1, 2, 3].map(|server| demand.share(server, weights));
        let rate = |per_second| Some(Demand::Rate { per_second });
        assert_eq!(shares(Demand::Rate { per_second: 11 }, &[1, 1, 1]), [rate(4), rate(4), rate(3)]);
        assert_eq!(shares(Demand::Rate { per_second: 1 }, &[1, 1]), [rate(1), None, None]);
        assert_eq!(
            shares(Demand::Rate { per_second: 8000 }, &[3, 3, 2]),
            [rate(3000), rate(3000), rate(2000)]
        );
        assert_eq!(
            shares(Demand::Unbounded, &[2, 1]),
            [Some(Demand::Unbounded), Some(Demand::Unbounded), None]
        );
    }
}
