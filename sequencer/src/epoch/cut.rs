//! Cuts: the points of the global log at which snapshots are taken, and their order.

use std::fmt;

use super::record::Epoch;

/// The end of a round of an epoch: everything up to it is in a snapshot. Cuts are ordered as in the global log.
///
/// Where one epoch ends and the next begins there is one cut only, round 0 of the later one: a snapshot there holds the later
/// epoch's record, and belongs to it. So a cut names one state, and a round alone never names a snapshot.
///
/// ```
/// use niagara_sequencer::epoch::{Cut, Epoch};
///
/// // Epoch 1 ends with its round 9.
/// let before = Cut::after(Epoch::FIRST, 8, Some(9));
/// let end = Cut::after(Epoch::FIRST, 9, Some(9));
/// assert_eq!(end, Cut::start_of(Epoch::new(2)));
/// assert!(before < end && end < Cut::after(Epoch::new(2), 1, None));
/// assert_eq!(end.to_string(), "2-0");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cut {
    /// The epoch.
    pub epoch: Epoch,
    /// The last round before the cut, of that epoch; 0 at its beginning.
    pub round: u64,
}

impl Default for Cut {
    /// The beginning of the global log.
    fn default() -> Cut {
        Cut::start_of(Epoch::FIRST)
    }
}

impl Cut {
    /// The beginning of an epoch.
    #[must_use]
    pub const fn start_of(epoch: Epoch) -> Cut {
        Cut { epoch, round: 0 }
    }

    /// The end of a round of an epoch, whose last one is `last_round`, if that is decided. Panics on a void round.
    #[must_use]
    pub fn after(epoch: Epoch, round: u64, last_round: Option<u64>) -> Cut {
        assert!(
            last_round.is_none_or(|last| round <= last),
            "global_prefix: round {round} of epoch {epoch} is void"
        );
        if last_round == Some(round) { Cut::start_of(epoch.next()) } else { Cut { epoch, round } }
    }
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch, self.round)
    }
}
