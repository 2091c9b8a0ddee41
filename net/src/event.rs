//! Events of a transport.

use std::io;

use bytes::Bytes;

use crate::frame::FrameError;
use crate::refusal::Refusal;

/// An event on the channel. For one peer, `Up`, `Frame`s and `Down` come in this order, over and over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Both ends have welcomed each other: messages can be sent.
    Up {
        /// The server at the other end.
        peer: u64,
    },
    /// A message has arrived.
    Frame {
        /// The server that sent it.
        from: u64,
        /// Its body, a slice of the read buffer: copy it to keep it for long.
        body: Bytes,
    },
    /// The connection is gone, and with it what was queued for it. The transport reconnects automatically.
    Down {
        /// The server at the other end.
        peer: u64,
        /// Why the connection ended.
        reason: DownReason,
    },
    /// One end refused the other. The dialling end retries, so this may repeat.
    Refused {
        /// The server at the other end, as it names itself.
        peer: Option<u64>,
        /// Why, in the refusing end's words.
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
    /// The system reported an error, for example a cut link.
    #[error("the connection failed: {0}")]
    Failed(io::ErrorKind),
    /// It received bytes that are not a frame.
    #[error("{0}")]
    BadFrame(#[from] FrameError),
    /// The ends have not proved to each other who they are. The log says why.
    #[error("the ends do not trust each other's certificates")]
    Untrusted,
    /// It has sent what no correct server sends, so this end has closed the connection.
    #[error("the other end has sent what no correct server sends")]
    Misbehaved,
    /// The same server has connected again, so this connection must be half dead.
    #[error("the other end has reconnected")]
    Replaced,
}

impl DownReason {
    /// Whether the other end has closed the connection, as the system does when a process ends, or something
    /// on the way did in its name. A link that is cut, or a machine that has vanished, shows as something else.
    pub fn is_by_the_other_end(&self) -> bool {
        use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
        match self {
            DownReason::Closed => true,
            DownReason::Failed(kind) => matches!(kind, BrokenPipe | ConnectionAborted | ConnectionReset),
            DownReason::BadFrame(_)
            | DownReason::Untrusted
            | DownReason::Misbehaved
            | DownReason::Replaced => false,
        }
    }
}

impl From<io::Error> for DownReason {
    fn from(error: io::Error) -> DownReason {
        DownReason::Failed(error.kind())
    }
}
