//! Why an episode ends early.

use crate::network::NetworkError;

/// Why an episode ends early.
pub(super) enum Stop {
    /// The answer to what the campaign asks.
    Violation(String),
    /// The network does not do what it did before.
    Network(NetworkError),
}

impl From<NetworkError> for Stop {
    fn from(error: NetworkError) -> Stop {
        Stop::Network(error)
    }
}
