//! A port's inbox: takes completions, and wakes the port's thread for them.

use std::sync::Arc;
use std::time::Duration;

use loom::thread;

use crate::client::{Inbox, Wake};
use crate::lane::Sink;
use crate::outcome::{Completion, Unknown};
use crate::sync::{Thread, current, park_timeout};

pub(super) struct Unpark(pub Thread);

impl Wake for Unpark {
    fn wake(&self) {
        self.0.unpark();
    }
}

/// Collects so many completions, and sleeps whenever there are none: the loop of a front end.
pub(super) fn collect<R>(inbox: &Inbox<R>, wanted: usize) -> Vec<Completion<R>> {
    let mut out = Vec::new();
    loop {
        inbox.collect(&mut out);
        if out.len() >= wanted {
            return out;
        }
        if inbox.may_sleep() {
            park_timeout(Duration::MAX);
        }
        inbox.awake();
    }
}

/// One thread delivers twice: everything arrives, once, and in order.
pub fn all_completions_come_in_order() {
    let inbox = Arc::new(Inbox::<()>::new(Arc::new(Unpark(current()))));
    let theirs = Arc::clone(&inbox);
    let engine = thread::spawn(move || {
        for token in 1..=2 {
            theirs.deliver(&mut vec![Completion::Unknown { token, unknown: Unknown::Deadline }]);
        }
    });
    let came = collect(&inbox, 2);
    engine.join().unwrap();
    assert_eq!(came, [1, 2].map(|token| Completion::Unknown { token, unknown: Unknown::Deadline }));
}

/// Two threads deliver, as the application's and a group's do.
pub fn completions_of_two_threads_come() {
    let inbox = Arc::new(Inbox::<()>::new(Arc::new(Unpark(current()))));
    let threads = [1, 2].map(|token| {
        let theirs = Arc::clone(&inbox);
        thread::spawn(move || {
            theirs.deliver(&mut vec![Completion::Unknown { token, unknown: Unknown::Deadline }]);
        })
    });
    let came = collect(&inbox, 2);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_ne!(came[0], came[1], "each comes once");
}
