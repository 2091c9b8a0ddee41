//! A request of a connection that the engine executes, and what has become of it.

use std::time::Instant;

use bytes::Bytes;
use niagara_engine::{Completion, Consistency, Detached, DetachedRead, Unknown};
use niagara_planted::{self as planted, Bug};

use crate::protocol::{Outcome, Protocol, Unread};
use crate::{KvReader, Reply};

/// What a completion reports.
pub(crate) enum EngineAnswer {
    /// The outcome of a write.
    Of(Outcome),
    /// An attached read was executed.
    Found(Found),
    /// An attached read was not executed with its command.
    Detached { query: Bytes, why: Detached },
    /// How fresh the state is: the applied position, or `None` if no quorum answered.
    Fresh(Option<u64>),
}

/// A write or an attached read.
pub(super) struct Slot<P: Protocol> {
    pub(super) since: Instant,
    /// What it takes: the command or query, then its reply.
    pub(super) bytes: usize,
    pub(super) doing: Doing<P>,
}

pub(super) enum Doing<P: Protocol> {
    Write { shape: P::Shape, outcome: Option<Outcome> },
    Read { look: P::Look, consistency: Consistency, sought: Sought },
}

/// The answer to an attached read.
pub(crate) struct Found {
    /// Everything up to this position is in it.
    pub(super) applied: u64,
    pub(super) reply: Reply,
}

/// What has become of an attached read.
pub(super) enum Sought {
    Waits,
    Found(Found),
    /// This query was not executed with its command, and is to be executed anew.
    Anew(Bytes),
    Failed(Unread),
}

impl EngineAnswer {
    /// What a completion reports, and for which request.
    pub(crate) fn from(completion: Completion<Reply>) -> (u64, EngineAnswer) {
        match completion {
            Completion::Applied { token, position, reply } => {
                (token, EngineAnswer::Of(Outcome::Applied { position: position.get(), reply }))
            }
            Completion::Refused { token, refused } => (token, EngineAnswer::Of(Outcome::Refused(refused))),
            Completion::Unknown { token, .. } => (token, EngineAnswer::Of(Outcome::Unknown)),
            Completion::Readable { token, applied } => (token, EngineAnswer::Fresh(Some(applied.get()))),
            Completion::ReadFailed { token } => (token, EngineAnswer::Fresh(None)),
            Completion::Answered { token, position, reply } => {
                // Others may share the command's position, and be executed after the read.
                let others = u64::from(!planted::is(Bug::AttachedReadSaysItsCommand));
                (token, EngineAnswer::Found(Found { applied: position.get() - others, reply }))
            }
            Completion::Detached { token, read } => {
                let DetachedRead { query, why } = *read;
                (token, EngineAnswer::Detached { query, why })
            }
        }
    }
}

/// What becomes of a read whose command this server does not execute.
fn after(consistency: Consistency, query: Bytes, why: Detached) -> Sought {
    match why {
        Detached::Refused(_) | Detached::Unknown(Unknown::ReplyLost) => Sought::Anew(query),
        // A deadline has passed, or the server stops: nobody knows in time what a strong read should show.
        _ if consistency == Consistency::Strong => Sought::Failed(Unread::NoQuorum),
        _ => Sought::Anew(query),
    }
}

impl<P: Protocol> Slot<P> {
    /// Whether its reply can be printed.
    pub(super) fn is_finished(&self) -> bool {
        match &self.doing {
            Doing::Write { outcome, .. } => outcome.is_some(),
            Doing::Read { sought, .. } => matches!(sought, Sought::Found(_) | Sought::Failed(_)),
        }
    }

    pub(super) fn is_detached(&self) -> bool {
        matches!(self.doing, Doing::Read { sought: Sought::Anew(_), .. })
    }

    /// Whether it is a read with an answer, which may be long.
    pub(super) fn has_found(&self) -> bool {
        matches!(self.doing, Doing::Read { sought: Sought::Found(_), .. })
    }

    /// Whether it is a write that has been executed or may be.
    pub(super) fn may_be_executed(&self) -> bool {
        matches!(self.doing, Doing::Write { outcome: Some(Outcome::Applied { .. } | Outcome::Unknown), .. })
    }

    /// Whether it is a write whose outcome will come.
    pub(super) fn has_no_outcome(&self) -> bool {
        matches!(self.doing, Doing::Write { outcome: None, .. })
    }

    pub(super) fn end_write(&mut self, ended: Outcome) {
        match &mut self.doing {
            Doing::Write { outcome: outcome @ None, .. } => *outcome = Some(ended),
            _ => panic!("each accepted command gets one completion"),
        }
    }

    pub(super) fn find(&mut self, found: Found) {
        *self.awaited_read().1 = Sought::Found(found);
    }

    /// Ends an attached read without an answer; `true` if it is to be executed anew.
    pub(super) fn detach(&mut self, query: Bytes, why: Detached) -> bool {
        let (consistency, sought) = self.awaited_read();
        *sought = after(consistency, query, why);
        matches!(sought, Sought::Anew(_))
    }

    fn awaited_read(&mut self) -> (Consistency, &mut Sought) {
        match &mut self.doing {
            Doing::Read { consistency, sought: sought @ Sought::Waits, .. } => (*consistency, sought),
            _ => panic!("each attached read gets one completion"),
        }
    }

    /// How fresh a read must be.
    pub(super) fn consistency(&self) -> Consistency {
        let Doing::Read { consistency, .. } = &self.doing else { panic!("only a read has a consistency") };
        *consistency
    }

    /// Executes a read anew, on a state with everything up to position `applied`, or ends it.
    pub(super) fn read_now(&mut self, reader: &KvReader, applied: Result<u64, Unread>) {
        let Doing::Read { sought, .. } = &mut self.doing else { panic!("only a read looks at the state") };
        let Sought::Anew(query) = sought else { panic!("it is not executed twice") };
        *sought = match applied {
            Ok(applied) => {
                let reply = reader.answer(query).expect("the engine has checked it");
                Sought::Found(Found { applied, reply })
            }
            Err(why) => Sought::Failed(why),
        };
    }
}
