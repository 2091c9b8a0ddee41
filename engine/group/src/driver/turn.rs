//! Input and output of a driver's turn.

use niagara_log::{EntryId, HardState, LogEntry};

use super::contradiction::Contradiction;
use crate::wire::Wire;

/// The rest of the server, as of one turn.
#[derive(Clone, Copy, Debug, Default)]
pub struct View {
    /// Highest place of a command in any group's local log on this server.
    pub level: u64,
    /// Whether this group holds the latest command of the global log. If so, it never skips ahead of the
    /// level.
    pub anchor: bool,
    /// Raft index of the last entry that the merge has passed.
    pub merged: u64,
    /// Whether the merge awaits a slot, of any group, that nothing on this server fills.
    pub awaits: bool,
    /// Whether this server may ask for leaderships: no merge lags, and no disk is stuck or full.
    pub may_claim: bool,
    /// Whether this server leaves leadership to others: its merge lags or is too far behind, or its disk is stuck, and
    /// the merge awaits another group than this one.
    pub stand_back: bool,
    /// Whether this group commits late here, compared with the other groups.
    pub is_slow: bool,
    /// Whether this server gives its leaderships away.
    pub drains: bool,
    /// Whether this server's disk has no room for more commands.
    pub read_only: bool,
}

/// What the owner has to do after a turn.
#[derive(Debug, Default)]
pub struct Output {
    /// Messages to send now, each with its receiver.
    pub messages: Vec<(u64, Wire)>,
    /// Writes to persist in order. Report each Ready with [`Driver::persisted`](super::Driver::persisted).
    pub writes: Vec<Write>,
    /// Answered reads: the round, and this group's last committed place when it was asked.
    pub reads: Vec<(u64, u64)>,
    /// Entries cut from commands, commands in them, and their bytes.
    pub cut: Cut,
    /// Number of skips proposed.
    pub skips: u64,
    /// Leader and round of the snapshot that it offers, if this log ends before the leader's begins.
    pub need: Option<(u64, u64)>,
    /// How a leader has contradicted what is committed here. Once set, it stays.
    pub contradicted: Option<Contradiction>,
    /// Messages that no correct server sends, all of them dropped,
    pub refused: u64,
    /// and who has sent them: end the connections to these.
    pub offenders: Vec<u64>,
    /// Messages whose entries were refused, at least in part, since too much waits here already.
    pub untaken: u64,
    /// Number of times that a lane was resent because it may have been lost.
    pub attempts: u64,
}

/// How much was cut into entries.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cut {
    /// Number of entries.
    pub entries: u64,
    /// Number of commands.
    pub commands: u64,
    /// Bytes of commands.
    pub bytes: u64,
}

/// A change of the log on disk.
#[derive(Debug)]
pub enum Write {
    /// Persist in this order: the reset, the entries, the hard state.
    Ready {
        /// Argument for [`Driver::persisted`](super::Driver::persisted).
        ready: u64,
        /// Empty the log, and let it begin above this entry.
        reset: Option<EntryId>,
        /// Entries to append. The first may replace a suffix.
        entries: Vec<LogEntry>,
        /// Raft's term, vote and commit index.
        hard_state: HardState,
    },
    /// Compact the log to this entry.
    Compact(EntryId),
}
