use std::time::Duration;

use super::*;
use crate::lane::heard::Heard;
use crate::outcome::{DetachedRead, Refused, Unknown};

struct Fixture {
    reads: AttachedReads<u64>,
    heard: Arc<Heard>,
    start: Instant,
}

impl Fixture {
    fn new() -> Self {
        Fixture { reads: AttachedReads::default(), heard: Arc::default(), start: Instant::now() }
    }

    /// Adds reads behind the commands of these numbers, the first of which is the turn's first. Each asks for
    /// its own number.
    fn add(&mut self, numbers: &[u64], deadline: u64) {
        let mut staged = StagedReads::default();
        for number in numbers {
            staged.push((number - numbers[0]) as u32, 100 + number, number.to_string().as_bytes());
        }
        let sink: Arc<dyn Sink<u64>> = Arc::<Heard>::clone(&self.heard);
        self.reads.add(numbers[0], &mut staged, self.start + Duration::from_secs(deadline), sink);
    }

    /// Numbers of the reads that are due below this one.
    fn take(&mut self, end: u64) -> Vec<u64> {
        let mut due = DueReads::default();
        self.reads.take_below(end, &mut due);
        due.iter().map(|read| self.number(read.after, read.token, read.query)).collect()
    }

    fn number(&self, after: u64, token: u64, query: &[u8]) -> u64 {
        assert_eq!((token, query), (100 + after, after.to_string().as_bytes()));
        after
    }

    /// Numbers of the reads that are given up at this time.
    fn give_up(&mut self, at: u64) -> Vec<u64> {
        let mut out = Deliveries::default();
        let now = self.start + Duration::from_secs(at);
        self.reads.give_up(Some(now), Detached::Unknown(Unknown::Deadline), &mut out);
        out.deliver();
        let heard = std::mem::take(&mut *self.heard.0.lock());
        let number = |completion| match completion {
            Completion::Detached { token, read } => self.number(token - 100, token, &read.query),
            other => panic!("{other:?}"),
        };
        heard.into_iter().map(number).collect()
    }
}

#[test]
fn each_read_is_due_once_with_its_command() {
    let mut fixture = Fixture::new();
    fixture.add(&[3, 3, 5, 9], 9);
    fixture.add(&[10, 14], 9);
    assert_eq!(fixture.take(3), [0u64; 0]);
    assert_eq!(fixture.take(6), [3, 3, 5], "an entry may end amid a turn");
    assert_eq!(fixture.take(6), [0u64; 0]);
    assert_eq!(fixture.take(12), [9, 10], "and hold parts of two");
    assert_eq!(fixture.take(15), [14]);
    assert_eq!((fixture.reads.runs(), fixture.reads.bytes()), (0, 0));
}

#[test]
fn reads_that_are_given_up_are_not_due_any_more() {
    let mut fixture = Fixture::new();
    fixture.add(&[1, 2, 3], 5);
    fixture.add(&[4, 5], 3);
    fixture.add(&[6, 7], 9);
    assert_eq!(fixture.take(2), [1]);
    assert_eq!(fixture.give_up(3), [4, 5], "each turn has its own deadline");
    assert_eq!(fixture.take(3), [2], "and the first one has not forgotten where it was");
    assert_eq!(fixture.give_up(5), [3]);
    assert_eq!(fixture.take(7), [6]);
    assert_eq!(fixture.give_up(9), [7]);
    assert_eq!((fixture.reads.runs(), fixture.reads.bytes()), (0, 0));
}

#[test]
fn refused_reads_get_their_queries_back() {
    let mut staged = StagedReads::default();
    staged.push(0, 1, b"first");
    staged.push(2, 2, b"");
    let (mut out, why) = (Vec::new(), Detached::Refused(Refused::Overloaded));
    staged.detach(why, &mut out);
    let back = |token, query: &'static [u8]| {
        let read = Box::new(DetachedRead { query: query.into(), why });
        Completion::Detached { token, read }
    };
    assert_eq!(out, [back(1, b"first"), back(2, b"")] as [Completion<u64>; 2]);
    assert!(staged.is_empty());
}
