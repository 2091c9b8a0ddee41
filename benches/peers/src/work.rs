//! What is to be measured.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

/// How many replicas there are. What is measured tolerates the failure of one.
pub const REPLICAS: usize = 3;

/// An implementation that can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Peer {
    /// The crate raft, with the driver that its documentation describes.
    RaftRs,
    /// The crate openraft.
    Openraft,
    /// The crate omnipaxos.
    Omnipaxos,
    /// The servers of etcd.
    Etcd,
}

/// What an acknowledged command survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// Nothing: the log is in memory.
    Memory,
    /// The loss of power: a quorum has called fdatasync.
    Fsync,
}

/// The work.
#[derive(Clone, Debug, Args)]
pub struct PeerWork {
    /// Bytes of each command: 16 for an append, 2048 for the write of a value.
    #[arg(long, value_name = "BYTES", default_value_t = 16, value_parser = clap::value_parser!(u32).range(8..=1_048_576))]
    pub payload: u32,
    /// What an acknowledged command survives: nothing (the log is in memory), or the loss of power (fdatasync on a quorum).
    #[arg(long, value_enum, default_value_t = Durability::Memory)]
    pub durability: Durability,
    /// Commands that are under way at any time; each is replaced when it completes.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub in_flight: u32,
    /// How long to measure, after a warm-up of 2 seconds.
    #[arg(long, value_name = "S", default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=600))]
    pub seconds: u32,
    /// Where logs go, in a new directory that is removed at the end. With fsync it has to be on a disk.
    #[arg(long, value_name = "DIR", default_value_os_t = std::env::temp_dir())]
    pub dir: PathBuf,
}

impl Peer {
    /// All, in the order of reports.
    pub const ALL: [Peer; 4] = [Peer::RaftRs, Peer::Openraft, Peer::Omnipaxos, Peer::Etcd];
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Peer::RaftRs => "raft-rs",
            Peer::Openraft => "openraft",
            Peer::Omnipaxos => "omnipaxos",
            Peer::Etcd => "etcd",
        })
    }
}

impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Durability::Memory => "memory",
            Durability::Fsync => "fsync",
        })
    }
}

impl PeerWork {
    /// The window of time that counts.
    pub fn time(&self) -> Duration {
        Duration::from_secs(u64::from(self.seconds))
    }

    /// The command line that measures this again.
    pub fn command_line(&self, peer: Peer) -> String {
        let PeerWork { payload, durability, in_flight, seconds, .. } = self;
        format!(
            "niagara-peers {peer} --payload {payload} --durability {durability} --in-flight {in_flight} --seconds {seconds}"
        )
    }
}
