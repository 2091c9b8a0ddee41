//! What the programs print. Nothing here panics, and what could not be written in full is a failure.

use std::ffi::OsString;
use std::fmt::Display;
use std::io;
use std::iter;
use std::os::fd::AsFd;
use std::process::ExitCode;

use clap::Parser;
use niagara_logging::write_all;
use serde::Serialize;

use crate::failure::Failure;

/// Understands the command line; else says what is wrong with it, or the help, and gives the exit status.
///
/// # Errors
/// When there is nothing to be done.
pub fn understood<P: Parser>(name: &str) -> Result<P, ExitCode> {
    understood_as(name, std::env::args_os().skip(1))
}

/// The same for the words behind the name that whoever typed them used.
pub(crate) fn understood_as<P: Parser>(
    name: &str,
    words: impl IntoIterator<Item = OsString>,
) -> Result<P, ExitCode> {
    let words = iter::once(name.into()).chain(words);
    let command = P::command().bin_name(name);
    let matches = command.try_get_matches_from(words);
    matches.and_then(|mut matches| P::from_arg_matches_mut(&mut matches)).map_err(|error| {
        if error.use_stderr() {
            // The exit status says it, too.
            let _ = error.print();
            return ExitCode::from(2);
        }
        match print(error.render()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => failed("error", &failure),
        }
    })
}

/// Writes to standard output.
///
/// # Errors
/// When it does not take all of it.
pub fn print(text: impl Display) -> Result<(), Failure> {
    write_all(io::stdout().as_fd(), text.to_string().as_bytes(), None)
        .map_err(|incomplete| Failure::new(format!("cannot write the output: {}", incomplete.error)))
}

/// Writes a line to standard output.
///
/// # Errors
/// When it does not take all of it.
pub fn print_line(text: impl Display) -> Result<(), Failure> {
    print(format_args!("{text}\n"))
}

/// Writes a document to standard output, in one line.
///
/// # Errors
/// When it does not take all of it.
pub fn print_json(document: &impl Serialize) -> Result<(), Failure> {
    print_line(serde_json::to_string(document).expect("what is printed is plain data"))
}

/// Tells whoever watches standard error; nobody is harmed if nobody does.
pub fn note(text: impl Display) {
    let _ = write_all(io::stderr().as_fd(), format!("{text}\n").as_bytes(), None);
}

/// Says why a program ends early, and gives its exit status.
pub fn failed(program: &str, failure: &Failure) -> ExitCode {
    note(format_args!("{program}: {failure}"));
    ExitCode::FAILURE
}
