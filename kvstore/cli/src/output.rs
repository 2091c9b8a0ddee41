//! What commands print. Output that could not be written in full is a failure of its own.

use std::io::{self, ErrorKind, Write};
use std::os::fd::{AsFd, BorrowedFd};

use niagara_logging::write_all;
use serde::Serialize;

use super::failure::{Failure, Status};

/// Writes to standard output.
pub fn print(bytes: impl AsRef<[u8]>) -> Result<(), Failure> {
    Output(io::stdout().as_fd()).write_all(bytes.as_ref()).map_err(|error| failure(&error))
}

/// A document for programs, over several lines.
pub fn pretty(document: &impl Serialize) -> String {
    let mut text = serde_json::to_string_pretty(document).expect("plain data has a JSON form");
    text.push('\n');
    text
}

/// Writes what the user asked for, or needs next, to standard error.
pub fn print_aside(text: &str) -> Result<(), Failure> {
    Output(io::stderr().as_fd()).write_all(text.as_bytes()).map_err(|error| failure(&error))
}

/// Writes a note to standard error. If that fails, there is nowhere to report it.
pub fn note(text: &str) {
    let _ = Output(io::stderr().as_fd()).write_all(text.as_bytes());
}

/// A standard stream without a buffer: what it has taken is written.
pub struct Output<'fd>(pub BorrowedFd<'fd>);

impl Write for Output<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match write_all(self.0, bytes, None) {
            Ok(()) => Ok(bytes.len()),
            Err(incomplete) => Err(incomplete.error),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The failure of a command whose output could not be written.
pub fn failure(error: &io::Error) -> Failure {
    match error.kind() {
        ErrorKind::BrokenPipe => Failure::reader_left(),
        _ => Failure::new(format!("cannot write the output: {error}"), "check where standard output goes")
            .with(Status::Output),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn what_is_not_taken_is_a_failure() {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let error = Output(full.as_fd()).write_all(b"text").unwrap_err();
        assert_eq!(failure(&error).status(), Status::Output);
        assert!(failure(&error).what.contains("No space left"), "{error}");

        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let error = Output(writer.as_fd()).write_all(b"text").unwrap_err();
        assert_eq!((failure(&error).status(), failure(&error).what.as_str()), (Status::Output, ""));
    }
}
