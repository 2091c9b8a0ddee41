//! Pages of a scan: keys in the order of their hashes, which no growth of the map changes.

use super::map::Map;
use super::place::{Place, SHARD_BITS};
use super::tables::Entry;

/// Where a scan goes on: the place of the first key that is still to be visited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor(pub u64);

impl Cursor {
    /// The start of a scan, and what its last page returns.
    pub const START: Cursor = Cursor(0);
}

/// See [`KvReader::scan`](super::KvReader::scan).
pub(super) fn page(map: &Map, cursor: Cursor, count: usize, mut visit: impl FnMut(&[u8])) -> Cursor {
    let from = Place(cursor.0);
    let mut left = count.max(1);
    for number in from.shard()..1 << SHARD_BITS {
        let shard = map.read(number);
        for table in shard.tables().tables_from(from.max(Place::start_of(number))) {
            let mut entries: Vec<&Entry> = table.collect();
            entries.sort_unstable_by_key(|entry| entry.place);
            let mut entries = entries.into_iter().peekable();
            while let Some(entry) = entries.next() {
                visit(&entry.key);
                left = left.saturating_sub(1);
                // Keys of equal place share a page, since the cursor could not tell them apart.
                if left == 0 && entries.peek().is_none_or(|next| next.place > entry.place) {
                    return Cursor(entry.place.0.wrapping_add(1));
                }
            }
        }
    }
    Cursor::START
}
