//! The name of the state's life, as one connection knows it, and brings it about.

use super::fault::Fault;
use crate::protocol::Outcome;
use crate::{Life, Reply, Tag, Version};

/// What a connection knows of the life of the state, and how far it has come in naming it. It does so at most once for a
/// request, before the first one whose reply may have a tag.
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
    /// The next write is the command that names it, and not the request's.
    Next,
    UnderWay,
    /// It came to nothing, and is not tried again for the request that waits.
    Failed,
}

impl Naming {
    /// The tag of a version, as far as the life is known.
    pub(super) fn tag(&self, version: Version) -> Option<Tag> {
        self.life.map(|life| Tag { life, version })
    }

    /// Whether the life is to be named before the next request, which needs it or does not. `look` tells what the state says.
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

    /// What has become of that write; if it came to nothing, what to tell who waited for it.
    pub(super) fn ended(&mut self, outcome: Outcome) -> Option<Fault> {
        let fault = match outcome {
            Outcome::Applied { reply: Reply::Named { life }, .. } => {
                self.life = Some(life);
                self.stage = Stage::Idle;
                return None;
            }
            Outcome::Applied { reply, .. } => panic!("a name is not answered by {reply:?}"),
            Outcome::Refused(refused) => Fault::refused(refused),
            Outcome::Unknown => Fault::no_quorum(),
        };
        self.stage = Stage::Failed;
        Some(fault)
    }

    /// The request that waited is served: the next one may try again.
    pub(super) fn request_taken(&mut self) {
        if self.stage == Stage::Failed {
            self.stage = Stage::Idle;
        }
    }
}
