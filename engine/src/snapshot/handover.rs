//! States on their way between execution and the snapshots' thread.

use super::header::Header;
use crate::state_machine::StateMachine;
use crate::sync::Mutex;

/// States on their way between the application's thread and the snapshots' thread.
pub(crate) struct Handover<S: StateMachine> {
    frozen: Mutex<Option<(Header, S::Frozen)>>,
    restored: Mutex<Option<S::Restoring>>,
}

impl<S: StateMachine> Default for Handover<S> {
    fn default() -> Self {
        Handover { frozen: Mutex::new(None), restored: Mutex::new(None) }
    }
}

impl<S: StateMachine> Handover<S> {
    /// Leaves a view for a snapshot.
    pub fn give_frozen(&self, header: Header, frozen: S::Frozen) {
        *self.frozen.lock() = Some((header, frozen));
    }

    /// Takes the view, if there is one.
    pub fn take_frozen(&self) -> Option<(Header, S::Frozen)> {
        self.frozen.lock().take()
    }

    /// Leaves a state that was read from a snapshot. There is at most one at a time, since it is in memory.
    ///
    /// # Panics
    /// If the previous state has not been taken: execution would continue from a later state than it is told.
    pub fn give_restored(&self, state: S::Restoring) {
        let before = self.restored.lock().replace(state);
        assert!(before.is_none(), "restored_state: a received state is taken before the next is given");
    }

    /// Whether a restored state waits to be taken.
    pub fn has_restored(&self) -> bool {
        self.restored.lock().is_some()
    }

    /// Takes the restored state, if there is one.
    pub fn take_restored(&self) -> Option<S::Restoring> {
        self.restored.lock().take()
    }
}
