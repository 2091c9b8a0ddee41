//! Ending a sleep from another thread.

use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use crate::rig::{DEADLINE, Node, config, nowhere};

/// Sleeps until there is work in the queue, and takes it.
fn next_work(node: &mut Node, queue: &mpsc::Receiver<u32>) -> u32 {
    let mut work = None;
    while work.is_none() {
        let begin = Instant::now();
        // The last check of the queue takes what it finds.
        let last_look = || {
            work = queue.try_recv().ok();
            work.is_none()
        };
        node.turn_at(begin, Some(DEADLINE), last_look);
        assert!(begin.elapsed() < DEADLINE, "nobody ended the sleep");
        work = work.or_else(|| queue.try_recv().ok());
    }
    work.unwrap()
}

#[test]
fn a_wake_ends_a_long_sleep_and_none_is_lost() {
    const ROUNDS: u32 = 5000;
    let mut node = Node::open(config(1, &[(2, nowhere())]));
    let waker = node.waker();
    let (give, take) = mpsc::channel();
    let (answer, answered) = mpsc::channel();
    let giver = thread::spawn(move || {
        for round in 0..ROUNDS {
            give.send(round).unwrap();
            waker.wake();
            // Each round starts while the other thread is about to fall asleep, or asleep already.
            assert_eq!(answered.recv(), Ok(round));
        }
    });
    for round in 0..ROUNDS {
        assert_eq!(next_work(&mut node, &take), round);
        answer.send(round).unwrap();
    }
    giver.join().unwrap();
}

#[test]
fn who_has_work_does_not_sleep() {
    let mut node = Node::open(config(1, &[(2, nowhere())]));
    // Without a timeout: a sleep here would never end.
    node.turn_at(Instant::now(), None, || false);
}

#[test]
fn a_wake_after_the_transport_is_gone_does_nothing() {
    let node = Node::open(config(1, &[(2, nowhere())]));
    let waker = node.waker();
    drop(node);
    waker.wake();
}

#[test]
fn a_transport_can_move_to_its_thread() {
    fn moves<T: Send>(_: &T) {}
    fn is_shared<T: Send + Sync + Clone>(_: &T) {}
    let node = Node::open(config(1, &[(2, nowhere())]));
    moves(&node.transport);
    is_shared(&node.waker());
}
