//! `niagara-load`: load on Niagara, and what it cost.

use std::process::ExitCode;

use clap::Parser;
use niagara_tools::commands::Command;

/// Generates load and measures what becomes of it
#[derive(Parser)]
#[command(name = "niagara-load", version, max_term_width = 100)]
struct Arguments {
    #[command(flatten)]
    command: Command,
}

fn main() -> ExitCode {
    Arguments::parse().command.perform().unwrap_or_else(|failure| {
        eprintln!("niagara-load: {failure}");
        ExitCode::FAILURE
    })
}
