//! Pages of a scan: keys in the order of their places. Growth of the map does not change that order, and it
//! is the same on every server.

use niagara_planted::{self as planted, Bug};

use super::entry::Entry;
use super::locked::Whole;
use super::place::Place;
use super::shard::Shard;
use crate::database::Space;

/// Where a scan continues: the first bucket still to be visited. A bucket is the highest 53 bits of a place,
/// since some clients read numbers as floating point. Its keys share a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor(pub u64);

const BUCKET_BITS: u32 = 53;

impl Cursor {
    /// The start of a scan, and what its last page returns.
    pub const START: Cursor = Cursor(0);

    /// The highest cursor.
    pub const MAX: Cursor = Cursor((1 << BUCKET_BITS) - 1);

    pub(super) fn place(self) -> Place {
        Place(self.0 << (u64::BITS - BUCKET_BITS))
    }

    /// The bucket of a place.
    pub(super) fn of(place: Place) -> Cursor {
        Cursor(place.0 >> (u64::BITS - BUCKET_BITS))
    }

    fn next(self) -> Option<Cursor> {
        (self != Cursor::MAX).then_some(Cursor(self.0 + 1))
    }
}

/// A page ends once its keys take this many bytes, whatever count was requested. That bounds what is copied,
/// and then compared with a pattern.
const PAGE_BYTES: usize = 1 << 20;

/// What a key costs besides its bytes.
const KEY_BYTES: usize = 16;

/// A page ends once so many keys of other databases were passed over, even if it is empty, so that nobody waits long for it.
const MOST_OTHERS: usize = 1 << 12;

/// What is left of a page.
struct Room {
    keys: usize,
    bytes: usize,
    others: usize,
}

impl Room {
    fn fullness(&self) -> Fullness {
        let is_full = self.keys == 0 || self.bytes == 0 || self.others == 0;
        if is_full { Fullness::Full } else { Fullness::HasRoom }
    }
}

/// See [`KvReader::scan`](super::KvReader::scan).
/// Only keys of one space are visited, and none that have expired at the time `clock`.
pub(super) fn page(
    whole: &dyn Whole,
    (space, clock): (Space, u64),
    cursor: Cursor,
    count: usize,
    mut visit: impl FnMut(&[u8]),
) -> Cursor {
    let mut room = Room { keys: count.max(1), bytes: PAGE_BYTES, others: MOST_OTHERS.max(count) };
    let mut keys = Vec::new();
    let mut next = (cursor <= Cursor::MAX).then(|| cursor.place());
    while let Some(from) = next {
        if room.fullness() == Fullness::Full {
            return Cursor::of(from);
        }
        // One table at a time, so that nobody waits long.
        whole.visit(from.shard(), &mut |shard| {
            next = copy_table(shard, (space, clock), from, &mut room, &mut keys);
        });
        next = next.or_else(|| from.next_shard());
        for key in keys.drain(..) {
            visit(&key);
        }
    }
    Cursor::START
}

/// Shows the entries of one table to `take`, starting at `from`, until it says that the page is full, and returns where to
/// continue in the same shard. The entries of a bucket share a page.
pub(super) fn walk_table(
    shard: &Shard,
    from: Place,
    mut take: impl FnMut(&Entry) -> Fullness,
) -> (Option<Place>, Fullness) {
    let mut entries: Vec<&Entry> = shard.tables().tables_from(from).next().into_iter().flatten().collect();
    entries.sort_unstable_by_key(|entry| entry.place());
    let mut entries = entries.into_iter().peekable();
    let mut fullness = Fullness::HasRoom;
    while let Some(entry) = entries.next() {
        if take(entry) == Fullness::Full {
            fullness = Fullness::Full;
        }
        let bucket = Cursor::of(entry.place());
        let is_last = entries.peek().is_none_or(|next| Cursor::of(next.place()) > bucket);
        if is_last && fullness == Fullness::Full && entries.peek().is_some() {
            return (bucket.next().map(Cursor::place), fullness);
        }
    }
    (shard.tables().next_table(from), fullness)
}

/// Whether a page takes more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fullness {
    HasRoom,
    Full,
}

/// Copies the keys of one table, starting at `from`, as far as there is room, and returns where to continue
/// in the same shard.
fn copy_table(
    shard: &Shard,
    (space, clock): (Space, u64),
    from: Place,
    room: &mut Room,
    keys: &mut Vec<Box<[u8]>>,
) -> Option<Place> {
    if planted::is(Bug::ScanSkipsFrozen) && shard.is_frozen() {
        return None;
    }
    let (next, _) = walk_table(shard, from, |entry| {
        if entry.place().space() != space {
            room.others = room.others.saturating_sub(1);
            return room.fullness();
        }
        if !entry.is_expired(clock) {
            keys.push(entry.key().into());
        }
        room.keys = room.keys.saturating_sub(1);
        room.bytes = room.bytes.saturating_sub(entry.key().len() + KEY_BYTES);
        room.fullness()
    });
    next
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_cover_all_places() {
        assert_eq!(Cursor::of(Place(u64::MAX)), Cursor::MAX);
        assert_eq!(Cursor::MAX.next(), None);
        assert_eq!(Cursor::of(Cursor(77).place()), Cursor(77));
        assert_eq!(Cursor(77).next().unwrap().place().0 - 1, Cursor(77).place().0 | 0x7ff);
    }

    /// Clients that read numbers as floating point read them exactly.
    #[test]
    fn cursors_are_exact_as_floating_point() {
        assert_eq!(Cursor::MAX.0, (1 << f64::MANTISSA_DIGITS) - 1);
    }
}
