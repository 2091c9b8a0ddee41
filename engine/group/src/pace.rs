//! Whether a group commits late on its leader's server, compared with the other groups there.
//!
//! A leader may be slow in one group only: that group's link is slow from there, or its thread or disk. The merge waits for the
//! slowest group, so everybody waits for that leader. It cannot tell by itself whether it is slow or the world is. But each
//! server has a replica of every group, and sees how soon what enters each log is committed, whoever leads the group.

use std::fmt;

/// Ticks that are looked back at.
const WINDOW: u32 = 32;
/// A group is late if in so many of them something had been in its log for a whole tick without being committed.
const LATE: u32 = 24;
/// A group says something about others if in so many of them its log grew. That is few: a round of the merge takes as long as its
/// slowest group.
const BUSY: u32 = 2;

/// How a group has gone over the last ticks, as one server sees it.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Pace {
    /// Ticks in which its log grew: a bit for each, the latest one lowest.
    grew: u32,
    /// Ticks that found something uncommitted that had been there a tick before.
    late: u32,
}

/// Observes one group.
#[derive(Clone, Copy, Debug, Default)]
pub struct PaceMeter {
    pace: Pace,
    last: u64,
    term: u64,
}

impl PaceMeter {
    /// Takes a tick's standing: the group's term, and the indexes of the last entry in its log and of the last committed one.
    /// What was before another term says nothing about its leader.
    pub fn observe_tick(&mut self, term: u64, last: u64, commit: u64) -> Pace {
        if std::mem::replace(&mut self.term, term) != term {
            *self = PaceMeter { term, last, ..PaceMeter::default() };
            return self.pace;
        }
        let before = std::mem::replace(&mut self.last, last);
        self.pace.grew = self.pace.grew << 1 | u32::from(last > before);
        self.pace.late = self.pace.late << 1 | u32::from(before > commit);
        self.pace
    }
}

impl Pace {
    /// Whether a leader of a group with this pace should leave the group to another server: it is late all the time, and most
    /// of the other groups that have something to do, at least one, are in time.
    ///
    /// ```
    /// use niagara_group::pace::PaceMeter;
    ///
    /// let (mut slow, mut other) = (PaceMeter::default(), PaceMeter::default());
    /// for tick in 1..40 {
    ///     let (slow, other) = (slow.observe_tick(1, tick, tick.saturating_sub(3)), other.observe_tick(1, tick, tick));
    ///     assert_eq!(slow.is_slow_beside([other]), tick > 24);
    ///     assert!(!slow.is_slow_beside([slow]), "all are slow: it is not the leader");
    /// }
    /// ```
    pub fn is_slow_beside(self, others: impl IntoIterator<Item = Pace>) -> bool {
        if self.late.count_ones() < LATE {
            return false;
        }
        let (mut busy, mut in_time) = (0, 0);
        for other in others.into_iter().filter(|other| other.grew.count_ones() >= BUSY) {
            busy += 1;
            // What has come is there soon after.
            in_time += usize::from(2 * other.late.count_ones() <= other.grew.count_ones());
        }
        2 * in_time > busy
    }

    /// Packed, to be shared between threads.
    pub fn to_bits(self) -> u64 {
        u64::from(self.grew) << WINDOW | u64::from(self.late)
    }

    /// What [`to_bits`](Self::to_bits) has packed.
    pub fn of_bits(bits: u64) -> Pace {
        Pace { grew: (bits >> WINDOW) as u32, late: bits as u32 }
    }
}

impl fmt::Debug for Pace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "grew in {} of {WINDOW} ticks, late in {}", self.grew.count_ones(), self.late.count_ones())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After so many ticks, each with an entry that is committed so many ticks later.
    fn pace(ticks: u64, delay: u64) -> Pace {
        let mut meter = PaceMeter::default();
        (0..=ticks).map(|tick| meter.observe_tick(1, tick, tick.saturating_sub(delay))).last().unwrap()
    }

    #[test]
    fn most_of_the_busy_groups_have_to_be_in_time() {
        let (slow, fast) = (pace(40, 2), pace(40, 0));
        assert!(slow.is_slow_beside([fast]) && slow.is_slow_beside([fast, slow, fast]));
        assert!(!slow.is_slow_beside([fast, slow]), "as many are slow");
        assert!(!slow.is_slow_beside([Pace::default(); 3]), "nobody else has anything to do");
        assert!(slow.is_slow_beside([fast, Pace::default()]));
        assert!(!fast.is_slow_beside([fast]));
    }

    #[test]
    fn a_moment_is_no_pace() {
        assert!(!pace(20, 2).is_slow_beside([pace(40, 0)]));
        let mut meter = PaceMeter::default();
        assert_ne!((0..40).map(|tick| meter.observe_tick(1, tick, 0)).last(), Some(Pace::default()));
        let of_another_term = meter.observe_tick(2, 41, 0);
        assert_eq!(of_another_term, Pace::default(), "another leader");
        assert_eq!(Pace::of_bits(pace(40, 3).to_bits()), pace(40, 3));
    }
}
