//! What a server process is told.

use std::path::PathBuf;

use niagara_engine::{Config, Member, Pinning, Threads};
use serde::{Deserialize, Serialize};

use super::certificates;
use super::demand::{CLUSTER, Demand};
use super::options::AppendOptions;
use crate::failure::Failure;

/// One server's part.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Assignment {
    pub server: u64,
    /// Per server: one address per group, and the one where snapshots travel.
    pub members: Vec<(Vec<String>, String)>,
    pub durability: String,
    pub data_dir: PathBuf,
    /// Where its certificates are, if servers speak TLS with each other.
    pub certificates: Option<PathBuf>,
    pub payload: u32,
    pub entry_kib: u32,
    pub window: u16,
    pub log_cache_kib: u32,
    pub snapshot_mib: u64,
    /// Threads that drive the groups, if not what suits the machine.
    pub threads: Option<u16>,
    /// Whether this server generates commands and reads.
    pub originates: bool,
    /// Whether commands go to groups led by this server only.
    pub led_groups: bool,
    /// Length of an open loop's steps.
    pub step_micros: u32,
    /// Strong reads in flight while it does.
    pub reads: u64,
}

/// What the parent asks a server for, a line each on its standard input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Request {
    /// Wait until all groups have leaders where they belong.
    Ready,
    /// Begin to generate: this server's share, if it has one.
    Begin(Option<Demand>),
    /// Read all counters, and begin a new window of latencies.
    Read,
    /// Generate no more until the next `Begin`, and wait for what is in flight.
    Drain,
}

impl Assignment {
    pub fn new(
        options: &AppendOptions,
        server: u64,
        members: Vec<(Vec<String>, String)>,
        data_dir: PathBuf,
    ) -> Assignment {
        Assignment {
            server,
            members,
            durability: options.durability.name().to_owned(),
            data_dir,
            certificates: None,
            payload: options.payload,
            entry_kib: options.entry_kib,
            window: options.window,
            log_cache_kib: options.log_cache_kib,
            snapshot_mib: options.snapshot_mib(),
            threads: options.threads(),
            originates: server <= options.origins(),
            led_groups: options.led_groups,
            step_micros: options.step_micros,
            reads: options.reads,
        }
    }

    /// Raft groups, R.
    pub fn groups(&self) -> u64 {
        self.members[0].0.len() as u64
    }

    /// How many commands in flight keep one group busy: what its window holds, and as much again that waits.
    pub fn full_group(&self) -> u64 {
        let entries = u64::from(self.window) + 8;
        entries * ((u64::from(self.entry_kib) << 10) / (u64::from(self.payload) + 1)).max(1)
    }

    pub fn config(&self) -> Result<Config, Failure> {
        let members = (1..).zip(&self.members).map(|(server, (addresses, transfer))| Member {
            server,
            addresses: addresses.clone(),
            transfer: transfer.clone(),
        });
        let mut config = Config::new(CLUSTER, self.server, members.collect());
        config.durability = self.durability.parse().expect("it was written by its name");
        config.data_dir.clone_from(&self.data_dir);
        // Three servers share the machine: pinned alike, they would all stand on the same cores. `placement.rs` pins them apart.
        config.pinning = Pinning::Off;
        config.threads = self.threads.map_or(Threads::Auto, Threads::Count);
        config.entry_bytes = (self.entry_kib as usize) << 10;
        config.window = usize::from(self.window);
        config.log_cache_bytes = (self.log_cache_kib as usize) << 10;
        config.lane_commands = config.lane_commands.max(2 * self.full_group() as usize);
        config.snapshot_bytes = self.snapshot_mib << 20;
        config.command_bytes = config.command_bytes.max(self.payload as usize + 1024);
        config.lane_bytes = config.lane_bytes.max(2 * config.command_bytes);
        let open = |dir: &PathBuf| certificates::open(dir, self.server);
        config.tls = self.certificates.as_ref().map(open).transpose()?;
        Ok(config)
    }
}
