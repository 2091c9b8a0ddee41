//! Which servers' processes seem to have ended.
//!
//! When a process ends, however it does, its system closes all of its connections at once. A link that is cut,
//! and a machine that vanishes, close nothing. One closed connection may have reasons of its own; two of one
//! server within a moment say that it is gone. That is a hint, never a proof: something on the way can close
//! connections, too.

use crate::planted::{self, Bug};
use crate::sync::Mutex;

/// Connections that an end closes are closed within milliseconds of each other.
const AGREE_WITHIN_TICKS: u32 = 10;

/// The servers whose connections were closed a moment ago.
#[derive(Default)]
pub(crate) struct EndedServers(Mutex<Vec<Closing>>);

struct Closing {
    channel: u32,
    peer: u64,
    ticks_left: u32,
}

impl EndedServers {
    /// Notes that a peer has closed its connection on a channel. Returns whether that is the second channel
    /// that says so.
    pub fn closed(&self, channel: u32, peer: u64) -> bool {
        if planted::is(Bug::EndNotNoticed) {
            return false;
        }
        let mut closings = self.0.lock();
        closings.retain(|closing| (closing.channel, closing.peer) != (channel, peer));
        closings.push(Closing { channel, peer, ticks_left: AGREE_WITHIN_TICKS });
        closings.iter().filter(|closing| closing.peer == peer).count() == 2
    }

    /// Notes that a connection is up: the peer runs, perhaps again.
    pub fn is_up(&self, peer: u64) {
        self.0.lock().retain(|closing| closing.peer != peer);
    }

    /// Lets a tick pass.
    pub fn tick(&self) {
        self.0.lock().retain_mut(|closing| {
            closing.ticks_left -= 1;
            closing.ticks_left > 0
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_channels_have_to_agree_within_a_moment() {
        let ended = EndedServers::default();
        assert!(!ended.closed(0, 2), "one connection may end for any reason");
        assert!(!ended.closed(0, 2), "the same one again");
        assert!(!ended.closed(1, 3), "another server");
        assert!(ended.closed(1, 2));
        assert!(!ended.closed(2, 2), "that is known by now");
        (0..AGREE_WITHIN_TICKS).for_each(|_| ended.tick());
        assert!(!ended.closed(3, 2), "the others were long ago");
    }

    #[test]
    fn a_server_that_is_back_has_to_end_again() {
        let ended = EndedServers::default();
        assert!(!ended.closed(0, 2) && ended.closed(1, 2));
        ended.is_up(2);
        assert!(!ended.closed(0, 2) && ended.closed(1, 2));
    }
}
