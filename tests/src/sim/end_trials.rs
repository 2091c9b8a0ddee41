//! Plans that put the ends of epochs to the test: troubles of disks that are timed so that a server which goes on too early, or
//! cannot go back, shows.

use std::ops::Range;

use super::draws::MOST_GROUPS;
use super::fault::{Fault, Planned};
use super::network::{MS, Micros, Weather};
use super::plan::Plan;
use super::swarm::Swarm;
use niagara_engine::Durability;
use niagara_testing::parts::chance::Chance;

/// When an epoch ends: groups have leaders by then.
const ENDS: Range<Micros> = 900 * MS..1800 * MS;
/// How many times as long logs take to sync, where a disk is slow. It is odd, so that only logs do.
const SLOW: Range<u64> = 30..150;
/// One plan in so many is such a trial, of those that would draw from all faults.
const ONE_IN: u64 = 10;

impl Plan {
    /// In some plans, all faults are replaced by those of a trial.
    pub(super) fn draw_trial_of_ends(&mut self, chance: &mut Chance) {
        if self.durability != Durability::Fsync || !chance.one_in(ONE_IN) {
            return;
        }
        (self.swarm, self.faults, self.tries_leases) = (Swarm::default(), Vec::new(), true);
        self.weather = Weather { lost: 0, doubled: 0, overtaken: 0, damaged: 0, ..self.weather };
        let at = chance.between(ENDS.start, ENDS.end);
        let server = chance.between(1, self.servers);
        match chance.below(4) {
            0 => self.slows(at, server, chance),
            1 => {
                self.slows(at, server, chance);
                let at = at + chance.between(2, 120) * MS;
                self.strikes(at, Fault::PowerLoss { server, down: chance.between(5, 300) * MS });
            }
            2 => {
                (1..=self.servers).for_each(|server| self.slows(at, server, chance));
                self.snapshot_entries = 6;
                let at = at + chance.between(2, 120) * MS;
                self.strikes(at, Fault::AllPowerLost { down: chance.between(5, 100) * MS });
            }
            _ => {
                self.snapshot_entries = self.snapshot_entries.max(60);
                self.segment_bytes = 1 << 10;
                for server in 1..=self.servers {
                    let at = at + chance.between(50, 600) * MS;
                    self.strikes(at, Fault::FlipBit { server, down: chance.between(5, 50) * MS });
                }
            }
        }
        let groups = chance.between(1, MOST_GROUPS.into()) as u16;
        self.places = self.groups + groups;
        let asked = chance.between(1, self.servers);
        self.strikes(at, Fault::Groups { server: asked, groups });
    }

    /// A server's logs take long to sync while an epoch ends.
    fn slows(&mut self, end: Micros, server: u64, chance: &mut Chance) {
        let factor = chance.between(SLOW.start, SLOW.end) * 2 + 1;
        let at = end - chance.between(1, 20) * MS;
        self.strikes(at, Fault::SlowDisk { server, factor, lasts: 400 * MS });
    }

    fn strikes(&mut self, at: Micros, fault: Fault) {
        self.faults.push(Planned { at, fault });
    }
}
