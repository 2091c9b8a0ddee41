//! `niagara snapshot`: takes snapshots, and inspects, exports and imports their files.
//!
//! | file | holds |
//! |---|---|
//! | `now.rs`, `watch.rs` | requests snapshots from servers, and waits for them |
//! | `file.rs` | a snapshot file, as the commands below read it |
//! | `inspect.rs`, `report.rs` | what a file holds and whether it is intact; how that is shown |
//! | `export.rs` | writes all keys and values in another format |
//! | `rows.rs`, `commands.rs` | the formats: JSON lines, Redis commands |
//! | `import.rs`, `source.rs`, `loader.rs` | loads any of the three formats into a running cluster |

mod commands;
mod export;
mod file;
mod findings;
mod import;
mod inspect;
mod loader;
mod now;
mod report;
mod rows;
mod source;
mod watch;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{ArgGroup, Args, Subcommand};
use niagara_client::redis::Address;

use super::failure::Failure;
use super::manual;
use crate::cluster_args::{AccessArgs, ClusterArgs};

/// A key and its value.
type Pair = (Vec<u8>, Vec<u8>);

/// Take snapshots of running servers; inspect, export and import snapshot files.
#[derive(Debug, Args)]
#[command(after_long_help = manual::SNAPSHOT)]
pub struct SnapshotArgs {
    #[command(subcommand)]
    command: SnapshotCommand,
}

#[derive(Debug, Subcommand)]
enum SnapshotCommand {
    Now(NowArgs),
    Inspect(InspectArgs),
    Export(ExportArgs),
    Import(ImportArgs),
}

/// Make servers take a snapshot now, and wait for it.
#[derive(Debug, Args)]
#[command(after_long_help = manual::SNAPSHOT_NOW)]
struct NowArgs {
    #[command(flatten)]
    cluster: ClusterArgs,
}

/// Show what a snapshot file holds, and check every byte of it.
#[derive(Debug, Args)]
#[command(after_long_help = manual::SNAPSHOT_INSPECT)]
struct InspectArgs {
    /// The snapshot file: `snapshots/*.snap` in a server's data directory, or a copy.
    file: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Write all keys and values of a snapshot in a format for other programs.
#[derive(Debug, Args)]
#[command(after_long_help = manual::SNAPSHOT_EXPORT)]
#[command(group = ArgGroup::new("format").required(true))]
struct ExportArgs {
    /// The snapshot file: `snapshots/*.snap` in a server's data directory, or a copy.
    file: PathBuf,
    /// Write a JSON object for each key, one per line.
    #[arg(long, group = "format")]
    json: bool,
    /// Write a SET command for each key, for `redis-cli --pipe`.
    #[arg(long, group = "format")]
    resp: bool,
    /// Write to this file instead of standard output. It must not exist yet.
    #[arg(long)]
    output: Option<PathBuf>,
}

/// Load all keys and values of a snapshot, or of an export, into a running cluster.
#[derive(Debug, Args)]
#[command(after_long_help = manual::SNAPSHOT_IMPORT)]
#[command(group = ArgGroup::new("where").required(true))]
struct ImportArgs {
    /// A snapshot file or an export of one, recognised by its first bytes; `-` reads an export from standard
    /// input.
    file: PathBuf,
    /// The Redis address of one of the cluster's servers.
    #[arg(long, value_name = "HOST:PORT", group = "where")]
    at: Option<Address>,
    /// Take the Redis address from a server's configuration file instead.
    #[arg(long, value_name = "FILE", group = "where")]
    config: Option<PathBuf>,
    #[command(flatten)]
    access: AccessArgs,
    /// Load into a cluster that already has keys: overwrite those of the same name, and keep the others.
    #[arg(long)]
    merge: bool,
}

pub fn run(arguments: &SnapshotArgs) -> Result<ExitCode, Failure> {
    match &arguments.command {
        SnapshotCommand::Now(arguments) => now::run(arguments),
        SnapshotCommand::Inspect(arguments) => inspect::run(arguments),
        SnapshotCommand::Export(arguments) => export::run(arguments),
        SnapshotCommand::Import(arguments) => import::run(arguments),
    }
}
