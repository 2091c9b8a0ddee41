//! One simulation before it starts: the size of the cluster, its surroundings, and the faults that strike it.

use std::fmt;
use std::ops::Range;

use niagara_engine::Durability;
use niagara_engine::internals::sim::groups_beside;

use super::fault::Planned;
use super::network::{Micros, Weather};
use super::sizes::Sizes;
use super::swarm::Swarm;

/// One simulation, before it starts.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Decides everything else.
    pub seed: u64,
    /// Number of servers, with those that may come later.
    pub servers: u64,
    /// How many of them, the last ones, are no members at first.
    pub spares: u64,
    /// Whether there is a follower, too.
    pub is_followed: bool,
    /// Number of groups, at first.
    pub groups: u16,
    /// Number of groups that there can be in all epochs together.
    pub places: u16,
    /// The level that the cluster begins at.
    pub first_level: u32,
    /// Number of threads that drive the groups.
    pub group_threads: u16,
    /// Number of clients.
    pub clients: u64,
    /// What the network does.
    pub weather: Weather,
    /// For each server, the rate of its clock, in percent.
    pub clock_rates: Vec<u64>,
    /// For each server, the clock that people set. One of them is wrong at most.
    pub wall_clocks: Vec<WallClock>,
    /// Whether reads rely on leases.
    pub leases: bool,
    /// Whether leases, or ends of epochs, are put to the test, by reads through every server.
    pub tries_leases: bool,
    /// What logs survive.
    pub durability: Durability,
    /// Whether disks take direct writes.
    pub direct: bool,
    /// Length of a log segment, in bytes.
    pub segment_bytes: u64,
    /// Bytes of each log that stay in memory.
    pub log_cache_bytes: usize,
    /// How long the engine's callers wait for outcomes, in microseconds.
    pub deadline: Micros,
    /// Commands that a lane holds.
    pub lane_commands: usize,
    /// Entries with commands after which a snapshot is taken.
    pub snapshot_entries: u64,
    /// Bytes of a snapshot that are requested at once.
    pub piece_bytes: u32,
    /// Bytes of a log up to which it is kept for a follower that is receiving a snapshot.
    pub pin_bytes: u64,
    /// Bytes of a group's entries that may wait for the disk.
    pub unsynced_bytes: usize,
    /// Bytes between logs and execution.
    pub merge_bytes: usize,
    /// Bytes of all logs beyond what is merged.
    pub behind_bytes: u64,
    /// How large entries, commands and values are.
    pub sizes: Sizes,
    /// Which kinds of faults and requests occur.
    pub swarm: Swarm,
    /// The faults, in order.
    pub faults: Vec<Planned>,
    /// From this moment on all servers but this one must serve promptly.
    pub prompt: Option<(Micros, u64)>,
}

/// The clock of a server that people set, and that may jump.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WallClock {
    /// How far it is ahead, in milliseconds.
    pub ahead: i64,
    /// How far it is ahead from some moment on, as if it had been set: in microseconds, and milliseconds.
    pub jump: Option<(Micros, i64)>,
}

/// What right clocks show when a simulation begins, in milliseconds since 1970.
const BEGINS_MS: i64 = 1_700_000_000_000;

impl WallClock {
    /// What it shows at a moment of the simulation, in milliseconds since 1970.
    pub fn shows(self, now: Micros) -> u64 {
        let ahead = match self.jump {
            Some((at, ahead)) if now >= at => ahead,
            _ => self.ahead,
        };
        (BEGINS_MS + (now / 1000) as i64 + ahead) as u64
    }
}

impl Plan {
    /// How many servers the cluster begins with: the first ones.
    pub fn founders(&self) -> u64 {
        self.servers - self.spares
    }

    /// Whether the cluster may go on in other epochs.
    pub fn has_epochs(&self) -> bool {
        self.places > self.groups
    }

    /// The groups that share a thread with this one, with itself.
    pub fn groups_beside(&self, group: usize) -> Range<usize> {
        groups_beside(group, self.group_threads.into(), self.groups.into())
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Plan { seed, spares, groups, clients, weather, clock_rates, wall_clocks, leases, .. } = self;
        let threads = match self.group_threads {
            threads if threads < *groups => format!(" on {threads} threads"),
            _ => String::new(),
        };
        let servers = self.founders();
        writeln!(f, "seed {seed}: {servers} servers, {groups} groups{threads}, {clients} clients")?;
        if self.is_followed {
            writeln!(f, "  and a follower")?;
        }
        if *spares > 0 {
            writeln!(f, "  {spares} servers may come")?;
        }
        let direct = if self.direct { "" } else { ", without direct writes" };
        writeln!(f, "  logs proof against {}{direct}", self.durability)?;
        let reads = if *leases { "reads by leases" } else { "reads by quorums" };
        writeln!(f, "  {weather:?}, clocks at {clock_rates:?} percent, {reads}")?;
        for (server, WallClock { ahead, jump }) in (1..).zip(wall_clocks) {
            let jump = jump.map(|(at, ahead)| format!(", and {ahead} from {at} us on")).unwrap_or_default();
            writeln!(f, "  server {server}: the wall clock is {ahead} ms ahead{jump}")?;
        }
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
