//! What a transport has done so far, in numbers.

/// Totals since the transport was opened. Frames and bytes are those of messages, including heads; greetings
/// are not counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Frames completely written.
    pub frames_sent: u64,
    /// Bytes written, also of incomplete frames.
    pub bytes_sent: u64,
    /// Write calls that sent messages. Compare with `frames_sent` to see how well messages share calls.
    pub write_calls: u64,
    /// Valid frames received.
    pub frames_received: u64,
    /// Bytes of those frames.
    pub bytes_received: u64,
    /// Read calls.
    pub read_calls: u64,
    /// Frames dropped because the peer's queue was full.
    pub dropped_queue_full: u64,
    /// Frames dropped because the peer was not connected, or disconnected before they were written.
    pub dropped_not_connected: u64,
    /// Frames dropped because they were longer than `max_frame_bytes`.
    pub dropped_too_long: u64,
    /// Connections that came up.
    pub connects: u64,
    /// Connections that came up and were not the peer's first.
    pub reconnects: u64,
    /// Failed attempts to dial, including refused ones.
    pub dial_failures: u64,
    /// Connections that this end refused.
    pub refusals_sent: u64,
    /// Connections that the other end refused.
    pub refusals_received: u64,
    /// Connections closed because they sent something other than a frame, or other than a greeting where one
    /// was due.
    pub bad_frames: u64,
    /// Accepted connections closed at once, because too many were waiting for their welcome.
    pub strangers_turned_away: u64,
    /// Connections, in either direction, closed because their greeting took too long.
    pub greeting_timeouts: u64,
    /// Failed accept calls, for example for lack of file descriptors.
    pub accept_errors: u64,
}

impl Counters {
    /// These, and what has happened to connections that have yet to say which channel they are for.
    pub(crate) fn with_strangers(self, lobby: &Counters) -> Counters {
        Counters {
            read_calls: self.read_calls + lobby.read_calls,
            refusals_sent: self.refusals_sent + lobby.refusals_sent,
            bad_frames: self.bad_frames + lobby.bad_frames,
            strangers_turned_away: self.strangers_turned_away + lobby.strangers_turned_away,
            greeting_timeouts: self.greeting_timeouts + lobby.greeting_timeouts,
            accept_errors: self.accept_errors + lobby.accept_errors,
            ..self
        }
    }
}
