//! How a client wants to track.

use bytes::Bytes;

/// See the [module](self).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mode {
    /// The id of the client that is told instead; 0: none.
    pub(crate) redirect: u64,
    /// It hears of all keys with these prefixes, whether or not it has read them. None of them begins with another one.
    pub(crate) prefixes: Option<Vec<Bytes>>,
    pub(crate) choice: Choice,
    /// It hears nothing of what it changes itself.
    pub(crate) is_loopless: bool,
}

/// Which reads are remembered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Choice {
    #[default]
    All,
    /// Those behind CLIENT CACHING YES.
    Wanted,
    /// All but those behind CLIENT CACHING NO.
    NotUnwanted,
}
