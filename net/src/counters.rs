//! What a transport has done so far, in numbers.

/// Totals since the transport was opened. Frames and bytes are those of messages, heads included; greetings are
/// not counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Frames written completely.
    pub frames_sent: u64,
    /// Bytes written.
    pub bytes_sent: u64,
    /// Calls to write that sent messages. Compare with `frames_sent` to see how well they share calls.
    pub write_calls: u64,
    /// Frames received and found valid.
    pub frames_received: u64,
    /// Bytes of those frames.
    pub bytes_received: u64,
    /// Calls to read.
    pub read_calls: u64,
    /// Frames dropped because the peer's queue was full.
    pub dropped_queue_full: u64,
    /// Frames dropped because the peer was not connected, or went away before they were written.
    pub dropped_not_connected: u64,
    /// Frames dropped because they were longer than `max_frame_bytes`.
    pub dropped_too_long: u64,
    /// Connections that came up.
    pub connects: u64,
    /// Those of them that were not the peer's first.
    pub reconnects: u64,
    /// Attempts to dial that failed, refused ones included.
    pub dial_failures: u64,
    /// Connections that this end refused.
    pub refusals_sent: u64,
    /// Connections that the other end refused.
    pub refusals_received: u64,
    /// Connections closed because what arrived was no frame, or no greeting where one was due.
    pub bad_frames: u64,
    /// Accepted connections closed at once, because too many were waiting for their welcome.
    pub strangers_turned_away: u64,
    /// Connections, of either direction, closed because they did not get to their welcome in time.
    pub greeting_timeouts: u64,
    /// Calls to accept that failed, for want of file descriptors for example.
    pub accept_errors: u64,
}
