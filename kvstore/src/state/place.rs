//! The place of a key in the map.

use crate::database::Space;

/// The map has 2^7 shards: enough that a writer and a dozen readers rarely meet, and few enough that locking
/// all of them takes microseconds.
pub(super) const SHARD_BITS: u32 = 7;

/// The place of a key in the order in which scans and views visit keys: its hash. The highest bits choose the
/// shard, and the next ones the table, so growth never changes the order. The lowest four bits are the space, so a key is in
/// the same shard in every database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place(pub(super) u64);

/// The bits of a place that are its space.
const SPACE: u64 = 0xf;

impl Place {
    /// The same key's place in a space.
    pub(super) fn within(self, space: Space) -> Place {
        Place(self.0 & !SPACE | u64::from(space.0))
    }

    pub(super) fn space(self) -> Space {
        Space((self.0 & SPACE) as u8)
    }

    /// What equal keys of all spaces have in common.
    pub(super) fn alike(self) -> u64 {
        self.0 & !SPACE
    }

    pub(super) fn shard(self) -> usize {
        (self.0 >> (64 - SHARD_BITS)) as usize
    }

    /// The first place of a shard.
    pub(super) fn start_of(shard: usize) -> Place {
        Place((shard as u64) << (64 - SHARD_BITS))
    }

    /// The first place of the shard after this one's.
    pub(super) fn next_shard(self) -> Option<Place> {
        let next = self.shard() + 1;
        (next < 1 << SHARD_BITS).then(|| Place::start_of(next))
    }

    /// Which of 2^`bits` equal parts of its shard the place falls into.
    pub(super) fn part(self, bits: u32) -> usize {
        // Two shifts, since a shift by 64 bits would be none.
        ((self.0 << SHARD_BITS) >> 1 >> (63 - bits)) as usize
    }

    /// The first place of the part after this one's, in the same shard.
    pub(super) fn next_part(self, bits: u32) -> Option<Place> {
        let next = self.part(bits) + 1;
        (next < 1 << bits)
            .then(|| Place(Place::start_of(self.shard()).0 | (next as u64) << (64 - SHARD_BITS - bits)))
    }

    /// What the tables take as hash. They look at the lowest and the highest bits, which are nearly equal
    /// within a table in the place itself.
    pub(super) fn table_hash(self) -> u64 {
        self.0.rotate_left(32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_is_the_uppermost_bits() {
        assert_eq!(Place(0).shard(), 0);
        assert_eq!(Place(u64::MAX).shard(), (1 << SHARD_BITS) - 1);
        for shard in [0, 1, 77] {
            assert_eq!(Place::start_of(shard).shard(), shard);
            assert_eq!(Place::start_of(shard).next_shard(), Some(Place::start_of(shard + 1)));
        }
        assert_eq!(Place(u64::MAX).next_shard(), None);
    }

    #[test]
    fn parts_follow_one_another_to_the_end_of_the_shard() {
        for bits in [0, 1, 5] {
            let mut place = Place::start_of(77);
            for part in 0..1 << bits {
                assert_eq!((place.shard(), place.part(bits)), (77, part));
                match place.next_part(bits) {
                    Some(next) => {
                        assert_eq!(Place(next.0 - 1).part(bits), part);
                        place = next;
                    }
                    None => assert_eq!(part, (1 << bits) - 1),
                }
            }
        }
    }
}
