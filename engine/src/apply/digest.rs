//! A rolling digest of the global log, kept at positions that any two servers share.

use niagara_sequencer::GlobalPosition;

/// The digest of everything up to the current position, and its value at the last two multiples of each power of two.
///
/// Two servers less than 2^k positions apart share a multiple of 2^k among these, once both have passed the first. So
/// logs can be compared unless one is more than twice as long as the other, with 128 numbers each (`global_prefix`).
#[derive(Clone, Debug)]
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

    #[test]
    fn a_difference_stays_visible() {
        let mut other = feed(299, 2);
        other.commands(at(300), 1);
        let kept = other.kept();
        let same = feed(300, 2).kept();
        assert_ne!(kept.last(), same.last());
    }
}
