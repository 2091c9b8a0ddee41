//! Measures other Raft implementations on the work on which Niagara is measured: replicated appends, on three replicas
//! that are processes of their own, on one machine.
//!
//! The tool starts the replicas, watches what they cost and reports it; the replicas of a crate are this same binary.
//!
//! | what | file |
//! |---|---|
//! | what can be typed, and what is measured then | [`cli`], [`work`] |
//! | one measurement, and all of them | [`measure`], [`sweep`] |
//! | what a run has shown | [`report`] |
//! | the replicas' processes, as the tool sees them | [`launch`] |
//! | one replica's process, and how it talks to the tool | [`node`], [`control`] |
//! | what is replicated, and the proof that it was | [`command`], [`tally`] |
//! | the load and what it sees | [`closed_loop`], [`window`] |
//! | what the crates leave to their users | [`links`], [`frames`], [`log_file`] |
//! | the implementations | [`peers`] |

mod cli;
mod closed_loop;
mod command;
mod control;
mod frames;
mod launch;
mod links;
mod log_file;
mod measure;
mod node;
mod peers;
mod report;
mod sweep;
mod tally;
mod turns;
mod versions;
mod window;
mod work;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match cli::Arguments::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
