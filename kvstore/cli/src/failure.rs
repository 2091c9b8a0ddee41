//! What a command says when it cannot do what it was asked: what happened, and what to do; and the exit status, by which programs
//! tell the cases apart.

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

/// The exit statuses of a failure. The manual (`manual.rs`) explains them; their numbers never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The answer is no: no such key, a condition that does not hold, a damaged file; or the command failed otherwise.
    No = 1,
    /// The command line is wrong.
    Usage = 2,
    /// It had no effect and may be tried again: no server could be reached, or none took it.
    Refused = 3,
    /// It may or may not have been executed.
    Unknown = 4,
    /// It was done, but what it prints could not be written in full.
    Output = 5,
}

impl Failure {
    /// A failure with what happened and what to do.
    pub fn new(what: impl Display, hint: impl Display) -> Self {
        Failure { what: what.to_string(), hint: hint.to_string(), status: Status::No }
    }

    /// What was typed cannot work, in a way that the parser of the command line does not see.
    pub fn usage(what: impl Display, hint: impl Display) -> Self {
        Failure::new(what, hint).with(Status::Usage)
    }

    /// Nothing was executed.
    pub fn refused(what: impl Display, hint: impl Display) -> Self {
        Failure::new(what, hint).with(Status::Refused)
    }

    /// Nobody knows whether it was executed.
    pub fn unknown(what: impl Display, hint: impl Display) -> Self {
        Failure::new(what, hint).with(Status::Unknown)
    }

    /// Whoever reads the output has had enough (`| head`). That is said by the exit status alone.
    pub fn reader_left() -> Self {
        Failure::new("", "").with(Status::Output)
    }

    /// The same, with another exit status.
    pub fn with(self, status: Status) -> Self {
        Failure { status, ..self }
    }

    /// The same, in other words.
    pub fn in_words(self, what: impl Display) -> Self {
        Failure { what: what.to_string(), ..self }
    }

    /// The exit status.
    #[cfg(test)]
    pub fn status(&self) -> Status {
        self.status
    }

    /// Says it on standard error, and gives the exit status.
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
    /// As the process ends with it.
    pub fn code(self) -> ExitCode {
        ExitCode::from(self as u8)
    }
}
