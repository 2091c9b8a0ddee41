//! How much may wait on this server behind something slow.
//!
//! Other servers do not wait for this one: they commit what its disk, its merge or its state machine has not
//! reached, and send it more. So every place where something can wait has a bound in bytes. See "What waits,
//! and how much" in ARCHITECTURE.md.

use crate::planted::{self, Bug};
use crate::sync::{AtomicBool, AtomicU64, Ordering::SeqCst};

/// The limits, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ByteLimits {
    /// For the logs of all groups together, beyond what the merge has passed.
    pub behind: u64,
    /// For entries pulled from the logs and not merged; and again for entries merged and not executed.
    pub merge: u64,
}

/// Bytes that wait, written by the threads that they pass through.
#[derive(Debug)]
pub(crate) struct Bounds {
    pub limits: ByteLimits,
    groups: AtomicU64,
    behind: AtomicU64,
    is_behind: AtomicBool,
    pulled: AtomicU64,
    executing: AtomicU64,
}

impl Bounds {
    pub fn new(limits: ByteLimits, groups: usize) -> Self {
        let zero = || AtomicU64::new(0);
        let is_behind = AtomicBool::new(false);
        Bounds {
            limits,
            groups: AtomicU64::new(groups as u64),
            behind: zero(),
            is_behind,
            pulled: zero(),
            executing: zero(),
        }
    }

    /// The groups of one more epoch are there.
    pub fn groups_come(&self, groups: usize) {
        self.groups.fetch_add(groups as u64, SeqCst);
    }

    /// The groups of an ended epoch are closed.
    pub fn groups_go(&self, groups: usize) {
        self.groups.fetch_sub(groups as u64, SeqCst);
    }

    /// Bytes in the logs of all groups that the merge has not passed.
    pub fn behind(&self) -> u64 {
        self.behind.load(SeqCst)
    }

    /// Whether the logs hold so much that only the group that the merge awaits may grow.
    pub fn is_behind(&self) -> bool {
        self.is_behind.load(SeqCst) && !planted::is(Bug::BehindUnbounded)
    }

    /// Bytes that a group may hold beyond the merge while this server is behind, if it is the awaited one.
    /// The shares of all groups together fit between the point where a server counts as behind and the limit.
    pub fn share(&self) -> u64 {
        self.limits.behind / 8 / self.groups.load(SeqCst)
    }

    /// Reports that a group's log holds `now` bytes beyond the merge, and held `before` until now.
    ///
    /// A server counts as behind from seven eighths of the limit, and caught up below five eighths. In
    /// between nothing changes, so it does not keep switching.
    pub fn group_is_behind(&self, before: u64, now: u64) {
        if now == before {
            return;
        }
        let total = if now > before {
            self.behind.fetch_add(now - before, SeqCst) + (now - before)
        } else {
            self.behind.fetch_sub(before - now, SeqCst) - (before - now)
        };
        let limit = self.limits.behind;
        let is_behind = self.is_behind.load(SeqCst);
        if !is_behind && total >= limit - limit / 8 {
            if !self.is_behind.swap(true, SeqCst) {
                tracing::warn!(
                    behind_bytes = total,
                    limit,
                    "the merge is so far behind the logs that this server accepts entries only of the group \
                     that it awaits; see awaited_group in /status: its leader cannot be reached, or \
                     execution is too slow"
                );
            }
        } else if is_behind && total < limit / 8 * 5 && self.is_behind.swap(false, SeqCst) {
            tracing::info!(
                behind_bytes = total,
                limit,
                "the merge has caught up: this server accepts entries of all groups again"
            );
        }
    }

    /// Reports the bytes that the merge holds.
    pub fn set_pulled(&self, bytes: u64) {
        self.pulled.store(bytes, SeqCst);
    }

    /// Bytes that the merge holds.
    pub fn pulled(&self) -> u64 {
        self.pulled.load(SeqCst)
    }

    /// Bytes that wait for execution.
    pub fn executing(&self) -> u64 {
        self.executing.load(SeqCst)
    }

    /// Whether so much waits for execution that merging has to pause.
    pub fn execution_is_full(&self) -> bool {
        self.executing() >= self.limits.merge
    }

    /// Reports that `bytes` were handed to execution.
    pub fn merged(&self, bytes: u64) {
        self.executing.fetch_add(bytes, SeqCst);
    }

    /// Reports that `bytes` were executed; `true` if the sequencer may be waiting for that.
    pub fn executed(&self, bytes: u64) -> bool {
        let before = self.executing.fetch_sub(bytes, SeqCst);
        let counts = if planted::is(Bug::FullNotSaid) { before - bytes } else { before };
        counts >= self.limits.merge
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_behind_from_near_the_limit_until_well_below_it() {
        let bounds = Bounds::new(ByteLimits { behind: 800, merge: 100 }, 2);
        bounds.group_is_behind(0, 400);
        bounds.group_is_behind(0, 299);
        assert!(!bounds.is_behind());
        bounds.group_is_behind(299, 300);
        assert!(bounds.is_behind());
        bounds.group_is_behind(400, 200);
        assert!(bounds.is_behind(), "{}", bounds.behind());
        bounds.group_is_behind(300, 299);
        assert!(!bounds.is_behind());
        assert_eq!(bounds.share(), 50);
    }

    #[test]
    fn execution_is_full_at_its_limit() {
        let bounds = Bounds::new(ByteLimits { behind: 800, merge: 100 }, 2);
        bounds.merged(99);
        assert!(!bounds.execution_is_full());
        bounds.merged(50);
        assert!(bounds.execution_is_full());
        assert!(bounds.executed(99), "the sequencer may have waited");
        assert!(!bounds.executed(50) && !bounds.execution_is_full());
    }
}
