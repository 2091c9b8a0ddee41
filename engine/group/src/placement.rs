//! Which server should lead a group, and how leadership gets there without harm.
//!
//! Leaders are spread round robin over the servers, so that each one sends on its own links. At the first
//! start the wanted server campaigns before the others would; after a failure it asks the current leader to
//! hand over. The wanted server asks, rather than being pushed, since only it knows that its merge has caught
//! up. If it led with unstable links, each break would cost the group an election. So it asks only when its
//! links are steady, and more and more rarely if it keeps losing the leadership soon.

use std::collections::BTreeSet;

use super::config::DriverConfig;
use crate::planted::{self, Bug};

/// A campaign right at the start would meet peers whose links are not up yet.
const FIRST_CAMPAIGN_TICK: u64 = 2;

/// Election timeouts without change after which links are steady, if all are up.
const STEADY: u64 = 2;
/// The same if one is down: a server that does not answer for that long has most likely crashed. If only this
/// server cannot reach it, this server must not lead, since it would cut that one off from the group.
const STEADY_WITHOUT_ALL: u64 = 20;
/// A leadership was worth its wait if it lasted this many times as long.
const WORTHWHILE: u64 = 8;
/// The longest wait between two claims, in election timeouts: a minute.
const MOST_PATIENCE: u64 = 128;

/// Timing of one replica's moves towards the wanted placement.
#[derive(Debug)]
pub struct Placement {
    wanted: bool,
    server: u64,
    election_ticks: u64,
    peers: usize,
    connected: BTreeSet<u64>,
    /// When a link last went up or down, in ticks.
    links_changed: u64,
    claimed: u64,
    /// Ticks between two claims.
    patience: u64,
    led_since: Option<u64>,
    transferred: u64,
    /// Whether it has made way since its server lacks room.
    has_made_way: bool,
    /// Whom a leader has asked to take over since it gives its leaderships away.
    drained_to: BTreeSet<u64>,
    /// Whether this server leaves the group to others, although it should lead it.
    is_left: bool,
    /// Whether the group is of a later epoch.
    is_later: bool,
    /// Whether it is, and this replica has yet to campaign in it.
    is_new: bool,
    /// How many voters campaign before this one in the group of a later epoch.
    turn: u64,
}

impl Placement {
    /// Placement for the replica with this configuration.
    pub fn new(config: &DriverConfig) -> Self {
        let place = |server| config.voters.iter().position(|voter| *voter == server).unwrap_or(0);
        let voters = config.voters.len().max(1);
        let turn = (place(config.server) + voters - place(config.first_leader)) % voters;
        Placement {
            wanted: config.wanted_leader == config.server,
            server: config.server,
            election_ticks: u64::from(config.election_ticks),
            peers: config.voters.len().saturating_sub(1),
            connected: BTreeSet::new(),
            links_changed: 0,
            claimed: 0,
            patience: STEADY * u64::from(config.election_ticks),
            led_since: None,
            transferred: 0,
            has_made_way: false,
            drained_to: BTreeSet::new(),
            is_left: false,
            is_later: config.lanes_before > 0,
            is_new: config.lanes_before > 0,
            turn: turn as u64,
        }
    }

    /// Whether to campaign at once in the group of a new epoch, of which nobody has been leader: a quorum is connected, so it
    /// has the group. Writes wait for that, and do not wait for a tick.
    pub fn begins(&mut self, term: u64) -> bool {
        let voters = self.peers + 1;
        let quorum = voters / 2 + 1;
        let now = self.is_new && term == 0 && self.turn == 0 && self.connected.len() + 1 >= quorum;
        self.is_new &= !now && term == 0;
        now
    }

    /// Whether to campaign now, before the election timeout: only soon after the start, and if no leader is
    /// known. In the group of a later epoch, the others do so in turn if the first one is not there.
    pub fn wants_to_campaign(&self, ticks: u64, leader: u64, term: u64) -> bool {
        let is_soon = (FIRST_CAMPAIGN_TICK..=self.election_ticks).contains(&ticks);
        let is_first = self.wanted && ticks.is_multiple_of(2);
        let voters = self.peers as u64 + 1;
        let is_my_turn = (ticks - FIRST_CAMPAIGN_TICK.min(ticks)) % voters == self.turn;
        is_soon && !self.is_left && leader == 0 && (is_first || self.is_later && term == 0 && is_my_turn)
    }

    /// Reports that a link is up or has broken.
    pub fn link(&mut self, peer: u64, is_up: bool, ticks: u64) {
        let changed = if is_up { self.connected.insert(peer) } else { self.connected.remove(&peer) };
        if changed {
            self.links_changed = ticks;
        }
    }

    /// Whether the link to a peer is up.
    pub fn is_connected(&self, peer: u64) -> bool {
        self.connected.contains(&peer)
    }

    /// Reports at each tick whether this replica leads. After losing the leadership soon, it waits twice as
    /// long.
    pub fn leads(&mut self, leads: bool, ticks: u64) {
        match self.led_since {
            None if leads => {
                self.led_since = Some(ticks);
                // Somebody has moved it here.
                self.is_left = false;
            }
            Some(since) if !leads => {
                let least = STEADY * self.election_ticks;
                let was_worth_it = ticks - since >= WORTHWHILE * self.patience;
                self.patience = if was_worth_it { least } else { 2 * self.patience };
                self.patience = self.patience.min(MOST_PATIENCE * self.election_ticks);
                self.led_since = None;
                // The next claim waits from here on.
                self.claimed = ticks;
            }
            _ => {}
        }
    }

    /// Whether to ask the leader for the leadership now.
    pub fn wants_to_claim(&mut self, ticks: u64, leader: u64) -> bool {
        let steady = if self.connected.len() >= self.peers { STEADY } else { STEADY_WITHOUT_ALL };
        let is_steady = ticks >= self.claimed + self.patience
            && ticks >= self.links_changed + steady * self.election_ticks;
        let due = if planted::is(Bug::FlappingServerLeads) {
            ticks >= self.claimed + 2 * self.election_ticks
        } else {
            is_steady
        };
        let claim = self.wanted && !self.is_left && leader != 0 && leader != self.server && due;
        if claim {
            self.claimed = ticks;
        }
        claim
    }

    /// Whether this leader may hand over. A transfer stops proposals for up to an election timeout, so
    /// transfers never follow each other quickly.
    pub fn may_transfer(&self, ticks: u64) -> bool {
        ticks >= self.transferred + 2 * self.election_ticks
    }

    /// Whether it may hand over for a reason that the next leader may share: a disk is rarely the only one
    /// without room.
    pub fn may_transfer_again(&self, ticks: u64) -> bool {
        ticks >= self.transferred + 8 * self.election_ticks
    }

    /// Whether a leader whose server lacks room on its disk, or not, makes way for another one now: soon, and then rarely, since
    /// others may be as full.
    pub fn makes_way(&mut self, lacks_room: bool, ticks: u64) -> bool {
        let may = if self.has_made_way { self.may_transfer_again(ticks) } else { self.may_transfer(ticks) };
        self.has_made_way = lacks_room && (self.has_made_way || may);
        lacks_room && may
    }

    /// Reports that a transfer has started.
    pub fn transferred(&mut self, ticks: u64) {
        self.transferred = ticks;
    }

    /// Whether a leader that gives all its leaderships away may transfer this one now: as soon as the last
    /// attempt has failed.
    pub fn may_drain(&self, ticks: u64, heartbeat_ticks: u64) -> bool {
        self.drained_to.is_empty() || ticks > self.transferred + 3 * heartbeat_ticks
    }

    /// Notes a server that was asked to take over from a leader that gives its leaderships away.
    pub fn drains_to(&mut self, server: u64) {
        self.drained_to.insert(server);
    }

    /// Whether that server was asked before, and did not take over. It may be about to stop itself.
    pub fn has_drained_to(&self, server: u64) -> bool {
        self.drained_to.contains(&server)
    }

    /// Forgets whom a leader has asked that gave its leaderships away: it does not any more, or asks anew.
    pub fn asks_anew(&mut self) {
        self.drained_to.clear();
    }

    /// Leaves the group to others from now on.
    pub fn leave(&mut self) {
        self.is_left = self.wanted;
    }

    /// Whether this server leaves the group to others, although it should lead it.
    pub fn has_left(&self) -> bool {
        self.is_left
    }

    /// Claims the group as soon as links are steady, whatever came before.
    pub fn claim_at_once(&mut self) {
        self.is_left = false;
        (self.claimed, self.patience) = (0, STEADY * self.election_ticks);
    }

    /// Whether a transfer in progress has failed. A follower that is close behind takes over within a round
    /// trip or two, and until then no commands are accepted.
    pub fn transfer_is_late(&self, ticks: u64, heartbeat_ticks: u64) -> bool {
        ticks >= self.transferred + 3 * heartbeat_ticks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_of_a_new_epoch_gets_a_leader_as_soon_as_a_quorum_is_connected() {
        let config = DriverConfig { wanted_leader: 1, lanes_before: 1, ..DriverConfig::small() };
        let mut new = Placement::new(&config);
        assert!(!new.begins(0), "nobody is connected");
        new.link(2, true, 0);
        assert!(new.begins(0) && !new.begins(0), "once: then ticks count");
        let mut late = Placement::new(&config);
        assert!(!late.begins(1), "somebody has campaigned");
        late.link(2, true, 0);
        assert!(!late.begins(0));
        let mut other = Placement::new(&DriverConfig { first_leader: 2, ..config.clone() });
        other.link(2, true, 0);
        assert!(!other.begins(0), "another server should lead");
    }

    #[test]
    fn if_the_first_one_is_not_there_the_others_campaign_in_turn() {
        let ticks = |server, term| {
            let config = DriverConfig {
                server,
                wanted_leader: 2,
                first_leader: 2,
                lanes_before: 1,
                ..DriverConfig::small()
            };
            let placement = Placement::new(&config);
            (0..11).filter(|tick| placement.wants_to_campaign(*tick, 0, term)).collect::<Vec<u64>>()
        };
        assert_eq!(ticks(2, 0), [2, 4, 5, 6, 8, 10]);
        assert_eq!(ticks(3, 0), [3, 6, 9]);
        assert_eq!(ticks(1, 0), [4, 7, 10]);
        assert_eq!(ticks(3, 1), [0; 0], "somebody has led");
    }

    fn placement() -> Placement {
        let mut placement = Placement::new(&DriverConfig::small());
        placement.link(2, true, 0);
        placement.link(3, true, 0);
        placement
    }

    /// Ticks at which the server claims the leadership, if it leads for `keeps` ticks after each claim.
    fn claims(placement: &mut Placement, until: u64, keeps: u64) -> Vec<u64> {
        let mut claims = Vec::new();
        let mut leads_until = 0;
        for now in 0..until {
            placement.leads(now < leads_until, now);
            if now >= leads_until && placement.wants_to_claim(now, 2) {
                claims.push(now);
                leads_until = now + keeps;
            }
        }
        claims
    }

    #[test]
    fn who_loses_the_leadership_again_and_again_asks_ever_more_rarely() {
        let claims = claims(&mut placement(), 3000, 10);
        let waits = claims.windows(2).map(|pair| pair[1] - pair[0]).collect::<Vec<_>>();
        assert!(waits.is_sorted() && waits[0] >= 40 && *waits.last().unwrap() >= 640, "{waits:?}");
    }

    #[test]
    fn who_keeps_it_asks_as_soon_as_ever() {
        let claims = claims(&mut placement(), 2000, 400);
        assert!(claims.windows(2).all(|pair| pair[1] - pair[0] <= 421), "{claims:?}");
    }

    #[test]
    fn nobody_asks_while_links_come_and_go_or_one_is_missing() {
        let mut placement = placement();
        for now in 0..500 {
            placement.link(3, now / 10 % 2 == 1, now);
            assert!(!placement.wants_to_claim(now, 2), "at {now}");
        }
        placement.link(3, false, 500);
        let first = (500..).find(|now| placement.wants_to_claim(*now, 2));
        assert_eq!(first, Some(700), "it is down, most likely");
    }

    #[test]
    fn who_lacks_room_makes_way_soon_and_then_rarely() {
        let mut placement = placement();
        let mut made_way = Vec::new();
        for now in 0..400 {
            if placement.makes_way((50..300).contains(&now) || now >= 350, now) {
                placement.transferred(now);
                made_way.push(now);
            }
        }
        assert_eq!(made_way, [50, 130, 210, 290, 350], "a new lack of room is a new reason");
    }

    #[test]
    fn who_lags_as_soon_as_it_leads_asks_about_once_a_minute_in_the_end() {
        const HOUR: u64 = 72_000;
        let mut placement = placement();
        let at_the_edge = claims(&mut placement, HOUR, 15);
        assert!(at_the_edge.len() < 70, "{} requests in an hour", at_the_edge.len());
    }
}
