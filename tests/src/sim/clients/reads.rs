//! Counts of reads that were answered.

use super::Checks;

/// Names of reads, as any server has answered them and as the follower has.
pub(super) const STRONG: [&str; 2] = ["strong read answered", "strong read at the follower"];
pub(super) const AT_LEAST: [&str; 2] = ["at-least read answered", "at-least read at the follower"];
pub(super) const WEAK: [&str; 2] = ["weak read answered", "weak read at the follower"];

impl Checks<'_> {
    /// A read has been answered.
    pub(super) fn count_read(&mut self, [by_any, by_follower]: [&'static str; 2]) {
        self.coverage.count(by_any);
        self.coverage.add(by_follower, self.by_follower.into());
    }
}
