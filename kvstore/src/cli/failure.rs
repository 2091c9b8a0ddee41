//! What a command says when it cannot do what it was asked: what happened, and what to do.

use std::fmt::Display;
use std::io;
use std::process::ExitCode;

use super::style;

/// Why a command failed.
#[derive(Debug)]
pub enum Failure {
    /// Something went wrong.
    Said {
        /// What happened, and why.
        what: String,
        /// What to do about it.
        hint: String,
        /// The exit status: 1, or 2 if the command line was wrong.
        status: u8,
    },
    /// Whoever read our output has had enough (`niagara status | head -1`): nothing went wrong.
    ReaderGone,
}

impl Failure {
    /// A failure with what happened and what to do.
    pub fn new(what: impl Display, hint: impl Display) -> Self {
        Failure::Said { what: what.to_string(), hint: hint.to_string(), status: 1 }
    }

    /// What was typed cannot work, in a way that the parser of the command line does not see.
    pub fn usage(what: impl Display, hint: impl Display) -> Self {
        Failure::Said { what: what.to_string(), hint: hint.to_string(), status: 2 }
    }

    /// A failure of our own output.
    pub fn output(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Failure::ReaderGone;
        }
        Failure::new(format!("cannot write the output: {error}"), "check where standard output goes")
    }

    /// Says it on standard error, and gives the exit status.
    pub fn report(&self) -> ExitCode {
        let Failure::Said { what, hint, status } = self else {
            return ExitCode::SUCCESS;
        };
        let paint = style::for_stderr();
        let indented = hint.replace('\n', "\n      ");
        eprintln!("{} {what}\n{} {indented}", paint.bad("error:"), paint.strong("hint:"));
        ExitCode::from(*status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_left_is_no_failure() {
        let gone = Failure::output(&io::Error::from(io::ErrorKind::BrokenPipe));
        assert!(matches!(gone, Failure::ReaderGone));
        let full = Failure::output(&io::Error::from(io::ErrorKind::StorageFull));
        assert!(matches!(full, Failure::Said { .. }));
    }
}
