//! Who follows whom: the followers that this server supplies, or the member that this one follows.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

use parking_lot::Mutex;

/// What a member's threads share about its followers.
#[derive(Default)]
pub(crate) struct Followers {
    connected: Mutex<BTreeSet<u64>>,
    await_more: AtomicBool,
}

impl Followers {
    /// A follower is connected to this server, or not any more.
    pub fn is_connected(&self, follower: u64, is_connected: bool) {
        let mut connected = self.connected.lock();
        if is_connected {
            connected.insert(follower);
        } else {
            connected.remove(&follower);
        }
    }

    /// The connected ones, in rising order.
    pub fn connected(&self) -> Vec<u64> {
        self.connected.lock().iter().copied().collect()
    }

    /// Some of them wait for more to be committed. Announce that, then look again.
    pub fn await_more(&self) {
        self.await_more.store(true, SeqCst);
    }

    /// More has been committed: whether anybody waited for that, and is to be woken.
    pub fn there_is_more(&self) -> bool {
        self.await_more.load(SeqCst) && self.await_more.swap(false, SeqCst)
    }
}

/// Whom a follower follows.
#[derive(Default)]
pub(crate) struct Followed {
    member: AtomicU64,
    position: AtomicU64,
}

impl Followed {
    /// The connected member that this server follows; 0 for none.
    pub fn set_member(&self, member: u64) {
        self.member.store(member, SeqCst);
    }

    pub fn member(&self) -> u64 {
        self.member.load(SeqCst)
    }

    /// A member has executed everything up to this position.
    pub fn reaches(&self, position: u64) {
        self.position.fetch_max(position, SeqCst);
    }

    /// The latest position that a member is known to have executed; 0 if none has said so yet.
    pub fn position(&self) -> u64 {
        self.position.load(SeqCst)
    }
}
