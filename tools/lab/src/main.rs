//! `niagara-lab`: experiments on this machine, from one command to figures.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use niagara_lab::{EXPERIMENTS, LOAD, RunOptions, ServerOptions};
use niagara_load::{Failure, output};

/// Redraws the figures of the papers about Niagara on this machine
///
/// Most experiments need root: they make network namespaces, links of a chosen rate and CPU quotas of their own, touch nothing
/// else, and remove all of it at the end.
#[derive(Parser)]
#[command(name = "niagara-lab", version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// List the experiments
    List,
    /// Run an experiment, and leave a directory with its data, tables, figures and a report
    Run(RunOptions),
    /// Draw the figures of a run's directory again
    Plot {
        /// The directory that a run has left
        #[arg(value_name = "DIR")]
        directory: PathBuf,
    },
    /// Say what this machine allows, and what to install; removes what a killed run has left
    Doctor {
        /// Print one JSON document instead of tables
        #[arg(long)]
        json: bool,
    },
    /// One server of an experiment's cluster; ends with its parent
    #[command(hide = true)]
    Server(ServerOptions),
    /// A load generator; the same as niagara-load
    #[command(hide = true, disable_help_flag = true)]
    Load {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<OsString>,
    },
}

fn main() -> ExitCode {
    match output::understood::<Arguments>("niagara-lab") {
        Ok(arguments) => {
            done(arguments.task).unwrap_or_else(|failure| output::failed("niagara-lab", &failure))
        }
        Err(code) => code,
    }
}

fn done(task: Task) -> Result<ExitCode, Failure> {
    match task {
        Task::List => {
            for experiment in EXPERIMENTS {
                output::print_line(format_args!("{:<10} {}", experiment.name, experiment.about))?;
            }
        }
        Task::Run(options) => {
            let verdict = niagara_lab::run(&options)?;
            if options.json {
                output::print_json(&verdict)?;
            }
        }
        Task::Plot { directory } => {
            for name in niagara_lab::replot(&directory)? {
                output::print_line(directory.join(format!("{name}.svg")).display())?;
            }
        }
        Task::Doctor { json } => {
            let doctor = niagara_lab::doctor()?;
            if json {
                output::print_json(&doctor)?;
            } else {
                output::print(&doctor)?;
            }
        }
        Task::Server(options) => niagara_lab::serve(&options)?,
        Task::Load { words } => return Ok(niagara_load::run(LOAD, words)),
    }
    Ok(ExitCode::SUCCESS)
}
