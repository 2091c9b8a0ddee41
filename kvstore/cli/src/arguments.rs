//! What can be typed: the commands and their options. Long help texts stand in [`manual`].

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};
use niagara_engine::Durability;

use niagara_client::{DEFAULT_PORT, Endpoint};

use super::{ask, get, log, logs, manual, new_cluster, snapshot};

/// A replicated key-value store whose log scales with cores and links.
///
/// Each server runs several Raft groups, each on a thread and sockets of its own, and merges their logs into one
/// global log. Clients talk to any server, with the Redis protocol or HTTP.
#[derive(Debug, Parser)]
#[command(name = "niagara", version, after_long_help = manual::NIAGARA, max_term_width = 100)]
pub struct Arguments {
    #[command(subcommand)]
    /// What is to be done.
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    Demo(DemoArgs),
    NewCluster(NewClusterArgs),
    Serve(ServeArgs),
    Put(PutArgs),
    Get(GetArgs),
    Del(DelArgs),
    Status(StatusArgs),
    Snapshot(snapshot::SnapshotArgs),
    Log(log::LogArgs),
}

/// Run a whole cluster in this process, put load on it, and check that all servers agree.
#[derive(Debug, Args)]
#[command(after_long_help = manual::DEMO)]
pub struct DemoArgs {
    /// Number of servers; a majority of them must live.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=16))]
    pub servers: u16,
    /// Number of Raft groups on each server.
    #[arg(long, value_name = "R", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub groups: u16,
    /// What an acknowledged write survives: the loss of power, the end of all processes, or nothing.
    #[arg(long, default_value = "fsync", value_parser = durability())]
    pub durability: Durability,
    /// Keep logs and configuration files in this directory, which must be empty or not exist; otherwise they are
    /// temporary.
    #[arg(long)]
    pub dir: Option<PathBuf>,
    /// Put load on the cluster for so long, then exit; without it: 5 seconds of load, then serve until Ctrl-C.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub seconds: Option<u32>,
    /// Print the summary as JSON on standard output, and all else on standard error.
    #[arg(long)]
    pub json: bool,
}

/// Write the configuration files of a new cluster's servers, with every key explained.
#[derive(Debug, Args)]
#[command(after_long_help = manual::NEW_CLUSTER)]
pub struct NewClusterArgs {
    /// Number of servers; 3 survive the failure of one, 5 of two.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub servers: u16,
    /// Number of Raft groups; about one for each core that replication may use. It cannot be changed later.
    #[arg(long, value_name = "R", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=1_024))]
    pub groups: u16,
    /// Where the files go: DIR/server-1.toml and so on. Existing files are never overwritten.
    #[arg(long)]
    pub dir: PathBuf,
    /// The servers' host: one for all, or a comma-separated list with one for each.
    #[arg(long, value_delimiter = ',', default_value = "127.0.0.1", value_parser = new_cluster::parse_host)]
    pub host: Vec<String>,
    /// The first port of the first server: HTTP, then Redis, then one for each group.
    #[arg(long, value_name = "PORT", default_value_t = DEFAULT_PORT, value_parser = clap::value_parser!(u16).range(1..))]
    pub base_port: u16,
    /// What an acknowledged write survives: the loss of power, the end of all processes, or nothing.
    #[arg(long, default_value = "fsync", value_parser = durability())]
    pub durability: Durability,
}

/// Run one server, as its configuration file says.
#[derive(Debug, Args)]
#[command(after_long_help = manual::SERVE)]
pub struct ServeArgs {
    /// The server's configuration file; `niagara new-cluster` writes one.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// What to log to standard error: error, warn, info, debug, trace, or a list like
    /// `info,niagara_engine=debug` [default: what the environment variable NIAGARA_LOG says, else info].
    #[arg(long, value_name = "FILTER", value_parser = logs::parse_filter)]
    pub log: Option<String>,
}

/// Set a key's value.
#[derive(Debug, Args)]
#[command(after_long_help = manual::PUT)]
pub struct PutArgs {
    /// The key: 1 to 65,536 bytes, any.
    pub key: OsString,
    /// The value; `-` or none: read it from standard input, up to its end.
    pub value: Option<OsString>,
    #[command(flatten)]
    pub cluster: ClusterArgs,
    /// Only if the key has this version now (as `put` prints it), or any at all: `*`.
    #[arg(long, value_name = "VERSION", value_parser = ask::parse_version)]
    pub if_match: Option<String>,
    /// Only if the key does not exist.
    #[arg(long, conflicts_with = "if_match")]
    pub if_absent: bool,
    /// Do not print the position and the version.
    #[arg(short, long)]
    pub quiet: bool,
}

/// Write a key's value to standard output.
#[derive(Debug, Args)]
#[command(after_long_help = manual::GET)]
pub struct GetArgs {
    /// The key.
    pub key: OsString,
    #[command(flatten)]
    pub cluster: ClusterArgs,
    /// How fresh the value must be: `strong` (newer than anything acknowledged before), `weak` (whatever the server
    /// has), or `at-least:G` (with the effects of global position G, as `put` prints it).
    #[arg(long, value_name = "LEVEL", default_value = "strong", value_parser = get::parse_read_level)]
    pub read: String,
    /// Say on standard error which version the value has, and at which position it was read.
    #[arg(short, long)]
    pub verbose: bool,
}

/// Delete a key.
#[derive(Debug, Args)]
#[command(after_long_help = manual::DEL)]
pub struct DelArgs {
    /// The key.
    pub key: OsString,
    #[command(flatten)]
    pub cluster: ClusterArgs,
    /// Only if the key has this version now (as `put` prints it), or any at all: `*`.
    #[arg(long, value_name = "VERSION", value_parser = ask::parse_version)]
    pub if_match: Option<String>,
    /// Do not print the position.
    #[arg(short, long)]
    pub quiet: bool,
}

/// Show what the servers say about themselves, and whether their global logs agree.
#[derive(Debug, Args)]
#[command(after_long_help = manual::STATUS)]
pub struct StatusArgs {
    #[command(flatten)]
    pub cluster: ClusterArgs,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Which servers to ask.
#[derive(Debug, Args)]
pub struct ClusterArgs {
    /// The servers' HTTP addresses, separated by commas; the next is tried when one cannot serve [default: what the
    /// environment variable NIAGARA_AT says, else http://127.0.0.1:7000].
    #[arg(long, value_name = "URL,...", value_delimiter = ',')]
    pub at: Vec<Endpoint>,
    /// Take the addresses from a server's configuration file instead: from what it says of the members.
    #[arg(long, value_name = "FILE", conflicts_with = "at")]
    pub config: Option<PathBuf>,
    /// Wait at most so long for a server's answer.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=3_600))]
    pub timeout: u32,
}

fn durability() -> impl TypedValueParser<Value = Durability> {
    PossibleValuesParser::new(["fsync", "os", "memory"]).try_map(|name| name.parse::<Durability>())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definitions_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_command_s_help_has_examples_and_exit_statuses() {
        let all = Arguments::command();
        let nested = all.get_subcommands().flat_map(clap::Command::get_subcommands);
        for command in all.get_subcommands().chain(nested) {
            let manual = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
            assert!(
                manual.contains("Examples:") && manual.contains("Exit status:"),
                "{}",
                command.get_name()
            );
        }
    }
}
