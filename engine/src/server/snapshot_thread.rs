//! The snapshots' thread: receives from its sockets, steps the manager, and sends.

use std::sync::Arc;
use std::time::Instant;

use niagara_net::{Event, Transport};

use super::channels::TRANSFER_CHANNEL;
use super::epoch_opener::EpochOpener;
use super::group_threads::GroupThreads;
use super::snapshot_manager::SnapshotManager;
use crate::progress::{Bell, SharedProgress};
use crate::state_machine::StateMachine;

/// What the thread owns or shares.
pub(crate) struct SnapshotThread<S: StateMachine> {
    pub manager: SnapshotManager<S>,
    pub opener: EpochOpener<S>,
    /// Where the groups of later epochs go.
    pub groups: GroupThreads,
    /// Wakes the sequencer's thread.
    pub sequencer: Arc<Bell>,
    pub progress: Arc<SharedProgress>,
    pub transport: Box<dyn Transport>,
}

impl<S: StateMachine> SnapshotThread<S> {
    /// Runs until the thread is told to stop. An unfinished snapshot is lost then, and nothing else.
    pub fn run(mut self) {
        let mut events = Vec::new();
        while !self.progress.snapshots.is_stopped() {
            self.turn(&mut events);
        }
    }

    fn turn(&mut self, events: &mut Vec<(u32, Event)>) {
        let now = Instant::now();
        let due = self.manager.next_due(now).map(|due| due.saturating_duration_since(now));
        let timeout = due.into_iter().chain(self.opener.looks_again()).min();
        let manager = &self.manager;
        let mut may_sleep = || !manager.is_due(Instant::now());
        let waited = self.transport.turn(now, timeout, &mut may_sleep, events);
        waited.unwrap_or_else(|error| panic!("cannot wait for sockets: {error}"));
        let now = Instant::now();
        for (_, event) in events.drain(..) {
            self.manager.handle(now, event);
        }
        for (to, message) in self.manager.step(now) {
            // What a broken link drops is requested again.
            let _ = self.transport.send(TRANSFER_CHANNEL, to, message.encode());
        }
        for peer in self.manager.take_offenders() {
            self.transport.disconnect(TRANSFER_CHANNEL, peer);
        }
        self.transport.flush();
        self.open_epochs();
    }

    fn open_epochs(&mut self) {
        let opened = self.opener.step(&self.manager.kept_cuts());
        let opened = opened.and_then(|opened| {
            let Some(opened) = opened else { return Ok(()) };
            self.groups.take_in(opened)?;
            self.sequencer.ring();
            Ok(())
        });
        opened.unwrap_or_else(|error| panic!("cannot go on with the next epoch: {error}"));
    }
}
