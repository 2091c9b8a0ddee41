//! What is seen of a server's state machine while it works.

use niagara_engine::Client;

use super::recorder::{Executed, Recorder, Records};
use crate::invariants::{Broken, FollowedOnce, check_mset_is_whole};

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

    /// Checks what was done since the last call by the server with this id, shows it to the subscribers, and returns the commands
    /// that were executed.
    pub fn take_executed(&mut self, id: u64) -> Result<Executed, Broken> {
        // What another thread would have read in the middle of commands.
        let seen = std::mem::take(&mut *self.records.seen.lock().expect("nobody panics while holding this"));
        seen.iter().try_for_each(|pair| check_mset_is_whole(pair))?;
        let executed =
            std::mem::take(&mut *self.records.executed.lock().expect("nobody panics while holding this"));
        self.subscribers.iter_mut().try_for_each(|subscriber| subscriber.executed(id, &executed))?;
        Ok(executed)
    }

    /// Positions of states restored since the last call.
    pub fn take_restored(&mut self) -> Vec<u64> {
        std::mem::take(&mut *self.records.restored.lock().expect("nobody panics while holding this"))
    }
}
