//! The changes of keys, in the order of the global log, for whoever watches them.
//!
//! While changes are kept, the thread that executes commands notes each one in its `Recorder`, and appends what a batch has
//! changed to the [`Feed`] of its server, once per batch. The feed keeps the latest changes, as many as fit its bytes. A
//! [`Watcher`] is one client's place in it: its thread, a front-end thread or one of an embedding program, reads on from there
//! whenever the client takes more. So nobody who executes waits for a watcher, and all watchers share what is kept. One that
//! falls behind what is kept, or whose server continues from a snapshot instead of commands, is told so, and from which position
//! on it may watch.
//!
//! Each change has a [`ChangeId`], its position and its index among the changes at that position, which is the same on
//! every server: a watcher may resume on any. For that, servers must have kept the changes that it has yet to see, whether
//! or not anybody watched there. So a server with watchers says so in the log, and every server then keeps changes until
//! their bytes exceed a *credit*; while somebody watches, that is said again in time. Nothing of it depends on clocks, and
//! an idle cluster says nothing. While nobody watches, a change costs a look at a flag.
//!
//! Keeping begins and ends between positions, so that indexes are counted from the beginning of each.

mod feed;
mod lookout;
mod recorder;
mod watcher;

use bytes::Bytes;

pub(crate) use feed::Feed;
pub(crate) use lookout::Lookout;
pub(crate) use recorder::Recorder;
pub use watcher::Gone;
pub(crate) use watcher::{Watched, Watcher};

use crate::Version;

/// Names a change of a key: where it stands in the global log. It rises from change to change, and is the
/// same on every server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ChangeId {
    /// Its position in the global log.
    pub position: u64,
    /// Its number among the changes at the position, from 0.
    pub index: u32,
}

impl ChangeId {
    /// The first change at a position.
    pub fn first_at(position: u64) -> ChangeId {
        ChangeId { position, index: 0 }
    }

    /// The change after this one, unless the position ends before it.
    pub fn next(self) -> ChangeId {
        match self.index.checked_add(1) {
            Some(index) => ChangeId { index, ..self },
            None => ChangeId::first_at(self.position.saturating_add(1)),
        }
    }

    /// The least position that begins here or later.
    pub(crate) fn whole_position(self) -> u64 {
        self.position + u64::from(self.index > 0)
    }

    /// What a watcher that awaits this change has seen, in words: `17.3` is the fourth change at position 17 and all
    /// before it, `17` all of position 17.
    pub(crate) fn seen_before(self) -> String {
        match self.index.checked_sub(1) {
            Some(last) => format!("{}.{last}", self.position),
            None => self.position.saturating_sub(1).to_string(),
        }
    }

    /// The first change that a watcher that has seen this awaits.
    pub(crate) fn after(seen: &str) -> Option<ChangeId> {
        let number = |text: &str| -> Option<u64> {
            text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
        };
        match seen.split_once('.') {
            None => Some(ChangeId::first_at(number(seen)?.checked_add(1)?)),
            Some((position, index)) => {
                let index = u32::try_from(number(index)?).ok()?.checked_add(1)?;
                Some(ChangeId { position: number(position)?, index })
            }
        }
    }
}

/// What has happened to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// It has a new value.
    Set,
    /// It expires at another time, or not at all.
    Deadline,
    /// A command has removed it, or it was evicted.
    Delete,
    /// Its time had come.
    Expire,
    /// All keys were removed.
    Flush,
}

impl Kind {
    /// Its name for clients.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Set => "set",
            Kind::Deadline => "deadline",
            Kind::Delete => "delete",
            Kind::Expire => "expire",
            Kind::Flush => "flush",
        }
    }
}

/// A change of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// Its name. To go on behind it, watch from [`ChangeId::next`].
    pub id: ChangeId,
    /// What has happened.
    pub kind: Kind,
    /// The key; empty for a flush, which concerns all.
    pub key: Bytes,
    /// What the key holds now, if it exists.
    pub now: Option<Now>,
}

/// What a key holds after a change.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Now {
    /// The version of the key.
    pub version: Version,
    /// When it expires, in milliseconds since 1970.
    pub deadline: Option<u64>,
    /// The length of the value.
    pub bytes: usize,
    /// The value, which costs no copy; `None` if it is longer than 1 MiB: then read the key.
    pub value: Option<Bytes>,
}

/// Memory of a change beside its bytes, roughly.
const CHANGE_BYTES: usize = 192;

impl Change {
    /// How much it takes while it is kept.
    pub(crate) fn bytes(&self) -> usize {
        let value = self.now.as_ref().and_then(|now| now.value.as_ref()).map_or(0, Bytes::len);
        CHANGE_BYTES + self.key.len() + value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_names_the_change_that_follows() {
        for (id, seen) in [
            (ChangeId::first_at(18), "17"),
            (ChangeId { position: 17, index: 1 }, "17.0"),
            (ChangeId::first_at(1), "0"),
            (ChangeId { position: u64::MAX, index: u32::MAX }, "18446744073709551615.4294967294"),
        ] {
            assert_eq!((id.seen_before().as_str(), ChangeId::after(seen)), (seen, Some(id)));
        }
        for wrong in ["", ".", "1.", ".1", "+1", "1.-1", "18446744073709551615", "1.4294967295", "a", "1.2.3"]
        {
            assert_eq!(ChangeId::after(wrong), None, "{wrong}");
        }
        let id = ChangeId { position: 17, index: 3 };
        assert_eq!((id.whole_position(), ChangeId::first_at(17).whole_position()), (18, 17));
    }
}
