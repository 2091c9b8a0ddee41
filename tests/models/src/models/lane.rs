//! A lane: two callers put commands in, and the group's thread takes them out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use loom::thread;
use niagara_group::LaneSource;

use super::sockets::Sockets;
use crate::client::Inbox;
use crate::lane::{Deliveries, Lane, LaneLimits, LaneQueue, Origin, Piece, Sink, StagedReads, Submission};
use crate::models::inbox::Unpark;
use crate::outcome::{Completion, Refused, Unknown};
use crate::sync::current;

/// A lane of the first server's first life.
pub(super) fn lane<R>() -> Lane<R> {
    let queue = LaneQueue::new(Origin { server: 1, incarnation: 1, lane: 0 }, 1 << 10);
    Lane::new(
        Arc::new(queue),
        LaneLimits { commands: 10, bytes: 100, window: 4, tick: Duration::from_millis(50) },
    )
}

/// Submits a command of one byte.
pub(super) fn submit<R>(lane: &Lane<R>, token: u64, sink: &Arc<dyn Sink<R>>) {
    try_to_submit(lane, token, sink).expect("there is room");
}

fn try_to_submit<R>(lane: &Lane<R>, token: u64, sink: &Arc<dyn Sink<R>>) -> Result<(), Refused> {
    let piece = Piece::Framed { body: BytesMut::from(&[1, 7][..]), count: 1 };
    let reads = &mut StagedReads::default();
    let submission = Submission {
        pieces: &mut vec![piece],
        tokens: &mut vec![token],
        bytes: 2,
        reads,
        deadline: Instant::now(),
    };
    lane.submit(submission, sink)
}

/// A command that meets the end of its lane is refused, or its caller is notified that the outcome is unknown.
pub fn a_closing_lane_leaves_nobody_waiting() {
    let lane = Arc::new(lane::<()>());
    let inbox = Arc::new(Inbox::new(Arc::new(Unpark(current()))));
    let sink: Arc<dyn Sink<()>> = Arc::<Inbox<()>>::clone(&inbox);
    let theirs = Arc::clone(&lane);
    let caller = thread::spawn(move || try_to_submit(&theirs, 1, &sink));
    let mut out = Deliveries::default();
    lane.close(&mut out);
    out.deliver();
    let mut heard = Vec::new();
    let submitted = caller.join().unwrap();
    inbox.collect(&mut heard);
    match submitted {
        Ok(()) => assert_eq!(heard, [Completion::Unknown { token: 1, unknown: Unknown::Stopping }]),
        Err(refused) => assert_eq!((refused, heard.len()), (Refused::Stopping, 0)),
    }
}

/// A caller submits while the group's thread is about to sleep.
pub fn commands_wake_the_group() {
    let sockets = Sockets::new();
    let (lane, ring) = (Arc::new(lane::<()>()), sockets.waker.clone());
    let sink: Arc<dyn Sink<()>> = Arc::new(Inbox::new(Arc::new(Unpark(current()))));
    let theirs = Arc::clone(&lane);
    let caller = thread::spawn(move || {
        submit(&theirs, 1, &sink);
        ring.wake();
    });
    let (queue, mut taken) = (&*lane.queue, Vec::new());
    while taken.is_empty() {
        sockets.poll(|| !queue.has_commands());
        queue.take(1 << 10, &mut taken);
    }
    caller.join().unwrap();
    assert!(!queue.has_commands());
}

/// The numbers have no gaps, whoever got them, and the count matches the content.
pub fn numbers_come_in_order() {
    let lane = Arc::new(lane::<()>());
    let sink: Arc<dyn Sink<()>> = Arc::new(Inbox::new(Arc::new(Unpark(current()))));
    let callers = [1, 2].map(|token| {
        let (lane, sink) = (Arc::clone(&lane), Arc::clone(&sink));
        thread::spawn(move || submit(&lane, token, &sink))
    });
    let (mut taken, mut next) = (Vec::new(), 1);
    for _ in 0..2 {
        let queue = &*lane.queue;
        queue.take(1 << 10, &mut taken);
        assert!(!queue.is_saturated(), "two commands do not fill an entry");
        for batch in taken.drain(..) {
            assert_eq!(batch.span.first, next, "a lane's numbers have no gaps");
            next = batch.end();
        }
    }
    callers.into_iter().for_each(|caller| caller.join().unwrap());
    assert_eq!(lane.pending(), 2);
    assert_eq!(lane.queue.has_commands(), next < 3);
}
