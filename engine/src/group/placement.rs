//! Where a group's leadership belongs, and how it gets there without hurting anybody.
//!
//! Leaders are spread round robin over the servers, so that each of them sends from its own links. At the first start
//! the wanted server campaigns before the others would; after a failure has healed it asks the leader of the day to
//! hand over. It asks, rather than being pushed, since it alone knows that its merge has caught up.

use super::config::DriverConfig;

/// A campaign right at the start would meet peers whose links are not up yet.
const FIRST_CAMPAIGN_TICK: u64 = 2;

/// The timing of one replica's moves towards the wanted placement.
#[derive(Debug)]
pub struct Placement {
    wanted: bool,
    server: u64,
    election_ticks: u64,
    claimed: u64,
    transferred: u64,
}

impl Placement {
    /// For the replica of this configuration.
    pub fn new(config: &DriverConfig) -> Self {
        Placement {
            wanted: config.wanted_leader == config.server,
            server: config.server,
            election_ticks: u64::from(config.election_ticks),
            claimed: 0,
            transferred: 0,
        }
    }

    /// Whether to campaign now, ahead of the election time-out: only soon after the start, and with no leader in sight.
    pub fn wants_to_campaign(&self, ticks: u64, leader: u64) -> bool {
        self.wanted
            && leader == 0
            && (FIRST_CAMPAIGN_TICK..=self.election_ticks).contains(&ticks)
            && ticks.is_multiple_of(2)
    }

    /// Whether to ask the leader for the leadership now.
    pub fn wants_to_claim(&mut self, ticks: u64, leader: u64) -> bool {
        let due = ticks >= self.claimed + 2 * self.election_ticks;
        let claim = self.wanted && leader != 0 && leader != self.server && due;
        if claim {
            self.claimed = ticks;
        }
        claim
    }

    /// Whether this leader may hand over: a transfer stops proposals for up to an election time-out, so never twice in
    /// quick succession.
    pub fn may_transfer(&self, ticks: u64) -> bool {
        ticks >= self.transferred + 2 * self.election_ticks
    }

    /// A transfer has begun.
    pub fn transferred(&mut self, ticks: u64) {
        self.transferred = ticks;
    }
}
