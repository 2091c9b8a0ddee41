//! What is kept about a log outside of it, so that a log which has vanished, or lost its end, is not mistaken
//! for a new one.
//!
//! A log by itself cannot know that segments after its last one are missing, or its whole directory. So its
//! owner records in another place which segment it has reached. The record is durable before anything is
//! written to that segment, so it costs nothing per write. What the log held when it was last opened or
//! closed is recorded with it.

use std::{fmt, io};

use super::segment::Segment;
use super::{EntryId, HardState};

/// What a log is known to have held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Number of its last segment; 0 if nothing is known.
    pub segment: u64,
    /// Its last entry.
    pub last: EntryId,
    /// Its hard state.
    pub hard_state: HardState,
}

/// Durable storage for [`Held`], outside the log's directory.
pub trait LogMarks: fmt::Debug + Send + Sync {
    /// The last recorded state; the default if there is none.
    fn held(&self) -> Held;
    /// Records a new segment, which is durable already. Returns when the record is durable.
    ///
    /// # Errors
    /// If it cannot be recorded. The segment must then not be written to.
    fn prepared(&self, segment: u64) -> io::Result<()>;
}

/// Records nothing: for a log whose owner has no other place.
#[derive(Clone, Copy, Debug)]
pub struct NoMarks;

impl LogMarks for NoMarks {
    fn held(&self) -> Held {
        Held::default()
    }

    fn prepared(&self, _segment: u64) -> io::Result<()> {
        Ok(())
    }
}

impl Held {
    /// What a log with this last segment, last entry and hard state lacks; `None` if it may be whole.
    ///
    /// Terms and commit indexes never fall, and a vote never changes within its term. The last entry may
    /// fall: a leader replaces what was never committed (Raft, section 5.3). But it never does so with
    /// entries of its own term. An entry of a later term tells of a later leader, even if the hard state does not: earlier
    /// releases, and resets at a start, made the entry durable first.
    pub(super) fn missing_from(&self, found: &Held) -> Option<String> {
        let (then, now) = (self.hard_state, found.hard_state);
        let own_term = self.last.term == then.term && then.term == now.term.max(found.last.term);
        if found.segment < self.segment {
            return Some(match found.segment {
                0 => format!("it is empty, but there have been segments up to {:016x}.log", self.segment),
                found => format!(
                    "its last segment is {found:016x}.log, but there have been segments up to {:016x}.log",
                    self.segment
                ),
            });
        }
        if found.last.index < then.commit || own_term && found.last.index < self.last.index {
            let was = if own_term { self.last.index.max(then.commit) } else { then.commit };
            return Some(format!("it ends at entry {}, but once held entry {was}", found.last.index));
        }
        if now.term < then.term {
            return Some(format!("it is in term {}, but was in term {} before", now.term, then.term));
        }
        if now.term == then.term && then.vote != 0 && now.vote != then.vote {
            return Some(format!("it has forgotten the vote for server {} in term {}", then.vote, then.term));
        }
        None
    }

    /// A segment whose file is shorter than it was made. Without marks it counts as the remains of a crash.
    pub(super) fn cut_off(&self, segments: &[Segment]) -> Option<String> {
        let cut = segments.iter().find(|segment| segment.bytes < segment.made)?;
        let Segment { number, bytes, made, .. } = cut;
        let text = format!("the file {number:016x}.log is {bytes} bytes long, but was made with {made}");
        (self.segment > 0).then_some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(segment: u64, last: (u64, u64), hard_state: (u64, u64, u64)) -> Held {
        let (term, vote, commit) = hard_state;
        Held {
            segment,
            last: EntryId { index: last.0, term: last.1 },
            hard_state: HardState { term, vote, commit },
        }
    }

    #[test]
    fn what_only_grows_must_not_be_less() {
        let known = held(3, (10, 4), (5, 2, 8));
        let missing = |found| known.missing_from(&found);
        assert_eq!(missing(known), None);
        assert_eq!(missing(held(4, (20, 6), (6, 0, 19))), None);
        assert!(missing(held(2, (10, 4), (5, 2, 8))).unwrap().contains("0000000000000003.log"));
        assert!(missing(Held::default()).unwrap().contains("it is empty"));
        assert!(missing(held(3, (7, 4), (5, 2, 7))).unwrap().contains("held entry 8"));
        assert!(missing(held(3, (10, 4), (4, 2, 8))).unwrap().contains("term 5"));
        assert!(missing(held(3, (10, 4), (5, 3, 8))).unwrap().contains("vote for server 2"));
    }

    #[test]
    fn what_was_never_committed_may_be_replaced_but_not_within_its_leaders_term() {
        let older = held(3, (10, 4), (5, 2, 8));
        assert_eq!(older.missing_from(&held(3, (9, 4), (5, 2, 8))), None, "the leader of term 5 replaced it");
        let own = held(3, (10, 5), (5, 2, 8));
        assert!(own.missing_from(&held(3, (9, 5), (5, 2, 8))).unwrap().contains("held entry 10"));
        assert_eq!(own.missing_from(&held(3, (9, 5), (6, 0, 8))), None, "a later leader replaced it");
        assert_eq!(own.missing_from(&held(3, (9, 6), (5, 2, 8))), None, "an entry of a later one is there");
    }
}
