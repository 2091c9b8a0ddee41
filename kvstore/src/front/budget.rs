//! The memory that unfinished requests and replies of all clients may take together, and what is done as it fills up.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The largest budget that can be configured.
pub(super) const MOST_BYTES: usize = 1 << 40;

/// How much of the memory is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// Each client may have as much as one client may.
    Plenty,
    /// Nobody is read ahead, and little may wait for each client.
    Scant,
    /// Requests that take memory are refused.
    Short,
    /// Nothing is read.
    Full,
}

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Budget {
    limit: usize,
    held: AtomicUsize,
}

impl Budget {
    pub(super) fn new(limit: usize) -> Budget {
        Budget { limit, held: AtomicUsize::new(0) }
    }

    pub(super) fn level(&self) -> Level {
        let held = self.held();
        if held < self.limit / 2 {
            Level::Plenty
        } else if held < self.soft_limit() {
            Level::Scant
        } else if held < self.hard_limit() {
            Level::Short
        } else {
            Level::Full
        }
    }

    /// The level for the clients of an address that hold so much together, while so many addresses have clients. One that
    /// holds little is served as long as there is any memory: what others hold is theirs to give back.
    pub(super) fn level_of(&self, held: usize, addresses: usize) -> Level {
        let level = self.level();
        let is_modest = !self.is_paced(held, addresses) && self.held() < self.limit;
        if is_modest { level.min(Level::Scant) } else { level }
    }

    /// Whether the clients of an address that hold so much are read [slowly](super::pace): more than is always theirs.
    pub(super) fn is_paced(&self, held: usize, addresses: usize) -> bool {
        held >= self.share(addresses)
    }

    /// What an address may always hold. All of them together may hold as much as is [reserved](Self::hard_limit) for them.
    pub(super) fn share(&self, addresses: usize) -> usize {
        (self.limit - self.hard_limit()) / addresses.max(1)
    }

    /// A connection that has held `before` bytes holds `now` bytes.
    pub(super) fn settle(&self, before: usize, now: usize) {
        if now > before {
            self.held.fetch_add(now - before, Relaxed);
        } else if now < before {
            self.held.fetch_sub(before - now, Relaxed);
        }
    }

    /// How much has to be given back before requests are served again.
    pub(super) fn excess(&self) -> usize {
        self.held().saturating_sub(self.soft_limit())
    }

    pub(super) fn held(&self) -> usize {
        self.held.load(Relaxed)
    }

    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// From here on, nothing is read but what clients send whose addresses hold little.
    fn hard_limit(&self) -> usize {
        self.limit - self.limit / 8
    }

    /// From here on, requests are refused.
    fn soft_limit(&self) -> usize {
        self.limit - self.limit / 4
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_follow_what_is_held() {
        let budget = Budget::new(1000);
        for (held, level) in [
            (0, Level::Plenty),
            (499, Level::Plenty),
            (500, Level::Scant),
            (749, Level::Scant),
            (750, Level::Short),
            (874, Level::Short),
            (875, Level::Full),
            (5000, Level::Full),
        ] {
            budget.settle(budget.held(), held);
            assert_eq!((budget.held(), budget.level()), (held, level));
        }
        assert_eq!(budget.excess(), 4250);
        budget.settle(5000, 10);
        assert_eq!(budget.excess(), 0);
    }

    #[test]
    fn an_address_that_holds_little_is_served_until_there_is_nothing_left() {
        let budget = Budget::new(1000);
        for (held, modest, other) in [
            (400, Level::Plenty, Level::Plenty),
            (800, Level::Scant, Level::Short),
            (900, Level::Scant, Level::Full),
            (999, Level::Scant, Level::Full),
            (1000, Level::Full, Level::Full),
        ] {
            budget.settle(budget.held(), held);
            assert_eq!((budget.level_of(24, 5), budget.level_of(25, 5)), (modest, other), "{held}");
            assert_eq!((budget.is_paced(24, 5), budget.is_paced(25, 5)), (false, true), "{held}");
        }
        assert!((1..100).all(|addresses| addresses * budget.share(addresses) <= 1000 - 875));
    }
}
