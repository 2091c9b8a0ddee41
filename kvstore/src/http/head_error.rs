//! Why bytes are not a request.

/// Why bytes are not the head of a valid request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// It does not end within [`MAX_HEAD_BYTES`](super::MAX_HEAD_BYTES).
    #[error("the head of the request is longer than 256 KiB")]
    TooLong,
    /// It has more than 64 lines.
    #[error("the request has more than 64 header lines")]
    TooManyHeaders,
    /// The lines break the rules of RFC 9112.
    #[error("the head of the request is malformed: {0}")]
    Malformed(&'static str),
    /// A header changes what the request means in a way that this server does not support.
    #[error("the header {0} would change what the request means, and this server does not support it")]
    Unhonoured(&'static str),
    /// The body's transfer coding is not chunked.
    #[error("the body has a transfer coding other than chunked")]
    UnknownCoding,
    /// It has another major version of HTTP.
    #[error("the request has a version of HTTP that this server does not speak")]
    UnsupportedVersion,
    /// The client expects something that this server does not do.
    #[error("the request has an Expect header other than 100-continue")]
    UnknownExpectation,
    /// It is the beginning of a TLS connection.
    #[error("this port speaks HTTP without TLS")]
    Tls,
}
