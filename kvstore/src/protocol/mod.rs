//! What a protocol is to the front ends: it finds requests in a client's bytes, and writes replies.
//! [`resp`](crate::resp) and [`http`](crate::http) are the two, and neither knows about sockets, threads, or
//! ordering.
//!
//! | file | holds |
//! |---|---|
//! | `input.rs`, `output.rs` | received bytes, and bytes to send |
//! | `engine.rs` | what is needed from the engine; a fake in tests |
//! | `foreign.rs` | clients of other protocols, by their first bytes |

mod engine;
mod foreign;
mod input;
mod output;

use std::time::{Duration, Instant};

use niagara_engine::{Consistency, Refused};

pub(crate) use engine::Engine;
pub use foreign::Foreign;
pub(crate) use input::Input;
pub(crate) use output::Output;

use crate::pubsub::Message;
use crate::tracking::Stale;
use crate::{KvReader, Reply};

/// Which of the two protocols.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    Http = 0,
    Redis = 1,
}

impl Wire {
    pub(crate) const ALL: [Wire; 2] = [Wire::Http, Wire::Redis];

    /// Its name in metrics and logs.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Wire::Http => "http",
            Wire::Redis => "redis",
        }
    }
}

/// What the next request of a connection asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// A command for the log.
    Write,
    /// A look at the state.
    Read(Consistency),
    /// Something that this server answers by itself.
    Local,
}

/// What a server did with a request that it answers by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Served {
    /// Answered it.
    Answered,
    /// Reported what is wrong with it.
    Malformed,
    /// Asked the client to continue with it.
    Interim,
    /// Refused it, since there is no memory for it.
    Short,
}

/// What a request finds when it comes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Circumstances {
    /// When the turn of its thread has begun.
    pub(crate) now: Instant,
    /// The time of the cluster, in milliseconds since 1970, if it is known.
    pub(crate) time: Option<u64>,
    /// The memory for requests and replies is nearly used up, so those that take some are refused.
    pub(crate) is_short: bool,
}

/// What a client is told whose request is refused because there is no memory for it.
pub(crate) const SHORT: &str =
    "the server has too many unfinished requests and replies in memory, so it has not executed this one";

/// How far a reply without an end has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Streamed {
    /// All of it that there is yet is printed.
    All,
    /// There is more.
    Some,
}

/// The outcome of a write.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Executed at this position.
    Applied { position: u64, reply: Reply },
    /// Never entered the log.
    Refused(Refused),
    /// Executed or not; nobody here knows.
    Unknown,
}

/// What an attached read has shown.
#[derive(Debug)]
pub(crate) enum Shown {
    /// Everything up to position `applied` is in the answer.
    Answer {
        applied: u64,
        reply: Reply,
    },
    Nothing(Unread),
}

/// Why an attached read has shown nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unread {
    /// No quorum has executed its command in time.
    NoQuorum,
    /// This server has diverged from others.
    Diverged,
    /// It lost its place: what the client sent behind it may be executed already.
    Overtaken,
}

/// The state on which a read is executed.
pub(crate) struct View<'r> {
    pub(crate) reader: &'r KvReader,
    /// How long the read has waited for that.
    pub(crate) waited: Duration,
    /// At least this position is applied. `None`: no quorum answered, so the read fails.
    pub(crate) applied: Option<u64>,
    /// The read fails because this server has diverged from others.
    pub(crate) diverged: bool,
}

/// What a client is told that it has not asked for.
#[derive(Debug)]
pub(crate) enum Unasked<'n> {
    /// A message that it hears, by a pattern or by its channel.
    Message { message: &'n Message, pattern: Option<&'n [u8]> },
    /// What it keeps and must not use any more. It is told as soon as what it has sent before is answered.
    Stale(Stale),
    /// What another client must not use any more, who has this one told instead.
    StaleElsewhere(&'n Stale),
    /// The one has gone whom it has told instead.
    LostRedirect,
}

/// How one protocol reads requests and writes replies. All of it is parsing and printing; ordering is the
/// session's business.
pub(crate) trait Protocol {
    /// What must be remembered of a write to print its reply.
    type Shape;

    /// For the metrics.
    const WIRE: Wire;

    /// Parses the next request, if it is complete. Until [`write`](Self::write), [`read`](Self::read) or
    /// [`local`](Self::local) consumes it, this finds the same request again.
    fn next<E: Engine>(&mut self, input: &mut Input, engine: &E, now: Circumstances) -> Option<Ask>;

    /// The request's length in the input, in bytes.
    fn length(&self) -> usize;

    /// Encodes the command of a write into `command`, which is empty, and consumes the request.
    fn write(&mut self, input: &mut Input, command: &mut Vec<u8>) -> Self::Shape;

    /// Whether a write is what a client asked for, and not something that precedes it.
    fn is_request(_shape: &Self::Shape) -> bool {
        true
    }

    /// Executes a read, prints its reply, and consumes the request.
    fn read(&mut self, input: &mut Input, view: &View<'_>, output: &mut Output);

    /// What must be remembered of an attached read to print its reply.
    type Look;

    /// Whether the next request, which is a read, may be executed on the thread that executes commands:
    /// whether it is known to be quick.
    fn may_attach(&self, input: &Input) -> bool;

    /// Encodes such a read as a [query](crate::query) into `query`, which is empty, and consumes the request.
    fn attach(&mut self, input: &mut Input, query: &mut Vec<u8>) -> Self::Look;

    /// Prints the answer to such a read, which has taken so long.
    fn show(&mut self, look: Self::Look, shown: Shown, took: Duration, output: &mut Output);

    /// Answers a request that is neither a write nor a read, and consumes it.
    fn local<E: Engine>(&mut self, input: &mut Input, engine: &E, output: &mut Output) -> Served;

    /// Whether the next request waits, since clients are paused.
    fn is_held_up(&mut self) -> bool {
        false
    }

    /// Publishes what others may know of the client, before replies of this turn are sent.
    fn publish(&self) {}

    /// Publishes how many bytes of requests and replies wait.
    fn publish_bytes(&self, _requests: usize, _replies: usize) {}

    /// Whether others are closed before it when memory is short.
    fn is_spared(&self) -> bool {
        false
    }

    /// Refuses a write or a read without effect, since the server is about to stop, and consumes it.
    fn refuse(&mut self, input: &mut Input, output: &mut Output);

    /// Prints the reply of a write, which has taken so long.
    fn answer(&mut self, shape: Self::Shape, outcome: Outcome, took: Duration, output: &mut Output);

    /// Goes on with a reply that has no end of its own: prints what has come, in pieces. `None`: there is no such reply.
    fn stream<E: Engine>(&mut self, _engine: &E, _now: Instant, _output: &mut Output) -> Option<Streamed> {
        None
    }

    /// Whether there is such a reply, which is to be gone on with whenever something has come for it, and now and then.
    fn streams(&self) -> bool {
        false
    }

    /// Tells the client what it has not asked for.
    fn tell(&mut self, _unasked: Unasked<'_>, _output: &mut Output) {}

    /// Whether the connection may hear messages without asking for anything.
    fn listens(&self) -> bool {
        false
    }

    /// The client has shown a certificate with this name.
    fn introduce(&mut self, name: &str);

    /// Bytes that it holds of requests, besides what is in the input.
    fn held(&self) -> usize;

    /// Whether a reply has announced that no further request will be read.
    fn is_over(&self) -> bool;

    /// Whether the input ends, as far as is known, within a request.
    fn is_amid_request(&self, input: &Input) -> bool;

    /// The protocol of a client that belongs to another port and has been told so. Returned once.
    fn take_foreign(&mut self) -> Option<Foreign> {
        None
    }

    /// Where the next bytes of the stream may be received directly instead of into the input, and how many.
    fn sink(&mut self) -> Option<(&mut Vec<u8>, usize)> {
        None
    }
}
