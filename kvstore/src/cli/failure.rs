//! What a command says when it cannot do what it was asked: what happened, and what to do.

use std::fmt::Display;
use std::process::ExitCode;

use super::style;

/// Why a command failed.
#[derive(Debug)]
pub struct Failure {
    /// What happened, and why.
    pub what: String,
    /// What to do about it.
    pub hint: String,
    /// The exit status: 1, or 2 if the command line was wrong.
    status: u8,
}

impl Failure {
    /// A failure with what happened and what to do.
    pub fn new(what: impl Display, hint: impl Display) -> Self {
        Failure { what: what.to_string(), hint: hint.to_string(), status: 1 }
    }

    /// What was typed cannot work, in a way that the parser of the command line does not see.
    pub fn usage(what: impl Display, hint: impl Display) -> Self {
        Failure { status: 2, ..Failure::new(what, hint) }
    }

    /// Says it on standard error, and gives the exit status.
    pub fn report(&self) -> ExitCode {
        let paint = style::for_stderr();
        let indented = self.hint.replace('\n', "\n      ");
        eprintln!("{} {}\n{} {indented}", paint.bad("error:"), self.what, paint.strong("hint:"));
        ExitCode::from(self.status)
    }
}
