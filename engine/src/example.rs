//! A tiny engine for the examples in this documentation.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use niagara_sequencer::GlobalPosition;

use crate::{Commands, Config, Durability, Encoded, Engine, MalformedState, Member, NotAQuery, StateMachine};

/// Counts commands. Those that are called "level 2" are of a kind that level 2 adds.
#[derive(Debug, Default)]
pub struct Counter(Arc<AtomicUsize>);

impl Counter {
    /// How many commands it has executed.
    pub fn count(&self) -> usize {
        self.0.load(SeqCst)
    }
}

impl StateMachine for Counter {
    type Reply = usize;
    type Reader = Arc<AtomicUsize>;
    type Frozen = Encoded;
    type Restoring = Encoded;

    fn reader(&self) -> Self::Reader {
        Arc::clone(&self.0)
    }

    fn needed_level(command: &[u8]) -> u32 {
        if command == b"level 2" { 2 } else { 1 }
    }

    fn apply(&mut self, _position: GlobalPosition, commands: Commands<'_>, replies: &mut Vec<usize>) {
        replies.extend(commands.map(|_| self.0.fetch_add(1, SeqCst) + 1));
    }

    fn check_query(query: &[u8]) -> Result<(), NotAQuery> {
        if query == b"how many" { Ok(()) } else { Err(NotAQuery("the only query is `how many`")) }
    }

    fn answer(&self, _query: &[u8]) -> usize {
        self.0.load(SeqCst)
    }

    fn freeze(&mut self) -> Encoded {
        Encoded::new(self.0.load(SeqCst).to_le_bytes().to_vec())
    }

    fn restoring(_reader: &Self::Reader) -> Encoded {
        Encoded::default()
    }

    fn restore(&mut self, _position: GlobalPosition, state: Encoded) -> Result<(), MalformedState> {
        let count = state.bytes().try_into().map_err(|_| MalformedState("a count has eight bytes"))?;
        self.0.store(usize::from_le_bytes(count), SeqCst);
        Ok(())
    }
}

/// A cluster of one server with two groups, in memory, that counts commands.
pub fn engine() -> Engine<Counter> {
    let addresses = vec!["127.0.0.1:0".to_string(); 2];
    let mut config = Config::new(1, 1, vec![Member { server: 1, addresses, transfer: "127.0.0.1:0".into() }]);
    config.durability = Durability::Memory;
    Engine::start(config, Counter::default()).expect("loopback and memory are enough to start")
}
