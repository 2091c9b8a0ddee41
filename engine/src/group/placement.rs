//! Where a group's leadership belongs, and how it gets there without hurting anybody.
//!
//! Leaders are spread round robin over the servers, so that each of them sends from its own links. At the first start
//! the wanted server campaigns before the others would; after a failure has healed it asks the leader of the day to
//! hand over. It asks, rather than being pushed, since it alone knows that its merge has caught up.

use super::config::DriverConfig;

/// A campaign right at the start would meet peers whose links are not up yet.
const FIRST_CAMPAIGN_TICK: u64 = 2;

/// A server whose merge lags as soon as it leads, and not otherwise, would claim and hand over without end. So it claims again
/// only when it has not lagged for so many election time-outs, twice as many each time that it had to hand over, up to the
/// second number; and once it has led for so many times as long without lagging, it is trusted as before.
const CALM_ELECTIONS: u64 = 4;
const MOST_CALM_ELECTIONS: u64 = 512;
const TRUSTED_AFTER: u64 = 8;

/// The timing of one replica's moves towards the wanted placement.
#[derive(Debug)]
pub struct Placement {
    wanted: bool,
    server: u64,
    election_ticks: u64,
    claimed: u64,
    transferred: u64,
    /// When this server last lagged.
    lagged: u64,
    /// Since when it leads without lagging.
    leads_since: u64,
    /// For how many ticks it must not have lagged to claim; 0 as long as it never had to hand over.
    calm: u64,
}

impl Placement {
    /// For the replica of this configuration.
    pub fn new(config: &DriverConfig) -> Self {
        Placement::of(config.wanted_leader == config.server, config.server, config.election_ticks)
    }

    fn of(wanted: bool, server: u64, election_ticks: u32) -> Self {
        let election_ticks = u64::from(election_ticks);
        Placement {
            wanted,
            server,
            election_ticks,
            claimed: 0,
            transferred: 0,
            lagged: 0,
            leads_since: 0,
            calm: 0,
        }
    }

    /// A step of the clock.
    pub fn tick(&mut self, ticks: u64, leads: bool, lags: bool) {
        if lags {
            self.lagged = ticks;
        }
        if !leads || lags {
            self.leads_since = ticks;
        } else if ticks - self.leads_since >= TRUSTED_AFTER * self.calm {
            self.calm = 0;
        }
    }

    /// This leader hands over since its server lags.
    pub fn stands_back(&mut self) {
        let (least, most) = (CALM_ELECTIONS * self.election_ticks, MOST_CALM_ELECTIONS * self.election_ticks);
        self.calm = (2 * self.calm).clamp(least, most);
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
        let due = ticks >= self.claimed + 2 * self.election_ticks && ticks - self.lagged >= self.calm;
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

#[cfg(test)]
mod tests {
    use super::*;

    const ELECTION: u32 = 10;
    const HOUR: u64 = 72_000;

    fn placement() -> Placement {
        Placement::of(true, 1, ELECTION)
    }

    /// A server that begins to lag so many ticks after it has become the leader, and ceases to when it leads no more. When it
    /// claims, within an hour of ticks of 50 ms.
    fn claims(placement: &mut Placement, from: u64, lags_after: u64) -> Vec<u64> {
        let (mut claims, mut leads_since) = (Vec::new(), None);
        for now in from..from + HOUR {
            let lags = leads_since.is_some_and(|since| now - since >= lags_after);
            placement.tick(now, leads_since.is_some(), lags);
            if lags && placement.may_transfer(now) {
                placement.stands_back();
                placement.transferred(now);
                leads_since = None;
            } else if leads_since.is_none() && placement.wants_to_claim(now, 2) {
                claims.push(now);
                leads_since = Some(now);
            }
        }
        claims
    }

    #[test]
    fn a_server_at_the_edge_of_lagging_claims_less_and_less() {
        let claims = claims(&mut placement(), 100, 15);
        assert!(claims.len() < 25, "{} claims in an hour", claims.len());
        let pauses: Vec<u64> = claims.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(pauses.is_sorted(), "{pauses:?}");
        assert!(pauses.iter().all(|pause| *pause <= (MOST_CALM_ELECTIONS + 4) * u64::from(ELECTION)));
    }

    #[test]
    fn a_server_that_has_recovered_claims_and_is_trusted_as_before() {
        let mut placement = placement();
        claims(&mut placement, 100, 15);
        let recovered = claims(&mut placement, 100 + HOUR, u64::MAX);
        assert_eq!(recovered.len(), 1, "it claims once, and keeps the leadership");
        assert_eq!(placement.calm, 0);
    }

    #[test]
    fn a_server_that_never_had_to_hand_over_claims_as_soon_as_it_does_not_lag() {
        let mut placement = placement();
        placement.tick(100, false, true);
        assert!(placement.wants_to_claim(100, 2));
        assert!(!placement.wants_to_claim(101, 2), "not twice in quick succession");
    }
}
