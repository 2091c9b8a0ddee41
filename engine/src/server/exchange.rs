//! When a server sends its digests to the others.

use std::time::Duration;

use niagara_group::digest_mark::DigestMark;

use crate::apply::Digests;

/// Period of sending, for all groups together, and only if there is something new. Differences are found
/// within seconds, for a few KiB.
const EVERY: Duration = Duration::from_secs(1);

/// One group's share of the sending. The groups take turns, so that no single link is decisive.
pub(crate) struct Exchange {
    /// Ticks between this group's turns.
    period: u64,
    until: u64,
    told: Option<(u64, Option<u64>)>,
}

impl Exchange {
    /// Share of one of several groups, given by its zero-based index.
    pub fn new(group: usize, groups: usize, tick: Duration) -> Exchange {
        let ticks = EVERY.div_duration_f64(tick).ceil().max(1.0) as u64;
        Exchange { period: ticks * groups as u64, until: ticks * (group as u64 + 1), told: None }
    }

    /// Advances by one tick; `true` if it is this group's turn.
    pub fn tick(&mut self) -> bool {
        self.until -= 1;
        if self.until == 0 {
            self.until = self.period;
        }
        self.until == self.period
    }

    /// Reports that a link is up: the peer may not have received what was sent before.
    pub fn link_up(&mut self) {
        self.told = None;
    }

    /// The digests to send; `None` if they were sent last time.
    pub fn news(&mut self, digests: &Digests) -> Option<Vec<DigestMark>> {
        let now = (digests.value(), digests.state());
        let kept = digests.kept();
        if self.told == Some(now) || kept.is_empty() {
            return None;
        }
        self.told = Some(now);
        Some(kept)
    }
}

#[cfg(test)]
mod tests {
    use niagara_sequencer::GlobalPosition;

    use super::*;

    #[test]
    fn groups_take_turns_once_a_second() {
        let mut groups: Vec<Exchange> =
            (0..3).map(|group| Exchange::new(group, 3, Duration::from_millis(50))).collect();
        let mut turns = Vec::new();
        for tick in 1..=120 {
            let due = groups
                .iter_mut()
                .enumerate()
                .filter_map(|(group, exchange)| exchange.tick().then_some(group));
            turns.extend(due.map(|group| (tick, group)));
        }
        assert_eq!(turns, [(20, 0), (40, 1), (60, 2), (80, 0), (100, 1), (120, 2)]);
    }

    #[test]
    fn what_was_told_is_not_told_again_until_a_link_comes_up() {
        let mut exchange = Exchange::new(0, 1, Duration::from_millis(50));
        let mut digests = Digests::default();
        assert_eq!(exchange.news(&digests), None);
        digests.commands(GlobalPosition::new(1), 5, None);
        assert!(exchange.news(&digests).is_some());
        digests.noops(GlobalPosition::new(2), 9);
        assert_eq!(exchange.news(&digests), None, "no-ops are no news");
        exchange.link_up();
        assert!(exchange.news(&digests).is_some());
        digests.commands(GlobalPosition::new(11), 5, None);
        assert!(exchange.news(&digests).is_some());
    }
}
