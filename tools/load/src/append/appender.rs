//! The application: it counts, and leaves commands unread, as the one of the paper's microbenchmark. What is measured is the log;
//! that every server has executed the same bytes is what the engine's digests say.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use niagara_engine::{Commands, Encoded, GlobalPosition, MalformedState, StateMachine};

/// Counts commands.
#[derive(Default)]
pub(super) struct Appender(Arc<AtomicU64>);

impl StateMachine for Appender {
    type Reply = ();
    type Reader = Arc<AtomicU64>;
    type Frozen = Encoded;
    type Restoring = Encoded;

    fn reader(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.0)
    }

    fn apply(&mut self, _: GlobalPosition, commands: Commands<'_>, replies: &mut Vec<()>) {
        replies.resize(replies.len() + commands.len(), ());
        self.0.fetch_add(commands.len() as u64, Relaxed);
    }

    fn freeze(&mut self) -> Encoded {
        Encoded::new(self.0.load(Relaxed).to_le_bytes().to_vec())
    }

    fn restoring(_: &Arc<AtomicU64>) -> Encoded {
        Encoded::default()
    }

    fn restore(&mut self, _: GlobalPosition, state: Encoded) -> Result<(), MalformedState> {
        let count = state.bytes().try_into().map_err(|_| MalformedState("a count has eight bytes"))?;
        self.0.store(u64::from_le_bytes(count), Relaxed);
        Ok(())
    }
}
