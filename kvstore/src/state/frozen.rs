//! The walk over a view of the map, which writes it in chunks.

use std::sync::Arc;

use niagara_engine::{CHUNK_BYTES, Frozen};
use parking_lot::RwLockUpgradableReadGuard;

use super::chunk::{self, SnapshotEntry, Stamp};
use super::entry::Entry;
use super::map::Map;
use super::place::{Place, SHARD_BITS};
use super::tables::Tables;
use super::view::View;
use super::writer::SHARED_VALUE_BYTES;
use crate::database::Spaces;
use crate::receipts::{Receipt, Row};

/// A view of a [`Kv`](super::Kv) at one position, to be written while the state keeps changing.
///
/// Creating it is free, and it keeps in memory only what changes before it is written. Dropping it early
/// frees that.
#[derive(Debug)]
pub struct KvFrozen {
    map: Arc<Map>,
    view: Arc<View>,
    /// Where the walk continues; `None` once all shards are done.
    at: Option<Place>,
    /// Entries of the view that have left the map, and are still to be written.
    ready: Vec<Entry>,
    /// Where the databases were at that position.
    spaces: Spaces,
    /// Life, clock, notices and limit of the state at that position. Every chunk has them, so a state with either has at least one
    /// chunk.
    stamp: Stamp,
    /// All users, as text, until a chunk has them.
    users: Vec<u8>,
    /// The receipts that are still to be written.
    receipts: Row,
    stamp_told: bool,
}

impl KvFrozen {
    /// The entries of the map that were last changed at `position` or before. No command at `position` may
    /// follow.
    pub(super) fn new(map: Arc<Map>, position: u64, users: Vec<u8>, receipts: Row) -> KvFrozen {
        let view = Arc::new(View::new(position));
        map.freeze(&view);
        let stamp = Stamp {
            life: map.life(),
            clock: map.ordered_clock(),
            notices: map.notices(),
            memory: map.memory(),
        };
        let stamp_told = stamp == Stamp::default() && users.is_empty();
        let spaces = map.spaces();
        KvFrozen {
            map,
            view,
            at: Some(Place::start_of(0)),
            ready: Vec::new(),
            spaces,
            stamp,
            users,
            receipts,
            stamp_told,
        }
    }

    /// The receipts for the next chunk.
    fn take_receipts(&mut self) -> Vec<(u64, Receipt)> {
        let (mut taken, mut bytes) = (Vec::new(), 0);
        while bytes < CHUNK_BYTES
            && let Some(some) = self.receipts.take_some()
        {
            bytes += some.iter().map(|(_, receipt)| chunk::receipt_bytes(receipt)).sum::<usize>();
            taken.extend(some);
        }
        taken
    }

    /// Walks on, over at most one table, and takes what was saved meanwhile; `false` if nothing is left.
    fn walk(&mut self, chunk: &mut Vec<u8>, room: usize) -> bool {
        let walked = self.at;
        if let Some(at) = walked {
            self.at = self.walk_from(at, chunk, room).or_else(|| at.next_shard());
        }
        self.view.drain_saved(&mut self.ready);
        walked.is_some() || !self.ready.is_empty()
    }

    /// Walks on from `at` and returns where to continue in the same shard.
    fn walk_from(&mut self, at: Place, chunk: &mut Vec<u8>, room: usize) -> Option<Place> {
        let KvFrozen { map, view, ready, spaces, .. } = self;
        let number = at.shard();
        // Readers run beside this lock, and it can be upgraded for writing without a writer slipping in
        // between.
        let shard = map.read_upgradably(number);
        if shard.is_frozen() {
            let next = copy_out((view, *spaces), shard.tables(), at, chunk, room, ready);
            match next {
                Some(next) => {
                    view.advance(next);
                    // The walk would take this lock again before a waiting writer has woken up. Without a
                    // turn of its own, the writer would wait for the whole shard.
                    RwLockUpgradableReadGuard::unlock_fair(shard);
                }
                None => RwLockUpgradableReadGuard::upgrade(shard).unfreeze(),
            }
            return next;
        }
        drop(shard);
        let mut taken = view.taken();
        let next = copy_out((view, *spaces), &taken[&number], at, chunk, room, ready);
        if next.is_none() {
            let walked = taken.remove(&number);
            // Freeing it takes a while, during which the map may be emptied again.
            drop(taken);
            drop(walked);
        }
        next
    }
}

/// Copies what the view holds of the table at `at` to the chunk, about `room` bytes at most. Large values are
/// left to be copied when nobody waits for the shard. Returns where to continue in the same shard.
fn copy_out(
    (view, spaces): (&View, Spaces),
    tables: &Tables,
    at: Place,
    chunk: &mut Vec<u8>,
    mut room: usize,
    large: &mut Vec<Entry>,
) -> Option<Place> {
    let table = tables.tables_from(at).next().into_iter().flatten();
    let mut entries: Vec<&Entry> = table.filter(|entry| view.holds(entry)).collect();
    entries.sort_unstable_by_key(|entry| entry.place());
    let mut entries = entries.into_iter().peekable();
    while let Some(entry) = entries.next() {
        if entry.value().len() < SHARED_VALUE_BYTES {
            chunk::write_entry(chunk, &SnapshotEntry::of(entry, spaces));
        } else {
            large.push(entry.clone());
        }
        room = room.saturating_sub(entry.key().len() + entry.value().len());
        // Keys of equal place are walked together, since only the place records what has been walked.
        if room == 0
            && let Some(next) = entries.peek()
            && next.place() > entry.place()
        {
            return Some(next.place());
        }
    }
    tables.next_table(at)
}

impl Frozen for KvFrozen {
    fn next_chunk(&mut self, chunk: &mut Vec<u8>) -> bool {
        let start = chunk.len();
        let receipts = self.take_receipts();
        let is_needed = !self.stamp_told || !receipts.is_empty();
        chunk::begin(chunk, self.stamp, &std::mem::take(&mut self.users), &receipts);
        let begun = chunk.len();
        while chunk.len() < start + CHUNK_BYTES {
            // A restored value of this size shares the chunk's memory, so it should have its own chunk.
            let fits = |entry: &mut Entry| entry.value().len() < CHUNK_BYTES || chunk.len() == begun;
            if let Some(entry) = self.ready.pop_if(fits) {
                chunk::write_entry(chunk, &SnapshotEntry::of(&entry, self.spaces));
            } else if !self.ready.is_empty() || !self.walk(chunk, start + CHUNK_BYTES - chunk.len()) {
                break;
            }
        }
        if chunk.len() == begun && !is_needed {
            chunk.truncate(start);
        }
        self.stamp_told = true;
        chunk.len() > start
    }
}

impl Drop for KvFrozen {
    fn drop(&mut self) {
        let rest = self.at.map_or(1 << SHARD_BITS, Place::shard);
        for number in rest..1 << SHARD_BITS {
            self.map.write(number).unfreeze();
        }
    }
}

#[cfg(test)]
mod tests;
