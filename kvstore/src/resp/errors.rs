//! Why bytes are not a request, or not one that is accepted.

use super::limits::{MAX_ARGUMENTS, MAX_REQUEST_BYTES};
use crate::command::MAX_VALUE_BYTES;
use crate::protocol::Foreign;

/// Why bytes are not a request that can be served. Where Redis has the same error, so are the words. What
/// follows cannot be interpreted, so the connection must be closed, unless the request is only [too
/// large](ProtocolError::TooLarge).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// Another protocol, sent by mistake, or by a web page that wants the lines of its body executed.
    #[error(transparent)]
    Foreign(#[from] Foreign),
    /// A request exceeds a limit. It can be skipped.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
    /// A request of a client without the password does not end.
    #[error("Protocol error: too long a request without authentication")]
    Barred,
    /// The user of the connection was removed.
    #[error("the user of this connection was removed: connect again, and authenticate as another one")]
    UserRemoved,
    /// A line of words does not end.
    #[error("Protocol error: too big inline request")]
    LongInline,
    /// A quotation mark is not closed, or not followed by a space.
    #[error("Protocol error: unbalanced quotes in request")]
    UnbalancedQuotes,
    /// The line with the number of arguments does not end.
    #[error("Protocol error: too big mbulk count string")]
    LongCountLine,
    /// The number of arguments is not a number, or has more than 31 bits.
    #[error("Protocol error: invalid multibulk length")]
    InvalidCount,
    /// An argument does not start with a dollar sign.
    #[error("Protocol error: expected '$', got '{}'", char::from(*.0))]
    NoDollar(u8),
    /// The line with an argument's length does not end.
    #[error("Protocol error: too big bulk count string")]
    LongLengthLine,
    /// An argument's length is not a number, or is above 512 MiB.
    #[error("Protocol error: invalid bulk length")]
    InvalidLength,
    /// An argument is not followed by the end of a line.
    #[error("Protocol error: expected CR LF after a bulk string")]
    NoLineEnd,
}

/// Which limit a request exceeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooLarge {
    /// An argument has this many bytes.
    #[error(
        "the value has {0} bytes, but the limit is {MAX_VALUE_BYTES} (16 MiB): split it over several keys"
    )]
    Value(u64),
    /// All arguments together have more than 32 MiB.
    #[error("the request is longer than {MAX_REQUEST_BYTES} bytes (32 MiB): send several")]
    Request,
    /// There are this many arguments.
    #[error("the request has {0} arguments, but the limit is {MAX_ARGUMENTS}: send several")]
    Arguments(u64),
}
