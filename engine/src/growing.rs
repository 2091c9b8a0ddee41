//! A list that grows while others read it.

use std::ops::Index;
use std::sync::OnceLock;

use niagara_sequencer::MAX_GROUPS;

use crate::sync::{AtomicUsize, Ordering::SeqCst};

/// A list of something that each group or lane has, which one thread lengthens while others read it, without a lock.
/// It takes as many as there can be groups, and nothing is ever removed.
#[derive(Debug)]
pub(crate) struct Growing<T> {
    /// A slot for each that there may be; those up to `count` are filled.
    slots: Box<[OnceLock<Box<T>>]>,
    count: AtomicUsize,
}

impl<T> Growing<T> {
    /// An empty list.
    pub fn new() -> Growing<T> {
        let slots = (0..MAX_GROUPS).map(|_| OnceLock::new()).collect();
        Growing { slots, count: AtomicUsize::new(0) }
    }

    /// Adds what is missing up to this number.
    pub fn grow_to(&self, count: usize, mut make: impl FnMut(usize) -> T) {
        for index in self.len()..count {
            let is_new = self.slots[index].set(Box::new(make(index))).is_ok();
            assert!(is_new, "one thread lengthens the list");
        }
        self.count.fetch_max(count, SeqCst);
    }

    pub fn len(&self) -> usize {
        self.count.load(SeqCst)
    }

    pub fn iter(&self) -> impl Iterator<Item = &T> + Clone {
        self.slots[..self.len()].iter().map(|slot| &**slot.get().expect("it is filled before it is counted"))
    }
}

impl<T> Index<usize> for Growing<T> {
    type Output = T;
    fn index(&self, index: usize) -> &T {
        self.slots[index].get().expect("the list is as long")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_stays_and_the_rest_is_added() {
        let list = Growing::new();
        list.grow_to(2, |index| index * 10);
        list.grow_to(4, |index| index * 100);
        list.grow_to(3, |_| unreachable!("it is long enough"));
        assert_eq!(list.iter().copied().collect::<Vec<_>>(), [0, 10, 200, 300]);
        assert_eq!((list.len(), list[2]), (4, 200));
    }
}
