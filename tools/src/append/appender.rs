//! The application: it looks at each command, and keeps nothing but what shows that it has.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use niagara_engine::{Commands, Encoded, GlobalPosition, MalformedState, StateMachine};

/// What has been executed.
#[derive(Default)]
pub(super) struct Appended {
    pub commands: AtomicU64,
    pub bytes: AtomicU64,
}

/// Counts commands and their bytes.
#[derive(Default)]
pub(super) struct Appender(Arc<Appended>);

impl StateMachine for Appender {
    type Reply = ();
    type Reader = Arc<Appended>;
    type Frozen = Encoded;
    type Restoring = Encoded;

    fn reader(&self) -> Arc<Appended> {
        Arc::clone(&self.0)
    }

    fn apply(&mut self, _: GlobalPosition, commands: Commands<'_>, replies: &mut Vec<()>) {
        let (mut count, mut bytes) = (0, 0);
        for command in commands {
            count += 1;
            bytes += command.as_slice().len();
        }
        replies.resize(replies.len() + count, ());
        self.0.commands.fetch_add(count as u64, Relaxed);
        self.0.bytes.fetch_add(bytes as u64, Relaxed);
    }

    fn freeze(&mut self) -> Encoded {
        let numbers = [self.0.commands.load(Relaxed), self.0.bytes.load(Relaxed)];
        Encoded::new(numbers.iter().flat_map(|number| number.to_le_bytes()).collect())
    }

    fn restoring(_: &Arc<Appended>) -> Encoded {
        Encoded::default()
    }

    fn restore(&mut self, _: GlobalPosition, state: Encoded) -> Result<(), MalformedState> {
        let (numbers, rest) = state.bytes().as_chunks();
        let [commands, bytes] = numbers else { return Err(MalformedState("two numbers are the state")) };
        if !rest.is_empty() {
            return Err(MalformedState("bytes behind the two numbers"));
        }
        self.0.commands.store(u64::from_le_bytes(*commands), Relaxed);
        self.0.bytes.store(u64::from_le_bytes(*bytes), Relaxed);
        Ok(())
    }
}
