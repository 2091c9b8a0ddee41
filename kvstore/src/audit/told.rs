//! What the audit tells of a write.

use std::fmt;
use std::slice;

use super::Act;
use crate::Reply;

/// What is told of scripts if nobody knows what they have called.
const SCRIPTS: &str = "run a script, which may have called administrative commands";

/// What is told of a write when its end is known: an act that the request names, and those that its scripts call.
#[derive(Debug)]
pub(crate) struct Told {
    named: Option<Act>,
    scripts: Option<Act>,
}

impl Told {
    /// Of a write that does so much. `begin` says whose acts they are. `None`: nothing is told of it.
    pub(crate) fn begin(
        begin: impl Fn(String) -> Act,
        named: Option<String>,
        runs_scripts: bool,
    ) -> Option<Box<Told>> {
        if named.is_none() && !runs_scripts {
            return None;
        }
        let scripts = runs_scripts.then(|| begin(SCRIPTS.into()));
        Some(Box::new(Told { named: named.map(begin), scripts }))
    }

    /// It has been executed at a position, with this reply.
    pub(crate) fn replied(self, position: u64, reply: &Reply) {
        if let Some(scripts) = self.scripts {
            let replies = match reply {
                Reply::Block(Some(replies)) => &replies[..],
                reply => slice::from_ref(reply),
            };
            for reply in replies {
                if let Reply::Administered { acts, .. } = reply {
                    acts.iter().for_each(|act| scripts.called(position, act));
                }
            }
            scripts.forget();
        }
        if let Some(named) = self.named {
            named.replied(position, reply);
        }
    }

    /// It has had no effect.
    pub(crate) fn refused(self, why: &impl fmt::Display) {
        if let Some(scripts) = self.scripts {
            scripts.forget();
        }
        if let Some(named) = self.named {
            named.refused(why);
        }
    }

    /// It may have been executed.
    pub(crate) fn unknown(self) {
        self.scripts.into_iter().chain(self.named).for_each(Act::unknown);
    }
}
