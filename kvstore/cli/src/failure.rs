//! What a command says when it fails: what happened, and what to do. Programs tell the cases apart by the
//! exit status.

use std::fmt::Display;
use std::process::ExitCode;

use niagara_logging as logs;

use super::style;

/// Why a command failed.
#[derive(Debug)]
pub struct Failure {
    /// What happened, and why.
    pub what: String,
    /// What to do about it.
    pub hint: String,
    status: Status,
}

/// The exit statuses of a failure. `manual.rs` explains them; their numbers never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The answer is no: no such key, a condition that does not hold, a damaged file; or the command failed
    /// otherwise.
    No = 1,
    /// The command line is wrong.
    Usage = 2,
    /// It had no effect and may be retried: no server could be reached, or none accepted the command.
    Refused = 3,
    /// It may or may not have been executed.
    Unknown = 4,
    /// It was executed, but the output could not be written in full.
    Output = 5,
}

impl Failure {
    pub fn new(what: impl Display, hint: impl Display) -> Self {
        Failure { what: what.to_string(), hint: hint.to_string(), status: Status::No }
    }

    /// The command line is wrong in a way that the parser does not see.
    pub fn usage(what: impl Display, hint: impl Display) -> Self {
        Failure::new(what, hint).with(Status::Usage)
    }

    /// Nothing was executed.
    pub fn refused(what: impl Display, hint: impl Display) -> Self {
        Failure::new(what, hint).with(Status::Refused)
    }

    /// It may or may not have been executed.
    pub fn unknown(what: impl Display, hint: impl Display) -> Self {
        Failure::new(what, hint).with(Status::Unknown)
    }

    /// The reader has closed the output (`| head`). Only the exit status says so.
    pub fn reader_left() -> Self {
        Failure::new("", "").with(Status::Output)
    }

    /// The same failure with another exit status.
    pub fn with(self, status: Status) -> Self {
        Failure { status, ..self }
    }

    /// The same failure with another text.
    pub fn in_words(self, what: impl Display) -> Self {
        Failure { what: what.to_string(), ..self }
    }

    #[cfg(test)]
    pub fn status(&self) -> Status {
        self.status
    }

    /// Prints the failure to standard error, and returns the exit status.
    pub fn report(&self) -> ExitCode {
        if !self.what.is_empty() {
            let paint = style::for_stderr();
            let indented = self.hint.replace('\n', "\n      ");
            logs::say(&format!(
                "{} {}\n{} {indented}\n",
                paint.bad("error:"),
                self.what,
                paint.strong("hint:")
            ));
        }
        self.status.code()
    }
}

impl Status {
    pub fn code(self) -> ExitCode {
        ExitCode::from(self as u8)
    }
}
