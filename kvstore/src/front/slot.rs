//! A request of a connection that the engine executes, and what has become of it.

use std::time::Instant;

use bytes::Bytes;
use niagara_engine::{Completion, Detached, Unknown};

use crate::protocol::{Outcome, Protocol};
use crate::{KvReader, Reply};

/// What a completion reports.
pub(crate) enum EngineAnswer {
    /// The outcome of a write.
    Of(Outcome),
    /// What has become of an attached read.
    Sought(Sought),
    /// How fresh the state is: the applied position, or `None` if no quorum answered.
    Fresh(Option<u64>),
}

/// A write or an attached read.
pub(super) struct Slot<P: Protocol> {
    pub(super) since: Instant,
    pub(super) doing: Doing<P>,
}

pub(super) enum Doing<P: Protocol> {
    Write { shape: P::Shape, outcome: Option<Outcome> },
    Read { look: P::Look, sought: Sought },
}

/// What has become of an attached read.
pub(crate) enum Sought {
    Waits,
    Found(Reply),
    /// This query was not executed with its command, and is to be executed anew.
    Anew(Bytes),
    /// Nobody knows in time what it should show.
    Failed,
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
            Completion::Answered { token, reply, .. } => (token, EngineAnswer::Sought(Sought::Found(reply))),
            Completion::Detached { token, query, why } => (token, EngineAnswer::Sought(after(query, why))),
        }
    }
}

/// What becomes of a read whose command this server does not execute.
fn after(query: Bytes, why: Detached) -> Sought {
    match why {
        Detached::Refused(_) | Detached::Unknown(Unknown::ReplyLost) => Sought::Anew(query),
        // A deadline has passed, or the server stops.
        _ => Sought::Failed,
    }
}

impl<P: Protocol> Slot<P> {
    /// Whether its reply can be printed.
    pub(super) fn is_finished(&self) -> bool {
        match &self.doing {
            Doing::Write { outcome, .. } => outcome.is_some(),
            Doing::Read { sought, .. } => matches!(sought, Sought::Found(_) | Sought::Failed),
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

    pub(super) fn end_read(&mut self, ended: Sought) {
        match &mut self.doing {
            Doing::Read { sought: sought @ Sought::Waits, .. } => *sought = ended,
            _ => panic!("each attached read gets one completion"),
        }
    }

    /// Executes a read anew if the state is fresh enough. Otherwise it fails.
    pub(super) fn read_now(&mut self, reader: &KvReader, is_fresh: bool) {
        let Doing::Read { sought, .. } = &mut self.doing else { panic!("only a read looks at the state") };
        let Sought::Anew(query) = sought else { panic!("it is not executed twice") };
        let found = is_fresh.then(|| reader.answer(query).expect("the engine has checked it"));
        *sought = found.map_or(Sought::Failed, Sought::Found);
    }
}
