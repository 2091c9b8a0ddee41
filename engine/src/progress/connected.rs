//! Which servers this one is connected to.

use std::collections::BTreeSet;

use crate::sync::Mutex;

/// The connections that are up, as pairs of peer and channel.
#[derive(Default)]
pub(crate) struct Connected(Mutex<BTreeSet<(u64, u32)>>);

impl Connected {
    /// Notes that a connection is up.
    pub fn up(&self, channel: u32, peer: u64) {
        self.0.lock().insert((peer, channel));
    }

    /// Notes that a connection is gone.
    pub fn down(&self, channel: u32, peer: u64) {
        self.0.lock().remove(&(peer, channel));
    }

    /// The peers with at least one connection, in order.
    pub fn peers(&self) -> Vec<u64> {
        let mut peers: Vec<u64> = self.0.lock().iter().map(|(peer, _)| *peer).collect();
        peers.dedup();
        peers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_connected_as_long_as_one_channel_is() {
        let connected = Connected::default();
        for (channel, peer) in [(0, 3), (1, 2), (0, 2), (0, 2)] {
            connected.up(channel, peer);
        }
        assert_eq!(connected.peers(), [2, 3]);
        connected.down(0, 2);
        assert_eq!(connected.peers(), [2, 3]);
        connected.down(1, 2);
        connected.down(1, 3);
        assert_eq!(connected.peers(), [3]);
    }
}
