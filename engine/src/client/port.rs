//! The batch interface for a thread that serves many callers, such as a front end's.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use bytes::{Bytes, BytesMut};
use niagara_group::batch::{LONE_COMMAND_BYTES, MOST_PIECE_BYTES, put_command};

use super::handle::Client;
use super::inbox::{Inbox, Wake};
use super::shared::Shared;
use crate::lane::{LaneId, Piece, Sink, Submission};
use crate::outcome::{Completion, Consistency, Refused};
use crate::planted::{self, Bug};
use crate::read_gate::ReadSink;
use crate::state_machine::StateMachine;

/// Commands and reads in, completions out, in batches: stage with [`propose`](Port::propose) and [`read`](Port::read),
/// hand over once per turn with [`flush`](Port::flush), take what has come with [`collect`](Port::collect).
///
/// Every accepted command, and every read that is not answered at once, ends in exactly one [`Completion`].
///
/// ```
/// # use niagara_engine::{example, Completion, Consistency, Wake};
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
    refused: Vec<Completion<S::Reply>>,
}

/// Commands of a turn for one lane.
#[derive(Default)]
struct Staged {
    pieces: Vec<Piece>,
    tokens: Vec<u64>,
    bytes: usize,
    /// How much there was in the last turn: the next one will need about as much room.
    last_bytes: usize,
    last_tokens: usize,
}

/// A turn's commands get so much room at once at most, so that one large turn does not make each small one after it large.
const ROOM_BYTES: usize = 64 << 10;

/// Small commands of a turn are handed over in pieces of about this size, or that of an entry if it is less: a lane makes no
/// sub-batch, and so no entry, that is larger than an entry is to be and one of these.
const PIECE_BYTES: usize = MOST_PIECE_BYTES - LONE_COMMAND_BYTES - 5;

impl<S: StateMachine> Client<S> {
    /// A port for a thread that handles many commands and reads per turn; `wake` is called when completions have come
    /// and the thread has said that it sleeps.
    pub fn port(&self, wake: Arc<dyn Wake>) -> Port<S> {
        Port::new(Arc::clone(&self.shared), wake)
    }
}

impl<S: StateMachine> Port<S> {
    pub(crate) fn new(shared: Arc<Shared<S>>, wake: Arc<dyn Wake>) -> Self {
        let inbox = Arc::new(Inbox::new(wake));
        let entry_bytes = shared.lanes.first().map(|lane| lane.traffic().entry);
        Port {
            piece_bytes: entry_bytes.map_or(PIECE_BYTES, |bytes| bytes.min(PIECE_BYTES)),
            client: Client::new(Arc::clone(&shared)),
            sink: Arc::<Inbox<S::Reply>>::clone(&inbox),
            read_sink: Arc::<Inbox<S::Reply>>::clone(&inbox),
            inbox,
            staged: shared.lanes.iter().map(|_| Staged::default()).collect(),
            strong: Vec::new(),
            refused: Vec::new(),
            shared,
        }
    }

    /// The lane that new commands should take now. Commands in one lane are executed in the order proposed, so a caller
    /// that wants an order stays with a lane while any of its commands there has no outcome (one that ended
    /// [`Unknown`](Completion::Unknown) has none).
    pub fn choose_lane(&self) -> LaneId {
        self.shared.choose_lane()
    }

    /// The lanes whose groups are led by this server, for a caller that shares its commands out itself. Where every server has
    /// as many commands as its groups can take, those of other servers' groups would only be forwarded in vain.
    pub fn lanes_led_here(&self) -> impl Iterator<Item = LaneId> + use<'_, S> {
        let groups = (0..).zip(&self.shared.progress.groups);
        groups.filter(|(_, group)| group.leads.load(SeqCst)).map(|(lane, _)| LaneId(lane))
    }

    /// Stages a command; it is copied.
    pub fn propose(&mut self, lane: LaneId, token: u64, command: &[u8]) -> Result<(), Refused> {
        if command.len() >= LONE_COMMAND_BYTES {
            return self.propose_shared(lane, token, Bytes::copy_from_slice(command));
        }
        self.check(command, lane)?;
        let staged = &mut self.staged[usize::from(lane.0)];
        if let Some(Piece::Framed { body, count }) = staged.pieces.last_mut()
            && body.len() < self.piece_bytes
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

    /// Stages a command; if it is large (32 KiB or more) its buffer is used as it is, all the way to the sockets and
    /// the log.
    pub fn propose_shared(&mut self, lane: LaneId, token: u64, command: Bytes) -> Result<(), Refused> {
        if command.len() < LONE_COMMAND_BYTES {
            return self.propose(lane, token, &command);
        }
        self.check(&command, lane)?;
        let staged = &mut self.staged[usize::from(lane.0)];
        staged.bytes += command.len();
        staged.pieces.push(Piece::Lone(command));
        staged.tokens.push(token);
        Ok(())
    }

    /// Whether the groups have leaders is asked once per turn: the answer lies where the groups' threads write all the time.
    fn check(&self, command: &[u8], lane: LaneId) -> Result<(), Refused> {
        self.shared.check_command(command)?;
        if self.staged[usize::from(lane.0)].tokens.is_empty() { self.shared.check_ready() } else { Ok(()) }
    }

    /// Stages a read. `true`: the state is fresh enough already, read now; no completion follows.
    pub fn read(&mut self, token: u64, consistency: Consistency) -> bool {
        match consistency {
            Consistency::Strong => {
                self.strong.push(token);
                false
            }
            other => self.shared.read(other, Arc::clone(&self.read_sink), vec![token]),
        }
    }

    /// Hands over what is staged: one lock per lane, and one quorum round for all strong reads.
    pub fn flush(&mut self) {
        let deadline = self.shared.clock.now() + self.shared.deadline;
        for (lane, staged) in
            self.staged.iter_mut().enumerate().filter(|(_, staged)| !staged.tokens.is_empty())
        {
            let Staged { pieces, tokens, bytes, last_bytes, last_tokens } = staged;
            // A framed command takes up to five bytes more.
            (*last_bytes, *last_tokens) = ((*bytes + 5 * tokens.len()).min(ROOM_BYTES), tokens.len());
            let submission = Submission { pieces, tokens, bytes: mem::take(bytes), deadline };
            match self.shared.lanes[lane].submit(submission, &self.sink) {
                Ok(()) => self.shared.progress.groups[lane].wake(),
                Err(refused) => {
                    pieces.clear();
                    self.refused.extend(tokens.drain(..).map(|token| Completion::Refused { token, refused }));
                }
            }
        }
        if planted::is(Bug::RefusalNotTold) {
            self.refused.clear();
        }
        if !self.refused.is_empty() {
            self.inbox.arrive(&mut self.refused);
        }
        if !self.strong.is_empty() {
            let tokens = mem::take(&mut self.strong);
            self.shared.read(Consistency::Strong, Arc::clone(&self.read_sink), tokens);
        }
    }

    /// Takes the completions that have come, in the order in which they came.
    pub fn collect(&mut self, out: &mut Vec<Completion<S::Reply>>) {
        self.inbox.collect(out);
    }

    /// The last look before sleeping: says that the thread sleeps, so that completions wake it from now on. `false`: some
    /// have come already, do not sleep.
    pub fn may_sleep(&self) -> bool {
        self.inbox.may_sleep()
    }

    /// Whether completions have come. It is no last look before sleeping: that is [`may_sleep`](Self::may_sleep).
    pub fn has_completions(&self) -> bool {
        self.inbox.has_arrived()
    }

    /// The thread does not sleep any more.
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
