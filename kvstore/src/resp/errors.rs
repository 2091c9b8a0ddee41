//! What is wrong with bytes that are no request, or none that can be taken.

use super::limits::{MAX_ARGUMENTS, MAX_REQUEST_BYTES};
use crate::command::MAX_VALUE_BYTES;
use crate::protocol::Foreign;

/// Bytes that are no request that can be served; the words are those of Redis where Redis has the same error. What follows
/// them cannot be made sense of, so the connection is to be closed, unless the request is only
/// [too large](ProtocolError::TooLarge).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// Another protocol, sent here by mistake, or by a web page that would have the lines of its body executed.
    #[error(transparent)]
    Foreign(#[from] Foreign),
    /// A request is above a limit. It can be passed over.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
    /// A line of words does not end.
    #[error("Protocol error: too big inline request")]
    LongInline,
    /// A quotation mark is not closed, or not followed by a space.
    #[error("Protocol error: unbalanced quotes in request")]
    UnbalancedQuotes,
    /// The line with the number of arguments does not end.
    #[error("Protocol error: too big mbulk count string")]
    LongCountLine,
    /// The number of arguments is none, or has more than 31 bits.
    #[error("Protocol error: invalid multibulk length")]
    InvalidCount,
    /// An argument does not begin with a dollar sign.
    #[error("Protocol error: expected '$', got '{}'", char::from(*.0))]
    NoDollar(u8),
    /// The line with an argument's length does not end.
    #[error("Protocol error: too big bulk count string")]
    LongLengthLine,
    /// An argument's length is none, or above 512 MiB.
    #[error("Protocol error: invalid bulk length")]
    InvalidLength,
    /// An argument is not followed by the end of a line.
    #[error("Protocol error: expected CR LF behind a bulk string")]
    NoLineEnd,
}

/// Which limit a request is above.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooLarge {
    /// An argument has so many bytes.
    #[error(
        "a value has at most {MAX_VALUE_BYTES} bytes (16 MiB), and this one {0}: split it over several keys"
    )]
    Value(u64),
    /// All arguments together have more than 32 MiB.
    #[error("a request has at most {MAX_REQUEST_BYTES} bytes (32 MiB): send several")]
    Request,
    /// There are so many arguments.
    #[error("a request has at most {MAX_ARGUMENTS} arguments, and this one {0}: send several")]
    Arguments(u64),
}
