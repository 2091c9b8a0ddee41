//! What a transport tells its owner.

use std::io;

use bytes::Bytes;

use crate::frame::FrameError;
use crate::refusal::Refusal;

/// What happened on the channel. For one peer, `Up`, `Frame`s and `Down` come in this order, over and over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Both ends have welcomed each other: messages can be sent.
    Up {
        /// The server at the other end.
        peer: u64,
    },
    /// A message.
    Frame {
        /// The server that sent it.
        from: u64,
        /// Its body, a slice of the read buffer: who keeps it for long should copy it.
        body: Bytes,
    },
    /// The connection is gone, and with it what was queued for it. The transport connects again by itself.
    Down {
        /// The server at the other end.
        peer: u64,
        /// Why.
        reason: DownReason,
    },
    /// One end did not want the other. The dialling end goes on trying, so this may repeat.
    Refused {
        /// The server at the other end, by its own account.
        peer: Option<u64>,
        /// Why.
        refusal: Refusal,
        /// Whether this end refused the other.
        by_us: bool,
    },
}

/// Why a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DownReason {
    /// The other end closed it.
    #[error("the other end closed the connection")]
    Closed,
    /// The system reports an error, a cut link among them.
    #[error("the connection failed: {0}")]
    Failed(io::ErrorKind),
    /// What arrived was not a frame.
    #[error("{0}")]
    BadFrame(#[from] FrameError),
    /// The same server has connected anew, so this connection must be half dead.
    #[error("the other end has connected anew")]
    Replaced,
}

impl From<io::Error> for DownReason {
    fn from(error: io::Error) -> DownReason {
        DownReason::Failed(error.kind())
    }
}
