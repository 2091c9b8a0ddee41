//! Whether this server has been removed from its cluster. One that has goes on voting in its last epoch until enough of the
//! others have started the next one.

use std::collections::BTreeSet;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use niagara_sequencer::GlobalPosition;
use niagara_sequencer::epoch::{Cut, Epoch, Record};
use parking_lot::Mutex;

/// The epoch that goes on without this server, and who has started it.
#[derive(Default)]
pub(crate) struct Removal {
    next: OnceLock<Record>,
    started: Mutex<BTreeSet<u64>>,
    is_over: AtomicBool,
    has_executed_all: AtomicBool,
}

impl Removal {
    /// The cluster goes on in this epoch, without this server.
    pub fn is_known(&self, next: &Record) {
        if self.next.set(next.clone()).is_ok() {
            tracing::info!(
                epoch = next.epoch.get(),
                "this server is no member any more: it stops when a majority of the others has gone on"
            );
        }
    }

    /// That epoch, if there is one.
    pub fn next(&self) -> Option<&Record> {
        self.next.get()
    }

    /// Whether this server has executed all up to this position, and so all that its last epoch holds: `true` once. What is still
    /// in its lanes is never ordered.
    pub fn has_executed(&self, applied: GlobalPosition) -> bool {
        let is_all = self.next().is_some_and(|next| applied >= next.base);
        is_all && !self.has_executed_all.swap(true, SeqCst)
    }

    /// Notes that a server has a snapshot at this cut, so it has started its epoch. Returns whether this one is needed by
    /// nobody since then. If the cut is beyond the beginning of the next epoch, or that one has ended in its turn, a majority of
    /// its members had started it: only they could commit anything there. Some of them may have left since, or never have met
    /// this server, and tell it nothing.
    pub fn heard(&self, from: u64, cut: Cut) -> bool {
        let Some(next) = self.next().filter(|_| !self.is_over()) else { return false };
        if cut.epoch > next.epoch {
            return true;
        }
        if cut.epoch < next.epoch || !next.is_member(from) {
            return false;
        }
        if cut > Cut::start_of(next.epoch) {
            return true;
        }
        let mut started = self.started.lock();
        started.insert(from);
        started.len() >= next.quorum()
    }

    /// The server may stop.
    pub fn ends(&self) {
        self.is_over.store(true, SeqCst);
    }

    pub fn is_over(&self) -> bool {
        self.is_over.load(SeqCst)
    }

    /// The epoch from which on this server is needed by nobody.
    pub fn since(&self) -> Option<Epoch> {
        self.next().filter(|_| self.is_over()).map(|next| next.epoch)
    }
}

#[cfg(test)]
mod tests {
    use niagara_sequencer::epoch::{Chain, Terms};

    use super::*;

    #[test]
    fn a_server_is_needed_until_a_majority_of_those_that_stay_has_gone_on() {
        let terms =
            |members: &[u64]| Terms { groups: 1, members: members.to_vec(), level: 1, ..Terms::default() };
        let mut chain = Chain::genesis(terms(&[1, 2, 3, 4])).unwrap();
        chain.extend(5, terms(&[1, 2, 3])).unwrap();
        let removal = Removal::default();
        let cut = |epoch| Cut::start_of(Epoch::new(epoch));
        assert!(!removal.heard(1, cut(2)), "nothing is known yet");
        assert!(!removal.has_executed(GlobalPosition::new(100)));
        removal.is_known(&chain.newest().record);
        let base = chain.newest().record.base;
        assert!(!removal.has_executed(GlobalPosition::new(base.get() - 1)));
        assert!(removal.has_executed(base) && !removal.has_executed(base), "it is said once");
        assert!(!removal.heard(1, cut(1)) && !removal.heard(4, cut(2)) && !removal.heard(1, cut(2)));
        assert!(removal.heard(2, cut(2)) && removal.since().is_none());
        removal.ends();
        assert_eq!(removal.since(), Some(Epoch::new(2)));
        assert!(!removal.heard(3, cut(2)), "it is over once");

        let removal = Removal::default();
        removal.is_known(&chain.newest().record);
        assert!(removal.heard(7, cut(3)), "epoch 2 has ended, too");

        let removal = Removal::default();
        removal.is_known(&chain.newest().record);
        let beyond = Cut { epoch: Epoch::new(2), round: 1 };
        assert!(!removal.heard(4, beyond), "of a member only");
        assert!(removal.heard(3, beyond), "a majority has begun");
    }
}
