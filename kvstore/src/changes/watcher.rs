//! One client's place in the feed.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use super::feed::{Desk, Next};
use super::{Change, ChangeId, Feed, Kind};

/// Bytes of changes that a watcher looks at in a turn, so that none delays the others.
const TURN_BYTES: usize = 1 << 20;

/// The changes that a watcher awaits are not kept on this server: it was too slow, or nobody had asked for them to be kept, or
/// the server has continued from another one's snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the changes from there on are not kept on this server any more: {}", way_out(*.least))]
pub struct Gone {
    /// The first position from which one can watch, if any changes are kept.
    pub least: Option<u64>,
}

fn way_out(least: Option<u64>) -> String {
    let anew = "begin to watch without a position, then read the keys";
    match least {
        Some(least) => {
            format!("{anew}; or watch from position {least}, if the keys have not changed meanwhile")
        }
        None => anew.to_owned(),
    }
}

impl Gone {
    pub(super) fn after(begin: Option<ChangeId>) -> Gone {
        Gone { least: begin.map(ChangeId::whole_position) }
    }
}

/// How far a watcher has come in a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Watched {
    /// It has seen all that has come.
    All,
    /// There is more.
    Some,
}

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Watcher {
    feed: Arc<Feed>,
    desk: Arc<Desk>,
    prefix: Vec<u8>,
    awaited: ChangeId,
}

impl Watcher {
    pub(super) fn new(feed: Arc<Feed>, desk: Arc<Desk>, prefix: Vec<u8>, awaited: ChangeId) -> Watcher {
        desk.watchers.fetch_add(1, SeqCst);
        Watcher { feed, desk, prefix, awaited }
    }

    /// The first change that it has yet to see.
    pub(crate) fn awaited(&self) -> ChangeId {
        self.awaited
    }

    /// It has seen all that there is up to a position: everything there is executed, and it has read all that has come.
    pub(crate) fn pass(&mut self, position: u64) {
        self.awaited = self.awaited.max(ChangeId::first_at(position + 1));
    }

    /// Shows changes of keys with its prefix, as long as `show` takes more.
    pub(crate) fn read(&mut self, mut show: impl FnMut(&Change) -> bool) -> Result<Watched, Gone> {
        let mut looked = 0;
        loop {
            let part = match self.feed.next(self.awaited) {
                Next::Part(part) => part,
                Next::Nothing => return Ok(Watched::All),
                Next::Gone(begin) => return Err(Gone::after(begin)),
            };
            let read = part.changes.partition_point(|change| change.id < self.awaited);
            for change in &part.changes[read..] {
                let concerns = change.kind == Kind::Flush || change.key.starts_with(&self.prefix);
                looked += change.bytes();
                self.awaited = change.id.next();
                if concerns && !show(change) || looked >= TURN_BYTES {
                    return Ok(Watched::Some);
                }
            }
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.desk.watchers.fetch_sub(1, SeqCst);
    }
}
