//! `niagara log`: what the logs of a server's groups hold on disk.
//!
//! | file | holds |
//! |---|---|
//! | `place.rs` | which logs are meant, and whether a server runs on them |
//! | `inspect.rs`, `report.rs` | reads each log; shows what was found |
//! | `entry.rs` | one entry, as text or JSON |

mod entry;
mod inspect;
mod place;
mod report;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::failure::Failure;
use super::manual;

/// Inspect the logs of a server's groups on disk.
#[derive(Debug, Args)]
#[command(after_long_help = manual::LOG)]
pub struct LogArgs {
    #[command(subcommand)]
    command: LogCommand,
}

#[derive(Debug, Subcommand)]
enum LogCommand {
    Inspect(InspectArgs),
}

/// Show what a log's files hold and whether a server would start on them. Changes nothing.
#[derive(Debug, Args)]
#[command(after_long_help = manual::LOG_INSPECT)]
struct InspectArgs {
    /// A group's directory, such as data-1/group-2, or a server's data directory for all its groups, of all epochs.
    dir: PathBuf,
    /// Also show each entry.
    #[arg(long)]
    entries: bool,
    /// Only entries from this index on.
    #[arg(long, value_name = "INDEX", requires = "entries")]
    from: Option<u64>,
    /// Only entries up to this index.
    #[arg(long, value_name = "INDEX", requires = "entries")]
    to: Option<u64>,
    /// Print JSON: one object per line for each log, and with --entries for each entry.
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &LogArgs) -> Result<ExitCode, Failure> {
    match &arguments.command {
        LogCommand::Inspect(arguments) => inspect::run(arguments),
    }
}
