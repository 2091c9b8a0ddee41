//! `niagara log`: what the logs of a server's groups hold on disk.
//!
//! | file | holds |
//! |---|---|
//! | `place.rs` | which logs are meant, and whether a server runs on them |
//! | `inspect.rs`, `report.rs` | looks at each log; how what was found is shown |
//! | `entry.rs` | one entry, in words or as JSON |

mod entry;
mod inspect;
mod place;
mod report;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::failure::Failure;
use super::manual;

/// Look at the logs of a server's groups on disk.
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

/// Show what a log's files hold and whether a start would take them; nothing is changed.
#[derive(Debug, Args)]
#[command(after_long_help = manual::LOG_INSPECT)]
struct InspectArgs {
    /// A group's directory, such as data-1/group-2, or a server's data directory: then all groups, one after the other.
    dir: PathBuf,
    /// Show each entry, too.
    #[arg(long)]
    entries: bool,
    /// Only entries from this index on.
    #[arg(long, value_name = "INDEX", requires = "entries")]
    from: Option<u64>,
    /// Only entries up to this index.
    #[arg(long, value_name = "INDEX", requires = "entries")]
    to: Option<u64>,
    /// Print JSON: an object a line, one for each log, and for each entry if these are asked for.
    #[arg(long)]
    json: bool,
}

/// Does what `niagara log` promises.
pub fn run(arguments: &LogArgs) -> Result<ExitCode, Failure> {
    match &arguments.command {
        LogCommand::Inspect(arguments) => inspect::run(arguments),
    }
}
