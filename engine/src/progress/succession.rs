//! How one epoch follows another on this server: the sequencer finds the end of an epoch, and the thread of the
//! snapshots, which may wait for the disk, makes the logs of the next one.

use std::collections::VecDeque;
use std::sync::Arc;

use niagara_log::LogStore;
use niagara_sequencer::epoch::{Chain, Epoch, Sealed};
use parking_lot::Mutex;

use super::epoch::EpochProgress;
use crate::snapshot::Header;

/// An epoch whose groups this server has to make.
#[derive(Debug)]
pub(crate) struct Wanted {
    /// The epochs up to that one.
    pub chain: Chain,
    pub after: Before,
}

/// What this server holds of the epoch before.
#[derive(Debug)]
pub(crate) enum Before {
    /// The merge has come to its end. Its logs have to be durable up to there before the next one starts.
    Merged(Sealed),
    /// A received snapshot of the next epoch replaces it.
    Replaced(Arc<Header>),
}

/// An epoch whose groups are there.
pub(crate) struct NextEpoch {
    pub progress: Arc<EpochProgress>,
    /// Its logs, in order of the groups.
    pub stores: Vec<LogStore>,
}

/// Hand-over of epochs between the two threads.
#[derive(Default)]
pub(crate) struct Succession {
    wanted: Mutex<Option<Wanted>>,
    /// By rising number. A start finds several if an epoch had ended shortly before.
    ready: Mutex<VecDeque<NextEpoch>>,
}

impl Succession {
    /// Asks for an epoch's groups. Wake the thread of the snapshots afterwards.
    pub fn want(&self, wanted: Wanted) {
        *self.wanted.lock() = Some(wanted);
    }

    /// Asks once more for what could not be made, unless a later epoch has been asked for since.
    pub fn want_again(&self, wanted: Wanted) {
        self.wanted.lock().get_or_insert(wanted);
    }

    /// Takes what is asked for, if it may be made now.
    pub fn take_wanted_if(&self, may_start: impl FnOnce(&Wanted) -> bool) -> Option<Wanted> {
        self.wanted.lock().take_if(|wanted| may_start(wanted))
    }

    /// Hands over an epoch whose groups are there. Wake the sequencer's thread afterwards.
    pub fn is_ready(&self, next: NextEpoch) {
        self.ready.lock().push_back(next);
    }

    /// Takes the groups of this epoch, if they are there, behind those of the epochs before it that have yet to be merged.
    pub fn take_up_to(&self, epoch: Epoch) -> Option<(Vec<NextEpoch>, NextEpoch)> {
        let mut ready = self.ready.lock();
        let place = ready.iter().position(|next| next.progress.number == epoch)?;
        let mut taken: Vec<NextEpoch> = ready.drain(..=place).collect();
        let last = taken.pop()?;
        Some((taken, last))
    }

    /// Whether the groups of this epoch are there.
    pub fn has(&self, epoch: Epoch) -> bool {
        self.ready.lock().iter().any(|next| next.progress.number == epoch)
    }
}
