//! What the thread that executes commands notes for trackers.

use std::mem::take;
use std::sync::Arc;

use bytes::Bytes;

use super::Exchange;
use super::batch::{Batch, Deed, Reads};

/// Most bytes of keys that are noted of the reads of one command. Whoever has sent one that reads more is told that all is
/// stale.
const MOST_READ_BYTES: usize = 1 << 20;

/// See the [module](self).
#[derive(Debug, Default)]
pub(crate) struct Scribe {
    exchange: Arc<Exchange>,
    /// The number of the last change.
    last: u64,
    staged: Batch,
    /// What the present command has done, if that is noted.
    doing: Option<Doing>,
    is_muted: bool,
}

#[derive(Debug)]
struct Doing {
    /// The number of the last change before it.
    before: u64,
    reads: Reads,
    bytes: usize,
}

impl Scribe {
    pub(crate) fn new(exchange: Arc<Exchange>) -> Scribe {
        Scribe { exchange, ..Scribe::default() }
    }

    /// Notes that a key has changed, whose shard is locked.
    pub(crate) fn note(&mut self, key: &[u8]) {
        if self.exchange.is_on() && !self.is_muted {
            self.count();
            self.staged.add(key);
        }
    }

    /// Notes that any key may have changed. All shards are locked.
    pub(crate) fn note_all(&mut self) {
        if self.exchange.is_on() {
            let number = self.count();
            self.staged.add_all(number);
        }
    }

    /// While it is muted, it notes no single key: all of them are noted then.
    pub(crate) fn mute(&mut self, is_muted: bool) {
        self.is_muted = is_muted;
    }

    fn count(&mut self) -> u64 {
        self.last += 1;
        if self.staged.is_empty() {
            self.staged.first = self.last;
        }
        self.exchange.publish(self.last);
        self.last
    }

    /// Begins a command that somebody on this server awaits. `false`: nothing of it is to be noted.
    pub(crate) fn begin(&mut self) -> bool {
        let is_on = self.exchange.is_on();
        if is_on {
            self.doing = Some(Doing { before: self.last, reads: Reads::Keys(Vec::new()), bytes: 0 });
        }
        is_on
    }

    /// Notes that the present command, which does more than that, has looked at a key.
    pub(crate) fn note_read(&mut self, key: &[u8]) {
        let Some(Doing { reads, bytes, .. }) = &mut self.doing else { return };
        if let Reads::Keys(keys) = reads {
            *bytes += key.len();
            keys.push((self.last, Bytes::copy_from_slice(key)));
            if *bytes > MOST_READ_BYTES || keys.len() > MOST_READ_BYTES / 16 {
                *reads = Reads::TooMany;
            }
        }
    }

    /// Ends a command that has begun, at a position.
    pub(crate) fn end(&mut self, position: u64, command: &[u8]) {
        let Some(Doing { before, reads, .. }) = self.doing.take() else { return };
        if self.exchange.has_loopless() || !reads.is_empty() {
            if self.staged.is_empty() {
                self.staged.first = self.last + 1;
            }
            let changes = before + 1..self.last + 1;
            self.staged.deeds.push(Deed { name: (position, self.exchange.digest(command)), changes, reads });
        }
    }

    /// What has changed is not known: this server goes on from a snapshot, which it has by now.
    pub(crate) fn lose(&mut self) {
        self.last += 1;
        self.exchange.publish(self.last);
        self.staged = Batch::default();
        self.exchange.lose(self.last);
    }

    /// Hands over what was noted.
    pub(crate) fn deliver(&mut self) {
        if !self.staged.is_empty() {
            self.exchange.deliver(take(&mut self.staged));
        }
    }
}
