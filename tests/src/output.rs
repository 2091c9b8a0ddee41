//! What the programs of this crate print. A run whose output nobody takes ends: with exit status 5, and without a panic.

use std::fmt;
use std::io;
use std::os::fd::AsFd;

use niagara_logging::write_all;

/// Writes to standard output.
pub fn print(text: fmt::Arguments<'_>) {
    if let Err(incomplete) = write_all(io::stdout().as_fd(), text.to_string().as_bytes(), None) {
        note(format_args!("cannot write the output: {}", incomplete.error));
        std::process::exit(5);
    }
}

/// Tells whoever watches standard error.
pub fn note(text: fmt::Arguments<'_>) {
    let _ = write_all(io::stderr().as_fd(), format!("{text}\n").as_bytes(), None);
}

/// Prints a line, formatted as by `println!`.
#[macro_export]
macro_rules! say {
    ($($text:tt)*) => {
        $crate::output::print(format_args!("{}\n", format_args!($($text)*)))
    };
}
