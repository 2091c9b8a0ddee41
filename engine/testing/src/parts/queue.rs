//! Pending events, in the order of time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::network::Micros;

/// Pending events. Those of the same moment happen in the order in which they were queued.
///
/// Events are much longer than what orders them, and a heap moves its elements, so the heap holds their
/// indexes. Time, sequence number and index form one number, since that compares in two steps.
#[derive(Debug)]
pub struct Queue<E> {
    order: BinaryHeap<Reverse<u128>>,
    events: Vec<Option<E>>,
    free: Vec<usize>,
    queued: u64,
}

/// Low bits of the ordering number, which hold an event's index; above them is its sequence number.
const PLACE_BITS: u32 = 24;

impl<E> Default for Queue<E> {
    fn default() -> Self {
        Queue { order: BinaryHeap::new(), events: Vec::new(), free: Vec::new(), queued: 0 }
    }
}

impl<E> Queue<E> {
    /// Queues an event.
    pub fn push(&mut self, at: Micros, event: E) {
        let place = self.free.pop().unwrap_or_else(|| {
            self.events.push(None);
            self.events.len() - 1
        });
        assert!(place < 1 << PLACE_BITS && self.queued < 1 << (u64::BITS - PLACE_BITS), "too many events");
        self.events[place] = Some(event);
        let order = u128::from(at) << u64::BITS | u128::from(self.queued << PLACE_BITS) | place as u128;
        self.order.push(Reverse(order));
        self.queued += 1;
    }

    /// The next event, and when it happens.
    pub fn pop(&mut self) -> Option<(Micros, E)> {
        let Reverse(order) = self.order.pop()?;
        let (at, place) = ((order >> u64::BITS) as Micros, order as usize & ((1 << PLACE_BITS) - 1));
        self.free.push(place);
        Some((at, self.events[place].take().expect("each place is in the order once")))
    }

    /// The next event, and when it happens, unless that is after this moment.
    pub fn pop_by(&mut self, until: Micros) -> Option<(Micros, E)> {
        let Reverse(order) = self.order.peek()?;
        if (order >> u64::BITS) as Micros <= until { self.pop() } else { None }
    }

    /// How many events have been queued so far.
    pub fn queued(&self) -> u64 {
        self.queued
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_queued_for_the_same_moment_keeps_its_order() {
        let mut queue = Queue::default();
        for (at, event) in [(5, 'c'), (1, 'a'), (5, 'd'), (2, 'b')] {
            queue.push(at, event);
        }
        assert_eq!((queue.pop(), queue.pop()), (Some((1, 'a')), Some((2, 'b'))));
        queue.push(5, 'e');
        let rest: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(rest, [(5, 'c'), (5, 'd'), (5, 'e')]);
        assert_eq!(queue.queued(), 5);
    }
}
