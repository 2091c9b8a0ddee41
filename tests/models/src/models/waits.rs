//! [`Waits`](crate::server::Waits): a group's thread sleeps until a level is reached, or an entry merged.

use std::sync::Arc;

use loom::thread;

use super::sockets::Sockets;
use crate::server::Board;

/// A server's board, and the sockets at which the thread of its only group sleeps.
fn board() -> (Arc<Board>, Sockets) {
    let (board, sockets) = (Arc::new(Board::new(1)), Sockets::new());
    board.groups[0].mailbox.set_waker(sockets.waker.clone());
    (board, sockets)
}

/// Two other groups raise the level; the leader here pads up to what it has seen, and sleeps until there is more.
pub fn a_leader_hears_of_each_level() {
    let (board, sockets) = board();
    let others = [1, 2].map(|level| {
        let board = Arc::clone(&board);
        thread::spawn(move || board.raise_level(level))
    });
    let waits = &board.groups[0].waits;
    let mut padded = board.level();
    while padded < 2 {
        waits.say(padded + 1, u64::MAX);
        sockets.poll(|| !waits.pads_at(board.level()));
        padded = board.level();
    }
    others.into_iter().for_each(|other| other.join().unwrap());
}

/// Commands wait until the merge has passed the second entry, while it passes the first and the second.
pub fn held_commands_hear_of_the_merge() {
    hold_until_merged(2);
}

/// Commands wait for any progress of the merge, each time when it has made some.
pub fn held_commands_hear_of_any_progress() {
    hold_until_merged(0);
}

fn hold_until_merged(goes_on_at: u64) {
    let (board, sockets) = board();
    let theirs = Arc::clone(&board);
    let sequencer = thread::spawn(move || [1, 2].map(|index| theirs.groups[0].merged(index)));
    let waits = &board.groups[0].waits;
    let mut seen = waits.merged();
    while seen < 2 {
        waits.say(u64::MAX, goes_on_at);
        sockets.poll(|| !waits.are_over(seen, false));
        seen = waits.merged();
    }
    sequencer.join().unwrap();
}
