//! Which entry ends an epoch.

use super::chain::{Chain, Refused};
use super::record::{Epoch, Terms};

/// An entry that asks for the end of an epoch. It fills a slot, as commands do.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EpochEnd {
    /// The epoch to end: that of the log that the entry stands in. A retry names the same one, and is never moved to another:
    /// whoever asked meant the cluster as it was then.
    pub epoch: Epoch,
    /// What comes next.
    pub next: Terms,
    /// Names the request, for whoever waits for its outcome.
    pub request: u128,
}

/// Why an [`EpochEnd`] ends nothing. It is a no-op then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotEnding {
    /// It names an epoch other than the running one.
    OtherEpoch,
    /// Another one came before it in the global log.
    EndedAlready,
    /// What it asks for cannot follow.
    Refused(Refused),
}

/// Whether the running epoch has an end, as the merge goes. Offer it the [`EpochEnd`]s *in the order of the global log*, as the
/// merge emits them: the first valid one counts, never the first one seen (invariant `global_prefix`).
///
/// ```
/// use niagara_sequencer::epoch::{Chain, Ending, Epoch, EpochEnd, NotEnding, Terms};
///
/// let terms = |groups| Terms { groups, members: vec![1, 2, 3], level: 1, ..Terms::default() };
/// let mut chain = Chain::genesis(terms(2)).expect("two groups");
/// let mut ending = Ending::default();
///
/// let end = |groups, request| EpochEnd { epoch: Epoch::FIRST, next: terms(groups), request };
/// assert!(ending.offer(&chain, 7, &end(0, 1)).is_err(), "no groups");
/// assert_eq!(ending.offer(&chain, 8, &end(4, 2)), Ok(()));
/// assert_eq!(ending.offer(&chain, 8, &end(1, 3)), Err(NotEnding::EndedAlready));
///
/// // The merge goes on to the end of round 8. There, the chain grows.
/// assert_eq!(ending.last_round(), Some(8));
/// ending.transition(&mut chain);
/// assert_eq!(chain.newest().record.terms, terms(4));
/// assert_eq!(ending, Ending::default());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ending(Option<(u64, Terms)>);

impl Ending {
    /// Takes the next [`EpochEnd`], which stands at `place`. If it is the one that ends the epoch, [`Merge::end_after`](crate::Merge::end_after)
    /// must be told at once, before another slot is taken.
    ///
    /// # Errors
    /// If it is not.
    pub fn offer(&mut self, chain: &Chain, place: u64, end: &EpochEnd) -> Result<(), NotEnding> {
        if end.epoch != chain.newest().record.epoch {
            return Err(NotEnding::OtherEpoch);
        }
        if self.0.is_some() {
            return Err(NotEnding::EndedAlready);
        }
        chain.check(&end.next).map_err(NotEnding::Refused)?;
        chain.base_after(place).ok_or(NotEnding::Refused(Refused::TooFar))?;
        self.0 = Some((place, end.next.clone()));
        Ok(())
    }

    /// The last round of the running epoch, P, if that is decided.
    #[must_use]
    pub fn last_round(&self) -> Option<u64> {
        self.0.as_ref().map(|(last_round, _)| *last_round)
    }

    /// At the end of the last round: adds the next epoch to the chain, and begins anew. Panics if the epoch has no end.
    pub fn transition(&mut self, chain: &mut Chain) {
        let (last_round, next) = self.0.take().expect("an epoch ends where that was decided");
        chain.extend(last_round, next).expect("global_prefix: an end was valid when it was merged");
    }
}
