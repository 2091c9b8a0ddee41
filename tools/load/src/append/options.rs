//! What a user says on the command line.

use clap::Args;
use niagara_engine::Durability;

use super::demand::{Demand, leader_of};

/// Options of `niagara-load append`.
#[derive(Args, Clone, Debug)]
pub struct AppendOptions {
    /// Raft groups, R
    #[arg(long, default_value_t = 1, value_name = "R", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub groups: u16,
    /// Bytes of each command
    #[arg(long, default_value_t = 16, value_name = "B", value_parser = clap::value_parser!(u32).range(8..=16_777_216))]
    pub payload: u32,
    /// What an acknowledged command survives: fsync (loss of power), os (kill -9), memory (nothing)
    #[arg(long, default_value = "fsync", value_name = "fsync|os|memory")]
    pub durability: Durability,
    /// Length of the measured window, in seconds
    #[arg(long, default_value_t = 6.0, value_name = "S", value_parser = at_least_a_tenth)]
    pub seconds: f64,
    /// Time before the window, in seconds
    #[arg(long, default_value_t = 2.0, value_name = "S", value_parser = at_least_a_tenth)]
    pub warm_up: f64,
    /// Open loop: commands per second of all origins together; latency counts from the intended start
    #[arg(long, value_name = "N", conflicts_with = "in_flight", value_parser = clap::value_parser!(u64).range(1..))]
    pub rate: Option<u64>,
    /// Open loop: commands are made in steps of so many microseconds
    #[arg(long, default_value_t = 250, value_name = "MICROS", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub step_micros: u32,
    /// Closed loop: commands in flight of all origins together, each with a ticket of its own
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub in_flight: Option<u64>,
    /// Servers whose application generates commands [default: 1 with --in-flight, else all that lead a group]
    #[arg(long, value_name = "1..3", value_parser = clap::value_parser!(u64).range(1..=3))]
    pub origins: Option<u64>,
    /// Let each origin propose to the groups that its own server leads, in turn, so that no command is forwarded
    #[arg(long)]
    pub led_groups: bool,
    /// Strong reads in flight per origin, beside the commands; each batch shares a quorum round
    #[arg(long, default_value_t = 0, value_name = "N", value_parser = clap::value_parser!(u64).range(0..=1_000_000))]
    pub reads: u64,
    /// Threads of a server that drive its groups [default: what suits the machine; with --group-quota, one for each group]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub threads: Option<u16>,
    /// Hold each group's thread to this many percent of a core (needs root and cgroup v1)
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    pub group_quota: Option<f64>,
    /// Bytes of commands at which a group cuts an entry, in KiB
    #[arg(long, default_value_t = 64, value_name = "KIB", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub entry_kib: u32,
    /// Entries with commands that a group may have ahead of the merge
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub window: u16,
    /// Memory for the recent part of each group's log, in KiB
    #[arg(long, default_value_t = 2048, value_name = "KIB", value_parser = clap::value_parser!(u32).range(64..=1_048_576))]
    pub log_cache_kib: u32,
    /// Make a snapshot, and compact the logs, after so many MiB of commands [default: 2 in memory, else 1024]
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u64).range(1..=1_048_576))]
    pub snapshot_mib: Option<u64>,
    /// Servers speak TLS with each other
    #[arg(long)]
    pub tls: bool,
    /// Keep data under this directory rather than the system's one for temporary files
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<std::path::PathBuf>,
}

impl AppendOptions {
    /// The paper's microbenchmark: commands of 16 bytes, in memory, as fast as it goes unless a load is given.
    pub fn microbenchmark(groups: u16) -> AppendOptions {
        AppendOptions {
            groups,
            payload: 16,
            durability: Durability::Memory,
            seconds: 6.0,
            warm_up: 2.0,
            rate: None,
            step_micros: 250,
            in_flight: None,
            origins: None,
            led_groups: true,
            reads: 0,
            threads: Some(groups),
            group_quota: None,
            entry_kib: 64,
            window: 8,
            log_cache_kib: 1024,
            snapshot_mib: Some(1),
            tls: false,
            data_dir: None,
        }
    }

    /// Threads of a server that drive its groups; `None` for what suits the machine.
    pub(super) fn threads(&self) -> Option<u16> {
        self.threads.or(self.group_quota.map(|_| self.groups))
    }

    /// How commands are generated.
    pub fn demand(&self) -> Demand {
        match (self.rate, self.in_flight) {
            (Some(per_second), _) => Demand::Rate { per_second },
            (None, Some(commands)) => Demand::InFlight { commands },
            (None, None) => Demand::Unbounded,
        }
    }

    /// The same cluster under another load.
    pub(super) fn with_demand(&self, demand: Demand, warm_up: f64, seconds: f64) -> AppendOptions {
        let (rate, in_flight) = match demand {
            Demand::Rate { per_second } => (Some(per_second), None),
            Demand::InFlight { commands } => (None, Some(commands)),
            Demand::Unbounded => (None, None),
        };
        let mut options = AppendOptions { rate, in_flight, warm_up, seconds, ..self.clone() };
        // Which servers have origins is settled when they start.
        if options.origins() != self.origins() {
            options.origins = Some(self.origins());
        }
        options
    }

    /// After how many MiB of commands a snapshot is made. In memory the log lives until then, and one that outgrows the
    /// processor's caches measures page faults; on disk the engine's own default is what users have.
    pub fn snapshot_mib(&self) -> u64 {
        self.snapshot_mib.unwrap_or(if self.durability == Durability::Memory { 2 } else { 1024 })
    }

    /// On how many servers. Where they keep to a number in flight, one; a command alone has one origin, and more of them only
    /// compare with that if they have one, too.
    pub fn origins(&self) -> u64 {
        self.origins.unwrap_or(match self.demand() {
            Demand::InFlight { .. } => 1,
            _ => u64::from(self.groups).min(super::demand::SERVERS),
        })
    }

    /// How the load is shared out over the origins, server by server: evenly, or by the groups that each of them leads.
    pub(super) fn weights(&self) -> Vec<u64> {
        let led =
            |server| (1..=u64::from(self.groups)).filter(|group| leader_of(*group) == server).count() as u64;
        (1..=self.origins()).map(|server| if self.led_groups { led(server) } else { 1 }).collect()
    }
}

fn at_least_a_tenth(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.1..=86_400.0).contains(&seconds) => Ok(seconds),
        _ => Err("give a number of seconds from 0.1 to 86400".into()),
    }
}

fn percent(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(percent) if (0.1..=100.0).contains(&percent) => Ok(percent),
        _ => Err("give a percentage from 0.1 to 100".into()),
    }
}
