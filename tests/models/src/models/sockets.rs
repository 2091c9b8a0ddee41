//! The sockets that a group's thread polls: where it sleeps, and what wakes it.

use crate::sync::{Registry, Signal, Token};
use crate::waker::Waker;

/// Sockets without traffic, with a waker.
pub(super) struct Sockets {
    registry: Registry,
    pub waker: Waker,
}

impl Sockets {
    pub fn new() -> Sockets {
        let registry = Registry(Signal::new());
        let waker = Waker::new(&registry, Token).unwrap();
        Sockets { registry, waker }
    }

    /// A poll, as in a turn of the transport. `may_sleep` is the thread's last check.
    pub fn poll(&self, may_sleep: impl FnOnce() -> bool) {
        self.waker.sleep(may_sleep, |may_sleep| {
            if may_sleep {
                self.registry.0.wait();
            }
        });
    }
}
