//! How a seed becomes a plan.

use std::ops::Range;

use niagara_engine::{Durability, KNOWN_LEVEL};

use super::aim::{Aim, Kind, Step};
use super::disk::Loss;
use super::fault::{Fault, Planned, Power};
use super::messages::{MessageKind, Occasion};
use super::network::{MS, Micros, Weather};
use super::plan::{Plan, WallClock};
use super::sizes::Sizes;
use super::swarm::Swarm;
use niagara_testing::parts::chance::Chance;

/// When clients have worked for a while, and the first fault may strike.
pub const FIRST_FAULT: Micros = 300 * MS;
/// By then, followers whose leader has fallen silent have another one.
const TIME_TO_ELECT: Micros = 900 * MS;
/// When a server ends that the others are to replace at once: the groups have leaders by then.
const END: Micros = 900 * MS;
/// How long flapping links are gone each time. A server whose links are gone for this long loses what it
/// leads at the first break, even with clocks at four fifths, since a follower waits for up to twice the
/// election timeout; and half of it is too short for links to be steady. A server that is gone for less may
/// keep what it leads, and is waited for.
pub const FLAPS: Range<Micros> = 520 * MS..620 * MS;
/// The streams that say whether members change, whether there is a follower, whether the ends of epochs are put to the test, and
/// whether threads of groups hang.
/// They were chosen so that nothing of it is so in the seeds that had failed before there were such plans.
const MEMBERS: u64 = 0x3e_2b;
const TRIALS: u64 = 0xe0_01;
const FOLLOWER: u64 = 0xf0_2b;
const HANGING: u64 = 0x4a_1e;
/// One plan in so many has threads of groups that get no turn, of those that draw from all faults.
const HANGING_ONE_IN: u64 = 8;
/// The most groups in an epoch, and in all epochs of a plan: a round of each thread has a bit in a word.
pub const MOST_GROUPS: u16 = 8;
const MOST_PLACES: u16 = 30;
/// When the last fault strikes, at the latest.
pub const LAST_FAULT: Micros = 2300 * MS;

/// In one plan of three, groups share threads: all of them, or some.
fn draw_group_threads(groups: u16, mut chance: Chance) -> u16 {
    match chance.below(6) {
        0 => 1,
        1 => chance.between(1, groups.into()) as u16,
        _ => groups,
    }
}

/// Right clocks differ by a tenth of a second. In most simulations one is wrong, or becomes it.
fn draw_wall_clocks(servers: u64, chance: &mut Chance) -> Vec<WallClock> {
    let mut clocks: Vec<WallClock> =
        (0..servers).map(|_| WallClock { ahead: chance.below(100) as i64 - 50, jump: None }).collect();
    if !chance.one_in(4) {
        let wrong = &mut clocks[chance.below(servers) as usize];
        let far = |chance: &mut Chance| *chance.pick(&[-3_600_000, -4000, 1500, 3_600_000]);
        match chance.below(3) {
            0 => wrong.ahead = far(chance),
            1 => wrong.jump = Some((chance.between(0, LAST_FAULT), far(chance))),
            _ => {
                wrong.ahead = far(chance);
                wrong.jump = Some((chance.between(0, LAST_FAULT), far(chance)));
            }
        }
    }
    clocks
}

impl Plan {
    /// The plan of a seed.
    pub fn of(seed: u64) -> Plan {
        let mut chance = Chance::new(seed).fork(0x9_1a_6a);
        let servers = if chance.one_in(4) { 5 } else { 3 };
        let groups = *chance.pick(&[1, 2, 2, 3, 4, 4, 8]);
        // Fair weather shows protocol faults that loss would hide, so half of the seeds have it.
        let rough = chance.one_in(2);
        let mut per_myriad = |most| if rough { chance.below(most) } else { 0 };
        let weather = Weather {
            delay: (50, 1000),
            lost: per_myriad(200),
            doubled: per_myriad(100),
            overtaken: per_myriad(200),
            damaged: per_myriad(10),
        };
        let mut plan = Plan {
            seed,
            servers,
            spares: 0,
            is_followed: false,
            groups,
            places: groups,
            first_level: *Chance::new(seed).fork(0x1e_7e).pick(&[1, KNOWN_LEVEL]),
            group_threads: draw_group_threads(groups, Chance::new(seed).fork(0x7_4ead)),
            clients: 2 * chance.between(2, 4),
            weather: Weather { delay: (50, *chance.pick(&[200, 1000, 5000])), ..weather },
            clock_rates: (0..servers).map(|_| *chance.pick(&[100, 100, 80, 125, 95])).collect(),
            wall_clocks: draw_wall_clocks(servers, &mut Chance::new(seed).fork(0xc1_0c)),
            leases: false,
            tries_leases: false,
            durability: Durability::Fsync,
            direct: !Chance::new(seed).fork(0xd1_2e).one_in(4),
            segment_bytes: *chance.pick(&[1 << 10, 2 << 10, 8 << 10]),
            log_cache_bytes: *chance.pick(&[0, 1 << 10, 1 << 20]),
            deadline: *chance.pick(&[1000, 1000, 250]) * MS,
            lane_commands: *chance.pick(&[4, 1 << 10]),
            snapshot_entries: *chance.pick(&[6, 20, 60, 60, 1 << 40]),
            piece_bytes: *chance.pick(&[200, 1 << 10, 256 << 10]),
            pin_bytes: *chance.pick(&[0, 16 << 10, 1 << 30]),
            unsynced_bytes: *chance.pick(&[2 << 10, 8 << 10, 80 << 20]),
            merge_bytes: *chance.pick(&[2 << 10, 8 << 10, 32 << 20]),
            behind_bytes: *chance.pick(&[8 << 10, 64 << 10, 1 << 30]),
            sizes: Sizes::default(),
            swarm: Swarm::default(),
            faults: Vec::new(),
            prompt: None,
        };
        let count = chance.between(1, 10);
        plan.faults = (0..count).map(|_| plan.draw(&mut chance)).collect();
        plan.draw_more();
        plan.faults.sort_by_key(|planned| planned.at);
        plan
    }

    /// Draws from separate streams, so that a seed keeps its meaning as plans grow.
    fn draw_more(&mut self) {
        let apart = |stream| Chance::new(self.seed).fork(stream);
        let (mut of_links, mut of_losses, mut of_sizes) = (apart(0x71_4b), apart(0x10_55), apart(0x51_2e));
        let mut of_leases = apart(0x1e_a5);
        self.leases = of_leases.one_in(3);
        if self.leases && of_leases.one_in(2) {
            return self.try_leases(&mut of_leases);
        }
        let (mut of_stops, mut of_aims, mut of_durability) = (apart(0x57_0f), apart(0xa1_35), apart(0xd0_1e));
        if of_links.one_in(12) {
            // Long values would fill the bounds of a server that is behind, which then hands over what it
            // leads, also to the flapping server.
            let server = of_links.between(1, self.servers);
            return self.nothing_but_flapping(server, of_links.between(FLAPS.start, FLAPS.end));
        }
        let mut of_troubles = apart(0x0b_e1);
        if of_troubles.one_in(10) {
            let server = of_troubles.between(1, self.servers);
            return self.nothing_but(server, self.draw_lasting(server, &mut of_troubles));
        }
        let (mut of_ends, mut of_resets) = (apart(0xe_4d5), apart(0x2e_5e7));
        let (mut of_drains, mut of_epochs) = (apart(0xd2_a1), apart(0xe9_0c));
        let mut of_levels = apart(0x1e_5e);
        let mut of_trials = apart(TRIALS);
        let (mut of_members, mut of_follower) = (apart(MEMBERS), apart(FOLLOWER));
        let mut of_hanging = apart(HANGING);
        if of_ends.one_in(12) {
            let server = of_ends.between(1, self.servers);
            return self.nothing_but_an_end(server, &mut of_ends);
        }
        if of_resets.one_in(16) {
            let server = of_resets.between(1, self.servers);
            let lasts = of_resets.between(20, 1200) * MS;
            return self.nothing_but(server, Fault::Reset { server, lasts });
        }
        if of_drains.one_in(24) {
            let server = of_drains.between(1, self.servers);
            return self.nothing_but(server, Fault::Drain { server, lasts: LAST_FAULT - FIRST_FAULT });
        }
        let mut of_swarm = apart(0x5a_a7);
        self.swarm = Swarm::draw(&mut of_swarm);
        self.faults = self.swarm.choose(std::mem::take(&mut self.faults), || self.draw(&mut of_swarm));
        self.faults.extend(self.draw_bad_link(&mut of_links));
        if of_drains.one_in(6) {
            let server = of_drains.between(1, self.servers);
            let lasts = of_drains.between(20, 1500) * MS;
            self.plan(&mut of_drains, Fault::Drain { server, lasts });
        }
        if of_resets.one_in(6) {
            let server = of_resets.between(1, self.servers);
            let lasts = of_resets.between(20, 800) * MS;
            self.plan(&mut of_resets, Fault::Reset { server, lasts });
        }
        if of_losses.one_in(3) {
            let loss = self.draw_loss(&mut of_losses);
            self.faults.push(loss);
        }
        self.draw_sizes(&mut of_sizes);
        if of_stops.one_in(3) {
            self.draw_stop(&mut of_stops);
        }
        for _ in 0..of_aims.below(3) {
            self.draw_aimed(&mut of_aims);
        }
        match of_durability.below(12) {
            0 => self.with_durability_os(&mut of_durability),
            1 => self.with_everything_in_memory(),
            _ => {}
        }
        self.draw_trial_of_ends(&mut of_trials);
        if self.tries_leases {
            return;
        }
        self.draw_members(&mut of_members);
        self.draw_follower(&mut of_follower);
        if self.spares == 0 && of_epochs.one_in(3) {
            self.draw_epochs(&mut of_epochs);
            self.draw_level(&mut of_levels);
        }
        self.draw_hanging_groups(&mut of_hanging);
    }

    /// In some plans, threads of groups get no turn for a while, also those of groups that come later.
    fn draw_hanging_groups(&mut self, chance: &mut Chance) {
        if !chance.one_in(HANGING_ONE_IN) {
            return;
        }
        for _ in 0..chance.between(1, 3) {
            let server = chance.between(1, self.servers);
            let group = chance.below(self.places.into()) as usize;
            let lasts = chance.between(20, 2000) * MS;
            self.plan(chance, Fault::HungGroup { server, group, lasts });
        }
    }

    /// A cluster that begins below the newest level is asked for that once.
    fn draw_level(&mut self, chance: &mut Chance) {
        let groups = |planned: &Planned| match planned.fault {
            Fault::Groups { groups, .. } => groups,
            _ => 0,
        };
        let most = self.faults.iter().map(groups).chain([self.groups]).max().unwrap_or(0);
        if self.first_level == KNOWN_LEVEL || self.places + most > MOST_PLACES {
            return;
        }
        self.places += most;
        let server = chance.between(1, self.servers);
        self.plan(chance, Fault::Level { server });
    }

    /// The number of groups changes, several times in most plans. Now and then two numbers are asked for at once.
    fn draw_epochs(&mut self, chance: &mut Chance) {
        for _ in 0..chance.between(1, 4) {
            let at = chance.between(FIRST_FAULT, LAST_FAULT);
            for again in 0..=u64::from(chance.one_in(3)) {
                let groups = chance.between(1, MOST_GROUPS.into()) as u16;
                if self.places + groups > MOST_PLACES {
                    return;
                }
                self.places += groups;
                let server = chance.between(1, self.servers);
                self.faults.push(Planned { at: at + again * 500, fault: Fault::Groups { server, groups } });
            }
        }
        // Also links of later groups are cut.
        for planned in &mut self.faults {
            if let Fault::CutGroup { group, .. } = &mut planned.fault {
                *group = chance.below(self.places.into()) as usize;
            }
        }
    }

    /// Draws sizes, and the bounds that depend on them.
    fn draw_sizes(&mut self, chance: &mut Chance) {
        self.sizes = Sizes::draw(chance);
        self.unsynced_bytes = self.sizes.in_proportion(self.unsynced_bytes);
        self.merge_bytes = self.sizes.in_proportion(self.merge_bytes);
        self.behind_bytes = self.behind_bytes.saturating_mul(self.sizes.in_proportion(1) as u64);
        let longest = self.sizes.values.iter().max().copied().unwrap_or(0);
        // A transfer of a state of long values in the smallest pieces would take longer than settling does.
        self.piece_bytes = self.piece_bytes.max(longest as u32 / 8);
    }

    /// Stops a server cleanly.
    fn draw_stop(&mut self, chance: &mut Chance) {
        let server = chance.between(1, self.servers);
        let (power, down) = (chance.one_in(2), chance.between(5, 500) * MS);
        self.plan(chance, Fault::Stop { server, power, down });
    }

    /// Something that goes wrong at one step, or with one kind of messages.
    fn draw_aimed(&mut self, chance: &mut Chance) {
        let server = chance.between(1, self.servers);
        let power = match chance.below(3) {
            0 => Power::Stays,
            1 => Power::Fails,
            _ => {
                let most = *chance.pick(&[60, 900]);
                Power::FailsLater(chance.between(5, most) * MS)
            }
        };
        let down = chance.between(5, 500) * MS;
        let (aim, fault) = match chance.below(5) {
            4 => return self.draw_short_life(chance, server),
            0 | 1 => {
                let (aim, after) = (chance.pick(Aim::ALL).0, chance.one_in(2));
                (aim, Fault::DieAt { server, aim, after, power, down })
            }
            2 => {
                let aim = chance.pick(Aim::SYNCS).0;
                (aim, Fault::SyncFails { server, aim: Some(aim), power, down })
            }
            _ => {
                let kind = *chance.pick(MessageKind::ALL);
                return self.draw_lost_messages(chance, kind);
            }
        };
        if aim.kind == Kind::Part {
            self.needs_snapshot(chance, server);
            self.faults.push(Planned { at: FIRST_FAULT, fault });
        } else {
            self.plan(chance, fault);
        }
        if chance.one_in(3) {
            // The work of that step is then ahead of what the logs hold.
            let factor = chance.between(10, 60) * 2 + 1;
            let at = self.faults[self.faults.len() - 1].at;
            self.faults.push(Planned { at, fault: Fault::SlowDisk { server, factor, lasts: 600 * MS } });
        }
    }

    /// A life that ends soon after it has started: late messages of it meet the next life, which has asked as
    /// little.
    fn draw_short_life(&mut self, chance: &mut Chance, server: u64) {
        self.weather.doubled = 200;
        let at = chance.between(FIRST_FAULT, LAST_FAULT - 300 * MS);
        for at in [at, at + chance.between(30, 200) * MS] {
            let down = chance.between(5, 20) * MS;
            self.faults.push(Planned { at, fault: Fault::Kill { server, down } });
        }
    }

    /// Loses all messages of one kind for a while, from one server or all, and provides an occasion to send
    /// some.
    fn draw_lost_messages(&mut self, chance: &mut Chance, kind: MessageKind) {
        let server = chance.between(1, self.servers);
        match kind.occasion() {
            Occasion::Always => {}
            Occasion::Change => {
                let down = chance.between(5, 300) * MS;
                self.faults.push(Planned { at: FIRST_FAULT, fault: Fault::Kill { server, down } });
            }
            Occasion::Lag => self.needs_snapshot(chance, server),
        }
        let from = chance.one_in(3).then_some(server);
        let lasts = chance.between(300, 1500) * MS;
        let at = chance.between(FIRST_FAULT, FIRST_FAULT + 600 * MS);
        self.faults.push(Planned { at, fault: Fault::LoseMessages { from, kind, lasts } });
    }

    /// Makes a server fall so far behind that it needs a snapshot.
    fn needs_snapshot(&mut self, chance: &mut Chance, server: u64) {
        (self.snapshot_entries, self.pin_bytes) = (self.snapshot_entries.min(20), 0);
        if self.weather.doubled > 0 {
            self.weather.doubled = 200;
        }
        let lasts = chance.between(500, 1000) * MS;
        self.faults.push(Planned { at: FIRST_FAULT, fault: Fault::CutServer { server, lasts } });
    }

    fn plan(&mut self, chance: &mut Chance, fault: Fault) {
        self.faults.push(Planned { at: chance.between(FIRST_FAULT, LAST_FAULT), fault });
    }

    /// What an operator does to a server's directory or its list of members.
    fn draw_loss(&self, chance: &mut Chance) -> Planned {
        let server = chance.between(1, self.servers);
        let group = chance.between(1, self.groups.into()) as usize;
        let down = chance.between(5, 300) * MS;
        let fault = match chance.below(10) {
            8 => Fault::Lose { server, loss: Loss::FirstSegment(group), down },
            9 => Fault::Lose { server, loss: Loss::Snapshots, down },
            0 => Fault::Lose { server, loss: Loss::Log(group), down },
            1 => Fault::Lose { server, loss: Loss::LastSegment(group), down },
            2 => Fault::Lose { server, loss: Loss::EndOfSegment(group), down },
            3 => Fault::Lose { server, loss: Loss::Identity, down },
            4 => Fault::Lose { server, loss: Loss::PartOfIdentity, down },
            5 => Fault::OtherMembers { server, down },
            _ => Fault::OldCopy { server, down, lasts: chance.between(400, 800) * MS },
        };
        Planned { at: chance.between(FIRST_FAULT, LAST_FAULT - 900 * MS), fault }
    }

    /// The same with logs that are written but not synced: they do not survive a loss of power, unless the
    /// server has stopped before.
    fn with_durability_os(&mut self, chance: &mut Chance) {
        self.durability = Durability::Os;
        // A copy from an earlier run of the machine is refused for another reason.
        self.faults.retain(|planned| !matches!(planned.fault, Fault::OldCopy { .. }));
        for planned in &mut self.faults {
            match &mut planned.fault {
                Fault::PowerLoss { server, down } => {
                    planned.fault = Fault::Stop { server: *server, power: true, down: *down };
                }
                Fault::AllPowerLost { down } => {
                    planned.fault = Fault::Stop { server: 1, power: true, down: *down };
                }
                Fault::DieInWrite { power, .. }
                | Fault::DieAt { power, .. }
                | Fault::SyncFails { power, .. } => *power = Power::Stays,
                _ => {}
            }
        }
        if chance.one_in(2) {
            // A stop whose sync fails, and another that seems to succeed.
            let server = chance.between(1, self.servers);
            let aim = Some(Aim { step: Step::Sync, kind: Kind::Segment });
            let down = chance.between(5, 100) * MS;
            let stop = |power| Fault::Stop { server, power, down };
            let at = chance.between(FIRST_FAULT, LAST_FAULT - 600 * MS);
            let fails = Fault::SyncFails { server, aim, power: Power::Stays, down };
            self.faults.push(Planned { at, fault: fails });
            self.faults.push(Planned { at: at + MS, fault: stop(false) });
            self.faults.push(Planned { at: at + chance.between(150, 600) * MS, fault: stop(true) });
        }
    }

    /// The same without disks: a server that ends has forgotten everything, and must not come back under its
    /// id.
    fn with_everything_in_memory(&mut self) {
        self.durability = Durability::Memory;
        self.faults.retain(|planned| !planned.fault.needs_disk());
    }

    /// The same in fair weather and without faults, except that one server's links come and go, gone for a
    /// time out of `FLAPS`.
    pub fn with_nothing_but_flapping(mut self, server: u64, each: Micros) -> Plan {
        self.nothing_but_flapping(server, each);
        self
    }

    fn nothing_but_flapping(&mut self, server: u64, each: Micros) {
        self.nothing_but(server, Fault::Flapping { server, each, lasts: LAST_FAULT });
        // It loses what it leads at the first break.
        self.prompt = Some((FIRST_FAULT + each + TIME_TO_ELECT, server));
    }

    /// Fair weather, and one server in trouble of one kind for as long as there are faults.
    fn nothing_but(&mut self, server: u64, fault: Fault) {
        self.with_fixed_members();
        self.weather = Weather { lost: 0, doubled: 0, overtaken: 0, damaged: 0, ..self.weather };
        self.faults = vec![Planned { at: FIRST_FAULT, fault }];
        // By then the groups that the server led have other leaders.
        self.prompt = Some((FIRST_FAULT + TIME_TO_ELECT, server));
    }

    /// Fair weather, and a process that ends. What it leads gets other leaders sooner than by an election
    /// timeout, which leases do not allow.
    fn nothing_but_an_end(&mut self, server: u64, chance: &mut Chance) {
        self.leases = false;
        let down = LAST_FAULT - END;
        let fault =
            if chance.one_in(2) { Fault::Kill { server, down } } else { Fault::PowerLoss { server, down } };
        self.nothing_but(server, fault);
        self.faults[0].at = END;
        self.prompt = Some((END, server));
    }

    /// Trouble of one server that must leave the others no worse off. Links that take few bytes are not among
    /// it: heartbeats get through, so the server keeps leading, slowly.
    fn draw_lasting(&self, server: u64, chance: &mut Chance) -> Fault {
        let lasts = LAST_FAULT - FIRST_FAULT;
        match chance.below(8) {
            0 => Fault::Kill { server, down: lasts },
            1 => Fault::PowerLoss { server, down: lasts },
            2 => Fault::Pause { server, lasts },
            3 => Fault::SlowDisk { server, factor: chance.between(5, 100), lasts },
            4 => Fault::HungDisk { server, lasts },
            5 => Fault::DiskFull { server, lasts },
            6 => Fault::HungApplication { server, lasts },
            _ => Fault::CutServer { server, lasts },
        }
    }

    /// A link that exists but hardly works.
    fn draw_bad_link(&self, chance: &mut Chance) -> Option<Planned> {
        let server = chance.between(1, self.servers);
        let lasts = chance.between(200, 2000) * MS;
        let fault = match chance.below(6) {
            0 => {
                Fault::ThinLinks { server, bytes_per_second: *chance.pick(&[200, 1000, 4000, 16_000]), lasts }
            }
            1 => Fault::Flapping { server, each: chance.between(20, 400) * MS, lasts },
            _ => return None,
        };
        Some(Planned { at: chance.between(FIRST_FAULT, LAST_FAULT), fault })
    }

    fn draw(&self, chance: &mut Chance) -> Planned {
        let server = chance.between(1, self.servers);
        let other = (server + chance.between(1, self.servers - 1) - 1) % self.servers + 1;
        let group = chance.below(self.groups.into()) as usize;
        let lasts = chance.between(20, 800) * MS;
        let down = chance.between(5, 500) * MS;
        let (a, b) = (server, other);
        let fault = match chance.below(24) {
            0 | 1 => Fault::Kill { server, down },
            2 | 3 => Fault::PowerLoss { server, down },
            4 => Fault::AllPowerLost { down },
            5 | 6 => {
                let power = at_once(chance.one_in(2));
                Fault::DieInWrite { server, changes: chance.below(40), power, down }
            }
            7 | 8 => Fault::Pause { server, lasts },
            9 => Fault::SlowServer { server, factor: chance.between(5, 100), lasts },
            10 => Fault::SlowDisk { server, factor: chance.between(5, 100), lasts },
            11 => Fault::DiskFull { server, lasts },
            12 => Fault::SyncFails { server, aim: None, power: at_once(chance.one_in(2)), down },
            13 => match chance.below(3) {
                0 => Fault::NoRoomForSnapshots { server, lasts },
                _ => Fault::FlipBit { server, down },
            },
            14 => Fault::CutPair { a, b, lasts },
            15 => Fault::CutOneWay { from: a, to: b, lasts },
            16 => Fault::CutServer { server, lasts },
            17 | 18 => Fault::CutGroup { a, b, group, lasts },
            19 => Fault::HungDisk { server, lasts: 2 * lasts },
            20 => Fault::HungApplication { server, lasts: 2 * lasts },
            21 => Fault::DiskNearlyFull { server, lasts },
            22 => Fault::CutGroup { a, b, group, lasts: 3 * lasts },
            _ => Fault::SlowLink { a, b, more: chance.between(5, 150) * MS, lasts },
        };
        Planned { at: chance.between(FIRST_FAULT, LAST_FAULT), fault }
    }
}

fn at_once(fails: bool) -> Power {
    if fails { Power::Fails } else { Power::Stays }
}
