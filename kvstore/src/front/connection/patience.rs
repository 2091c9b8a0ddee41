//! How long a client may take for its part.

use std::time::{Duration, Instant};

use super::Connection;

/// A client in the middle of a request, or one that does not take its replies, must move this many bytes
/// within [`PATIENCE`]. A slow link can; a client that wants to hold memory and a connection for nothing is
/// closed.
pub(in crate::front) const PATIENCE_BYTES: usize = 16 << 10;
pub(in crate::front) const PATIENCE: Duration = Duration::from_secs(30);

/// The same while requests are refused, since there is no memory for them.
pub(in crate::front) const SHORT_PATIENCE: Duration = Duration::from_secs(5);

/// How long a client may take to agree on keys.
pub(in crate::front) const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(10);

/// How long a connection that the server has ended waits for the client to end it, too. Closing a socket with
/// unread bytes would discard the last reply if the client has not read it yet (RFC 9112, section 9.6).
pub(in crate::front) const LINGER: Duration = Duration::from_secs(2);

/// What waits for a client that does not take its replies, in bytes.
#[derive(Clone, Copy, Debug)]
pub(in crate::front) struct Untaken {
    pub(in crate::front) replies: usize,
    /// Requests that are not finished.
    pub(in crate::front) requests: usize,
}

/// What a client has not done in its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::front) enum Overdue {
    /// Everything is said, but it has not closed its end.
    Over,
    /// It has not taken its replies.
    SlowReader,
    /// It has not finished its request.
    SlowWriter,
    /// It has not agreed on keys.
    Handshake,
}

/// How much the client has moved, and since when, while it is the client's turn.
#[derive(Clone, Copy)]
pub(super) struct Waits {
    since: Instant,
    moved: usize,
}

impl<L: Copy> Connection<L> {
    pub(super) fn wait(&mut self, now: Instant) {
        self.waits.get_or_insert(Waits { since: now, moved: 0 });
    }

    pub(super) fn moved(&mut self, bytes: usize, now: Instant) {
        self.moved = now;
        if let Some(waits) = &mut self.waits {
            waits.moved += bytes;
            if waits.moved >= PATIENCE_BYTES {
                *waits = Waits { since: now, moved: 0 };
            }
        }
    }

    /// How much waits for the client.
    pub(in crate::front) fn untaken(&self) -> Untaken {
        Untaken { replies: self.output.len(), requests: self.held() - self.output.len() }
    }

    /// Whether the client's time is up, and what it has failed to do. `patience` is for its part in a request.
    pub(in crate::front) fn overdue(&self, now: Instant, patience: Duration) -> Option<Overdue> {
        let passed = |since: Instant, time: Duration| now.saturating_duration_since(since) >= time;
        if self.lingers.is_some_and(|since| passed(since, LINGER)) {
            Some(Overdue::Over)
        } else if self.waits.is_some_and(|waits| passed(waits.since, patience)) {
            let has_replies = !self.output.is_empty() || self.stream.has_unsent();
            Some(if has_replies { Overdue::SlowReader } else { Overdue::SlowWriter })
        } else {
            // Nothing moves before the handshake is over.
            let is_late = self.stream.is_handshaking() && passed(self.moved, HANDSHAKE_PATIENCE);
            is_late.then_some(Overdue::Handshake)
        }
    }
}
