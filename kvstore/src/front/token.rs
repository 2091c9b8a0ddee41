//! Names a request in flight, so that its completion finds its connection, or finds that it has gone.

/// Most connections of one thread. The last index stays free, for [`NOBODY`].
pub(crate) const MAX_SLOTS: usize = (1 << INDEX_BITS) - 1;

/// The token of a command whose outcome nobody waits for.
pub(crate) const NOBODY: u64 = u64::MAX;

const INDEX_BITS: u32 = 20;
const GENERATION_BITS: u32 = 20;
const SEQUENCE_BITS: u32 = 24;
const _: () = assert!(INDEX_BITS + GENERATION_BITS + SEQUENCE_BITS == u64::BITS);

/// Identifies a connection of a thread: a place in its table, and how many connections had the place before.
///
/// A completion can arrive after its connection has gone and its place is taken. It arrives within the
/// engine's deadline, and a place cannot have a million connections within seconds, so the generation tells
/// them apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

/// The number of a write on its connection, modulo 2^24: far more than may be in flight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sequence(u32);

impl Sequence {
    pub(crate) fn next(self) -> Sequence {
        self.plus(1)
    }

    pub(crate) fn plus(self, count: usize) -> Sequence {
        Sequence(self.0.wrapping_add(count as u32) & ((1 << SEQUENCE_BITS) - 1))
    }

    /// How many follow `first` up to this one.
    pub(crate) fn since(self, first: Sequence) -> usize {
        (self.0.wrapping_sub(first.0) & ((1 << SEQUENCE_BITS) - 1)) as usize
    }
}

impl Origin {
    /// The origin of the next connection in the same place.
    pub(crate) fn successor(self) -> Origin {
        Origin { generation: (self.generation + 1) & ((1 << GENERATION_BITS) - 1), ..self }
    }

    pub(crate) fn token(self, sequence: Sequence) -> u64 {
        assert!((self.index as usize) < MAX_SLOTS);
        u64::from(self.index) << (GENERATION_BITS + SEQUENCE_BITS)
            | u64::from(self.generation) << SEQUENCE_BITS
            | u64::from(sequence.0)
    }

    /// The number that names the connection itself.
    pub(crate) fn number(self) -> u64 {
        self.token(Sequence::default())
    }

    pub(crate) fn of(token: u64) -> (Origin, Sequence) {
        let bits = |shift: u32, width: u32| (token >> shift) as u32 & ((1 << width) - 1);
        let origin = Origin {
            index: bits(GENERATION_BITS + SEQUENCE_BITS, INDEX_BITS),
            generation: bits(SEQUENCE_BITS, GENERATION_BITS),
        };
        (origin, Sequence(bits(0, SEQUENCE_BITS)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_token_comes_back(index in 0u32..MAX_SLOTS as u32, generation in 0u32..1 << 20, sequence in 0u32..1 << 24) {
            let (origin, sequence) = (Origin { index, generation }, Sequence(sequence));
            prop_assert_eq!(Origin::of(origin.token(sequence)), (origin, sequence));
        }
    }

    #[test]
    fn sequences_and_generations_wrap() {
        let last = Sequence((1 << SEQUENCE_BITS) - 1);
        assert_eq!(last.next(), Sequence(0));
        assert_eq!(last.plus(3).since(last), 3);
        let origin = Origin { index: 5, generation: (1 << GENERATION_BITS) - 1 };
        assert_eq!(origin.successor(), Origin { index: 5, generation: 0 });
    }
}
