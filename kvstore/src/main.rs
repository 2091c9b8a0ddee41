//! The `niagara` binary: runs servers, and talks to them. See `niagara --help`, and [`cli`].

mod cli;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    end_on_any_panic();
    match cli::run(cli::Arguments::parse()) {
        Ok(code) => code,
        Err(failure) => failure.report(),
    }
}

/// A panic in any thread ends the process (see ARCHITECTURE.md, "Threads"): a half-dead server would lie. The engine's own threads
/// see to that by themselves; this holds for all others.
fn end_on_any_panic() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panicked| {
        report(panicked);
        std::process::abort();
    }));
}
