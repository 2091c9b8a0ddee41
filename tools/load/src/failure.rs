//! What ends a run early, in words for whoever started it.

use std::error::Error;
use std::fmt::{self, Display};
use std::io;

/// Why there is no result, and what to do about it. Any error becomes one, in its own words; for that it is none itself.
#[derive(Debug)]
pub struct Failure(String);

impl Failure {
    /// A failure in these words.
    pub fn new(what: impl Into<String>) -> Failure {
        Failure(what.into())
    }

    /// A failed system call, and what it was for.
    pub fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Failure {
        let what = what.into();
        move |error| Failure(format!("{what}: {error}"))
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<E: Error> From<E> for Failure {
    fn from(error: E) -> Failure {
        Failure(error.to_string())
    }
}
