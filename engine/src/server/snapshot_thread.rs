//! The thread that keeps the snapshots: sockets in, a step of the keeper, sockets out.

use std::sync::Arc;
use std::time::Instant;

use niagara_net::{Event, Transport};

use super::board::Board;
use crate::snapshot::Keeper;
use crate::state_machine::StateMachine;

/// What the thread owns or shares.
pub(crate) struct SnapshotThread<S: StateMachine> {
    pub keeper: Keeper<S>,
    pub board: Arc<Board>,
    pub transport: Transport,
}

impl<S: StateMachine> SnapshotThread<S> {
    /// The thread's life, until it is told to stop. A snapshot that is half written then is lost, and nothing else.
    pub fn run(mut self) {
        let mut events = Vec::new();
        while !self.board.snapshots.is_stopped() {
            self.turn(&mut events);
        }
    }

    fn turn(&mut self, events: &mut Vec<Event>) {
        let now = Instant::now();
        let timeout = self.keeper.next_due(now).map(|due| due.saturating_duration_since(now));
        let keeper = &self.keeper;
        let may_sleep = || !keeper.is_due(Instant::now());
        let waited = self.transport.turn(now, timeout, may_sleep, events);
        waited.unwrap_or_else(|error| panic!("cannot wait for sockets: {error}"));
        let now = Instant::now();
        for event in events.drain(..) {
            self.keeper.handle(now, event);
        }
        for (to, message) in self.keeper.step(now) {
            // What is dropped on a broken link is asked for again.
            let _ = self.transport.send(to, message.encode());
        }
        self.transport.flush();
    }
}
