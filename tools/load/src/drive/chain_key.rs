//! What a chain has written under a key.

use serde::{Deserialize, Serialize};

/// A key that a chain has written to, and what must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ChainKey {
    /// The chain's number.
    pub chain: u64,
    /// The key's number among those of the chain.
    pub key: u32,
    /// The last link that was acknowledged under this key; 0: none was.
    pub acknowledged: u64,
    /// The last link that was sent: the same, or the one behind it.
    pub sent: u64,
}
