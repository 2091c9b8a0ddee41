//! Executed commands of a stretch of the global log, as all subscribers share them.

use niagara_group::batch::SubBatch;
use niagara_group::{Command, Commands};
use niagara_sequencer::GlobalPosition;

/// A part of the global log. It begins where the previous one ends.
pub(crate) enum Part {
    /// Commands that this server has executed.
    Executed {
        /// The last position that it covers.
        last: GlobalPosition,
        runs: Vec<Run>,
        bytes: u64,
    },
    /// This server has continued from a received snapshot: it has not executed these positions.
    Restored {
        /// The position of the snapshot.
        last: GlobalPosition,
    },
}

/// Executed commands of one sub-batch.
pub(crate) struct Run {
    pub position: GlobalPosition,
    /// Index, within the position, of its first executed command.
    pub index: u32,
    batch: SubBatch,
    skip: u32,
    /// The commands that subscribers are not shown, by their indexes in the batch, rising.
    unshown: Vec<u32>,
}

/// What is being recorded of the stretch that is being executed.
#[derive(Default)]
pub(crate) struct Recording {
    runs: Vec<Run>,
    bytes: u64,
}

/// Memory that a run takes besides its commands, in bytes.
const RUN_BYTES: u64 = size_of::<Run>() as u64;

impl Part {
    pub fn last(&self) -> GlobalPosition {
        let (Part::Executed { last, .. } | Part::Restored { last }) = self;
        *last
    }

    /// Whether there is nothing in it to deliver.
    pub fn is_empty(&self) -> bool {
        matches!(self, Part::Executed { runs, .. } if runs.is_empty())
    }

    pub fn bytes(&self) -> u64 {
        match self {
            Part::Executed { bytes, .. } => *bytes,
            Part::Restored { .. } => RUN_BYTES,
        }
    }
}

impl Run {
    /// The commands that subscribers are shown, each with the number of those executed before it at its position.
    pub fn shown(&self) -> impl Iterator<Item = (u32, Command<'_>)> {
        let mut unshown = self.unshown.iter().peekable();
        let all = (self.skip..).zip(Commands::new(&self.batch, self.skip));
        let shown = all.filter(move |(at, _)| unshown.next_if(|next| *next == at).is_none());
        shown.map(|(at, command)| (self.index + (at - self.skip), command))
    }

    /// Number of executed commands.
    pub fn count(&self) -> u32 {
        self.batch.span.count - self.skip
    }
}

impl Recording {
    /// Adds what was executed of a sub-batch: all but its first `skip` commands. Those of the indexes `unshown` are
    /// counted, but not shown.
    pub fn add(&mut self, position: GlobalPosition, batch: SubBatch, skip: u32, unshown: Vec<u32>) {
        let before = self.runs.last().filter(|run| run.position == position);
        let index = before.map_or(0, |run| run.index + run.count());
        self.bytes += batch.body.len() as u64 + RUN_BYTES;
        self.runs.push(Run { position, index, batch, skip, unshown });
    }

    /// What was executed up to `last`.
    pub fn end(self, last: GlobalPosition) -> Part {
        Part::Executed { last, runs: self.runs, bytes: self.bytes }
    }
}
