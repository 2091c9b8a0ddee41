//! A state machine with bugs to choose from.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use niagara_engine::{Commands, Encoded, Frozen, GlobalPosition, MalformedState, StateMachine};

/// A mistake that a state machine can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    ReplyNamesServer,
    SevenForgottenOnServer2,
    DigestOfServer,
    RestoreForgetsLast,
    CountNotInSnapshot,
    RestoreRefuses,
    ViewIsLive,
    CountsBatches,
}

/// Commands in the order of their execution.
pub type Lines = Arc<Mutex<Vec<String>>>;

/// Keeps all commands, and replies with how many there are.
pub struct Log {
    server: u64,
    bug: Option<Bug>,
    lines: Lines,
    count: u64,
    calls: u64,
}

impl Log {
    pub fn new(server: u64, bug: Option<Bug>) -> Log {
        Log { server, bug, lines: Lines::default(), count: 0, calls: 0 }
    }

    fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }
}

/// A view of the lines: its own copy, or, with a bug, the live ones.
pub struct View {
    lines: Lines,
    count: u64,
    is_read: bool,
}

impl Frozen for View {
    fn next_chunk(&mut self, chunk: &mut Vec<u8>) -> bool {
        if std::mem::replace(&mut self.is_read, true) {
            return false;
        }
        chunk.extend(self.count.to_le_bytes());
        for line in self.lines.lock().unwrap().iter() {
            chunk.extend(line.bytes().chain([b'\n']));
        }
        true
    }
}

impl StateMachine for Log {
    type Reply = (u64, Option<u64>);
    type Reader = Lines;
    type Frozen = View;
    type Restoring = Encoded;

    fn reader(&self) -> Lines {
        Arc::clone(&self.lines)
    }

    fn apply(&mut self, _: GlobalPosition, commands: Commands<'_>, replies: &mut Vec<Self::Reply>) {
        self.calls += 1;
        let told = match self.bug {
            Some(Bug::ReplyNamesServer) => Some(self.server),
            Some(Bug::CountsBatches) => Some(self.calls),
            _ => None,
        };
        for command in commands {
            let line = String::from_utf8(command.as_slice().to_vec()).unwrap();
            self.count += 1;
            replies.push((self.count, told));
            let forgotten = self.has(Bug::SevenForgottenOnServer2) && self.server == 2;
            if !(forgotten && line.starts_with("7.")) {
                self.lines.lock().unwrap().push(line);
            }
        }
    }

    fn digest(&self) -> Option<u128> {
        self.has(Bug::DigestOfServer).then_some(self.server.into())
    }

    fn freeze(&mut self) -> View {
        let lines = if self.has(Bug::ViewIsLive) {
            Arc::clone(&self.lines)
        } else {
            Arc::new(Mutex::new(self.lines.lock().unwrap().clone()))
        };
        let count = if self.has(Bug::CountNotInSnapshot) { 0 } else { self.count };
        View { lines, count, is_read: false }
    }

    fn restoring(_: &Lines) -> Encoded {
        Encoded::default()
    }

    fn restore(&mut self, _: GlobalPosition, state: Encoded) -> Result<(), MalformedState> {
        if self.has(Bug::RestoreRefuses) {
            return Err(MalformedState("lines of another kind"));
        }
        let bytes = Bytes::copy_from_slice(state.bytes());
        let (count, text) = bytes.split_first_chunk().ok_or(MalformedState("a count has eight bytes"))?;
        let text = str::from_utf8(text).map_err(|_| MalformedState("lines are text"))?;
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        if self.has(Bug::RestoreForgetsLast) {
            lines.pop();
        }
        *self.lines.lock().unwrap() = lines;
        self.count = u64::from_le_bytes(*count);
        Ok(())
    }
}
