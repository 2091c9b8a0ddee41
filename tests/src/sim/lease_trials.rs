//! Plans that put leases to the test: faults that are timed so that a lease which is a little too long, or
//! held by the wrong server, shows.
//!
//! There is one group, and server 1 should lead it. By the time of the fault it does.

use std::ops::Range;

use super::fault::{Fault, Planned};
use super::messages::MessageKind;
use super::network::{MS, Micros, Weather};
use super::plan::Plan;
use super::swarm::Swarm;
use niagara_testing::parts::chance::Chance;

/// When server 1 leads: it may have to claim the group first.
const BEGINS: Range<Micros> = 900 * MS..1400 * MS;

impl Plan {
    /// Replaces the faults by those of a trial.
    pub(super) fn try_leases(&mut self, chance: &mut Chance) {
        (self.tries_leases, self.servers, self.groups, self.places) = (true, 3, 1, 1);
        self.clock_rates.truncate(3);
        self.wall_clocks.truncate(3);
        (self.swarm, self.faults) = (Swarm::default(), Vec::new());
        self.weather = Weather { lost: 0, doubled: 0, overtaken: 0, damaged: 0, ..self.weather };
        if chance.one_in(2) {
            // A lease lasts longest, and promises end soonest.
            self.clock_rates = vec![80, 125, 125];
        }
        let at = chance.between(BEGINS.start, BEGINS.end);
        // From a separate stream, so that a seed keeps its meaning.
        if Chance::new(self.seed).fork(0x2e_5e7).one_in(6) {
            return self.strike(at, Fault::Reset { server: 1, lasts: 900 * MS });
        }
        match chance.below(6) {
            0 => self.leader_sleeps(at, chance),
            1 => self.answers_are_late(at, chance),
            2 => self.leader_is_cut_off(at),
            3 => self.new_leader_cannot_commit(at),
            4 => self.voter_restarts(at, chance),
            _ => self.handed_over_behind_a_slow_link(chance),
        }
    }

    fn strike(&mut self, at: Micros, fault: Fault) {
        self.faults.push(Planned { at, fault });
    }

    fn leader_is_cut_off(&mut self, at: Micros) {
        self.strike(at, Fault::CutServer { server: 1, lasts: 900 * MS });
    }

    /// The others elect another one meanwhile, and it wakes up before it hears of that.
    fn leader_sleeps(&mut self, at: Micros, chance: &mut Chance) {
        self.leader_is_cut_off(at);
        let lasts = chance.between(600, 750) * MS;
        self.strike(at + chance.between(0, 30) * MS, Fault::Pause { server: 1, lasts });
    }

    /// Promises arrive long after they were asked for; then the leader is no longer heard, though it hears.
    fn answers_are_late(&mut self, at: Micros, chance: &mut Chance) {
        for other in [2, 3] {
            let more = chance.between(80, 150) * MS;
            self.strike(at - 400 * MS, Fault::SlowLink { a: 1, b: other, more, lasts: 1300 * MS });
            self.strike(at, Fault::CutOneWay { from: 1, to: other, lasts: 900 * MS });
        }
    }

    /// The others promise and vote, and their logs grow, but nobody hears of it.
    fn new_leader_cannot_commit(&mut self, at: Micros) {
        self.weather.delay = (50, 5000);
        self.leader_is_cut_off(at);
        let kind = MessageKind::APPENDED;
        self.strike(at, Fault::LoseMessages { from: None, kind, lasts: 900 * MS });
    }

    /// A server that does not hear the leader asks one for its vote that does, and has just started. Their
    /// logs are equal.
    fn voter_restarts(&mut self, at: Micros, chance: &mut Chance) {
        let kind = MessageKind::APPEND;
        self.strike(at, Fault::LoseMessages { from: Some(1), kind, lasts: 1400 * MS });
        self.strike(at, Fault::CutPair { a: 1, b: 2, lasts: 1400 * MS });
        let mut next = at;
        for _ in 0..4 {
            next += chance.between(180, 320) * MS;
            self.strike(next, Fault::Kill { server: 3, down: chance.between(1, 8) * MS });
        }
    }

    /// Server 1 returns, and gets its group back from one that hears late of the new term.
    fn handed_over_behind_a_slow_link(&mut self, chance: &mut Chance) {
        self.strike(400 * MS, Fault::Kill { server: 1, down: 5 * MS });
        let (other, more) = (chance.between(2, 3), chance.between(30, 100) * MS);
        self.strike(900 * MS, Fault::SlowLink { a: 1, b: other, more, lasts: 1400 * MS });
    }
}
