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

    /// Takes what is asked for, if it may be made now.
    pub fn take_wanted_if(&self, may_start: impl FnOnce(&Wanted) -> bool) -> Option<Wanted> {
        self.wanted.lock().take_if(|wanted| may_start(wanted))
    }

    /// Hands over an epoch whose groups are there. Wake the sequencer's thread afterwards.
    pub fn is_ready(&self, next: NextEpoch) {
        self.ready.lock().push_back(next);
    }

    /// Takes the groups of this epoch, if they are there. Those of earlier ones are of no use any more.
    pub fn take(&self, epoch: Epoch) -> Option<NextEpoch> {
        let mut ready = self.ready.lock();
        while ready.pop_front_if(|next| next.progress.number < epoch).is_some() {}
        ready.pop_front_if(|next| next.progress.number == epoch)
    }

    /// Whether any epoch's groups are there.
    pub fn has_any(&self) -> bool {
        !self.ready.lock().is_empty()
    }

    /// Whether the groups of this epoch are there.
    pub fn has(&self, epoch: Epoch) -> bool {
        self.ready.lock().iter().any(|next| next.progress.number == epoch)
    }
}
