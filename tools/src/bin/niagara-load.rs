//! `niagara-load`: load on Niagara, and what it cost.

use std::process::ExitCode;

use clap::Parser;
use niagara_tools::commands::Command;
use niagara_tools::output;

/// Generates load and measures what becomes of it
#[derive(Parser)]
#[command(name = "niagara-load", version, max_term_width = 100)]
struct Arguments {
    #[command(flatten)]
    command: Command,
}

fn main() -> ExitCode {
    match output::understood::<Arguments>() {
        Ok(arguments) => {
            let done = arguments.command.perform();
            done.unwrap_or_else(|failure| output::failed("niagara-load", &failure))
        }
        Err(code) => code,
    }
}
