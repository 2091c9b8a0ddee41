//! A server's disk: it forgets what was not synced, tears interrupted writes, fills up and breaks.
//!
//! It promises what the log's format assumes of a disk (`engine/log/src/FORMAT.md`) and nothing more. A crash
//! of the process leaves everything that was written. A loss of power leaves all, nothing, or any mixture of
//! old and new bytes of each unsynced write, and a part of the unsynced names. A direct write during which
//! the power fails leaves any of its blocks: some written, some not, one half, one full of noise.

mod content;
mod damage;
mod files;
mod renaming;
mod state;
#[cfg(test)]
mod tests;
mod trouble;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

pub use damage::Loss;
pub use state::Losses;
pub use trouble::{FailingSync, Trouble};

use crate::parts::aim::Aim;
use crate::parts::chance::Chance;
use crate::parts::names::Names;
use content::Content;
use renaming::Renaming;
use state::State;

/// Length of a block, in bytes. Short, so that writes have several and small segments hold many.
pub const BLOCK: usize = 64;

/// A disk; all clones are the same disk.
#[derive(Clone, Debug)]
pub struct Disk(Arc<Mutex<State>>);

/// Contents of a disk at one moment.
#[derive(Clone, Debug)]
pub struct Image {
    names: Names,
    durable_names: Names,
    renamings: Vec<Renaming>,
    contents: BTreeMap<u64, Content>,
    trouble: Trouble,
}

impl Disk {
    /// An empty disk. `chance` decides what a loss of power takes.
    pub fn new(chance: Chance) -> Disk {
        Disk(Arc::new(Mutex::new(State::new(chance))))
    }

    /// Changes what is wrong with it.
    pub fn trouble(&self, change: impl FnOnce(&mut Trouble)) {
        change(&mut self.state().trouble);
    }

    /// Takes no direct writes from the next start of a server on.
    pub fn forbid_direct_writes(&self) {
        self.state().direct = false;
    }

    /// Whether a write or a sync would hang now.
    pub fn hangs(&self) -> bool {
        self.state().trouble.hangs
    }

    /// Whether the server has died in the middle of a change.
    pub fn has_died(&self) -> bool {
        self.state().dead
    }

    /// The aimed-at step, if the server has died there since the last call.
    pub fn take_struck(&self) -> Option<Aim> {
        self.state().struck.take()
    }

    /// The sync that has failed since the last call, if any.
    pub fn take_failed(&self) -> Option<Aim> {
        self.state().failed.take()
    }

    /// Ends the process: what it wrote stays. The disk is ready for the next process.
    pub fn process_ends(&self) {
        let mut state = self.state();
        state.dead = false;
        (state.trouble.dies_after, state.trouble.dies_at) = (None, None);
    }

    /// Fails the power: what was not synced is lost, torn, or kept after all. The disk is ready for the next
    /// process.
    pub fn power_fails(&self) -> Losses {
        let mut state = self.state();
        state.dead = false;
        (state.trouble.dies_after, state.trouble.dies_at) = (None, None);
        state.boots += 1;
        state.lose_unsynced()
    }

    /// A copy of everything, to be [put back](Self::put_back).
    pub fn image(&self) -> Image {
        let state = self.state();
        Image {
            names: state.names.clone(),
            durable_names: state.durable_names.clone(),
            renamings: state.renamings.clone(),
            contents: state.contents.clone(),
            trouble: state.trouble,
        }
    }

    /// Replaces all contents with a copy.
    pub fn put_back(&self, image: Image) {
        let mut state = self.state();
        let Image { names, durable_names, renamings, contents, trouble } = image;
        (state.names, state.durable_names, state.renamings) = (names, durable_names, renamings);
        (state.contents, state.trouble) = (contents, trouble);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("nobody panics while holding a disk")
    }
}
