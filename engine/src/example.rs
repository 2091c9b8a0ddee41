//! A tiny engine for the examples in this documentation.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use niagara_sequencer::GlobalPosition;

use crate::{Commands, Config, Durability, Engine, Member, StateMachine};

/// Counts commands.
#[derive(Default)]
pub struct Counter(Arc<AtomicUsize>);

impl StateMachine for Counter {
    type Reply = usize;
    type Reader = Arc<AtomicUsize>;

    fn reader(&self) -> Self::Reader {
        Arc::clone(&self.0)
    }

    fn apply(&mut self, _position: GlobalPosition, commands: Commands<'_>, replies: &mut Vec<usize>) {
        replies.extend(commands.map(|_| self.0.fetch_add(1, SeqCst) + 1));
    }
}

/// A cluster of one server with two groups, in memory, counting commands.
pub fn engine() -> Engine<Counter> {
    let addresses = vec!["127.0.0.1:0".to_string(); 2];
    let mut config = Config::new(1, 1, vec![Member { server: 1, addresses }]);
    config.durability = Durability::Memory;
    Engine::start(config, Counter::default()).expect("loopback and memory are enough to start")
}
