//! Sizes in a simulation: small ones find most, and large ones reach the code for what does not fit.

use std::fmt;

use niagara_testing::parts::chance::Chance;

/// Sizes of a simulation, in bytes unless they count something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Target size of an entry.
    pub entry: usize,
    /// The longest command.
    pub command: usize,
    /// Capacity of a lane.
    pub lane: usize,
    /// Bound of a group link's queue.
    pub send_queue: usize,
    /// Entries with commands that a group may have ahead of the merge.
    pub window: usize,
    /// Lengths of long values; empty if there are only short ones.
    pub values: Vec<usize>,
    /// The most requests that a Redis client sends at once.
    pub pipeline: u64,
}

const KIB: usize = 1 << 10;

/// The most requests on shared keys in a pipeline: with more at the same time, searching for an order takes
/// too long.
pub const SHARED_IN_PIPELINE: u64 = 8;
/// Approximate size of a command without its value.
const HEAD: usize = 12;
/// Values have about these lengths: those of small buffers, of moved runs, of entries and of chunks.
const LENGTHS: [usize; 5] = [100, KIB, 4 * KIB, 32 * KIB, 64 * KIB];

impl Default for Sizes {
    fn default() -> Sizes {
        Sizes {
            entry: KIB,
            command: KIB,
            lane: 4 * KIB,
            send_queue: 2 * KIB,
            window: 4,
            values: Vec::new(),
            pipeline: SHARED_IN_PIPELINE,
        }
    }
}

impl Sizes {
    /// Draws small sizes in half of all simulations.
    pub fn draw(chance: &mut Chance) -> Sizes {
        let mut sizes = Sizes::default();
        if chance.one_in(2) {
            return sizes;
        }
        sizes.window = *chance.pick(&[1, 4, 4, 16]);
        sizes.pipeline = *chance.pick(&[8, 8, 50, 50, 200, 2000]);
        sizes.entry = *chance.pick(&[KIB, KIB, 4 * KIB, 32 * KIB, 64 * KIB]);
        sizes.command = sizes.entry * *chance.pick(&[1, 1, 2, 4]);
        sizes.lane = sizes.command * *chance.pick(&[2, 2, 3, 8]);
        sizes.send_queue = sizes.entry * *chance.pick(&[1, 2, 8]);
        let longest = sizes.command + 1;
        let lengths: Vec<usize> =
            LENGTHS.into_iter().chain([sizes.command; 2]).filter(|length| *length <= longest).collect();
        for _ in 0..chance.between(1, 2) {
            let about = *chance.pick(&lengths);
            let apart = *chance.pick(&[0, 1, HEAD, 2 * HEAD]);
            sizes.values.push(if chance.one_in(3) { about + apart } else { about - apart });
        }
        sizes
    }

    /// Bytes that may wait for one peer in a group: the queue, a message with a window of entries, of which
    /// one may be as long again and a command, and one message of each kind.
    pub fn most_waiting(&self) -> usize {
        self.send_queue + 10 * KIB + (self.window + 1) * self.entry + self.command
    }

    /// Scales a bound that was drawn for entries of the usual size to this entry size.
    pub fn in_proportion(&self, bytes: usize) -> usize {
        bytes.saturating_mul(self.entry / KIB)
    }
}

impl fmt::Display for Sizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Sizes { entry, command, lane, send_queue, window, values, pipeline } = self;
        write!(
            f,
            "entries of {entry} bytes, commands up to {command}, lanes of {lane}, link queues of {send_queue}, windows of {window}, \
             long values of {values:?}, pipelines up to {pipeline}"
        )
    }
}

/// A written number as a value: decimal, and padded to the length that its last six digits give.
pub fn text(value: u64) -> Vec<u8> {
    let mut text = value.to_string().into_bytes();
    let length = (value % LENGTH_PART) as usize;
    if length > text.len() {
        text.push(b':');
        let from = text.len();
        text.resize(length.max(from), 0);
        for (at, byte) in text[from..].iter_mut().enumerate() {
            *byte = b'a' + ((at as u64 + value / LENGTH_PART) % 26) as u8;
        }
    }
    text
}

/// The number in such a value; `None` if it is incomplete, or anything else.
pub fn number_in(bytes: &[u8]) -> Option<i64> {
    let digits = bytes.split(|byte| *byte == b':').next()?;
    let number: i64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    (digits.len() == bytes.len() || text(number as u64) == bytes).then_some(number)
}

/// Written numbers are multiples of this, plus the length of a long value: so increments do not turn one into
/// another.
pub const LENGTH_PART: u64 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_value_is_read_back_only_if_it_is_whole() {
        for value in [5, 7 * LENGTH_PART, 7 * LENGTH_PART + 3, 7 * LENGTH_PART + 9, 12 * LENGTH_PART + 1000] {
            let text = text(value);
            assert_eq!(number_in(&text), Some(value as i64));
            if text.len() > 9 {
                let length = (value % LENGTH_PART) as usize;
                assert_eq!(text.len(), length);
                assert_eq!(number_in(&text[..length - 1]), None, "cut off");
                let mut other = text.clone();
                other[length - 1] ^= 1;
                assert_eq!(number_in(&other), None, "another's end");
            }
        }
    }

    #[test]
    fn all_sizes_make_a_sound_configuration() {
        let mut chance = Chance::new(7);
        for _ in 0..1000 {
            let sizes = Sizes::draw(&mut chance);
            assert!(
                sizes.lane >= 2 * sizes.command
                    && sizes.values.iter().all(|length| (*length as u64) < LENGTH_PART)
            );
        }
    }
}
