//! A rolling digest of the global log, kept at positions that any two servers share.

use bytes::{Buf, BufMut};
use niagara_sequencer::GlobalPosition;

/// The digest of everything up to the current position, and its value at the last two multiples of each power of two.
///
/// Two servers less than 2^k positions apart share a multiple of 2^k among these, once both have passed the first. So
/// logs can be compared unless one is more than twice as long as the other, with 128 numbers each (`global_prefix`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digests {
    value: u64,
    /// Per power: the last two (position, value), newest first; position 0 for none.
    marks: [[(u64, u64); 2]; 64],
}

impl Default for Digests {
    fn default() -> Self {
        Digests { value: 0, marks: [[(0, 0); 2]; 64] }
    }
}

impl Digests {
    /// Commands stand at `position`; `content` is a checksum of them and of what was decided about them.
    pub fn commands(&mut self, position: GlobalPosition, content: u64) {
        self.value = mix(mix(self.value ^ position.get()) ^ content);
        self.mark(position.get(), position.get());
    }

    /// No-ops stand at `count` positions from `first` on. They leave the value as it is.
    pub fn noops(&mut self, first: GlobalPosition, count: u64) {
        self.mark(first.get(), first.get() + count - 1);
    }

    fn mark(&mut self, first: u64, last: u64) {
        for (power, marks) in self.marks.iter_mut().enumerate() {
            let newest = last >> power << power;
            if newest < first {
                // Not a multiple of this power, so of no higher one either.
                break;
            }
            let before = newest.wrapping_sub(1 << power);
            let previous =
                if newest > 1 << power && before >= first { (before, self.value) } else { marks[0] };
            *marks = [(newest, self.value), previous];
        }
    }

    /// The digest as it was at an earlier position, behind which there have been no-ops only. Marks that have gone since are
    /// not brought back.
    pub(crate) fn without_noops_after(&self, position: GlobalPosition) -> Digests {
        let mut digests = self.clone();
        for marks in &mut digests.marks {
            if marks[0].0 > position.get() {
                *marks = [marks[1], (0, 0)];
            }
            if marks[0].0 > position.get() {
                *marks = [(0, 0); 2];
            }
        }
        digests
    }

    /// The digests in a snapshot: the present value, then two pairs of position and value per power.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.put_u64_le(self.value);
        for (position, value) in self.marks.iter().flatten() {
            out.put_u64_le(*position);
            out.put_u64_le(*value);
        }
    }

    /// Reads what [`encode`](Self::encode) wrote.
    pub(crate) fn decode(input: &mut &[u8]) -> Option<Digests> {
        let mut digests = Digests { value: input.try_get_u64_le().ok()?, ..Digests::default() };
        for mark in digests.marks.iter_mut().flatten() {
            *mark = (input.try_get_u64_le().ok()?, input.try_get_u64_le().ok()?);
        }
        Some(digests)
    }

    /// The digest of everything so far.
    pub fn value(&self) -> u64 {
        self.value
    }

    /// The kept positions and values, oldest first.
    pub fn kept(&self) -> Vec<(u64, u64)> {
        let mut kept: Vec<_> =
            self.marks.iter().flatten().copied().filter(|(position, _)| *position > 0).collect();
        kept.sort_unstable();
        kept.dedup();
        kept
    }
}

/// A bijective mixing of 64 bits (the finaliser of MurmurHash3, public domain constants).
fn mix(mut bits: u64) -> u64 {
    bits ^= bits >> 33;
    bits = bits.wrapping_mul(0xff51_afd7_ed55_8ccd);
    bits ^= bits >> 33;
    bits = bits.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    bits ^ (bits >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(position: u64) -> GlobalPosition {
        GlobalPosition::new(position)
    }

    /// Feeds positions 1 to `end`: commands at multiples of 3, no-ops elsewhere in runs of up to `run`.
    fn feed(end: u64, run: u64) -> Digests {
        let mut digests = Digests::default();
        let mut position = 1;
        while position <= end {
            if position.is_multiple_of(3) {
                digests.commands(at(position), position * 17);
                position += 1;
            } else {
                let count = run.min(3 - position % 3).min(end - position + 1);
                digests.noops(at(position), count);
                position += count;
            }
        }
        digests
    }

    #[test]
    fn servers_far_apart_share_a_position() {
        for (a, b) in [(1000, 990), (5000, 4000), (64, 63), (100_000, 70_000)] {
            let (a, b) = (feed(a, 1), feed(b, 2));
            let common: Vec<_> =
                a.kept().into_iter().filter(|(p, _)| b.kept().iter().any(|(q, _)| p == q)).collect();
            assert!(!common.is_empty());
            for (position, value) in common {
                assert!(b.kept().contains(&(position, value)), "equal logs have equal digests");
            }
        }
    }

    #[test]
    fn how_no_ops_are_grouped_does_not_matter() {
        assert_eq!(feed(500, 1).kept(), feed(500, 2).kept());
        let mut long = Digests::default();
        long.noops(at(1), 1000);
        let mut short = Digests::default();
        (1..=1000).for_each(|p| short.noops(at(p), 1));
        assert_eq!(long.kept(), short.kept());
    }

    /// No-ops that a snapshot does not reach leave no marks in it, and do not change what comes later.
    #[test]
    fn a_digest_goes_back_over_no_ops() {
        let mut later = feed(300, 2);
        let at_300 = later.clone();
        later.noops(at(301), 50);
        let mut back = later.without_noops_after(at(300));
        assert_eq!(back.value, at_300.value);
        assert!(back.kept().iter().all(|mark| at_300.kept().contains(mark)));
        back.noops(at(301), 50);
        assert!(
            later
                .kept()
                .iter()
                .filter(|(position, _)| *position > 300)
                .all(|mark| back.kept().contains(mark))
        );
        let mut bytes = Vec::new();
        later.encode(&mut bytes);
        assert_eq!(Digests::decode(&mut &bytes[..]), Some(later));
    }

    #[test]
    fn a_difference_stays_visible() {
        let mut other = feed(299, 2);
        other.commands(at(300), 1);
        let kept = other.kept();
        let same = feed(300, 2).kept();
        assert_ne!(kept.last(), same.last());
    }
}
