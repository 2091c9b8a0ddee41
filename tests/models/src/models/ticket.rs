//! A ticket: one outcome, and one caller that waits for it, blocked or as a future.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use loom::thread;

use crate::client::{ReadCell, ReadTicket};
use crate::outcome::ReadFailed;
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
