//! What ends a run early, in words for whoever started it.

use std::io;

use niagara_engine::agreement::Difference;

use crate::network::NetworkError;

/// Why there is no result, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
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

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure(error.to_string())
    }
}

impl From<NetworkError> for Failure {
    fn from(error: NetworkError) -> Failure {
        Failure(error.to_string())
    }
}

impl From<Difference> for Failure {
    fn from(difference: Difference) -> Failure {
        Failure(difference.to_string())
    }
}
