//! Rolling digests of the global log and the resulting state, kept at positions that any two servers have in
//! common.

use bytes::{Buf, BufMut};
use niagara_group::digest_mark::{DigestMark, put_state, take_state};
use niagara_sequencer::GlobalPosition;

/// Digests up to the current position, and those at some earlier positions.
///
/// For each power of two, three are kept: at the power itself, and at its last two multiples. Two servers
/// less than 2^k positions apart share one of the last multiples of 2^k, once both have passed the power. And
/// any two servers that have executed anything share the greatest power that both have passed. So a few dozen
/// numbers suffice to compare a server with any other up to at least half of what it has executed
/// (`global_prefix`, `equal_states`).
#[derive(Clone, Debug, Default)]
pub struct Digests {
    log: u64,
    state: Option<u64>,
    /// Marks by power.
    powers: Vec<Multiples>,
    /// Below this power, marks have changed since they were last published.
    unpublished: usize,
}

/// Marks at multiples of one power of two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Multiples {
    newest: DigestMark,
    previous: DigestMark,
    first: DigestMark,
}

impl Multiples {
    fn all(&self) -> [DigestMark; 3] {
        [self.newest, self.previous, self.first]
    }
}

/// Number of powers of two that a position can have passed.
const POWERS: usize = DigestMark::MOST / 3;

impl PartialEq for Digests {
    fn eq(&self, other: &Digests) -> bool {
        (self.log, self.state, &self.powers) == (other.log, other.state, &other.powers)
    }
}

impl Eq for Digests {}

impl Digests {
    /// Adds the commands at `position`. `content` is a checksum of them and of what was decided about them;
    /// `state` is the digest of the state after them.
    pub fn commands(&mut self, position: GlobalPosition, content: u64, state: Option<u128>) {
        self.log = mix(mix(self.log ^ position.get()) ^ content);
        self.state = state.map(fold);
        self.mark(position.get(), position.get());
    }

    /// Adds no-ops at `count` positions from `first` on. They leave the digests as they are.
    pub fn noops(&mut self, first: GlobalPosition, count: u64) {
        self.mark(first.get(), first.get() + count - 1);
    }

    /// Whether a state read from a snapshot has the digest that these digests record.
    pub(crate) fn agrees_with(&self, state: Option<u128>) -> bool {
        match (self.state, state.map(fold)) {
            (Some(said), Some(found)) => said == found,
            _ => true,
        }
    }

    /// Records the digest of a state read from a snapshot of format version 1, which holds none.
    pub(crate) fn restored(&mut self, position: GlobalPosition, state: Option<u128>) {
        if self.state.is_none() {
            self.state = state.map(fold);
            for multiples in &mut self.powers {
                let Multiples { newest, previous, first } = multiples;
                let here =
                    [newest, previous, first].into_iter().filter(|mark| mark.position == position.get());
                here.for_each(|mark| mark.state = self.state);
            }
        }
    }

    fn mark(&mut self, first: u64, last: u64) {
        let at = |position| DigestMark { position, log: self.log, state: self.state };
        for power in 0..POWERS {
            let step = 1u64 << power;
            let newest = last >> power << power;
            if newest < first {
                // Not a multiple of this power, so of no higher one either.
                break;
            }
            if power == self.powers.len() {
                self.powers.push(Multiples::default());
            }
            self.unpublished = self.unpublished.max(power + 1);
            let multiples = &mut self.powers[power];
            let before = newest.wrapping_sub(step);
            let previous = if newest > step && before >= first { at(before) } else { multiples.newest };
            if (first..=last).contains(&step) {
                multiples.first = at(step);
            }
            (multiples.newest, multiples.previous) = (at(newest), previous);
        }
    }

    /// Brings `shown`, which equals these digests as last published, up to date. Only what has changed since
    /// then is copied: after a short stretch of the global log, a few marks.
    pub(crate) fn publish(&mut self, shown: &mut Digests) {
        let Digests { log, state, powers, unpublished } = self;
        (shown.log, shown.state) = (*log, *state);
        shown.powers.resize(powers.len(), Multiples::default());
        let changed = std::mem::take(unpublished);
        shown.powers[..changed].copy_from_slice(&powers[..changed]);
    }

    /// Digests as of an earlier position that only no-ops have followed. Marks dropped since then are not
    /// restored.
    pub(crate) fn without_noops_after(&self, position: GlobalPosition) -> Digests {
        let mut digests = self.clone();
        let later = |mark: &DigestMark| mark.position > position.get();
        for multiples in &mut digests.powers {
            if later(&multiples.newest) {
                (multiples.newest, multiples.previous) = (multiples.previous, DigestMark::default());
            }
            if later(&multiples.newest) {
                (multiples.newest, multiples.previous) = (DigestMark::default(), DigestMark::default());
            }
            if later(&multiples.first) {
                multiples.first = DigestMark::default();
            }
        }
        digests
    }

    /// Encodes the digests for a snapshot: the current ones, the number of powers, and three marks for each
    /// power.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.put_u64_le(self.log);
        put_state(out, self.state);
        out.put_u8(self.powers.len() as u8);
        for mark in self.powers.iter().flat_map(Multiples::all) {
            mark.encode(out);
        }
    }

    /// Parses what [`encode`](Self::encode) wrote.
    pub(crate) fn decode(input: &mut &[u8]) -> Option<Digests> {
        let (log, state) = (input.try_get_u64_le().ok()?, take_state(input)?);
        let powers = usize::from(input.try_get_u8().ok()?);
        if powers > POWERS {
            return None;
        }
        let mut multiples = || {
            Some(Multiples {
                newest: DigestMark::decode(input)?,
                previous: DigestMark::decode(input)?,
                first: DigestMark::decode(input)?,
            })
        };
        let powers: Vec<Multiples> = (0..powers).map(|_| multiples()).collect::<Option<_>>()?;
        Some(Digests { log, state, unpublished: powers.len(), powers })
    }

    /// Parses the digests in a snapshot of format version 1: the log's alone, at the last two multiples of
    /// all 64 powers.
    pub(crate) fn decode_first_version(input: &mut &[u8]) -> Option<Digests> {
        let mut digests = Digests { log: input.try_get_u64_le().ok()?, ..Digests::default() };
        let mut mark = || {
            let (position, log) = (input.try_get_u64_le().ok()?, input.try_get_u64_le().ok()?);
            Some(DigestMark { position, log, state: None })
        };
        for power in 0..POWERS {
            let (newest, previous) = (mark()?, mark()?);
            let first = [newest, previous].into_iter().find(|mark| mark.position == 1 << power);
            if newest.position > 0 {
                digests.powers.resize(power + 1, Multiples::default());
                digests.powers[power] = Multiples { newest, previous, first: first.unwrap_or_default() };
            }
        }
        Some(digests)
    }

    /// Digest of the whole log so far.
    pub fn value(&self) -> u64 {
        self.log
    }

    /// Digest of the current state.
    pub fn state(&self) -> Option<u64> {
        self.state
    }

    /// The kept digests, by rising position.
    pub fn kept(&self) -> Vec<DigestMark> {
        let marks = self.powers.iter().flat_map(Multiples::all);
        let mut kept: Vec<DigestMark> = marks.filter(|mark| mark.position > 0).collect();
        kept.sort_unstable_by_key(|mark| mark.position);
        kept.dedup_by_key(|mark| mark.position);
        kept
    }
}

fn fold(wide: u128) -> u64 {
    mix(mix(wide as u64) ^ (wide >> 64) as u64)
}

/// Mixes 64 bits bijectively (the finalizer of MurmurHash3; its constants are in the public domain).
fn mix(mut bits: u64) -> u64 {
    bits ^= bits >> 33;
    bits = bits.wrapping_mul(0xff51_afd7_ed55_8ccd);
    bits ^= bits >> 33;
    bits = bits.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    bits ^ (bits >> 33)
}

#[cfg(test)]
mod tests;
