//! What a seed stands for: the size of the cluster, its surroundings, and the faults that strike it.

use std::fmt;
use std::ops::Range;

use niagara_engine::Durability;

use super::aim::Aim;
use super::disk::Loss;
use super::network::{Micros, Weather};
use super::sizes::Sizes;
use crate::chance::Chance;

/// One simulation, before it begins.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Everything follows from it.
    pub seed: u64,
    /// Number of servers.
    pub servers: u64,
    /// Number of groups.
    pub groups: u16,
    /// Number of clients.
    pub clients: u64,
    /// What the network does.
    pub weather: Weather,
    /// Per server: how fast its clock is, in percent.
    pub clock_rates: Vec<u64>,
    /// What logs are proof against.
    pub durability: Durability,
    /// Bytes of a log segment.
    pub segment_bytes: u64,
    /// Bytes of each log that stay in memory.
    pub log_cache_bytes: usize,
    /// How long the engine's callers wait for outcomes, in microseconds.
    pub deadline: Micros,
    /// Commands that a lane holds.
    pub lane_commands: usize,
    /// Entries with commands after which a snapshot is made.
    pub snapshot_entries: u64,
    /// Bytes of a snapshot that are asked for at once.
    pub piece_bytes: u32,
    /// Bytes of a log up to which it is kept for who is getting a snapshot.
    pub pin_bytes: u64,
    /// Bytes of a group's entries that wait for the disk.
    pub unsynced_bytes: usize,
    /// Bytes between logs and execution.
    pub merge_bytes: usize,
    /// Bytes of all logs beyond what is merged.
    pub behind_bytes: u64,
    /// How large entries, commands and values are.
    pub sizes: Sizes,
    /// The faults, in order.
    pub faults: Vec<Planned>,
    /// From this moment on strong reads through all servers but this one must be answered promptly.
    pub prompt_reads: Option<(Micros, u64)>,
}

/// A fault and when it strikes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// When, in microseconds.
    pub at: Micros,
    /// What.
    pub fault: Fault,
}

/// What can go wrong. Times are in microseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "what the fields are is said with what goes wrong")]
pub enum Fault {
    /// The process is killed, and started again after a while.
    Kill { server: u64, down: Micros },
    /// The server is told to stop, and does; then the power may fail, and takes nothing.
    Stop { server: u64, power: bool, down: Micros },
    /// The power fails, and what was not synced is lost or torn.
    PowerLoss { server: u64, down: Micros },
    /// The power of all servers fails at once.
    AllPowerLost { down: Micros },
    /// The process or the power goes in the midst of a write: after so many more changes of the disk.
    DieInWrite { server: u64, changes: u64, power: bool, down: Micros },
    /// The process or the power goes at a step of the server's dealings with its disk, or right after it.
    DieAt { server: u64, aim: Aim, after: bool, power: bool, down: Micros },
    /// The process stands still, and goes on as if nothing had been.
    Pause { server: u64, lasts: Micros },
    /// Everything that the server does takes so many times as long.
    SlowServer { server: u64, factor: u64, lasts: Micros },
    /// Syncs take so many times as long.
    SlowDisk { server: u64, factor: u64, lasts: Micros },
    /// What is written or synced comes back only when this ends.
    HungDisk { server: u64, lasts: Micros },
    /// The state machine takes so long for each stretch that nothing is executed meanwhile.
    HungApplication { server: u64, lasts: Micros },
    /// There is less room on the disk than the reserve: the server takes no commands.
    DiskNearlyFull { server: u64, lasts: Micros },
    /// There is no room on the disk: what is to be written waits until there is.
    DiskFull { server: u64, lasts: Micros },
    /// A sync fails: the process ends, and maybe the power goes.
    SyncFails { server: u64, power: bool, down: Micros },
    /// There is no room for snapshots, though there is for logs.
    NoRoomForSnapshots { server: u64, lasts: Micros },
    /// A bit of a record, or of the newest snapshot, is flipped while the server is down: it must not start before the bit is flipped back.
    FlipBit { server: u64, down: Micros },
    /// A part of a server's directory is lost while it is down: it must not start before the part is put back.
    Lose { server: u64, loss: Loss, down: Micros },
    /// A server's directory is copied, and put back after a while in which the server started again: it must be refused by whoever
    /// has met the later start, and then not start any more, before the right directory is put back.
    OldCopy { server: u64, down: Micros, lasts: Micros },
    /// A server is started with another list of members: it must not start, nor be let in by others.
    OtherMembers { server: u64, down: Micros },
    /// Two servers do not hear each other.
    CutPair { a: u64, b: u64, lasts: Micros },
    /// One server does not hear the other.
    CutOneWay { from: u64, to: u64, lasts: Micros },
    /// A server hears nobody, and nobody hears it.
    CutServer { server: u64, lasts: Micros },
    /// Two servers do not hear each other in one group (by zero-based index); the other groups' links live.
    CutGroup { a: u64, b: u64, group: usize, lasts: Micros },
    /// Messages between two servers take longer.
    SlowLink { a: u64, b: u64, more: Micros, lasts: Micros },
    /// A server's links take no more than so many bytes a second, each of them and in both directions.
    ThinLinks { server: u64, bytes_per_second: u64, lasts: Micros },
    /// A server hears nobody and nobody hears it, for a while and again and again.
    Flapping { server: u64, each: Micros, lasts: Micros },
}

const MS: Micros = 1000;
/// When clients have been at work for a while, and the first fault may strike.
const FIRST_FAULT: Micros = 300 * MS;
/// Whom a leader has left without a word has another one by then.
const TIME_TO_ELECT: Micros = 900 * MS;
/// Whose links are gone for so long loses what it leads at the first break, with clocks at four fifths, too, since a follower waits for up to
/// twice the election time-out; and half of it is too short for links to be steady. Who is gone for less may keep what it leads, and
/// is waited for.
pub const FLAPS: Range<Micros> = 520 * MS..620 * MS;
/// When the last fault strikes, at the latest.
pub const LAST_FAULT: Micros = 2300 * MS;

impl Plan {
    /// What the seed stands for.
    pub fn of(seed: u64) -> Plan {
        let mut chance = Chance::new(seed).fork(0x9_1a_6a);
        let servers = if chance.one_in(4) { 5 } else { 3 };
        let groups = *chance.pick(&[1, 2, 2, 3, 4, 4, 8]);
        // In fair weather protocol faults show that loss would hide, so half of the seeds have it.
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
            groups,
            clients: 2 * chance.between(2, 4),
            weather: Weather { delay: (50, *chance.pick(&[200, 1000, 5000])), ..weather },
            clock_rates: (0..servers).map(|_| *chance.pick(&[100, 100, 80, 125, 95])).collect(),
            durability: Durability::Fsync,
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
            faults: Vec::new(),
            prompt_reads: None,
        };
        let count = chance.between(1, 10);
        plan.faults = (0..count).map(|_| plan.draw(&mut chance)).collect();
        // Drawn apart, so that what is drawn above stays what it was.
        let mut bad_links = Chance::new(seed).fork(0x71_4b);
        if bad_links.one_in(12) {
            let server = bad_links.between(1, servers);
            return plan.with_nothing_but_flapping(server, bad_links.between(FLAPS.start, FLAPS.end));
        }
        plan.faults.extend(plan.draw_bad_link(&mut bad_links));
        let mut of_losses = Chance::new(seed).fork(0x10_55);
        if of_losses.one_in(3) {
            let loss = plan.draw_loss(&mut of_losses);
            plan.faults.push(loss);
        }
        plan.faults.sort_by_key(|planned| planned.at);
        plan
    }

    /// What the seed stands for where sizes and durability are drawn, too, servers are stopped cleanly, and faults are aimed at steps of
    /// their dealings with the disk.
    pub fn wide(seed: u64) -> Plan {
        let mut plan = Plan::of(seed);
        if plan.prompt_reads.is_some() {
            // Long values fill the bounds of a server that is behind, upon which it hands over what it leads, to the flapping one, too.
            return plan;
        }
        let servers = plan.servers;
        plan.sizes = Sizes::draw(&mut Chance::new(seed).fork(0x51_2e));
        let longest = plan.sizes.values.iter().max().copied().unwrap_or(0);
        // A state of long values in the smallest pieces would be on its way for longer than settling takes.
        plan.piece_bytes = plan.piece_bytes.max(longest as u32 / 8);
        let mut of_stops = Chance::new(seed).fork(0x57_0f);
        if of_stops.one_in(3) {
            let server = of_stops.between(1, servers);
            let fault =
                Fault::Stop { server, power: of_stops.one_in(2), down: of_stops.between(5, 500) * MS };
            plan.faults.push(Planned { at: of_stops.between(FIRST_FAULT, LAST_FAULT), fault });
        }
        let mut of_aims = Chance::new(seed).fork(0xa1_35);
        if of_aims.one_in(2) {
            let (aim, _) = *of_aims.pick(Aim::ALL);
            let (after, power) = (of_aims.one_in(2), of_aims.one_in(2));
            let (server, down) = (of_aims.between(1, servers), of_aims.between(5, 500) * MS);
            let at = of_aims.between(FIRST_FAULT, LAST_FAULT);
            plan.faults.push(Planned { at, fault: Fault::DieAt { server, aim, after, power, down } });
            if of_aims.one_in(3) {
                // What is done at that step is then ahead of what the logs hold.
                let factor = of_aims.between(10, 60) * 2 + 1;
                plan.faults.push(Planned { at, fault: Fault::SlowDisk { server, factor, lasts: 600 * MS } });
            }
        }
        match of_stops.below(12) {
            0 => plan.with_durability_os(),
            1 => plan.with_everything_in_memory(),
            _ => {}
        }
        plan.faults.sort_by_key(|planned| planned.at);
        plan
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

    /// The same with logs that are written and not synced: a loss of power is what they are not proof against, unless the server has
    /// stopped before.
    fn with_durability_os(&mut self) {
        self.durability = Durability::Os;
        // A copy of an earlier run of the machine is refused for another reason.
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
                | Fault::SyncFails { power, .. } => *power = false,
                _ => {}
            }
        }
    }

    /// The same without disks: a server that ends has forgotten everything, and must not come back under its id.
    fn with_everything_in_memory(&mut self) {
        self.durability = Durability::Memory;
        self.faults.retain(|planned| match planned.fault {
            Fault::Pause { .. }
            | Fault::SlowServer { .. }
            | Fault::HungApplication { .. }
            | Fault::CutPair { .. }
            | Fault::CutOneWay { .. }
            | Fault::CutServer { .. }
            | Fault::CutGroup { .. }
            | Fault::SlowLink { .. }
            | Fault::ThinLinks { .. }
            | Fault::Flapping { .. } => true,
            Fault::Kill { .. }
            | Fault::Stop { .. }
            | Fault::PowerLoss { .. }
            | Fault::AllPowerLost { .. }
            | Fault::DieInWrite { .. }
            | Fault::DieAt { .. }
            | Fault::SlowDisk { .. }
            | Fault::HungDisk { .. }
            | Fault::DiskNearlyFull { .. }
            | Fault::DiskFull { .. }
            | Fault::SyncFails { .. }
            | Fault::NoRoomForSnapshots { .. }
            | Fault::FlipBit { .. }
            | Fault::Lose { .. }
            | Fault::OldCopy { .. }
            | Fault::OtherMembers { .. } => false,
        });
    }

    /// The same in fair weather and without faults, but that one server's links come and go, gone for a time out of `FLAPS`.
    pub fn with_nothing_but_flapping(self, server: u64, each: Micros) -> Plan {
        let weather = Weather { lost: 0, doubled: 0, overtaken: 0, damaged: 0, ..self.weather };
        let fault = Fault::Flapping { server, each, lasts: LAST_FAULT };
        // Until then the groups that the server led have other leaders.
        let prompt_reads = Some((FIRST_FAULT + each + TIME_TO_ELECT, server));
        Plan { weather, faults: vec![Planned { at: FIRST_FAULT, fault }], prompt_reads, ..self }
    }

    /// A link that is there and hardly works.
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
                let power = chance.one_in(2);
                Fault::DieInWrite { server, changes: chance.below(40), power, down }
            }
            7 | 8 => Fault::Pause { server, lasts },
            9 => Fault::SlowServer { server, factor: chance.between(5, 100), lasts },
            10 => Fault::SlowDisk { server, factor: chance.between(5, 100), lasts },
            11 => Fault::DiskFull { server, lasts },
            12 => Fault::SyncFails { server, power: chance.one_in(2), down },
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

impl fmt::Display for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>5} ms  {:?}", self.at / MS, self.fault)
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Plan { seed, servers, groups, clients, weather, clock_rates, .. } = self;
        writeln!(f, "seed {seed}: {servers} servers, {groups} groups, {clients} clients")?;
        writeln!(f, "  logs proof against {}", self.durability)?;
        writeln!(f, "  {weather:?}, clocks at {clock_rates:?} percent")?;
        writeln!(
            f,
            "  at most {} bytes for a disk, {} for the merge, {} behind it",
            self.unsynced_bytes, self.merge_bytes, self.behind_bytes
        )?;
        writeln!(
            f,
            "  segments of {} bytes, log caches of {}, {} commands in a lane, snapshots after {} entries, sent in pieces of {} bytes",
            self.segment_bytes,
            self.log_cache_bytes,
            self.lane_commands,
            self.snapshot_entries,
            self.piece_bytes
        )?;
        writeln!(f, "  {}", self.sizes)?;
        for planned in &self.faults {
            writeln!(f, "  {planned}")?;
        }
        Ok(())
    }
}
