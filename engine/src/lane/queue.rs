//! A lane's commands on their way from the front ends to its group's thread.

use std::collections::VecDeque;
use std::mem;

use bytes::{Bytes, BytesMut};
use niagara_group::batch::{Span, SubBatch, put_command};
use niagara_group::{LaneSource, OwnLane};
use niagara_sequencer::epoch::Epoch;

use crate::planted::{self, Bug};
use crate::sync::{AtomicU64, AtomicUsize, Mutex, Ordering::SeqCst};

/// Numbered commands, collected into sub-batches as they arrive.
pub(crate) struct LaneQueue {
    origin: Origin,
    seal_bytes: usize,
    waiting: Mutex<QueuedCommands>,
    commands: AtomicUsize,
    bytes: AtomicUsize,
    next_command: AtomicU64,
    /// One more than the latest attempt in which execution met a gap; 0 if none did.
    gap: AtomicU64,
    /// The lane between a group that had it and the one that goes on with it, in this epoch.
    on_its_way: Mutex<Option<(Epoch, OwnLane)>>,
}

/// Commands of one caller that are at least this long together are moved; shorter ones are copied to those of
/// other callers.
const MOVED_FROM: usize = 1 << 10;

/// The server and lane that commands come from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin {
    pub server: u64,
    pub incarnation: u64,
    pub lane: u16,
}

#[derive(Default)]
struct QueuedCommands {
    sealed: VecDeque<SubBatch>,
    open: BytesMut,
    open_first: u64,
    open_count: u32,
}

/// Consecutive commands of one caller, in the form of a sub-batch's body.
pub(crate) enum Piece {
    /// Small commands, each preceded by its length.
    Framed { body: BytesMut, count: u32 },
    /// One large command.
    Lone(Bytes),
}

impl LaneQueue {
    /// Sub-batches are sealed when they reach `seal_bytes`, the size of an entry.
    pub fn new(origin: Origin, seal_bytes: usize) -> Self {
        LaneQueue {
            origin,
            seal_bytes,
            waiting: Mutex::default(),
            commands: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            next_command: AtomicU64::new(1),
            gap: AtomicU64::new(0),
            on_its_way: Mutex::new(None),
        }
    }

    /// Adds a caller's commands, numbered from `first` on. Calls must be in the order of the numbers.
    pub fn push(&self, mut first: u64, pieces: &mut Vec<Piece>) {
        let mut waiting = self.waiting.lock();
        let (mut added, mut bytes) = (0, 0);
        for piece in pieces.drain(..) {
            let count = match piece {
                Piece::Framed { body, count } => {
                    bytes += body.len();
                    waiting.add(first, body, count);
                    if waiting.open.len() >= self.seal_bytes {
                        waiting.seal(self.origin);
                    }
                    count
                }
                Piece::Lone(body) => {
                    bytes += body.len();
                    waiting.seal(self.origin);
                    let span = self.origin.span(first, 1);
                    waiting.sealed.push_back(SubBatch { span, lone: true, body });
                    1
                }
            };
            first += u64::from(count);
            added += count as usize;
        }
        if planted::is(Bug::CountedAfterwards) {
            drop(waiting);
        }
        self.commands.fetch_add(added, SeqCst);
        self.bytes.fetch_add(bytes, SeqCst);
    }

    /// Adds a single small command: the same as [`push`](Self::push) with a piece of one, without the piece.
    pub fn push_small(&self, number: u64, command: &[u8]) {
        let mut waiting = self.waiting.lock();
        let before = waiting.open.len();
        if waiting.open_count == 0 {
            waiting.open_first = number;
        }
        debug_assert_eq!(
            waiting.open_first + u64::from(waiting.open_count),
            number,
            "a lane's numbers have no gaps"
        );
        put_command(&mut waiting.open, command);
        waiting.open_count += 1;
        let bytes = waiting.open.len() - before;
        if waiting.open.len() >= self.seal_bytes {
            waiting.seal(self.origin);
        }
        self.commands.fetch_add(1, SeqCst);
        self.bytes.fetch_add(bytes, SeqCst);
    }

    /// Records that commands below this number have been executed.
    pub fn set_next_command(&self, next: u64) {
        self.next_command.store(next, SeqCst);
    }

    /// Records that execution met commands of this attempt whose predecessors are missing.
    pub fn report_gap(&self, attempt: u32) {
        self.gap.fetch_max(u64::from(attempt) + 1, SeqCst);
    }

    /// Leaves the lane to the group that takes its commands in this epoch.
    pub fn hand_over(&self, epoch: Epoch, lane: OwnLane) {
        *self.on_its_way.lock() = Some((epoch, lane));
    }

    /// Whether the lane waits to be taken over in this epoch.
    pub fn is_on_its_way_to(&self, epoch: Epoch) -> bool {
        self.on_its_way.lock().as_ref().is_some_and(|(to, _)| *to == epoch)
    }

    /// The lane's zero-based index.
    pub fn number(&self) -> u16 {
        self.origin.lane
    }

    /// Takes the lane over in this epoch, if it has come.
    pub fn take_over(&self, epoch: Epoch) -> Option<OwnLane> {
        self.on_its_way.lock().take_if(|(to, _)| *to == epoch).map(|(_, lane)| lane)
    }

    /// Bytes of a full entry.
    pub fn entry_bytes(&self) -> usize {
        self.seal_bytes
    }

    /// Whether a full entry is waiting, so that new commands would wait behind it.
    pub fn is_saturated(&self) -> bool {
        self.bytes.load(SeqCst) >= self.seal_bytes
    }

    /// Whether commands wait for the group's thread.
    pub fn has_commands(&self) -> bool {
        self.commands.load(SeqCst) > 0
    }
}

impl LaneSource for LaneQueue {
    fn is_empty(&self) -> bool {
        !self.has_commands()
    }

    fn bytes(&self) -> usize {
        self.bytes.load(SeqCst)
    }

    fn take(&self, max_bytes: usize, out: &mut Vec<SubBatch>) {
        let mut waiting = self.waiting.lock();
        if waiting.sealed.is_empty() {
            waiting.seal(self.origin);
        }
        let (mut bytes, mut taken) = (0, 0);
        while let Some(batch) =
            waiting.sealed.pop_front_if(|batch| bytes == 0 || bytes + batch.body.len() <= max_bytes)
        {
            bytes += batch.body.len();
            taken += batch.span.count as usize;
            out.push(batch);
        }
        self.commands.fetch_sub(taken, SeqCst);
        self.bytes.fetch_sub(bytes, SeqCst);
    }

    fn next_command(&self) -> u64 {
        self.next_command.load(SeqCst)
    }

    fn gap_attempt(&self) -> Option<u32> {
        self.gap.load(SeqCst).checked_sub(1).map(|attempt| attempt as u32)
    }
}

impl QueuedCommands {
    fn add(&mut self, first: u64, body: BytesMut, count: u32) {
        let replaces = planted::is(Bug::MovedRunReplaces) && body.len() >= MOVED_FROM;
        if self.open_count == 0 || replaces {
            self.open_first = first;
            if body.len() >= MOVED_FROM {
                self.open = body;
                self.open_count = count;
                return;
            }
        }
        debug_assert_eq!(
            self.open_first + u64::from(self.open_count),
            first,
            "a lane's numbers have no gaps"
        );
        self.open.extend_from_slice(&body);
        self.open_count += count;
    }

    fn seal(&mut self, origin: Origin) {
        let count = mem::take(&mut self.open_count);
        if count > 0 {
            let span = origin.span(self.open_first, count);
            self.sealed.push_back(SubBatch { span, lone: false, body: self.open.split().freeze() });
        }
    }
}

impl Origin {
    fn span(self, first: u64, count: u32) -> Span {
        let Origin { server, incarnation, lane } = self;
        Span { server, incarnation, lane, attempt: 0, first, count }
    }
}

#[cfg(test)]
mod tests;
