//! `niagara-load`: load on Niagara, and what it cost.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use niagara_tools::Failure;
use niagara_tools::append::{self, AppendOptions};
use niagara_tools::scaling::{self, ScalingOptions};

/// Generates load and measures what becomes of it
#[derive(Parser)]
#[command(name = "niagara-load", version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Append to the replicated log of three server processes on this machine
    ///
    /// Starts three servers over loopback whose applications generate the commands, warms up, measures one window, and checks
    /// that all servers have executed the same. CPU seconds are the figure to compare by: on a busy machine commands per second
    /// say more about the neighbours.
    Append {
        #[command(flatten)]
        options: AppendOptions,
        /// Print one JSON document instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Compare numbers of groups, with each group's thread held to a share of a core
    Scaling {
        #[command(flatten)]
        options: ScalingOptions,
        /// Print one JSON document instead of a table
        #[arg(long)]
        json: bool,
    },
    /// One server of a measured cluster; speaks to its parent over pipes
    #[command(hide = true)]
    AppendServer,
}

fn main() -> ExitCode {
    let done = match Arguments::parse().task {
        Task::Append { options, json } => append(&options, json),
        Task::Scaling { options, json } => scale(&options, json),
        Task::AppendServer => append::serve().map(|()| ExitCode::SUCCESS),
    };
    done.unwrap_or_else(|failure| {
        eprintln!("niagara-load: {failure}");
        ExitCode::FAILURE
    })
}

fn append(options: &AppendOptions, json: bool) -> Result<ExitCode, Failure> {
    let report = append::run(options)?;
    if json {
        println!("{}", serde_json::to_string(&report).expect("a report is plain data"));
    } else {
        print!("{report}");
    }
    Ok(if report.unknown == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn scale(options: &ScalingOptions, json: bool) -> Result<ExitCode, Failure> {
    let points = scaling::run(options, |round, report| {
        eprintln!("round {round}: R = {} {:.0} commands/s", report.groups, report.commands_per_second);
    })?;
    if json {
        println!("{}", serde_json::to_string(&points).expect("points are plain data"));
    } else {
        print!("{}", scaling::table(&points));
    }
    Ok(ExitCode::SUCCESS)
}
