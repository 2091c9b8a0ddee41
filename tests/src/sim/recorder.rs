//! The state machine of simulated servers: the key-value store, with a record of what it is told to execute.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use niagara_engine::{Commands, GlobalPosition, StateMachine};
use niagara_kvstore::{Kv, KvReader, Reply};

/// Commands in the order in which they were executed, each with its position.
pub type Executed = Vec<(u64, Bytes)>;

/// A store that remembers.
#[derive(Debug, Default)]
pub struct Recorder {
    kv: Kv,
    executed: Arc<Mutex<Executed>>,
}

impl Recorder {
    /// Where executed commands are put.
    pub fn executed(&self) -> Arc<Mutex<Executed>> {
        Arc::clone(&self.executed)
    }
}

impl StateMachine for Recorder {
    type Reply = Reply;
    type Reader = KvReader;

    fn reader(&self) -> KvReader {
        self.kv.reader()
    }

    fn apply(&mut self, position: GlobalPosition, commands: Commands<'_>, replies: &mut Vec<Reply>) {
        let mut executed = self.executed.lock().expect("nobody panics while holding this");
        executed.extend(
            commands.clone().map(|command| (position.get(), Bytes::copy_from_slice(command.as_slice()))),
        );
        self.kv.apply(position, commands, replies);
    }
}
