//! Shards that a thread has locked: what commands and reads work on.
//!
//! They do not know how many shards are locked, or for how long. A command that stands alone has its own, and
//! the commands of a transaction share those of all of them.

use parking_lot::RwLockWriteGuard;

use super::place::Place;
use super::shard::Shard;

/// Locked shards, to look at.
pub(super) trait Look {
    /// The shard of a place.
    ///
    /// # Panics
    /// If it is not among the locked ones.
    fn shard(&self, place: Place) -> &Shard;
}

/// Locked shards, to change.
pub(super) trait Change: Look {
    /// The shard of a place.
    ///
    /// # Panics
    /// If it is not among the locked ones.
    fn shard_mut(&mut self, place: Place) -> &mut Shard;
}

/// All shards, to look at one after the other: locked together, or each by itself.
pub(super) trait Whole {
    /// Calls `look` with one shard.
    fn visit(&self, shard: usize, look: &mut dyn FnMut(&Shard));
}

/// The shard of the only key of a command.
pub(super) struct One<'m>(pub(super) RwLockWriteGuard<'m, Shard>);

impl Look for One<'_> {
    fn shard(&self, _place: Place) -> &Shard {
        &self.0
    }
}

impl Change for One<'_> {
    fn shard_mut(&mut self, _place: Place) -> &mut Shard {
        &mut self.0
    }
}
