//! All receipts in the order of their execution: a queue that costs next to nothing to copy.

use std::collections::VecDeque;
use std::sync::Arc;

use super::Receipt;

/// So many stand together. A copy of the row shares them; one that is not full yet is copied when it grows.
const TOGETHER: usize = 256;

/// See the [module](self). Each receipt has a number; numbers rise by one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    /// All but the last one are full.
    parts: VecDeque<Arc<Vec<Receipt>>>,
    /// How many of the first part have been dropped.
    dropped: usize,
    /// The number of the first receipt of the first part.
    start: u64,
    len: usize,
}

impl Row {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Adds a receipt at the end. Returns its number.
    pub(super) fn push(&mut self, receipt: Receipt) -> u64 {
        if self.parts.back().is_none_or(|part| part.len() == TOGETHER) {
            self.parts.push_back(Arc::new(Vec::with_capacity(TOGETHER)));
        }
        let number = self.start + (self.dropped + self.len) as u64;
        let last = self.parts.back_mut().expect("there is a part");
        Arc::make_mut(last).push(receipt);
        self.len += 1;
        number
    }

    pub(super) fn first(&self) -> Option<&Receipt> {
        self.parts.front().and_then(|part| part.get(self.dropped))
    }

    /// Drops the first receipt. Returns it with its number.
    pub(super) fn pop_first(&mut self) -> Option<(u64, Receipt)> {
        let receipt = self.first()?.clone();
        let number = self.start + self.dropped as u64;
        self.dropped += 1;
        self.len -= 1;
        if self.dropped == TOGETHER {
            self.parts.pop_front();
            self.start += TOGETHER as u64;
            self.dropped = 0;
        }
        Some((number, receipt))
    }

    pub(super) fn get(&self, number: u64) -> Option<&Receipt> {
        let at = usize::try_from(number.checked_sub(self.start)?).ok()?;
        let receipt = self.parts.get(at / TOGETHER)?.get(at % TOGETHER)?;
        (at >= self.dropped).then_some(receipt)
    }

    /// Takes all of a part, from the beginning on, with their numbers; `None` if there is nothing left.
    pub(crate) fn take_some(&mut self) -> Option<Vec<(u64, Receipt)>> {
        let part = self.parts.pop_front()?;
        let (start, dropped) = (self.start, std::mem::take(&mut self.dropped));
        self.start += TOGETHER as u64;
        self.len -= part.len() - dropped;
        Some((start..).zip(part.iter().cloned()).skip(dropped).collect())
    }
}

#[cfg(test)]
impl Row {
    /// All of them, with their numbers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &Receipt)> {
        let all = self.parts.iter().flat_map(|part| part.iter());
        (self.start..).zip(all).skip(self.dropped)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn receipt(position: u64) -> Receipt {
        Receipt { key: [0; 16], request: [1; 16], position, executed: 0, answer: Bytes::new() }
    }

    fn positions(row: &Row) -> Vec<u64> {
        row.iter().map(|(_, receipt)| receipt.position).collect()
    }

    #[test]
    fn a_copy_stays_as_it_was() {
        let mut row = Row::default();
        let most = 3 * TOGETHER as u64 + 7;
        (0..most).for_each(|position| assert_eq!(row.push(receipt(position)), position));
        for number in 0..300 {
            assert_eq!(row.pop_first().unwrap().0, number);
        }
        let mut copy = row.clone();
        row.push(receipt(most));
        (0..300).for_each(|_| assert!(row.pop_first().is_some()));
        assert_eq!(positions(&row), (600..=most).collect::<Vec<_>>());
        assert_eq!(positions(&copy), (300..most).collect::<Vec<_>>());
        assert_eq!((row.get(599), row.get(most + 1)), (None, None));
        assert_eq!(row.get(600).unwrap().position, 600);
        let mut taken = Vec::new();
        while let Some(some) = copy.take_some() {
            assert!(some.iter().all(|(number, receipt)| *number == receipt.position));
            taken.extend(some.into_iter().map(|(number, _)| number));
        }
        assert_eq!(taken, (300..most).collect::<Vec<_>>());
        assert_eq!(copy.len(), 0);
    }

    #[test]
    fn an_emptied_row_goes_on() {
        let mut row = Row::default();
        for round in 0..1000u64 {
            assert_eq!(row.push(receipt(round)), round);
            assert_eq!(
                row.pop_first().map(|(number, receipt)| (number, receipt.position)),
                Some((round, round))
            );
            assert!(row.pop_first().is_none() && row.len() == 0);
        }
    }
}
