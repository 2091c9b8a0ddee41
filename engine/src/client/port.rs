//! The batch interface, for a thread that serves many callers, such as a front end's.

use std::fmt;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use niagara_group::batch::{LONE_COMMAND_BYTES, MOST_PIECE_BYTES, put_command};
use niagara_sequencer::GlobalPosition;

use super::handle::Client;
use super::inbox::{Inbox, Wake};
use super::shared::Shared;
use crate::lane::{LaneId, Piece, ROOM_BYTES, Sink, StagedReads, Submission};
use crate::outcome::{Completion, Consistency, Detached, NotAttached, Refused};
use crate::planted::{self, Bug};
use crate::read_gate::ReadSink;
use crate::state_machine::StateMachine;

/// Takes commands and reads and returns completions, in batches: stage with [`propose`](Port::propose) and
/// [`read`](Port::read), submit once per turn with [`flush`](Port::flush), and fetch completions with
/// [`collect`](Port::collect).
///
/// Every accepted command, and every read that cannot be answered at once, ends in exactly one
/// [`Completion`].
///
/// ```
/// # use niagara_engine::{internals::example, Completion, Consistency, Wake};
/// # use std::sync::Arc;
/// # struct Nobody;
/// # impl Wake for Nobody { fn wake(&self) {} }
/// # let engine = example::engine();
/// let mut port = engine.client().port(Arc::new(Nobody));
/// let lane = port.choose_lane();
/// port.propose(lane, 1, b"first")?;
/// port.propose(lane, 2, b"second")?;
/// port.flush();
/// let mut done = Vec::new();
/// while done.len() < 2 {
///     port.collect(&mut done);
/// }
/// assert!(matches!(done[0], Completion::Applied { token: 1, .. }));
/// assert!(port.read(3, Consistency::Weak), "a weak read needs no waiting");
/// # engine.stop();
/// # Ok::<(), niagara_engine::Refused>(())
/// ```
pub struct Port<S: StateMachine> {
    shared: Arc<Shared<S>>,
    client: Client<S>,
    inbox: Arc<Inbox<S::Reply>>,
    sink: Arc<dyn Sink<S::Reply>>,
    read_sink: Arc<dyn ReadSink>,
    piece_bytes: usize,
    staged: Vec<Staged>,
    strong: Vec<u64>,
    /// Staged reads that wait for positions, and their tokens.
    at_least: Vec<(GlobalPosition, u64)>,
    /// Reads answered by a lease since the last flush.
    lease_reads: u64,
    refused: Vec<Completion<S::Reply>>,
}

impl<S: StateMachine> fmt::Debug for Port<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Port").field("client", &self.client).finish_non_exhaustive()
    }
}

/// Commands that a turn has staged for one lane.
#[derive(Default)]
struct Staged {
    pieces: Vec<Piece>,
    tokens: Vec<u64>,
    bytes: usize,
    /// Reads that follow these commands.
    reads: StagedReads,
    /// Bytes and tokens of the last turn: the next one will need about as much room.
    last_bytes: usize,
    last_tokens: usize,
}

/// Small commands of a turn are submitted in pieces of about this size, or of an entry's if that is less. So
/// no sub-batch, and no entry, exceeds an entry's configured size by more than one piece.
const PIECE_BYTES: usize = MOST_PIECE_BYTES - LONE_COMMAND_BYTES - 5;

impl<S: StateMachine> Client<S> {
    /// Creates a port for a thread that handles many commands and reads per turn. `wake` is called when
    /// completions arrive after the thread has announced that it sleeps.
    pub fn port(&self, wake: Arc<dyn Wake>) -> Port<S> {
        Port::new(self.clone(), wake)
    }
}

impl<S: StateMachine> Port<S> {
    fn new(client: Client<S>, wake: Arc<dyn Wake>) -> Self {
        let shared = Arc::clone(&client.shared);
        let inbox = Arc::new(Inbox::new(wake));
        let entry_bytes = shared.lanes.iter().next().map(|lane| lane.traffic().entry);
        Port {
            piece_bytes: entry_bytes.map_or(PIECE_BYTES, |bytes| bytes.min(PIECE_BYTES)),
            client,
            sink: Arc::<Inbox<S::Reply>>::clone(&inbox),
            read_sink: Arc::<Inbox<S::Reply>>::clone(&inbox),
            inbox,
            staged: shared.lanes.iter().map(|_| Staged::default()).collect(),
            strong: Vec::new(),
            at_least: Vec::new(),
            lease_reads: 0,
            refused: Vec::new(),
            shared,
        }
    }

    /// The best lane for new commands now. Commands in one lane are executed in the order proposed. So a
    /// caller that needs an order must stay with a lane while any of its commands there has no outcome
    /// ([`Unknown`](Completion::Unknown) does not count as one).
    pub fn choose_lane(&self) -> LaneId {
        self.shared.choose_lane_beside(|lane| self.staged.get(lane).map_or(0, |staged| staged.bytes))
    }

    /// Lanes whose groups this server leads, for a caller that distributes its commands itself. If every
    /// server has as many commands as its groups can take, forwarding them to other servers' groups gains
    /// nothing.
    pub fn lanes_led_here(&self) -> impl Iterator<Item = LaneId> + use<'_, S> {
        let epoch = self.shared.progress.epoch();
        let lanes = 0..usize::from(epoch.lanes);
        lanes.filter(|lane| epoch.group_of(*lane).leads.load(SeqCst)).map(|lane| LaneId(lane as u16))
    }

    /// What is staged for a lane. There may be more lanes than when the port was made.
    fn staged(&mut self, LaneId(lane): LaneId) -> &mut Staged {
        let lane = usize::from(lane);
        if lane >= self.staged.len() {
            self.staged.resize_with(lane + 1, Staged::default);
        }
        &mut self.staged[lane]
    }

    fn stages_nothing(&self, LaneId(lane): LaneId) -> bool {
        self.staged.get(usize::from(lane)).is_none_or(|staged| staged.tokens.is_empty())
    }

    /// Stages a copy of a command.
    pub fn propose(&mut self, lane: LaneId, token: u64, command: &[u8]) -> Result<(), Refused> {
        if command.len() >= LONE_COMMAND_BYTES {
            return self.propose_shared(lane, token, Bytes::copy_from_slice(command));
        }
        self.check(command, lane)?;
        let piece_bytes = self.piece_bytes;
        let staged = self.staged(lane);
        if let Some(Piece::Framed { body, count }) = staged.pieces.last_mut()
            && body.len() < piece_bytes
        {
            put_command(body, command);
            *count += 1;
        } else {
            let mut body = BytesMut::with_capacity((command.len() + 8).max(staged.last_bytes));
            put_command(&mut body, command);
            staged.pieces.push(Piece::Framed { body, count: 1 });
        }
        if staged.tokens.capacity() == 0 {
            staged.tokens.reserve(staged.last_tokens);
        }
        staged.tokens.push(token);
        staged.bytes += command.len();
        Ok(())
    }

    /// Stages a command. If it is large (32 KiB or more), its buffer is used without a copy, all the way to
    /// the sockets and the log.
    pub fn propose_shared(&mut self, lane: LaneId, token: u64, command: Bytes) -> Result<(), Refused> {
        if command.len() < LONE_COMMAND_BYTES {
            return self.propose(lane, token, &command);
        }
        self.check(&command, lane)?;
        let staged = self.staged(lane);
        staged.bytes += command.len();
        staged.pieces.push(Piece::Lone(command));
        staged.tokens.push(token);
        Ok(())
    }

    /// Whether the groups have leaders is checked once per turn: the groups' threads keep writing to that
    /// memory.
    fn check(&self, command: &[u8], lane: LaneId) -> Result<(), Refused> {
        self.shared.check_command(command)?;
        if self.stages_nothing(lane) { self.shared.check_ready() } else { Ok(()) }
    }

    /// Stages a read. Returns `true` if the state is fresh enough already: read now; no completion follows.
    pub fn read(&mut self, token: u64, consistency: Consistency) -> bool {
        match consistency {
            Consistency::Strong if self.shared.is_fresh_by_lease() => {
                self.lease_reads += 1;
                true
            }
            Consistency::Strong => {
                self.strong.push(token);
                false
            }
            Consistency::AtLeast(position) if self.shared.reads_at_once(position) => true,
            Consistency::AtLeast(position) => {
                self.at_least.push((position, token));
                false
            }
            Consistency::Weak => true,
        }
    }

    /// Like [`read`](Self::read), for a caller that has waited since that time already: its deadline counts from there.
    pub fn read_since(&mut self, token: u64, consistency: Consistency, since: Instant) -> bool {
        let patience = (since + self.client.deadline).saturating_duration_since(self.shared.clock.now());
        let sink: Arc<dyn ReadSink> = Arc::<Inbox<S::Reply>>::clone(&self.inbox);
        self.shared.read(consistency, sink, vec![token], patience)
    }

    /// Whether a command is staged for this lane in this turn, so that a read can be [attached](Self::attach).
    pub fn is_staged(&self, lane: LaneId) -> bool {
        !self.stages_nothing(lane)
            || planted::is(Bug::AttachedToEarlierCommand)
                && self.shared.lanes[usize::from(lane.0)].pending() > 0
    }

    /// Attaches a strong read to the last command that is staged for the lane in this turn: this server executes
    /// the query with [`StateMachine::answer`] right after the command, before any later one.
    ///
    /// The read is linearizable, and costs neither a round to a quorum nor bytes in the log. In a pipeline of
    /// commands and reads, each read shows what the commands before it did, and nothing of those behind it, while
    /// all are in flight together. If nothing is staged, propose a command without effect first.
    ///
    /// The read ends in [`Completion::Answered`], or in [`Completion::Detached`] if this server does not execute
    /// the command: it was refused, its deadline passed, or a snapshot brought its effect.
    ///
    /// ```
    /// # use niagara_engine::{internals::example, Completion, NotAttached, Wake};
    /// # use std::sync::Arc;
    /// # struct Nobody;
    /// # impl Wake for Nobody { fn wake(&self) {} }
    /// # let engine = example::engine();
    /// let mut port = engine.client().port(Arc::new(Nobody));
    /// let lane = port.choose_lane();
    /// assert_eq!(port.attach(lane, 1, b"how many"), Err(NotAttached::NothingStaged));
    /// port.propose(lane, 2, b"count")?;
    /// port.attach(lane, 3, b"how many").expect("a command is staged");
    /// port.propose(lane, 4, b"count")?;
    /// port.flush();
    /// let mut done = Vec::new();
    /// while done.len() < 3 {
    ///     port.collect(&mut done);
    /// }
    /// let read = done.iter().find(|completion| matches!(completion, Completion::Answered { .. }));
    /// assert!(matches!(read, Some(Completion::Answered { token: 3, reply: 1, .. })), "it sees one of the two");
    /// # engine.stop();
    /// # Ok::<(), niagara_engine::Refused>(())
    /// ```
    ///
    /// # Errors
    /// If nothing is staged, or the query is too long or unknown. Then no completion follows.
    pub fn attach(&mut self, lane: LaneId, token: u64, query: &[u8]) -> Result<(), NotAttached> {
        let (bytes, limit) = (query.len(), self.shared.command_bytes);
        if bytes > limit {
            return Err(NotAttached::TooLarge { bytes, limit });
        }
        S::check_query(query).map_err(|unknown| NotAttached::NotAQuery(unknown.0))?;
        let staged = self.staged(lane);
        let Some(last) = staged.tokens.len().checked_sub(1) else {
            if planted::is(Bug::AttachedToEarlierCommand) {
                let lane = &self.shared.lanes[usize::from(lane.0)];
                let deadline = self.shared.clock.now() + self.client.deadline;
                if lane.attach_late(token, query, deadline, &self.sink) {
                    return Ok(());
                }
            }
            return Err(NotAttached::NothingStaged);
        };
        staged.reads.push(last as u32, token, query);
        Ok(())
    }

    /// Submits what is staged, with one lock per lane, one quorum round for all strong reads, and one lock
    /// for all that wait for positions.
    pub fn flush(&mut self) {
        let deadline = self.shared.clock.now() + self.client.deadline;
        for (lane, staged) in
            self.staged.iter_mut().enumerate().filter(|(_, staged)| !staged.tokens.is_empty())
        {
            let Staged { pieces, tokens, bytes, reads, last_bytes, last_tokens } = staged;
            // Framing adds up to five bytes to a command.
            (*last_bytes, *last_tokens) = ((*bytes + 5 * tokens.len()).min(ROOM_BYTES), tokens.len());
            let submission = Submission { pieces, tokens, bytes: mem::take(bytes), reads, deadline };
            match self.shared.lanes[lane].submit(submission, &self.sink) {
                Ok(()) => self.shared.progress.epoch().group_of(lane).wake(),
                Err(refused) => {
                    pieces.clear();
                    self.refused.extend(tokens.drain(..).map(|token| Completion::Refused { token, refused }));
                    reads.detach(Detached::Refused(refused), &mut self.refused);
                }
            }
        }
        if planted::is(Bug::RefusalNotTold) {
            self.refused.clear();
        }
        if !self.refused.is_empty() {
            self.inbox.arrive(&mut self.refused);
        }
        if self.lease_reads > 0 {
            self.shared.metrics.lease_reads.inc_by(mem::take(&mut self.lease_reads));
        }
        if !self.strong.is_empty() {
            let tokens = mem::take(&mut self.strong);
            let sink = Arc::clone(&self.read_sink);
            self.shared.read_when_fresh(sink, tokens, self.client.deadline);
        }
        if !self.at_least.is_empty() {
            let (reads, sink) = (mem::take(&mut self.at_least), Arc::clone(&self.read_sink));
            self.shared.read_at_least(sink, reads, self.client.deadline);
        }
    }

    /// Moves the completions that have arrived to `out`, in order of arrival.
    pub fn collect(&mut self, out: &mut Vec<Completion<S::Reply>>) {
        self.inbox.collect(out);
    }

    /// Announces that the thread is about to sleep, so that completions wake it from now on. Returns `false`
    /// if some have arrived already: do not sleep.
    pub fn may_sleep(&self) -> bool {
        self.inbox.may_sleep()
    }

    /// Whether completions have arrived. Before sleeping, call [`may_sleep`](Self::may_sleep) instead.
    pub fn has_completions(&self) -> bool {
        self.inbox.has_arrived()
    }

    /// Announces that the thread is awake.
    pub fn awake(&self) {
        self.inbox.awake();
    }

    /// The state machine's reader.
    pub fn reader(&self) -> &S::Reader {
        &self.shared.reader
    }

    /// The client that the port belongs to.
    pub fn client(&self) -> &Client<S> {
        &self.client
    }
}

#[cfg(test)]
mod tests;
