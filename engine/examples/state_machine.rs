//! The lower interface: a state machine that executes whole batches, and hands out its own readers and
//! snapshots. Three servers in one process agree on the order of some words.
//!
//! `cargo run --release -p niagara-engine --example state_machine`

use std::error::Error;
use std::sync::Arc;

use bytes::Bytes;
use niagara_engine::{
    Commands, Config, Consistency, Encoded, Engine, GlobalPosition, MalformedState, StateMachine,
};
use parking_lot::RwLock;

/// Keeps every word that it receives, in the order of the global log.
#[derive(Default)]
struct Words(Arc<RwLock<Vec<String>>>);

impl StateMachine for Words {
    /// Number of words so far.
    type Reply = usize;
    type Reader = Arc<RwLock<Vec<String>>>;
    /// A few words are encoded at once; a large state would return a view of itself.
    type Frozen = Encoded;
    type Restoring = Encoded;

    fn reader(&self) -> Self::Reader {
        Arc::clone(&self.0)
    }

    fn apply(&mut self, _: GlobalPosition, commands: Commands<'_>, replies: &mut Vec<usize>) {
        let mut words = self.0.write();
        for command in commands {
            words.push(String::from_utf8_lossy(command.as_slice()).into_owned());
            replies.push(words.len());
        }
    }

    fn freeze(&mut self) -> Encoded {
        Encoded::new(self.0.read().join("\n").into_bytes())
    }

    fn restoring(_reader: &Self::Reader) -> Encoded {
        Encoded::default()
    }

    fn restore(&mut self, _: GlobalPosition, state: Encoded) -> Result<(), MalformedState> {
        let text = str::from_utf8(state.bytes()).map_err(|_| MalformedState("words are text"))?;
        *self.0.write() = text.lines().map(str::to_owned).collect();
        Ok(())
    }
}

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let start = |config| Engine::start(config, Words::default());
    let engines = Config::local(3, 4)?.into_iter().map(start).collect::<Result<Vec<_>, _>>()?;

    // Every server accepts commands; one that leads no group forwards them to one that does.
    let tickets = (0..12).map(|i| {
        let client = engines[i % 3].client();
        client.propose(Bytes::from(format!("word {i} through server {}", i % 3 + 1)))
    });
    for ticket in tickets.collect::<Result<Vec<_>, _>>()? {
        let done = ticket.wait()?;
        println!("executed as word {} at position {} of the global log", done.reply, done.position);
    }

    // On any server, a strong read sees all of that, and all servers have the same order.
    let read = |engine: &Engine<Words>| engine.client().read(Consistency::Strong).wait();
    let views = engines.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let orders: Vec<Vec<String>> = views.iter().map(|words| words.read().clone()).collect();
    assert!(orders.iter().all(|order| order.len() == 12 && *order == orders[0]));
    println!("all three servers hold the same 12 words in the same order");
    engines.into_iter().for_each(Engine::stop);
    Ok(())
}
