//! The changes of keys, in the order of the global log, for whoever watches them.
//!
//! While changes are kept, the thread that executes commands notes each one in its `Recorder`, and appends what a batch has
//! changed to the [`Feed`] of its server, once per batch. The feed keeps the latest changes, as many as fit its bytes. A
//! [`Watcher`] is one connection's place in it: a front-end thread reads on from there whenever its client takes more. So
//! nobody who executes waits for a watcher, and all watchers share what is kept. One that falls behind what is kept, or
//! whose server continues from a snapshot instead of commands, is told so, and from which position on it may watch.
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
pub(crate) use watcher::{Gone, Watched, Watcher};

use crate::Version;

/// Names a change of a key: where it stands in the global log. Rising from change to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ChangeId {
    pub(crate) position: u64,
    /// Its number among the changes at the position, from 0.
    pub(crate) index: u32,
}

impl ChangeId {
    /// The first change at a position.
    pub(crate) fn first_at(position: u64) -> ChangeId {
        ChangeId { position, index: 0 }
    }

    /// The change after this one, unless the position ends before it.
    pub(crate) fn next(self) -> ChangeId {
        ChangeId { index: self.index + 1, ..self }
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
pub(crate) enum Kind {
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
pub(crate) struct Change {
    pub(crate) id: ChangeId,
    pub(crate) kind: Kind,
    /// Empty for a flush.
    pub(crate) key: Bytes,
    /// What the key holds now, if it exists.
    pub(crate) now: Option<Now>,
}

/// What a key holds after a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Now {
    pub(crate) version: Version,
    pub(crate) deadline: Option<u64>,
    pub(crate) bytes: usize,
    /// Not if it is too long to be kept.
    pub(crate) value: Option<Bytes>,
}

/// Memory of a change beside its bytes, roughly.
const CHANGE_BYTES: usize = 192;

impl Change {
    /// How much it takes while it is kept.
    fn bytes(&self) -> usize {
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
