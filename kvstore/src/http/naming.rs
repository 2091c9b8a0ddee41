//! The name of the state's life, as one connection knows and sets it.

use super::fault::Fault;
use crate::protocol::Outcome;
use crate::{Life, Reply, Tag, Version};

/// What a connection knows about the life of the state, and how far it is in naming it. It does so at most
/// once per request, before the first one whose reply may have a tag.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Naming {
    /// Without it no tag is shown.
    life: Option<Life>,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Idle,
    /// The next write is the command that names it, not the request's.
    Next,
    UnderWay,
    /// It failed, and is not retried for the waiting request.
    Failed,
}

impl Naming {
    /// The tag of a version, if the life is known.
    pub(super) fn tag(&self, version: Version) -> Option<Tag> {
        self.life.map(|life| Tag { life, version })
    }

    /// The life, if it is known.
    pub(super) fn life(&self) -> Option<Life> {
        self.life
    }

    /// Whether replies can have tags by now.
    pub(super) fn is_known(&self) -> bool {
        self.life.is_some()
    }

    /// Whether the life must be named before the next request, which may or may not need it. `look` reads it
    /// from the state.
    pub(super) fn is_next(&mut self, look: impl FnOnce() -> Option<Life>, needed: bool) -> bool {
        if self.life.is_none() {
            self.life = look();
        }
        if matches!(self.stage, Stage::UnderWay | Stage::Failed) {
            return false;
        }
        let next = self.life.is_none() && needed;
        self.stage = if next { Stage::Next } else { Stage::Idle };
        next
    }

    /// Whether the write that begins is the one that names it.
    pub(super) fn begins(&mut self) -> bool {
        let begins = self.stage == Stage::Next;
        if begins {
            self.stage = Stage::UnderWay;
        }
        begins
    }

    /// The outcome of that write. If it failed, returns what to tell the waiting request.
    pub(super) fn ended(&mut self, outcome: Outcome) -> Option<Fault> {
        let fault = match outcome {
            Outcome::Applied { reply: Reply::Named { life }, .. } => {
                self.life = Some(life);
                self.stage = Stage::Idle;
                return None;
            }
            Outcome::Applied { reply, .. } => panic!("a name is not answered with {reply:?}"),
            Outcome::Refused(refused) => Fault::refused(refused),
            Outcome::Unknown => Fault::no_quorum(),
        };
        self.stage = Stage::Failed;
        Some(fault)
    }

    /// The waiting request is served, so the next one may try again.
    pub(super) fn request_taken(&mut self) {
        if self.stage == Stage::Failed {
            self.stage = Stage::Idle;
        }
    }
}
