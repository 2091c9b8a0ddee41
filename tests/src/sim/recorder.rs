//! The state machine of simulated servers: the key-value store, with a record of what it executes.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use niagara_engine::{Commands, GlobalPosition, MalformedState, NotACommand, NotAQuery, StateMachine};
use niagara_kvstore::{Kv, KvFrozen, KvReader, KvRestoring, Reply};

/// Commands in the order in which they were executed, each with its position.
pub type Executed = Vec<(u64, Bytes)>;

/// What a recorder remembers, for those who look at it.
#[derive(Clone, Debug, Default)]
pub struct Records {
    /// Executed commands.
    pub executed: Arc<Mutex<Executed>>,
    /// Positions of restored states: commands up to there were not executed here, or are forgotten.
    pub restored: Arc<Mutex<Vec<u64>>>,
    /// What another thread would have read, in the middle of commands, of the keys that are set together.
    pub seen: Arc<Mutex<Vec<Vec<Option<Bytes>>>>>,
}

/// A store that remembers what it executed.
#[derive(Debug, Default)]
pub struct Recorder {
    kv: Kv,
    records: Records,
}

impl Recorder {
    /// What it remembers, now and later.
    pub fn records(&self) -> Records {
        self.records.clone()
    }

    /// Reads the pair wherever another thread could read it while commands are executed.
    #[cfg(feature = "planted-bugs")]
    fn look_in(&self, on: bool) {
        let (reader, seen) = (self.kv.reader(), Arc::clone(&self.records.seen));
        let look = move || {
            let pair = super::request::PAIR.map(str::as_bytes);
            seen.lock().expect("nobody panics while holding this").extend(reader.try_get_many(&pair));
        };
        niagara_planted::at_pause(on.then(|| Box::new(look) as Box<dyn Fn()>));
    }

    /// Only builds with planted bugs have such places.
    #[cfg(not(feature = "planted-bugs"))]
    #[expect(clippy::unused_self, reason = "the other one uses it")]
    fn look_in(&self, _on: bool) {}
}

impl StateMachine for Recorder {
    type Reply = Reply;
    type Reader = KvReader;
    type Frozen = KvFrozen;
    type Restoring = KvRestoring;

    fn reader(&self) -> KvReader {
        self.kv.reader()
    }

    fn apply(&mut self, position: GlobalPosition, commands: Commands<'_>, replies: &mut Vec<Reply>) {
        let mut executed = self.records.executed.lock().expect("nobody panics while holding this");
        executed.extend(
            commands.clone().map(|command| (position.get(), Bytes::copy_from_slice(command.as_slice()))),
        );
        self.look_in(true);
        self.kv.apply(position, commands, replies);
        self.look_in(false);
    }

    fn needed_level(command: &[u8]) -> u32 {
        Kv::needed_level(command)
    }

    fn check(command: &[u8]) -> Result<(), NotACommand> {
        Kv::check(command)
    }

    fn check_query(query: &[u8]) -> Result<(), NotAQuery> {
        Kv::check_query(query)
    }

    fn answer(&self, query: &[u8]) -> Reply {
        self.kv.answer(query)
    }

    fn unexecutable(&self) -> Option<NotACommand> {
        self.kv.unexecutable()
    }

    fn digest(&self) -> Option<u128> {
        self.kv.digest()
    }

    fn freeze(&mut self) -> KvFrozen {
        self.kv.freeze()
    }

    fn restoring(reader: &KvReader) -> KvRestoring {
        Kv::restoring(reader)
    }

    fn restore(&mut self, position: GlobalPosition, state: KvRestoring) -> Result<(), MalformedState> {
        self.kv.restore(position, state)?;
        self.records.restored.lock().expect("nobody panics while holding this").push(position.get());
        Ok(())
    }
}
