//! What is seen of a server's state machine while it works.

use bytes::Bytes;
use niagara_engine::Client;

use super::recorder::{Executed, Recorder, Records};
use crate::invariants::{Broken, FollowedOnce};

/// A subscriber that reads only after so many stretches lags now and then.
const LAZY: u32 = 20;

/// The records of a life's state machine, and two who subscribe to it.
pub struct Witness {
    records: Records,
    /// One that reads at once, and one that lags.
    subscribers: [FollowedOnce<Recorder>; 2],
}

impl Witness {
    /// Sees what the state machine with these records does.
    pub fn new(client: &Client<Recorder>, records: Records) -> Witness {
        let subscribers = [1, LAZY].map(|reads_every| FollowedOnce::new(client.clone(), reads_every));
        Witness { records, subscribers }
    }

    /// Commands executed since the last call.
    pub fn take_executed(&mut self) -> Executed {
        std::mem::take(&mut *self.records.executed.lock().expect("nobody panics while holding this"))
    }

    /// Shows subscribers what was executed.
    pub fn follow(&mut self, id: u64, executed: &[(u64, Bytes)]) -> Result<(), Broken> {
        self.subscribers.iter_mut().try_for_each(|subscriber| subscriber.executed(id, executed))
    }

    /// Positions of states restored since the last call.
    pub fn take_restored(&mut self) -> Vec<u64> {
        std::mem::take(&mut *self.records.restored.lock().expect("nobody panics while holding this"))
    }

    /// What another thread would have read in the middle of commands.
    pub fn take_seen(&mut self) -> Vec<Vec<Option<Bytes>>> {
        std::mem::take(&mut *self.records.seen.lock().expect("nobody panics while holding this"))
    }
}
