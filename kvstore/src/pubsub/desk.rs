//! What waits for a front-end thread.

use std::fmt;
use std::sync::Arc;

use niagara_engine::Wake;
use parking_lot::Mutex;

use super::Message;

/// Most bytes of messages that wait for a thread. It takes all of them once per turn, so more than a few MiB wait only if
/// it is far too slow.
const MOST_BYTES: usize = 64 << 20;

/// See the [module](self).
pub(super) struct Desk {
    waiting: Mutex<Waiting>,
    wake: Arc<dyn Wake>,
}

/// The messages that wait, in order.
#[derive(Debug, Default)]
struct Waiting {
    messages: Vec<Message>,
    bytes: usize,
    /// Messages are missing.
    lost: bool,
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").field("waiting", &self.waiting).finish_non_exhaustive()
    }
}

impl Desk {
    pub(super) fn new(wake: Arc<dyn Wake>) -> Desk {
        Desk { waiting: Mutex::default(), wake }
    }

    /// Adds messages, and wakes the thread if none waited. If too much waits, all of it is lost.
    pub(super) fn put(&self, messages: &mut Vec<Message>) {
        let mut waiting = self.waiting.lock();
        let slept = waiting.messages.is_empty() && !waiting.lost;
        let bytes: usize = messages.iter().map(Message::bytes).sum();
        if waiting.lost || waiting.bytes > 0 && waiting.bytes + bytes > MOST_BYTES {
            *waiting = Waiting { lost: true, ..Waiting::default() };
            messages.clear();
        } else {
            waiting.messages.append(messages);
            waiting.bytes += bytes;
        }
        drop(waiting);
        if slept {
            self.wake.wake();
        }
    }

    /// Notes that messages are missing.
    pub(super) fn lose(&self) {
        *self.waiting.lock() = Waiting { lost: true, ..Waiting::default() };
        self.wake.wake();
    }

    /// Takes all messages; `None` if some are missing.
    pub(super) fn take(&self) -> Option<Vec<Message>> {
        let waiting = std::mem::take(&mut *self.waiting.lock());
        (!waiting.lost).then_some(waiting.messages)
    }

    pub(super) fn is_empty(&self) -> bool {
        let waiting = self.waiting.lock();
        waiting.messages.is_empty() && !waiting.lost
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use bytes::Bytes;

    use super::super::Topic;
    use super::*;

    #[derive(Default)]
    struct Rings(AtomicUsize);

    impl Wake for Rings {
        fn wake(&self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn message(number: u64, bytes: usize) -> Message {
        let payload = Bytes::from(vec![0; bytes]);
        Message { number, topic: Topic::Channel, channel: Bytes::new(), payload }
    }

    #[test]
    fn a_thread_is_woken_once_for_all_that_waits() {
        let rings = Arc::new(Rings::default());
        let desk = Desk::new(Arc::<Rings>::clone(&rings));
        desk.put(&mut vec![message(1, 1), message(2, 1)]);
        desk.put(&mut vec![message(3, 1)]);
        assert_eq!(rings.0.load(Ordering::SeqCst), 1);
        let numbers =
            |messages: Vec<Message>| messages.iter().map(|message| message.number).collect::<Vec<_>>();
        assert_eq!(desk.take().map(numbers), Some(vec![1, 2, 3]));
        assert!(desk.is_empty());
        desk.put(&mut vec![message(4, 1)]);
        assert_eq!(rings.0.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn what_waits_is_bounded_and_a_loss_is_told_once() {
        let desk = Desk::new(Arc::new(Rings::default()));
        // A single batch is taken, however large.
        desk.put(&mut vec![message(1, MOST_BYTES)]);
        let mut more = vec![message(2, 1)];
        desk.put(&mut more);
        assert!(more.is_empty());
        desk.put(&mut vec![message(3, 1)]);
        assert!(!desk.is_empty());
        assert_eq!(desk.take(), None);
        assert_eq!(desk.take(), Some(Vec::new()));
        desk.put(&mut vec![message(4, 1)]);
        desk.lose();
        assert_eq!(desk.take(), None);
    }
}
