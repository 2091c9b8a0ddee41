//! Runs an [`App`] as a state machine: takes commands and states apart, and keeps the sessions.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use niagara_group::Commands;
use niagara_sequencer::GlobalPosition;
use parking_lot::RwLock;

use super::app::App;
use super::encode::{Encode, Malformed};
use super::envelope::{Envelope, NumberedBy};
use super::sessions::{Admitted, Sessions};
use crate::frozen::{Encoded, MalformedState};
use crate::misuse::NoWaiting;
use crate::state_machine::{NotACommand, StateMachine};

/// The state machine of a [`Node`](crate::Node), for what takes one, such as a simulator.
pub struct AppMachine<A: App> {
    state: Arc<RwLock<A>>,
    sessions: Sessions,
    /// A command that could not be decoded.
    unexecutable: Option<NotACommand>,
    /// What of the last call of `apply` changed nothing in the application.
    unshown: Vec<u32>,
}

/// Reads an [`App`]'s state.
pub struct AppReader<A>(Arc<RwLock<A>>);

/// What a command returns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer<R> {
    /// It was applied now.
    Applied(R),
    /// It had been applied before, in the same session.
    Repeated {
        /// Where that was.
        position: GlobalPosition,
        /// The reply of then.
        reply: R,
    },
    /// A session was opened, with this id.
    Opened(u64),
    /// The session has ended; the command was not applied now.
    Ended,
}

/// Version of the bytes of a snapshot.
const VERSION: u8 = 1;

impl<A: App> AppMachine<A> {
    /// A machine in this state.
    pub fn new(app: A) -> Self {
        let (state, sessions) = (Arc::new(RwLock::new(app)), Sessions::default());
        AppMachine { state, sessions, unexecutable: None, unshown: Vec::new() }
    }

    /// The bytes of a command, for [`Client::propose`](crate::Client::propose).
    ///
    /// # Errors
    /// If it has none.
    pub fn command(command: &A::Command) -> Result<Bytes, Malformed> {
        encode_command::<A>(command)
    }

    /// Reads the state, on the thread that has the machine.
    pub fn read<T>(&self, read: impl FnOnce(&A) -> T) -> T {
        read(&self.state.read())
    }

    /// Checks that a snapshot of the current state could be read back.
    pub(super) fn check_state(&self) -> Result<(), Malformed> {
        let mut bytes = Vec::new();
        self.state.read().encode(&mut bytes)?;
        A::decode(&bytes).map(drop)
    }

    fn answer(
        state: &mut A,
        sessions: &mut Sessions,
        position: GlobalPosition,
        bytes: &[u8],
    ) -> Result<Answer<A::Reply>, Malformed> {
        let (numbered, command) = match Envelope::read(bytes)? {
            Envelope::Open => return Ok(Answer::Opened(sessions.open())),
            Envelope::Command(command) => {
                return Ok(Answer::Applied(state.apply(position, A::Command::decode(command)?)));
            }
            Envelope::Numbered(numbered, command) => (numbered, A::Command::decode(command)?),
        };
        let NumberedBy { session, number } = numbered;
        match sessions.admit(session, number) {
            Admitted::Ended => Ok(Answer::Ended),
            // A reply that cannot be kept, or that an earlier version kept, is no reason to stop all servers.
            Admitted::Repeated { position, reply } => Ok(match A::Reply::decode(reply) {
                Ok(reply) => Answer::Repeated { position: GlobalPosition::new(position), reply },
                Err(_) => Answer::Ended,
            }),
            Admitted::Apply => {
                let reply = state.apply(position, command);
                let mut kept = Vec::new();
                if reply.encode(&mut kept).is_err() {
                    kept.clear();
                }
                sessions.record(session, number, position.get(), kept);
                Ok(Answer::Applied(reply))
            }
        }
    }

    fn read_snapshot(bytes: &[u8]) -> Result<(Sessions, A), Malformed> {
        let (version, rest) = bytes.split_first().ok_or(Malformed("it is empty"))?;
        if *version != VERSION {
            return Err(Malformed("it has a format that this version does not know"));
        }
        let (length, rest) = rest.split_first_chunk::<8>().ok_or(Malformed("it is cut off"))?;
        let length = u64::from_le_bytes(*length);
        let split = usize::try_from(length).ok().and_then(|length| rest.split_at_checked(length));
        let (sessions, state) = split.ok_or(Malformed("it is cut off"))?;
        Ok((Sessions::decode(sessions)?, A::decode(state)?))
    }
}

impl<A: App> StateMachine for AppMachine<A> {
    type Reply = Answer<A::Reply>;
    type Reader = AppReader<A>;
    type Frozen = Encoded;
    type Restoring = Encoded;

    fn reader(&self) -> AppReader<A> {
        AppReader(Arc::clone(&self.state))
    }

    fn check(command: &[u8]) -> Result<(), NotACommand> {
        let check = || match Envelope::read(command)? {
            Envelope::Open => Ok(()),
            Envelope::Command(command) | Envelope::Numbered(_, command) => {
                A::Command::decode(command).map(drop)
            }
        };
        check().map_err(|Malformed(why)| NotACommand(why))
    }

    fn apply(
        &mut self,
        position: GlobalPosition,
        commands: Commands<'_>,
        replies: &mut Vec<Answer<A::Reply>>,
    ) {
        let AppMachine { state, sessions, unexecutable, unshown } = self;
        let mut state = state.write();
        let awaited = commands.are_awaited();
        unshown.clear();
        for (at, command) in (0..).zip(commands) {
            match Self::answer(&mut state, sessions, position, command.as_slice()) {
                Ok(answer) => {
                    if !matches!(answer, Answer::Applied(_)) {
                        unshown.push(at);
                    }
                    if awaited {
                        replies.push(answer);
                    }
                }
                Err(Malformed(why)) => {
                    *unexecutable = Some(NotACommand(why));
                    return;
                }
            }
        }
    }

    /// Sessions' own commands, and copies of what they have applied.
    fn unshown(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.unshown)
    }

    fn unexecutable(&self) -> Option<NotACommand> {
        self.unexecutable
    }

    fn digest(&self) -> Option<u128> {
        self.state.read().digest()
    }

    /// # Panics
    /// If the state cannot be encoded. A start has tried the first one.
    fn freeze(&mut self) -> Encoded {
        let write = |bytes: &mut Vec<u8>| {
            let mut sessions = Vec::new();
            self.sessions.encode(&mut sessions)?;
            bytes.push(VERSION);
            bytes.extend_from_slice(&(sessions.len() as u64).to_le_bytes());
            bytes.append(&mut sessions);
            self.state.read().encode(bytes)
        };
        let mut bytes = Vec::new();
        if let Err(malformed) = write(&mut bytes) {
            panic!("the application's state cannot be encoded for a snapshot: {malformed}");
        }
        Encoded::new(bytes)
    }

    fn restoring(_: &AppReader<A>) -> Encoded {
        Encoded::default()
    }

    fn restore(&mut self, _: GlobalPosition, state: Encoded) -> Result<(), MalformedState> {
        let restored = Self::read_snapshot(state.bytes());
        let (sessions, state) = restored.map_err(|Malformed(why)| MalformedState(why))?;
        self.sessions = sessions;
        *self.state.write() = state;
        Ok(())
    }
}

impl<A: App> fmt::Debug for AppMachine<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppMachine").field("sessions", &self.sessions).finish_non_exhaustive()
    }
}

impl<A> AppReader<A> {
    /// Reads the state. Commands wait meanwhile, so be quick; a wait for the engine inside is caught.
    ///
    /// ```
    /// # use niagara_engine::{App, Config, GlobalPosition, Node};
    /// # #[derive(Default, serde::Serialize, serde::Deserialize)]
    /// # struct Counter(u64);
    /// # impl App for Counter {
    /// #     type Command = u64;
    /// #     type Reply = u64;
    /// #     fn apply(&mut self, _: GlobalPosition, add: u64) -> u64 { self.0 += add; self.0 }
    /// # }
    /// # let node = Node::start(Config::local(1, 1)?.remove(0), Counter::default())?;
    /// // This server's state as it is: a weak read, without a query.
    /// let count = node.client().reader().read(|counter| counter.0);
    /// # assert_eq!(count, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn read<T>(&self, read: impl FnOnce(&A) -> T) -> T {
        let _query = NoWaiting::inside("a query");
        read(&self.0.read())
    }
}

impl<A> Clone for AppReader<A> {
    fn clone(&self) -> Self {
        AppReader(Arc::clone(&self.0))
    }
}

impl<A> fmt::Debug for AppReader<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AppReader")
    }
}

/// The command of these bytes, which was applied.
pub(super) fn decode_applied<A: App>(bytes: &[u8]) -> Result<A::Command, Malformed> {
    match Envelope::read(bytes)? {
        Envelope::Command(command) | Envelope::Numbered(_, command) => A::Command::decode(command),
        Envelope::Open => Err(Malformed("a session's opening is no command of the application")),
    }
}

/// The bytes of a command without a number.
pub(super) fn encode_command<A: App>(command: &A::Command) -> Result<Bytes, Malformed> {
    Envelope::write(None, |bytes| command.encode(bytes))
}
