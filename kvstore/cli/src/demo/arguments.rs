//! The options of `niagara demo`.

use std::path::PathBuf;

use clap::Args;
use niagara_engine::Durability;

use crate::cluster_args::durability;
use crate::manual;

/// Run a whole cluster in this process, put load on it, and check that all servers agree.
#[derive(Debug, Args)]
#[command(after_long_help = manual::DEMO)]
pub struct DemoArgs {
    /// Number of servers; a majority of them must be up.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=16))]
    pub servers: u16,
    /// Number of Raft groups on each server.
    #[arg(long, value_name = "R", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub groups: u16,
    /// What an acknowledged write survives: fsync, a power failure; os, the end of all processes; memory,
    /// neither.
    #[arg(long, default_value = "fsync", value_parser = durability())]
    pub durability: Durability,
    /// Keep logs and configuration files in this directory, which must be empty or not exist. By default they
    /// are temporary.
    #[arg(long)]
    pub dir: Option<PathBuf>,
    /// Put load on the cluster for this long, then exit. By default: 5 seconds of load, then serve until
    /// Ctrl-C.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub seconds: Option<u32>,
    /// Print the summary as JSON on standard output, and everything else on standard error.
    #[arg(long)]
    pub json: bool,
}
