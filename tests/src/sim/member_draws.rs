//! Plans whose members change: servers that come, leave and are replaced, newcomers that die, and a disk that is lost for
//! good. And plans with a follower.

use super::draws::{FIRST_FAULT, LAST_FAULT};
use super::fault::{Fault, Planned};
use super::network::{MS, Micros};
use super::plan::{Plan, WallClock};
use niagara_engine::Durability;
use niagara_testing::parts::chance::Chance;

/// Servers that may come, beside those that the cluster begins with.
const SPARES: u64 = 5;
/// The most groups of an epoch where members change, and of all epochs together. It takes an epoch to get rid of a server that
/// has lost its disk, however often the rest of the plan has changed something.
const MOST_GROUPS: u16 = 3;
const MOST_PLACES: u16 = 24;
/// One plan in so many has them, of those that draw from all faults; and one in so many a follower.
const ONE_IN: u64 = 7;
const FOLLOWED_ONE_IN: u64 = 6;

impl Plan {
    /// In some plans, members change.
    pub(super) fn draw_members(&mut self, chance: &mut Chance) {
        if self.durability == Durability::Memory || !chance.one_in(ONE_IN) {
            return;
        }
        self.with_changing_members(chance);
    }

    /// In some plans there is a follower, which dies now and then, or reaches nobody.
    pub(super) fn draw_follower(&mut self, chance: &mut Chance) {
        if self.durability == Durability::Memory || !chance.one_in(FOLLOWED_ONE_IN) {
            return;
        }
        self.is_followed = true;
        for _ in 0..chance.below(4) {
            let lasts = chance.between(20, 600) * MS;
            let fault = match chance.below(2) {
                0 => Fault::FollowerDies { power: chance.one_in(2), down: lasts },
                _ => Fault::CutFollower { lasts },
            };
            self.faults.push(Planned { at: chance.between(FIRST_FAULT, LAST_FAULT), fault });
        }
    }

    fn with_changing_members(&mut self, chance: &mut Chance) {
        self.groups = self.groups.min(MOST_GROUPS);
        self.group_threads = self.group_threads.min(self.groups);
        self.places = MOST_PLACES;
        self.faults.retain(|planned| !planned.fault.is_of_fixed_members());
        // A newcomer needs a snapshot, and so does who asks for one in vain.
        self.snapshot_entries = self.snapshot_entries.min(60);
        let founders = self.servers;
        self.spares = SPARES;
        self.servers += SPARES;
        self.clock_rates.extend((0..SPARES).map(|_| *chance.pick(&[100, 80, 125])));
        self.wall_clocks.extend((0..SPARES).map(|_| WallClock::default()));
        // Also through servers that are being removed.
        self.tries_leases = chance.one_in(3);
        let loses_a_disk = chance.one_in(3);
        let mut unused = founders + 1..=self.servers;
        // Those that begin must always be enough for one of them to lose its disk.
        let mut may_leave = founders - 3 + u64::from(!loses_a_disk);
        for _ in 0..chance.between(1, 4) {
            let server = chance.between(1, founders);
            let leaves = chance.between(1, founders);
            let dies = chance.one_in(3).then(|| chance.between(1, 200) * MS);
            let fault = match chance.below(5) {
                0 => Fault::Groups { server, groups: chance.between(1, MOST_GROUPS.into()) as u16 },
                1 if may_leave > 0 => {
                    may_leave -= 1;
                    Fault::Members { server, leaves: Some(leaves), comes: None, dies: None }
                }
                2 | 3 => Fault::Members { server, leaves: Some(leaves), comes: unused.next(), dies },
                _ => Fault::Members { server, leaves: None, comes: unused.next(), dies },
            };
            self.faults.push(Planned { at: chance.between(FIRST_FAULT, LAST_FAULT), fault });
        }
        if loses_a_disk {
            let server = chance.between(1, founders);
            let at = chance.between(FIRST_FAULT, LAST_FAULT);
            self.faults.push(Planned { at, fault: Fault::LoseDisk { server } });
        }
    }

    /// Takes back what was drawn of servers that come, and of a follower.
    pub(super) fn with_fixed_members(&mut self) {
        self.servers = self.founders();
        (self.spares, self.is_followed) = (0, false);
        self.clock_rates.truncate(self.servers as usize);
        self.wall_clocks.truncate(self.servers as usize);
    }

    /// How long after it has started a server dies that has joined, if it does.
    pub fn dies_after_joining(&self, server: u64) -> Option<Micros> {
        self.faults.iter().find_map(|planned| match planned.fault {
            Fault::Members { comes, dies, .. } if comes == Some(server) => dies,
            _ => None,
        })
    }
}
