//! [`Waits`](crate::progress::Waits): a group's thread sleeps until a level is reached, or an entry merged.

use std::sync::Arc;

use loom::thread;

use super::sockets::Sockets;
use crate::progress::SharedProgress;

/// A server's progress, and the sockets at which the thread of its only group sleeps.
fn progress() -> (Arc<SharedProgress>, Sockets) {
    let (progress, sockets) = (Arc::new(SharedProgress::new(1)), Sockets::new());
    progress.epoch().groups[0].mailbox.set_waker(sockets.waker.clone());
    (progress, sockets)
}

/// Two other groups raise the level; the leader here pads up to what it has seen, and sleeps until there is
/// more.
pub fn a_leader_hears_of_each_level() {
    let (progress, sockets) = progress();
    let others = [1, 2].map(|level| {
        let progress = Arc::clone(&progress);
        thread::spawn(move || progress.epoch().raise_level(level))
    });
    let waits = &progress.epoch().groups[0].waits;
    let mut padded = progress.epoch().level();
    while padded < 2 {
        waits.say(padded + 1, u64::MAX);
        sockets.poll(|| !waits.pads_at(progress.epoch().level()));
        padded = progress.epoch().level();
    }
    others.into_iter().for_each(|other| other.join().unwrap());
}

/// Commands wait until the merge has passed the second entry, while it passes the first and the second.
pub fn held_commands_hear_of_the_merge() {
    hold_until_merged(2);
}

/// Commands wait for any progress of the merge, again after each.
pub fn held_commands_hear_of_any_progress() {
    hold_until_merged(0);
}

fn hold_until_merged(goes_on_at: u64) {
    let (progress, sockets) = progress();
    let theirs = Arc::clone(&progress);
    let sequencer = thread::spawn(move || [1, 2].map(|index| theirs.epoch().groups[0].merged(index)));
    let waits = &progress.epoch().groups[0].waits;
    let mut seen = waits.merged();
    while seen < 2 {
        waits.say(u64::MAX, goes_on_at);
        sockets.poll(|| !waits.are_over(seen, false));
        seen = waits.merged();
    }
    sequencer.join().unwrap();
}
