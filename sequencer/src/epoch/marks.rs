//! Marks: what a server writes down, durably, before it does something that it must not forget.

use super::record::Epoch;

/// A server's marks: up to which epoch it has created logs, has started, and has closed. Each mark is durable before what it
/// allows is done, and none is ever taken back.
///
/// | mark | written | allows |
/// |---|---|---|
/// | created | when the logs of the epoch, and of all before it that are not closed, are on disk | votes; a start that finds no such log refuses |
/// | started | when the epoch before is [held](super::is_held) | acknowledgements, proposals, answers to read questions |
/// | closed | before the logs go | nothing any more: a log of this epoch is never made again |
///
/// ```
/// use niagara_sequencer::epoch::{Epoch, Marks, Sealed};
///
/// let (first, second) = (Epoch::FIRST, Epoch::new(2));
/// let mut marks = Marks::founder();
/// marks.create(second);
/// assert!(marks.may_vote(second) && !marks.may_acknowledge(second));
///
/// // All of epoch 1 is on disk: its last round is 5, up to entry 7 in its only group.
/// marks.start(second, vec![Sealed { epoch: first, last_round: 5, committed: vec![7] }]);
/// assert!(marks.may_acknowledge(second) && marks.may_acknowledge(first));
///
/// marks.close(first);
/// assert!(!marks.may_vote(first) && marks.sealed().is_empty());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Marks {
    created: u32,
    started: u32,
    closed: u32,
    sealed: Vec<Sealed>,
}

/// What a start wrote down about an epoch that has ended: without it, a restart would not know that its entries are committed,
/// and nobody may be left to say so.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Sealed {
    /// The epoch that has ended.
    pub epoch: Epoch,
    /// Its last round, P.
    pub last_round: u64,
    /// For each of its groups, the index up to which this server's log is committed. A start raises the log's own to it.
    pub committed: Vec<u64>,
}

impl Marks {
    /// A member of the first epoch, which has its logs from the beginning.
    #[must_use]
    pub fn founder() -> Marks {
        Marks { created: 1, started: 1, closed: 0, sealed: Vec::new() }
    }

    /// A server that joins: it makes no first epoch of its own, and follows until it has started one.
    #[must_use]
    pub fn newcomer() -> Marks {
        Marks::default()
    }

    /// From a file. `None` if the numbers contradict each other.
    #[must_use]
    pub fn read(created: u64, started: u64, closed: u64, sealed: Vec<Sealed>) -> Option<Marks> {
        let [created, started, closed] = [created, started, closed].map(u32::try_from);
        let (created, started, closed) = (created.ok()?, started.ok()?, closed.ok()?);
        let open = |sealed: &Sealed| (closed + 1..started).contains(&sealed.epoch.get());
        let is_sound = started <= created && closed <= created && sealed.iter().all(open);
        is_sound.then_some(Marks { created, started, closed, sealed })
    }

    /// The newest epoch whose logs are there, or were.
    #[must_use]
    pub fn newest_created(&self) -> Option<Epoch> {
        (self.created > 0).then(|| Epoch::new(self.created))
    }

    /// The logs of `epoch`, and of all before it that are not closed, are on disk; new ones are empty.
    pub fn create(&mut self, epoch: Epoch) {
        assert!(epoch.get() > self.closed, "epoch {epoch} is closed, and cannot be made again");
        self.created = self.created.max(epoch.get());
    }

    /// Everything before `epoch` is held. `sealed` has the epochs before it whose logs are open here.
    pub fn start(&mut self, epoch: Epoch, sealed: Vec<Sealed>) {
        assert!(epoch.get() <= self.created, "epoch {epoch} starts before its logs are there");
        assert!(epoch.get() > self.started, "epoch {epoch} starts once");
        assert!(sealed.iter().all(|sealed| sealed.epoch < epoch && sealed.epoch.get() > self.closed));
        self.started = epoch.get();
        self.sealed = sealed;
    }

    /// The logs of `epoch` and of all before it are about to go.
    pub fn close(&mut self, epoch: Epoch) {
        self.closed = self.closed.max(epoch.get());
        self.sealed.retain(|sealed| sealed.epoch > epoch);
    }

    /// Whether the groups of `epoch` may vote here.
    #[must_use]
    pub fn may_vote(&self, epoch: Epoch) -> bool {
        (self.closed + 1..=self.created).contains(&epoch.get())
    }

    /// Whether the groups of `epoch` may acknowledge entries here, propose some, and answer questions of reads.
    #[must_use]
    pub fn may_acknowledge(&self, epoch: Epoch) -> bool {
        (self.closed + 1..=self.started).contains(&epoch.get())
    }

    /// Whether `epoch` has been closed here.
    #[must_use]
    pub fn has_closed(&self, epoch: Epoch) -> bool {
        epoch.get() <= self.closed
    }

    /// The newest epoch that has been started here.
    #[must_use]
    pub fn newest_started(&self) -> Option<Epoch> {
        (self.started > 0).then(|| Epoch::new(self.started))
    }

    /// The first epoch that is not closed.
    #[must_use]
    pub fn first_open(&self) -> Epoch {
        Epoch::new(self.closed + 1)
    }

    /// What the newest start wrote down about the epochs before it that are not closed.
    #[must_use]
    pub fn sealed(&self) -> &[Sealed] {
        &self.sealed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newcomer_takes_part_in_nothing_before_it_has_started() {
        let mut marks = Marks::newcomer();
        assert!(!marks.may_vote(Epoch::FIRST) && !marks.may_acknowledge(Epoch::FIRST));
        marks.create(Epoch::new(3));
        marks.close(Epoch::new(2));
        assert!(marks.may_vote(Epoch::new(3)) && marks.newest_started().is_none());
        marks.start(Epoch::new(3), Vec::new());
        assert!(marks.may_acknowledge(Epoch::new(3)) && !marks.may_vote(Epoch::new(2)));
    }

    #[test]
    #[should_panic(expected = "epoch 1 is closed")]
    fn what_is_closed_is_never_made_again() {
        let mut marks = Marks::founder();
        marks.close(Epoch::FIRST);
        marks.create(Epoch::FIRST);
    }

    #[test]
    #[should_panic(expected = "before its logs are there")]
    fn a_start_needs_the_logs() {
        Marks::founder().start(Epoch::new(2), Vec::new());
    }
}
