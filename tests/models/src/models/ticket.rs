//! A ticket: one outcome, and one caller that waits for it, blocked or as a future.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use loom::thread;
use niagara_sequencer::GlobalPosition;

use super::lane::lane;
use crate::client::{ReadCell, ReadTicket, Ticket};
use crate::lane::{Deliveries, Room};
use crate::outcome::{ReadFailed, Unknown};
use crate::promise::block_on;
use crate::sync::{Signal, Thread, current, park_timeout};

fn put_elsewhere(cell: &Arc<ReadCell>) -> thread::JoinHandle<()> {
    let cell = Arc::clone(cell);
    thread::spawn(move || cell.put(Ok(())))
}

/// A blocked caller resumes.
pub fn a_blocked_caller_hears() {
    let cell = Arc::new(ReadCell::new());
    let engine = put_elsewhere(&cell);
    assert_eq!(ReadTicket { cell, reader: () }.wait(), Ok(()));
    engine.join().unwrap();
}

struct Executor(Thread);

impl Wake for Executor {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// A polled future is woken when another poll is worthwhile.
pub fn a_future_is_woken() {
    let cell = Arc::new(ReadCell::new());
    let engine = put_elsewhere(&cell);
    let waker = Waker::from(Arc::new(Executor(current())));
    let mut ticket = pin!(ReadTicket { cell, reader: () });
    let outcome: Result<(), ReadFailed> = loop {
        match ticket.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(outcome) => break outcome,
            Poll::Pending => park_timeout(Duration::MAX),
        }
    };
    assert_eq!(outcome, Ok(()));
    engine.join().unwrap();
}

/// Two commands share a block. Their callers wait, one as a future first and blocked then, while they are
/// executed one by one.
pub fn tickets_of_a_block_end_one_by_one() {
    let lane = Arc::new(lane::<u64>());
    let now = Instant::now();
    let command = Bytes::from_static(b"c");
    let first = Ticket(lane.begin(command.clone(), None, now, Duration::ZERO).expect("there is room"));
    let mut second =
        Ticket(lane.join(&command, &mut None, Duration::ZERO).expect("it was proposed at the same time"));
    let theirs = Arc::clone(&lane);
    let engine = thread::spawn(move || {
        let mut out = Deliveries::default();
        for number in 1..=2 {
            theirs.applied(number, GlobalPosition::new(1), [number].into_iter(), &mut out);
            out.deliver();
        }
    });
    let polled = Pin::new(&mut second).poll(&mut Context::from_waker(Waker::noop()));
    let second = match polled {
        Poll::Ready(outcome) => outcome,
        Poll::Pending => second.wait(),
    };
    let replies = [second, first.wait()].map(|outcome| outcome.map(|applied| applied.reply));
    assert_eq!(replies, [Ok::<u64, Unknown>(2), Ok(1)]);
    engine.join().unwrap();
}

/// A caller that waits for room in a full lane hears when there is some.
pub fn a_caller_hears_of_room() {
    let lane = Arc::new(lane::<u64>());
    let now = Instant::now();
    for _ in 0..10 {
        drop(lane.begin(Bytes::from_static(b"c"), None, now, Duration::ZERO).expect("there is room"));
    }
    let theirs = Arc::clone(&lane);
    let engine = thread::spawn(move || {
        let mut out = Deliveries::default();
        theirs.applied(1, GlobalPosition::new(1), [0; 10].into_iter(), &mut out);
        out.deliver();
    });
    if let Room::Later(promise) = lane.room(now).expect("it is open") {
        block_on(|waker| promise.poll(waker)).unwrap();
        assert!(matches!(lane.room(now), Ok(Room::Here)));
    }
    engine.join().unwrap();
}
