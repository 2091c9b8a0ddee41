//! Receipts: which requests with a key of their own have been executed lately, and what they were answered. A request that
//! is sent again gets its first answer, and nothing is executed twice.
//!
//! They are replicated state: ordered commands add them, the clock of the state ends them, and snapshots hold them. What
//! stands here is pure.
//!
//! The promise, and what it rests on:
//!
//! - A receipt is kept for [`RETENTION_MS`], by the clock of the state, or until there is no room. It is never dropped
//!   before [`LEAST_MS`] have passed: rather than that, a request with a new key is refused.
//! - A request is executed in [`WINDOW_MS`] from when a server took it, or never. So a copy that has been on its way for long
//!   finds the receipt of whichever copy was executed, or is too late itself.
//!
//! | file | holds |
//! |---|---|
//! | `kept.rs` | an answer as bytes |
//! | `row.rs` | all receipts in their order, which a snapshot may look at while it goes on |

mod kept;
mod row;

use std::collections::HashMap;

use bytes::Bytes;
use niagara_planted::{self as planted, Bug};

pub(crate) use kept::{kept, shown};
pub(crate) use row::Row;

/// How long a receipt is kept, if there is room, in milliseconds: ten minutes.
pub(crate) const RETENTION_MS: u64 = 10 * 60 * 1000;

/// How long a receipt is kept in any case, in milliseconds: a minute. It bounds how many such requests there may
/// be in a second.
pub(crate) const LEAST_MS: u64 = 60 * 1000;

/// How long after a server has taken a request it may be executed, in milliseconds: half a minute. Servers give up after
/// seconds, so nobody waits for what comes later.
pub(crate) const WINDOW_MS: u64 = 30 * 1000;

// A copy that is executed at the end of its window, having been sent when the first one was, finds that one's receipt.
const _: () = assert!(WINDOW_MS < LEAST_MS && LEAST_MS < RETENTION_MS);

/// The most bytes that receipts take: there is room for a million, or 16,000 a second that must be kept.
const MOST_BYTES: usize = 128 << 20;

/// What a receipt takes besides its answer, roughly.
const RECEIPT_BYTES: usize = size_of::<Receipt>() + 48;

/// So many receipts that have ended are dropped by one command at most, since everybody waits for it.
const DROPPED_AT_ONCE: usize = 64;

/// The digest of a key, or of a request: the first half of its SHA-256.
pub(crate) type Name = [u8; 16];

/// What was executed once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Receipt {
    /// Of the user and the key.
    pub(crate) key: Name,
    /// Of all that the request asks for.
    pub(crate) request: Name,
    /// Where it was executed.
    pub(crate) position: u64,
    /// When it was, by the clock of the state, in milliseconds since 1970.
    pub(crate) executed: u64,
    /// Its answer; empty if that was too long.
    pub(crate) answer: Bytes,
}

impl Receipt {
    fn bytes(&self) -> usize {
        RECEIPT_BYTES + self.answer.len()
    }
}

/// What becomes of a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Admitted<'r> {
    /// It is new: it is to be executed, and to be [added](Receipts::add).
    New,
    /// It was executed.
    Again(&'r Receipt),
    /// Another request was executed with its key.
    Other,
    /// It comes too late.
    Late,
    /// There is no room for a receipt.
    Full,
}

/// All receipts. See the [module](self).
#[derive(Debug, Default)]
pub(crate) struct Receipts {
    row: Row,
    /// Where the receipt of each key is.
    numbers: HashMap<Name, u64>,
    bytes: usize,
    /// The sum of the digests of all.
    digest: u128,
}

impl Receipts {
    /// Decides what becomes of a request that must not be executed after `until`. Receipts that have ended are dropped.
    pub(crate) fn admit(&mut self, key: &Name, request: &Name, until: u64, clock: u64) -> Admitted<'_> {
        self.drop_ended(clock);
        // One that has ended counts as dropped: how many are dropped at once must not decide anything.
        let number = self.numbers.get(key).copied();
        let is_known = |number: &u64| {
            let is_kept = self.row.get(*number).is_some_and(|receipt| !has_ended(receipt, clock));
            is_kept && !planted::is(Bug::OnceForgotten)
        };
        if let Some(number) = number.filter(is_known) {
            let receipt = self.row.get(number).expect("it was there a moment ago");
            return if receipt.request == *request { Admitted::Again(receipt) } else { Admitted::Other };
        }
        if clock > until {
            return Admitted::Late;
        }
        if self.make_room(clock) { Admitted::New } else { Admitted::Full }
    }

    /// Adds the receipt of a request that was admitted as new and executed.
    pub(crate) fn add(&mut self, receipt: Receipt) {
        self.bytes += receipt.bytes();
        self.digest = self.digest.wrapping_add(digest(&receipt));
        let key = receipt.key;
        let number = self.row.push(receipt);
        self.numbers.insert(key, number);
    }

    /// What all receipts add to the digest of the state.
    pub(crate) fn digest(&self) -> u128 {
        self.digest
    }

    /// All of them, as they are now.
    pub(crate) fn row(&self) -> &Row {
        &self.row
    }

    /// How many there are, and what they take in bytes.
    pub(crate) fn size(&self) -> (usize, usize) {
        (self.row.len(), self.bytes)
    }

    fn drop_ended(&mut self, clock: u64) {
        for _ in 0..DROPPED_AT_ONCE {
            if !self.row.first().is_some_and(|first| has_ended(first, clock)) {
                return;
            }
            self.drop_first();
        }
    }

    /// Drops the oldest ones as far as there must be room for one more. `false`: they must be kept.
    fn make_room(&mut self, clock: u64) -> bool {
        while self.bytes >= MOST_BYTES {
            let may_go = |receipt: &Receipt| clock >= receipt.executed.saturating_add(LEAST_MS);
            if !self.row.first().is_some_and(may_go) {
                return false;
            }
            self.drop_first();
        }
        true
    }

    fn drop_first(&mut self) {
        let (number, receipt) = self.row.pop_first().expect("somebody has looked at it");
        self.bytes -= receipt.bytes();
        self.digest = self.digest.wrapping_sub(digest(&receipt));
        // The key may have got a later receipt, since this one had ended.
        if self.numbers.get(&receipt.key) == Some(&number) {
            self.numbers.remove(&receipt.key);
        }
    }
}

fn has_ended(receipt: &Receipt, clock: u64) -> bool {
    clock >= receipt.executed.saturating_add(RETENTION_MS)
}

/// The digest of one receipt. Servers of different versions compare it, so it never changes. Its names are digests already, so
/// their sum with the rest, spread over all bits, will do.
fn digest(receipt: &Receipt) -> u128 {
    /// Odd, with no pattern among its bits: the golden ratio.
    const SPREAD: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;
    let [key, request] = [receipt.key, receipt.request].map(u128::from_le_bytes);
    let place = u128::from(receipt.position) << 64 | u128::from(receipt.executed);
    let answer = receipt.answer.chunks(16).fold(receipt.answer.len() as u128, |sum, chunk| {
        let mut bytes = [0; 16];
        bytes[..chunk.len()].copy_from_slice(chunk);
        sum.wrapping_mul(SPREAD).wrapping_add(u128::from_le_bytes(bytes)).wrapping_add(1)
    });
    let mix = |sum: u128, part: u128| (sum ^ part).wrapping_mul(SPREAD).rotate_left(43);
    [key, request, place, answer].into_iter().fold(SPREAD, mix)
}

/// Receipts that are read from a snapshot, in any order.
#[derive(Debug, Default)]
pub(crate) struct Restoring(Vec<(u64, Receipt)>);

impl Restoring {
    pub(crate) fn add(&mut self, number: u64, receipt: Receipt) {
        self.0.push((number, receipt));
    }

    /// What they add to the digest of the state.
    pub(crate) fn digest(&self) -> u128 {
        self.0.iter().fold(0, |sum, (_, receipt)| sum.wrapping_add(digest(receipt)))
    }

    /// All of them, if they can be those of a state at this position.
    pub(crate) fn finish(mut self, position: u64) -> Result<Receipts, &'static str> {
        self.0.sort_unstable_by_key(|(number, _)| *number);
        let mut receipts = Receipts::default();
        let mut before: Option<(u64, u64, u64)> = None;
        for (number, receipt) in self.0 {
            if receipt.position > position {
                return Err("a receipt is of a later position than the snapshot");
            }
            let follows = before.is_none_or(|(last, position, executed)| {
                last.checked_add(1) == Some(number)
                    && position <= receipt.position
                    && executed <= receipt.executed
            });
            if !follows {
                return Err("receipts are missing, or are not in order");
            }
            before = Some((number, receipt.position, receipt.executed));
            receipts.add(receipt);
        }
        Ok(receipts)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn name(number: u32) -> Name {
        let mut name = [0; 16];
        name[..4].copy_from_slice(&number.to_le_bytes());
        name
    }

    fn receipt(key: u32, request: u32, position: u64, executed: u64) -> Receipt {
        let answer = Bytes::copy_from_slice(&position.to_le_bytes());
        Receipt { key: name(key), request: name(request), position, executed, answer }
    }

    fn admit<'r>(receipts: &'r mut Receipts, key: u32, request: u32, clock: u64) -> Admitted<'r> {
        receipts.admit(&name(key), &name(request), clock + WINDOW_MS, clock)
    }

    #[test]
    fn what_was_executed_is_not_executed_again_as_long_as_that_is_promised() {
        let mut receipts = Receipts::default();
        assert_eq!(admit(&mut receipts, 1, 1, 1000), Admitted::New);
        receipts.add(receipt(1, 1, 7, 1000));
        assert_eq!(admit(&mut receipts, 1, 2, 1001), Admitted::Other);
        for clock in [1000, 2000, 999 + RETENTION_MS] {
            assert!(matches!(
                admit(&mut receipts, 1, 1, clock),
                Admitted::Again(Receipt { position: 7, .. })
            ));
        }
        assert_eq!(admit(&mut receipts, 1, 2, 1000 + RETENTION_MS), Admitted::New, "the key is free again");
        assert_eq!(receipts.size(), (0, 0));
        assert_eq!(receipts.digest(), 0);
    }

    #[test]
    fn a_copy_that_comes_late_is_not_executed() {
        let mut receipts = Receipts::default();
        assert_eq!(receipts.admit(&name(1), &name(1), 1000, 1000), Admitted::New);
        assert_eq!(receipts.admit(&name(1), &name(1), 1000, 1001), Admitted::Late);
        receipts.add(receipt(1, 1, 7, 1000));
        let again = receipts.admit(&name(1), &name(1), 1000, 5000);
        assert!(matches!(again, Admitted::Again(_)), "what is known is known, however late");
    }

    #[test]
    fn without_room_the_oldest_go_but_not_before_their_time() {
        let mut receipts = Receipts::default();
        let mut new = 0;
        while receipts.bytes < MOST_BYTES {
            receipts.add(receipt(new, 1, 1, 1000));
            new += 1;
        }
        assert!(receipts.size().0 > 900_000);
        assert_eq!(admit(&mut receipts, new, 1, 999 + LEAST_MS), Admitted::Full);
        assert!(matches!(admit(&mut receipts, 0, 1, 999 + LEAST_MS), Admitted::Again(_)));
        assert_eq!(admit(&mut receipts, new, 1, 1000 + LEAST_MS), Admitted::New);
        receipts.add(receipt(new, 1, 1, 1000 + LEAST_MS));
        assert_eq!(receipts.size().0, new as usize);
        assert_eq!(admit(&mut receipts, 0, 1, 1000 + LEAST_MS), Admitted::New, "the oldest has gone");
        let long = Receipt { answer: vec![0; MOST_BYTES].into(), ..receipt(new + 1, 1, 1, 1000 + LEAST_MS) };
        receipts.add(long);
        assert_eq!(admit(&mut receipts, new + 2, 1, 1001 + LEAST_MS), Admitted::Full, "bytes count, too");
    }

    #[test]
    fn many_that_end_together_go_a_few_at_a_time_and_count_as_gone() {
        let mut receipts = Receipts::default();
        for number in 0..200 {
            receipts.add(receipt(number, 1, 1, 1000));
        }
        let end = 1000 + RETENTION_MS;
        assert_eq!(admit(&mut receipts, 199, 2, end), Admitted::New);
        assert_eq!(receipts.size().0, 200 - DROPPED_AT_ONCE);
        receipts.add(receipt(199, 2, 2, end));
        for _ in 0..4 {
            assert!(matches!(
                admit(&mut receipts, 199, 2, end),
                Admitted::Again(Receipt { position: 2, .. })
            ));
        }
        assert_eq!((receipts.size().0, receipts.numbers.len()), (1, 1));
    }

    /// Servers of different versions compare it.
    #[test]
    fn the_digest_of_a_receipt_is_for_ever() {
        assert_eq!(digest(&receipt(1, 2, 3, 4)), FIRST);
        let one = receipt(1, 2, 3, 4);
        let others = [
            receipt(2, 2, 3, 4),
            receipt(1, 3, 3, 4),
            receipt(1, 2, 4, 4),
            receipt(1, 2, 3, 5),
            Receipt { answer: Bytes::from_static(b"3"), ..one.clone() },
            Receipt { answer: Bytes::new(), ..one.clone() },
        ];
        assert!(others.iter().all(|other| digest(other) != digest(&one)));
    }

    const FIRST: u128 = 223_346_310_324_783_391_306_192_183_821_536_958_122;

    proptest! {
        /// Against a model without bounds: each key's request is executed once as long as its receipt must be kept, also
        /// across a snapshot.
        #[test]
        fn each_is_executed_once(steps in prop::collection::vec((0..5u32, 0..2u32, 0..RETENTION_MS / 2, any::<bool>()), 1..80)) {
            let mut receipts = Receipts::default();
            let mut model: BTreeMap<u32, (u32, u64)> = BTreeMap::new();
            let mut clock = 1_000_000;
            for (at, (key, request, passes, restores)) in steps.into_iter().enumerate() {
                clock += passes;
                let known = model.get(&key).filter(|(_, executed)| clock < executed + RETENTION_MS).copied();
                match (admit(&mut receipts, key, request, clock), known) {
                    (Admitted::New, None) => {
                        receipts.add(receipt(key, request, at as u64, clock));
                        model.insert(key, (request, clock));
                    }
                    (Admitted::Again(receipt), Some((first, executed))) => {
                        prop_assert_eq!((first, executed), (request, receipt.executed));
                    }
                    (Admitted::Other, Some((first, _))) => prop_assert_ne!(first, request),
                    (admitted, known) => prop_assert!(false, "{:?}, but {:?}", admitted, known),
                }
                if restores {
                    let mut restoring = Restoring::default();
                    let mut all: Vec<_> = receipts.row().iter().map(|(number, receipt)| (number, receipt.clone())).collect();
                    all.reverse();
                    all.into_iter().for_each(|(number, receipt)| restoring.add(number, receipt));
                    prop_assert_eq!(restoring.digest(), receipts.digest());
                    let restored = restoring.finish(at as u64).unwrap();
                    prop_assert_eq!((restored.size(), restored.digest()), (receipts.size(), receipts.digest()));
                    receipts = restored;
                }
            }
        }
    }

    #[test]
    fn what_cannot_be_a_state_s_is_refused() {
        let finish = |all: &[(u64, Receipt)], position| {
            let mut restoring = Restoring::default();
            all.iter().for_each(|(number, receipt)| restoring.add(*number, receipt.clone()));
            restoring.finish(position).map(|receipts| receipts.size().0)
        };
        let [one, two] = [receipt(1, 1, 5, 100), receipt(2, 1, 6, 200)];
        assert_eq!(finish(&[(4, two.clone()), (3, one.clone())], 6), Ok(2));
        assert!(finish(&[(3, one.clone()), (4, two.clone())], 5).is_err());
        assert!(finish(&[(3, one.clone()), (5, two.clone())], 6).is_err());
        assert!(finish(&[(4, one.clone()), (3, two.clone())], 6).is_err());
        assert!(finish(&[(3, one), (3, two)], 6).is_err());
    }
}
