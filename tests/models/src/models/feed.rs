//! [`Feed`]: from where a subscription begins on, it misses nothing.

use std::sync::Arc;

use bytes::Bytes;
use loom::thread;
use niagara_group::batch::{Span, SubBatch};
use niagara_sequencer::GlobalPosition;

use crate::subscription::{Feed, FeedLimits, Subscription};

/// Execution appends what it has executed, if anybody subscribes; the other thread begins to in the midst of
/// that, and waits for the rest.
pub fn a_subscriber_misses_nothing() {
    let feed = Arc::new(Feed::new(FeedLimits { bytes: 1 << 20, history: false }));
    let execution = {
        let feed = Arc::clone(&feed);
        thread::spawn(move || (1..=STRETCHES).map(GlobalPosition::new).for_each(|at| execute(&feed, at)))
    };
    let mut subscription = Subscription::begin(feed, None).expect("it may begin anywhere");
    let begin = subscription.next_position().get();
    for position in begin..=STRETCHES {
        assert_eq!(subscription.wait().expect("it is open").position.get(), position, "followed_once");
    }
    execution.join().unwrap();
}

const STRETCHES: u64 = 2;

/// Executes a command at this position.
fn execute(feed: &Feed, position: GlobalPosition) {
    let span = Span { server: 1, incarnation: 1, lane: 0, attempt: 0, first: position.get(), count: 1 };
    if let Some(mut recording) = feed.begin(position) {
        recording.add(
            position,
            SubBatch { span, lone: true, body: Bytes::from_static(b"command") },
            0,
            Vec::new(),
        );
        feed.append(recording.end(position));
    }
}
