//! What a driver is told at a turn, and what it wants done.

use niagara_log::{EntryId, HardState, LogEntry};

use super::contradiction::Contradiction;
use crate::wire::Wire;

/// What the rest of the server looks like at the moment of a turn.
#[derive(Clone, Copy, Debug, Default)]
pub struct View {
    /// The highest place of a command in any group's local log on this server.
    pub level: u64,
    /// Whether this group holds the latest command of the global log: then it never skips ahead of the level.
    pub anchor: bool,
    /// Raft index of the last entry that the merge has passed.
    pub merged: u64,
    /// The number of the next command of this server's lane to be executed.
    pub next_command: u64,
    /// The latest attempt of the lane in which execution found a gap.
    pub gap_attempt: Option<u32>,
    /// Nothing keeps this server from leading, so it may ask for leaderships: no merge lags, and no disk is stuck or full.
    pub may_claim: bool,
    /// This server's merge lags or is too far behind, and it is another group than this one that the merge awaits.
    pub stand_back: bool,
    /// There is no room on this server's disk for more commands.
    pub read_only: bool,
}

/// What the owner has to do after a turn.
#[derive(Debug, Default)]
pub struct Output {
    /// Send these now.
    pub messages: Vec<(u64, Wire)>,
    /// Persist these in order, then say so with [`Driver::persisted`](super::Driver::persisted).
    pub writes: Vec<Write>,
    /// Reads that have their answer: the round, and the last committed place of this group when it was asked.
    pub reads: Vec<(u64, u64)>,
    /// Entries cut from commands, commands in them, and their bytes.
    pub cut: Cut,
    /// No-op entries proposed.
    pub skips: u64,
    /// The log ends before the leader's begins: the leader, and the round of the snapshot that it names.
    pub need: Option<(u64, u64)>,
    /// How a leader has contradicted what is committed here, if one has; for good.
    pub contradicted: Option<Contradiction>,
    /// Messages of a leader whose entries were not taken, since too much waits here already.
    pub untaken: u64,
    /// Sub-batches sent again because they may have been lost.
    pub attempts: u64,
}

/// How much was cut into entries.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cut {
    /// Entries.
    pub entries: u64,
    /// Commands.
    pub commands: u64,
    /// Bytes of commands.
    pub bytes: u64,
}

/// Something to persist.
#[derive(Debug)]
pub enum Write {
    /// In this order: the reset, the entries, the hard state.
    Ready {
        /// What to call [`Driver::persisted`](super::Driver::persisted) with.
        ready: u64,
        /// The log is emptied, and begins above this entry.
        reset: Option<EntryId>,
        /// Entries to append; the first may replace a suffix.
        entries: Vec<LogEntry>,
        /// Raft's term, vote and commit.
        hard_state: HardState,
    },
    /// The log is compacted to this entry.
    Compact(EntryId),
}
