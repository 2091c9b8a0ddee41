//! Pacing: how far a group may run ahead of the merge, and when a server's merge is too slow to lead.
//!
//! A group that turns commands into entries faster than the others would raise the level with each entry and
//! make each other group pad. Instead, it cuts a new entry only while few of its own are ahead of the merge;
//! commands that arrive meanwhile share the next. So uneven load makes larger batches instead of storms of
//! no-ops, and the memory of the merge stays bounded.

use std::collections::VecDeque;

/// How many entries with commands a group may have ahead of the merge, by default. Few, because entries that
/// are cut early cannot grow: at constant load a window of 64 made several times more entries with 16 groups
/// than with one, and a window of 4 hardly any more.
pub const COMMAND_ENTRY_WINDOW: usize = 4;

/// No entry is cut at less than this part of a full one while commands wait.
const LEAST_ENTRY: usize = 4;

/// Decides whether a leader may cut its next entry with commands. Skips are neither counted nor held back:
/// the merge may be waiting for them.
///
/// ```
/// use niagara_sequencer::Pacing;
///
/// let pacing = Pacing::default();
/// assert!(pacing.may_cut(3));
/// assert!(!pacing.may_cut(4), "the commands wait, and share the next entry");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pacing {
    window: usize,
}

impl Pacing {
    /// Lets a group have `window` entries with commands ahead of the merge. Panics on 0, which would never
    /// cut an entry.
    #[must_use]
    pub const fn new(window: usize) -> Self {
        assert!(window >= 1, "a window of 0 entries lets nothing through");
        Self { window }
    }

    /// Whether to cut another entry with commands while this server's merge has yet to reach
    /// `outstanding_command_entries` of the group's.
    #[must_use]
    pub const fn may_cut(&self, outstanding_command_entries: usize) -> bool {
        outstanding_command_entries < self.window
    }

    /// How many entries may be ahead of the merge when a leader whose window was full resumes, while
    /// `uncommitted` of them are on their way to a quorum. Half a window, as long as the others suffice to keep
    /// links and disks busy: resuming at each step of the merge would mean cutting, sending and waking up for
    /// one entry at a time (the silly window of RFC 813). If most are committed and wait for other groups, any
    /// room will do: the group's link would be idle, and the next round would last longer for it.
    ///
    /// ```
    /// use niagara_sequencer::Pacing;
    ///
    /// let pacing = Pacing::new(4);
    /// assert_eq!(pacing.goes_on_at(4), 2);
    /// assert_eq!(pacing.goes_on_at(2), 3);
    /// ```
    #[must_use]
    pub const fn goes_on_at(&self, uncommitted: usize) -> usize {
        let half = self.window / 2;
        if uncommitted <= half { self.window - 1 } else { half }
    }

    /// Bytes at which to cut the next entry of a group with `in_flight` bytes of commands that wait to be cut
    /// or merged; `full` bytes at most. Two thirds of what is in flight make a window of entries, so that the
    /// next one waits when there is room. Fewer and larger ones would leave the link idle while the merge
    /// waits for other groups. But an entry takes at least a quarter of `full`, since short ones cost as
    /// much as long ones.
    ///
    /// ```
    /// use niagara_sequencer::Pacing;
    ///
    /// let pacing = Pacing::new(4);
    /// assert_eq!(pacing.entry_bytes(1 << 20, 64 << 10), 64 << 10);
    /// assert_eq!(pacing.entry_bytes(192 << 10, 64 << 10), 32 << 10);
    /// assert_eq!(pacing.entry_bytes(100, 64 << 10), 16 << 10);
    /// ```
    #[must_use]
    pub fn entry_bytes(&self, in_flight: usize, full: usize) -> usize {
        (in_flight * 2).div_ceil(self.window * 3).clamp(full / LEAST_ENTRY, full)
    }
}

impl Default for Pacing {
    /// A window of [`COMMAND_ENTRY_WINDOW`] entries.
    fn default() -> Self {
        Self::new(COMMAND_ENTRY_WINDOW)
    }
}

/// Decides, for one group, whether this server's merge lags so far behind that it should not lead: its pacing
/// would slow down the whole cluster. The caller's ticks are the clock.
///
/// The merge *starts* to lag when both hold: more than two windows of committed command entries are unmerged,
/// which a leader that paces itself never reaches and a follower only passes in a burst; and entries that
/// were committed an election timeout ago are still unmerged, which a burst does not explain. A cluster with
/// little to do never has that many entries. There the merge also starts to lag when more than half a window
/// is unmerged, so that a leader may take nothing more, and no entry has been merged for too long. That is
/// three election timeouts if the merge awaits a group, longer than a failover takes. If it awaits none, the
/// state machine here hangs, and one election timeout is long enough. The window may have filled up long after the merge stopped.
///
/// The merge *stops* lagging when it has merged everything that was committed half an election timeout ago,
/// however much is unmerged. In between nothing changes, so that leadership does not flap while the delay is
/// near the limit.
///
/// ```
/// use niagara_sequencer::Lag;
///
/// let mut lag = Lag::new(4, 2);
/// assert!(!lag.observe_tick(100, 0, false));
/// assert!(!lag.observe_tick(100, 0, false), "a burst: an election timeout has not passed yet");
/// assert!(lag.observe_tick(100, 0, false));
/// assert!(lag.observe_tick(100, 99, false), "almost there");
/// assert!(!lag.observe_tick(100, 100, false));
/// ```
#[derive(Clone, Debug)]
pub struct Lag {
    /// A leader takes no more once its window is full, and may then wait until half of it is merged
    /// ([`Pacing::goes_on_at`]).
    window: u64,
    /// The merged count at the last tick.
    merged: u64,
    /// For how many ticks the count has not changed while something was unmerged.
    halted_ticks: usize,
    /// In how many of the last ones of these the merge awaited no group.
    hanging_ticks: usize,
    /// Committed counts of the last ticks, oldest first: at most an election timeout and the present.
    committed: VecDeque<u64>,
    election_ticks: usize,
    lagging: bool,
}

/// A merge that has not moved for this many election timeouts, with entries before it, is halted.
const HALTED_ELECTIONS: usize = 3;

impl Lag {
    /// For a pacing window of `window` entries and an election timeout of `election_ticks` ticks. Panics if
    /// either is 0.
    #[must_use]
    pub fn new(window: usize, election_ticks: u32) -> Self {
        assert!(window >= 1, "a window of 0 entries lets nothing through");
        assert!(election_ticks >= 1, "an election takes at least a tick");
        let election_ticks = election_ticks as usize;
        let committed = VecDeque::with_capacity(election_ticks + 1);
        let window = window as u64;
        Self {
            window,
            merged: 0,
            halted_ticks: 0,
            hanging_ticks: 0,
            committed,
            election_ticks,
            lagging: false,
        }
    }

    /// Takes a tick's counts, and returns whether the merge lags. Both count the group's entries with
    /// commands since the same moment, committed ones and merged ones, and never fall. `awaits` says whether
    /// the merge awaits a slot that nothing on this server fills.
    pub fn observe_tick(
        &mut self,
        committed_command_entries: u64,
        merged_command_entries: u64,
        awaits: bool,
    ) -> bool {
        if self.committed.len() > self.election_ticks {
            self.committed.pop_front();
        }
        self.committed.push_back(committed_command_entries);
        let ago = if self.lagging { self.election_ticks.div_ceil(2) } else { self.election_ticks };
        // Until a whole timeout has been observed, no entry is known to be that old.
        let due = self.committed.iter().rev().nth(ago).copied().unwrap_or(0);
        let overdue = merged_command_entries < due;
        let unmerged = committed_command_entries.saturating_sub(merged_command_entries);
        let stands_still = merged_command_entries == self.merged && unmerged > 0;
        self.halted_ticks = if stands_still { self.halted_ticks + 1 } else { 0 };
        self.hanging_ticks = if stands_still && !awaits { self.hanging_ticks + 1 } else { 0 };
        self.merged = merged_command_entries;
        let halted = self.halted_ticks > HALTED_ELECTIONS * self.election_ticks
            || self.hanging_ticks > self.election_ticks;
        let holds_up = halted && unmerged > self.window / 2;
        // Two unmerged windows alone are not a lag.
        self.lagging = overdue && (self.lagging || unmerged > 2 * self.window || holds_up);
        self.lagging
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_of_one_lets_one_entry_out() {
        let pacing = Pacing::new(1);
        assert!(pacing.may_cut(0));
        assert!(!pacing.may_cut(1));
        assert!(!pacing.may_cut(2), "more than the window, after a change of leader");
    }

    #[test]
    fn a_merge_that_keeps_up_never_lags_at_any_rate() {
        for rate in [1, 10, 1_000_000] {
            let mut lag = Lag::new(4, 10);
            for tick in 1..100 {
                assert!(!lag.observe_tick(tick * rate, (tick - 1) * rate, true), "a tick behind");
            }
            for tick in 100..200 {
                assert!(
                    !lag.observe_tick(tick * rate, (tick - 10) * rate, true),
                    "a timeout behind, exactly"
                );
            }
        }
    }

    #[test]
    fn a_few_old_entries_are_no_lag() {
        let mut lag = Lag::new(4, 10);
        for _ in 0..100 {
            assert!(!lag.observe_tick(2, 0, true), "half a window, for ever: a leader still takes commands");
        }
        let mut lag = Lag::new(4, 10);
        for _ in 0..20 {
            assert!(!lag.observe_tick(8, 0, true), "two windows, for a while");
        }
        assert!(lag.observe_tick(9, 0, true), "one more, and what was committed long ago is not merged");
    }

    #[test]
    fn a_window_that_is_not_merged_at_all_is_a_lag_in_the_end() {
        let (mut lag, mut slow) = (Lag::new(4, 10), Lag::new(4, 10));
        for tick in 0..30 {
            assert!(!lag.observe_tick(4, 0, true), "a failover may take as long");
            assert!(!slow.observe_tick(4 + tick / 20, tick / 20, true));
        }
        assert!(lag.observe_tick(4, 0, true), "halted: its leader would hold up everybody");
        for tick in 30..100 {
            assert!(!slow.observe_tick(4 + tick / 20, tick / 20, true), "slow, and it moves");
        }
        assert!(!lag.observe_tick(4, 4, true));
    }

    #[test]
    fn a_window_that_fills_up_long_after_the_merge_stopped_is_a_lag_at_once() {
        let mut lag = Lag::new(4, 10);
        for _ in 0..100 {
            assert!(!lag.observe_tick(2, 0, true), "a leader still takes commands");
        }
        assert!(lag.observe_tick(4, 0, true), "it takes no more, and what it has is not merged");
        let mut lag = Lag::new(4, 10);
        lag.observe_tick(4, 0, true);
        for _ in 0..31 {
            assert!(!lag.observe_tick(4, 1, true), "a failover may take as long");
        }
        assert!(
            lag.observe_tick(4, 1, true),
            "more than half a window: its leader waits until half is merged"
        );
    }

    #[test]
    fn a_state_machine_that_hangs_is_a_lag_after_a_timeout() {
        let (mut lag, mut waits) = (Lag::new(4, 10), Lag::new(4, 10));
        lag.observe_tick(3, 0, false);
        waits.observe_tick(3, 0, true);
        for tick in 1..10 {
            assert!(!lag.observe_tick(3, 0, false), "a slow command, at tick {tick}");
            assert!(!waits.observe_tick(3, 0, tick == 5));
        }
        assert!(lag.observe_tick(3, 0, false), "its leader would hold up everybody");
        for _ in 10..16 {
            assert!(!waits.observe_tick(3, 0, false), "a group was awaited in between");
        }
        assert!(waits.observe_tick(3, 0, false));
    }

    #[test]
    fn lag_begins_at_a_timeout_and_ceases_at_half_of_it() {
        let (rate, timeout) = (100, 10);
        let mut lag = Lag::new(4, timeout as u32);
        for tick in 20..40 {
            lag.observe_tick(tick * rate, (tick - timeout) * rate, true);
        }
        assert!(!lag.observe_tick(40 * rate, (40 - timeout) * rate, true));
        assert!(lag.observe_tick(41 * rate, (41 - timeout - 1) * rate, true));
        assert!(
            lag.observe_tick(42 * rate, (42 - timeout) * rate, true),
            "a timeout behind: begins no lag, ends none"
        );
        assert!(lag.observe_tick(43 * rate, (43 - 6) * rate, true));
        assert!(!lag.observe_tick(44 * rate, (44 - 5) * rate, true), "half a timeout");
        assert!(
            !lag.observe_tick(45 * rate, (45 - 6) * rate, true),
            "does not begin again before a whole one"
        );
    }

    #[test]
    fn lag_lasts_until_the_old_entries_are_merged_however_few_they_are() {
        let mut lag = Lag::new(4, 2);
        lag.observe_tick(10, 0, true);
        lag.observe_tick(10, 0, true);
        assert!(lag.observe_tick(10, 0, true));
        assert!(lag.observe_tick(10, 9, true), "one left, and it is old");
        assert!(!lag.observe_tick(1000, 10, true), "many left, but new");
    }
}
