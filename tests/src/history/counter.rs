//! A key that many clients increment.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard};

use super::{Violation, answered};
use crate::{Answer, Client};

/// A key that many clients increment by one.
///
/// Every executed increment returns another sum, above any that was known when it began. At any time the key holds at least
/// the number of increments that were acknowledged, and at most that and those with an unknown outcome.
///
/// ```
/// use niagara_tests::{Answer, History};
///
/// let counter = History::default().counter();
/// let began = counter.begin();
/// assert_eq!(counter.end_increment(began, &Answer::Done(1)), Ok(()));
/// assert!(counter.end_increment(began, &Answer::Done(1)).is_err(), "no two increments return the same");
/// ```
pub struct Counter {
    key: String,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    begun: u64,
    refused: u64,
    sums: HashSet<u64>,
    /// The highest sum that some client was told.
    told: u64,
}

impl Counter {
    pub(super) fn new(key: String) -> Counter {
        Counter { key, known: Mutex::default() }
    }

    /// The key in the store.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// An increment begins: its sum must be above this.
    pub fn begin(&self) -> u64 {
        let mut known = self.known();
        known.begun += 1;
        known.told
    }

    /// Checks what an increment returned that began when [`begin`](Self::begin) gave `began`.
    pub fn end_increment(&self, began: u64, answer: &Answer<i64>) -> Result<(), Violation> {
        let mut known = self.known();
        match answer {
            Answer::Refused => known.refused += 1,
            Answer::Unknown => {}
            Answer::Done(sum) => {
                let sum = self.natural(*sum)?;
                if sum <= began {
                    return Err(Violation::Stale { key: self.key.clone(), found: sum, known: began + 1 });
                }
                if !known.sums.insert(sum) {
                    return Err(Violation::Twice { key: self.key.clone(), sum });
                }
                known.told = known.told.max(sum);
                self.check_count(&known, sum, 0)?;
            }
        }
        Ok(())
    }

    /// Increments through a client, and checks the result.
    pub fn increment(&self, client: &mut Client) -> Result<Answer<i64>, Violation> {
        let began = self.begin();
        let answer = client.increment(&self.key);
        self.end_increment(began, &answer)?;
        Ok(answer)
    }

    /// Reads through a client, strongly, and checks the result; `None` if there was no answer.
    pub fn read(&self, client: &mut Client) -> Option<Result<(), Violation>> {
        let (told, acknowledged) = {
            let known = self.known();
            (known.told, known.sums.len() as u64)
        };
        let found = answered(client.get(&self.key))?;
        Some(self.end_read(told, acknowledged, found.as_deref()))
    }

    fn end_read(&self, told: u64, acknowledged: u64, found: Option<&[u8]>) -> Result<(), Violation> {
        let text = String::from_utf8_lossy(found.unwrap_or(b"0")).into_owned();
        let invented = || Violation::Invented { key: self.key.clone(), found: text.clone() };
        let sum = self.natural(text.parse().map_err(|_| invented())?)?;
        let mut known = self.known();
        if sum < told {
            return Err(Violation::Stale { key: self.key.clone(), found: sum, known: told });
        }
        self.check_count(&known, sum, acknowledged)?;
        known.told = known.told.max(sum);
        Ok(())
    }

    /// Increments that were acknowledged.
    pub fn acknowledged(&self) -> u64 {
        self.known().sums.len() as u64
    }

    /// Increments whose outcome is unknown, or that have not ended yet.
    pub fn unknown(&self) -> u64 {
        let known = self.known();
        known.begun - known.refused - known.sums.len() as u64
    }

    fn check_count(&self, known: &Known, sum: u64, at_least: u64) -> Result<(), Violation> {
        let possible = known.begun - known.refused;
        if (at_least..=possible).contains(&sum) {
            return Ok(());
        }
        let acknowledged = known.sums.len() as u64;
        let unknown = possible - acknowledged;
        Err(Violation::Miscounted { key: self.key.clone(), found: sum, acknowledged, unknown })
    }

    fn natural(&self, sum: i64) -> Result<u64, Violation> {
        u64::try_from(sum).map_err(|_| Violation::Invented { key: self.key.clone(), found: sum.to_string() })
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().expect("no thread panics while it holds this")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(answers: &[Answer<i64>]) -> Counter {
        let counter = Counter::new("c".into());
        for answer in answers {
            let began = counter.begin();
            counter.end_increment(began, answer).unwrap();
        }
        counter
    }

    #[test]
    fn the_sum_is_between_the_acknowledged_and_those_with_the_unknown() {
        let counter = counted(&[Answer::Done(1), Answer::Unknown, Answer::Refused, Answer::Done(2)]);
        assert_eq!((counter.acknowledged(), counter.unknown()), (2, 1));
        let read = |found: &str| counter.end_read(0, 2, Some(found.as_bytes()));
        assert!(matches!(read("1"), Err(Violation::Miscounted { acknowledged: 2, unknown: 1, .. })));
        assert_eq!(read("2"), Ok(()));
        assert_eq!(read("3"), Ok(()));
        assert!(matches!(read("4"), Err(Violation::Miscounted { .. })));
        assert!(matches!(read("-1"), Err(Violation::Invented { .. })));
        assert!(matches!(read("x"), Err(Violation::Invented { .. })));
        assert!(counter.end_read(0, 2, None).is_err(), "two were acknowledged");
    }

    #[test]
    fn reads_do_not_go_back() {
        let counter = counted(&[Answer::Done(1), Answer::Unknown]);
        assert_eq!(counter.end_read(1, 1, Some(b"2")), Ok(()));
        assert!(matches!(counter.end_read(2, 1, Some(b"1")), Err(Violation::Stale { .. })));
    }

    #[test]
    fn increments_return_sums_of_their_own_that_rise() {
        let counter = counted(&[Answer::Done(1), Answer::Done(2)]);
        let (first, second) = (counter.begin(), counter.begin());
        assert_eq!(counter.end_increment(first, &Answer::Done(4)), Ok(()));
        let violation = counter.end_increment(second, &Answer::Done(4)).unwrap_err();
        assert_eq!(violation, Violation::Twice { key: "c".into(), sum: 4 });
        let third = counter.begin();
        assert!(matches!(
            counter.end_increment(third, &Answer::Done(3)),
            Err(Violation::Stale { known: 5, .. })
        ));
        let fourth = counter.begin();
        assert!(matches!(counter.end_increment(fourth, &Answer::Done(9)), Err(Violation::Miscounted { .. })));
    }
}
