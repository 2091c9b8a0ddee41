//! The `niagara` binary: runs servers, and talks to them. See `niagara --help`, and [`cli`].

mod cli;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match cli::run(cli::Arguments::parse()) {
        Ok(code) => code,
        Err(failure) => failure.report(),
    }
}
