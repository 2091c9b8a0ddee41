//! The `niagara` binary: runs servers, and talks to them. See `niagara --help`, and [`cli`].

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    niagara_kvstore::logs::end_on_any_panic();
    let code = match cli::parse(std::env::args_os()) {
        Ok(arguments) => cli::run(arguments).unwrap_or_else(|failure| failure.report()),
        Err(code) => code,
    };
    niagara_kvstore::logs::flush();
    code
}
